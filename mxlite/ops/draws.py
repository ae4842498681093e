"""Random draws whose parameters may differ from element to element, in NumPy terms and double precision.
``kernels/sampling_run.h`` is the same in C.

Every function takes a :class:`~mxlite.ops.philox.Philox` and parameters as float64 vectors, an element each, and draws
element i from blocks i alone, one a plane. Where a method rejects candidates it looks at `TRIES` planes, of
which the last is never reached in practice (a candidate is taken with probability 0.9 or more), then it takes the
centre. Parameters outside a distribution's range give NaN.
"""
from . import special
from .elementwise import quiet

TRIES = 64
SECOND = 64             # first plane of the second half of a mixture
TWO_PI = 6.283185307179586


def whole(xp, w0, w1):
    """Uniform on [0, 1) with 53 bits, from two words."""
    return (xp.floor(w0 / 32.0) * 67108864.0 + xp.floor(w1 / 64.0)) * 2.0 ** -53


def half(w):
    """Uniform on (0, 1) with 32 bits, from one word."""
    return (w.astype("float64") + 0.5) * 2.0 ** -32


def gauss(xp, w0, w1):
    """Standard normal, from two words, by Box and Muller."""
    return xp.sqrt(-2 * xp.log(half(w0))) * xp.cos(w1.astype("float64") * (TWO_PI * 2.0 ** -32))


def uniform(xp, rng, low, high):
    w0, w1, _, _ = rng.block(low.size)
    return low + whole(xp, w0, w1) * (high - low)


def normal(xp, rng, mean, deviation):
    w0, w1, _, _ = rng.block(mean.size)
    return mean + gauss(xp, w0, w1) * deviation


@quiet
def exponential(xp, rng, rate):
    w0, w1, _, _ = rng.block(rate.size)
    return xp.where(rate > 0, -xp.log1p(-whole(xp, w0, w1)) / rate, xp.nan)


@quiet
def gamma(xp, rng, alpha, beta):
    """Shape alpha, scale beta: Marsaglia and Tsang, "A simple method for generating gamma variables" (2000). A shape
    below 1 is drawn as one more, times a power of a uniform number."""
    small = alpha < 1
    d = xp.where(small, alpha + 1, alpha) - 1 / 3.0
    c = 1 / xp.sqrt(9 * d)
    y, left, boost = d, alpha > 0, None
    for plane in range(TRIES):
        w0, w1, w2, w3 = rng.block(alpha.size, plane)
        if plane == 0:
            boost = xp.where(small, half(w3) ** (1 / xp.where(small, alpha, 1)), 1.0)
        x = gauss(xp, w0, w1)
        v = (1 + c * x) ** 3
        good = v > 0
        good &= xp.log(half(w2)) < 0.5 * x * x + d - d * v + d * xp.log(xp.where(good, v, 1))
        y = xp.where(left & good, d * v, y)
        left = left & ~good
        if not bool(left.any()):
            break
    y = xp.where(alpha == 0, 0.0, xp.where(alpha > 0, y * boost, xp.nan))
    return xp.where(beta >= 0, y * beta, xp.nan)


@quiet
def poisson(xp, rng, mean, first=0):
    """Below a mean of 10 by inversion; up to 1e8 by Hoermann's transformed rejection ("The transformed rejection method
    for generating Poisson random variables", 1993); above, where that meets the limits of double, a rounded normal."""
    few, many = mean < 10, mean > 1e8
    lam = xp.where(few & (mean >= 0), mean, 1.0)
    w0, w1, _, _ = rng.block(mean.size, first)
    u = whole(xp, w0, w1)
    term = total = xp.exp(-lam)
    count = xp.zeros(mean.shape)
    for k in range(1, 200):
        more = u >= total
        if not bool(more.any()):
            break
        count = count + more
        term = term * (lam / k)
        total = total + term
    near = xp.where(mean < xp.inf, mean, 0.0)
    y = xp.where(few, count, xp.floor(near + xp.sqrt(xp.abs(near)) * gauss(xp, w0, w1) + 0.5))
    y = xp.where(mean == xp.inf, mean, y)
    left = ~few & ~many & (mean == mean)
    if bool(left.any()):
        y = xp.where(left, _transformed(xp, rng, xp.where(left, mean, 10.0), left, first), y)
    return xp.where(mean >= 0, y, xp.nan)


def _transformed(xp, rng, lam, left, first):
    root, log = xp.sqrt(lam), xp.log(lam)
    b = 0.931 + 2.53 * root
    a = 0.02483 * b - 0.059
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2)
    y = xp.floor(lam)
    for plane in range(TRIES):
        w0, w1, _, _ = rng.block(lam.size, first + plane)
        u, v = half(w0) - 0.5, half(w1)
        near = 0.5 - xp.abs(u)
        k = xp.floor((2 * a / near + b) * u + lam + 0.43)
        slow = xp.log(v) + xp.log(inverse) - xp.log(a / (near * near) + b) \
            <= k * log - lam - special.gammaln(xp, xp.where(k >= 0, k, 0.0) + 1)
        good = ((near >= 0.07) & (v <= quick)) | (~((k < 0) | ((near < 0.013) & (v > near))) & slow)
        y = xp.where(left & good, k, y)
        left = left & ~good
        if not bool(left.any()):
            break
    return y


@quiet
def negative_binomial(xp, rng, k, p):
    """Failures before success number `k` where one comes with probability `p`: a Poisson number whose mean is drawn
    from a gamma distribution."""
    return poisson(xp, rng, xp.where(p <= 1, gamma(xp, rng, k, (1 - p) / p), xp.nan), SECOND)


@quiet
def generalized_negative_binomial(xp, rng, mu, alpha):
    """Mean `mu`, variance ``mu + alpha * mu ** 2``; alpha = 0 is the Poisson distribution."""
    some = alpha != 0
    mean = gamma(xp, rng, xp.where(some, 1 / xp.where(some, alpha, 1), 1.0), mu * alpha)
    return poisson(xp, rng, xp.where(some, mean, mu), SECOND)


def categories(xp, rng, p, n):
    """`n` numbers for every row of the probabilities `p` (rows, k): the first whose running sum lies above a uniform
    number, else the last that has a probability."""
    sums = xp.cumsum(p, 1)
    w0, w1, _, _ = rng.block(p.shape[0] * n)
    u = whole(xp, w0, w1).reshape(p.shape[0], n)
    found = (u[:, :, None] >= sums[:, None, :]).sum(2)
    last = p.shape[1] - 1 - xp.argmax(p[:, ::-1] > 0, 1)
    last = xp.where((p > 0).any(1), last, p.shape[1] - 1)
    return xp.minimum(found, last[:, None])


DIGITS = {"float32": 24, "float16": 11, "bfloat16": 8}


def draw(xp, kind, rng, dtype, *params):
    """Numbers of distribution `kind` in `dtype`."""
    y = KINDS[kind](xp, rng, *params)
    if kind != "uniform" or dtype not in DIGITS:
        return y.astype(dtype)
    # Rounding must not reach the end of the range: there the uniform number loses the digits that dtype has not.
    low, high = params
    w0, w1, _, _ = rng.block(low.size)
    short = xp.floor(whole(xp, w0, w1) * 2.0 ** DIGITS[dtype]) * 2.0 ** -DIGITS[dtype]
    rounded = y.astype(dtype)
    return xp.where((rounded >= high) & (high > low), (low + short * (high - low)).astype(dtype), rounded)


KINDS = dict(uniform=uniform, normal=normal, exponential=exponential, gamma=gamma, poisson=poisson,
             negative_binomial=negative_binomial, generalized_negative_binomial=generalized_negative_binomial)
