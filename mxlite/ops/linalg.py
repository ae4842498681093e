"""Linear algebra on matrices in the last two axes of arrays; further axes are batches. float32 and float64.

The gradients of factorizations are those of Seeger, Hetzel, Dai, Meissner and Lawrence, "Auto-differentiating linear
algebra" (2017), written as graph.
"""
from . import types as T
from .record import Op, Param, S, show, unify
from .rules import axis_of
from .shape import known


def reals(p, ins, outs):
    """All inputs and outputs have one dtype, float32 or float64."""
    d = next((d for d in (*ins, *outs) if d is not None), None)
    if d not in (None, "float32", "float64"):
        raise ValueError(f"linear algebra is for float32 and float64, not {d}")
    return [d] * len(ins), [d] * len(outs)


def square(shape, what="A"):
    if shape is not None and (len(shape) < 2 or None not in shape[-2:] and shape[-1] != shape[-2]):
        raise ValueError(f"{what} must hold square matrices, not {show(shape)}")


def like_square(p, ins, outs):
    shape = None
    for s in (*ins, *outs):
        shape = unify(shape, s)
    square(shape)
    return [shape] * len(ins), [shape] * len(outs)


def t(x):
    """NumPy: the matrices transposed."""
    return x.swapaxes(-1, -2)


def turned(F, e):
    """Graph: the matrices transposed."""
    return F.SwapAxis(e, dim1=-1, dim2=-2)


def times(F, a, b, ta=False, tb=False, alpha=1.0, axis=-2):
    return F._linalg_gemm2(a, b, transpose_a=ta, transpose_b=tb, alpha=alpha, axis=axis)


def triangle(xp, x, lower, diagonal=1.0):
    y = xp.tril(x) if lower else xp.triu(x)
    if diagonal != 1:
        i = xp.arange(min(x.shape[-2:]))
        y[..., i, i] *= diagonal
    return y


# -- products ----------------------------------------------------------------------------------------------------------
FLAGS = dict(transpose_a=Param(T.boolean, False, "transpose A"), transpose_b=Param(T.boolean, False, "transpose B"),
             alpha=Param(T.real, 1.0, "factor of the product"))
AXIS = dict(axis=Param(T.integer, -2, "axis of the rows; that of the columns is the last"))


def _product(p, a, b):
    """Shape of op(A) op(B), rows at `axis`; None where not all is known."""
    if not known(a) or not known(b):
        return None
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"A {show(a)} and B {show(b)} must have as many axes, 2 or more")
    axis = axis_of(p.axis, len(a))
    if axis == len(a) - 1:
        raise ValueError(f"axis {p.axis} is the last one, that of the columns")
    rest = [a[i] for i in range(len(a) - 1) if i != axis], [b[i] for i in range(len(b) - 1) if i != axis]
    if rest[0] != rest[1]:
        raise ValueError(f"A {show(a)} and B {show(b)} hold different batches")
    rows, inner = (a[-1], a[axis]) if p.transpose_a else (a[axis], a[-1])
    other, columns = (b[-1], b[axis]) if p.transpose_b else (b[axis], b[-1])
    if inner != other:
        raise ValueError(f"the sizes to be summed over differ: {inner} in A {show(a)}, {other} in B {show(b)}")
    return a[:axis] + (rows,) + a[axis + 1:-1] + (columns,)


def _multiply(xp, p, a, b):
    a, b = (xp.moveaxis(x, p.axis, -2) for x in (a, b))
    y = xp.matmul(t(a) if p.transpose_a else a, t(b) if p.transpose_b else b)
    return xp.moveaxis(y * a.dtype.type(p.alpha), -2, p.axis)


def _slopes(F, n, dy):
    a, b = n.inputs[:2]
    p = n.p
    k = dict(alpha=p.alpha, axis=p.axis)
    da = times(F, b, dy, p.transpose_b, True, **k) if p.transpose_a else times(F, dy, b, False, not p.transpose_b, **k)
    db = times(F, dy, a, True, p.transpose_a, **k) if p.transpose_b else times(F, a, dy, not p.transpose_a, False, **k)
    return da, db


class _linalg_gemm(Op):
    """``alpha * op(A) op(B) + beta * C``: products of matrices whose rows lie along `axis` and columns along the last
    axis; op transposes where asked."""
    inputs = "A B C"
    params = {**FLAGS, "beta": Param(T.real, 1.0, "factor of C"), **AXIS}
    aliases = "linalg_gemm"
    infer_dtype = reals
    samples = (S((2, 3), (3, 4), (2, 4), alpha=2.0, beta=0.5), S((3, 2, 4), (3, 5, 2), (3, 4, 5), transpose_a=True,
                                                                transpose_b=True),
               S((3, 2, 4), (4, 2, 5), (3, 2, 5), axis=0))

    def infer(p, ins, outs):
        out = unify(unify(_product(p, *ins[:2]), ins[2]), outs[0])
        return [*ins[:2], out], [out]

    def ref(xp, p, a, b, c):
        return _multiply(xp, p, a, b) + c * c.dtype.type(p.beta)

    def grad(F, n, dy):
        return *_slopes(F, n, dy), F._mul_scalar(dy, scalar=n.p.beta)


class _linalg_gemm2(Op):
    """``alpha * op(A) op(B)``: products of matrices whose rows lie along `axis` and columns along the last axis; op
    transposes where asked."""
    inputs = "A B"
    params = {**FLAGS, **AXIS}
    aliases = "linalg_gemm2"
    infer_dtype = reals
    samples = (S((2, 3), (3, 4), alpha=2.0), S((3, 2, 4), (3, 5, 4), transpose_b=True), S((2, 4), (2, 3),
                                                                                         transpose_a=True),
               S((2, 4), (3, 2), transpose_a=True, transpose_b=True), S((3, 2, 4), (5, 2, 4), transpose_b=True, axis=0))

    def infer(p, ins, outs):
        return ins, [unify(_product(p, *ins), outs[0])]

    def ref(xp, p, a, b):
        return _multiply(xp, p, a, b)

    grad = _slopes


class _linalg_syrk(Op):
    """``alpha * A A^T``, or with `transpose` ``alpha * A^T A``."""
    inputs = "A"
    params = dict(transpose=Param(T.boolean, False, "A^T A"), alpha=Param(T.real, 1.0, "factor"))
    aliases = "linalg_syrk"
    infer_dtype = reals
    samples = (S((2, 3)), S((2, 3, 4), transpose=True, alpha=0.5))

    def infer(p, ins, outs):
        a = ins[0]
        if a is None:
            return ins, outs
        if len(a) < 2:
            raise ValueError(f"A must hold matrices, not {show(a)}")
        n = a[-1] if p.transpose else a[-2]
        return ins, [unify(a[:-2] + (n, n), outs[0])]

    def ref(xp, p, a):
        return (xp.matmul(t(a), a) if p.transpose else xp.matmul(a, t(a))) * a.dtype.type(p.alpha)

    def grad(F, n, dy):
        both = F.elemwise_add(dy, turned(F, dy))
        a = n.inputs[0]
        return times(F, a, both, alpha=n.p.alpha) if n.p.transpose else times(F, both, a, alpha=n.p.alpha)


SIDES = dict(transpose=Param(T.boolean, False, "use A^T"), rightside=Param(T.boolean, False, "A stands right of B"),
             lower=Param(T.boolean, True, "A is lower triangular, else upper"), alpha=Param(T.real, 1.0, "factor"))


def _sided(p, ins, outs):
    a, b = ins
    square(a)
    b = unify(b, outs[0])
    if a is not None and b is not None:
        if len(a) != len(b):
            raise ValueError(f"A {show(a)} and B {show(b)} must have as many axes")
        b = unify(b, a[:-2] + ((None, a[-1]) if p.rightside else (a[-1], None)))
    return [a, b], [b]


def _of_triangle(F, p, left, right, x):
    """Gradient by A of op(A) x (or x op(A)), where `left` is the product's gradient: a product of matrices, of which
    the triangle counts. `right` says that A stands at the right side."""
    first = times(F, x, left, True) if right else times(F, left, x, False, True)
    return F._linalg_triangle(turned(F, first) if p.transpose else first, lower=p.lower)


class _linalg_trmm(Op):
    """``alpha * op(A) B`` or, with `rightside`, ``alpha * B op(A)``, for triangular A: its other triangle is not
    read."""
    inputs = "A B"
    params = SIDES
    aliases = "linalg_trmm"
    infer, infer_dtype = _sided, reals
    samples = (S((3, 3), (3, 4)), S((2, 3, 3), (2, 4, 3), rightside=True, alpha=2.0), S((3, 3), (3, 2), transpose=True),
               S((3, 3), (2, 3), rightside=True, transpose=True, lower=False))

    def ref(xp, p, a, b):
        a = triangle(xp, a, p.lower)
        a = t(a) if p.transpose else a
        return (xp.matmul(b, a) if p.rightside else xp.matmul(a, b)) * b.dtype.type(p.alpha)

    def grad(F, n, dy):
        p, (a, b) = n.p, n.inputs
        da = _of_triangle(F, p, dy, p.rightside, b)
        return F._mul_scalar(da, scalar=p.alpha), F._linalg_trmm(
            a, dy, transpose=not p.transpose, rightside=p.rightside, lower=p.lower, alpha=p.alpha)


class _linalg_trsm(Op):
    """The X of ``op(A) X = alpha * B`` or, with `rightside`, of ``X op(A) = alpha * B``, for triangular A: its other
    triangle is not read. A zero on the diagonal gives infinities."""
    inputs = "A B"
    params = SIDES
    aliases = "linalg_trsm"
    infer, infer_dtype = _sided, reals
    samples = (S((3, 3), (3, 4), low=0.5, high=1.5),
               S((2, 3, 3), (2, 4, 3), low=0.5, high=1.5, rightside=True, alpha=2.0),
               S((3, 3), (3, 2), low=0.5, high=1.5, transpose=True),
               S((3, 3), (2, 3), low=0.5, high=1.5, rightside=True, transpose=True, lower=False))

    def ref(xp, p, a, b):
        b = b * b.dtype.type(p.alpha)
        if p.rightside:                         # X op(A) = B is op(A)^T X^T = B^T
            return t(_solve(xp, a, t(b), p.lower, not p.transpose)).copy()
        return _solve(xp, a, b, p.lower, p.transpose)

    def grad(F, n, dy):
        p, (a, _) = n.p, n.inputs
        g = F._linalg_trsm(a, dy, transpose=not p.transpose, rightside=p.rightside, lower=p.lower, alpha=1.0)
        da = _of_triangle(F, p, g, p.rightside, n.outputs[0])
        return F.negative(da), F._mul_scalar(g, scalar=p.alpha)


def _solve(xp, a, b, lower, transpose):
    """op(A)^-1 B by substitution, row after row."""
    a = t(a) if transpose else a
    n, x = a.shape[-1], b.copy()
    order = range(n) if lower != transpose else range(n - 1, -1, -1)
    done = []
    for i in order:
        if done:
            x[..., i, :] -= xp.matmul(a[..., i:i + 1, done], x[..., done, :])[..., 0, :]
        x[..., i, :] /= a[..., i, i][..., None]
        done.append(i)
    return x


class _linalg_triangle(Op):
    """One triangle of A and zeros, the diagonal multiplied by `diagonal`."""
    inputs = "A"
    params = dict(lower=Param(T.boolean, True, "which triangle"), diagonal=Param(T.real, 1.0, "factor of the diagonal"))
    infer_dtype = reals
    samples = (S((2, 3, 3), diagonal=0.5), S((3, 3), lower=False))

    def ref(xp, p, a):
        return triangle(xp, a, p.lower, p.diagonal)

    def grad(F, n, dy):
        return F._linalg_triangle(dy, lower=n.p.lower, diagonal=n.p.diagonal)


# -- factorizations and inverses ---------------------------------------------------------------------------------------
def _symmetric(F, e):
    """``(e + e^T) / 2``"""
    return F._mul_scalar(F.elemwise_add(e, turned(F, e)), scalar=0.5)


class _linalg_potrf(Op):
    """The lower triangular L of ``A = L L^T`` (Cholesky) for symmetric, positive definite A, of which the lower
    triangle is read. An error at run time for any other A."""
    inputs = "A"
    aliases = "linalg_potrf"
    infer, infer_dtype = like_square, reals
    samples = (S((3, 1, 1), low=0.5, high=2.0), S((1, 1), low=0.5, high=2.0))

    def ref(xp, p, a):
        return xp.linalg.cholesky(a)

    def grad(F, n, dy):
        low = n.outputs[0]
        inner = F._linalg_triangle(times(F, low, F._linalg_triangle(dy), True), diagonal=0.5)
        inner = F._linalg_trsm(low, inner, transpose=True)
        return _symmetric(F, F._linalg_trsm(low, inner, rightside=True))


class _linalg_potri(Op):
    """The inverse of ``A A^T`` for lower triangular A, what potrf gives: its upper triangle is not read."""
    inputs = "A"
    aliases = "linalg_potri"
    infer, infer_dtype = like_square, reals
    samples = (S((3, 3), low=0.5, high=1.5), S((2, 2, 2), low=0.5, high=1.5))

    def ref(xp, p, a):
        one = xp.broadcast_to(xp.eye(a.shape[-1], dtype=a.dtype), a.shape)
        inverse = _solve(xp, a, one, True, False)
        return xp.matmul(t(inverse), inverse)

    def grad(F, n, dy):
        both = times(F, n.outputs[0], F.elemwise_add(dy, turned(F, dy)))
        da = F._linalg_trsm(n.inputs[0], both, transpose=True, rightside=True)
        return F.negative(F._linalg_triangle(da))


class _linalg_inverse(Op):
    """The inverse of A. A singular matrix is an error at run time."""
    inputs = "A"
    aliases = "linalg_inverse"
    infer, infer_dtype = like_square, reals
    samples = (S((1, 1), low=0.5), S((3, 2, 2), low=-1.5), S((3, 3)))

    def ref(xp, p, a):
        return xp.linalg.inv(a)

    def grad(F, n, dy):
        return times(F, times(F, n.outputs[0], dy, True), n.outputs[0], False, True, alpha=-1.0)


class _linalg_cofactor(Op):
    """The inverse of A, zeros where there is none: what the gradient of a determinant is made of."""
    inputs = "A"
    infer, infer_dtype = like_square, reals
    samples = (S((2, 2)), S((2, 3, 3)))

    def ref(xp, p, a):
        regular = (xp.linalg.slogdet(a)[0] != 0)[..., None, None]
        one = xp.eye(a.shape[-1], dtype=a.dtype)
        return xp.where(regular, xp.linalg.inv(xp.where(regular, a, one)), xp.zeros((), a.dtype))

    grad = _linalg_inverse.grad


def _batch(p, ins, outs):
    a = ins[0]
    square(a)
    shape = None if a is None else a[:-2] or (1,)
    return ins, [unify(shape, o) for o in outs]


class _linalg_det(Op):
    """The determinants of A: (...) for A (..., n, n), (1,) for one matrix. The gradient of a singular matrix is 0."""
    inputs = "A"
    outputs = "output0"
    mxnet_outputs = 3
    aliases = "linalg_det"
    infer, infer_dtype = _batch, reals
    samples = (S((3, 3)), S((2, 2, 2)))

    def ref(xp, p, a):
        return xp.linalg.det(a).reshape(a.shape[:-2] or (1,)).astype(a.dtype)

    def grad(F, n, dy):
        return _along_inverse(F, n, F.elemwise_mul(dy, n.outputs[0]))


def _along_inverse(F, n, dy):
    weight = F._reshape_to(dy, shape=n.in_shapes[0][:-2] + (1, 1))
    return F.broadcast_mul(turned(F, F._linalg_cofactor(n.inputs[0])), weight)


class _linalg_slogdet(Op):
    """Signs of the determinants of A, and logarithms of their magnitudes: 0 and -infinity for a singular matrix, whose
    gradient is 0."""
    inputs = "A"
    outputs = "output0 output1"
    mxnet_outputs = 4
    aliases = "linalg_slogdet"
    infer, infer_dtype = _batch, reals
    samples = (S((3, 3)), S((2, 2, 2)))

    def ref(xp, p, a):
        sign, log = xp.linalg.slogdet(a)
        shape = a.shape[:-2] or (1,)
        return xp.asarray(sign).reshape(shape).astype(a.dtype), xp.asarray(log).reshape(shape).astype(a.dtype)

    def grad(F, n, dsign, dlog):
        return None if dlog is None else _along_inverse(F, n, dlog)
