"""``sym.zeros``, ``sym.ones``, ...: symbols without inputs, every default spelled out as MXNet does in its JSON."""
from .symbol import call


def zeros(shape, dtype=None, **kwargs):
    """A symbol of zeros."""
    return call("_zeros", "_zeros", shape=shape, dtype="float32" if dtype is None else dtype, **kwargs)


def ones(shape, dtype=None, **kwargs):
    """A symbol of ones."""
    return call("_ones", "_ones", shape=shape, dtype="float32" if dtype is None else dtype, **kwargs)


def full(shape, val, dtype=None, **kwargs):
    """A symbol of `val`."""
    return call("_full", "_full", shape=shape, dtype="float32" if dtype is None else dtype, value=float(val), **kwargs)


def arange(start, stop=None, step=1.0, repeat=1, infer_range=False, name=None, dtype=None):
    """``start, start + step, ...`` below `stop`; one argument counts from 0."""
    return call("_arange", "_arange", start=start, stop=stop, step=step, repeat=repeat, infer_range=infer_range,
                name=name, dtype="float32" if dtype is None else dtype)


def eye(N, M=0, k=0, dtype=None, **kwargs):
    """N rows and M (0: N) columns with ones on diagonal `k`."""
    return call("_eye", "_eye", N=N, M=M, k=k, dtype="float32" if dtype is None else dtype, **kwargs)


def linspace(start, stop, num, endpoint=True, name=None, dtype=None):
    """`num` values evenly spaced from `start` to `stop`."""
    return call("_linspace", "_linspace", start=start, stop=stop, num=num, endpoint=endpoint, name=name,
                dtype="float32" if dtype is None else dtype)
