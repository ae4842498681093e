"""Recurrent layers by cuDNN's C interface (``cudnnRNNForward`` and its gradients), under the CPU's ``rnn.forward`` and
``rnn.backward``.

Left to the reference: dropout between layers while training (its numbers must be the CPU's), sequence lengths (cuDNN
wants them on the host), clipped cells. cuDNN has its gates in MXNet's order; where its vector of weights as a whole is
in another one, pieces are copied.
"""
import threading
from ctypes import addressof, byref, c_float, c_int, c_size_t, c_uint32, c_uint64, c_void_p, sizeof

from .._core.dtypes import ITEMSIZE
from . import _libs
from .arena import ALIGN, align, row_major
from .libraries import Call, LibraryPlan
from .lt import tf32

CELLS = ("rnn_relu", "rnn_tanh", "lstm", "gru")         # cudnnRNNMode_t, and the numbers in the kernels' arguments
GATES = (1, 1, 4, 3)
DATA = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 9}        # cudnnDataType_t
FLOAT = 0
ALGO_STANDARD, DOUBLE_BIAS, LINEAR_INPUT, NOT_PADDED = 0, 2, 0, 0       # what SEQ_MAJOR_PACKED is made for
DEFAULT_MATH, TENSOR_OP_MATH, FMA_MATH = 0, 1, 3
SEQ_MAJOR_PACKED = 1
INFERENCE, TRAINING = 0, 1
WGRAD_ADD = 0
PROJECTION = 8                  # linLayerID of an lstm's projection
LSTM = 2


def blocks(a):
    """MXNet's vector of parameters: [(layer * directions + direction, name, first element, rows, columns)]. All
    matrices come first, then all biases."""
    g, h = GATES[a["mode"]], a["hidden"]
    r = a["projection"] or h
    out, at = [], 0

    def put(cell, name, rows, columns):
        nonlocal at
        out.append((cell, name, at, rows, columns))
        at += rows * columns
    cells = range(a["layers"] * a["directions"])
    for cell in cells:
        put(cell, "i2h", g * h, a["inputs"] if cell < a["directions"] else a["directions"] * r)
        put(cell, "h2h", g * h, r)
        if a["projection"]:
            put(cell, "h2r", r, h)
    for cell in cells:
        put(cell, "i2h_bias", g * h, 1)
        put(cell, "h2h_bias", g * h, 1)
    return out


def pieces(a):
    """[(cell, cuDNN's number of the matrix, whether its bias, first element in MXNet's vector, elements)]."""
    g, h, out = GATES[a["mode"]], a["hidden"], []
    for cell, name, at, rows, columns in blocks(a):
        if name == "h2r":
            out.append((cell, PROJECTION, False, at, rows * columns))
            continue
        for gate in range(g):
            out.append((cell, gate + g * name.startswith("h2h"), name.endswith("bias"), at + gate * h * columns,
                        h * columns))
    return out


def merged(moves):
    """Copies (from, to, elements) with neighbours joined."""
    out = []
    for source, target, n in sorted(moves):
        if out and out[-1][0] + out[-1][2] == source and out[-1][1] + out[-1][2] == target:
            out[-1] = (*out[-1][:2], out[-1][2] + n)
        elif n:
            out.append((source, target, n))
    return out


class NotSupported(RuntimeError):
    """This cuDNN does not have what was asked for."""


def check(status, what):
    if 3000 <= status < 4000:       # CUDNN_STATUS_NOT_SUPPORTED and its kinds
        raise NotSupported(f"cudnn{what} returned {status}")
    if status:
        raise RuntimeError(f"cudnn{what} returned {status}")


class Layers:
    """cuDNN's descriptors of a call, and what it says about memory: ``weights``, ``work``, ``reserve`` bytes,
    ``moves`` between MXNet's vector of parameters and cuDNN's. ``lengths``: memory of the device that says of every
    sequence how long it is, given from outside."""

    lengths = None

    def __init__(self, lib, handle, a, dtype):
        self.lib, self.made, self.a, self.dtype, self.size = lib, [], a, dtype, ITEMSIZE[dtype]
        t, n, h, kind = a["steps"], a["batch"], a["hidden"], DATA[dtype]
        r = a["projection"] or h
        dropout = self._make("Dropout")         # none: that needs no states, but has to be said
        check(lib.cudnnSetDropoutDescriptor(dropout, handle, c_float(0), c_void_p(), c_size_t(0), c_uint64(0)),
              "SetDropoutDescriptor")
        self.rnn = self._make("RNN")
        if ITEMSIZE[dtype] == 2:
            precision, math = FLOAT, TENSOR_OP_MATH
        else:
            # The default lets float32 round to TF32; of float64 there is only the default.
            precision, math = kind, FMA_MATH if dtype == "float32" and not tf32() else DEFAULT_MATH
        check(lib.cudnnSetRNNDescriptor_v8(
            self.rnn, c_int(ALGO_STANDARD), c_int(a["mode"]), c_int(DOUBLE_BIAS), c_int(a["directions"] - 1),
            c_int(LINEAR_INPUT), c_int(kind), c_int(precision), c_int(math), c_int(a["inputs"]), c_int(h), c_int(r),
            c_int(a["layers"]), dropout, c_uint32(NOT_PADDED)), "SetRNNDescriptor_v8")
        self.x = self._sequence(kind, t, n, a["inputs"])
        self.y = self._sequence(kind, t, n, a["directions"] * r)
        self.h = self._tensor(kind, (a["layers"] * a["directions"], n, r))
        self.c = self._tensor(kind, (a["layers"] * a["directions"], n, h))
        size = c_size_t()
        check(lib.cudnnGetRNNWeightSpaceSize(handle, self.rnn, byref(size)), "GetRNNWeightSpaceSize")
        self.weights = size.value
        self.work, self.reserve = {}, {}
        for mode in (INFERENCE, TRAINING):
            work, reserve = c_size_t(), c_size_t()
            check(lib.cudnnGetRNNTempSpaceSizes(handle, self.rnn, c_int(mode), self.x, byref(work), byref(reserve)),
                  "GetRNNTempSpaceSizes")
            self.work[mode], self.reserve[mode] = work.value, reserve.value
        self.moves = merged(self._moves(handle))

    def _make(self, what):
        made = c_void_p()
        check(getattr(self.lib, f"cudnnCreate{what}Descriptor")(byref(made)), f"Create{what}Descriptor")
        self.made.append((what, made))
        return made

    def _sequence(self, kind, t, n, size):
        made, lengths = self._make("RNNData"), (c_int * n)(*[t] * n)
        check(self.lib.cudnnSetRNNDataDescriptor(made, c_int(kind), c_int(SEQ_MAJOR_PACKED), c_int(t), c_int(n),
                                                 c_int(size), lengths, c_void_p()), "SetRNNDataDescriptor")
        return made

    def _tensor(self, kind, shape):
        made, axes = self._make("Tensor"), c_int * len(shape)
        check(self.lib.cudnnSetTensorNdDescriptor(made, c_int(kind), c_int(len(shape)), axes(*shape),
                                                  axes(*row_major(shape))), "SetTensorNdDescriptor")
        return made

    def _moves(self, handle):
        """(element of MXNet's vector, element of cuDNN's, elements) of all pieces; cuDNN only counts addresses."""
        base, out = 1 << 20, []
        matrix, bias = self._make("Tensor"), self._make("Tensor")
        for cell, number, is_bias, at, n in pieces(self.a):
            first, second = c_void_p(), c_void_p()
            check(self.lib.cudnnGetRNNWeightParams(
                handle, self.rnn, c_int(cell), c_size_t(self.weights), c_void_p(base), c_int(number), matrix,
                byref(first), bias, byref(second)), "GetRNNWeightParams")
            address = (second if is_bias else first).value
            if address is None:
                raise RuntimeError(f"cuDNN has no {'bias' if is_bias else 'matrix'} {number} of cell {cell}")
            out.append((at, (address - base) // self.size, n))
        return out

    @property
    def lengths_at(self):
        """Where the device has the length of every sequence, as an argument."""
        return null(self.lengths.ptr)

    @property
    def same_order(self):
        """Whether cuDNN's vector is MXNet's: then no piece is copied."""
        return len(self.moves) == 1 and self.moves[0][:2] == (0, 0) and self.moves[0][2] * self.size == self.weights

    def __del__(self):
        while self.made:
            what, made = self.made.pop()
            getattr(self.lib, f"cudnnDestroy{what}Descriptor")(made)


class Rnn:
    """libcudnn's recurrent layers on one device."""

    def __init__(self, lib, device):
        self.lib, self.device, self.layers, self.lock = lib, device, {}, threading.Lock()
        self.handle = c_void_p()
        with device.use():
            check(lib.cudnnCreate(byref(self.handle)), "Create")
            check(lib.cudnnSetStream(self.handle, c_void_p(device.stream.ptr)), "SetStream")

    def of(self, a, dtype):
        """The :class:`Layers` of a call; None where this cuDNN has none (bfloat16 came late)."""
        key = (dtype, tf32(), *(a[k] for k in ("mode", "layers", "directions", "steps", "batch", "inputs", "hidden",
                                               "projection")))
        with self.lock:
            if key not in self.layers:
                with self.device.use():
                    try:
                        made = Layers(self.lib, self.handle, a, dtype)
                        made.lengths = self._lengths(a["steps"], a["batch"])
                    except NotSupported:
                        made = None
                    self.layers[key] = made
            return self.layers[key]

    def _lengths(self, steps, batch):
        """Memory of the device with the length of every sequence: not every cuDNN does without."""
        values = (c_int * batch)(*[steps] * batch)
        memory = self.device.alloc(sizeof(values))
        self.device.upload(memory.ptr, addressof(values), sizeof(values))
        return memory


def library(device):
    """The :class:`Rnn` of a device, made on first use. Raises Missing."""
    if "rnn" not in device.libraries:
        lib = _libs.load("cudnn")
        for name in ("Forward", "BackwardData_v8", "BackwardWeights_v8"):
            getattr(lib, f"cudnnRNN{name}").restype = c_int
        device.libraries["rnn"] = Rnn(lib, device)
    return device.libraries["rnn"]


class Notes:
    """What forward leaves for backward in the hidden output ``saved``: cuDNN's reserve, and copies of the output and of
    the first states, which backward wants again and the record does not give it."""

    def __init__(self, layers):
        a, size = layers.a, layers.size
        cells = a["layers"] * a["directions"] * a["batch"]
        r = a["projection"] or a["hidden"]
        self.y_bytes = a["steps"] * a["batch"] * a["directions"] * r * size
        self.h_bytes, self.c_bytes = cells * r * size, cells * a["hidden"] * size * (a["mode"] == LSTM)
        self.y = align(layers.reserve[TRAINING])
        self.h = self.y + align(self.y_bytes)
        self.c = self.h + align(self.h_bytes)
        self.nbytes = self.c + align(self.c_bytes) + ALIGN          # what starts it may be aligned to less

    def elements(self, size):
        return -(-self.nbytes // size)


def covered(a, dtype, is_train):
    """Whether cuDNN computes what the record says."""
    if dtype not in DATA or a["use_length"] or a["clip"]:
        return False
    if min(a["steps"], a["batch"], a["inputs"]) == 0:
        return False
    return not (is_train and a["threshold"] and a["layers"] > 1)


def null(address=0):
    return c_void_p(address or None)


def _copies(device, moves, size, source, target, back=False):
    """Calls that bring pieces of a vector of parameters into the other order."""
    def run(stream):
        for mine, theirs, n in moves:
            a, b = (theirs, mine) if back else (mine, theirs)
            device.copy(target + b * size, source + a * size, n * size)
    return Call(run, f"{len(moves)} copies of parameters")


def forward(device, args, ins, outs, context):
    """``rnn.forward``: data, parameters, state, [state_cell] -> output, [last states], saved."""
    a, data, saved = args, ins[0], outs[-1]
    if not covered(a, data.dtype, context["is_train"]) or not outs[0].address:
        return None
    lib = library(device)
    layers = lib.of(a, data.dtype)
    if layers is None:
        return None
    notes, size, lstm = Notes(layers), layers.size, a["mode"] == LSTM
    keeps = bool(saved.address)
    mode = TRAINING if keeps else INFERENCE
    vector = 0 if layers.same_order else align(layers.weights)

    def launches(work):
        out, weights = [], ins[1].address
        if vector:
            out.append(_copies(device, layers.moves, size, ins[1].address, work))
            weights = work
        note = align(saved.address)
        first = [t.address for t in ins[2:3 + lstm]] + [0] * (not lstm)
        last = [t.address for t in outs[1:-1]] if a["state_outputs"] else []
        last += [0] * (2 - len(last))
        given = (lib.handle, layers.rnn, c_int(mode), layers.lengths_at, layers.x, null(data.address), layers.y,
                 null(outs[0].address), layers.h, null(first[0]), null(last[0]), layers.c, null(first[1]),
                 null(last[1]), c_size_t(layers.weights), null(weights), c_size_t(layers.work[mode]),
                 null(work + vector), c_size_t(layers.reserve[mode]), null(note if keeps else 0))

        def run(stream):
            check(lib.lib.cudnnRNNForward(*given), "RNNForward")
            if keeps:
                device.copy(note + notes.y, outs[0].address, notes.y_bytes)
                device.copy(note + notes.h, first[0], notes.h_bytes)
                device.copy(note + notes.c, first[1], notes.c_bytes)
        return [*out, Call(run, f"{CELLS[a['mode']]} forward", layers)]
    # What is too small for its notes is told to become larger; once it is, nothing more is asked for.
    grow = {len(outs) - 1: notes.elements(size)} if keeps else None
    return LibraryPlan("cuDNN", launches, vector + align(layers.work[mode]), grow)


def backward(device, args, ins, outs, context):
    """``rnn.backward``: dy, [gradients of last states], data, parameters, saved -> dparameters, ddata, dstate,
    [dstate_cell]."""
    a, lstm = args, args["mode"] == LSTM
    heads = 1 + (1 + lstm) * a["state_outputs"]
    data, parameters, saved = ins[heads], ins[heads + 1], ins[-1]
    if not covered(a, data.dtype, context["is_train"]):
        return None
    lib = library(device)
    layers = lib.of(a, data.dtype)
    if layers is None:
        return None
    notes, size = Notes(layers), layers.size
    vector = 0 if layers.same_order else align(layers.weights)
    ddata, dstates = outs[1], outs[2:]
    scratch_x = 0 if ddata.address else align(ddata.nbytes)         # cuDNN always writes it
    dvector = align(layers.weights) if vector or not outs[0].address else 0

    def launches(work):
        out, note = [], align(saved.address)
        weights, dweights = parameters.address, outs[0].address
        after = work + vector + dvector + scratch_x
        if vector:
            weights = work
            out.append(_copies(device, layers.moves, size, parameters.address, work))
        if dvector:
            dweights = work + vector
        dx = ddata.address or work + vector + dvector
        dlast = [t.address for t in ins[1:heads]] + [0] * (3 - heads)
        dfirst = [t.address for t in dstates] + [0] * (2 - len(dstates))
        room = (c_size_t(layers.work[TRAINING]), null(after), c_size_t(layers.reserve[TRAINING]), null(note))
        cx = notes.c + note if lstm else 0
        for_data = (lib.handle, layers.rnn, layers.lengths_at, layers.y, null(note + notes.y), null(ins[0].address),
                    layers.x, null(dx), layers.h, null(note + notes.h), null(dlast[0]), null(dfirst[0]), layers.c,
                    null(cx), null(dlast[1]), null(dfirst[1]), c_size_t(layers.weights), null(weights), *room)
        for_weights = (lib.handle, layers.rnn, c_int(WGRAD_ADD), layers.lengths_at, layers.x, null(data.address),
                       layers.h, null(note + notes.h), layers.y, null(note + notes.y), c_size_t(layers.weights),
                       null(dweights), *room)

        def run(stream):
            # Backward of the data first: it leaves in the reserve what the weights' gradient reads.
            check(lib.lib.cudnnRNNBackwardData_v8(*for_data), "RNNBackwardData_v8")
            if outs[0].address:
                device.fill(dweights, 0, layers.weights)        # it only adds
                check(lib.lib.cudnnRNNBackwardWeights_v8(*for_weights), "RNNBackwardWeights_v8")
        out.append(Call(run, f"{CELLS[a['mode']]} backward", layers))
        if vector and outs[0].address:
            out.append(_copies(device, layers.moves, size, dweights, outs[0].address, back=True))
        return out
    return LibraryPlan("cuDNN", launches, vector + dvector + scratch_x + align(layers.work[TRAINING]))
