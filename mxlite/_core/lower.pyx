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
    """A program with what `explain` and `memory_plan` tell of it: one row an instruction or elided node."""

    __slots__ = ("program", "plan", "graph", "rows", "shapes", "dtypes", "launches", "addresses", "mode",
                 "n_forward", "head_grads", "pinned", "contexts")


def nbytes_of(shapes, dtypes):
    """Bytes of every entry; 0 where its shape is unknown."""
    out = []
    for shape, dtype in zip(shapes, dtypes):
        n = ITEMSIZE[dtype]
        for d in shape:
            n *= d
        out.append(n)
    return out


def launches_for(g, rows, shapes, dtypes):
    """row -> :class:`Launch` of every operator node."""
    out, threads = {}, cpu.get_threads()
    for row in rows:
        node = g.nodes[row]
        if node.op is None:
            continue
        first, ins = g.row_ptr[row], g.inputs[row]
        in_dtypes = [dtypes[e] for e in ins]
        out_dtypes = dtypes[first:first + node.n_out]
        lead = (in_dtypes or out_dtypes)[0]
        try:
            out[row] = select(node.op, node.p, [shapes[e] for e in ins], shapes[first:first + node.n_out], in_dtypes,
                              out_dtypes, threads, ITEMSIZE[lead])
        except Exception as e:
            raise node_error(node, labels_of(node), [f"{shapes[e]} {dtypes[e]}" for e in ins],
                             f"it cannot be run on these shapes: {e}") from e
    return out


def lower(g, rows, shapes, dtypes, plan, launches, pinned, arenas, mode, n_forward, places=None):
    """The :class:`Program` for the nodes `rows`.

    `mode`: is_train of the forward and of the backward half; a backward node that draws its forward node's random
    numbers again runs in that node's mode. `pinned`: entry id -> array that holds it. `arenas`: the arrays that
    the plan's offsets count from, and `places`: row -> which of them it uses; None: there is one. Views whose memory is
    their input's become no instruction at all.
    """
    bases = [arena.address for arena in arenas]
    address, owner = {}, {}             # owner: the array whose memory an entry lies in
    for e, array in pinned.items():
        address[e], owner[e] = array.address, array
    steps, kept_rows, boundary = [], [], None
    rng_ids = {}
    for step, row in enumerate(rows):
        node = g.nodes[row]
        if node.op is None:
            continue
        first, ins = g.row_ptr[row], g.inputs[row]
        taken = plan.inplace.get(row, {})
        for i in range(node.n_out):
            e = first + i
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
        if node.n_out == 1 and 0 in views and address[first] == address[ins[views[0]]]:
            continue
        if boundary is None and row >= n_forward:
            boundary = len(steps)
        launch = launches[row]
        is_train = bool(mode[0] if row < n_forward or node.rng_of is not None else mode[1])
        in_specs = [(address[e], shapes[e], FLAG[dtypes[e]]) for e in ins]
        out_specs = [(address[first + i], shapes[first + i], FLAG[dtypes[first + i]]) for i in range(node.n_out)]
        rng_id = None
        if node.op.random:
            origin = node if node.rng_of is None else node.rng_of
            rng_id = rng_ids.setdefault(origin, len(rng_ids))
        kernel = launch.capsule
        if kernel is None:
            kernel = reference_call(
                node.op, node.p, np, [view_at(a, s, dtypes[e], owner.get(e)) for (a, s, _), e in zip(in_specs, ins)],
                [dtypes[e] for e in ins],
                [view_at(a, s, dtypes[first + i], owner.get(first + i)) if a or 0 in s else None
                 for i, (a, s, _) in enumerate(out_specs)],
                dtypes[first:first + node.n_out], is_train, rng_id or 0, n_aux(node))
        work = 0
        if row in plan.workspace:
            work = bases[0 if places is None else places[row]] + plan.workspace[row]
        steps.append((row, kernel, in_specs, out_specs, launch.args, launch.scalars, work, rng_id,
                      is_train))
    program = Program(steps, [list(arenas), list(pinned.values()), g], cpu.get_threads(),
                      len(steps) if boundary is None else boundary)
    return program, address
