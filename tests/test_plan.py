"""The memory planner: its invariant on hand-made and random graphs, in-place, views, pinned entries."""
import random

import numpy as np
import pytest

import mxlite as mx
from mxlite._core import plan as planner

from . import networks


def train_program(net, **shapes):
    """The lowered training program of `net`, and its executor."""
    executor = net.simple_bind(mx.cpu(), **shapes)
    return executor._bound.program((True, True)), executor


def replay(lowered):
    """Walk the program as memory sees it: every read must find the bytes that its own entry (or what that entry is a
    view of) left there. Returns how many reads were checked; AssertionError names the first that finds others'."""
    g, plan = lowered.draft, lowered.plan
    size = {e: _bytes(lowered, e) for e in range(len(g.shapes))}
    owner = {}              # start byte of an arena range -> (end, entry)
    same = {}               # entry -> the entry whose bytes it shows

    def root(e):
        while e in same:
            e = same[e]
        return e
    reads = 0
    ran = set(lowered.program.rows)
    for row in lowered.draft.rows:
        node = g.nodes[row]
        if node.op is None:
            continue
        for e in g.ins[row]:
            e = root(e)
            if plan.block_of[e] < 0 or size[e] == 0:
                continue
            start = plan.offset[plan.block_of[e]]
            for at, (end, other) in owner.items():
                if other != e and at < start + size[e] and start < end:
                    raise AssertionError(f"{node.name} reads entry {e}, whose bytes {other} has overwritten")
            assert owner.get(start, (0, None))[1] == e, f"{node.name} reads entry {e}, which is not there"
            reads += 1
        for e in g.outs[row]:
            if row not in ran:
                same[e] = g.ins[row][0]
                continue
            if plan.block_of[e] < 0 or size[e] == 0:
                continue
            start = plan.offset[plan.block_of[e]]
            for at in [a for a, (end, _) in owner.items() if a < start + size[e] and start < end]:
                del owner[at]
            owner[start] = (start + size[e], e)
    return reads


def _bytes(lowered, e):
    from mxlite._core.dtypes import ITEMSIZE
    return ITEMSIZE[lowered.draft.dtypes[e]] * int(np.prod(lowered.draft.shapes[e], dtype=np.int64))


@pytest.mark.parametrize("make, shape", [(networks.mlp, (8, 20)), (networks.lenet, (2, 1, 28, 28)),
                                         (networks.resnet18, (2, 3, 32, 32))])
def test_networks_read_what_they_wrote(make, shape):
    lowered, _ = train_program(make(mx), data=shape)
    planner.check(lowered.plan, lowered.draft, lowered.draft.rows, lowered.draft.pinned)
    assert replay(lowered) > 10


def random_blocks(rng, n):
    birth = [rng.randrange(n) for _ in range(n)]
    death = [min(n - 1, b + rng.randrange(1 + n // 3)) for b in birth]
    size = [64 * rng.choice([0, 1, 2, 3, 8, 50, 100]) for _ in range(n)]
    return birth, death, size


@pytest.mark.parametrize("seed", range(60))
def test_blocks_alive_together_never_overlap(seed):
    rng = random.Random(seed)
    n = rng.choice([1, 3, 10, 40, 120])
    birth, death, size = random_blocks(rng, n)
    bound = planner.most_alive(birth, death, size, n)
    offset, peak = planner.place(birth, death, size, n, bound)
    p = planner.Plan()
    p.birth, p.death, p.size, p.offset, p.block_of = birth, death, size, offset, []
    planner.check(p, None, [], [])
    assert bound <= peak
    assert all(o + s <= peak for o, s in zip(offset, size))
    # The linear allocator alone keeps the invariant too: it serves huge graphs.
    order = sorted(range(n), key=lambda b: (birth[b], -size[b]))
    p.offset, _ = planner.place_linear(order, birth, death, size)
    planner.check(p, None, [], [])


def test_the_check_finds_an_overlap():
    p = planner.Plan()
    p.birth, p.death, p.size, p.offset, p.block_of = [0, 1], [2, 3], [128, 64], [0, 64], []
    with pytest.raises(ValueError, match="overlap"):
        planner.check(p, None, [], [])


def test_the_replay_finds_an_overlap():
    lowered, _ = train_program(networks.mlp(mx), data=(8, 20))
    lowered.plan.offset = [0] * len(lowered.plan.offset)
    with pytest.raises(AssertionError, match="overwritten|not there"):
        replay(lowered)


def test_a_chain_runs_in_one_slot():
    net = mx.sym.Variable("x")
    for _ in range(50):
        net = mx.sym.relu(net)
    net = net * 2
    executor = net.simple_bind(mx.cpu(), grad_req="null", x=(1000,))
    assert executor.memory_plan()["entries"] <= 2 * 4032


def test_a_view_costs_nothing_and_its_source_is_not_overwritten():
    x = mx.sym.Variable("x")
    y = mx.sym.exp(x)
    net = mx.sym.Group([mx.sym.relu(mx.sym.Reshape(y, shape=(-1,))), y * 3])
    executor = net.bind(mx.cpu(), {"x": mx.nd.array([[0.0, 1.0], [2.0, 3.0]])})
    flat, three = executor.forward()
    np.testing.assert_allclose(three.asnumpy().ravel(), 3 * flat.asnumpy(), rtol=1e-6)
    assert "nothing (view)" in executor.explain()


def test_results_do_not_change_without_inplace(monkeypatch):
    import mxlite._core.executor as executor_module
    right = executor_module.plan
    shape = (4, 1, 28, 28)
    rng = np.random.default_rng(1)
    values = None

    def gradients():
        nonlocal values
        executor = networks.lenet(mx).simple_bind(mx.cpu(), data=shape)
        values = values or {n: rng.uniform(-0.1, 0.1, a.shape) for n, a in executor.arg_dict.items()}
        for n, v in values.items():
            executor.arg_dict[n][:] = v
        executor.forward(is_train=True)
        executor.backward()
        return {n: g.asnumpy() for n, g in executor.grad_dict.items()}
    want = gradients()
    monkeypatch.setattr(executor_module, "plan", lambda *a, **k: right(*a, **{**k, "allow_inplace": False}))
    for n, g in gradients().items():
        np.testing.assert_array_equal(g, want[n])
