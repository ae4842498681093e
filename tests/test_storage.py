"""The memory pool of imperative arrays: what is freed is used again, aligned, on huge pages, up to a limit."""
import gc
import os
import sys

import numpy as np
import pytest

import mxlite as mx
from mxlite._core import storage

MB = 1 << 20


def place(a):
    """Address of an array's memory."""
    return a.asnumpy().ctypes.data if a.size == 0 else np.from_dlpack(a).ctypes.data


def block(nbytes):
    return mx.nd.empty((nbytes,), dtype="uint8")


@pytest.fixture(autouse=True)
def empty_pool():
    gc.collect()
    storage.empty_cache()
    yield
    gc.collect()
    storage.empty_cache()


@pytest.mark.parametrize("first, second", [(64 * MB, 60 * MB), (64 * MB, 50 * MB), (64 * MB, 43 * MB),
                                           (60 * MB, 64 * MB), (MB, MB - 4096), (65 * 1024, 65 * 1024)])
def test_a_freed_block_serves_what_is_somewhat_smaller(first, second):
    a = block(first)
    address = place(a)
    del a
    held = storage.cached()
    assert held >= first
    b = block(second)
    assert place(b) == address
    assert storage.cached() == 0
    del b
    assert storage.cached() == held                 # it goes back as what it is, not as what it was asked for
    c = block(first)
    assert place(c) == address


@pytest.mark.parametrize("first, second", [(64 * MB, 30 * MB), (64 * MB, 70 * MB), (64 * MB, 8)])
def test_a_freed_block_does_not_serve_what_it_does_not_fit(first, second):
    a = block(first)
    address = place(a)
    del a
    held = storage.cached()
    b = block(second)
    assert place(b) != address and storage.cached() == held


def test_every_block_is_aligned_and_large_enough():
    """Blocks of all sizes alive at once, filled to their ends, do not touch each other."""
    sizes = [1, 63, 64, 65, 80, 96, 127, 129, 4095, 4097, BIG - 1, BIG, BIG + 1, 3 * BIG // 2 + 5, MB + 1, 5 * MB + 3]
    for _ in range(3):                              # the second and third time out of the pool
        arrays = [block(n) for n in sizes for _ in range(2)]
        for i, a in enumerate(arrays):
            a[:] = i + 1
        for i, a in enumerate(arrays):
            assert place(a) % 64 == 0
            assert (a.asnumpy() == i + 1).all()
        del a, arrays


BIG = 1 << 16


def test_the_pool_keeps_at_most_its_limit():
    """Memory that nobody writes costs no pages, so what is asked for here is not what is used."""
    limit, one = storage.cache_limit(), 256 * MB
    assert limit >= one
    arrays = [block(one) for _ in range(limit // one + 2)]
    del arrays
    assert limit - one < storage.cached() <= limit
    storage.empty_cache()
    assert storage.cached() == 0


@pytest.mark.skipif(not os.path.exists("/sys/kernel/mm/transparent_hugepage"), reason="no huge pages here")
def test_big_blocks_are_on_huge_pages():
    """The kernel is asked for huge pages (the flag "hg" of the mapping), and the block begins on one."""
    a = block(64 * MB)
    assert place(a) % (2 * MB) == 0
    with open("/proc/self/smaps", encoding="ascii") as f:
        inside = False
        for line in f:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                low, high = (int(w, 16) for w in words[0].split("-"))
                inside = low <= place(a) < high
            elif inside and words[0] == "VmFlags:":
                assert "hg" in words
                return
    pytest.fail("no mapping has the block")


@pytest.mark.skipif(sys.platform == "win32", reason="asks getrusage")
def test_repeated_calls_touch_no_fresh_pages():
    import resource
    x = mx.nd.ones((16 * MB // 4,))
    y = x + x
    del y
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        y = x + x
        del y
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 200
