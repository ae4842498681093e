"""Ways to grow a random graph by an operator: functions of a Builder (tests/strategies.py), under their names.

Each picks inputs on which its operator is well-conditioned, and parameters, from the Builder's random numbers. Here:
element-wise operators, products, layers and losses; those on shapes and indices are in graph_ways_shape.py.
"""
import numpy as np

OPERATORS = {}          # name of a way to grow a graph -> (family, function of a Builder)


def way(family, *names):
    """Registers a function that grows a graph by about one node, once under each of `names`, which it is then given."""
    def register(function):
        for name in names or (function.__name__,):
            OPERATORS[name] = family, (lambda b, name=name: function(b, name)) if names else function
        return function
    return register


JSON_NAMES = {  # ways whose name is not the operator's in JSON
    "identity": "_copy", "zeros": "_zeros", "ones": "_ones", "arange": "_arange", "uniform": "_random_uniform",
    "normal": "_random_normal"}
UNARY = {   # operator: the interval of inputs on which it neither blows up nor leaves its domain
    "abs": (-3, 3), "arccos": (-.8, .8), "arccosh": (1.3, 4), "arcsin": (-.8, .8), "arcsinh": (-3, 3),
    "arctan": (-3, 3), "arctanh": (-.8, .8), "cbrt": (.2, 4), "ceil": (-3, 3), "cos": (-3, 3), "cosh": (-2, 2),
    "degrees": (-2, 2), "erf": (-2, 2), "erfinv": (-.8, .8), "exp": (-3, 2), "expm1": (-3, 2), "fix": (-3, 3),
    "floor": (-3, 3), "gamma": (.5, 3), "gammaln": (.3, 5), "hard_sigmoid": (-4, 4), "log": (.3, 6),
    "log10": (.3, 6), "log1p": (-.6, 5), "log2": (.3, 6), "logical_not": (-3, 3), "negative": (-9, 9),
    "radians": (-90, 90), "rcbrt": (.4, 5), "reciprocal": (.4, 5), "relu": (-3, 3), "rint": (-3, 3),
    "round": (-3, 3), "rsqrt": (.4, 5), "sigmoid": (-5, 5), "sign": (-3, 3), "sin": (-3, 3), "sinh": (-2, 2),
    "smooth_l1": (-3, 3), "softsign": (-3, 3), "sqrt": (.2, 6), "square": (-3, 3), "tan": (-1.1, 1.1),
    "tanh": (-3, 3), "trunc": (-3, 3), "identity": (-9, 9), "BlockGrad": (-9, 9), "zeros_like": (-9, 9),
    "ones_like": (-9, 9), "make_loss": (-9, 9)}


@way("unary", *(n for n in UNARY if n != "hard_sigmoid"))
def unary(b, name):
    return b.node(name, [b.fit(b.pick(), *UNARY[name])])


@way("unary")
def hard_sigmoid(b):
    # MXNet writes its gradient over the one that arrives, which other nodes may still read: it gets one of its own.
    made = b.node("hard_sigmoid", [b.fit(b.pick(), *UNARY["hard_sigmoid"])], keep=False)
    return made and b.node("_mul_scalar", made, scalar=2)


@way("unary")
def clip(b):
    low = round(float(b.rng.uniform(-2, 0)), 2)
    return b.node("clip", [b.fit(b.pick(), -3, 3)], a_min=low, a_max=low + 1.5)


BINARY = {  # the intervals of both inputs
    "add": ((-9, 9), (-9, 9)), "sub": ((-9, 9), (-9, 9)), "mul": ((-3, 3), (-3, 3)), "div": ((-3, 3), (.4, 4)),
    "mod": ((-3, 3), (.6, 3)), "power": ((.4, 3), (-2, 2)), "hypot": ((.2, 3), (.2, 3)),
    "maximum": ((-3, 3), (-3, 3)), "minimum": ((-3, 3), (-3, 3)),
    **dict.fromkeys(["equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal", "logical_and",
                     "logical_or", "logical_xor"], ((-3, 3), (-3, 3)))}


@way("binary", *[f"elemwise_{k}" if k in ("add", "sub", "mul", "div") else f"_{k}" for k in BINARY])
def elementwise(b, name):
    lows, highs = BINARY[name.replace("elemwise_", "").lstrip("_")]
    lhs = b.pick()
    rhs = b.like(b.of(lhs).shape)
    return b.node(name, [b.fit(lhs, *lows), b.fit(rhs, *highs)])


@way("broadcast", *[f"broadcast_{k}" for k in BINARY])
def broadcast(b, name):
    lows, highs = BINARY[name.replace("broadcast_", "")]
    lhs = b.pick()
    shape = tuple(1 if b.chance(0.4) else d for d in b.of(lhs).shape)
    rhs = b.like(shape)
    if b.chance(0.5):
        lhs, rhs = rhs, lhs
    return b.node(name, [b.fit(lhs, *lows), b.fit(rhs, *highs)])


SCALAR = {  # interval of the input, and of the scalar
    "_plus": ((-9, 9), (-2, 2)), "_minus": ((-9, 9), (-2, 2)), "_rminus": ((-9, 9), (-2, 2)),
    "_mul": ((-9, 9), (-2, 2)), "_div": ((-9, 9), (.5, 3)), "_rdiv": ((.5, 4), (-2, 2)), "_mod": ((-3, 3), (.6, 3)),
    "_rmod": ((.6, 3), (-3, 3)), "_power": ((.4, 3), (-2, 2)), "_rpower": ((-2, 2), (.4, 3)),
    "_hypot": ((.2, 3), (.5, 2)), **dict.fromkeys(
        ["_maximum", "_minimum", "_equal", "_not_equal", "_greater", "_greater_equal", "_lesser", "_lesser_equal",
         "_logical_and", "_logical_or", "_logical_xor"], ((-3, 3), (-1, 1)))}


@way("scalar", *[f"{k}_scalar" for k in SCALAR])
def scalar(b, name):
    domain, scalars = SCALAR[name.removesuffix("_scalar")]
    value = b.rng.uniform(*scalars)
    value = b.one(int(np.ceil(value)), round(float(value), 2)) if domain[0] <= 0 else round(float(value), 2)
    if value == 0 and name in ("_div_scalar", "_mod_scalar"):
        value = 1
    return b.node(name, [b.fit(b.pick(), *domain)], scalar=value)


@way("sum")
def add_n(b):
    first = b.pick()
    return b.node("add_n", [first] + [b.like(b.of(first).shape) for _ in range(b.rng.integers(0, 4))])


@way("matrix")
def dot(b):
    ta, tb = b.chance(0.3), b.chance(0.3)
    lhs = b.pick((2, 2, 3))
    s = b.of(lhs).shape
    k = s[0] if ta else s[-1]
    rhs = b.pick((1, 2), lambda t: (t[-1] if tb else t[0]) == k) if b.chance(0.7) else None
    if rhs is None:
        m = int(b.rng.integers(1, 5))
        rhs = b.variable((m, k) if tb else (k, m))
    if (ta or tb) and (len(s) > 2 or b.of(rhs).ndim < 2):
        return None
    return b.node("dot", [b.fit(lhs, -1, 1), b.fit(rhs, -1, 1)], **({"transpose_a": True} if ta else {}),
                  **({"transpose_b": True} if tb else {}))


@way("matrix")
def batch_dot(b):
    ta, tb = b.chance(0.3), b.chance(0.3)
    lhs = b.pick(3)
    n, i, k = b.of(lhs).shape
    if ta:
        i, k = k, i
    j = int(b.rng.integers(1, 5))
    rhs = b.like((n, j, k) if tb else (n, k, j))
    return b.node("batch_dot", [b.fit(lhs, -1, 1), b.fit(rhs, -1, 1)], transpose_a=ta, transpose_b=tb)


@way("layer")
def FullyConnected(b):
    params = dict(num_hidden=int(b.rng.integers(1, 6)))
    if b.chance(0.3):
        params["no_bias"] = True
    if b.chance(0.3):
        params["flatten"] = False
    return b.node("FullyConnected", [b.fit(b.pick((2, 3, 4)), -2, 2)], **params)


@way("layer")
def Convolution(b):
    nd = b.one(1, 2, 2, 2)
    data = b.pick(nd + 2, lambda s: min(s[2:]) >= 2)
    if data is None:
        return None
    s = b.of(data).shape
    kernel = tuple(int(b.rng.integers(1, min(3, d) + 1)) for d in s[2:])
    params = dict(kernel=kernel, num_filter=int(b.rng.integers(1, 4)))
    if b.chance(0.4):
        params["pad"] = tuple(int(b.rng.integers(0, 2)) for _ in kernel)
    if b.chance(0.4):
        params["stride"] = tuple(int(b.rng.integers(1, 3)) for _ in kernel)
    if b.chance(0.2) and all((k - 1) * 2 < d for k, d in zip(kernel, s[2:])):
        params["dilate"] = (2,) * nd
    if b.chance(0.3):
        params["no_bias"] = True
    if b.chance(0.3):
        params.update(num_group=s[1], num_filter=s[1] * b.one(1, 2))
    return b.node("Convolution", [b.fit(data, -2, 2)], **params)


@way("layer")
def Pooling(b):
    nd = b.one(1, 2, 2, 2)
    data = b.pick(nd + 2, lambda s: min(s[2:]) >= 2)
    if data is None:
        return None
    s = b.of(data).shape
    kind = b.one("max", "avg", "sum", "lp")
    params = dict(pool_type=kind)
    if kind == "lp":
        params["p_value"] = b.one(1, 2, 3)
        data = b.fit(data, .3, 2)
    if b.chance(0.2):
        params["global_pool"] = True
        if b.chance(0.5):
            params["kernel"] = (1,) * nd
    else:
        kernel = params["kernel"] = tuple(int(b.rng.integers(1, min(3, d) + 1)) for d in s[2:])
        if b.chance(0.5):
            params["stride"] = tuple(int(b.rng.integers(1, 3)) for _ in kernel)
        if b.chance(0.4):
            params["pad"] = tuple(int(b.rng.integers(0, min(2, k))) for k in kernel)
        if b.chance(0.4):
            params["pooling_convention"] = b.one("valid", "full")
        if kind == "avg" and b.chance(0.4):
            params["count_include_pad"] = b.chance(0.5)
    return b.node("Pooling", [b.fit(data, -3, 3) if kind != "lp" else data], **params)


@way("activation")
def Activation(b):
    return b.node("Activation", [b.fit(b.pick(), -3, 3)],
                  act_type=b.one("relu", "sigmoid", "tanh", "softrelu", "softsign"))


@way("activation")
def LeakyReLU(b):
    # Not selu: MXNet's gradient of it is wrong below 0 (it adds the unscaled alpha to the scaled output).
    kind = b.one("leaky", "elu", "gelu", "prelu")
    params = dict(act_type=kind)
    if kind in ("leaky", "elu") and b.chance(0.5):
        params["slope"] = round(float(b.rng.uniform(0.05, 0.5)), 2)
    made = b.node("LeakyReLU", [b.fit(b.pick((2, 3, 4) if kind == "prelu" else None), -3, 3)], **params)
    if made and kind == "prelu":    # MXNet may write the data's gradient over what gamma's is then computed from
        b.constant.add(made[0][0].inputs[1][0].name)
    return made


@way("normalisation")
def BatchNorm(b):
    data = b.pick((2, 3, 4), lambda s: int(np.prod(s)) // s[1] > 1)
    params = {}
    for k, choices in dict(fix_gamma=(True, False), use_global_stats=(True,), output_mean_var=(True,),
                           momentum=(0.7, 0.99), eps=(1e-2, 1e-1)).items():
        if b.chance(0.5 if k == "fix_gamma" else 0.25):
            params[k] = b.one(*choices)
    made = b.node("BatchNorm", [b.fit(data, -3, 3)], keep=False, **params)
    if made:
        b.pool.append(made[0])      # the mean and variance have no gradient, so only the user sees them
    return made


@way("normalisation")
def Dropout(b):
    # Two libraries draw different masks, so only what drops nothing can be compared.
    return b.node("Dropout", [b.pick()], p=0 if b.is_train else b.one(0, 0.3, 0.7))


@way("softmax", "softmax", "log_softmax", "softmin")
def softmax(b, name):
    data = b.pick()
    params = {}
    if b.chance(0.6):
        params["axis"] = b.axis(b.of(data).ndim)
    if b.chance(0.3):
        params["temperature"] = b.one(0.7, 2.0)
    return b.node(name, [b.fit(data, -3, 3)], **params)


@way("loss")
def SoftmaxOutput(b):
    multi = b.chance(0.3)
    data = b.pick((3, 4) if multi else 2)
    s = b.of(data).shape
    params = dict(multi_output=True) if multi else {}
    for k, choices in dict(grad_scale=(0.5, 2.0), normalization=("null", "batch", "valid"), use_ignore=(True,),
                           smooth_alpha=(0.1,), ignore_label=(0, 1)).items():
        if b.chance(0.3) and not (k == "smooth_alpha" and (multi or s[-1] == 1)):
            params[k] = b.one(*choices)
    shape = (s[0], *s[2:]) if multi else s[:1]
    label = b.variable(shape, constant=True, values=b.rng.integers(0, s[1], shape))
    return b.node("SoftmaxOutput", [b.fit(data, -3, 3), label], frozen=(1,), **params)


@way("loss", "LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput")
def regression(b, name):
    data = b.pick((1, 2, 3))
    label = b.variable(b.of(data).shape, constant=True)
    params = dict(grad_scale=b.one(0.5, 2.0)) if b.chance(0.4) else {}
    return b.node(name, [b.fit(data, -3, 3), label], frozen=(1,), **params)


@way("loss")
def MakeLoss(b):
    params = dict(grad_scale=b.one(0.5, 2.0)) if b.chance(0.4) else {}
    if b.chance(0.5):
        params["normalization"] = b.one("null", "batch", "valid")
        params["valid_thresh"] = 0.1
    return b.node("MakeLoss", [b.fit(b.pick(), -3, 3)], **params)
