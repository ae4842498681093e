"""Optimizer steps, one kernel each: the new weight is output 0 (callers pass ``out=weight``), and the optimizer's
states are written in place. Formulas are MXNet 1.9.1's, order of clipping and weight decay included."""
from .record import Op, Param, S
from .types import boolean, integer, real

LR = {"lr": Param(real, help="learning rate")}
COMMON = {
    "wd": Param(real, 0.0, "weight decay: this much of the weight is added to the gradient"),
    "rescale_grad": Param(real, 1.0, "multiplies the gradient first"),
    "clip_gradient": Param(real, -1.0, "clip the gradient to [-clip_gradient, clip_gradient]; negative: do not"),
}
LAZY = {"lazy_update": Param(boolean, True, "for sparse gradients only; dense ones ignore it")}
MOMENTUM = {"momentum": Param(real, 0.0, "how much of the last step is kept")}
EPSILON = {"epsilon": Param(real, 1e-8, "keeps denominators from zero")}
CLIP_WEIGHTS = {"clip_weights": Param(real, -1.0, "clip the weight to [-clip_weights, clip_weights]; negative: do not")}
GAMMA1 = {"gamma1": Param(real, 0.95, "decay of the averages")}


def _clip(xp, x, bound):
    return xp.clip(x, -bound, bound) if bound >= 0 else x


def _decayed(xp, p, weight, grad):
    """Rescale, clip, then add weight decay."""
    return _clip(xp, grad * p.rescale_grad, p.clip_gradient) + p.wd * weight


def _decayed_first(xp, p, weight, grad):
    """Rescale, add weight decay, then clip."""
    return _clip(xp, grad * p.rescale_grad + p.wd * weight, p.clip_gradient)


def sgd_update(xp, p, w, g):
    return w - p.lr * _decayed(xp, p, w, g)


def sgd_mom_update(xp, p, w, g, mom):
    mom[...] = p.momentum * mom - p.lr * _decayed(xp, p, w, g)
    return w + mom


def nag_mom_update(xp, p, w, g, mom):
    g = _decayed(xp, p, w, g)
    mom[...] = p.momentum * mom - p.lr * g
    return w + (p.momentum * mom - p.lr * g)


def adam_update(xp, p, w, g, mean, var):
    g = _decayed_first(xp, p, w, g)
    mean[...] = p.beta1 * mean + (1 - p.beta1) * g
    var[...] = p.beta2 * var + (1 - p.beta2) * g * g
    return w - p.lr * mean / (xp.sqrt(var) + p.epsilon)


def rmsprop_update(xp, p, w, g, n):
    g = _decayed_first(xp, p, w, g)
    n[...] = (1 - p.gamma1) * g * g + p.gamma1 * n
    return _clip(xp, w - p.lr * g / xp.sqrt(n + p.epsilon), p.clip_weights)


def rmspropalex_update(xp, p, w, grad, n, g, delta):
    grad = _decayed_first(xp, p, w, grad)
    n[...] = (1 - p.gamma1) * grad * grad + p.gamma1 * n
    g[...] = (1 - p.gamma1) * grad + p.gamma1 * g
    delta[...] = p.gamma2 * delta - p.lr * grad / xp.sqrt(n - g * g + p.epsilon)
    return _clip(xp, w + delta, p.clip_weights)


def ftrl_update(xp, p, w, g, z, n):
    g = _clip(xp, g * p.rescale_grad, p.clip_gradient)
    z[...] = z + g - (xp.sqrt(n + g * g) - xp.sqrt(n)) * w / p.lr
    n[...] = n + g * g
    new = (xp.sign(z) * p.lamda1 - z) / ((p.beta + xp.sqrt(n)) / p.lr + p.wd)
    return xp.where(xp.abs(z) > p.lamda1, new, 0 * w)


def signsgd_update(xp, p, w, g):
    return (1 - p.lr * p.wd) * w - p.lr * xp.sign(g)


def signum_update(xp, p, w, g, mom):
    g = _clip(xp, g * p.rescale_grad, p.clip_gradient)
    mom[...] = p.momentum * mom - (1 - p.momentum) * (p.wd * w) - (1 - p.momentum) * g
    return (1 - p.lr * p.wd_lh) * w + p.lr * xp.sign(mom)


def ftml_update(xp, p, w, g, d, v, z):
    g = _clip(xp, g * p.rescale_grad + p.wd * w, p.clip_grad)
    v[...] = p.beta2 * v + (1 - p.beta2) * g * g
    d_t = (1 - p.beta1 ** p.t) / p.lr * (xp.sqrt(v / (1 - p.beta2 ** p.t)) + p.epsilon)
    z[...] = p.beta1 * z + (1 - p.beta1) * g - (d_t - p.beta1 * d) * w
    d[...] = d_t
    return -z / d_t


def _typed(formula):
    """`formula` computed in float32 for half precision, results in the arrays' own dtypes."""
    def ref(xp, p, weight, grad, *states):
        if weight.dtype.name in ("float16", "bfloat16"):
            wide = [s.astype("float32") for s in states]
            new = formula(xp, p, weight.astype("float32"), grad.astype("float32"), *wide)
            for s, t in zip(states, wide):
                s[...] = t
            return new.astype(weight.dtype)
        return formula(xp, p, weight, grad, *states).astype(weight.dtype)
    return ref


def _same(p, ins, outs):
    d = next((i for i in (*ins, *outs) if i is not None), None)
    return [d] * len(ins), [d]


def update(formula, states, params, doc, low=-1.0, kernel=True, **sample):
    """Makes the record of one optimizer step."""
    name = formula.__name__
    clip = {"clip_grad" if "clip_grad" in params else "clip_gradient": 0.3}
    fields = {
        "__doc__": doc, "inputs": "weight grad", "aux": states, "params": params, "infer_dtype": _same,
        "inplace": {0: 0}, "ref": _typed(formula),
        "samples": (S((3, 5), low=low, lr=0.1, **sample),
                    S((41,), low=low, lr=0.05, wd=0.1, rescale_grad=0.5, **sample),
                    S((4, 9), low=low, lr=0.1, wd=0.2, **clip, **sample), S((0, 2), lr=0.1, **sample))}
    if kernel:
        fields["cpu"] = "update." + name[:-len("_update")]
        fields["dynamic"] = " ".join(k for k, v in params.items() if v.type is real)
    return type(name, (Op,), fields)


def mixed(formula, states, params, doc):
    """Makes the record ``mp_<formula>``: weight and gradient in half precision, `states` and a float32 copy of the
    weight, on which the step is made, last."""
    def ref(xp, p, weight, grad, *states):
        states, w32 = states[:-1], states[-1]
        w32[...] = formula(xp, p, w32, grad.astype("float32"), *states)
        return w32.astype(weight.dtype)

    def infer_dtype(p, ins, outs):
        d = ins[0] or outs[0] or ins[1]
        return [d, d] + ["float32"] * (len(ins) - 2), [d]
    type("mp_" + formula.__name__, (Op,), {
        "__doc__": doc, "inputs": "weight grad", "aux": (states + " weight32").strip(), "params": params,
        "infer_dtype": infer_dtype, "inplace": {0: 0}, "ref": ref,
        "samples": (S((3, 5), dtype="float32", lr=0.1, wd=0.1),)})


SGD = {**LR, **COMMON, **LAZY}
SGD_MOM = {**LR, **MOMENTUM, **COMMON, **LAZY}
NAG = {**LR, **MOMENTUM, **COMMON}
update(sgd_update, "", SGD, "Gradient descent: ``weight - lr * (clip(rescale_grad * grad) + wd * weight)``.")
update(sgd_mom_update, "mom", SGD_MOM,
       "Gradient descent with momentum: ``mom = momentum * mom - lr * (clip(rescale_grad * grad) + wd * weight)``, "
       "``weight + mom``.", momentum=0.9)
update(nag_mom_update, "mom", NAG,
       "Nesterov's accelerated gradient: moves by ``momentum * mom - lr * g`` with the new ``mom``. (MXNet, in place "
       "with weight decay, computes ``mom`` from the new weight by mistake.)", momentum=0.9)
update(adam_update, "mean var",
       {**LR, "beta1": Param(real, 0.9, "decay of the mean"), "beta2": Param(real, 0.999, "decay of the variance"),
        **EPSILON, **COMMON, **LAZY},
       "Adam (Kingma and Ba, 2015) without bias correction, which callers fold into `lr`. Weight decay is added to the "
       "gradient before clipping.", low=0.1)
update(rmsprop_update, "n", {**LR, **GAMMA1, **EPSILON, **COMMON, **CLIP_WEIGHTS},
       "RMSProp (Tieleman and Hinton, 2012): divides by ``sqrt(n + epsilon)``, n a running mean of squares.", low=0.1)
update(rmspropalex_update, "n g delta",
       {**LR, **GAMMA1, "gamma2": Param(real, 0.9, "decay of the step"), **EPSILON, **COMMON, **CLIP_WEIGHTS},
       "RMSProp as Graves (2013) has it: centered by a running mean, with momentum.", low=0.1, epsilon=1.5)
update(ftrl_update, "z n",
       {**LR, "lamda1": Param(real, 0.01, "L1 penalty"), "beta": Param(real, 1.0, "added to the root of n"), **COMMON},
       "Follow the regularized leader (McMahan et al., 2013).", low=0.1)
update(signsgd_update, "", {**LR, **COMMON},
       "Moves by `lr` against the gradient's sign; rescaling and clipping change no sign.")
update(signum_update, "mom",
       {**LR, **MOMENTUM, **COMMON, "wd_lh": Param(real, 0.0, "decay of the weight itself (Loshchilov and Hutter)")},
       "Moves by `lr` along the momentum's sign.", momentum=0.9)
update(ftml_update, "d v z",
       {**LR, "beta1": Param(real, 0.6, "decay of z"), "beta2": Param(real, 0.999, "decay of v"), **EPSILON,
        "t": Param(integer, help="number of this step, from 1"), "wd": COMMON["wd"],
        "rescale_grad": COMMON["rescale_grad"], "clip_grad": COMMON["clip_gradient"]},
       "Follow the moving leader (Zheng and Kwok, 2017).", low=0.1, kernel=False, t=2)
mixed(sgd_update, "", SGD, "sgd_update on a float32 copy of a half-precision weight.")
mixed(sgd_mom_update, "mom", SGD_MOM, "sgd_mom_update on a float32 copy of a half-precision weight.")
mixed(nag_mom_update, "mom", NAG, "nag_mom_update on a float32 copy of a half-precision weight.")
