"""The recurrent layers of :mod:`mxlite.ops.rnn` in NumPy terms: the truth that kernels and gradients are measured by.

What forward saves for backward is one flat vector. Layer by layer and direction by direction it holds the gates after
their activations (lstm, gru), the states of all steps with the first one, the cells of all steps likewise (lstm), and
the recurrent half of gru's candidate; behind all of those the inputs of the layers above the first, where they are no
piece of the states. A state of the reverse direction stands at the index of the step that made it, its first state at
the end.
"""
from .dot import wide
from .index import integers
from .random import threshold

GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}


class Sizes:
    """The numbers of a call: steps `t`, batch `n`, hidden `h`, size of a state `r` (smaller than `h` where it is a
    projection), gates `g`, directions `d`, layers."""

    def __init__(self, p, data):
        self.t, self.n, self.i = data
        self.h, self.r = p.state_size, p.projection_size or p.state_size
        self.g, self.d, self.layers = GATES[p.mode], 1 + p.bidirectional, p.num_layers
        self.lstm, self.gru, self.projected = p.mode == "lstm", p.mode == "gru", bool(p.projection_size)

    def inputs(self, layer):
        return self.i if layer == 0 else self.d * self.r


def blocks(s):
    """Shapes of the parts of the parameter vector, in order: [(layer, direction, name, shape)]. All matrices come
    first, then all biases."""
    cells = [(layer, d) for layer in range(s.layers) for d in range(s.d)]
    found = []
    for layer, d in cells:
        found += [(layer, d, "i2h", (s.g * s.h, s.inputs(layer))), (layer, d, "h2h", (s.g * s.h, s.r))]
        if s.projected:
            found.append((layer, d, "h2r", (s.r, s.h)))
    for layer, d in cells:
        found += [(layer, d, "i2h_bias", (s.g * s.h,)), (layer, d, "h2h_bias", (s.g * s.h,))]
    return found


def saved_shapes(s, joined):
    """Shapes of the parts of what forward saves: [(layer, direction, name, shape)]."""
    found = []
    for layer in range(s.layers):
        for d in range(s.d):
            if s.lstm or s.gru:
                found.append((layer, d, "gates", (s.t, s.n, s.g * s.h)))
            found.append((layer, d, "states", (s.t + 1, s.n, s.r)))
            if s.lstm:
                found.append((layer, d, "cells", (s.t + 1, s.n, s.h)))
            if s.gru:
                found.append((layer, d, "recurrent", (s.t, s.n, s.h)))
    if joined:
        found += [(layer, 0, "input", (s.t, s.n, s.inputs(layer))) for layer in range(1, s.layers)]
    return found


def count(parts):
    """How many numbers parts of these shapes hold."""
    total = 0
    for *_, shape in parts:
        n = 1
        for d in shape:
            n *= d
        total += n
    return total


def cut(flat, parts):
    """A flat vector as views of its parts: {(layer, direction, name): array}."""
    views, at = {}, 0
    for layer, d, name, shape in parts:
        n = count([(shape,)])
        views[layer, d, name] = flat[at:at + n].reshape(shape)
        at += n
    return views


def sigmoid(xp, x):
    e = xp.exp(-abs(x))
    return xp.where(x < 0, e, xp.ones_like(e)) / (1 + e)


def clipped(xp, p, c):
    """The cell within its limits, and where that changed nothing."""
    if p.lstm_state_clip_min is None and p.lstm_state_clip_max is None:
        return c, xp.ones(c.shape, "bool")
    low = -float("inf") if p.lstm_state_clip_min is None else p.lstm_state_clip_min
    high = float("inf") if p.lstm_state_clip_max is None else p.lstm_state_clip_max
    low, high = c.dtype.type(low), c.dtype.type(high)
    out = xp.where(c < low, low, xp.where(c > high, high, c))
    free = (c >= low) & (c <= high) | xp.isnan(c)
    if p.lstm_state_clip_nan:
        out, free = xp.where(xp.isnan(c), low, out), free & ~xp.isnan(c)
    return out, free


def mask(xp, p, s, rng, is_train, dtype):
    """The factors of dropout between layers: (layers - 1, steps, batch, inputs), or None."""
    if not (is_train and p.p > 0 and s.layers > 1):
        return None
    shape = (s.layers - 1, s.t, s.n, s.d * s.r)
    keep = rng.bits(count([(shape,)])).astype("uint64") >= xp.uint64(threshold(p))
    return keep.reshape(shape) * dtype.type(1 / (1 - p.p) if p.p < 1 else 0)


def steps_of(s, d):
    """[(step, index of the state before it, index of the state it makes)] in the order of direction `d`."""
    return [(t, t, t + 1) for t in range(s.t)] if d == 0 else [(t, t + 1, t) for t in reversed(range(s.t))]


def alive(xp, p, s, lengths):
    """(steps, batch, 1): whether a step is within its sequence."""
    n = xp.full(s.n, s.t) if lengths is None else xp.clip(integers(xp, lengths), 0, s.t)
    return (xp.arange(s.t)[:, None] < n)[:, :, None]


def forward(xp, p, joined, data, parameters, state, cell, lengths, rng, is_train):
    """(output, last states, last cells or None, saved)."""
    s, kind = Sizes(p, data.shape), data.dtype
    data, parameters, state = wide(xp, data), wide(xp, parameters), wide(xp, state)
    w = cut(parameters, blocks(s))
    parts = saved_shapes(s, joined)
    saved = xp.zeros(count(parts), data.dtype)
    keep, live = cut(saved, parts), alive(xp, p, s, lengths)
    factors = mask(xp, p, s, rng, is_train, data.dtype)
    last, last_cell, x = xp.zeros(state.shape, data.dtype), None, data
    if s.lstm:
        cell = wide(xp, cell)
        last_cell = xp.zeros(cell.shape, data.dtype)
    for layer in range(s.layers):
        if layer:
            if factors is not None:
                x = x * factors[layer - 1]
            if joined:
                keep[layer, 0, "input"][...] = x
        y = xp.zeros((s.t, s.n, s.d * s.r), data.dtype)
        for d in range(s.d):
            at, part = layer * s.d + d, {k[2]: v for k, v in keep.items() if k[:2] == (layer, d)}
            mine = {k[2]: v for k, v in w.items() if k[:2] == (layer, d)}
            h, c = state[at], cell[at] if s.lstm else None
            first = 0 if d == 0 else s.t
            part["states"][first] = h
            if s.lstm:
                part["cells"][first] = c
            for t, _, after in steps_of(s, d):
                a = x[t] @ mine["i2h"].T + mine["i2h_bias"]
                b = h @ mine["h2h"].T + mine["h2h_bias"]
                if s.lstm:
                    i, f, u, o = xp.split(a + b, 4, axis=1)
                    i, f, u, o = sigmoid(xp, i), sigmoid(xp, f), xp.tanh(u), sigmoid(xp, o)
                    part["gates"][t] = xp.concatenate([i, f, u, o], axis=1)
                    c_new, _ = clipped(xp, p, f * c + i * u)
                    h_new = o * xp.tanh(c_new)
                    if s.projected:
                        h_new = h_new @ mine["h2r"].T
                    c = xp.where(live[t], c_new, c)
                    part["cells"][after] = c
                elif s.gru:
                    (ar, az, an), (br, bz, bn) = xp.split(a, 3, axis=1), xp.split(b, 3, axis=1)
                    r, z = sigmoid(xp, ar + br), sigmoid(xp, az + bz)
                    u = xp.tanh(an + r * bn)
                    part["gates"][t] = xp.concatenate([r, z, u], axis=1)
                    part["recurrent"][t] = bn
                    h_new = u + z * (h - u)
                elif p.mode == "rnn_tanh":
                    h_new = xp.tanh(a + b)
                else:
                    h_new = xp.where(a + b < 0, 0, a + b)       # NaN stays NaN
                h = xp.where(live[t], h_new, h)
                part["states"][after] = h
                y[t, :, d * s.r:(d + 1) * s.r] = xp.where(live[t], h_new, 0)
            last[at] = h
            if s.lstm:
                last_cell[at] = c
        x = y
    outs = [x, last, last_cell, saved]
    return [None if v is None else v.astype(kind, copy=False) for v in outs]


def backward(xp, p, joined, dy, dlast, dlast_cell, data, parameters, lengths, saved, rng, is_train):
    """(gradients of parameters, data, first states, first cells or None); `dlast` and `dlast_cell` may be None."""
    s, kind = Sizes(p, data.shape), data.dtype
    dy, data, parameters, saved = (wide(xp, v) for v in (dy, data, parameters, saved))
    w, dw = cut(parameters, blocks(s)), xp.zeros(parameters.shape, data.dtype)
    grads, live = cut(dw, blocks(s)), alive(xp, p, s, lengths)
    keep, factors = cut(saved, saved_shapes(s, joined)), mask(xp, p, s, rng, is_train, data.dtype)
    first = xp.zeros((s.layers * s.d, s.n, s.r), data.dtype)
    first_cell = xp.zeros((s.layers * s.d, s.n, s.h), data.dtype) if s.lstm else None
    for layer in reversed(range(s.layers)):
        if layer == 0:
            x = data
        elif joined:
            x = keep[layer, 0, "input"]
        else:
            x = keep[layer - 1, 0, "states"][1:]
        dx = xp.zeros(x.shape, data.dtype)
        for d in range(s.d):
            at, part = layer * s.d + d, {k[2]: v for k, v in keep.items() if k[:2] == (layer, d)}
            mine = {k[2]: v for k, v in w.items() if k[:2] == (layer, d)}
            out = {k[2]: v for k, v in grads.items() if k[:2] == (layer, d)}
            dh = xp.zeros((s.n, s.r), data.dtype) if dlast is None else wide(xp, dlast)[at]
            dc = xp.zeros((s.n, s.h), data.dtype) if dlast_cell is None else wide(xp, dlast_cell)[at]
            for t, before, after in reversed(steps_of(s, d)):
                on = live[t]
                g = xp.where(on, dh + dy[t, :, d * s.r:(d + 1) * s.r], 0)
                rest, h = xp.where(on, 0, dh), part["states"][before]
                if s.lstm:
                    i, f, u, o = xp.split(part["gates"][t], 4, axis=1)
                    c_old, tc = part["cells"][before], xp.tanh(part["cells"][after])
                    if s.projected:
                        out["h2r"][...] += g.T @ (o * tc)
                        g = g @ mine["h2r"]
                    _, free = clipped(xp, p, f * c_old + i * u)
                    whole = xp.where(free, dc + g * o * (1 - tc * tc), 0)
                    da = xp.concatenate([whole * u * i * (1 - i), whole * c_old * f * (1 - f),
                                         whole * i * (1 - u * u), g * tc * o * (1 - o)], axis=1)
                    da = db = xp.where(on, da, 0)
                    dc = xp.where(on, whole * f, dc)
                elif s.gru:
                    r, z, u = xp.split(part["gates"][t], 3, axis=1)
                    du = g * (1 - z) * (1 - u * u)
                    dr, dz = du * part["recurrent"][t] * r * (1 - r), g * (h - u) * z * (1 - z)
                    da, db = xp.concatenate([dr, dz, du], axis=1), xp.concatenate([dr, dz, du * r], axis=1)
                    rest = rest + g * z
                elif p.mode == "rnn_tanh":
                    da = db = g * (1 - part["states"][after] ** 2)
                else:
                    da = db = xp.where(part["states"][after] > 0, g, 0)
                out["i2h"][...] += da.T @ x[t]
                out["h2h"][...] += db.T @ h
                out["i2h_bias"][...] += da.sum(axis=0)
                out["h2h_bias"][...] += db.sum(axis=0)
                dx[t] += da @ mine["i2h"]
                dh = db @ mine["h2h"] + rest
            first[at] = dh
            if s.lstm:
                first_cell[at] = dc
        dy = dx if layer == 0 or factors is None else dx * factors[layer - 1]
    outs = [dw, dy, first, first_cell]
    return [None if v is None else v.astype(kind, copy=False) for v in outs]
