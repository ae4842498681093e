"""libcudnn's recurrent layers for tests: a vector of weights in an order of its own, layers by the record's reference.

`scramble`: cuDNN's order differs from MXNet's; else it is the same.
"""
import ctypes

import numpy as np

from mxlite.gpu.resolve import narrow, widen
from mxlite.ops.record import RECORDS
from mxlite.ops.rnn import RNN

MODES = ("rnn_relu", "rnn_tanh", "lstm", "gru")
BFLOAT16 = 9
KINDS = {0: (np.float32, 4), 1: (np.float64, 8), 2: (np.float16, 2), BFLOAT16: (np.uint16, 2)}


def value(x):
    x = getattr(x, "_obj", x)
    return x.value if hasattr(x, "value") else x


class FakeRnn:
    xp, refuses = None, False

    def __init__(self, scramble=True, reserve=1000, work=500):
        self.scramble, self.reserve, self.work = scramble, reserve, work
        self.objects, self.live, self.set, self.calls = {}, 0, None, []
        for what in ("Dropout", "RNN", "RNNData", "Tensor"):
            setattr(self, f"cudnnCreate{what}Descriptor", self.create)
            setattr(self, f"cudnnDestroy{what}Descriptor", self.destroy)

    def create(self, made):
        made._obj.value = len(self.objects) + 1
        self.objects[made._obj.value] = None
        self.live += 1
        return 0

    def destroy(self, made):
        self.live -= 1

    def cudnnCreate(self, handle):
        handle._obj.value = 55
        return 0

    def cudnnSetStream(self, handle, stream):
        self.stream = value(stream)
        return 0

    def cudnnSetDropoutDescriptor(self, made, handle, p, states, nbytes, seed):
        assert (value(handle), value(p), value(states), value(nbytes)) == (55, 0, None, 0)
        self.objects[value(made)] = "no dropout"
        return 0

    def cudnnSetRNNDescriptor_v8(self, rnn, algo, cell, bias, direction, input_mode, kind, precision, math, inputs,
                                 hidden, projection, layers, dropout, flags):
        assert (value(algo), value(bias), value(input_mode), value(flags)) == (0, 2, 0, 0)
        assert self.objects[value(dropout)] == "no dropout"
        if self.refuses:
            return 3000
        self.set = dict(kind=value(kind), precision=value(precision), math=value(math))
        d, p = 1 + value(direction), value(projection)
        self.p = RNN.parse(dict(state_size=value(hidden), num_layers=value(layers), bidirectional=d == 2,
                                mode=MODES[value(cell)], state_outputs=True,
                                **({"projection_size": p} if p != value(hidden) else {})))
        self.inputs, self.kind = value(inputs), value(kind)
        return 0

    def cudnnSetRNNDataDescriptor(self, made, kind, layout, t, n, size, lengths, fill):
        assert value(layout) == 1 and list(lengths) == [value(t)] * value(n)
        self.objects[made.value] = (value(t), value(n), value(size))
        return 0

    def cudnnSetTensorNdDescriptor(self, made, kind, count, shape, strides):
        assert value(count) == 3
        self.objects[made.value] = tuple(shape)
        return 0

    # -- weights: what a piece is, and where each side has it -------------------------------------------------------

    def order(self):
        """[(cell, number, is bias, elements)] in MXNet's order."""
        g, h = {"lstm": 4, "gru": 3}.get(self.p.mode, 1), self.p.state_size
        d, out = 1 + self.p.bidirectional, []
        r = self.p.projection_size or h
        for cell in range(self.p.num_layers * d):
            wide = self.inputs if cell < d else d * r
            out += [(cell, k, False, h * wide) for k in range(g)] + [(cell, g + k, False, h * r) for k in range(g)]
            if self.p.projection_size:
                out.append((cell, 8, False, r * h))
        for cell in range(self.p.num_layers * d):
            out += [(cell, k, True, h) for k in range(2 * g)]
        return out

    def places(self):
        """piece -> (MXNet's first element, cuDNN's, elements)."""
        mine, out, at = {}, {}, 0
        for *piece, n in self.order():
            mine[tuple(piece)], at = (at, n), at + n
        pieces, at = list(mine), 0
        for piece in sorted(pieces, key=lambda q: (q[0], not q[2], -q[1])) if self.scramble else pieces:
            out[piece] = (mine[piece][0], at, mine[piece][1])
            at += mine[piece][1] + (5 if self.scramble else 0)      # cuDNN pads
        self.elements = at
        return out

    def cudnnGetRNNWeightSpaceSize(self, handle, rnn, size):
        assert value(handle) == 55
        self.places()
        size._obj.value = self.elements * KINDS[self.kind][1]
        return 0

    def cudnnGetRNNTempSpaceSizes(self, handle, rnn, mode, x, work, reserve):
        work._obj.value, reserve._obj.value = self.work, self.reserve if value(mode) == 1 else 0
        return 0

    def cudnnGetRNNWeightParams(self, handle, rnn, cell, size, base, number, matrix, first, bias, second):
        found = self.places()
        for is_bias, to in ((False, first), (True, second)):
            place = found.get((value(cell), value(number), is_bias))
            to._obj.value = None if place is None else value(base) + place[1] * KINDS[self.kind][1]
        return 0

    # -- running ------------------------------------------------------------------------------------------------------

    def array(self, address, shape):
        """What lies there; bfloat16 as float32, in memory of its own."""
        bits = self.bits(address, shape)
        return widen(np, bits) if self.kind == BFLOAT16 else bits

    def bits(self, address, shape):
        kind, size = KINDS[self.kind]
        n = int(np.prod(shape))
        return np.frombuffer((ctypes.c_char * (n * size)).from_address(value(address)), kind).reshape(shape)

    def write(self, address, shape, values):
        self.bits(address, shape)[...] = narrow(np, np.asarray(values)) if self.kind == BFLOAT16 else values

    def vector(self, address):
        """cuDNN's vector as MXNet's."""
        theirs, places = self.array(address, (self.elements,)), self.places()
        out = np.empty(sum(n for *_, n in places.values()), theirs.dtype)
        for mine, at, n in places.values():
            out[mine:mine + n] = theirs[at:at + n]
        return out

    def start(self, run, what):
        self.calls.append(what)
        if self.xp is None:
            run()
        else:
            self.xp.start(self.stream, run, "rnn")
        return 0

    def check_lengths(self, lengths, desc):
        steps, batch, _ = self.objects[desc.value]
        assert list((ctypes.c_int * batch).from_address(value(lengths))) == [steps] * batch

    def cudnnRNNForward(self, handle, rnn, mode, lengths, x_desc, x, y_desc, y, h_desc, hx, hy, c_desc, cx, cy, wsize,
                        weights, work_size, work, reserve_size, reserve):
        assert value(handle) == 55 and value(work_size) == self.work
        self.check_lengths(lengths, x_desc)
        assert value(reserve_size) == (self.reserve if value(mode) else 0)
        shapes = [self.objects[d.value] for d in (x_desc, y_desc, h_desc, c_desc)]
        x, y, hx, hy, cx, cy, weights, work, reserve = map(value, (x, y, hx, hy, cx, cy, weights, work, reserve))

        def run():
            cells = [self.array(cx, shapes[3])] if self.p.mode == "lstm" else []
            given = [self.array(x, shapes[0]), self.vector(weights), self.array(hx, shapes[2]), *cells]
            out = RNN.ref(np, self.p, *given, rng=None, is_train=False)
            self.write(y, shapes[1], out[0])
            for address, shape, last in zip((hy, cy), shapes[2:], out[1:-1]):
                if address:
                    self.write(address, shape, last)
            ctypes.memset(work, 0xEE, self.work)
            if reserve:
                ctypes.memset(reserve, 0x11, self.reserve)
        return self.start(run, "forward")

    def cudnnRNNBackwardData_v8(self, handle, rnn, lengths, y_desc, y, dy, x_desc, dx, h_desc, hx, dhy, dhx, c_desc, cx,
                                dcy, dcx, wsize, weights, work_size, work, reserve_size, reserve):
        self.check_lengths(lengths, x_desc)
        shapes = [self.objects[d.value] for d in (x_desc, y_desc, h_desc, c_desc)]
        y, dy, dx, hx, dhy, dhx, cx, dcy, dcx, weights, work, reserve = map(
            value, (y, dy, dx, hx, dhy, dhx, cx, dcy, dcx, weights, work, reserve))

        def run():
            assert ctypes.string_at(reserve, self.reserve) == b"\x11" * self.reserve, "not the reserve of forward"
            self.held = dict(y=self.array(y, shapes[1]).copy(), dy=self.array(dy, shapes[1]).copy(),
                             hx=self.array(hx, shapes[2]).copy(), vector=self.vector(weights), shapes=shapes)
            lstm = self.p.mode == "lstm"
            self.held["cx"] = self.array(cx, shapes[3]).copy() if lstm else None
            self.held["dlast"] = [self.array(a, s).copy() if a else np.zeros(s, self.held["dy"].dtype)
                                  for a, s in zip((dhy, dcy)[:1 + lstm], shapes[2:])]
            self.dx, self.targets = dx, [(a, s) for a, s in zip((dhx, dcx), shapes[2:]) if a]
            ctypes.memset(work, 0xEE, self.work)
        return self.start(run, "backward data")

    def cudnnRNNBackwardWeights_v8(self, handle, rnn, mode, lengths, x_desc, x, h_desc, hx, y_desc, y, wsize, dweights,
                                   work_size, work, reserve_size, reserve):
        assert value(mode) == 0, "only adding is supported"
        self.check_lengths(lengths, x_desc)
        x, dweights, shape = value(x), value(dweights), self.objects[x_desc.value]

        def run():
            held = self.held
            data = self.array(x, shape)
            cells = [held["cx"]] if held["cx"] is not None else []
            y, *_, saved = RNN.ref(np, self.p, data, held["vector"], held["hx"], *cells, rng=None, is_train=False)
            close = 1e-2 if self.kind == BFLOAT16 else 1e-4
            np.testing.assert_allclose(y, held["y"], rtol=close, atol=close / 10)
            made = RECORDS["_backward_RNN"].ref(np, self.p, held["dy"], *held["dlast"], data, held["vector"], saved,
                                                rng=None, is_train=False)
            theirs = self.array(dweights, (self.elements,))
            for mine, at, n in self.places().values():
                theirs[at:at + n] += made[0][mine:mine + n]
            self.write(dweights, (self.elements,), theirs)
            self.write(self.dx, shape, made[1])
            for (address, dims), d in zip(self.targets, made[2:]):
                self.write(address, dims, d)
            ctypes.memset(value(work), 0xEE, self.work)
        return self.start(run, "backward weights")
