"""Plans of the GPU's rules, run on the processor (shim.py) and compared with the CPU's kernels.

Arrays of bfloat16 are ``(uint16 array, "bfloat16")``, as :mod:`mxlite._core.kernelcall` has them. Every plan
runs twice: with the first thread of each block first and every tensor at the start of its pages, and with the last
thread first and tensors at the end of theirs; an access outside of the pages ends the process.
"""
import ctypes
import weakref

import numpy as np

from mxlite._core import kernelcall, kernels
from mxlite._core.dtypes import NUMPY
from mxlite.gpu import launch
from mxlite.ops.record import RECORDS

from .. import reference as R
from ..guard_pages import Room
from . import shim

FILL = 0xa5


def dtype_of(x):
    return x[1] if isinstance(x, tuple) else x.dtype.name


def bits_of(x):
    return x[0] if isinstance(x, tuple) else x


def wrap(x, dtype):
    """`x`, a NumPy array, as an array of `dtype` in the form above."""
    if dtype != "bfloat16":
        return np.asarray(x).astype(dtype)
    u = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    bits = ((u + 0x7fff + (u >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7fc0), bits), "bfloat16"


def wide(x):
    """An array in the form above as float64; integers as they are."""
    if isinstance(x, tuple):
        return (x[0].astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return x.astype(np.float64) if x.dtype.kind == "f" else x


class Memory:
    """One tensor on the "device": a copy of `bits`, `shift` elements behind an `align` bytes boundary, at the start or
    the end of pages between two that nobody may touch."""

    def __init__(self, bits, shift=0, at_end=False, align=16):
        room = Room(bits.nbytes + align + shift * bits.itemsize, False)
        self.at = shift * bits.itemsize
        if at_end:
            self.at += (room.pages - bits.nbytes - self.at) // align * align
        raw = (ctypes.c_char * room.pages).from_address(room.data)
        weakref.finalize(raw, room.close)       # views of the array keep `raw`, and so the pages
        self.raw = np.frombuffer(raw, np.uint8)
        self.raw[...] = FILL
        self.bits = self.raw[self.at:self.at + bits.nbytes].view(bits.dtype).reshape(bits.shape)
        self.bits[...] = bits
        self.address = room.data + self.at

    def intact(self):
        end = self.at + self.bits.nbytes
        return (self.raw[:self.at] == FILL).all() and (self.raw[end:] == FILL).all()


def run(kernel, args, xs, outs, scalars=(), shift=0, into=None, unread=(), expect_error=False, **context):
    """Run the plan of one kernel call. `outs` are (shape, dtype) pairs; `into` = {output: input} puts an output on top
    of an input; outputs in `unread` have no memory and come back as None. Returns (outputs, inputs after the run) in
    the form above; None where the GPU has no kernel for this."""
    results, state = [], context.pop("rng", (7, 1))
    for backwards in (False, True):
        ins = [Memory(bits_of(x), shift, backwards) for x in xs]
        ys = [Memory(np.full(s, 99).astype(NUMPY[d]), shift, backwards) for s, d in outs]
        for i, source in (into or {}).items():
            ys[i] = ins[source]
        rng = Memory(np.array(state, np.uint64), 0, backwards)
        t_in = [launch.Tensor(x.bits.shape, dtype_of(a), x.address) for x, a in zip(ins, xs)]
        t_out = [launch.Tensor(s, d, 0 if i in unread else y.address) for i, ((s, d), y) in enumerate(zip(outs, ys))]
        plan = launch.plan(kernel, args, t_in, t_out, scalars, rng=rng.address,
                           **{"is_train": True, "rng_id": 0, **context})
        if plan is None:
            return None
        work = Memory(np.full(plan.workspace, 0xee, np.uint8), 0, backwards, 256)
        shim.run(plan.launches(work.address), backwards)
        for what, memory in (("input", ins), ("output", ys), ("workspace", [work]), ("rng", [rng])):
            for i, m in enumerate(memory):
                assert m.intact(), f"{kernel} {args}: wrote outside its {what} {i}"
        if plan.error is not None:
            failed = ctypes.c_int32.from_address(work.address + plan.error).value != 0
            assert failed == expect_error, f"{kernel}: error word {failed}, expected {expect_error}"
        after = [None if i in unread else _form(y.bits.copy(), d) for i, ((_, d), y) in enumerate(zip(outs, ys))]
        results.append((after, [_form(x.bits.copy(), dtype_of(a)) for x, a in zip(ins, xs)]))
    for one, other in zip(*(a + b for a, b in results)):
        if one is not None:
            np.testing.assert_array_equal(bits_of(one), bits_of(other), err_msg=f"{kernel} {args}: threads race")
    return results[0]


def library_output(device, plan, ins, out, dtype):
    """Run a library's plan on `device`, the kernels in it on the processor; nothing but `out` may be written, whose
    contents come back in the form above. `ins`, `out`: :class:`Memory`."""
    work = Memory(np.zeros(plan.workspace, np.uint8))
    for one in plan.launches(work.address):
        if isinstance(one, launch.Launch):
            shim.run([one])
        else:
            one.run(device.stream.ptr)
    assert all(m.intact() for m in (*ins, out, work))
    return _form(out.bits.copy(), dtype)


def _form(bits, dtype):
    return (bits, dtype) if dtype == "bfloat16" else bits


def outputs_of(op, p, xs):
    """(input shapes, [(shape, dtype) of each output]) of record `op` with parameters `p` on arrays `xs`."""
    n = len(op.output_names(p))
    ins, shapes = op.infer(p, [bits_of(x).shape for x in xs], [None] * n)
    _, dtypes = op.infer_dtype(p, [dtype_of(x) for x in xs], [None] * n)
    return ins, list(zip(shapes, dtypes))


def on_gpu(name, xs, params, **kw):
    """(outputs, inputs after the run) of record `name`'s plan, or None; keywords as in :func:`run`."""
    op = RECORDS[name]
    p = op.parse(params)
    ins, outs = outputs_of(op, p, xs)
    args = op.launch(p, ins, [s for s, _ in outs]) if op.launch else None
    scalars = [float(getattr(p, k) or 0) for k in op.dynamic]
    return run(op.cpu(p) if callable(op.cpu) else op.cpu, args, xs, outs, scalars, **kw)


def on_cpu(name, xs, params, into=None, unread=(), rng=(7, 1), rng_id=0, is_train=True):
    """The same of the CPU's kernel, and its return code."""
    op = RECORDS[name]
    p = op.parse(params)
    ins, outs = outputs_of(op, p, xs)
    own = [_form(bits_of(x).copy(), dtype_of(x)) for x in xs]
    ys = [None if i in unread else _form(np.full(s, 99).astype(NUMPY[d]), d) for i, (s, d) in enumerate(outs)]
    for i, source in (into or {}).items():
        ys[i] = own[source]
    shapes = [s for s, _ in outs]
    capsule, packer = kernels.lookup(op.cpu(p) if callable(op.cpu) else op.cpu)
    args = packer(op.launch(p, ins, shapes)) if packer else b""
    itemsize = launch.ITEMSIZE[dtype_of(xs[0])] if xs else 4
    work = op.workspace(p, ins, shapes, itemsize, 1) if op.workspace else 0
    scalars = [float(getattr(p, k) or 0) for k in op.dynamic]
    rc = kernelcall.call(capsule, own, ys, args, scalars, work, seed=rng[0], step=rng[1], rng_id=rng_id,
                         is_train=is_train)
    return (ys, own), rc


TOLERANCE = {"float32": 2e-6, "float64": 1e-14, "float16": 1e-3, "bfloat16": 8e-3}


def same(got, want, tol=None, message=""):
    """Equal as numbers of their dtype: integers and moved bits exactly, floats to `tol` (0: exactly)."""
    for i, (g, w) in enumerate(zip(got, want)):
        assert (g is None) == (w is None), message
        if g is None:
            continue
        assert dtype_of(g) == dtype_of(w) and bits_of(g).shape == bits_of(w).shape, message
        t = TOLERANCE.get(dtype_of(g), 0) if tol is None else tol
        np.testing.assert_allclose(wide(g), wide(w), rtol=t, atol=t, err_msg=f"{message} part {i}")


def check(name, xs, params, tol=None, **kw):
    """Record `name`'s plan against its CPU kernel on arrays `xs`; auxiliary states too. Returns the GPU's outputs."""
    both = {k: v for k, v in kw.items() if k in ("into", "unread", "rng", "rng_id", "is_train")}
    want, rc = on_cpu(name, xs, params, **both)
    assert rc == 0, f"{name}: the CPU's kernel returned {rc}"
    got = on_gpu(name, xs, params, **kw)
    assert got is not None, f"{name}: no plan for {[dtype_of(x) for x in xs]}"
    same(got[0] + got[1], want[0] + want[1], tol, f"{name} {params} {[bits_of(x).shape for x in xs]}")
    return got[0]


def check_sample(op, sample, rng, dtype, tol=None, shift=0):
    """One sample of a record at one dtype. False where the CPU has no kernel for it."""
    p = op.parse(sample.params)
    name = op.cpu(p) if callable(op.cpu) else op.cpu
    if name is None:
        return False
    shapes, _ = R.complete(op, p, sample.shapes)
    try:
        xs = R.draw(op, sample, shapes, rng, "float32" if dtype == "bfloat16" else dtype)
    except ValueError:              # the record refuses the dtype
        return False
    if dtype == "bfloat16":
        xs = [wrap(x, dtype) if x.dtype == np.float32 and i not in sample.index else x for i, x in enumerate(xs)]
    if xs and dtype_of(xs[0]) not in op.cpu_dtypes:
        return False
    check(op.name, xs, sample.params, tol, shift=shift)
    return True


def check_samples(kernel_names, dtypes=("float32", "float64"), tol=None):
    """Every sample of every record whose kernel is one of `kernel_names`; returns the kernels that ran."""
    ran = set()
    for op in RECORDS.values():
        for sample in op.samples:
            p = op.parse(sample.params)
            name = op.cpu(p) if callable(op.cpu) else op.cpu
            if name not in kernel_names:
                continue
            for dtype in dtypes:
                if check_sample(op, sample, np.random.default_rng(11), dtype, tol, shift=len(ran) % 3):
                    ran.add(name)
    return ran
