"""Runs a record's C kernel (and its reference) on NumPy arrays, without graph or NDArray: what kernel tests share."""
import numpy as np
import pytest

from mxlite._core import cpu, kernelcall, kernels
from mxlite.ops.record import RECORDS

from . import reference as R

LEVELS = tuple(range(cpu.detected_isa + 1))


@pytest.fixture(params=LEVELS, ids=lambda i: cpu.ISA_NAMES[i])
def level(request):
    """Each instruction-set level in turn: the current one while the test runs."""
    before = cpu.get_isa()
    cpu.set_isa(request.param)
    yield request.param
    cpu.set_isa(before)


def call(op, xs, params, isa=None, threads=1, is_train=True, seed=7, step=1, rng_id=0, into=None, unread=()):
    """(outputs, return code) of `op`'s kernel on arrays `xs`; auxiliary states among them change in place.

    `isa`: instruction-set level (None: the current one). `into` = {output: array} places an output (an input array:
    aliasing); outputs in `unread` get no memory and come back as None.
    """
    p = op.parse(params)
    names = op.output_names(p)
    ins, shapes = op.infer(p, [x.shape for x in xs], [None] * len(names))
    _, dtypes = op.infer_dtype(p, [x.dtype.name for x in xs], [None] * len(names))
    ys = [None if i in unread else np.full(s, 99).astype(d) for i, (s, d) in enumerate(zip(shapes, dtypes))]
    for i, y in (into or {}).items():
        ys[i] = y
    capsule, packer = kernels.lookup(op.cpu(p) if callable(op.cpu) else op.cpu)
    args = packer(op.launch(p, ins, shapes)) if packer else b""
    itemsize = xs[0].itemsize if xs else 4
    work = op.workspace(p, ins, shapes, itemsize, threads) if op.workspace else 0
    level, most = cpu.get_isa(), cpu.get_threads()
    cpu.set_isa(level if isa is None else min(isa, cpu.detected_isa))
    cpu.set_threads(max(most, threads))
    try:
        scalars = [getattr(p, k) or 0 for k in op.dynamic]
        xs = [x if x.flags["C_CONTIGUOUS"] else x.copy() for x in xs]
        rc = kernelcall.call(capsule, xs, ys, args, scalars, work, seed=seed, step=step, rng_id=rng_id,
                             is_train=is_train, threads=threads)
    finally:
        cpu.set_isa(level)
        cpu.set_threads(most)
    return ys, rc


def run_kernel(op, arrays, level=None, threads=2, **params):
    """Outputs of `op`'s kernel at instruction-set level `level`."""
    ys, rc = call(op, arrays, params, level, threads)
    assert rc == 0, f"{op.name}: kernel returned {rc}"
    return ys


def kernel(name, xs, params, isa=None, threads=1, **kw):
    """Outputs of the kernel of record `name`; further keywords as in :func:`call`."""
    ys, rc = call(RECORDS[name], list(xs), params, isa, threads, **kw)
    assert rc == 0, f"{name}: kernel returned {rc}"
    return ys


def reference(name, xs, params, is_train=True, seed=7, step=1, rng_id=0):
    op = RECORDS[name]
    return list(R.run(op, op.parse(params), xs, is_train, seed, step, rng_id))


def check(name, xs, params, tol=None, **kw):
    """Kernel against the float64 reference at every level, with one thread and two; auxiliary states too. Returns the
    last kernel's outputs."""
    wide = [x.astype("float64") if x.dtype.kind == "f" else x.copy() for x in xs]
    want = reference(name, wide, params, **kw) + wide
    first = {}
    for isa in LEVELS:
        for threads in (1, 2):
            own = [x.copy() for x in xs]
            ys = kernel(name, own, params, isa, threads, **kw)
            for i, (got, w) in enumerate(zip(ys + own, want)):
                t = tol or (2e-5 if got.dtype == np.float32 else 1e-9)
                np.testing.assert_allclose(got, w, rtol=t, atol=t, err_msg=f"{name} {params} part {i} level {isa}")
                if threads == 1:
                    first[isa, i] = got
                else:
                    np.testing.assert_array_equal(got, first[isa, i], err_msg="depends on the number of threads")
    return ys


def check_samples(families):
    """All derived checks on all samples of the records that live in the given modules of ``mxlite.ops``."""
    ran = 0
    for op in RECORDS.values():
        if op.__module__.rsplit(".", 1)[1] not in families:
            continue
        for sample in op.samples:
            rng = np.random.default_rng(11)
            R.check_inference(op, sample, rng)
            R.check_gradient(op, sample, rng)
            for isa in LEVELS:
                for threads in (1, 2):
                    for dtype in ("float32", "float64") if op.inputs else (op.parse(sample.params).dtype or "float32",):
                        ran += R.check_kernel(op, sample, rng, dtype, isa, threads)
    assert ran
