"""Model parallelism: parts of a graph on several contexts (``group2ctx``) compute what one context computes."""
import numpy as np
import pytest

import mxlite as mx
from mxlite._core import plan as planner

CPU0, CPU1, CPU2 = mx.cpu(0), mx.cpu(1), mx.cpu(2)
TWO = {"dev1": CPU0, "dev2": CPU1}


def mlp():
    """Two layers a device, a Dropout (random numbers) and a BatchNorm (auxiliary states)."""
    with mx.AttrScope(ctx_group="dev1"):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=16, name="fc1")
        net = mx.sym.BatchNorm(mx.sym.Activation(net, act_type="tanh", name="act1"), name="bn", fix_gamma=False)
        net = mx.sym.Dropout(net, p=0.3, name="drop")
    with mx.AttrScope(ctx_group="dev2"):
        net = mx.sym.FullyConnected(net, num_hidden=5, name="fc2")
        return mx.sym.SoftmaxOutput(net, name="softmax")


def lstm(steps=3, hidden=4):
    """Two recurrent layers, one a device, unrolled: weights shared over time, states that run along both devices."""
    def cell(x, h, c, w, name):
        gates = mx.sym.FullyConnected(x, weight=w[0], bias=w[1], num_hidden=4 * hidden, name=f"{name}_i2h")
        gates = gates + mx.sym.FullyConnected(h, weight=w[2], num_hidden=4 * hidden, no_bias=True, name=f"{name}_h2h")
        i, f, o, g = mx.sym.SliceChannel(gates, num_outputs=4, name=f"{name}_slice")
        c = mx.sym.sigmoid(f) * c + mx.sym.sigmoid(i) * mx.sym.tanh(g)
        return mx.sym.sigmoid(o) * mx.sym.tanh(c), c

    def start(k):
        return [mx.sym.Variable(f"l{k}_{n}") for n in ("w", "b", "u", "h", "c")]
    with mx.AttrScope(ctx_group="dev1"):
        *w1, h1, c1 = start(1)
        inputs = [mx.sym.Variable(f"x{t}") for t in range(steps)]
    with mx.AttrScope(ctx_group="dev2"):
        *w2, h2, c2 = start(2)
    outputs = []
    for t in range(steps):
        with mx.AttrScope(ctx_group="dev1"):
            h1, c1 = cell(inputs[t], h1, c1, w1, f"l1t{t}")
        with mx.AttrScope(ctx_group="dev2"):
            h2, c2 = cell(h1, h2, c2, w2, f"l2t{t}")
            outputs.append(h2)
    with mx.AttrScope(ctx_group="dev2"):
        return mx.sym.Group([*outputs, mx.sym.BlockGrad(c2, name="last")])


def scattered():
    """Devices change at every node; ungrouped nodes and variables, several users of one value, a head that is none."""
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    with mx.AttrScope(ctx_group="dev1"):
        u = mx.sym.exp(a, name="u") * b
    v = mx.sym.tanh(u, name="v")
    with mx.AttrScope(ctx_group="dev2"):
        w = mx.sym.broadcast_mul(u - v, mx.sym.sum(a * b, axis=0, keepdims=True))
    with mx.AttrScope(ctx_group="dev1"):
        x = mx.sym.SliceChannel(w + a, num_outputs=2, name="halves")
    with mx.AttrScope(ctx_group="dev2"):
        y = mx.sym.Concat(x[1], x[0], mx.sym.zeros((6, 1)), dim=1, name="cat")
    return mx.sym.Group([y, x[0], u, a])


NETS = {"mlp": (mlp, dict(data=(6, 8))), "lstm": (lstm, {**{f"x{t}": (5, 3) for t in range(3)}, "l1_h": (5, 4),
                                                         "l1_c": (5, 4), "l2_h": (5, 4), "l2_c": (5, 4)}),
        "scattered": (scattered, dict(a=(6, 4), b=(6, 4)))}


def bound(name, groups, **more):
    net, shapes = NETS[name]
    executor = net().simple_bind(CPU0, group2ctx=groups, **shapes, **more)
    rng = np.random.default_rng(3)
    for n, a in executor.arg_dict.items():
        a[:] = rng.integers(0, 3, a.shape) if "label" in n else rng.uniform(-1, 1, a.shape)
    for a in executor.aux_arrays:
        a[:] = 1
    return executor


def assert_same(got, want, name):
    """Bit for bit. Where the readers of a value are on several contexts, the gradients of those on one are added up
    there before they are copied back: another order of addition, so other last bits."""
    assert len(got) == len(want)
    for g, w in zip(got, want):
        if name == "scattered":
            np.testing.assert_allclose(g, w, rtol=1e-6)
        else:
            np.testing.assert_array_equal(g, w)


def run(executor, is_train=True):
    """Outputs, gradients, states after a forward and a backward, as NumPy arrays."""
    mx.random.seed(5)
    executor.forward(is_train=is_train)
    executor.backward([mx.nd.ones(o.shape, ctx=CPU0) * 0.5 for o in executor.outputs])
    return [a.asnumpy() for a in executor.outputs + executor.grad_arrays + executor.aux_arrays]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("is_train", [True, False])
def test_two_contexts_compute_what_one_does(name, is_train):
    """Outputs, gradients, auxiliary states, the random numbers of Dropout too; in the second round as in the first."""
    one = bound(name, None)
    want = [run(one, is_train), run(one, is_train)]
    for groups in (TWO, {"dev1": CPU1, "dev2": CPU2}, {"dev1": CPU1, "dev2": CPU1}, {"dev1": CPU0, "dev2": CPU0}):
        executor = bound(name, groups)
        for expected in want:
            assert_same(run(executor, is_train), expected, name)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("req", ["add", "null"])
def test_other_gradient_requests(name, req):
    results = []
    for groups in (None, TWO):
        executor = bound(name, groups, grad_req=req)
        for g in executor.grad_arrays:
            if g is not None:
                g[:] = 2
        executor.forward(is_train=True)
        mx.random.seed(1)
        executor.forward(is_train=True)
        executor.backward([mx.nd.ones(o.shape) for o in executor.outputs])
        results.append([None if g is None else g.asnumpy() for g in executor.grad_arrays])
    if req == "null":
        assert all(g is None for part in results for g in part)
    else:
        assert_same(*results, name)


def contexts(arrays):
    return [str(a.context) for a in arrays]


def test_arrays_lie_where_their_variables_are_placed():
    executor = bound("mlp", TWO)
    where = dict(zip(executor.arg_dict, contexts(executor.arg_arrays)))
    assert where == {"data": "cpu(0)", "fc1_weight": "cpu(0)", "fc1_bias": "cpu(0)", "bn_gamma": "cpu(0)",
                     "bn_beta": "cpu(0)", "fc2_weight": "cpu(1)", "fc2_bias": "cpu(1)", "softmax_label": "cpu(1)"}
    assert contexts(executor.grad_arrays) == contexts(executor.arg_arrays)
    assert contexts(executor.aux_arrays) == ["cpu(0)", "cpu(0)"] and contexts(executor.outputs) == ["cpu(1)"]
    ungrouped = bound("scattered", TWO)
    assert contexts(ungrouped.arg_arrays) == ["cpu(0)", "cpu(0)"]
    assert contexts(ungrouped.outputs) == ["cpu(1)", "cpu(0)", "cpu(0)", "cpu(0)"]
    elsewhere = scattered().simple_bind(CPU2, group2ctx=TWO, a=(6, 4), b=(6, 4))
    assert contexts(elsewhere.arg_arrays) == contexts(elsewhere.grad_arrays) == ["cpu(2)", "cpu(2)"]
    assert contexts(elsewhere.outputs) == ["cpu(1)", "cpu(0)", "cpu(0)", "cpu(2)"]
    smaller = executor.reshape(data=(3, 8), softmax_label=(3,))
    assert contexts(smaller.arg_arrays) == contexts(executor.arg_arrays)
    assert smaller.forward()[0].shape == (3, 5) and contexts(smaller.outputs) == ["cpu(1)"]


@pytest.mark.parametrize("name", NETS)
def test_every_entry_is_in_its_contexts_arena(name):
    executor = bound(name, TWO)
    for lowered in (executor._bound.program((True, True)), executor._bound.program((False, None))):
        g, plan = lowered.draft, lowered.plan
        planner.check(plan, g, lowered.draft.rows, lowered.draft.pinned)
        arenas = list(dict.fromkeys(lowered.draft.contexts))
        assert arenas == [CPU0, CPU1] and len(plan.arenas) == 2
        copies, producer = 0, g.producers()
        for row in lowered.draft.rows:
            node, here = g.nodes[row], lowered.draft.contexts[row]
            if node.op is None:
                continue
            for e in g.outs[row]:
                if plan.block_of[e] >= 0:
                    assert arenas[plan.home[plan.block_of[e]]] is here
                elif e in lowered.draft.pinned:
                    assert lowered.draft.pinned[e].context is here
            crossing = [e for e in g.ins[row] if g.contexts[producer[e]] is not here]
            if node.op.name == "_CrossDeviceCopy":
                assert len(crossing) == 1
                copies += 1
            else:
                assert not crossing, f"{node} reads {crossing}"
        assert copies > 0
    total = executor.memory_plan()
    for field in ("entries", "arena", "outputs", "arguments", "gradients", "auxiliary", "planned", "lower_bound"):
        assert total[field] == sum(part[field] for part in total["contexts"].values()), field
    assert set(total["contexts"]) == {"cpu(0)", "cpu(1)"}
    assert "contexts" not in bound(name, None).memory_plan()


def test_one_copy_serves_all_readers_on_a_context():
    with mx.AttrScope(ctx_group="dev1"):
        a = mx.sym.exp(mx.sym.Variable("a"), name="e")
    with mx.AttrScope(ctx_group="dev2"):
        net = mx.sym.tanh(a) + mx.sym.sigmoid(a) * a
    executor = net.simple_bind(CPU0, group2ctx=TWO, a=(3,))
    seen = []
    executor.set_monitor_callback(lambda name, array: seen.append((name, str(array.context))))
    executor.forward()
    assert [s for s in seen if "copy" in s[0]] == [("e_0_copy_output", "cpu(1)")]
    assert seen[0] == ("e_output", "cpu(0)") and seen[-1][1] == "cpu(1)"


def test_explain_shows_the_context_where_there_are_several():
    text = bound("mlp", TWO).explain()
    head, *rows = text.splitlines()
    at = head.index("context")
    shown = {row[:head.index("output")].split()[1]: row[at:at + 6] for row in rows if row[:1].isdigit()}
    assert shown["FullyConnected"] == "cpu(1)" and shown["BatchNorm"] == "cpu(0)" and "_CrossDeviceCopy" in shown
    assert "context" not in bound("mlp", None).explain().splitlines()[0]
    assert "cpu(1)" in mx.explain(mlp(), group2ctx=TWO, data=(6, 8))
    assert "_CrossDeviceCopy" in bound("mlp", TWO).debug_str()


def test_the_symbol_stays_as_it_was():
    net = mlp()
    before = net.tojson()
    executor = net.simple_bind(CPU0, group2ctx=TWO, data=(6, 8))
    executor.forward(is_train=True)
    executor.backward()
    assert net.tojson() == before and executor.get_optimized_symbol().list_arguments() == net.list_arguments()


def test_bind_takes_arrays_where_they_lie():
    """A variable without a group is where its array is; one with a group must be on its context."""
    with mx.AttrScope(ctx_group="dev2"):
        net = mx.sym.FullyConnected(mx.sym.Variable("a", attr={"ctx_group": "dev1"}), num_hidden=2, name="f")
    net = net * mx.sym.Variable("scale")
    arrays = {"a": mx.nd.ones((2, 3), ctx=CPU0), "f_weight": mx.nd.ones((2, 3), ctx=CPU1),
              "f_bias": mx.nd.zeros((2,), ctx=CPU1), "scale": mx.nd.array([[1, 2], [3, 4]], ctx=CPU2)}
    grads = {n: mx.nd.zeros(x.shape, ctx=x.context) for n, x in arrays.items()}
    executor = net.bind(CPU0, arrays, grads, group2ctx=TWO)
    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [[3, 6], [9, 12]]
    executor.backward(mx.nd.ones((2, 2)))
    assert grads["scale"].asnumpy().tolist() == [[3, 3], [3, 3]] and str(grads["scale"].context) == "cpu(2)"
    assert grads["a"].asnumpy().tolist() == [[3, 3, 3], [7, 7, 7]]
    with pytest.raises(mx.MXNetError, match=r"(?s)'f_weight' is on cpu\(0\), its ctx_group 'dev2' on cpu\(1\).*made"):
        net.bind(CPU0, {**arrays, "f_weight": mx.nd.ones((2, 3))}, group2ctx=TWO)
    with pytest.raises(mx.MXNetError, match=r"gradient array of 'scale' is on cpu\(0\), the argument on cpu\(2\)"):
        net.bind(CPU0, arrays, {**grads, "scale": mx.nd.zeros((2, 2))}, group2ctx=TWO)
    with pytest.raises(mx.MXNetError, match=r"array 'f_weight' is on cpu\(1\), the executor on cpu\(0\)"):
        net.bind(CPU0, arrays)


def test_what_cannot_be_placed():
    with pytest.raises(RuntimeError, match="(?s)ctx_group 'dev2', which group2ctx does not have; it has 'dev1'.*made"):
        mlp().simple_bind(CPU0, group2ctx={"dev1": CPU0}, data=(6, 8))
    for groups in ([CPU0], {"dev1": "cpu(0)"}, {"dev1": [CPU0], "dev2": [CPU1]}):
        with pytest.raises(TypeError, match="group2ctx"):
            mlp().simple_bind(CPU0, group2ctx=groups, data=(6, 8))
    with pytest.raises(mx.MXNetError, match="gpu"):
        mlp().simple_bind(CPU0, group2ctx={"dev1": CPU0, "dev2": mx.gpu(0)}, data=(6, 8))
    with mx.AttrScope(ctx_group="dev2"):
        net = mx.sym.BatchNorm(mx.sym.Variable("a"), moving_mean=mx.sym.Variable("mean", attr={"ctx_group": "dev1"}))
    with pytest.raises(RuntimeError, match=r"runs on cpu\(1\), its auxiliary state 'mean' lies on cpu\(0\)"):
        net.simple_bind(CPU0, group2ctx=TWO, a=(2, 3))


def test_executors_share_arenas_context_by_context():
    first, second = bound("mlp", TWO), None
    want = run(bound("mlp", TWO))
    net, shapes = NETS["mlp"]
    second = net().bind(CPU0, {n: a.copy() for n, a in first.arg_dict.items()},
                        {n: a.zeros_like() for n, a in first.arg_dict.items()}, group2ctx=TWO, shared_exec=first,
                        aux_states={n: a.copy() for n, a in first.aux_dict.items()})
    assert contexts(second.arg_arrays) == contexts(first.arg_arrays)
    for executor in (first, second):
        for g, w in zip(run(executor), want):
            np.testing.assert_array_equal(g, w)
    assert {str(c.context) for c in first._bound.arena.chunks} == {"cpu(0)", "cpu(1)"}
    assert first._bound.arena is second._bound.arena


def test_a_wrong_home_is_noticed():
    """The check of the plan itself: blocks of one arena that overlap are an error, blocks of two are none."""
    lowered = bound("mlp", TWO)._bound.program((True, True))
    lowered.plan.offset = [0] * len(lowered.plan.offset)
    with pytest.raises(ValueError, match="overlap"):
        planner.check(lowered.plan, lowered.draft, lowered.draft.rows, lowered.draft.pinned)
    lowered.plan.home = list(range(len(lowered.plan.home)))
    planner.check(lowered.plan, lowered.draft, lowered.draft.rows, lowered.draft.pinned)


def test_random_placements_compute_what_one_context_does():
    """Random graphs in random groups, MXNet's refusals included: outputs and gradients, and where each array lies."""
    from .oracle.test_executor import SPACE, placement
    cases = [placement(seed) for seed in range(500, 560)]
    spread = 0
    for case, got, want in zip(cases, SPACE["placed"](mx, cases),
                               SPACE["placed"](mx, [(c[0], {}, *c[2:]) for c in cases])):
        if got == "raises":
            assert len(case[1]) < len({p.split('"')[0] for p in case[0].split('"__ctx_group__": "')[1:]} | set(case[1]))
            continue
        assert got[0] == got[1], "a gradient lies elsewhere than its argument"
        for a, b in zip(got[3] + got[4], want[3] + want[4]):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        spread += len({c for part in got[:3] for c in part}) > 1
    assert spread > 20


# -- Module -----------------------------------------------------------------------------------------------------------

def grouped_mlp():
    with mx.AttrScope(ctx_group="first"):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=8, name="fc1")
        net = mx.sym.Activation(net, act_type="tanh")
    with mx.AttrScope(ctx_group="second"):
        return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def fitted(**kwargs):
    r = np.random.default_rng(0)
    data = mx.io.NDArrayIter(r.standard_normal((40, 5)).astype("f4"), r.integers(0, 3, 40).astype("f4"), 10)
    module = mx.mod.Module(grouped_mlp(), **kwargs)
    start = {k: mx.nd.array(r.standard_normal(s) * 0.3) for k, s in [
        ("fc1_weight", (8, 5)), ("fc1_bias", (8,)), ("fc2_weight", (3, 8)), ("fc2_bias", (3,))]}
    module.fit(data, num_epoch=3, optimizer="sgd", optimizer_params={"learning_rate": 0.1, "momentum": 0.9},
               arg_params=start, initializer=None)
    return module, {k: v.asnumpy() for k, v in module.get_params()[0].items()}, module.predict(data).asnumpy()


@pytest.mark.parametrize("context, group2ctxs", [
    (mx.cpu(0), {"first": mx.cpu(1), "second": mx.cpu(2)}),
    (mx.cpu(0), [{"first": mx.cpu(0), "second": mx.cpu(1)}]),
    ([mx.cpu(0), mx.cpu(1)], {"first": [mx.cpu(0), mx.cpu(1)], "second": [mx.cpu(2), mx.cpu(3)]}),
])
def test_module_trains_alike_where_parts_are_placed(context, group2ctxs):
    """Bit for bit: placing changes where the work is done, not what is computed."""
    _, want, predicted = fitted(context=context)
    module, got, out = fitted(context=context, group2ctxs=group2ctxs)
    assert set(got) == set(want) and all(np.array_equal(got[k], want[k]) for k in want)
    assert np.array_equal(out, predicted)
    first = group2ctxs[0] if isinstance(group2ctxs, list) else group2ctxs
    wanted = first["second"] if isinstance(first["second"], mx.Context) else first["second"][0]
    assert module._exec_group.execs[0].arg_dict["fc2_weight"].context == wanted


@pytest.mark.parametrize("group2ctxs, error, text", [
    (3, TypeError, "group2ctxs must be"), ([{}, {}], ValueError, "2 dicts for 1"),
    ({"first": 3}, TypeError, "'first'"), ({"first": [mx.cpu(0)] * 2}, ValueError, "2 contexts for 1")])
def test_module_refuses_other_groups(group2ctxs, error, text):
    with pytest.raises(error, match=text):
        mx.mod.Module(grouped_mlp(), group2ctxs=group2ctxs)


def test_gradients_that_stop_on_another_context():
    groups = {"b": mx.cpu(1)}
    with mx.AttrScope(ctx_group="b"):
        v, y = mx.sym.Variable("v"), mx.sym.Variable("y")
        stopped = mx.sym.BlockGrad(v)
        alone = mx.sym.sin(stopped)
        both = mx.sym.Group([mx.sym.Dropout(stopped), mx.sym.sin(y)])
    exe = alone.simple_bind(mx.cpu(0), group2ctx=groups, v=(2, 2))
    exe.forward(is_train=True)
    exe.backward(mx.nd.ones((2, 2), ctx=mx.cpu(1)))
    assert (exe.grad_dict["v"].asnumpy() == 0).all()
    exe = both.simple_bind(mx.cpu(0), group2ctx=groups, v=(2, 2), y=(2, 2))
    exe.forward(is_train=True)
    exe.backward([mx.nd.ones((2, 2), ctx=mx.cpu(1))] * 2)
    assert (exe.grad_dict["v"].asnumpy() == 0).all() and (exe.grad_dict["y"].asnumpy() == 1).all()
