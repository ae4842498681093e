"""Batch normalization."""
from .chain import pull
from .record import Op, Param, S, show, unify
from .rules import axis_of, size
from .types import boolean, integer, optional, real

PARAMS = {
    "eps": Param(real, 0.0010000000474974513, "added to the variance, so that its root is never zero"),
    "momentum": Param(real, 0.9, "how much of the moving statistics stays at an update"),
    "fix_gamma": Param(boolean, True, "gamma counts as 1 and gets no gradient"),
    "use_global_stats": Param(boolean, False, "normalize by the moving statistics while training too"),
    "output_mean_var": Param(boolean, False, "show the mean and the inverse standard deviation as outputs"),
    "axis": Param(integer, 1, "the channel axis"),
    "cudnn_off": Param(boolean, False, "accepted and ignored"),
    "min_calib_range": Param(optional(real), None, "accepted and ignored (quantization)"),
    "max_calib_range": Param(optional(real), None, "accepted and ignored (quantization)"),
}


def channel(p, shape):
    axis = getattr(p, "axis", 1)
    return axis_of(axis, len(shape), "channel axis")


def stat_dtype(dtype):
    """Parameters and statistics of half-precision data are float32."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def _infer(p, ins, outs):
    data = unify(ins[0], outs[0])
    if data is None:
        return ins, outs
    c = (data[channel(p, data)],)
    return [data] + [unify(c, s) for s in ins[1:]], [data] + [unify(c, s) for s in outs[1:]]


def _infer_dtype(p, ins, outs):
    data = ins[0] or outs[0]
    if data is None:
        return ins, outs
    if data not in ("float16", "bfloat16", "float32", "float64"):
        raise ValueError(f"data must be of a floating type, not {data}")
    for d in ins[1:]:
        if d not in (None, stat_dtype(data)):
            raise ValueError(f"parameters and statistics of {data} data are {stat_dtype(data)}, not {d}")
    return [data] + [stat_dtype(data)] * (len(ins) - 1), [data] + [stat_dtype(data)] * (len(outs) - 1)


def _launch(p, ins, outs, **epilogue):
    """`epilogue`: act, lo, hi and residual of the forward kernel, masked of the backward one (kernels/norm.pyx)."""
    shape = ins[0]
    axis = channel(p, shape)
    return {"outer": size(shape[:axis]), "channels": shape[axis], "inner": size(shape[axis + 1:]), "eps": p.eps,
            "momentum": p.momentum, "fix_gamma": p.fix_gamma, "use_global_stats": p.use_global_stats, **epilogue}


def _moments(xp, p, x):
    """Mean and variance over all axes but the channel's, in two passes; zero for no elements."""
    dtype = stat_dtype(x.dtype.name)
    axis = channel(p, x.shape)
    axes = tuple(i for i in range(x.ndim) if i != axis)
    wide = [1] * x.ndim
    wide[axis] = x.shape[axis]
    n = max(size(x.shape[i] for i in axes), 1)
    mean = x.sum(axis=axes, dtype=dtype) / xp.asarray(n, dtype=dtype)
    var = xp.square(x.astype(dtype) - mean.reshape(wide)).sum(axis=axes, dtype=dtype) / xp.asarray(n, dtype=dtype)
    return mean, var, wide, axes, n


def _grad(F, n, dy, *others):
    """Gradients of mean and variance that the user shows are ignored, as in MXNet.

    Hidden ones get gradients where this gradient is differentiated again, and those count. So that the two are not
    taken for each other, shown statistics are made once more, hidden, for backward.
    """
    if dy is None:
        return None, None, None
    data, gamma, _, moving_mean, moving_var = n.inputs
    values = {k: getattr(n.p, k) for k in n.p.__slots__}
    mean, inv_std = n.outputs[1], n.outputs[-1]
    if n.p.output_mean_var:
        _, mean, inv_std = F.BatchNorm(*n.inputs, _rng_of=n, **{**values, "output_mean_var": False})    # in its mode
    elif any(d is not None for d in others):
        return _grad_with_statistics(F, n, dy, *others)
    return F._backward_BatchNorm(dy, data, gamma, mean, inv_std, moving_mean, moving_var, **values)


def _layout(p, shape):
    """The channel axis, the other axes, and how many elements a channel has."""
    axis = channel(p, shape)
    axes = tuple(i for i in range(len(shape)) if i != axis)
    return axis, axes, size(shape[i] for i in axes)


def _formula(F, n, shape, dy, data, gamma, mean, inv_std, moving_mean, moving_var):
    """What `_backward_BatchNorm` computes for data of the given shape; the moving statistics stay."""
    p, dtype = n.p, stat_dtype(n.in_dtypes[0])
    axis, axes, count = _layout(p, shape)

    def wide(v):
        return F._spread(v, shape=shape, axes=axes)

    def total(v):
        return F.sum(v, axis=axis, exclude=True)
    if dtype != n.in_dtypes[0]:
        dy, data = F.Cast(dy, dtype=dtype), F.Cast(data, dtype=dtype)
    mean, inv_std, batch = F._batch_statistics(mean, inv_std, moving_mean, moving_var, eps=p.eps,
                                               use_global_stats=p.use_global_stats)
    normal = F.elemwise_mul(F.elemwise_sub(data, wide(mean)), wide(inv_std))
    dbeta, dgamma = total(dy), total(F.elemwise_mul(dy, normal))
    share = F._mul_scalar(batch, scalar=1 / count)
    dx = F.elemwise_sub(F.elemwise_sub(dy, wide(F.elemwise_mul(dbeta, share))),
                        F.elemwise_mul(normal, wide(F.elemwise_mul(dgamma, share))))
    scale = inv_std if p.fix_gamma else F.elemwise_mul(inv_std, gamma)
    dx = F.elemwise_mul(dx, wide(scale))
    if dtype != n.in_dtypes[0]:
        dx = F.Cast(dx, dtype=n.in_dtypes[0])
    return dx, F.zeros_like(gamma) if p.fix_gamma else dgamma, dbeta


def _grad_with_statistics(F, n, dy, dmean, dinv_std):
    """The gradient where the batch's statistics have gradients too. Nothing moves: backward did that before."""
    data, gamma, _, moving_mean, moving_var = n.inputs
    shape, dtype = n.in_shapes[0], stat_dtype(n.in_dtypes[0])
    if not size(shape):
        return tuple(F.zeros_like(e) for e in n.inputs[:3])
    _, axes, count = _layout(n.p, shape)
    rest = n.outputs[1], n.outputs[-1], moving_mean, moving_var
    dx, dgamma, dbeta = _formula(F, n, shape, dy, data, gamma, *rest)
    mean, inv_std, batch = F._batch_statistics(*rest, eps=n.p.eps, use_global_stats=n.p.use_global_stats)
    x = F.Cast(data, dtype=dtype) if dtype != n.in_dtypes[0] else data
    extra = None
    if dmean is not None:
        share = F._mul_scalar(F.elemwise_mul(dmean, batch), scalar=1 / count)
        extra = F._spread(share, shape=shape, axes=axes)
    if dinv_std is not None:
        cube = F.elemwise_mul(F.elemwise_mul(dinv_std, batch), F._power_scalar(inv_std, scalar=3.0))
        by_std = F.elemwise_mul(F.elemwise_sub(x, F._spread(mean, shape=shape, axes=axes)),
                                F._spread(F._mul_scalar(cube, scalar=-1 / count), shape=shape, axes=axes))
        extra = by_std if extra is None else F.elemwise_add(extra, by_std)
    if dtype != n.in_dtypes[0]:
        extra = F.Cast(extra, dtype=n.in_dtypes[0])
    return F.elemwise_add(dx, extra), dgamma, dbeta


def _ref(xp, p, data, gamma, beta, moving_mean, moving_var, is_train):
    dtype = stat_dtype(data.dtype.name)
    mean, var, wide, _, _ = _moments(xp, p, data)
    if not is_train or p.use_global_stats:
        mean, var = moving_mean.astype(dtype), moving_var.astype(dtype)
    inv_std = (1 / xp.sqrt(var + xp.asarray(p.eps, dtype=dtype))).astype(dtype)
    scale = inv_std if p.fix_gamma else inv_std * gamma
    y = (data.astype(dtype) - mean.reshape(wide)) * scale.reshape(wide) + beta.reshape(wide)
    return y.astype(data.dtype), mean.copy(), inv_std


class BatchNorm(Op):
    """Normalizes each channel to zero mean and unit variance, then scales by gamma and shifts by beta (Ioffe and
    Szegedy, "Batch normalization", 2015): ``(data - mean) / sqrt(var + eps) * gamma + beta``.

    While training, mean and (biased) variance are the batch's, over all axes but `axis`; else, and with
    `use_global_stats`, they are the moving ones. The moving statistics change in backward, once a call, as in MXNet
    1.9.1. Output ``var`` holds ``1 / sqrt(var + eps)``, as MXNet's does. Data of any number of axes; gamma, beta and
    the statistics have the channel's length, and are float32 for half-precision data."""

    inputs = "data gamma beta"
    aux = "moving_mean moving_var"
    aux_init = {"moving_mean": '["zero", {}]', "moving_var": '["one", {}]'}
    outputs = "output mean var"
    visible = lambda p: 3 if p.output_mean_var else 1
    params = PARAMS
    infer, infer_dtype, launch, grad = _infer, _infer_dtype, _launch, _grad
    cpu = "norm.batch_norm"
    inplace = {0: 0}
    train_aware = moves_late = True
    samples = (S((4, 3, 5, 6), fix_gamma=False), S((3, 2, 7), low=0.1), S((5, 4), fix_gamma=False, axis=-1),
               S((2, 3, 4, 19), fix_gamma=False, axis=3), S((2, 3, 4), axis=0, fix_gamma=False),
               S((4, 3, 5), fix_gamma=False, use_global_stats=True, low=0.2), S((0, 3, 2)),
               S((37, 70), fix_gamma=False), S((6, 2, 9, 33), fix_gamma=False, eps=1e-5, momentum=0.5))
    ref = _ref


def _v1_infer(p, ins, outs):
    data = unify(ins[0], outs[0])
    if data is not None and len(data) not in (2, 4):
        raise ValueError(f"data must have two or four axes, not shape {show(data)}")
    return _infer(p, ins, outs)


def _v1_ref(xp, p, data, gamma, beta, moving_mean, moving_var, is_train):
    y, mean, inv_std = _ref(xp, p, data, gamma, beta, moving_mean, moving_var, is_train)
    if not p.output_mean_var:
        return y, mean, inv_std
    batch = is_train and not p.use_global_stats
    return y, mean, _moments(xp, p, data)[1] if batch else moving_var.copy(), inv_std


class BatchNorm_v1(Op):
    """An older name of :class:`BatchNorm`, for data of two or four axes and channels along axis 1. Its output ``var``
    is the variance."""

    inputs = "data gamma beta"
    aux = "moving_mean moving_var"
    aux_init = BatchNorm.aux_init
    outputs = lambda p: "output mean var inv_std" if p.output_mean_var else "output mean inv_std"
    visible = BatchNorm.visible
    mxnet_outputs = 3
    params = {k: PARAMS[k] for k in ("eps", "momentum", "fix_gamma", "use_global_stats", "output_mean_var")}
    infer, infer_dtype, launch, grad = _v1_infer, _infer_dtype, _launch, _grad
    cpu = lambda p: None if p.output_mean_var else "norm.batch_norm"
    inplace = {0: 0}
    train_aware = moves_late = True
    samples = (S((4, 3, 5, 6), fix_gamma=False), S((5, 4)))
    ref = _v1_ref


class _backward_BatchNorm(Op):
    """Gradients of :class:`BatchNorm` for data, gamma and beta. While training (and without `use_global_stats`) they
    are those of normalizing by the forward's `mean` and `inv_std`, and the moving statistics move: ``moving * momentum
    + batch * (1 - momentum)``. Else the moving statistics count as constants and stay."""

    inputs = "dy data gamma mean inv_std"
    aux = "moving_mean moving_var"
    outputs = "ddata dgamma dbeta"
    params = PARAMS
    train_aware = True
    cpu = "norm.batch_norm_backward"
    launch = _launch
    inplace = {0: (0, 1)}
    samples = (S((4, 3, 5, 6), low=0.2, fix_gamma=False), S((3, 2, 7), low=0.2), S((0, 3, 2), low=0.2),
               S((5, 4), low=0.2, axis=-1, fix_gamma=False), S((4, 3, 5), low=0.2, use_global_stats=True),
               S((2, 3, 4, 19), low=0.2, axis=3, fix_gamma=False))

    def infer(p, ins, outs):
        data = unify(unify(ins[0], ins[1]), outs[0])
        if data is None:
            return ins, outs
        c = (data[channel(p, data)],)
        return [data, data] + [unify(c, s) for s in ins[2:]], [data, c, c]

    def infer_dtype(p, ins, outs):
        data = ins[0] or ins[1] or outs[0]
        if data is None:
            return ins, outs
        s = stat_dtype(data)
        return [data, data] + [s] * 5, [data, s, s]

    def ref(xp, p, dy, data, gamma, mean, inv_std, moving_mean, moving_var, is_train):
        dtype = stat_dtype(data.dtype.name)
        axis = channel(p, data.shape)
        wide = [1] * data.ndim
        wide[axis] = data.shape[axis]
        axes = tuple(i for i in range(data.ndim) if i != axis)
        n = size(data.shape[i] for i in axes)
        batch = is_train and not p.use_global_stats and n
        if not batch:
            mean, inv_std = moving_mean, 1 / xp.sqrt(moving_var + xp.asarray(p.eps, dtype=dtype))
        normal = (data.astype(dtype) - mean.reshape(wide)) * inv_std.reshape(wide)
        dbeta = dy.sum(axis=axes, dtype=dtype)
        dgamma = (dy * normal).sum(axis=axes, dtype=dtype)
        scale = (inv_std if p.fix_gamma else inv_std * gamma).reshape(wide)
        dx = dy.astype(dtype)
        if batch:
            count = xp.asarray(n, dtype=dtype)
            dx = dx - (dbeta / count).reshape(wide) - normal * (dgamma / count).reshape(wide)
            keep = p.momentum
            moving_mean[...] = moving_mean * keep + mean * (1 - keep)
            moving_var[...] = moving_var * keep + (1 / xp.square(inv_std) - p.eps) * (1 - keep)
        if p.fix_gamma:
            dgamma = xp.zeros_like(dgamma)
        return (dx * scale).astype(data.dtype), dgamma, dbeta

    def grad(F, n, *dys):
        shape = n.in_shapes[1]
        if not size(shape):
            return tuple(F.zeros_like(e) for e in n.inputs[:5])
        return pull(F, lambda F, n, *xs: _formula(F, n, shape, *xs), n, n.inputs, n.in_shapes, n.in_dtypes, dys)[:5]


class _batch_statistics(Op):
    """The statistics that batch normalization goes by: while training (and without `use_global_stats`) the batch's
    own, and ones in `batch`; else the moving ones, and zeros."""

    inputs = "mean inv_std moving_mean moving_var"
    outputs = "mean_used inv_std_used batch"
    params = {k: PARAMS[k] for k in ("eps", "use_global_stats")}
    train_aware = True
    samples = (S((3,), (3,), (3,), (3,), low=0.2), S((3,), (3,), (3,), (3,), low=0.2, use_global_stats=True))

    def ref(xp, p, mean, inv_std, moving_mean, moving_var, is_train):
        if is_train and not p.use_global_stats:
            return mean.copy(), inv_std.copy(), xp.ones_like(mean)
        return moving_mean.copy(), 1 / xp.sqrt(moving_var + moving_var.dtype.type(p.eps)), xp.zeros_like(mean)

    def grad(F, n, dmean, dinv_std, dbatch):
        batch = n.outputs[2]
        return F.elemwise_mul(dmean, batch), F.elemwise_mul(dinv_std, batch), None, None
