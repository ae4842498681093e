"""``nd.zeros``, ``nd.ones``, ``nd.full``, ``nd.arange``, ... with MXNet's signatures."""
from .._core import dtypes as _dtypes
from .ndarray import _op, _usable, empty


def _shape(shape):
    return (shape,) if hasattr(shape, "__index__") else tuple(shape)


def _name(dtype):
    return "float32" if dtype is None else _dtypes.name_of(dtype)


def zeros(shape, ctx=None, dtype=None, stype=None, out=None, **kwargs):
    """An array of zeros, float32 unless `dtype` says otherwise."""
    if stype not in (None, "default"):
        from .._core.errors import MXNetError
        raise MXNetError("sparse storage is not supported")
    new = empty(shape, ctx, dtype) if out is None else out
    new.fill_zero()
    return new


def ones(shape, ctx=None, dtype=None, out=None, **kwargs):
    """An array of ones, float32 unless `dtype` says otherwise."""
    return full(shape, 1, ctx, dtype, out)


def full(shape, val, ctx=None, dtype=None, out=None):
    """An array of `val`, float32 unless `dtype` says otherwise."""
    new = empty(shape, ctx, dtype) if out is None else out
    new[:] = val
    return new


def arange(start, stop=None, step=1.0, repeat=1, infer_range=None, ctx=None, dtype=None):
    """``start, start + step, ...`` below `stop`, each `repeat` times; one argument counts from 0."""
    if stop is None and not infer_range:
        start, stop = 0, start
    return _op("_arange")(start=start, stop=stop, step=step, repeat=repeat, infer_range=bool(infer_range),
                          dtype=_name(dtype), ctx=_usable(ctx))


def eye(N, M=0, k=0, ctx=None, dtype=None, **kwargs):
    """N rows and M (0: N) columns with ones on diagonal `k`."""
    return _op("_eye")(N=N, M=M, k=k, dtype=_name(dtype), ctx=_usable(ctx))


def linspace(start, stop, num, endpoint=True, ctx=None, dtype=None):
    """`num` values evenly spaced from `start` to `stop`."""
    return _op("_linspace")(start=start, stop=stop, num=num, endpoint=endpoint, dtype=_name(dtype), ctx=_usable(ctx))


def concatenate(arrays, axis=0, always_copy=True):
    """The arrays joined along `axis`."""
    arrays = list(arrays)
    if len(arrays) == 1 and not always_copy:
        return arrays[0]
    return _op("Concat")(*arrays, dim=axis)


def moveaxis(tensor, source, destination):
    """The array with axes `source` moved to `destination`, as NumPy's moveaxis."""
    source = [s % tensor.ndim for s in ([source] if isinstance(source, int) else source)]
    destination = [d % tensor.ndim for d in ([destination] if isinstance(destination, int) else destination)]
    axes = [a for a in range(tensor.ndim) if a not in source]
    for d, s in sorted(zip(destination, source)):
        axes.insert(d, s)
    return _op("transpose")(tensor, axes=tuple(axes))


def onehot_encode(indices, out):
    """Rows of `out` become one-hot for `indices`."""
    out[:] = _op("one_hot")(indices, depth=out.shape[1])
    return out


__all__ = ["zeros", "ones", "full", "arange", "eye", "linspace", "concatenate", "moveaxis", "onehot_encode"]
