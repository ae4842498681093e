"""Random graphs without an oracle: composition, JSON, the planner's invariant, numbers, indexing, depth."""
import copy
import gc
import itertools
import pickle
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mxlite._core.graph import topological

import mxlite as mx

from . import numpy_graph as N
from . import strategies as S

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck))


# -- composition ------------------------------------------------------------------------------------------------------

@EXAMPLES
@given(S.graphs(), st.data())
def test_composition_leaves_originals_untouched(graph, data):
    """Whatever is made of a symbol, its text, names and numbers stay."""
    net = graph.symbol
    before = net.tojson(), net.list_arguments(), net.list_outputs(), net.attr_dict()
    name = data.draw(st.sampled_from(net.list_arguments()))
    other = net(**{name: mx.sym.relu(mx.sym.Variable("other"))})
    assert name not in other.list_arguments() and "other" in other.list_arguments()
    for made in (copy.copy(net), copy.deepcopy(net), other):
        made[0]._set_attr(__mark__="1")
        mx.sym.relu(made[0], name="above")
    mx.sym.Group([net, other]).get_internals()
    net.get_internals()[0].attr_dict()
    mx.sym.add_n(*[net[0], net[0]], attr={"__k__": "v"})
    assert (net.tojson(), net.list_arguments(), net.list_outputs(), net.attr_dict()) == before


@EXAMPLES
@given(S.graphs())
def test_json_round_trip(graph):
    """Text, pickle and copies of a graph are the graph: the same text, names and, bit for bit, numbers."""
    net = graph.symbol
    want = graph.run()
    random = bool(graph.random_heads)
    for again in (mx.sym.load_json(net.tojson()), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert again.tojson() == net.tojson() and again.list_outputs() == net.list_outputs()
        shapes = {k: v.shape for k, v in graph.args.items()}
        assert again.infer_shape(**shapes) == net.infer_shape(**shapes)
        if not random:
            got = N.Graph(**{**vars(graph), "symbol": again}).run()
            for a, b in zip(got[0], want[0]):
                assert a.tobytes() == b.tobytes()
            for part, other in zip(got[1:], want[1:]):
                assert {k: v.tobytes() for k, v in part.items()} == {k: v.tobytes() for k, v in other.items()}


@settings(EXAMPLES, max_examples=300)
@given(S.graphs())
def test_equals_eager_numpy(graph):
    """The bound graph (C kernels, planned memory) against its records' references run one by one."""
    outputs, grads, args, _ = graph.run()
    graph.rounds = 1
    want_outputs, want_grads = N.eager(graph)
    output_noise, grad_noise = N.noise(graph)
    for i, (a, b) in enumerate(zip(outputs, want_outputs)):
        if i not in graph.random_heads:
            N.assert_close(a, b.astype(a.dtype), graph.dtype, f"output {i}", output_noise[i])
    for k, b in N.Graph(**{**vars(graph), "rounds": 1}).run()[1].items():
        N.assert_close(b, want_grads[k].astype(b.dtype), graph.dtype, f"gradient of {k}", grad_noise[k])
    for k, b in args.items():
        assert np.array_equal(b, graph.args[k]), f"running changed argument {k}"


# -- the planner ------------------------------------------------------------------------------------------------------

class Overlap(AssertionError):
    """A step reads or writes memory that is not its own."""


def nbytes(lowered, e):
    return int(np.prod(lowered.draft.shapes[e])) * mx.nd.zeros((1,), dtype=lowered.draft.dtypes[e]).asnumpy().itemsize


class Memory:
    """Which content lies where: a list of (start, end, content), contents being entry ids."""

    def __init__(self):
        self.ranges = []

    def write(self, start, end, content):
        kept = []
        for a, b, c in self.ranges:
            if a < start:
                kept.append((a, min(b, start), c))
            if b > end:
                kept.append((max(a, end), b, c))
        self.ranges = [r for r in kept if r[0] < r[1]] + [(start, end, content)]

    def holds(self, start, end, content):
        whole = sum(min(b, end) - max(a, start) for a, b, c in self.ranges if c == content and a < end and b > start)
        return whole == end - start


def replay(lowered, addresses=None):
    """Walk a lowered program step by step, knowing of every byte whose it is; raises Overlap.

    Independent of the planner's notion of blocks and lives: it sees addresses, the order of steps, and what records
    say of their operators.
    """
    g, plan = lowered.draft, lowered.plan
    address = addresses or lowered.addresses
    memory, content = Memory(), {}
    pinned = {e: (a.address, a.address + nbytes(lowered, e)) for e, a in lowered.draft.pinned.items()}

    def span(e):
        return address[e], address[e] + nbytes(lowered, e)

    def name(e):
        row = next(r for r in g.rows if e in g.outs[r])
        return f"{g.nodes[row].name}[{g.outs[row].index(e)}]"
    written_by_program = {e for row in g.rows if g.nodes[row].op is not None for e in g.outs[row]}
    for e in pinned:
        if e not in written_by_program:
            memory.write(*pinned[e], e)
            content[e] = e
    for row in lowered.draft.rows:
        node = g.nodes[row]
        if node.op is None:
            continue
        ins, outs = g.ins[row], g.outs[row]
        views = node.op.view(node.p) if callable(node.op.view) else node.op.view
        claims = node.op.inplace(node.p) if callable(node.op.inplace) else node.op.inplace
        for e in ins:
            if nbytes(lowered, e) and not memory.holds(*span(e), content[e]):
                raise Overlap(f"{node.name} ({node.op.name}) reads {name(e)}, which was overwritten")
        live = [e for e in outs if address.get(e) and nbytes(lowered, e)]
        if row in plan.workspace:
            base = arena_base(lowered)
            work = base + plan.workspace[row], base + plan.workspace[row] + lowered.launches[row].work
            if work[1] > base + plan.arena_bytes:
                raise Overlap(f"the workspace of {node.name} leaves the arena")
            for e in {*ins, *live}:
                if nbytes(lowered, e) and span(e)[0] < work[1] and work[0] < span(e)[1]:
                    raise Overlap(f"the workspace of {node.name} overlaps {name(e)}")
            memory.write(*work, ("workspace", row))
        for a, b in itertools.combinations(live, 2):
            if span(a)[0] < span(b)[1] and span(b)[0] < span(a)[1]:
                raise Overlap(f"outputs {name(a)} and {name(b)} of {node.name} overlap")
        for i, e in enumerate(outs):
            if e not in live:
                continue
            for k, source in enumerate(ins):
                if not nbytes(lowered, source) or not (span(e)[0] < span(source)[1] and span(source)[0] < span(e)[1]):
                    continue
                allowed = claims.get(i, ())
                if i in views and views[i] == k and span(e)[0] == span(source)[0]:
                    continue
                if span(e) != span(source) or k not in ((allowed,) if isinstance(allowed, int) else allowed):
                    raise Overlap(f"{node.name} ({node.op.name}) writes {name(e)} over its input {name(source)}")
            for other, (start, end) in pinned.items():
                if other != e and not is_same(other, e, pinned) and span(e)[0] < end and start < span(e)[1] \
                        and not (i in views and content.get(ins[views[i]]) == other):
                    raise Overlap(f"{node.name} writes {name(e)} over the pinned {name(other)}")
        for i, e in enumerate(outs):
            if e not in live:
                continue
            if i in views and address[e] == address[ins[views[i]]]:
                content[e] = content[ins[views[i]]]     # a view: the same bytes under another shape
            else:
                memory.write(*span(e), e)
                content[e] = e
    for e in pinned:
        if e in content and nbytes(lowered, e) and not any(is_same(o, e, pinned) for o in pinned if o != e) \
                and not memory.holds(*pinned[e], content[e]):
            raise Overlap(f"the pinned {name(e)} was overwritten after all")


def is_same(a, b, pinned):
    """Are both pinned to the same array (a gradient that is added to, say)?"""
    return a in pinned and b in pinned and pinned[a] == pinned[b]


def arena_base(lowered):
    """Address that the plan's offsets count from."""
    e = next(e for e, block in enumerate(lowered.plan.block_of) if block >= 0 and lowered.addresses.get(e))
    return lowered.addresses[e] - lowered.plan.offset[lowered.plan.block_of[e]]


def programs(graph):
    """All lowered programs of a bound graph: training, inference, and backward after an inference forward."""
    bound = graph.bind()[0]._bound
    for mode in [(True, True if bound.wants_gradients() else None), (False, None),
                 (False, True if bound.wants_gradients() else None)]:
        yield bound.program(mode)


@settings(EXAMPLES, max_examples=150)
@given(S.graphs())
def test_plan_is_sound(graph):
    """No step finds its inputs overwritten, and the arena is at most the sum of all entries."""
    for lowered in programs(graph):
        replay(lowered)
        plan, align = lowered.plan, 64
        total = sum((nbytes(lowered, g) + align - 1) // align * align for g, b in enumerate(plan.block_of) if b >= 0)
        assert plan.lower_bound <= plan.entry_bytes <= total
        assert plan.entry_bytes <= plan.arena_bytes


def test_replay_notices_planted_faults():
    """Entries moved onto others that are still needed: every such move must be noticed."""
    planted = noticed = 0
    for seed in range(20):
        names = sorted(S.OPERATORS)
        rng = np.random.default_rng(seed)
        graph = S.build(seed, [names[i] for i in rng.integers(len(names), size=12)], "float32", True)
        lowered = next(programs(graph))
        last = {}
        for step, row in enumerate(lowered.draft.rows):
            for e in lowered.draft.ins[row]:
                last[e] = step
        born = {e: step for step, row in enumerate(lowered.draft.rows) if lowered.draft.nodes[row].op is not None
                for e in lowered.draft.outs[row]}
        producer = lowered.draft.producers()
        own = [e for e in born if lowered.plan.block_of[e] >= 0 and nbytes(lowered, e) and e in last]
        for victim, attacker in itertools.permutations(own, 2):
            views = lowered.draft.nodes[producer[attacker]].op.view
            # Born strictly inside the victim's life: overwriting it there is always wrong.
            if not views and born[victim] < born[attacker] < last[victim] \
                    and lowered.plan.block_of[victim] != lowered.plan.block_of[attacker]:
                planted += 1
                moved = {**lowered.addresses, attacker: lowered.addresses[victim]}
                try:
                    replay(lowered, moved)
                except Overlap:
                    noticed += 1
    assert planted > 50 and noticed == planted


def test_add_twice_into_one_array():
    """One gradient array bound to two arguments with 'add' collects both gradients, over what was there."""
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    total = mx.nd.ones((3,)) * 10
    executor = (2 * a + 3 * b).bind(mx.cpu(), {"a": mx.nd.ones((3,)), "b": mx.nd.ones((3,))},
                                    args_grad={"a": total, "b": total}, grad_req="add")
    executor.forward(is_train=True)
    executor.backward([mx.nd.ones((3,))])
    assert total.asnumpy().tolist() == [15, 15, 15]


# -- indexing ---------------------------------------------------------------------------------------------------------

def keys(shape):
    """Basic index keys for an array of that shape: integers, slices, Ellipsis, None."""
    def one(d):
        bound = st.none() | st.integers(-d - 2, d + 2)
        parts = [st.builds(slice, bound, bound, st.none() | st.sampled_from([1, 2, -1, -2, 3]))]
        if d:
            parts.append(st.integers(-d, d - 1))
        return st.one_of(*parts)

    @st.composite
    def key(draw):
        n = draw(st.integers(0, len(shape)))
        axes = [draw(one(d)) for d in shape[:n]]
        if draw(st.booleans()) and n:
            # An Ellipsis: what follows it counts from the end.
            at = draw(st.integers(0, n))
            tail = [draw(one(d)) for d in shape[len(shape) - (n - at):]] if n > at else []
            axes = axes[:at] + [Ellipsis] + tail
        for _ in range(draw(st.integers(0, 1))):
            axes.insert(draw(st.integers(0, len(axes))), None)
        return tuple(axes) if len(axes) != 1 or draw(st.booleans()) else axes[0]
    return key()


@settings(EXAMPLES, max_examples=300)
@given(st.data())
def test_indexing_equals_numpy(data):
    """Reading and writing through random basic keys, as NumPy does; a full index gives shape (1,), as in MXNet."""
    shape = tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)))
    dtype = data.draw(st.sampled_from(["float32", "float64", "int32", "uint8"]))
    x = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    ours = mx.nd.array(x, dtype=dtype)
    key = data.draw(keys(shape))
    want = x[key]
    got = ours[key].asnumpy()
    assert got.dtype == want.dtype and got.shape == (want.shape or (1,))
    assert np.array_equal(got.reshape(want.shape), want)
    value = data.draw(st.sampled_from(["scalar", "array", "broadcast", "ndarray"]))
    new = 7 if value == "scalar" else (np.arange(want.size) + 50).reshape(want.shape).astype(dtype)
    if value == "broadcast" and want.ndim:
        new = new[:1]
    if want.size:
        x[key] = new
        if value == "ndarray":
            new = mx.nd.array(new.reshape(want.shape or (1,)), dtype=dtype)
        ours[key] = new
        assert np.array_equal(ours.asnumpy(), x)


@settings(EXAMPLES, max_examples=100)
@given(st.data())
def test_contiguous_parts_share_memory(data):
    """``x[1:3]``, ``x[2]``, ``x[None]`` are views: writing into one is seen in the whole."""
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    low = data.draw(st.integers(0, shape[0] - 1))
    high = data.draw(st.integers(low + 1, shape[0]))
    key = data.draw(st.sampled_from([low, slice(low, high), (slice(low, high),), None, Ellipsis, slice(None)]))
    x = np.zeros(shape, "float32")
    ours = mx.nd.array(x)
    part = ours[key]
    part[:] = 3
    x[key] = 3
    assert np.array_equal(ours.asnumpy(), x)


# -- depth ------------------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_chain_of_100000_nodes(capsys):
    """Composes, binds, runs forward and backward, goes through JSON and pickle, and is freed, without recursion."""
    n, took, start = 100_000, [], time.perf_counter()

    def done(what):
        nonlocal start
        took.append(f"{what} {time.perf_counter() - start:.2f} s")
        start = time.perf_counter()
    with mx.name.NameManager():
        net = x = mx.sym.Variable("x")
        for _ in range(n // 2):
            net = mx.sym.negative(net) + x
    done("compose")
    assert len(topological(net._entries)) == n + 1
    text = net.tojson()
    done("tojson")
    again = mx.sym.load_json(text)
    done("load_json")
    assert again.tojson() == text
    again = pickle.loads(pickle.dumps(net))
    assert again.list_arguments() == ["x"]
    done("pickle both ways")
    assert net.infer_shape(x=(3,))[1] == [(3,)]
    done("infer_shape")
    executor = net.simple_bind(mx.cpu(), x=(3,))
    executor.forward(is_train=True, x=mx.nd.array([1.0, 2.0, 3.0]))
    done("bind and first forward")
    executor.backward([mx.nd.ones((3,))])
    assert executor.outputs[0].asnumpy().tolist() == [1, 2, 3]
    assert executor.grad_dict["x"].asnumpy().tolist() == [1, 1, 1]
    done("backward")
    executor.forward(is_train=True)
    executor.backward([mx.nd.ones((3,))])
    done("second forward and backward")
    plan = executor.memory_plan()
    assert plan["entries"] <= 4096, plan        # a chain needs a few entries at a time, not 10^5
    assert sys.getrecursionlimit() <= 10_000    # nothing raised it to get through
    del net, again, executor, x, text
    gc.collect()
    done("free")
    with capsys.disabled():
        print("\na chain of 10^5 nodes: " + ", ".join(took))
