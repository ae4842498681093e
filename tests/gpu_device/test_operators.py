"""GPU = CPU for every operator and dtype: imperatively, as a graph with gradients, and from memory of any alignment.

One test an operator; what differs is listed by dtype and sample."""
import zlib

import pytest

import mxlite as mx
from mxlite.gpu.coverage import DTYPES
from mxlite.ops.record import RECORDS

from . import samples

# References on a made-up device are NumPy's, which warns where CuPy does not.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
# Reached through the gradients of what they belong to.
NAMES = [n for n in sorted(RECORDS) if not n.startswith("_backward")]
BOUNDED = 5                     # on a made-up device one operator in so many is tried
ERRORS = (mx.MXNetError, ValueError, TypeError, NotImplementedError, AttributeError)


def expected(case):
    """What the CPU gives: (imperative result or None, graph's result or None, whether with gradients)."""
    call = graph = None
    try:
        call = case.imperative(mx.cpu())
    except ERRORS:
        pass
    for gradients in (True, False) if case.op.grad is not None else (False,):
        try:
            graph = case.graph(mx.cpu(), gradients)[0]
            break
        except ERRORS:
            continue
    if call is None and graph is None:
        raise samples.Refused(case.op.name)
    return call, graph, graph is not None and gradients


def compare(gpu, case, shifted):
    """The largest distance in units of the tolerance."""
    call, graph, gradients = expected(case)
    worst = [0.0]
    if call is not None:
        worst.append(samples.distance(case.imperative(gpu.ctx), call))
        if shifted:
            worst.append(samples.distance(case.imperative(gpu.ctx, shifted=True), call))
    if graph is not None:
        # Plainly, captured, and replayed: the same bits.
        runs = case.graph(gpu.ctx, gradients, 3)
        worst.append(samples.distance(runs[0], graph, 4 if gradients else 1))
        for again in runs[1:]:
            samples.identical(again, runs[0])
    return max(worst)


@pytest.mark.parametrize("name", NAMES)
def test_operator(gpu, name, record_property):
    op = RECORDS[name]
    digest = zlib.crc32(name.encode())
    if gpu.bounded and digest % BOUNDED:
        pytest.skip("a made-up device: one operator in five")
    dtypes = (DTYPES[0], DTYPES[digest // BOUNDED % len(DTYPES)]) if gpu.bounded else DTYPES
    wrong, worst = [], {}
    for dtype in dict.fromkeys(dtypes):
        for i, sample in enumerate(op.samples[:1 if gpu.bounded else None]):
            try:
                far = compare(gpu, samples.Case(op, sample, dtype), shifted=i == 0)
            except samples.Refused:
                continue
            except Exception as e:          # all of an operator's differences in one report
                wrong.append(f"{dtype} ({sample}): {type(e).__name__}: {str(e).strip()[:700]}")
                continue
            worst[dtype] = round(max(far, worst.get(dtype, 0.0)), 3)
    record_property("worst", worst)
    assert not wrong, f"{name}: {len(wrong)} of its cases\n" + "\n".join(wrong[:12])
    assert worst or gpu.bounded, f"{name} runs in no dtype"
