"""What an executor does, question by question: the same lines run by mxlite and by the real MXNet, results compared.

Random placements over contexts are compared in the same way: outputs, gradients, and where every array lies.
"""
import inspect
import textwrap

import numpy as np

import mxlite as mx


def prelude(mx):
    """What every question may use."""
    nd, sym, cpu = mx.nd, mx.sym, mx.cpu()
    a, b = sym.Variable("a"), sym.Variable("b")

    def fc():
        return sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc")

    def bn():
        return sym.BatchNorm(fc(), name="bn")

    def L(x):
        return x.asnumpy().tolist()

    def ones(*shape):
        return nd.ones(shape)

    def simple(net=None, **more):
        e = (fc() if net is None else net).simple_bind(cpu, **{"data": (2, 4), **more})
        for i, x in enumerate(e.arg_arrays):
            x[:] = i + 1
        return e

    def values(e):
        return [L(o) for o in e.outputs], [None if g is None else L(g) for g in e.grad_arrays]

    def monitored(net, train, everything, **shapes):
        e, seen = net.simple_bind(cpu, **shapes), []
        e.set_monitor_callback(lambda n, x: seen.append(n if isinstance(n, str) else n.decode()), everything)
        e.forward(is_train=train)
        nd.waitall()
        return seen

    def shared(names, buffer, shape=(2, 4), req="write"):
        first = bn().simple_bind(cpu, data=(2, 4))
        for i, x in enumerate(first.arg_arrays + first.grad_arrays + first.aux_arrays):
            x[:] = i + 1
        e = bn().simple_bind(cpu, grad_req=req, data=shape, shared_exec=first, shared_arg_names=names,
                             shared_buffer=buffer)
        return ([L(x) for x in e.arg_arrays], [g if g is None else L(g) for g in e.grad_arrays],
                [L(x) for x in e.aux_arrays], sorted(buffer))

    def run(lines):
        space = {**tools, "mx": mx}
        *before, last = lines.strip().split("\n")
        try:
            with mx.name.NameManager():                 # names count from zero, whatever was asked before
                exec("\n".join(before), space)
                return eval(last, space)
        except Exception as error:
            return "raises " + ("" if isinstance(error, Exception) else type(error).__name__)
    tools = dict(nd=nd, sym=sym, cpu=cpu, a=a, b=b, fc=fc, bn=bn, L=L, ones=ones, simple=simple, values=values,
                 monitored=monitored, shared=shared, np=np)
    return run


QUESTIONS = """
[[x.shape for x in part] for part in (simple().arg_arrays, simple().grad_arrays, simple().outputs)]
e = simple(); [list(d) for d in (e.arg_dict, e.grad_dict, e.aux_dict, e.output_dict)]
e = simple(bn()); [list(d) for d in (e.arg_dict, e.grad_dict, e.aux_dict, e.output_dict)]
e = simple(); (e.arg_dict["data"] is e.arg_arrays[0], e.arg_dict is e.arg_dict, e.outputs is e.outputs)
simple().forward(nothing=ones(1))
simple().forward(data=ones(3, 4))
simple().forward(data=[[1, 2, 3, 4]] * 2)
L(simple().forward(data=np.ones((2, 4)))[0])
L(simple().forward(data=nd.ones((2, 4), dtype="float64"))[0])
L(simple().forward(True, data=ones(2, 4) * 3)[0])
simple(bn()).forward(bn_moving_mean=ones(3))
e = simple(); e.forward(is_train=True); e.backward(ones(2, 3)); values(e)
e = simple(); e.forward(is_train=True); e.backward([ones(2, 3) * 2]); values(e)
e = simple(); e.forward(is_train=True); e.backward((ones(2, 3) * 2,)); values(e)
e = simple(); e.forward(is_train=True); e.backward({"fc_output": ones(2, 3)}); values(e)
e = simple(); e.forward(is_train=True); e.backward({"fc": ones(2, 3)})
e = simple(); e.forward(is_train=True); e.backward()
e = simple(); e.forward(is_train=True); e.backward(np.ones((2, 3)))
e = simple(); e.forward(is_train=True); e.backward([None])
e = simple(); e.forward(is_train=True); e.backward([ones(3, 3)])
e = simple(); e.forward(is_train=True); e.backward([nd.ones((2, 3), dtype="float64")]); values(e)
e = simple(); e.forward(is_train=False); e.backward(ones(2, 3)); values(e)
e = simple(); e.forward(is_train=True); e.backward(ones(2, 3)); e.backward(ones(2, 3) * 3); values(e)
e = simple(grad_req="add"); e.forward(is_train=True); e.backward(ones(2, 3)); e.backward(ones(2, 3)); values(e)
e = simple(grad_req="null"); e.forward(is_train=True); e.backward(ones(2, 3)); values(e)
e = simple(grad_req={"fc_weight": "write"}); e.forward(is_train=True); e.backward(ones(2, 3)); values(e)
e = simple(grad_req={"nothing": "write"}); values(e)[1]
e = simple(grad_req=["null", "write", "add"]); e.forward(is_train=True); e.backward(ones(2, 3)); values(e)
simple(grad_req=["null", "write"])
simple(grad_req="wrte")
simple(grad_req="inplace")
simple(grad_req=3)
fc().bind(cpu, [ones(2, 4), ones(3, 4), ones(3)], grad_req="wrte")
fc().bind(cpu, [ones(2, 4), ones(3, 4)])
fc().bind(cpu, {"data": ones(2, 4)})
fc().bind(cpu, None)
fc().bind(cpu, [np.ones((2, 4)), ones(3, 4), ones(3)])
fc().bind("cpu", [ones(2, 4), ones(3, 4), ones(3)])
fc().bind(cpu, [ones(2, 4), ones(3, 5), ones(3)])
fc().bind(cpu, [ones(2, 4), nd.ones((3, 4), dtype="float64"), ones(3)])
x = dict(data=ones(2, 4), fc_weight=ones(3, 4), fc_bias=ones(3), more=ones(1)); L(fc().bind(cpu, x).forward()[0])
bn().bind(cpu, [ones(2, 4), ones(3, 4), ones(3), ones(3), ones(3)])
bn().bind(cpu, [ones(2, 4), ones(3, 4), ones(3), ones(3), ones(3)], aux_states={"bn_moving_mean": ones(3)})
(a + 1).bind(cpu, [ones(2)], aux_states=[ones(1)])
e = (a + 1).bind(cpu, [ones(2)], aux_states={"more": ones(1)}); L(e.forward()[0])
(a + b).bind(cpu, [ones(2)] * 2, args_grad=[ones(2)])
e = (a + b).bind(cpu, [ones(2)] * 2, args_grad={"z": ones(2)}); e.grad_arrays
e = (a + b).bind(cpu, [ones(2)] * 2, args_grad=[None, ones(2)]); [g is None for g in e.grad_arrays]
x = ones(2); e = (a + 1).bind(cpu, [x]); (e.arg_arrays[0] is x, e.arg_dict["a"] is x)
x = ones(2) * 3; e = (a * b).bind(cpu, [x, x], [ones(2), ones(2)]); e.forward(True); e.backward(ones(2)); values(e)
x, g = ones(2), ones(2); e = (a * b).bind(cpu, [x, x], [g, g], "add"); e.forward(True); e.backward(ones(2)); values(e)
e = (a * 2).bind(cpu, [ones(2)]); o = e.outputs; e.forward(); [L(x) for x in o]
e = (a * 2).bind(cpu, [ones(2)]); o = e.forward(); e.forward(a=ones(2) * 5); [L(x) for x in o]
e = simple(); e.copy_params_from({"fc_weight": nd.ones((3, 4), dtype="float64")}); L(e.arg_arrays[1])
e = simple(); e.copy_params_from({"fc_weight": nd.ones((3, 4), dtype="float64")}); str(e.arg_arrays[1].dtype)
e = simple(); e.copy_params_from({"nothing": ones(1)})
e = simple(); e.copy_params_from({"nothing": ones(1)}, allow_extra_params=True)
e = simple(); e.copy_params_from({}, {"nothing": ones(1)})
e = simple(); e.copy_params_from([ones(1)])
e = simple(); e.copy_params_from({"fc_weight": ones(3, 5)}); nd.waitall()
e = simple(bn()); e.copy_params_from({"fc_bias": ones(3) * 7}, {"bn_moving_var": ones(3) * 2}); L(e.aux_arrays[1])
e = simple(data=(8, 4)); s = e.reshape(data=(2, 4)); s.arg_dict["fc_weight"][:] = 9; L(e.arg_arrays[1])
e = simple(data=(8, 4)); s = e.reshape(data=(2, 4)); s.arg_dict["data"][:] = 3; (L(e.arg_arrays[0]), L(s.forward()[0]))
e = simple(data=(8, 4)).reshape(data=(2, 4)); e.forward(True); e.backward(ones(2, 3)); values(e)
simple().reshape(data=(8, 4))
[x.shape for x in simple().reshape(allow_up_sizing=True, data=(8, 4)).arg_arrays]
simple().reshape(data=(2, 2))
[x.shape for x in simple().reshape(partial_shaping=True, data=(2, 2)).arg_arrays]
simple().reshape(partial_shaping=True, data=(2, 8))
[x.shape for x in simple().reshape(partial_shaping=True, allow_up_sizing=True, data=(2, 8)).arg_arrays]
simple().reshape(nothing=(2, 2))
simple().reshape()
[x.shape for x in simple().reshape(data=(1, 2, 2)).arg_arrays]
e = simple(data=(8, 4)); s = e.reshape(data=(8, 4)); s.arg_dict["data"][:] = 9; L(e.arg_dict["data"])
simple().debug_str().split("\\n")[-3]
simple(sym.SoftmaxOutput(fc(), name="s"), data=(40000, 4)).debug_str().split("\\n")[-3].split()[0::2]
e = simple(); e.get_optimized_symbol().list_arguments()
monitored(bn(), False, False, data=(2, 4))
monitored(bn(), True, True, data=(2, 4))
monitored(a * a + sym.exp(a) + b, True, True, a=(2,), b=(2,))
monitored(sym.Group([a * 2, b]), False, True, a=(2,), b=(2,))
monitored(sym.Concat(*sym.SliceChannel(a, num_outputs=2, name="s"), b, name="c"), False, True, a=(2, 4), b=(2, 1))
monitored(sym.LeakyReLU(sym.softmax(a, name="sm").sum(axis=1, name="su"), name="l"), False, True, a=(2, 2))
fc().simple_bind(cpu)
[x.shape for x in simple(more=(2,)).arg_arrays]
[str(x.dtype) for x in simple(type_dict={"data": "float64"}).arg_arrays]
[str(x.dtype) for x in simple(type_dict={"fc_weight": np.float16}).arg_arrays]
simple(type_dict={"data": "float64", "fc_weight": np.float16})
simple(type_dict={"data": "flo"})
fc().simple_bind(cpu, data=[2, 4])
(a + 1).simple_bind(cpu, a=4)
(a + b).simple_bind(cpu, a=(2, 4), b=(2, 5))
shared(["fc_weight", "fc_bias"], {})
shared(None, {})
shared([], {})
shared(["nothing"], {})
shared(["fc_weight", "fc_bias"], {}, req="null")
shared(["fc_weight"], {}, shape=(2, 5))
shared(["data", "fc_weight"], {}, shape=(4, 4))
m = {}; x, y = simple(shared_buffer=m), simple(shared_buffer=m, data=(1, 4)); x.arg_arrays[0][:] = 5; L(y.arg_arrays[0])
m = {}; x, y = simple(shared_buffer=m), simple(shared_buffer=m, data=(8, 4)); [(k, m[k].shape) for k in sorted(m)]
simple(shared_buffer=[1])
simple(shared_buffer={"data": nd.ones((2, 4), dtype="float64")})
x = simple(); e = simple(shared_exec=x); x.arg_arrays[1][:] = 50; L(e.arg_arrays[1])
simple(shared_exec=3)
e = simple(sym.Dropout(fc(), p=0.5)); e.forward(is_train=False); e.backward(ones(2, 3)); values(e)
L((a + b).eval(cpu, a=ones(2), b=ones(2))[0])
(a + b).eval(cpu, a=ones(2))
L((a + 1).eval(cpu, a=ones(2), z=ones(2))[0])
(a + 1).simple_bind(cpu, a=(2,)).grad_dict["nothing"]
sym.Group([sym.Variable("x"), sym.Variable("x")]).simple_bind(cpu, x=(2,))
""".strip().split("\n")


def test_executors_do_the_same(oracle):
    lines = [q.replace("; ", "\n") for q in QUESTIONS]
    theirs = oracle.run(textwrap.dedent(inspect.getsource(prelude))
                        + "ask = prelude(mx)\nresult = [ask(q) for q in lines]", lines=lines)
    ask, wrong = prelude(mx), []
    for question, other in zip(lines, theirs):
        ours = ask(question)
        if not same(ours, other):
            wrong.append(f"{question}\n    {ours}\n    where MXNet says {other}")
    assert not wrong, f"{len(wrong)} of {len(lines)} differ\n" + "\n".join(wrong)


def same(ours, theirs):
    if isinstance(ours, (list, tuple)):
        return isinstance(theirs, (list, tuple)) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float):
        return isinstance(theirs, float) and abs(ours - theirs) <= 1e-5 * max(1, abs(theirs))
    return ours == theirs


PLACED = """
def placed(mx, cases):
    out = []
    for text, groups, shapes, values, heads, train in cases:
        net = mx.sym.load_json(text)
        ctx = {k: mx.cpu(i) for k, i in groups.items()}
        try:
            e = net.simple_bind(mx.cpu(0), group2ctx=ctx, **shapes)
        except Exception:
            out.append("raises")
            continue
        for n, a in e.arg_dict.items():
            a[:] = values[n]
        e.forward(is_train=train)
        e.backward([mx.nd.array(h, ctx=o.context) for h, o in zip(heads, e.outputs)])
        mx.nd.waitall()
        out.append([[str(a.context) for a in part] for part in (e.arg_arrays, e.grad_arrays, e.outputs)]
                   + [[a.asnumpy() for a in part] for part in (e.outputs, e.grad_arrays)])
    return out
"""
SPACE = {}
exec(PLACED, SPACE)


WAYS = (lambda x, y, name: mx.sym.elemwise_add(x, y, name=name),
        lambda x, y, name: mx.sym.elemwise_mul(x, y, name=name),
        lambda x, y, name: mx.sym.tanh(x, name=name), lambda x, y, name: mx.sym.elemwise_sub(x, y, name=name),
        lambda x, y, name: mx.sym._mul_scalar(x, scalar=0.5, name=name),
        lambda x, y, name: mx.sym.FullyConnected(x, num_hidden=4, name=name),
        lambda x, y, name: mx.sym.Concat(*mx.sym.SliceChannel(x, num_outputs=2, name=name), dim=1))


def placement(seed):
    """(JSON, contexts of groups, shapes, values, head gradients, is_train) of a random graph in random groups."""
    rng = np.random.default_rng(seed)
    groups = [f"g{i}" for i in range(rng.integers(2, 4))]
    made, shape = [], (int(rng.integers(2, 5)), 4)

    def group():
        return {"ctx_group": groups[rng.integers(len(groups))]} if rng.random() < 0.8 else {}

    def old():
        return made[rng.integers(max(0, len(made) - 6), len(made))]
    for i in range(rng.integers(2, 4)):
        with mx.AttrScope(ctx_group=groups[rng.integers(len(groups))]):
            made.append(mx.sym.Variable(f"v{i}"))
    for i in range(rng.integers(4, 14)):
        with mx.AttrScope(**group()):
            made.append(WAYS[rng.integers(len(WAYS))](old(), old(), f"n{i}"))
    net = mx.sym.Group([made[-1], made[-2]])            # two heads: of one output twice, MXNet forgets a gradient
    shapes = {n: shape for n in net.list_arguments() if n.startswith("v")}
    sizes = dict(zip(net.list_arguments(), net.infer_shape(**shapes)[0]))
    contexts = {g: int(rng.integers(0, 3)) for g in groups}
    if rng.random() < 0.1:
        contexts.popitem()
    return (net.tojson(), contexts, shapes, {n: rng.uniform(-1, 1, s).astype("float32") for n, s in sizes.items()},
            [rng.uniform(-1, 1, shape).astype("float32") for _ in range(2)], bool(rng.random() < 0.7))


def test_random_placements(oracle, capsys):
    """Where MXNet can run a placement, mxlite computes the same, with every array on the same context. MXNet refuses
    to bring the gradient of a variable without a group back from another context; mxlite copies it."""
    cases = [placement(seed) for seed in range(160)]
    theirs = oracle.run(PLACED + "result = placed(mx, cases)", cases=cases)
    ran = refused = more = spread = 0
    for case, ours, other in zip(cases, SPACE["placed"](mx, cases), theirs):
        if other == "raises":
            used = {w for w in case[1]}
            named = {part.split('"')[0] for part in case[0].split('"__ctx_group__": "')[1:]}
            assert (ours == "raises") == bool(named - used), case
            refused, more = refused + (ours == "raises"), more + (ours != "raises")
            continue
        assert ours[:3] == [list(map(str, part)) for part in other[:3]], case
        for a, b in zip(ours[3] + ours[4], other[3] + other[4]):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5)
        ran, spread = ran + 1, spread + (len({c for part in ours[:3] for c in part}) > 1)
    with capsys.disabled():
        print(f"\n{ran} placements alike, {spread} of them over several contexts; {refused} refused alike, {more} that "
              f"MXNet cannot run")
    assert ran >= 40 and spread >= 15 and refused >= 3
