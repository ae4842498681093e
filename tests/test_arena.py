"""Where blocks of memory go: as few bytes as there must be, quickly, and scratch where nothing lives."""
import random
import time

import pytest
from mxlite._core.placement import place_blocks, place_scratch

import mxlite as mx
from mxlite._core import plan as planner

from . import networks


def blocks(rng, n, life):
    birth = sorted(rng.randrange(n) for _ in range(n))
    death = [min(n - 1, b + rng.randrange(life)) for b in birth]
    return birth, death, [64 * rng.choice([0, 1, 2, 5, 8, 50, 100]) for _ in range(n)]


def overlaps(birth, death, size, offset):
    """Pairs of blocks that are alive together and share bytes."""
    return [(a, b) for a in range(len(size)) for b in range(a) if size[a] and size[b] and birth[a] <= death[b]
            and birth[b] <= death[a] and offset[a] < offset[b] + size[b] and offset[b] < offset[a] + size[a]]


@pytest.mark.parametrize("seed", range(25))
def test_better_offsets_are_sound_and_better(seed):
    rng = random.Random(seed)
    n = rng.choice([1, 2, 30, 150])
    birth, death, size = blocks(rng, n, rng.choice([2, 10, n + 1]))
    bound = planner.most_alive(birth, death, size, n)
    start = [sum(size[:i]) for i in range(n)]           # every block for itself
    offset, peak = place_blocks(birth, death, size, list(start), sum(size), bound)
    assert not overlaps(birth, death, size, offset)
    assert bound <= peak <= max(1.2 * bound, 64)
    assert peak == max((o + s for o, s in zip(offset, size)), default=0) or peak == sum(size)
    assert place_blocks(birth, death, size, offset, peak, peak) == (offset, peak)       # nothing left to gain


@pytest.mark.parametrize("seed", range(25))
def test_scratch_lies_where_nothing_lives(seed):
    rng = random.Random(seed)
    n = rng.choice([2, 30, 150])
    birth, death, size = blocks(rng, n, 10)
    bound = planner.most_alive(birth, death, size, n)
    offset, peak = planner.place(birth, death, size, n, bound)
    wanted = [(s, 64 * rng.randrange(1, 200)) for s in range(n) if rng.random() < 0.4]
    where, top = place_scratch(offset, birth, death, size, peak, wanted)
    steps, sizes = [s for s, _ in wanted], [w for _, w in wanted]
    assert not overlaps(birth + steps, death + steps, size + sizes, offset + where)
    assert top == max([peak, *(at + w for at, w in zip(where, sizes))])


def whole(lowered):
    """birth, death, size and offset of a program's blocks, and of its scratch."""
    p, step = lowered.plan, {row: s for s, row in enumerate(lowered.draft.rows)}
    work = [(step[row], lowered.launches[row].work, at) for row, at in p.workspace.items()]
    return (p.birth + [s for s, _, _ in work], p.death + [s for s, _, _ in work], p.size + [n for _, n, _ in work],
            p.offset + [at for _, _, at in work])


@pytest.mark.parametrize("make, shape", [(networks.lenet, (2, 1, 28, 28)), (networks.resnet18, (2, 3, 32, 32))])
def test_networks_take_what_is_alive_at_once(make, shape):
    lowered = make(mx).simple_bind(mx.cpu(), data=shape)._bound.program((True, True))
    p = lowered.plan
    assert not overlaps(*whole(lowered))
    assert p.entry_bytes <= 1.02 * p.lower_bound
    birth, death, size, _ = whole(lowered)
    assert p.arena_bytes <= 1.05 * planner.most_alive(birth, death, [-(-n // 64) * 64 for n in size],
                                                      len(lowered.draft.rows))


def test_ten_thousand_blocks_are_placed_in_moments():
    birth, death, size = blocks(random.Random(1), 10000, 400)
    bound = planner.most_alive(birth, death, size, 10000)
    began = time.thread_time()
    offset, peak = planner.place(birth, death, size, 10000, bound)
    assert time.thread_time() - began < 5 and bound <= peak <= 1.2 * bound


def test_the_collector_is_back_after_a_bind_that_fails():
    import gc
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    with pytest.raises(RuntimeError):
        net.simple_bind(mx.cpu(), data=(2, 3), nonsense=(1,), fc_weight=3)
    with pytest.raises(RuntimeError):
        net.simple_bind(mx.cpu())
    assert gc.isenabled()
    gc.disable()
    try:
        net.simple_bind(mx.cpu(), data=(2, 3)).forward()
        assert not gc.isenabled()
    finally:
        gc.enable()
