"""A program on a GPU: what was lowered runs as CUDA graphs, and what cannot be captured runs between them.

A range of steps (the forward half, the backward half, both) runs plainly the first time, which loads and compiles what
it needs and gives its results; the second time it is captured, and from then on it is launched. So nothing ever runs
that nobody asked for, and no state has to be put back; :meth:`Program.prepare` captures ahead of time, and then does
put back what it wrote. References are Python: they run between two graphs, on the same stream.
"""
import ctypes
import struct
import sys
import threading
import weakref

from .._core import rng as _rng
from .._core.errors import MXNetError
from .._core.graph import states_of
from .arena import ALIGN, align
from .launch import Launch, Tensor
from .resolve import is_train_of, launches_for, reference, rng_numbers, rows_of

__all__ = ["Program", "launches_for", "lower"]

GRAPH_FROM = 2                  # kernels: fewer are started one by one
RUNS_AHEAD = 8                  # runs whose error words the host need not have looked at
OUT_OF_RANGE = "an index is out of range"


class Copy:
    """A copy within the device as a step of a program."""

    __slots__ = ("device", "target", "source", "nbytes")
    text = "copy"

    def __init__(self, device, target, source, nbytes):
        self.device, self.target, self.source, self.nbytes = device, target, source, nbytes

    def run(self, stream):
        self.device.copy(self.target, self.source, self.nbytes)


class Step:
    """One row: ``work``, things with ``run(stream)`` that may be captured; or ``python``, a function (seed, step).
    ``writes``: (address, bytes) of memory outside the arena that it writes."""

    __slots__ = ("row", "name", "work", "python", "writes")

    def __init__(self, row, name, work=(), python=None, writes=()):
        self.row, self.name, self.work, self.python, self.writes = row, name, list(work), python, list(writes)


class Errors:
    """A word a step that may meet an index out of range, which each run brings to pinned memory of the host. Who waits
    for the device sees it; nobody waits for it."""

    def __init__(self, device, steps):
        """`steps`: numbers of the steps that have a word."""
        self.device, self.steps, self.nbytes = device, steps, 4 * len(steps)
        self.sent, self.seen, self.lock = 0, 0, threading.Lock()        # runs; any thread that waits looks at them
        self.words = device.alloc(self.nbytes)
        device.fill(self.words.ptr, 0, self.nbytes)
        self.host = device.xp.cuda.alloc_pinned_memory(self.nbytes * RUNS_AHEAD)
        self.events = [device.xp.cuda.Event(disable_timing=True) for _ in range(RUNS_AHEAD)]

    def send(self):
        """To be called after each run, with less than RUNS_AHEAD runs not seen."""
        runtime = self.device.xp.cuda.runtime
        with self.lock:
            k = self.sent % RUNS_AHEAD
            runtime.memcpyAsync(self.host.ptr + k * self.nbytes, self.words.ptr, self.nbytes,
                                runtime.memcpyDeviceToHost, self.device.stream.ptr)
            self.events[k].record(self.device.stream)
            self.sent += 1

    def __del__(self):
        # What still comes to `host` must not meet its next owner.
        if self.sent > self.seen and not sys.is_finalizing():
            self.events[(self.sent - 1) % RUNS_AHEAD].synchronize()

    def take(self, wait):
        """Number of the first step that met one in a run not seen yet, or None. Looks at runs that are through, at all
        of them with `wait`, and never lets RUNS_AHEAD of them wait."""
        with self.lock:
            return self._take(wait)

    def _take(self, wait):
        while self.seen < self.sent:
            event = self.events[self.seen % RUNS_AHEAD]
            if not (wait or event.done or self.sent - self.seen >= RUNS_AHEAD):
                return None
            event.synchronize()
            at = self.host.ptr + self.seen % RUNS_AHEAD * self.nbytes
            words = list((ctypes.c_int32 * len(self.steps)).from_address(at))
            self.seen += 1
            for step, word in zip(self.steps, words):
                if word:
                    return step
        return None


class Program:
    """Steps on one device; `boundary` is the first of the backward half, `once` as many in front that prepare what a
    change of parameters makes stale. The face of the CPU's program."""

    def __init__(self, device, steps, boundary, once, keep, random, error_of, errors=None):
        """`error_of(at, text)`: the exception for step `at`. `keep` holds memory alive. `errors`: :class:`Errors`."""
        self.device, self.steps, self.boundary, self.once, self.keep = device, steps, boundary, once, keep
        self.n, self.rows, self.random, self.error_of = len(steps), [s.row for s in steps], random, error_of
        self.failed_at = self.failed_code = 0
        self.ranges = {}                # (begin, end) -> pieces, once it has run; a piece: Capture or a list of steps
        self.state = (0, 0)
        self.rng, self.errors = keep[0], errors
        if errors is not None:
            me = weakref.ref(self)
            check = lambda: me() is not None and me().check(True)      # noqa: E731  (removed with the program)
            device.checks.append(check)
            weakref.finalize(self, device.checks.remove, check)

    # -- random numbers ---------------------------------------------------------------------------------------------

    @property
    def rng_state(self):
        """(seed, step) of the random numbers that the last run drew."""
        return self.state

    @rng_state.setter
    def rng_state(self, value):
        self.state = tuple(value)
        if self.random:
            with self.device.use():
                self.device.set_small(self.rng.ptr, struct.pack("<QQ", *self.state))

    # -- running ----------------------------------------------------------------------------------------------------

    def run(self, begin, end, redraw=True):
        """Start steps `begin` to `end`; a run from the start draws new random numbers, with `redraw` False those of the
        last one. Returns -1; raises what a reference raised (``failed_at`` says where), or what an earlier run met."""
        if begin >= end:
            return -1
        self.check(False)
        with self.device.use():
            if self.random and begin <= self.once and redraw:
                self.rng_state = _rng.take()
            self._start(begin, end)
            if self.errors is not None:
                self.errors.send()
        return -1

    def _start(self, begin, end):
        key = begin, end
        if key not in self.ranges:
            self._plainly(self.steps[begin:end], begin)
            self.ranges[key] = None
            return
        if self.ranges[key] is None and not self._capture(begin, end):
            self._plainly(self.steps[begin:end], begin)
            return
        for at, piece in self.ranges[key]:
            if isinstance(piece, list):
                self._plainly(piece, at)
            else:
                piece.launch()

    def _plainly(self, steps, at):
        stream = self.device.stream.ptr
        for i, step in enumerate(steps, at):
            self.failed_at = i
            if step.python is not None:
                step.python(*self.state)
            else:
                for one in step.work:
                    one.run(stream)

    def _capture(self, begin, end):
        """Make the graphs of a range whose steps have all run once; False, and no graphs, while another thread gives
        the device work."""
        with self.device.gate.record() as alone:
            self.ranges[begin, end] = self._pieces(begin, end) if alone else None
        return alone

    def _pieces(self, begin, end):
        """[(first step, Capture or list of steps)] of a range."""
        pieces = []
        for first, last, captured in self.cuts(begin, end):
            steps = self.steps[first:last]
            if captured:
                def start(stream, steps=steps):
                    for step in steps:
                        for one in step.work:
                            one.run(stream)
                pieces.append((first, self.device.capture(start)))
            else:
                pieces.append((first, steps))
        return pieces

    def cuts(self, begin, end):
        """[(first step, end, whether it is one graph)]: maximal runs of what can be captured, and what is between."""
        out, at = [], begin
        while at < end:
            first, python = at, self.steps[at].python is not None
            while at < end and (self.steps[at].python is not None) == python:
                at += 1
            graph = not python and sum([len(s.work) for s in self.steps[first:at]]) >= GRAPH_FROM
            out.append((first, at, graph))
        return out

    def prepare(self, begin, end):
        """Capture a range ahead of its first run: runs it once, and puts back all memory outside the arena that it
        wrote (moving averages, gradients that are added to, parameters), and the random numbers' step."""
        if begin >= end or self.ranges.get((begin, end)) is not None:
            return
        written = {}
        for step in self.steps[begin:end]:
            for address, nbytes in step.writes:
                written[address] = max(nbytes, written.get(address, 0))
        with self.device.use():
            saved = [(address, nbytes, self.device.alloc(nbytes)) for address, nbytes in written.items() if nbytes]
            for address, nbytes, memory in saved:
                self.device.copy(memory.ptr, address, nbytes)
            self._plainly(self.steps[begin:end], begin)
            for address, nbytes, memory in saved:
                self.device.copy(address, memory.ptr, nbytes)
            if self.errors is not None:
                self.device.fill(self.errors.words.ptr, 0, self.errors.nbytes)
            self.device.stream.synchronize()        # before `saved` goes back to the pool
            self._capture(begin, end)

    def check(self, wait):
        """Raise for an index out of range that a run met; looks only at runs that are through unless `wait`."""
        if self.errors is None:
            return
        at = self.errors.take(wait)
        if at is not None:
            with self.device.use():
                self.device.fill(self.errors.words.ptr, 0, self.errors.nbytes)
            raise self.error_of(at, OUT_OF_RANGE)

    def redirect(self, address, nbytes, to):
        """Addresses stand in graphs: what a program reads stays where it is, and the caller copies."""
        return False

    # -- telling ----------------------------------------------------------------------------------------------------

    def timed(self, begin, end):
        """Run steps `begin` to `end` one by one; the seconds that each took on the device."""
        xp, out = self.device.xp, []
        with self.device.use():
            for i in range(begin, end):
                first, last = xp.cuda.Event(), xp.cuda.Event()
                first.record(self.device.stream)
                self._plainly(self.steps[i:i + 1], i)
                last.record(self.device.stream)
                last.synchronize()
                out.append(xp.cuda.get_elapsed_time(first, last) / 1000)
        return out

    def explain(self, begin=0, end=None):
        """Lines for ``mx.explain``: the graphs, and what runs between them."""
        lines = []
        for first, last, graph in self.cuts(begin, self.n if end is None else end):
            steps = self.steps[first:last]
            where = f"step {first}" if last == first + 1 else f"steps {first} to {last - 1}"
            if steps[0].python is not None:
                lines.append(f"{where}: reference on gpu({self.device.index}): {', '.join(s.name for s in steps)}")
            else:
                work = [one.text for s in steps for one in s.work]
                kind = "one CUDA graph" if graph else "started one by one"
                count = "1 launch" if len(work) == 1 else f"{len(work)} launches"
                lines.append(f"{where}: {kind}, {count}: {', '.join(work) or 'none'}")
        return lines


def lower(draft, plan, launches, arenas, device):
    """(:class:`Program`, address by entry) for a planned draft on one device.

    `launches`: what ``launches_for(draft, device)`` gave; `arenas`: the arrays that the plan's offsets count from (the
    first one: there is one device). A view whose memory is its input's becomes no step.
    """
    from .._core.infer import labels_of, node_error
    if len(arenas) != 1:
        raise MXNetError("group2ctx cannot spread a graph over GPUs: bind one executor a device, as Module does")
    base, shapes, dtypes, numbers = arenas[0].address, draft.shapes, draft.dtypes, rng_numbers(draft)
    address = {e: array.address for e, array in draft.pinned.items()}
    outside = set(draft.pinned)
    rng, steps, boundary, n_once, once, own = device.alloc(16), [], None, 0, set(draft.once), []
    keep = [rng, list(arenas), list(draft.pinned.values()), list(draft.nodes), own]
    failing = []                        # (step, address of its error word in the workspace)
    for row, node, ins, outs in rows_of(draft):
        taken = plan.inplace.get(row, {})
        for i, e in enumerate(outs):
            if e in address:
                continue
            if plan.block_of[e] >= 0:
                address[e] = base + plan.offset[plan.block_of[e]]
            elif i in taken:            # a view of a pinned entry
                address[e] = address[ins[taken[i]]]
                if ins[taken[i]] in outside:
                    outside.add(e)
            else:
                address[e] = 0
        views = node.op.view(node.p) if callable(node.op.view) else node.op.view
        if len(outs) == 1 and 0 in views and address[outs[0]] == address[ins[views[0]]]:
            continue
        if boundary is None and draft.backward[row]:
            boundary = len(steps)
        n_once += row in once
        tensors = [[Tensor(shapes[e], dtypes[e], address[e]) for e in part] for part in (ins, outs)]
        states = states_of(node.op, node.p, list(ins)) if node.op.aux else ()
        writes = [(t.address, t.nbytes) for e, t in zip([*outs, *ins], [*tensors[1], *tensors[0]])
                  if e in outside and (e in outs or e in states)]
        step = Step(row, node.op.name, writes=writes)
        context = {"rng": rng.ptr, "rng_id": numbers.get(row, 0), "is_train": is_train_of(draft, row)}
        found = launches[row].plan(device, *tensors, context)
        if found is None:
            step.python = reference(device, node.op, node.p, *tensors, context["is_train"], context["rng_id"],
                                    keep[1:3])
        else:
            work = align(base + plan.workspace[row]) if row in plan.workspace else 0
            if found.workspace and align(found.workspace) + ALIGN > launches[row].work:
                # With the final addresses, less aligned than arrays usually are, the rule wants more.
                own.append(device.alloc(align(found.workspace)))
                work = own[-1].ptr
            step.work = [device.kernel(one) if isinstance(one, Launch) else one for one in found.launches(work)]
            if found.error is not None and step.work:
                failing.append((len(steps), work + found.error))
        steps.append(step)
    errors = None
    if failing:
        errors = Errors(device, [at for at, _ in failing])
        for k, (at, word) in enumerate(failing):
            steps[at].work.append(Copy(device, errors.words.ptr + 4 * k, word, 4))

    def error_of(at, text):
        node, ins = draft.nodes[steps[at].row], draft.ins[steps[at].row]
        return node_error(node, labels_of(node), [f"{shapes[e]} {dtypes[e]}" for e in ins], text)
    program = Program(device, steps, len(steps) if boundary is None else boundary, n_once, keep, bool(numbers),
                      error_of, errors)
    return program, address
