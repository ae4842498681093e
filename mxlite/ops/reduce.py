"""Reductions over axes: sum, mean, prod, max, min, norm, their NaN-skipping kin, argmax and argmin.

`axis` None or () means all axes; a reduction of all axes has shape (1,), as MXNet has no 0-dimensional arrays. Sums of
float32 are accumulated in blocks and in float64, in an order that depends on the shape alone.
"""

from .binary import SPREAD, kept_shape, spread_axes
from .elementwise import EVERY, is_float, quiet, record, to_dtype
from .record import Param, S, show, unify
from .rules import axis_of, reduced_axes, size
from .types import axes, boolean, dtype, integer, optional

PARAMS = {
    "axis": Param(axes, None, "The axis or axes to reduce; None and () mean all."),
    "keepdims": Param(boolean, False, "Keep reduced axes, with size 1."),
    "exclude": Param(boolean, False, "Reduce the axes that are not in `axis`."),
}
SAMPLES = (S((2, 3)), S((4, 5, 6), axis=1), S((4, 5, 6), axis=(0, 2)), S((3, 70), axis=-1), S((70, 3), axis=0),
           S((2, 3, 4, 5), axis=(1,), exclude=True, keepdims=True), S((2, 3, 4), axis=(-1, 0)),
           S((2, 3), axis=(), keepdims=True), S((5, 4, 3, 2), axis=(0, 2)))
BLOCK = 32768                   # elements of one part of a large reduction, at least
ROWS = 128                      # and rows of columns: each part's results have to be joined with the others'
# The kernel's units of a row, of results side by side, and of elements that these have (kernels/reduce_run.h).
CHUNK, WIDTH, COLUMNS, TILE = 4096, 512, 4096, 8192


def over(p, ndim):
    return reduced_axes(p.axis, ndim, getattr(p, "exclude", False))


def reduced_shape(p, x):
    """Shape of the result: reduced axes gone or, with keepdims, of size 1."""
    gone = over(p, len(x))
    if p.keepdims:
        return tuple(1 if i in gone else d for i, d in enumerate(x))
    return tuple(d for i, d in enumerate(x) if i not in gone) or (1,)


def _infer(p, ins, outs):
    x = ins[0]
    return ins, [outs[0] if x is None else unify(reduced_shape(p, x), outs[0])]


def _infer_filled(p, ins, outs):
    """For reductions that have no value for nothing."""
    x = ins[0]
    if x is not None and None not in x and 0 in x:
        raise ValueError(f"there is no largest or smallest element in shape {show(x)}")
    return _infer(p, ins, outs)


def nest(shape_, gone):
    """Loop nest of a reduction: neighbouring axes merged, so that kept and reduced groups alternate."""
    dims, flags = [], []
    for i, d in enumerate(shape_):
        flag = int(i in gone)
        if d == 1:
            continue
        if dims and flags[-1] == flag:
            dims[-1] *= d
        else:
            dims.append(d)
            flags.append(flag)
    if not dims:
        dims, flags = [1], [1]
    pad = 8 - len(dims)
    return {"ndim": len(dims), "dims": dims + [0] * pad, "reduced": flags + [0] * pad, "parts": parts(dims, flags)}


def parts(dims, flags):
    """How many parts each result's reduction is cut into, so that few but long ones can run side by side. It follows
    from the shape alone, and so does the order of the additions."""
    count = size(d for d, r in zip(dims, flags) if r)
    kept = size(d for d, r in zip(dims, flags) if not r)
    if count * kept < 2 * BLOCK or not any(flags):
        return 1
    if flags[-1]:
        across = dims[-2] if len(dims) > 1 else 1
        tile = max(1, min(WIDTH, TILE // dims[-1]))
        tasks, units = kept // across * -(-across // tile), count // dims[-1] * -(-dims[-1] // CHUNK)
        each = count * min(tile, across)
    else:
        width = min(dims[-1], COLUMNS)
        tasks, units, each = kept // dims[-1] * -(-dims[-1] // COLUMNS), count // ROWS, count * width
    if tasks >= 16:
        return 1
    return max(1, min(64, units, each // BLOCK))


def _args(p, ins, outs):
    return nest(ins[0], over(p, len(ins[0])))


def work_bytes(p, ins, outs, itemsize, threads):
    """Scratch for the partial results of large reductions to few results."""
    return _work(_args(p, ins, outs), outs[0])


def _work(args, out):
    return 0 if args["parts"] == 1 else 8 * size(out) * args["parts"]


def _reference(f):
    """Reductions compute in float64 and int64, and return the input's dtype."""
    @quiet
    def ref(xp, p, x):
        wide = x.astype("float64" if is_float(x) else "int64")
        y = f(xp, wide, over(p, x.ndim), p).reshape(reduced_shape(p, x.shape))
        return to_dtype(xp, y, x.dtype) if x.dtype.kind != "b" else y != 0
    return ref


def _spread(F, n, g):
    """`g`, of the output's shape, repeated to the input's."""
    return F._spread(g, shape=n.in_shapes[0], axes=over(n.p, len(n.in_shapes[0])))


def _count(n):
    """How many elements make one result."""
    return size(n.in_shapes[0]) / max(1, size(n.out_shapes[0]))


def reduction(name, doc, value, grad, filled=False, aliases="", **more):
    record(name, doc, params=PARAMS, infer=_infer_filled if filled else _infer, launch=_args, workspace=work_bytes,
           ref=_reference(value), grad=grad, cpu="reduce." + name, aliases=aliases,
           samples=SAMPLES if filled else SAMPLES + (S((0, 3), axis=0), S((2, 0))), **more)


def _grad_prod(F, n, dy):
    return F.elemwise_div(_spread(F, n, F.elemwise_mul(dy, n.outputs[0])), n.inputs[0])


def _grad_extreme(F, n, dy):
    x = n.inputs[0]
    return F.elemwise_mul(_spread(F, n, dy), F._equal(x, _spread(F, n, n.outputs[0])))


def _mean(xp, x, gone, p):
    count = size(tuple(x.shape[i] for i in gone))
    total = x.sum(axis=gone)
    if is_float(x):
        return total / xp.float64(count)
    return xp.where(total < 0, -(-total // max(count, 1)), total // max(count, 1))


def _first_nan(pick):
    """Largest or smallest, NaN where there is one."""
    return lambda xp, x, gone, p: getattr(x, pick)(axis=gone)


reduction("sum", "Sum over `axis`; integers wrap in their dtype.", lambda xp, x, gone, p: x.sum(axis=gone),
          lambda F, n, dy: _spread(F, n, dy), aliases="sum_axis")
reduction("mean", "Arithmetic mean over `axis`; integers are truncated; NaN of no elements.", _mean,
          lambda F, n, dy: _spread(F, n, F._mul_scalar(dy, scalar=1 / _count(n))))
reduction("prod", "Product over `axis`. The gradient divides the product by each element (NaN where one is 0).",
          lambda xp, x, gone, p: x.prod(axis=gone), _grad_prod)
reduction("nansum", "Sum over `axis` that counts NaN as 0.",
          lambda xp, x, gone, p: xp.where(x == x, x, 0).astype(x.dtype).sum(axis=gone),
          lambda F, n, dy: F._where_number(_spread(F, n, dy), n.inputs[0]))
reduction("nanprod", "Product over `axis` that counts NaN as 1.",
          lambda xp, x, gone, p: xp.where(x == x, x, 1).astype(x.dtype).prod(axis=gone),
          lambda F, n, dy: F._where_number(_grad_prod(F, n, dy), n.inputs[0]))
reduction("max", "Largest element over `axis`; NaN where there is one. All elements that tie get the whole gradient.",
          _first_nan("max"), _grad_extreme, True, "max_axis")
reduction("min", "Smallest element over `axis`; NaN where there is one. All elements that tie get the whole gradient.",
          _first_nan("min"), _grad_extreme, True, "min_axis")


# -- norm ---------------------------------------------------------------------------------------------------------
def _norm_dtype(p, ins, outs):
    d = ins[0]
    if p.out_dtype is not None:
        return ins, [p.out_dtype]
    d = outs[0] if d is None else d
    return [d], [d]


def _norm_infer(p, ins, outs):
    if p.ord not in (1, 2):
        raise ValueError(f"norm: ord must be 1 or 2, not {p.ord}")
    return _infer(p, ins, outs)


@quiet
def _norm(xp, p, x):
    wide = xp.abs(x.astype("float64"))
    gone = over(p, x.ndim)
    y = wide.sum(axis=gone) if p.ord == 1 else xp.sqrt((wide * wide).sum(axis=gone))
    return to_dtype(xp, y.reshape(reduced_shape(p, x.shape)), p.out_dtype or x.dtype)


def _grad_norm(F, n, dy):
    x, y = n.inputs[0], n.outputs[0]
    if n.out_dtypes[0] != n.in_dtypes[0]:
        dy, y = F.Cast(dy, dtype=n.in_dtypes[0]), F.Cast(y, dtype=n.in_dtypes[0])
    if n.p.ord == 1:
        return F.elemwise_mul(_spread(F, n, dy), F.sign(x))
    return F.elemwise_mul(_spread(F, n, F.elemwise_div(dy, y)), x)


record("norm", "1-norm (sum of magnitudes) or 2-norm (root of the sum of squares) over `axis`.",
       params={"ord": Param(integer, 2, "Order of the norm: 1 or 2."), "axis": PARAMS["axis"],
               "out_dtype": Param(optional(dtype), None, "Dtype of the result; the input's by default.",
                                  ("float16", "float32", "float64", "int32", "int64", "int8", None)),
               "keepdims": PARAMS["keepdims"]},
       infer=_norm_infer, infer_dtype=_norm_dtype, ref=_norm, launch=lambda p, ins, outs: _args(p, ins, outs),
       workspace=work_bytes, cpu=lambda p: f"reduce.norm{p.ord}", cpu_dtypes=EVERY, grad=_grad_norm, kinks=(0,),
       samples=(S((2, 3)), S((2, 3), ord=1), S((4, 5, 6), axis=1), S((4, 5, 6), ord=1, axis=(0, 2)),
                S((3, 70), axis=-1, keepdims=True), S((0, 3), axis=0)))


# -- positions ----------------------------------------------------------------------------------------------------
ARG_PARAMS = {"axis": Param(optional(integer), None, "The axis to search; None searches the flattened array."),
              "keepdims": PARAMS["keepdims"]}


def _arg_axis(p, ndim):
    return None if p.axis is None else axis_of(p.axis, ndim)


def _arg_infer(p, ins, outs):
    x = ins[0]
    if x is None:
        return ins, outs
    a = _arg_axis(p, len(x))
    if (x[a] == 0) if a is not None else 0 in x:
        raise ValueError(f"there is no largest or smallest element along axis {p.axis} of shape {show(x)}")
    out = tuple(1 if a is None or i == a else d for i, d in enumerate(x)) if p.keepdims else \
        (1,) if a is None else tuple(d for i, d in enumerate(x) if i != a) or (1,)
    return ins, [unify(out, outs[0])]


def _arg_args(p, ins, outs):
    x, a = ins[0], _arg_axis(p, len(ins[0]))
    if a is None:
        return {"outer": 1, "length": size(x), "inner": 1}
    return {"outer": size(x[:a]), "length": x[a], "inner": size(x[a + 1:])}


def _positions(name, doc, pick, params, infer, args, axis, samples):
    def ref(xp, p, x):
        a = axis(p, x.ndim)
        y = getattr(xp, pick)(x, axis=a)
        return xp.asarray(y).reshape(infer(p, [x.shape], [None])[1][0]).astype(x.dtype)
    record(name, doc + " The first one counts; NaN is taken for it. The result has the input's dtype.", ref=ref,
           params=params, infer=infer, launch=args, cpu="reduce." + pick, samples=samples, kinks=())


_ARG_SAMPLES = (S((2, 3)), S((4, 5, 6), axis=1), S((3, 70), axis=-1), S((70, 3), axis=0, keepdims=True),
                S((2, 3), keepdims=True), S((0, 3), axis=1))
_positions("argmax", "Position of the largest element along `axis`.", "argmax", ARG_PARAMS, _arg_infer, _arg_args,
           _arg_axis, _ARG_SAMPLES)
_positions("argmin", "Position of the smallest element along `axis`.", "argmin", ARG_PARAMS, _arg_infer, _arg_args,
           _arg_axis, _ARG_SAMPLES)


def _channel_infer(p, ins, outs):
    x = ins[0]
    if x is None:
        return ins, outs
    if len(x) < 2 or x[1] == 0:
        raise ValueError(f"argmax_channel needs an axis 1 with elements, shape is {show(x)}")
    return ins, [unify(x[:1] + x[2:], outs[0])]


_positions("argmax_channel", "Position of the largest element along axis 1.", "argmax", {}, _channel_infer,
           lambda p, ins, outs: {"outer": ins[0][0], "length": ins[0][1], "inner": size(ins[0][2:])},
           lambda p, ndim: 1, (S((4, 5)), S((2, 3, 4))))


# -- the adjoint of broadcasting ----------------------------------------------------------------------------------
def _un_axes(p, x):
    return spread_axes(p.shape, x, p.axes)


def _un_infer(p, ins, outs):
    x = ins[0]
    if x is not None and None not in x and size(kept_shape(x, _un_axes(p, x))) != size(p.shape):
        raise ValueError(f"shape {show(x)} summed over axes {_un_axes(p, x)} does not give {show(p.shape)}")
    return ins, [p.shape]


def _un_args(p, ins, outs):
    return nest(ins[0], _un_axes(p, ins[0]))


@quiet
def _un_ref(xp, p, x):
    wide = x.astype("float64" if is_float(x) else "int64")
    y = wide.sum(axis=_un_axes(p, x.shape)).reshape(p.shape)
    return to_dtype(xp, y, x.dtype) if x.dtype.kind != "b" else y != 0


record("_unbroadcast", "Sum over the axes that broadcasting `shape` to the input's shape repeats (or over `axes`), in "
       "`shape`: the gradient of broadcasting.", params=SPREAD, infer=_un_infer, launch=_un_args, ref=_un_ref,
       workspace=lambda p, ins, outs, itemsize, threads: _work(_un_args(p, ins, outs), outs[0]), cpu="reduce.sum",
       grad=lambda F, n, dy: F._spread(dy, shape=n.in_shapes[0], axes=_un_axes(n.p, n.in_shapes[0])),
       samples=(S((2, 5, 3), shape=(2, 1, 3)), S((4, 5, 6), shape=(6,)), S((2, 3), shape=(1,), axes=(0, 1)),
                S((4, 5), shape=(4, 1)), S((2, 3), shape=(2, 3))))
