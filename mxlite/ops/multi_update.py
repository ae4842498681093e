"""Optimizer steps on many weights at once, and those of LAMB, LARS and AdamW. New weights are the outputs (callers pass
``out=weights``); the optimizers' states, and float32 copies of half-precision weights, are written in place."""
from .elementwise import quiet
from .record import Op, Param, S, same_dtype, unify
from .types import boolean, integer, real, reals, shape
from .update import COMMON, MOMENTUM, _clip

MOST = 65536        # weights of one call: a count out of a damaged file must not make 10^12 names
COUNT = {"num_weights": Param(integer, 1, "how many weights", low=1, high=MOST)}
SCALES = {"rescale_grad": COMMON["rescale_grad"], "clip_gradient": COMMON["clip_gradient"]}
RATES = {"lrs": Param(reals, help="learning rates, one a weight"),
         "wds": Param(reals, help="weight decays, one a weight")}


def _groups(p, items, size):
    """The inputs of each weight."""
    if len(items) != size * p.num_weights:
        raise ValueError(f"num_weights={p.num_weights} needs {size * p.num_weights} inputs, {size} a weight, got "
                         f"{len(items)}")
    return [list(items[i:i + size]) for i in range(0, len(items), size)]


def _numbered(n):
    """Names of `n` outputs."""
    return ["output"] if n == 1 else [f"output{i}" for i in range(n)]


def _states(inputs, n, size):
    """Those of `inputs`, `size` a weight, that are neither weight nor gradient; a damaged file may give too few."""
    return [s for i in range(n) for s in inputs[i * size + 2:i * size + size]]


def multi(name, fields, params, doc, step, preloaded=False):
    """Makes the record of a step on `num_weights` weights. Each has the inputs `fields` (weight, grad, then states);
    ``weight32`` among them makes the step in float32. step: (xp, p, w, g, lr, wd, *states) -> new weight."""
    size, mixed = len(fields), fields[-1] == "weight32"

    def split(p, items):
        return (items[:-2], items[-2:]) if preloaded else (items, ())

    def check(p, items):
        own, last = split(p, items)
        if not preloaded and not len(p.lrs) == len(p.wds) == p.num_weights:
            raise ValueError(f"lrs and wds must have num_weights={p.num_weights} values, not {len(p.lrs)} and "
                             f"{len(p.wds)}")
        return _groups(p, own, size), list(last)

    def infer(p, ins, outs):
        groups, last = check(p, ins)
        shapes = []
        for i, group in enumerate(groups):
            common = outs[i]
            for s in group:
                common = unify(common, s)
            shapes.append(common)
        return [s for s in shapes for _ in range(size)] + [unify(s, (p.num_weights,)) for s in last], shapes

    def infer_dtype(p, ins, outs):
        groups, last = check(p, ins)
        if not (mixed or preloaded):
            return same_dtype(p, ins, outs)
        kinds = [g[0] or g[1] or o for g, o in zip(groups, outs)]
        states = [["float32"] * (size - 2) if mixed else [k] * (size - 2) for k in kinds]
        return [d for k, s in zip(kinds, states) for d in (k, k, *s)] + ["float32"] * len(last), kinds

    def ref(xp, p, *arrays):
        groups, last = check(p, arrays)
        lrs, wds = last if preloaded else (p.lrs, p.wds)
        out = []
        for (w, g, *states), lr, wd in zip(groups, lrs, wds):
            if mixed:
                w32 = states.pop()
                w32[...] = step(xp, p, w32, g.astype("float32"), float(lr), float(wd), *states)
                out.append(w32.astype(w.dtype))
            else:
                out.append(step(xp, p, w, g, float(lr), float(wd), *states).astype(w.dtype))
        return tuple(out)

    def aux(p):
        return [f"{field}_{i}" for i in range(p.num_weights) for field in fields] + ["lrs", "wds"] * preloaded

    def states(p, inputs):
        return _states(inputs, p.num_weights, size)

    def outputs(p):
        return _numbered(p.num_weights)

    def launch(p, ins, outs):
        return {"weights": p.num_weights, "momentum": int("mom" in fields), "mixed": int(mixed),
                "preloaded": int(preloaded), "lrs": () if preloaded else p.lrs, "wds": () if preloaded else p.wds}

    def inplace(p):
        return {i: i * size for i in range(p.num_weights)}
    shapes = [(2, 3)] * size + [(4,)] * size + [(2,), (2,)] * preloaded
    given = {} if preloaded else dict(lrs=(0.1, 0.2), wds=(0.0, 0.1))
    type(name, (Op,), dict(
        __doc__=doc, __module__=__name__, inputs="*data", aux=aux, states=staticmethod(states), outputs=outputs,
        params={**({} if preloaded else RATES), **params, **SCALES, **COUNT}, infer=infer, infer_dtype=infer_dtype,
        ref=ref, cpu="update.multi_sgd", launch=launch, inplace=inplace,
        cpu_dtypes=("float16", "bfloat16", "float32") if mixed else ("float32", "float64"),
        dynamic=" ".join([*params, *SCALES]),
        samples=(S(*shapes, num_weights=2, rescale_grad=0.5, clip_gradient=0.3, **given),)))


def _decayed(xp, p, w, g, wd):
    return _clip(xp, g * p.rescale_grad, p.clip_gradient) + wd * w


def _sgd(xp, p, w, g, lr, wd):
    return w - lr * _decayed(xp, p, w, g, wd)


def _sgd_mom(xp, p, w, g, lr, wd, mom):
    mom[...] = p.momentum * mom - lr * _decayed(xp, p, w, g, wd)
    return w + mom


for _before in (False, True):
    _name, _ends = "preloaded_" * _before, ", learning rates and weight decays as the last two inputs." * _before
    multi(_name + "multi_sgd_update", ("weight", "grad"), {}, "sgd_update for weight, grad of every weight" + _ends,
          _sgd, _before)
    multi(_name + "multi_sgd_mom_update", ("weight", "grad", "mom"), MOMENTUM,
          "sgd_mom_update for weight, grad, mom of every weight" + _ends, _sgd_mom, _before)
    multi(_name + "multi_mp_sgd_update", ("weight", "grad", "weight32"), {},
          "mp_sgd_update for weight, grad, weight32 of every weight" + _ends, _sgd, _before)
    multi(_name + "multi_mp_sgd_mom_update", ("weight", "grad", "mom", "weight32"), MOMENTUM,
          "mp_sgd_mom_update for weight, grad, mom, weight32 of every weight" + _ends, _sgd_mom, _before)


class multi_lars(Op):
    """Learning rates by LARS (You, Gitman and Ginsburg, 2017) from the sums of squares of weights w and gradients g:
    ``lrs * eta * |w| / (|g| * rescale_grad + wds * |w| + eps)``; where one of them is 0, the rate as it is."""
    inputs = "lrs weights_sum_sq grads_sum_sq wds"
    params = {"eta": Param(real, help="trust coefficient"), "eps": Param(real, help="keeps the denominator from zero"),
              "rescale_grad": COMMON["rescale_grad"]}
    samples = (S((3,), (3,), (3,), (3,), low=0.1, eta=0.5, eps=1e-3, rescale_grad=0.5),)

    @quiet
    def ref(xp, p, lrs, w, g, wds):
        w, g = xp.sqrt(w), xp.sqrt(g)
        new = lrs * (p.eta * w / (g * p.rescale_grad + wds * w + p.eps))
        return xp.where((w > 0) & (g > 0), new, lrs).astype(lrs.dtype)


def _first(p, ins, outs):
    """One shape for all inputs and outputs."""
    shape = None
    for s in (*ins, *outs):
        shape = unify(shape, s)
    return [shape] * len(ins), [shape] * len(outs)


LAMB = {"beta1": Param(real, 0.9, "decay of the mean"), "beta2": Param(real, 0.999, "decay of the variance"),
        "epsilon": Param(real, 1e-6, "keeps denominators from zero"),
        "t": Param(integer, help="number of this step, from 1"),
        "bias_correction": Param(boolean, True, "undo that the averages begin at 0"),
        "wd": Param(real, help="weight decay"), **SCALES}
BOUNDS = {"lr": Param(real, help="learning rate"),
          "lower_bound": Param(real, -1.0, "least norm of the weight; negative: none"),
          "upper_bound": Param(real, -1.0, "largest norm of the weight; negative: none")}


def _lamb(xp, p, w, g, mean, var):
    g = _clip(xp, g * p.rescale_grad, p.clip_gradient)
    mean[...] = p.beta1 * mean + (1 - p.beta1) * g
    var[...] = p.beta2 * var + (1 - p.beta2) * g * g
    m, v = mean, var
    if p.bias_correction:
        m, v = mean / (1 - p.beta1 ** p.t), var / (1 - p.beta2 ** p.t)
    return m / (xp.sqrt(v) + p.epsilon) + p.wd * w


def _trust(xp, p, w, g, r1, r2):
    r1, r2 = r1.reshape(()), r2.reshape(())
    r1 = xp.maximum(r1, p.lower_bound) if p.lower_bound >= 0 else r1
    r1 = xp.minimum(r1, p.upper_bound) if p.upper_bound >= 0 else r1
    ratio = r1 / r2 if bool(r1 != 0) and bool(r2 != 0) else 1.0
    return w - p.lr * ratio * g


class lamb_update_phase1(Op):
    """First half of a step of LAMB (You et al., 2020): the update before its learning rate; `mean` and `var` in
    place."""
    inputs = "weight grad"
    aux = "mean var"
    params = LAMB
    infer = _first
    samples = (S((3, 4), low=0.1, t=2, wd=0.1), S((5,), low=0.1, t=1, wd=0.0, bias_correction=False, clip_gradient=0.2))

    def ref(xp, p, w, g, mean, var):
        return _lamb(xp, p, w, g, mean, var).astype(w.dtype)


def _norms(p, ins, outs):
    w = unify(unify(ins[0], ins[1]), outs[0])
    return [w, w, unify(ins[2], (1,)), unify(ins[3], (1,)), *[unify(s, w) for s in ins[4:]]], [w]


class lamb_update_phase2(Op):
    """Second half of a step of LAMB: `weight` less `lr` times the update `g`, by the ratio of their norms `r1` and
    `r2`."""
    inputs = "weight g r1 r2"
    params = BOUNDS
    infer = _norms
    samples = (S((3, 4), (3, 4), (1,), (1,), low=0.1, lr=0.1),
               S((5,), (5,), (1,), (1,), low=0.1, lr=0.1, upper_bound=0.2))

    def ref(xp, p, w, g, r1, r2):
        return _trust(xp, p, w, g, r1, r2).astype(w.dtype)


class mp_lamb_update_phase1(Op):
    """lamb_update_phase1 in float32 for a weight in half precision, of which `weight32` is a copy."""
    inputs = "weight grad"
    aux = "mean var weight32"
    params = LAMB
    infer = _first
    samples = (S((3, 4), low=0.1, t=2, wd=0.1),)

    def infer_dtype(p, ins, outs):
        d = ins[0] or ins[1]
        return [d, d, "float32", "float32", "float32"], ["float32"]

    def ref(xp, p, w, g, mean, var, w32):
        return _lamb(xp, p, w32, g.astype("float32"), mean, var)


class mp_lamb_update_phase2(Op):
    """lamb_update_phase2 in float32 for a weight in half precision; `weight32`, its copy, is written in place. (MXNet
    leaves the copy as it was.)"""
    inputs = "weight g r1 r2"
    aux = "weight32"
    params = BOUNDS
    infer = _norms
    samples = (S((3, 4), (3, 4), (1,), (1,), (3, 4), low=0.1, lr=0.1),)

    def infer_dtype(p, ins, outs):
        return [ins[0], "float32", "float32", "float32", "float32"], [ins[0]]

    def ref(xp, p, w, g, r1, r2, w32):
        w32[...] = _trust(xp, p, w32, g, r1, r2)
        return w32.astype(w.dtype)


ADAMW = {"lr": Param(real, help="learning rate"), "beta1": LAMB["beta1"], "beta2": LAMB["beta2"],
         "epsilon": Param(real, 1e-8, "keeps denominators from zero"), "wd": COMMON["wd"],
         "eta": Param(real, help="factor of the whole step"), "clip_gradient": COMMON["clip_gradient"]}


def _adamw(xp, p, w, g, mean, var, rescale):
    scale = float(rescale.reshape(()))
    if not (abs(scale) < float("inf") and scale):       # a loss scale that overflowed: no step
        return w
    g = _clip(xp, g * scale, p.clip_gradient)
    mean[...] = p.beta1 * mean + (1 - p.beta1) * g
    var[...] = p.beta2 * var + (1 - p.beta2) * g * g
    return w - p.eta * (p.lr * mean / (xp.sqrt(var) + p.epsilon) + p.wd * w)


def _scaled(p, ins, outs):
    w, scale = outs[0], ins[-1]
    for s in ins[:-1]:
        w = unify(w, s)
    return [w] * (len(ins) - 1) + [scale if scale == () else unify(scale, (1,))], [w]


class _adamw_update(Op):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019): ``weight - eta * (lr * mean / (sqrt(var) +
    epsilon) + wd * weight)``, `mean` and `var` in place. `rescale_grad` is an array of one number; 0, infinite or NaN
    means no step."""
    inputs = "weight grad"
    aux = "mean var rescale_grad"       # the scale stands behind the states, where MXNet has it; it is not written
    params = ADAMW
    infer = _scaled
    samples = (S((3, 4), (3, 4), (3, 4), (3, 4), (1,), low=0.1, lr=0.1, eta=0.5, wd=0.1),)

    def ref(xp, p, w, g, mean, var, rescale):
        return _adamw(xp, p, w, g, mean, var, rescale).astype(w.dtype)


class _mp_adamw_update(Op):
    """_adamw_update in float32 for a weight in half precision, of which `weight32`, written in place, is a copy."""
    inputs = "weight grad"
    aux = "mean var weight32 rescale_grad"
    params = ADAMW
    infer = _scaled
    samples = (S((3, 4), (3, 4), (3, 4), (3, 4), (3, 4), (1,), low=0.1, lr=0.1, eta=0.5, wd=0.1),)

    def infer_dtype(p, ins, outs):
        d = ins[0] or ins[1]
        return [d, d] + ["float32"] * 4, [d]

    def ref(xp, p, w, g, mean, var, w32, rescale):
        w32[...] = _adamw(xp, p, w32, g.astype("float32"), mean, var, rescale)
        return w32.astype(w.dtype)


# -- many weights at once: each has weight, grad, mean, var and, in half precision, weight32 ---------------------------
def _vectors(p, *names):
    n = p.num_weights if hasattr(p, "num_weights") else p.num_tensors
    for name in names:
        if len(getattr(p, name)) != n:
            raise ValueError(f"{name} must have {n} values, one a weight, not {len(getattr(p, name))}")
    return n


def adaptive(name, mixed, scaled, vectors, count, params, doc, step, **sample):
    """Makes the record of an Adam-like step on many weights. step: (xp, p, i, w, g, mean, var, *scale) -> new weight
    number i; `scaled`: the last input is the gradients' scale, an array of one number."""
    size = 4 + mixed

    def split(p, items):
        n = _vectors(p, *vectors)
        own, last = (items[:-1], list(items[-1:])) if scaled else (items, [])
        if len(own) != size * n:
            raise ValueError(f"{n} weights need {size * n + scaled} inputs, got {len(items)}")
        return [list(own[i:i + size]) for i in range(0, len(own), size)], last

    def infer(p, ins, outs):
        groups, last = split(p, ins)
        shapes = []
        for group, common in zip(groups, outs):
            for s in group:
                common = unify(common, s)
            shapes.append(common)
        return [s for s in shapes for _ in range(size)] + [s if s == () else unify(s, (1,)) for s in last], shapes

    def infer_dtype(p, ins, outs):
        groups, last = split(p, ins)
        if not mixed:
            return same_dtype(p, ins, outs)
        kinds = [g[0] or g[1] or o for g, o in zip(groups, outs)]
        return [d for k in kinds for d in (k, k, *["float32"] * 3)] + ["float32"] * len(last), kinds

    def ref(xp, p, *arrays):
        groups, last = split(p, arrays)
        out = []
        for i, (w, g, mean, var, *copy) in enumerate(groups):
            new = step(xp, p, i, copy[0] if mixed else w, g.astype(mean.dtype), mean, var, *last)
            if mixed:
                copy[0][...] = new
            out.append(new.astype(w.dtype))
        return tuple(out)

    def aux(p):
        fields = ("weight", "grad", "mean", "var", "weight32")[:size]
        return [f"{field}_{i}" for i in range(getattr(p, count)) for field in fields] + ["rescale_grad"] * scaled

    def states(p, inputs):
        return _states(inputs, getattr(p, count), size)

    def outputs(p):
        return _numbered(getattr(p, count))
    shapes = [(2, 3)] * size + [(4,)] * size + [(1,)] * scaled
    type(name, (Op,), dict(
        __doc__=doc, __module__=__name__, inputs="*data", aux=aux, states=staticmethod(states), outputs=outputs,
        params={**params, count: COUNT["num_weights"]}, infer=infer, infer_dtype=infer_dtype, ref=ref,
        samples=(S(*shapes, low=0.1, **{count: 2, **{v: (0.1, 0.2) for v in vectors}, **sample}),)))


def _adamw_of(xp, p, i, w, g, mean, var, scale):
    return _adamw(xp, View(p, dict(lr=p.lrs[i], wd=p.wds[i], eta=p.etas[i])), w, g, mean, var, scale)


def _lamb_of(xp, p, i, w, g, mean, var):
    own = View(p, dict(t=p.step_count[i], wd=p.wds[i], lr=p.learning_rates[i]))
    update = _lamb(xp, own, w, g, mean, var)
    return _trust(xp, own, w, update, xp.sqrt(xp.square(w).sum()), xp.sqrt(xp.square(update).sum()))


class View:
    """Parameters with some values that belong to one weight."""

    def __init__(self, p, own):
        self._p = p
        self.__dict__.update(own)

    def __getattr__(self, name):
        return getattr(self._p, name)


MANY_ADAMW = {"lrs": RATES["lrs"], "beta1": ADAMW["beta1"], "beta2": ADAMW["beta2"], "epsilon": ADAMW["epsilon"],
              "wds": RATES["wds"], "etas": Param(reals, help="factors of whole steps, one a weight"),
              "clip_gradient": ADAMW["clip_gradient"]}
MANY_LAMB = {"learning_rates": RATES["lrs"], **{k: LAMB[k] for k in ("beta1", "beta2", "epsilon")}, "wds": RATES["wds"],
             "rescale_grad": SCALES["rescale_grad"], "lower_bound": BOUNDS["lower_bound"],
             "upper_bound": BOUNDS["upper_bound"], "clip_gradient": SCALES["clip_gradient"],
             "bias_correction": LAMB["bias_correction"],
             "step_count": Param(shape, help="numbers of these steps, from 1, one a weight")}
for _mixed in (False, True):
    _mp, _with = "mp_" * _mixed, ", weight32" * _mixed
    adaptive(f"_multi_{_mp}adamw_update", _mixed, True, ("lrs", "wds", "etas"), "num_weights", MANY_ADAMW,
             f"_{_mp}adamw_update for weight, grad, mean, var{_with} of every weight; rescale_grad is the last input.",
             _adamw_of)
    adaptive(f"_multi_{_mp}lamb_update", _mixed, False, ("learning_rates", "wds", "step_count"), "num_tensors",
             MANY_LAMB, f"A whole step of LAMB for weight, grad, mean, var{_with} of every weight.", _lamb_of,
             step_count=(1, 2))
