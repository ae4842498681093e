"""Which kernel runs a call: the record's C kernel where it covers the dtype, else the reference."""
from . import kernels
from .convert import from_bfloat16, to_bfloat16


class Launch:
    """One resolved call: ``capsule`` (None: the reference runs), packed ``args``, ``work`` bytes, ``scalars``."""

    __slots__ = ("capsule", "kernel", "args", "work", "scalars")

    def __init__(self):
        self.capsule, self.kernel, self.args, self.work, self.scalars = None, None, b"", 0, ()


def scalars_of(op, p):
    """Values of the dynamic parameters of `op` in `p`."""
    return tuple(float(0 if getattr(p, k) is None else getattr(p, k)) for k in op.dynamic)


def select(op, p, in_shapes, out_shapes, in_dtypes, out_dtypes, threads, itemsize):
    """The :class:`Launch` for `op` with parameters `p` on these shapes and dtypes."""
    launch = Launch()
    launch.scalars = scalars_of(op, p)
    launch.kernel = op.cpu(p) if callable(op.cpu) else op.cpu
    lead = in_dtypes[0] if in_dtypes else out_dtypes[0]
    if launch.kernel is None or lead not in op.cpu_dtypes:
        launch.kernel = None
        return launch
    launch.capsule, packer = kernels.lookup(launch.kernel)
    if packer is not None:
        launch.args = packer(op.launch(p, in_shapes, out_shapes))
    if op.workspace is not None:
        launch.work = int(op.workspace(p, in_shapes, out_shapes, itemsize, threads))
    return launch


def reference_call(op, p, np, in_views, in_dtypes, out_views, out_dtypes, is_train, rng_id=0, n_aux=0):
    """A function (seed, step) that runs `op`'s reference on array views and writes the output views.

    bfloat16 views hold bits: they are widened to float32 before and rounded after. Auxiliary states are written by
    the reference itself. An output view of None is skipped.
    """
    has_bfloat16 = "bfloat16" in in_dtypes or "bfloat16" in out_dtypes
    kw = {"is_train": is_train} if op.train_aware else {}
    ref, random = op.ref, op.random
    if random:
        from ..ops.philox import Philox

    def run(seed, step):
        ins = in_views
        if has_bfloat16:
            ins = [from_bfloat16(v) if d == "bfloat16" else v for v, d in zip(in_views, in_dtypes)]
        with np.errstate(all="ignore"):
            if random:
                outs = ref(np, p, *ins, rng=Philox(np, seed, step, rng_id), **kw)
            else:
                outs = ref(np, p, *ins, **kw)
            if not isinstance(outs, (tuple, list)):
                outs = (outs,)
            for view, value, dtype in zip(out_views, outs, out_dtypes):
                if view is None:
                    continue
                if dtype == "bfloat16":
                    value = to_bfloat16(np.asarray(value, np.float32))
                np.copyto(view, value, casting="unsafe")
        if has_bfloat16 and n_aux:
            for view, value, dtype in list(zip(in_views, ins, in_dtypes))[-n_aux:]:
                if dtype == "bfloat16":
                    view[...] = to_bfloat16(value)
    return run
