"""Decides how each row of a program runs on a device: by a library, by kernels of our own, or by its reference.

What the CPU's ``select`` is for C kernels. Rules are asked twice: before memory is planned, for the workspace, and with
the final addresses.
"""
from contextlib import nullcontext
from importlib import import_module

from .._core.errors import MXNetError
from .._core.graph import states_of
from . import launch as _launch
from .arena import ALIGN, align
from .launch import Tensor
from .libraries import library_plan

SOMEWHERE = 1 << 44             # an address as good as the one that an entry of the arena will get


class Resolved:
    """How a row runs: ``kernel`` (name, None for the reference), ``work`` bytes of scratch, ``library`` (its name, or
    None), and the arguments that its rule is asked with again once addresses are known."""

    __slots__ = ("kernel", "work", "library", "args", "scalars", "record", "p", "grow")

    @property
    def how(self):
        """For ``mx.explain``."""
        if self.kernel is None:
            return "reference (CuPy)"
        return f"{self.library} {self.kernel}" if self.library else f"CUDA {self.kernel}"

    def plan(self, device, ins, outs, context):
        """The plan of the call on these tensors; None where the reference runs it."""
        if self.kernel is None:
            return None
        if self.library:
            return library_plan(device, self.kernel, self.args, ins, outs, self.scalars, context)
        return _launch.plan(self.kernel, self.args, ins, outs, self.scalars, **context)


def kernel_of(record, p):
    """Name of the kernel that a record asks for on a GPU: its own ``gpu`` where it has one, else the CPU's."""
    field = record.cpu if record.gpu is None else record.gpu
    return field(p) if callable(field) else field


def resolve(device, record, p, ins, outs, context):
    """The :class:`Resolved` of one call on tensors whose addresses need not be final."""
    out = Resolved()
    out.record, out.p, out.library, out.work, out.grow = record, p, None, 0, None
    out.scalars = tuple(float(0 if getattr(p, k) is None else getattr(p, k)) for k in record.dynamic)
    out.kernel = kernel_of(record, p)
    if out.kernel is None:
        return out
    out.args = record.launch(p, [t.shape for t in ins], [t.shape for t in outs]) if record.launch else None
    found = library_plan(device, out.kernel, out.args, ins, outs, out.scalars, context)
    if found is not None:
        out.library = found.library
    else:
        found = _launch.plan(out.kernel, out.args, ins, outs, out.scalars, **context)
    if found is None:
        out.kernel = None
    else:
        # The planner's offsets are multiples of less than 256.
        out.work = align(found.workspace) + ALIGN if found.workspace else 0
        out.grow = getattr(found, "grow", None)
    return out


def rows_of(draft):
    """(row, node, inputs, outputs) of every operator node that runs."""
    for row in draft.rows:
        node = draft.nodes[row]
        if node.op is not None:
            yield row, node, draft.ins[row], draft.outs[row]


def is_train_of(draft, row):
    """The mode that a row runs in: a backward node which draws its forward node's numbers again runs in that one's."""
    backward = draft.backward[row] and draft.nodes[row].rng_of is None
    return bool(draft.train[1] if backward else draft.train[0])


def rng_numbers(draft):
    """node row -> number of its random node, as on the CPU: both draw the same."""
    numbers, out = dict(draft.rng_ids), {}
    for row, node, _, _ in rows_of(draft):
        if node.op.random:
            origin = node
            while origin.rng_of is not None:
                origin = origin.rng_of
            out[row] = numbers.setdefault(origin, len(numbers))
    return out


def launches_for(draft, device):
    """row -> :class:`Resolved` of every operator node that runs. MXNetError, naming the node, where a rule objects.

    A hidden output that a library needs larger than the CPU's kernel does gets that shape in the draft.
    """
    from .._core.infer import labels_of, node_error
    out, numbers = {}, rng_numbers(draft)
    for row, node, ins, outs in rows_of(draft):
        def tensor(e):
            array = draft.pinned.get(e)
            return Tensor(draft.shapes[e], draft.dtypes[e], SOMEWHERE if array is None else array.address)
        context = {"rng": SOMEWHERE, "rng_id": numbers.get(row, 0), "is_train": is_train_of(draft, row)}
        try:
            out[row] = resolve(device, node.op, node.p, list(map(tensor, ins)), list(map(tensor, outs)), context)
        except MXNetError:
            raise
        except Exception as e:
            raise node_error(node, labels_of(node), [f"{draft.shapes[i]} {draft.dtypes[i]}" for i in ins],
                             f"it cannot be run on {device!r} on these shapes: {e}") from e
        for i, size in (out[row].grow or {}).items():
            draft.shapes[outs[i]] = (size,)
    return out


def reference(device, record, p, ins, outs, is_train, rng_id, own):
    """A function (seed, step) that runs a record's reference on arrays of `device` and writes the outputs.

    `ins` and `outs`: :class:`Tensor` lists, address 0 for an output that nobody reads; `own`: what keeps the memory.
    bfloat16 is widened to float32 before and rounded after. The reference takes its temporaries from CuPy's pool.
    """
    xp = device.xp
    in_views = [device.view(t.address, t.shape, t.dtype, own) for t in ins]
    out_views = [device.view(t.address, t.shape, t.dtype, own) if t.address or t.size == 0 else None for t in outs]
    states = set(states_of(record, p, list(range(len(ins))))) if record.aux else ()
    words = {"is_train": is_train} if record.train_aware else {}
    from ..ops.philox import Philox

    def run(seed, step):
        given = [widen(xp, v) if t.dtype == "bfloat16" else v for v, t in zip(in_views, ins)]
        if record.random:
            words["rng"] = Philox(xp, seed, step, rng_id)
        with strict(xp):
            made = record.ref(xp, p, *given, **words)
        for view, value, t in zip(out_views, made if isinstance(made, (tuple, list)) else (made,), outs):
            if view is not None:
                view[...] = narrow(xp, xp.asarray(value)) if t.dtype == "bfloat16" else value
        for k in states:
            if ins[k].dtype == "bfloat16":
                in_views[k][...] = narrow(xp, given[k])
    return run


def strict(xp):
    """Inside, linear algebra raises where there is no result, as NumPy's does: CuPy by itself gives wrong numbers."""
    return import_module("cupyx").errstate(linalg="raise") if xp.__name__ == "cupy" else nullcontext()


def widen(xp, bits):
    """bfloat16's bits as float32."""
    return (bits.astype("uint32") << xp.uint32(16)).view("float32")


def narrow(xp, x):
    """float32 as bfloat16's bits, rounded to nearest even; NaN stays NaN."""
    x = xp.ascontiguousarray(x.astype("float32"))
    bits = x.view("uint32")
    rounded = (bits + xp.uint32(0x7FFF) + (bits >> xp.uint32(16) & xp.uint32(1))) >> xp.uint32(16)
    return xp.where(xp.isnan(x), xp.uint16(0x7FC0), rounded.astype("uint16"))
