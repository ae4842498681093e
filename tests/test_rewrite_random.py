"""Random networks and random ways of driving them: with every rewriting pass on, and with all of them off, the results
are the same. What differs is rounding, so almost all of it is float64, where a wrong result stands out."""
import random
from contextlib import ExitStack

import numpy as np
import pytest

import mxlite as mx
from mxlite._core import cpu
from mxlite.ops import settings

TOLERANCE = {"float64": 1e-9, "float32": 5e-3}


class Network:
    """A random graph over ``data`` (batch, channels, height, width); `shapes` are those of its inputs."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.dtype = "float32" if seed % 8 == 7 else "float64"
        self.groups = {"one": mx.cpu(0), "two": mx.cpu(1)} if seed % 6 == 5 else None
        self.batch = rng.choice([1, 1, 2, 3, 5])
        image = rng.choice([1, 2, 5, 8, 13]), rng.choice([1, 3, 8])
        channels = rng.choice([1, 2, 4, 16, 17])
        self.shapes = {"data": (self.batch, channels, *image)}
        self.weights, self.norms, self.made = {}, {}, 0
        entries = [(mx.sym.Variable("data"), channels)]
        self.image = image
        for _ in range(rng.randint(4, 14)):
            with mx.AttrScope(ctx_group=rng.choice(["one", "two"])) if self.groups else ExitStack():
                # mostly on from what came last: fusing needs a reader alone
                entries.append(self.step(entries, entries[-1] if rng.random() < 0.75 else rng.choice(entries)))
        heads = [entries[-1][0]]
        if rng.random() < 0.4:
            heads.append(rng.choice(entries[1:])[0])
        if rng.random() < 0.6:
            with mx.AttrScope(ctx_group="two") if self.groups else ExitStack():
                heads.append(self.dense(entries))
        self.symbol = mx.sym.Group(heads)
        self.reqs = {n: rng.choice(["write", "write", "write", "add", "null"]) for n in self.symbol.list_arguments()}

    def name(self):
        self.made += 1
        return f"n{self.made}"

    def step(self, entries, entry):
        (x, c), rng = entry, self.rng
        kind = rng.choice("conv conv conv conv norm norm norm act act act add add chain chain pool drop".split())
        if kind == "conv":
            return self.conv(x, c)
        if kind == "norm":
            return self.norm(x, c), c
        if kind == "act":
            return self.act(x), c
        if kind == "add":
            others = [e for e, d in entries if d == c]
            return rng.choice([lambda a, b: a + b, mx.sym.broadcast_add])(x, rng.choice(others)), c
        if kind == "pool":
            return mx.sym.Pooling(x, kernel=(3, 3), stride=(1, 1), pad=(1, 1), name=self.name(),
                                  pool_type=rng.choice(["max", "avg"])), c
        if kind == "drop":
            return mx.sym.Dropout(x, p=0.4, name=self.name()), c
        for _ in range(rng.randint(1, 4)):
            other = rng.choice([e for e, d in entries if d == c])
            x = rng.choice([lambda a: mx.sym.tanh(a) * 0.5, lambda a: mx.sym.sigmoid(a) - 0.25, mx.sym.sin, mx.sym.abs,
                            lambda a: mx.sym.elemwise_mul(mx.sym.sin(a), mx.sym.cos(other)),  # noqa: B023
                            lambda a: mx.sym.broadcast_mul(a, self.channel_parameter(c))])(x)
        return x, c

    def channel_parameter(self, c):
        name = f"scale{c}"
        self.shapes[name] = (1, c, 1, 1)
        return self.weights.setdefault(name, mx.sym.Variable(name))

    def conv(self, x, c):
        rng = self.rng
        out = c if rng.random() < 0.6 else rng.choice([1, 2, 4, 16])
        kernel = rng.choice([1, 3, 3, 3, 5])
        group = rng.choice([g for g in (1, 1, 2, c) if c % g == 0 and out % g == 0])
        dilate = rng.choice([1, 1, 1, 2])
        pad = kernel // 2 * dilate
        more = {}
        if rng.random() < 0.3:          # one weight for all such convolutions
            key = f"shared{c}_{out}_{kernel}_{group}"
            more["weight"] = self.weights.setdefault(key, mx.sym.Variable(key))
        return mx.sym.Convolution(x, kernel=(kernel, kernel), pad=(pad, pad), dilate=(dilate, dilate), num_filter=out,
                                  num_group=group, no_bias=rng.random() < 0.5, name=self.name(), **more), out

    def norm(self, x, c):
        rng, how = self.rng, {}
        if rng.random() < 0.2 and self.groups is None:      # the same parameters and states for several
            how = self.norms.setdefault(c, {k: mx.sym.Variable(f"bn{c}_{k}") for k in
                                            ("gamma", "beta", "moving_mean", "moving_var")})
        return mx.sym.BatchNorm(x, fix_gamma=rng.random() < 0.3, use_global_stats=rng.random() < 0.15, eps=1e-3,
                                name=self.name(), **how)

    def act(self, x):
        return self.rng.choice([mx.sym.relu, mx.sym.relu, mx.sym.tanh, lambda a: mx.sym.Activation(a, act_type="relu"),
                                lambda a: mx.sym.clip(a, a_min=-0.4, a_max=0.7)])(x)

    def dense(self, entries):
        """Dense layers behind a pooling; several with one weight, so that they are batched."""
        rng = self.rng
        x, c = rng.choice(entries)
        w, n = mx.sym.Variable("dense_weight"), rng.choice([1, 3, 8, 33])
        out = []
        for k in range(rng.choice([1, 2, 4])):
            y = mx.sym.FullyConnected(mx.sym.mean(mx.sym.sin(x + 0.1 * k), axis=(2, 3)), w, num_hidden=n, no_bias=True,
                                      name=self.name())
            out.append(rng.choice([mx.sym.relu, mx.sym.tanh, lambda a: a])(y))
        y = mx.sym.add_n(*out)
        if rng.random() < 0.5:
            y = mx.sym.relu(mx.sym.BatchNorm(mx.sym.FullyConnected(y, num_hidden=4, name=self.name()), fix_gamma=False,
                                             name=self.name()))
        return y


def bind(network, shared=None, batch=None):
    shapes = dict(network.shapes)
    if batch is not None:
        shapes["data"] = (batch, *shapes["data"][1:])
    types = {n: network.dtype for n in network.symbol.list_arguments()}
    return network.symbol.simple_bind(mx.cpu(), grad_req=network.reqs, type_dict=types, group2ctx=network.groups,
                                      shared_exec=shared, **shapes)


def fill(executor, seed):
    rng = np.random.default_rng(seed)
    for name in sorted(executor.arg_dict):
        a = executor.arg_dict[name]
        a[:] = rng.normal(size=a.shape) * (1 if name.startswith("data") else 1 / np.sqrt(max(1, np.prod(a.shape[1:]))))
    for name in sorted(executor.aux_dict):
        a = executor.aux_dict[name]
        a[:] = rng.uniform(0.5, 1.5, a.shape) if "var" in name else rng.normal(size=a.shape)
    for name in sorted(executor.grad_dict):
        if executor.grad_dict[name] is not None:
            executor.grad_dict[name][:] = 0.25


def drive(network, plain):
    """What a random course of forwards, backwards and writes leaves: [(what, array)]. With `plain` every option is off;
    otherwise options, threads and instruction sets change on the way too."""
    rng, seen = random.Random(network.batch + len(network.shapes)), []
    executor = bind(network)
    fill(executor, 1)
    mx.random.seed(7)

    def look(what):
        seen.extend((f"{what} {n}", a.asnumpy()) for n, a in zip(network.symbol.list_outputs(), executor.outputs))
        seen.extend((f"{what} {n}", a.asnumpy()) for n, a in sorted(executor.aux_dict.items()))

    def train():
        executor.forward(is_train=True)
        look("train")
        if rng.random() < 0.3:          # something else runs between the two halves
            between = rng.choice(["options", "threads", "isa", "sharer"])
            if between == "sharer":
                other = bind(network, shared=executor)
                other.forward(is_train=rng.random() < 0.5)
            elif not plain:
                change(between)
        executor.backward([mx.nd.full(o.shape, 0.5, dtype=network.dtype, ctx=o.context) for o in executor.outputs])
        seen.extend((f"gradient {n}", a.asnumpy()) for n, a in sorted(executor.grad_dict.items()) if a is not None)
        look("trained")

    def change(what):
        if what == "options":
            name = random.choice(list(mx.runtime.options()))
            mx.runtime.set_option(name, not getattr(settings, name))
        elif what == "threads":
            cpu.set_threads(random.choice([1, 2, 3]))
        else:
            cpu.set_isa(random.randrange(cpu.detected_isa + 1))

    def infer():
        executor.forward(is_train=False)
        look("infer")

    def write():
        """Into some parameter, in some way."""
        name = rng.choice(sorted({**executor.arg_dict, **executor.aux_dict}))
        array, way = {**executor.arg_dict, **executor.aux_dict}[name], rng.randrange(5)
        if way == 0:
            array[:] = array * 0.5 + 0.25
        elif way == 1:
            array[0:1] = 0.75
        elif way == 2:
            array *= 1.5
        elif way == 3:
            array.reshape((-1,))[0:1] = 0.5
        elif name in executor.arg_dict:
            executor.copy_params_from({name: mx.nd.full(array.shape, 0.3, dtype=network.dtype)}, {})

    def monitor():
        executor.set_monitor_callback(lambda name, array: None)
        executor.forward(is_train=True)
        look("monitored")
        executor.backward([mx.nd.ones(o.shape, dtype=network.dtype, ctx=o.context) for o in executor.outputs])
        seen.extend((f"monitored gradient {n}", a.asnumpy()) for n, a in sorted(executor.grad_dict.items())
                    if a is not None)
        executor.set_monitor_callback(None)

    def reshape():
        nonlocal executor
        shapes = {**network.shapes, "data": (network.batch + 1, *network.shapes["data"][1:])}
        larger = executor.reshape(partial_shaping=True, allow_up_sizing=True, **shapes)
        larger.arg_dict["data"][:] = np.random.default_rng(3).normal(size=shapes["data"])
        keep, executor = executor, larger
        infer()
        train()
        executor = keep

    steps = [infer, train, infer, write, infer, *(rng.choice([infer, train, write, monitor]) for _ in range(4))]
    if rng.random() < 0.3 and network.groups is None and "data" in network.shapes:
        steps.append(reshape)
    for step in [*steps, write, infer]:
        step()
    return seen


class Sequence(Network):
    """A random graph of products of a few matrices with some weights, as an unrolled recurrence has them."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.dtype, self.groups, self.batch, n = "float64", None, rng.choice([1, 2, 5]), rng.choice([1, 3, 4])
        names = [f"data{i}" for i in range(rng.randint(2, 5))]
        self.shapes = {name: (self.batch, n) for name in names}
        weights = [(mx.sym.Variable(f"w{i}"), mx.sym.Variable(f"b{i}")) for i in range(rng.randint(1, 3))]
        entries = [mx.sym.Variable(name) for name in names]
        for _ in range(rng.randint(6, 30)):
            x, y, kind = rng.choice(entries[-8:]), rng.choice(entries), rng.random()
            if kind < 0.6:
                w, b = rng.choice(weights)
                bias = {"bias": b} if w.name < "w1" else {"no_bias": True}
                x = mx.sym.FullyConnected(x, w, num_hidden=n, **bias)
            elif kind < 0.7:
                x = mx.sym.Dropout(x, p=0.5)
            elif kind < 0.8:
                x = rng.choice([mx.sym.elemwise_add, mx.sym.elemwise_mul])(mx.sym.sin(x), mx.sym.cos(y))
            else:
                x = rng.choice([mx.sym.tanh, mx.sym.sigmoid, mx.sym.relu])(x)
            entries.append(x)
        unused = [e for e in entries[-6:] if rng.random() < 0.5]
        self.symbol = mx.sym.Group([mx.sym.add_n(*(mx.sym.tanh(e) for e in entries[-6:])), *unused])
        used = self.symbol.list_arguments()
        self.shapes = {k: v for k, v in self.shapes.items() if k in used}
        self.reqs = {n: rng.choice(["write", "write", "write", "add", "null"]) for n in used}


CASES = [(Network, seed) for seed in range(96)] + [(Sequence, seed) for seed in range(64)]


@pytest.mark.parametrize("make, seed", CASES)
def test_rewriting_changes_nothing_but_rounding(make, seed):
    network = make(seed)
    before = {name: getattr(settings, name) for name in mx.runtime.options()}
    threads, isa = cpu.get_threads(), cpu.get_isa()
    random.seed(seed)
    try:
        got = drive(network, False)
        for name in before:
            mx.runtime.set_option(name, False)
        want = drive(network, True)
    finally:
        for name, value in before.items():
            mx.runtime.set_option(name, value)
        cpu.set_threads(threads)
        cpu.set_isa(isa)
    assert [what for what, _ in got] == [what for what, _ in want]
    tolerance = TOLERANCE[network.dtype]
    for (what, a), (_, b) in zip(got, want, strict=True):
        scale = max(1.0, np.abs(b).max(initial=0))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=f"{what}, seed {seed}")
