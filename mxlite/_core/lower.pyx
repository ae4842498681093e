# cython: language_level=3
"""Lowering: a planned graph becomes the instruction array of a :class:`Program`."""
import numpy as np

from . import cpu
from .dtypes import FLAG, ITEMSIZE
from .graph import n_aux
from .infer import labels_of, node_error
from .ndarray import view_at
from .program import Program
from .select import reference_call, select


class Lowered:
    """A program with what `explain` and `memory_plan` tell of it: one row an instruction or elided node.

    ``watch`` looks after the arrays whose change makes the rows of ``draft.once`` run again; None where there are none.
    ``moved``: the auxiliary states that the forward half writes.
    """

    __slots__ = ("program", "plan", "draft", "launches", "addresses", "mode", "head_grads", "watch", "cached_bytes",
                 "moved")


def nbytes_of(shapes, dtypes):
    """Bytes of every entry; 0 where its shape is unknown."""
    out = []
    for shape, dtype in zip(shapes, dtypes):
        n = ITEMSIZE[dtype]
        for d in shape:
            n *= d
        out.append(n)
    return out


def launches_for(draft):
    """row -> :class:`Launch` of every operator node that runs."""
    out, threads, shapes, dtypes = {}, cpu.get_threads(), draft.shapes, draft.dtypes
    for row in draft.rows:
        node = draft.nodes[row]
        if node.op is None:
            continue
        ins, outs = draft.ins[row], draft.outs[row]
        in_dtypes, out_dtypes = [dtypes[e] for e in ins], [dtypes[e] for e in outs]
        lead = (in_dtypes or out_dtypes)[0]
        try:
            out[row] = select(node.op, node.p, [shapes[e] for e in ins], [shapes[e] for e in outs], in_dtypes,
                              out_dtypes, threads, ITEMSIZE[lead])
        except Exception as e:
            raise node_error(node, labels_of(node), [f"{shapes[e]} {dtypes[e]}" for e in ins],
                             f"it cannot be run on these shapes: {e}") from e
    return out


def lower(draft, plan, launches, arenas, places=None):
    """(:class:`Program`, address by entry) for a planned draft.

    A backward node that draws its forward node's random numbers again runs in that node's mode. `arenas`: the arrays
    that the plan's offsets count from, and `places`: row -> which of them it uses; None: there is one. Views whose
    memory is their input's become no instruction at all.
    """
    bases = [arena.address for arena in arenas]
    shapes, dtypes, pinned, mode = draft.shapes, draft.dtypes, draft.pinned, draft.train
    address, owner = {}, {}             # owner: the array whose memory an entry lies in
    for e, array in pinned.items():
        address[e], owner[e] = array.address, array
    steps, boundary, n_once, once = [], None, 0, set(draft.once)
    rng_ids = dict(draft.rng_ids)
    for row in draft.rows:
        node = draft.nodes[row]
        if node.op is None:
            continue
        ins, outs, backward = draft.ins[row], draft.outs[row], draft.backward[row]
        taken = plan.inplace.get(row, {})
        for i, e in enumerate(outs):
            if e in address:
                continue
            if plan.block_of[e] >= 0:
                home = plan.home[plan.block_of[e]]
                address[e], owner[e] = bases[home] + plan.offset[plan.block_of[e]], arenas[home]
            elif i in taken:                    # a view of a pinned entry
                address[e], owner[e] = address[ins[taken[i]]], owner.get(ins[taken[i]])
            else:
                address[e] = 0
        views = node.op.view(node.p) if callable(node.op.view) else node.op.view
        if len(outs) == 1 and 0 in views and address[outs[0]] == address[ins[views[0]]]:
            continue
        if boundary is None and backward:
            boundary = len(steps)
        launch = launches[row]
        is_train = bool(mode[1] if backward and node.rng_of is None else mode[0])
        in_specs = [(address[e], shapes[e], FLAG[dtypes[e]]) for e in ins]
        out_specs = [(address[e], shapes[e], FLAG[dtypes[e]]) for e in outs]
        rng_id = None
        if node.op.random:
            origin = node
            while origin.rng_of is not None:
                origin = origin.rng_of
            rng_id = rng_ids.setdefault(origin, len(rng_ids))
        kernel = launch.capsule
        if kernel is None:
            kernel = reference_call(
                node.op, node.p, np, [view_at(a, s, dtypes[e], owner.get(e)) for (a, s, _), e in zip(in_specs, ins)],
                [dtypes[e] for e in ins],
                [view_at(a, s, dtypes[e], owner.get(e)) if a or 0 in s else None
                 for (a, s, _), e in zip(out_specs, outs)],
                [dtypes[e] for e in outs], is_train, rng_id or 0, n_aux(node))
        work = 0
        if row in plan.workspace:
            work = bases[0 if places is None else places[row]] + plan.workspace[row]
        n_once += row in once
        steps.append((row, kernel, in_specs, out_specs, launch.args, launch.scalars, work, rng_id, is_train))
    program = Program(steps, [list(arenas), list(pinned.values()), list(draft.nodes)], cpu.get_threads(),
                      len(steps) if boundary is None else boundary, n_once)
    return program, address
