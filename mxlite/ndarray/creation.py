"""``nd.zeros``, ``nd.ones``, ``nd.full``, ``nd.arange``, ... with MXNet's signatures."""
import numpy as np

from .._core import dtypes as _dtypes
from .._core.errors import MXNetError
from .ndarray import NDArray, _op, _usable, array, empty


def _shape(shape):
    return (shape,) if hasattr(shape, "__index__") else tuple(shape)


def _name(dtype):
    return "float32" if dtype is None else _dtypes.name_of(dtype)


def _no_more(name, kwargs):
    for k in kwargs:
        if k != "name":                     # which MXNet takes, and has no use for
            raise TypeError(f"{name} has no argument {k!r}")


def _fits(name, out, shape, dtype):
    """`out`, if it is what `name` would make."""
    if not isinstance(out, NDArray):
        raise TypeError(f"{name}: out must be an NDArray, got {type(out).__name__}")
    if out.shape != _shape(shape) or out.dtype_name != _name(dtype):
        raise MXNetError(f"{name}: out has shape {out.shape} and dtype {out.dtype_name}, the result {_shape(shape)} "
                         f"and {_name(dtype)}")
    return out


def zeros(shape, ctx=None, dtype=None, stype=None, out=None, **kwargs):
    """An array of zeros, float32 unless `dtype` says otherwise."""
    if stype not in (None, "default"):
        raise MXNetError("sparse storage is not supported")
    _no_more("zeros", kwargs)
    new = empty(shape, ctx, dtype) if out is None else _fits("zeros", out, shape, dtype)
    new.fill_zero()
    return new


def ones(shape, ctx=None, dtype=None, out=None, **kwargs):
    """An array of ones, float32 unless `dtype` says otherwise."""
    _no_more("ones", kwargs)
    if out is not None:
        _fits("ones", out, shape, dtype)
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
    _no_more("eye", kwargs)
    return _op("_eye")(N=N, M=M, k=k, dtype=_name(dtype), ctx=_usable(ctx))


def linspace(start, stop, num, endpoint=True, ctx=None, dtype=None):
    """`num` values evenly spaced from `start` to `stop`."""
    return _op("_linspace")(start=start, stop=stop, num=num, endpoint=endpoint, dtype=_name(dtype), ctx=_usable(ctx))


def concatenate(arrays, axis=0, always_copy=True):
    """The arrays, a list or tuple, joined along `axis`; a single one is itself unless `always_copy`. ValueError for
    none."""
    if not isinstance(arrays, (list, tuple)):
        raise TypeError(f"arrays must be a list of NDArrays, got {type(arrays).__name__}")
    if not arrays:
        raise ValueError("at least one array is needed")
    if len(arrays) == 1 and not always_copy:
        return arrays[0]
    return _op("Concat")(*arrays, dim=axis)


def _axes_of(ndim, axes, what):
    """`axes`, one or several, counted from the front."""
    given = (axes,) if hasattr(axes, "__index__") else tuple(axes)
    for a in given:
        if not -ndim <= a < ndim:
            raise ValueError(f"{what} {a} is out of range for {ndim} axes")
    found = [a % ndim for a in given]
    if len(set(found)) != len(found):
        raise ValueError(f"{what} {axes} names one axis twice")
    return found


def moveaxis(tensor, source, destination):
    """The array with axes `source` (one or several) moved to the places `destination`; the others keep their order, as
    with NumPy's moveaxis. ValueError for an axis out of range or named twice."""
    source = _axes_of(tensor.ndim, source, "source")
    destination = _axes_of(tensor.ndim, destination, "destination")
    if len(source) != len(destination):
        raise ValueError(f"source and destination must name as many axes, got {len(source)} and {len(destination)}")
    axes = [a for a in range(tensor.ndim) if a not in source]
    for d, s in sorted(zip(destination, source)):
        axes.insert(d, s)
    return _op("transpose")(tensor, axes=tuple(axes))


def onehot_encode(indices, out):
    """Rows of `out` (n, k) become one-hot for `indices` (n,); returns `out`."""
    return _op("_onehot_encode")(indices, out, out=out)


def histogram(a, bins=10, range=None):
    """[counts, edges] of the elements of `a`, in `bins` bins: an array of ascending edges, or how many of one width,
    from range[0] to range[1]. Counts are int64. Without `range` the bins reach from the smallest element to the largest
    and counts are float32, as in MXNet. ValueError for `bins` of any other type."""
    if isinstance(bins, NDArray):
        return _op("_histogram")(a, bins)
    if isinstance(bins, bool) or not hasattr(bins, "__index__"):
        raise ValueError(f"bins must be an integer or an NDArray, got {type(bins).__name__}")
    if range is not None:
        return _op("_histogram")(a, bin_cnt=bins, range=range)
    counts, edges = np.histogram(a.asnumpy(), bins)
    return [array(counts, ctx=a.context, dtype="float32"), array(edges, ctx=a.context, dtype="float32")]


def split_v2(ary, indices_or_sections, axis=0, squeeze_axis=False):
    """`ary` cut along `axis` into so many equal pieces, or before each of a tuple of indices: a list of arrays, or the
    array where there is one piece. With `squeeze_axis`, pieces of size 1 lose the axis. ValueError where pieces
    would not be equal."""
    n = ary.shape[axis]
    if isinstance(indices_or_sections, tuple):
        return _op("_split_v2")(ary, indices=(0, *indices_or_sections), axis=axis, squeeze_axis=squeeze_axis)
    if isinstance(indices_or_sections, bool) or not hasattr(indices_or_sections, "__index__"):
        raise ValueError("indices_or_sections must be an int or a tuple of ints, got "
                         f"{type(indices_or_sections).__name__}")
    if indices_or_sections < 1 or n % indices_or_sections:
        raise ValueError(f"an axis of {n} cannot be cut into {indices_or_sections} equal pieces")
    return _op("_split_v2")(ary, indices=(), axis=axis, squeeze_axis=squeeze_axis, sections=indices_or_sections)


__all__ = ["zeros", "ones", "full", "arange", "eye", "linspace", "concatenate", "moveaxis", "onehot_encode",
           "histogram", "split_v2"]
