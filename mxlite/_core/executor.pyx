# cython: language_level=3
"""Binding: symbol entries and arrays in, programs out; and running them.

An executor lowers a program on first use for each way it is run (for inference, for training with forward and backward
in one graph split at a boundary, monitored), all over one arena. Outputs are arrays of their own, shared by all.
"""
import threading

from . import ndarray as _nd
from .arena import Arena
from .dtypes import ITEMSIZE
from .errors import MXNetError
from .cells import recognise
from .context import gpu_backend
from .draft import Draft
from .fuse import rewrite
from .gradient import gradient, prune
from .graph import Indexed, Node
from .infer import infer_dtypes, infer_shapes, input_labels, labels_of, node_error, where_text
from .lower import Lowered, launches_for, lower, nbytes_of
from .place import contexts_of_rows, place
from .collector import paused
from .options import epoch
from .plan import plan
from .storage import memory_limit
from .targets import check_targets
from .watch import Watch
from ..ops import settings
from ..ops.record import RECORDS

# What an operator's reference raises on data that it cannot take; anything else (Ctrl-C) passes as it is.
REFERENCE_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError)
LEND_FROM = 1 << 16         # bytes of a head gradient that is read where it lies, where nothing speaks against it
CODES = {1: "the kernel has no code for these dtypes", 2: "an index is out of range",
         3: "a value in the data is not allowed"}


def check_sizes(g, shapes, dtypes, context):
    """MemoryError, naming the node, where one result alone is larger than the machine, or than the GPU that `context`
    is: before anything is allocated."""
    limit, owner = memory_limit(), "this machine"
    if context.device_type == "gpu":
        limit, owner = gpu_backend().memory_info(context.device_id)[1], str(context)
    for row, node in enumerate(g.nodes):
        for e in range(g.row_ptr[row], g.row_ptr[row + 1]):
            if shapes[e] is None or None in shapes[e]:
                continue
            n = ITEMSIZE[dtypes[e] or "float32"]
            for d in shapes[e]:
                n *= d
            if n > limit:
                raise MemoryError(f"bind: {node.op.name if node.op else 'variable'} {node.name!r} of shape {shapes[e]} "
                                  f"needs {n} bytes, {owner} has {limit}" + where_text(node))


class Bound:
    """A graph bound to arrays.

    `entries`: the heads. `args`, `aux`: arrays by position of ``variables(entries)``. `grads`: an array or None an
    argument; `reqs`: 'write', 'add' or 'null' an argument. `share`: a Bound whose arena is used. `groups`: context by
    ctx_group, where the graph is placed over several contexts; `context` is that of what has no group.
    """

    def __init__(self, entries, arg_nodes, aux_nodes, args, grads, reqs, aux, context, share=None, groups=None):
        self.entries, self.arg_nodes, self.aux_nodes = list(entries), arg_nodes, aux_nodes
        self.args, self.grads, self.reqs, self.aux, self.context = args, grads, reqs, aux, context
        self.home = None            # node -> context; None: all are on `context`
        if groups:
            arrays = {n: a.context for n, a in zip(arg_nodes + aux_nodes, args + aux)}
            self.entries, self.home = place(self.entries, groups, context, arrays)
            self._device()          # contexts that no program spans are refused here, not by the first forward
        self.arena = Arena() if share is None else share.arena
        self.programs = {}          # (mode, epoch of the options) -> Lowered
        self.monitored = {}         # (is_train, epoch of the options) -> (Lowered, array by entry)
        self.token = object()
        self.drawn = None           # (seed, step) of the last forward's random numbers
        self.state = None           # the mode whose forward the arena holds; with a third item once backward ran
        self.head_grad_arrays = {}
        self.written = None         # the storages that a backward pass writes into
        g = Indexed(self.entries)
        self.shapes, self.dtypes = self._types(g)
        check_targets(self)
        self.outputs = self._make_outputs(g)

    def _types(self, g):
        known_shapes, known_dtypes = {}, {}
        for node, array in zip(self.arg_nodes + self.aux_nodes, self.args + self.aux):
            known_shapes[g.entry((node, 0))] = array.shape
            known_dtypes[g.entry((node, 0))] = array.dtype_name
        shapes, dtypes = infer_shapes(g, known_shapes), infer_dtypes(g, known_dtypes)
        for row, node in enumerate(g.nodes):
            for i in range(node.n_out):
                e = g.row_ptr[row] + i
                if shapes[e] is None or None in shapes[e] or dtypes[e] is None:
                    what = f"{node.op.name} node {node.name!r}" if node.op else f"variable {node.name!r}"
                    raise MXNetError(f"bind: the shape or dtype of {what} cannot be inferred" + where_text(node))
        check_sizes(g, shapes, dtypes, self.context)
        return shapes, dtypes

    def _make_outputs(self, g):
        made, bound = {}, dict(zip(self.arg_nodes + self.aux_nodes, self.args + self.aux))
        outputs = []
        for node, i in self.entries:
            if node.op is None:
                outputs.append(bound[node])
                continue
            e = g.entry((node, i))
            if e not in made:
                made[e] = _nd.empty(self.shapes[e], self.dtypes[e], self._context_of(node))
                made[e].fill_zero()
            outputs.append(made[e])
        return outputs

    def _context_of(self, node):
        return self.context if self.home is None else self.home[node]

    # -- programs ---------------------------------------------------------------------------------------------------

    def program(self, mode):
        """The lowered program of `mode`, made on first use.

        A mode is (is_train of the forward, is_train of the backward); the second is None where there is no backward.
        """
        key = (mode, epoch())
        if key not in self.programs:
            for old in [k for k in self.programs if k[1] != key[1]]:
                del self.programs[old]          # made under other options or for another instruction set
                self.token = object()           # what such a program left in the arena, no other one can read
            with paused():
                self.programs[key] = self._lower(mode)
        return self.programs[key]

    def wants_gradients(self):
        """True where some argument has an array for its gradient."""
        return any([g is not None and r != "null" for g, r in zip(self.grads, self.reqs)])

    def draft(self, mode, every_entry=None):
        """The program of `mode` as the gradient pass leaves it, before any pass rewrites it: (:class:`Draft`, the heads
        whose gradient it reads, the arenas' contexts)."""
        g = Indexed(self.entries)
        shapes, dtypes = list(self.shapes), list(self.dtypes)
        # Before anything is rewritten, so that a node draws the same numbers in whatever program.
        drawing = [node for node in g.nodes if node.op is not None and node.op.random]
        if every_entry is None and self.home is None and settings.unroll:
            g, shapes, dtypes = recognise(g, shapes, dtypes)
        n_forward = len(g.nodes)
        pinned = {}
        for node, array in zip(self.arg_nodes + self.aux_nodes, self.args + self.aux):
            pinned[g.entry((node, 0))] = array
        for (node, _), e, array in zip(self.entries, g.heads, self.outputs):
            if node.op is not None:
                pinned[e] = array
        if every_entry is not None:
            self._pin_all(g, shapes, dtypes, pinned, every_entry)
        keep = list(g.heads)
        head_grads, made_for = [], []
        if mode[1] is not None:
            head_grads = self._append_backward(g, shapes, dtypes, pinned, keep, made_for)
        rows = prune(g, keep)
        needed = set(rows)
        for i, (e, node) in enumerate(head_grads):
            if g.row_of[node] in needed:
                if i not in self.head_grad_arrays:
                    self.head_grad_arrays[i] = _nd.empty(shapes[e], dtypes[e], self._context_of(self.entries[i][0]))
                pinned[g.entry((node, 0))] = self.head_grad_arrays[i]
        contexts, arenas = self._contexts(g, made_for, n_forward, pinned, head_grads)
        draft = Draft(g, rows, shapes, dtypes, pinned, keep, n_forward, contexts, mode, drawing)
        return draft, [i for i, (e, node) in enumerate(head_grads) if g.row_of[node] in needed], arenas

    def _lower(self, mode, every_entry=None):
        draft, head_grads, arenas = self.draft(mode, every_entry)
        device = self._device()
        if every_entry is None:
            rewrite(draft, on_cpu=device is None)
        out = Lowered()
        out.draft, out.mode, out.head_grads = draft, mode, head_grads
        out.watch, out.cached_bytes = self._make_cache(draft)
        out.moved = [draft.pinned[e] for e in sorted(draft.moving) if e in draft.pinned]
        places = None if draft.contexts is None else [arenas.index(c) for c in draft.contexts]
        launches = launches_for(draft) if device is None else device.launches_for(draft)
        workspaces = [launches[row].work if row in launches else 0 for row in draft.rows]
        out.launches = launches
        out.plan = plan(draft, nbytes_of(draft.shapes, draft.dtypes), workspaces, places=places)
        chunks = [self.arena.reserve(size["arena_bytes"], context) for size, context in zip(out.plan.arenas, arenas)]
        if device is None:
            out.program, out.addresses = lower(draft, out.plan, launches, chunks, places)
        else:
            out.program, out.addresses = device.lower(draft, out.plan, launches, chunks)
        return out

    def _device(self):
        """The device that the programs run on, None for the CPU. MXNetError for a graph spread over GPUs."""
        contexts = {self.context} if self.home is None else {self.context, *self.home.values()}
        on_gpu = [c for c in contexts if c.device_type == "gpu"]
        if not on_gpu:
            return None
        if len(contexts) > 1:
            raise MXNetError(f"group2ctx cannot spread a graph over {', '.join(sorted(map(str, contexts)))}: a program "
                             f"runs on one GPU, or on CPU contexts; Module(context=[...]) uses several GPUs")
        return gpu_backend().get_device(on_gpu[0].device_id)

    def _make_cache(self, draft):
        """Memory of its own for what other rows read of what the rows of ``draft.once`` make; the :class:`Watch` over
        what they are made from, and how many bytes that memory has."""
        if not draft.once:
            return None, 0
        once, total = set(draft.once), 0
        made = {e for row in once for e in draft.outs[row]}
        watch = Watch([draft.pinned[e] for e in sorted({e for row in once for e in draft.ins[row]} - made)])
        for row in draft.rows:
            for e in draft.ins[row] if row not in once else ():
                if e in made and e not in draft.pinned:
                    draft.pinned[e] = _nd.empty(draft.shapes[e], draft.dtypes[e], draft.context_of(row) or self.context)
                    total += draft.pinned[e].size * _itemsize(draft.pinned[e])
        return watch, total

    def _contexts(self, g, made_for, n_forward, pinned, head_grads):
        """(context of every row, the arenas' contexts); where there is one context: (None, [it])."""
        if self.home is None:
            return None, [self.context]
        home = {g.nodes[row]: pinned[g.row_ptr[row]].context for row in range(n_forward, len(g.nodes))
                if g.nodes[row].op is None and g.row_ptr[row] in pinned}
        home.update(self.home)
        for i, (_, node) in enumerate(head_grads):      # those that nothing needs, too: dead nodes read them
            home[node] = self._context_of(self.entries[i][0])
        contexts = contexts_of_rows(g, home, self.context, made_for, n_forward)
        return contexts, list(dict.fromkeys(contexts))

    def _append_backward(self, g, shapes, dtypes, pinned, keep, made_for):
        """Backward nodes for every wanted gradient, each written into the array that the user bound for it."""
        wanted = [(g.row_of[n], n, a, r) for n, a, r in zip(self.arg_nodes, self.grads, self.reqs)
                  if r != "null" and a is not None]
        if not wanted:
            return []
        n_forward = len(g.nodes)
        heads, grads = gradient(g, shapes, dtypes, [w[0] for w in wanted], made_for)

        def add(op, inputs, like):
            record = RECORDS[op]
            node = Node(record, f"{like.name}_grad", {}, record.parse({}), inputs, like.where)
            g.add(node)
            e = g.entry((like, 0))
            shapes.append(shapes[e])
            dtypes.append(dtypes[e])
            return g.entry((node, 0))

        producers = g.producers()
        for row, node, array, req in wanted:
            e = grads[row]
            if req == "add":
                if e is None:
                    continue
                target = Node(None, f"{node.name}_grad", {})
                g.add(target)
                shapes.append(array.shape)
                dtypes.append(array.dtype_name)
                pinned[g.entry((target, 0))] = array
                grow, gi = producers[e]
                e = add("_accumulate", [(target, 0), (g.nodes[grow], gi)], node)
            elif e is None:
                e = add("zeros_like", [(node, 0)], node)
            elif e < g.row_ptr[n_forward] or e in pinned or g.nodes[producers[e][0]].op is None:
                grow, gi = producers[e]
                e = add("_copy", [(g.nodes[grow], gi)], node)
            pinned[e] = array
            keep.append(e)
        return [(g.heads[i], head[0]) for i, head in enumerate(heads)]

    # -- running ----------------------------------------------------------------------------------------------------

    def _alone(self, step, *args):
        """``step(*args)`` while no other thread runs a program of this arena. From making the program to noting what
        the arena then holds it is one piece: a thread in between would leave the note wrong."""
        arena = self.arena
        me = threading.get_ident()
        if arena.runner == me:
            raise MXNetError("an operator written in Python may not run the executor that runs it")
        with arena.lock:
            arena.runner = me
            try:
                return step(*args)
            finally:
                arena.runner = None

    def forward(self, is_train):
        """Run the forward pass; the outputs then hold its results."""
        self._alone(self._forward, is_train)

    def backward(self, head_grads, is_train=True):
        """Run the backward pass of the last forward. `head_grads`: an array or None a head."""
        if len(head_grads) > len(self.entries):
            raise MXNetError(f"backward: {len(head_grads)} head gradients for {len(self.entries)} outputs")
        if self.wants_gradients():
            self._alone(self._backward, head_grads, is_train)

    def train(self, extend):
        """Forward, backward and more as one run, where ``losses_only``: ``extend(lowered)`` gives the training program
        with more steps behind its own."""
        self._alone(self._train, extend)

    def losses_only(self):
        """Whether a backward pass needs no head gradients, and there is one."""
        return self.wants_gradients() and not self._alone(self.program, (True, True)).head_grads

    def _train(self, extend):
        lowered = extend(self.program((True, True)))
        try:
            self._run_forward(lowered, end=lowered.program.n)
        finally:
            self._wrote_gradients()
        self.state, self.drawn = (*lowered.mode, "spent"), lowered.program.rng_state

    def _forward(self, is_train):
        mode = (is_train, True if is_train and self.wants_gradients() else None)
        lowered = self.program(mode)
        self._run_forward(lowered)
        self.state, self.drawn = mode, lowered.program.rng_state

    def warm_up(self, is_train):
        """Make the program of a mode and have the device ready to launch it; no array outside the arena changes."""
        self._alone(self._warm_up, is_train)

    def _warm_up(self, is_train):
        lowered = self.program((is_train, True if is_train and self.wants_gradients() else None))
        if self._device() is None:
            return
        program, self.state, self.arena.last = lowered.program, None, None      # what the arena held is gone
        try:
            for begin, end in ((0, program.boundary), (program.once, program.boundary), (program.boundary, program.n)):
                program.prepare(begin, end)
        except REFERENCE_ERRORS as e:
            raise self._node_error(lowered, program.failed_at, f"{type(e).__name__}: {e}") from e

    def _run_forward(self, lowered, redraw=True, end=None):
        """The forward half, or all up to step `end`; what is prepared from parameters only where one has changed."""
        program, watch = lowered.program, lowered.watch
        begin = program.once
        if watch is not None and watch.changed():
            # Noted before the run: what somebody writes meanwhile is seen the next time.
            begin, now = 0, watch.now()
            watch.note(None)
        self._run(lowered, begin, program.boundary if end is None else end, redraw)
        if begin == 0 and watch is not None:
            watch.note(now)

    def _backward(self, head_grads, is_train):
        forward_train = True if self.state is None else self.state[0]
        mode = (forward_train, is_train)
        lowered, given_arrays, lent = self.program(mode), [], []
        for i in lowered.head_grads:
            given = head_grads[i] if i < len(head_grads) else None
            if given is None:
                node = self.entries[i][0]
                raise MXNetError(f"backward: output {i} ({node.name!r}) is not a loss, so backward() needs its head "
                                 f"gradient: backward(out_grads=[...]); or end the graph with MakeLoss"
                                 + where_text(node))
            if given.shape != self.outputs[i].shape:
                raise MXNetError(f"backward: the head gradient of output {i} has shape {given.shape}, the output "
                                 f"{self.outputs[i].shape}")
            given_arrays.append((self.head_grad_arrays[i], given))
        try:
            for own, given in given_arrays:
                span = (own.address, own.size * _itemsize(own), given.address)
                if span[1] >= LEND_FROM and own.dtype_name == given.dtype_name and lowered.program.redirect(*span):
                    lent.append(span)
                else:
                    own.copy_from(given)
            if self.state != mode or self.arena.last is not self.token:
                # The activations that this backward reads are not in the arena (the forward ran another program, an
                # earlier backward or a sharer of the arena wrote over them): compute them again, with the same random
                # numbers.
                if self.drawn is not None:
                    lowered.program.rng_state = self.drawn
                self._run_forward(lowered, redraw=self.drawn is None)
            self._run(lowered, lowered.program.boundary, lowered.program.n, redraw=False)
        finally:
            for own, nbytes, given in lent:
                lowered.program.redirect(given, nbytes, own)
            self._wrote_gradients()
        self.state = (*mode, "spent")

    def _wrote_gradients(self):
        """Gradients and auxiliary states were written: so was each memory that they lie in, often one for many."""
        if self.written is None:
            arrays = [a for a, req in zip(self.grads, self.reqs) if a is not None and req != "null"] + self.aux
            self.written = list({id(a.storage): a.storage for a in arrays}.values())
        for storage in self.written:
            storage.version += 1

    def _run(self, lowered, begin, end, redraw=True):
        self.arena.last = self.token
        try:
            failed = lowered.program.run(begin, end, redraw)
        except REFERENCE_ERRORS as e:
            self.state = None
            raise self._node_error(lowered, lowered.program.failed_at, f"{type(e).__name__}: {e}") from e
        except BaseException:
            self.state = None
            raise
        finally:                    # half written counts as written
            for array in self.outputs:
                array.touched()
            for array in lowered.moved:
                array.touched()
        if failed >= 0:
            self.state = None
            code = lowered.program.failed_code
            raise self._node_error(lowered, failed, CODES.get(code, f"kernel error {code}"))

    def _node_error(self, lowered, at, text):
        draft, row = lowered.draft, lowered.program.rows[at]
        node = draft.nodes[row]
        return node_error(node, labels_of(node), [f"{draft.shapes[e]} {draft.dtypes[e]}" for e in draft.ins[row]], text)

    # -- monitoring -------------------------------------------------------------------------------------------------

    def _pin_all(self, g, shapes, dtypes, pinned, every_entry):
        for row, node in enumerate(g.nodes):
            for i in range(node.n_out):
                e = g.row_ptr[row] + i
                if e not in pinned:
                    pinned[e] = _nd.empty(shapes[e], dtypes[e], self._context_of(node))
                every_entry[e] = pinned[e]

    def forward_monitored(self, is_train):
        """Run the forward with every entry in memory of its own; then gives (node, output index, copy of the array) of
        every output, hidden ones too, and two times None, in execution order; before a node's outputs the same of its
        inputs, with the node and the input's label at the end."""
        return self._alone(self._forward_monitored, is_train)

    def _forward_monitored(self, is_train):
        key = is_train, epoch()
        if key not in self.monitored:
            entries = {}
            self.monitored = {k: v for k, v in self.monitored.items() if k[1] == key[1]}
            self.monitored[key] = self._lower((is_train, None), entries), entries
        lowered, entries = self.monitored[key]
        self._run(lowered, 0, lowered.program.n)
        self.state, self.drawn = (is_train, None), lowered.program.rng_state
        draft = lowered.draft
        out = []
        for row, node in enumerate(draft.nodes):
            if node.op is None:
                continue
            for label, (child, i), e in zip(input_labels(node), node.inputs, draft.ins[row]):
                out.append((child, i, duplicate(entries[e]), node, label))
            for i, e in enumerate(draft.outs[row]):
                out.append((node, i, duplicate(entries[e]), None, None))
        return out

    # -- telling ----------------------------------------------------------------------------------------------------

    def mode_named(self, name):
        """'train' or 'infer' as a mode; None: the training one where there are gradients."""
        if name not in (None, "train", "infer"):
            raise MXNetError(f"there is no program {name!r}: 'train' or 'infer'")
        if name == "infer" or (name is None and not self.wants_gradients()):
            return (False, None)
        return (True, True if self.wants_gradients() else None)

    def memory_plan(self, mode=None):
        """What the planner decided for a program ('train' where there are gradients), in bytes: a dict. A graph placed
        over several contexts also has ``contexts``: such a dict for each of them by its name."""
        lowered = self.program(self.mode_named(mode))
        p = lowered.plan
        out = self._bytes(p.entry_bytes, p.lower_bound, p.workspace_bytes, p.arena_bytes, None)
        out["prepared"] = lowered.cached_bytes
        if lowered.draft.contexts is not None:
            arenas = list(dict.fromkeys(lowered.draft.contexts))
            out["contexts"] = {
                str(c): self._bytes(a["entry_bytes"], a["lower_bound"], a["workspace_bytes"], a["arena_bytes"], c)
                for c, a in zip(arenas, p.arenas)}
        return out

    def _bytes(self, entries, bound, workspace, arena, context):
        def total(arrays):
            return sum([a.size * _itemsize(a) for a in arrays if a is not None and (context is None
                                                                                   or a.context is context)])
        outputs = total({a.address: a for a, (n, _) in zip(self.outputs, self.entries) if n.op is not None}.values())
        return {"entries": entries, "outputs": outputs, "planned": entries + outputs, "lower_bound": bound + outputs,
                "workspace": workspace, "arena": arena, "head_gradients": total(self.head_grad_arrays.values()),
                "arguments": total(self.args), "gradients": total(self.grads), "auxiliary": total(self.aux)}


def _itemsize(array):
    return ITEMSIZE[array.dtype_name]


def duplicate(array):
    """A copy of `array` in memory of its own."""
    out = _nd.empty(array.shape, array.dtype_name, array.context)
    out.copy_from(array)
    return out
