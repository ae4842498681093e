"""Normalizations and losses beside the real MXNet 1.9.1: values, gradients, auxiliary states, names and shapes, for
random shapes, parameters and dtypes. One program is run by both, on the same numbers."""
import numpy as np
import pytest

import mxlite as mx

# Runs `cases` on `mx`: a list of (operator, inputs, parameters, head gradients, how many inputs get gradients, aux).
PROGRAM = """
def run(name, xs, params, heads, wanted, aux):
    names = ["x%d" % i for i in range(len(xs))]
    net = getattr(mx.sym, name)(*[mx.sym.Variable(n) for n in names], name="f", **params)
    more = net.list_auxiliary_states()
    args = {n: mx.nd.array(x, dtype=x.dtype) for n, x in zip(names, xs)}
    states = {n: mx.nd.array(x, dtype=x.dtype) for n, x in zip(more, aux)}
    grads = {n: mx.nd.zeros(x.shape, dtype=x.dtype) for n, x in list(zip(names, xs))[:wanted]}
    exe = net.bind(mx.cpu(), args, args_grad=grads, aux_states=states,
                   grad_req={n: "write" if n in grads else "null" for n in names})
    exe.forward(is_train=True)
    outputs = [y.asnumpy() for y in exe.outputs]
    exe.backward([mx.nd.array(h, dtype=h.dtype) for h in heads])
    mx.nd.waitall()
    return outputs, [grads[n].asnumpy() for n in names[:wanted]], [states[n].asnumpy() for n in more]
result = [run(*case) for case in cases]
"""
TOLERANCE = {"float32": 3e-5, "float64": 1e-9, "float16": 2e-2}


class Draw:
    """Random cases, the same ones each time."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def array(self, shape, dtype="float32", low=-2.0, high=2.0):
        return np.asarray(self.rng.uniform(low, high, shape)).astype(dtype)

    def shape(self, least=1, most=4, longest=9):
        return tuple(int(d) for d in self.rng.integers(1, longest + 1, self.rng.integers(least, most + 1)))

    def pick(self, *values):
        return values[self.rng.integers(len(values))]

    def real(self, low, high):
        """A number that float32 holds exactly: MXNet's parameters are float32."""
        return float(np.ceil(self.rng.uniform(low, high) * 64) / 64)

    def dtype(self):
        return self.pick("float32", "float64", "float16")

    def layer_norm(self):
        shape, dtype = self.shape(), self.dtype()
        axis = int(self.rng.integers(-len(shape), len(shape)))
        shown = bool(self.pick(True, False))
        small = shape[:axis % len(shape)] + (1,) + shape[axis % len(shape) + 1:]
        params = {"axis": axis, "eps": self.real(0.05, 0.3), "output_mean_var": shown}
        heads = [self.array(s, dtype) for s in ([shape, small, small] if shown else [shape])]
        return ("LayerNorm", [self.array(s, dtype) for s in (shape, shape[axis], shape[axis])], params, heads, 3, [])

    def instance_norm(self):
        shape = self.shape(3, 5, 6)
        return ("InstanceNorm", [self.array(s) for s in (shape, shape[1], shape[1])], {"eps": self.real(0.05, 0.3)},
                [self.array(shape)], 3, [])

    def group_norm(self):
        groups, dtype = int(self.rng.integers(1, 5)), self.dtype()
        shape = self.shape(3, 5, 5)
        shape = (shape[0], shape[1] * groups, *shape[2:])
        shown = bool(self.pick(True, False))
        params = {"num_groups": groups, "eps": self.real(0.05, 0.3), "output_mean_var": shown}
        heads = [self.array(s, dtype) for s in ([shape] + [(shape[0], groups)] * 2 if shown else [shape])]
        return "GroupNorm", [self.array(s, dtype) for s in (shape, groups, groups)], params, heads, 3, []

    def l2_normalization(self):
        mode, dtype = self.pick("instance", "channel", "spatial"), self.dtype()
        shape = self.shape(1 if mode == "instance" else 3, 5, 6)
        return ("L2Normalization", [self.array(shape, dtype)], {"mode": mode, "eps": self.real(0.05, 0.3)},
                [self.array(shape, dtype)], 1, [])

    def lrn(self):
        shape = self.shape(4, 4, 7)
        params = {"nsize": int(self.pick(1, 2, 3, 4, 5, 6, 7, 9)), "alpha": self.real(0.01, 2),
                  "knorm": self.real(0.5, 2), "beta": self.pick(0.75, self.real(0.3, 2))}
        return "LRN", [self.array(shape)], params, [self.array(shape)], 1, []

    def moments(self):
        shape, dtype = self.shape(1, 4, 6), self.dtype()
        axes = tuple(int(a) for a in self.rng.permutation(len(shape))[:self.rng.integers(1, len(shape) + 1)])
        keep = bool(self.pick(True, False))
        small = tuple(1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes) or (1,)
        axes = tuple(a - len(shape) if self.rng.integers(2) else a for a in axes)
        return ("moments", [self.array(shape, dtype)], {"axes": axes, "keepdims": keep},
                [self.array(small, dtype), self.array(small, dtype)], 1, [])

    def softmax_activation(self):
        # MXNet's gradient of `instance` is no derivative for more than two axes, and it takes float32 only.
        mode = self.pick("instance", "channel")
        shape = self.shape(2, 2) if mode == "instance" else self.shape(3, 4)
        return "SoftmaxActivation", [self.array(shape)], {"mode": mode}, [self.array(shape)], 1, []

    def softmax_cross_entropy(self):
        shape = self.shape(2, 2)
        label = self.rng.integers(0, shape[1], shape[0]).astype("float32")
        return "softmax_cross_entropy", [self.array(shape), label], {}, [self.array((1,))], 1, []

    def mae(self):
        # MXNet divides by the number of labels in a row in float32.
        shape, dtype = tuple(int(d) for d in 2 ** self.rng.integers(0, 4, 3)), self.dtype()
        x, label = (np.round(self.array(shape, dtype)) for _ in range(2))       # with ties
        return ("MAERegressionOutput", [x, label],
                {"grad_scale": self.real(0.1, 3)}, [self.array(shape, dtype)], 1, [])

    def make_loss(self):
        shape, dtype = self.shape(), self.dtype()
        return "make_loss", [self.array(shape, dtype)], {}, [self.array(shape, dtype)], 1, []

    def hard_sigmoid(self):
        shape, dtype = self.shape(), self.dtype()
        return ("hard_sigmoid", [self.array(shape, dtype)], {"alpha": self.real(0.1, 0.6), "beta": self.real(0.2, 0.8)},
                [self.array(shape, dtype)], 1, [])

    def kl_sparse(self):
        shape = self.shape(2, 2)
        params = {"sparseness_target": self.real(0.1, 0.9), "penalty": self.real(0.01, 1),
                  "momentum": self.real(0.1, 0.9)}
        return ("IdentityAttachKLSparseReg", [self.array(shape, low=0.1, high=0.9)], params, [self.array(shape)], 1,
                [self.array(shape[1], low=0.2, high=0.8)])


# Parameters that some cases leave at their defaults.
DEFAULTS = {"eps", "alpha", "beta", "knorm", "grad_scale", "sparseness_target", "penalty", "momentum"}
KINDS = ["layer_norm", "instance_norm", "group_norm", "l2_normalization", "lrn", "moments", "softmax_activation",
         "softmax_cross_entropy", "mae", "make_loss", "hard_sigmoid", "kl_sparse"]


def here(cases):
    names = {"mx": mx, "cases": cases}
    exec(PROGRAM, names)
    return names["result"]


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients(oracle, kind):
    draw = Draw(sum(map(ord, kind)))
    cases = [getattr(draw, kind)() for _ in range(16)]
    for case in cases[::5]:
        for k in DEFAULTS & {*case[2]}:
            del case[2][k]
    for case, ours, theirs in zip(cases, here(cases), oracle.run(PROGRAM, cases=cases)):
        for what, a, b in zip(("outputs", "gradients", "auxiliary states"), ours, theirs):
            assert len(a) == len(b), case[:3:2]
            for x, y in zip(a, b):
                assert (x.shape, x.dtype) == (y.shape, y.dtype), (what, *case[:3:2])
                tol = TOLERANCE[x.dtype.name]
                scale = max(1.0, float(np.abs(y).max())) if y.size else 1.0
                np.testing.assert_allclose(x, y, rtol=tol, atol=tol * scale, err_msg=f"{what} of {case[0]} {case[2]}")


DESCRIBE = """
import json
def describe(name, params, shapes):
    net = getattr(mx.sym, name)(mx.sym.Variable("data"), name="f", **params)
    graph = json.loads(net.tojson())
    said = [net.list_arguments(), net.list_outputs(), net.list_auxiliary_states(), graph["node_row_ptr"],
            [n.get("attrs", {}) for n in graph["nodes"]], net.attr_dict()]
    for shape in shapes:
        try:
            said.append([tuple(map(tuple, s)) for s in net.infer_shape(data=shape)])
        except mx.MXNetError:
            said.append("MXNetError")
    said.append([[np.dtype(t).name for t in ts] for ts in net.infer_type(data="float32")])
    return said
result = [describe(*call) for call in calls]
"""
CALLS = [("LayerNorm", {}, [(2, 3, 4), (5,)]), ("LayerNorm", {"axis": 1, "output_mean_var": True}, [(2, 3, 4), (5,)]),
         ("LayerNorm", {"axis": -5}, [(2, 3, 4)]), ("InstanceNorm", {"eps": 0.01}, [(2, 3, 4), (2, 3, 4, 5), (3,)]),
         ("GroupNorm", {}, [(2, 6, 4)]),
         ("GroupNorm", {"num_groups": 3}, [(2, 6, 4), (2, 3, 4, 5), (2, 4, 3), (2, 3)]),
         ("GroupNorm", {"num_groups": 2, "output_mean_var": True}, [(2, 6, 4), (2, 3, 4, 5)]),
         ("L2Normalization", {}, [(2, 3, 4), (3,)]), ("L2Normalization", {"mode": "spatial"}, [(2, 3, 4), (2, 3)]),
         ("L2Normalization", {"mode": "channel", "eps": 1e-5}, [(2, 3, 4), (3,)]),
         ("LRN", {"nsize": 5}, [(2, 3, 4, 5), (2, 3, 4)]), ("moments", {"axes": (0, 2)}, [(2, 3, 4), (2, 3)]),
         ("moments", {"axes": (-1,), "keepdims": True}, [(2, 3, 4), (2,)]), ("moments", {}, [(2, 3)]),
         ("SoftmaxActivation", {}, [(2, 3, 4)]), ("MAERegressionOutput", {}, [(2, 3)]), ("make_loss", {}, [(2, 3)]),
         ("hard_sigmoid", {"alpha": 0.3}, [(2, 3)]), ("IdentityAttachKLSparseReg", {}, [(2, 3), (2, 3, 4), (2,)])]


def test_names_json_and_shapes(oracle):
    names = {"mx": mx, "np": np, "calls": CALLS}
    exec(DESCRIBE, names)
    for call, ours, theirs in zip(CALLS, names["result"], oracle.run(DESCRIBE, calls=CALLS)):
        assert ours == theirs, call


BAD = [("LayerNorm", {"axis": 1.5}), ("GroupNorm", {"num_groups": "x"}), ("L2Normalization", {"mode": "rows"}),
       ("LRN", {}), ("LRN", {"nsize": 3, "alfa": 1}), ("SoftmaxActivation", {"mode": "spatial"}),
       ("IdentityAttachKLSparseReg", {"sparseness_target": 1.5}), ("IdentityAttachKLSparseReg", {"momentum": -1})]


def test_bad_parameters_are_errors_in_both(oracle):
    program = """
said = []
for name, params in calls:
    try:
        getattr(mx.sym, name)(mx.sym.Variable("data"), name="f", **params)
        said.append("no error")
    except Exception as e:
        said.append(type(e).__name__)
result = said
"""
    names = {"mx": mx, "calls": BAD}
    exec(program, names)
    assert names["result"] == oracle.run(program, calls=BAD) == ["MXNetError"] * len(BAD)
