"""Indexing while ``mx.autograd`` records: what was read or written, as operators that have gradients.

``x[key]`` and ``x[key] = value`` run on NumPy views, which no graph sees. Here they are told to the tape: a basic key
as ``slice`` and ``Reshape``, any other as ``take`` from the flat array; an assignment as ``scatter_nd`` of the new
values over what was there.
"""
import numpy as np

from .._core import tape as _tape
from .._core.errors import MXNetError
from .indexing import _set
from .ndarray import _op, array


def _note(name, inputs, out, **params):
    record = _op(name).record
    _tape.record_result(record, record.parse(params), inputs, out)


def note_get(x, key, out):
    """Record that `out` is ``x[key]``; `key` is in NumPy's terms."""
    listed = key if isinstance(key, tuple) else (key,)
    if all(k is None or k is Ellipsis or type(k) in (int, slice) for k in listed) and out.size:
        begin, end, step = _slices(listed, x.shape)
        lengths = tuple(len(range(*slice(b, e, s).indices(n))) for b, e, s, n in zip(begin, end, step, x.shape))
        if lengths == x.shape and all(s == 1 for s in step):
            _note("Reshape", (x,), out, shape=out.shape)
        elif lengths == out.shape:
            _note("slice", (x,), out, begin=begin, end=end, step=step)
        else:
            middle = out.part(0, lengths)
            _note("slice", (x,), middle, begin=begin, end=end, step=step)
            _note("Reshape", (middle,), out, shape=out.shape)
        return
    flat = x.part(0, (x.size,))
    _note("Reshape", (x,), flat, shape=(x.size,))
    _note("take", (flat, _index(x, _positions(x, key).reshape(out.shape))), out, axis=0, mode="clip")


def _slices(key, shape):
    """(begin, end, step) of the ``slice`` operator for a basic key: one entry an axis."""
    used = sum(k is not None and k is not Ellipsis for k in key)
    spread = []
    for k in key if any(k is Ellipsis for k in key) else (*key, Ellipsis):
        if k is Ellipsis:
            spread += [slice(None)] * (len(shape) - used)
        elif k is not None:
            spread.append(k)
    begin, end, step = [], [], []
    for k, n in zip(spread, shape):
        if type(k) is int:
            k = slice(k % n, k % n + 1)
        b, e, s = k.indices(n)
        begin.append(b)
        end.append(None if e < 0 else e)        # -1 behind the first element is no index, it is "to the end"
        step.append(s)
    return tuple(begin), tuple(end), tuple(step)


def _positions(x, key):
    """The flat positions that `key` selects, a NumPy array."""
    return np.asarray(np.arange(x.size, dtype=np.int64).reshape(x.shape)[key])


def _index(x, positions):
    return array(positions, ctx=x.context, dtype="int64")


def set_recorded(x, key, value, assign):
    """``x[key] = value`` for a recorded `value`; ``assign()`` writes it. MXNetError where a position is named twice."""
    positions = _positions(x, key)
    if np.unique(positions).size != positions.size:
        raise MXNetError("assigning a recorded array to positions that are named twice has no gradient")
    rest = x.copy()
    _set(rest.part(0, (rest.size,)), positions.reshape(-1), 0)
    assign()                                     # says what does not fit
    if value.dtype_name != x.dtype_name:
        value = value.astype(x.dtype_name)
    if positions.size == value.size:
        value = value.reshape((-1,))
    else:
        while value.ndim > positions.ndim:
            value = value.reshape(value.shape[1:])
        value = _op("broadcast_to")(value.reshape((1,) * (positions.ndim - value.ndim) + value.shape),
                                    shape=positions.shape).reshape((-1,))
    new = _op("scatter_nd")(value, _index(x, positions.reshape(1, -1)), shape=(x.size,)).reshape(x.shape) + rest
    _tape.adopt(x, new)
