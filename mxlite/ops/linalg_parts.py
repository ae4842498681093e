"""Linear algebra that takes matrices apart: diagonals, triangles, orthogonal factors and eigenvectors."""
from . import types as T
from .linalg import like_square, reals, square, t, times, turned
from .record import Op, Param, S, show, unify
from .shape import known

OFFSET = dict(offset=Param(T.integer, 0, "which diagonal: above the main one where positive"))
LOWER = dict(lower=Param(T.boolean, True, "with offset 0: the lower triangle, else the upper"))


def _left(n, offset):
    if n <= abs(offset):
        raise ValueError(f"offset {offset} leaves nothing of a matrix of {n} rows")
    return n - abs(offset)


class _linalg_extractdiag(Op):
    """Diagonal `offset` of A (..., n, n): (..., n - |offset|)."""
    inputs = "A"
    params = OFFSET
    aliases = "linalg_extractdiag"
    infer_dtype = reals
    samples = (S((3, 3)), S((2, 4, 4), offset=1), S((3, 3), offset=-2))

    def infer(p, ins, outs):
        a = ins[0]
        square(a)
        if not known(a):
            return ins, outs
        return ins, [unify(a[:-2] + (_left(a[-1], p.offset),), outs[0])]

    def ref(xp, p, a):
        return xp.diagonal(a, p.offset, -2, -1).copy()

    def grad(F, n, dy):
        return F._linalg_makediag(dy, offset=n.p.offset)


class _linalg_makediag(Op):
    """Square matrices with the vectors A (..., n) on diagonal `offset` and zeros elsewhere."""
    inputs = "A"
    params = OFFSET
    aliases = "linalg_makediag"
    infer_dtype = reals
    samples = (S((3,)), S((2, 3), offset=1), S((2,), offset=-2))

    def infer(p, ins, outs):
        a = ins[0]
        if not known(a):
            return ins, outs
        if not a:
            raise ValueError("A needs at least one axis")
        n = a[-1] + abs(p.offset)
        return ins, [unify(a[:-1] + (n, n), outs[0])]

    def ref(xp, p, a):
        n = a.shape[-1] + abs(p.offset)
        out = xp.zeros(a.shape[:-1] + (n, n), a.dtype)
        i = xp.arange(a.shape[-1])
        out[..., i + max(0, -p.offset), i + max(0, p.offset)] = a
        return out

    def grad(F, n, dy):
        return F._linalg_extractdiag(dy, offset=n.p.offset)


def _places(xp, p, n):
    """Rows and columns of the triangle that starts at diagonal `offset`: a lower one row by row, an upper one column
    by column."""
    if p.offset < 0 or p.offset == 0 and p.lower:
        return xp.tril_indices(n, p.offset)
    return xp.tril_indices(n, -p.offset)[::-1]


class _linalg_extracttrian(Op):
    """The triangle of A (..., n, n) from diagonal `offset` on (below it where negative, above it where positive,
    `lower` decides for 0) in one axis, a lower one row by row, an upper one column by column: m * (m + 1) / 2
    elements for m = n - |offset|."""
    inputs = "A"
    params = {**OFFSET, **LOWER}
    aliases = "linalg_extracttrian"
    infer_dtype = reals
    samples = (S((3, 3)), S((2, 3, 3), lower=False), S((4, 4), offset=1), S((4, 4), offset=-2, lower=False))

    def infer(p, ins, outs):
        a = ins[0]
        square(a)
        if not known(a):
            return ins, outs
        m = _left(a[-1], p.offset)
        return ins, [unify(a[:-2] + (m * (m + 1) // 2,), outs[0])]

    def ref(xp, p, a):
        return a[(..., *_places(xp, p, a.shape[-1]))]

    def grad(F, n, dy):
        return F._linalg_maketrian(dy, offset=n.p.offset, lower=n.p.lower)


def _rows(count):
    """The m of ``m * (m + 1) / 2 = count``."""
    m = int(((8 * count + 1) ** 0.5 - 1) / 2 + 0.5)
    if m * (m + 1) // 2 != count:
        raise ValueError(f"{count} elements are no triangle: it has m * (m + 1) / 2")
    return m


class _linalg_maketrian(Op):
    """Square matrices with the triangle A (..., m * (m + 1) / 2) where extracttrian takes it from, and zeros."""
    inputs = "A"
    params = {**OFFSET, **LOWER}
    aliases = "linalg_maketrian"
    infer_dtype = reals
    samples = (S((6,)), S((2, 3), lower=False), S((6,), offset=1), S((3,), offset=-2, lower=False))

    def infer(p, ins, outs):
        a = ins[0]
        if not known(a):
            return ins, outs
        if not a:
            raise ValueError("A needs at least one axis")
        n = _rows(a[-1]) + abs(p.offset)
        return ins, [unify(a[:-1] + (n, n), outs[0])]

    def ref(xp, p, a):
        n = _rows(a.shape[-1]) + abs(p.offset)
        out = xp.zeros(a.shape[:-1] + (n, n), a.dtype)
        out[(..., *_places(xp, p, n))] = a
        return out

    def grad(F, n, dy):
        return F._linalg_extracttrian(dy, offset=n.p.offset, lower=n.p.lower)


class _linalg_sumlogdiag(Op):
    """Sums of the logarithms of the diagonals of A: (...) for A (..., n, n), (1,) for one matrix."""
    inputs = "A"
    aliases = "linalg_sumlogdiag"
    infer_dtype = reals
    samples = (S((3, 3), low=0.5, high=2.0), S((2, 2, 2), low=0.5, high=2.0))

    def infer(p, ins, outs):
        square(ins[0])
        return ins, [unify(None if ins[0] is None else ins[0][:-2] or (1,), outs[0])]

    def ref(xp, p, a):
        return xp.asarray(xp.log(xp.diagonal(a, 0, -2, -1)).sum(-1)).reshape(a.shape[:-2] or (1,)).astype(a.dtype)

    def grad(F, n, dy):
        weight = F._reshape_to(dy, shape=n.in_shapes[0][:-2] + (1,))
        return F._linalg_makediag(F.broadcast_div(weight, F._linalg_extractdiag(n.inputs[0])))


class _linalg_gelqf(Op):
    """Q, L with ``A = L Q``: L (..., m, m) lower triangular, the rows of Q (..., m, n) orthonormal; for A (..., m, n)
    of full rank, m <= n."""
    inputs = "A"
    outputs = "output0 output1"
    aliases = "linalg_gelqf"
    infer_dtype = reals
    samples = (S((2, 3)), S((2, 2, 2)), S((2, 1, 3)))

    def infer(p, ins, outs):
        a = ins[0]
        if not known(a):
            return ins, outs
        if len(a) < 2 or a[-2] > a[-1]:
            raise ValueError(f"A {show(a)} must hold matrices with at least as many columns as rows")
        return ins, [unify(a, outs[0]), unify(a[:-1] + a[-2:-1], outs[1])]

    def ref(xp, p, a):
        q, r = xp.linalg.qr(t(a))
        return t(q).copy(), t(r).copy()

    def grad(F, n, dq, dl):
        q, low = n.outputs
        dq, dl = (F.zeros_like(e) if d is None else d for e, d in zip(n.outputs, (dq, dl)))
        inner = F.elemwise_sub(times(F, low, F._linalg_triangle(dl), True), times(F, dq, q, False, True))
        inner = F._linalg_triangle(inner, diagonal=0.5)
        inner = times(F, F.elemwise_add(inner, turned(F, inner)), q)
        return F._linalg_trsm(low, F.elemwise_add(dq, inner), transpose=True)


class _linalg_syevd(Op):
    """U, L with ``A = U^T diag(L) U`` for symmetric A: the rows of U (..., n, n) are eigenvectors, each with its
    largest element positive, L (..., n) their values in ascending order. The lower triangle is read. The gradient
    needs different values."""
    inputs = "A"
    outputs = "output0 output1"
    infer_dtype = reals
    samples = (S((1, 1)), S((2, 1, 1)), S((0, 0)))

    def infer(p, ins, outs):
        a = unify(ins[0], outs[0])
        like_square(p, [a], [])
        return [a], [a, unify(None if a is None else a[:-1], outs[1])]

    def ref(xp, p, a):
        if a.size == 0:
            return a.copy(), xp.zeros(a.shape[:-1], a.dtype)
        values, vectors = xp.linalg.eigh(a)
        u = t(vectors).copy()
        largest = xp.take_along_axis(u, xp.argmax(xp.abs(u), -1)[..., None], -1)
        return u * xp.where(largest < 0, a.dtype.type(-1), a.dtype.type(1)), values

    def grad(F, n, du, dl):
        u, values = n.outputs
        size, dtype = n.in_shapes[0][-1], n.in_dtypes[0]
        head = n.in_shapes[0][:-2]
        inner = None if dl is None else F._linalg_makediag(dl)
        if du is not None:
            one = F._reshape_to(F._eye(N=size, dtype=dtype), shape=(1,) * len(head) + (size, size))
            apart = F.broadcast_sub(F._reshape_to(values, shape=head + (size, 1)),
                                    F._reshape_to(values, shape=head + (1, size)))
            weight = F.broadcast_sub(F._rdiv_scalar(F.broadcast_add(apart, one), scalar=1.0), one)
            turn = F.elemwise_mul(times(F, du, u, False, True), weight)
            turn = F._mul_scalar(F.elemwise_add(turn, turned(F, turn)), scalar=0.5)
            inner = turn if inner is None else F.elemwise_add(inner, turn)
        return times(F, times(F, u, inner, True), u)
