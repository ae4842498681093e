"""UpSampling: images made larger by repeating elements, or by a bilinear (or any other) kernel."""
from .deconv import Deconvolution, gradients
from .record import Op, Param, S, show, unify
from .rules import float_dtype
from .types import integer, optional, text


def _transposed(p, channels):
    """Parameters of the Deconvolution that a bilinear node is: one kernel a channel, twice as wide as the scale."""
    if p.num_filter not in (0, channels):
        raise ValueError(f"num_filter {p.num_filter} must be the number of channels of data, {channels}")
    k, s, q = 2 * p.scale - p.scale % 2, p.scale, p.scale // 2
    return Deconvolution.parse(dict(kernel=(k, k), stride=(s, s), pad=(q, q), num_filter=channels, num_group=channels))


def _infer_bilinear(p, ins, outs):
    if len(ins) != 2:
        raise ValueError(f"sample_type='bilinear' takes data and weight, got {len(ins)} inputs")
    for what, s in (("data", ins[0]), ("weight", ins[1]), ("output", outs[0])):
        if s is not None and len(s) != 4:
            raise ValueError(f"{what} {show(s)} must have 4 axes")
    known = (ins[0] and ins[0][1], ins[1] and ins[1][0], outs[0] and outs[0][1], p.num_filter or None)
    channels = next((c for c in known if c is not None), None)
    return (ins, outs) if channels is None else Deconvolution.infer(_transposed(p, channels), ins, outs)


def _factor(x, out):
    """How many times `x` fits into the output's size `out` along one axis; ValueError where it does not."""
    if x is None or out is None:
        return None
    if x == 0 or out % x:
        if x == out:
            return 1
        raise ValueError(f"size {x} does not divide the output's size {out}")
    return out // x


def _infer_nearest(p, ins, outs):
    if not ins:
        raise ValueError("at least one input is needed")
    if p.num_args is not None and p.num_args != len(ins):
        raise ValueError(f"num_args={p.num_args}, but there are {len(ins)} inputs")
    for i, s in enumerate(ins):
        if s is not None and len(s) != 4:
            raise ValueError(f"input {i} of shape {show(s)} must have 4 axes")
    ins = [s or (None,) * 4 for s in ins]
    y = unify(outs[0], (None,) * 4)
    # the first input's size and the output's follow from each other
    y = unify(y, (None, None, *(d if d is None else d * p.scale for d in ins[0][2:])))
    back = [None if d is None else d // p.scale if d % p.scale == 0 else -1 for d in y[2:]]
    if -1 in back:
        raise ValueError(f"the output {show(y)} is no multiple of scale {p.scale}")
    ins[0] = unify(ins[0], (None, None, *back))
    for s in ins:
        y = unify(y, (s[0], s[1] if p.multi_input_mode == "sum" or len(ins) == 1 else None, None, None))
    same = p.multi_input_mode == "sum" or len(ins) == 1
    ins = [unify(s, (y[0], y[1] if same else None, None, None)) for s in ins]
    for i, s in enumerate(ins):
        h, w = (_factor(a, b) for a, b in zip(s[2:], y[2:]))
        if h is not None and w is not None and h != w and 0 not in s:
            raise ValueError(f"input {i} of shape {show(s)} needs different factors for height and width, {h} and {w}")
    if not same and None not in [s[1] for s in ins]:
        y = unify(y, (None, sum(s[1] for s in ins), None, None))
    return ins, [y]


class UpSampling(Op):
    """Images (N, C, H, W) made `scale` times as high and wide.

    nearest: every element becomes a square. Of several inputs the first sets the size, (N, *, scale H, scale W), the
    others are repeated to it, each by its own whole factor; their channels follow each other, or the inputs are added
    (`multi_input_mode`). bilinear: a Deconvolution of data with weight (C, 1, K, K), ``K = 2 scale - scale % 2``, for
    each channel by itself; the weight's variable is given the Bilinear initialiser. float16, float32, float64.
    ValueError where sizes, batches or (sum) channels do not fit.
    """
    inputs = "*data"
    params = dict(
        scale=Param(integer, help="factor, of the first input", low=1, high=1 << 20),
        num_filter=Param(integer, 0, "bilinear: number of channels; 0: that of data", low=0),
        sample_type=Param(text, help="how elements between are made", choices=("nearest", "bilinear")),
        multi_input_mode=Param(text, "concat", "nearest: channels of several inputs one after the other, or added",
                               choices=("concat", "sum")),
        num_args=Param(optional(integer), None, "how many inputs; counted if left out", low=1),
        workspace=Param(integer, 512, "accepted, not used", low=0))
    # MXNet gives the second input's variable the initialiser whatever sample_type is.
    aux_init = {"weight": '["bilinear", {}]', "arg1": '["bilinear", {}]'}
    infer_dtype = float_dtype

    @classmethod
    def input_names(cls, p, n=None):
        return ["data", "weight"] if p.sample_type == "bilinear" else [f"arg{i}" for i in range(n or 0)]

    def infer(p, ins, outs):
        return (_infer_bilinear if p.sample_type == "bilinear" else _infer_nearest)(p, ins, outs)

    def ref(xp, p, *xs):
        if p.sample_type == "bilinear":
            return Deconvolution.ref(xp, _transposed(p, xs[0].shape[1]), *xs)
        high, wide = (d * p.scale for d in xs[0].shape[2:])
        ys = [x.repeat(_factor(x.shape[2], high), 2).repeat(_factor(x.shape[3], wide), 3) for x in xs]
        return sum(ys[1:], ys[0]) if p.multi_input_mode == "sum" else xp.concatenate(ys, 1)

    def cpu(p):
        return "conv.dgrad" if p.sample_type == "bilinear" else "pool.upsample_" + p.multi_input_mode

    def launch(p, ins, outs):
        if p.sample_type == "nearest":
            return {}
        return Deconvolution.launch(_transposed(p, ins[0][1]), ins, outs)

    def workspace(p, ins, outs, itemsize, threads):
        if p.sample_type == "nearest":
            return 0
        return Deconvolution.workspace(_transposed(p, ins[0][1]), ins, outs, itemsize, threads)

    def grad(F, n, dy):
        shapes = n.in_shapes
        if n.p.sample_type == "bilinear":
            return gradients(F, n, _transposed(n.p, shapes[0][1]), dy)
        dys = [dy] * len(shapes)
        if n.p.multi_input_mode == "concat" and len(shapes) > 1:
            dys = F._backward_Concat(dy, dim=1, sizes=tuple(s[1] for s in shapes))
        factors = [_factor(s[2], n.out_shapes[0][2]) for s in shapes]
        return tuple(F.Pooling(d, pool_type="sum", kernel=(f, f), stride=(f, f)) for d, f in zip(dys, factors))

    samples = (
        S((2, 3, 4, 5), scale=2, sample_type="nearest"), S((1, 2, 3, 3), scale=3, sample_type="nearest"),
        S((2, 2, 6, 4), (2, 3, 3, 2), scale=2, sample_type="nearest"),
        S((2, 2, 4, 4), (2, 2, 1, 1), (2, 2, 2, 2), scale=2, sample_type="nearest", multi_input_mode="sum"),
        S((0, 2, 3, 3), scale=2, sample_type="nearest"), S((1, 2, 20, 21), scale=4, sample_type="nearest"),
        S((2, 3, 4, 5), (3, 1, 4, 4), scale=2, sample_type="bilinear", num_filter=3),
        S((1, 2, 3, 3), (2, 1, 5, 5), scale=3, sample_type="bilinear", num_filter=2),
        S((1, 1, 3, 2), (1, 1, 1, 1), scale=1, sample_type="bilinear"))
