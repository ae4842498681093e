"""Matrix products: dot, batch_dot, FullyConnected, and the one 2-D product that their gradients are made of.

All four run the same packed kernel (``gemm.gemm``): tensors are contiguous, so that every product here is a matrix
product of reshaped inputs, with two transpose flags.
"""
from .record import Op, Param, S, show, unify
from .rules import size
from .types import boolean, integer, optional, shape, text

STYPES = ("default", "row_sparse", "csr")
FORWARD_STYPE = Param(optional(text), None, "storage type of the output; only the default one exists", choices=STYPES)
FLOATS = ("float32", "float64", "float16", "bfloat16")
TRANSPOSE_A = Param(boolean, False, "contract the first axis of lhs, not the last (batch_dot: swap its last two)")
TRANSPOSE_B = Param(boolean, False, "contract the last axis of rhs, not the first (batch_dot: swap its last two)")

# Blocks of the packed engine (engine.h): columns of B, bytes of one row of the contracted axis, rows that are converted
# at once; the most that A is packed whole of. Then limits of its paths (gemm.h).
BLOCK_N, BLOCK_K_BYTES, PANEL_N, FINISH_M, SHARED_BYTES = 192, 2048, 48, 256, 1 << 24
THIN, LONG_SIZE, LONG_K, LONG_PART, LONG_PARTS, SMALL, SMALL_K = 4, 8192, 4096, 1024, 16, 32768, 128


def ceil_to(n, unit):
    return -(-n // unit) * unit


def block_bytes(m, n, k, itemsize, threads, batch=1):
    """Bytes of packing buffers for C(m, n) = A(m, k) B(k, n), and for smaller ones: a block of B and a panel of A for
    each thread, and all of A, where more than one task needs it."""
    block = min(max(k, 1), BLOCK_K_BYTES // itemsize)
    shared = min(ceil_to(m, 8) * k * itemsize, SHARED_BYTES) if batch == 1 and n > PANEL_N else 0
    return ceil_to(shared, 64) + max(1, threads) * (
        ceil_to(8 * block * itemsize, 64) + ceil_to(min(ceil_to(n, 16), BLOCK_N) * block * itemsize, 64))


def gemm_bytes(m, n, k, itemsize, threads, batch=1):
    """Scratch of `gemm.gemm`: for packing; for the path of a few rows or columns, which copies that side; for long sums
    of few elements, which are made in parts; for narrow types, summed in float32 blocks. Small products need none."""
    if itemsize < 4:
        block = min(m, FINISH_M) * min(ceil_to(n, 16), BLOCK_N) * 4
        return block_bytes(m, n, k, 4, threads, batch) + max(1, threads) * ceil_to(block, 64)
    if k <= SMALL_K and m * n * max(k, 1) <= SMALL and (
            batch > 1 or min(m, n) > THIN or k <= 16 * (m if m <= n else n - 1)):
        return 0
    if batch == 1 and min(m, n) <= THIN:
        return max(block_bytes(m, n, k, itemsize, threads), min(m, n) * k * itemsize + 64)
    if batch == 1 and m * n <= LONG_SIZE and k >= LONG_K:
        parts = min(LONG_PARTS, k // LONG_PART)
        return ceil_to((parts + 1) * m * n * itemsize, 64) + block_bytes(m, n, k, itemsize, threads)
    return block_bytes(m, n, k, itemsize, threads, batch)


def packed_size(n, k):
    """Elements of the output of ``gemm.pack_weight`` for a second factor of `n` columns and `k` rows, at any level."""
    return ceil_to(n, 16) * k


def wide(xp, x):
    """`x` in float32 where it is narrower."""
    return x.astype(xp.float32) if x.dtype == xp.float16 else x


def product(xp, a, b):
    """``a @ b``, accumulated in float32 where the dtype is narrower."""
    return xp.matmul(wide(xp, a), wide(xp, b)).astype(a.dtype, copy=False)


def gemm_args(m, n, k, ta, tb, batch=1, **epilogue):
    """Arguments of ``gemm.gemm``: C(m, n) = act(op(A) op(B) + bias + residual), `batch` times.

    `epilogue` (all 0 unless given): `bias`, `residual`: whether there is such an input, after A and B in that order;
    one bias a column, a residual of C's shape that may be C's memory. `act`: 0 none, 1 relu, 2 clip to `lo` .. `hi`.
    `prepared`: B is the output of ``gemm.pack_weight``, which takes the same arguments (float32 and float64 alone).
    """
    return {"batch": batch, "m": m, "n": n, "k": k, "ta": int(ta), "tb": int(tb), **epilogue}


def _split(p, a, b):
    """dot as a matrix product: (m, n, k) and the axes that stay, of known shapes or of shapes with unknown axes."""
    if len(a) == 0 or len(b) == 0:
        raise ValueError("dot needs arrays of at least one axis")
    if len(a) == 1 and len(b) == 1 and (p.transpose_a or p.transpose_b):
        raise ValueError("vectors cannot be transposed")
    rows, ka = (a[1:], a[0]) if p.transpose_a else (a[:-1], a[-1])
    cols, kb = (b[:-1], b[-1]) if p.transpose_b else (b[1:], b[0])
    if ka is not None and kb is not None and ka != kb:
        raise ValueError(f"contracted axes differ: {ka} of lhs {show(a)}, {kb} of rhs {show(b)}")
    return rows, cols, kb if ka is None else ka


class dot(Op):
    """Tensor product over one axis: the last axis of `lhs` with the first of `rhs`.

    ``out = lhs.shape[:-1] + rhs.shape[1:]``; two vectors give shape (1,). With `transpose_a` the first axis of `lhs`
    is contracted, with `transpose_b` the last of `rhs`; the other axes keep their order. Any number of axes from 1 on.
    ValueError where the contracted axes differ, or where two vectors are to be transposed.
    """
    inputs = "lhs rhs"
    params = dict(transpose_a=TRANSPOSE_A, transpose_b=TRANSPOSE_B, forward_stype=FORWARD_STYPE)

    def infer(p, ins, outs):
        a, b = ins
        if a is None or b is None:
            return ins, outs
        rows, cols, k = _split(p, a, b)
        a = (k, *rows) if p.transpose_a else (*rows, k)
        b = (*cols, k) if p.transpose_b else (k, *cols)
        return [a, b], [unify((*rows, *cols) or (1,), outs[0])]

    def ref(xp, p, a, b):
        rows, cols, k = _split(p, a.shape, b.shape)
        a = a.reshape(k, size(rows)).T if p.transpose_a else a.reshape(size(rows), k)
        b = b.reshape(size(cols), k).T if p.transpose_b else b.reshape(k, size(cols))
        return product(xp, a, b).reshape((*rows, *cols) or (1,))

    cpu = "gemm.gemm"
    cpu_dtypes = FLOATS

    def launch(p, ins, outs):
        rows, cols, k = _split(p, *ins)
        return gemm_args(size(rows), size(cols), k, p.transpose_a, p.transpose_b)

    def workspace(p, ins, outs, itemsize, threads):
        rows, cols, k = _split(p, *ins)
        return gemm_bytes(size(rows), size(cols), k, itemsize, threads)

    def grad(F, n, dy):
        rows, cols, k = _split(n.p, *n.in_shapes)
        return _product_grads(F, n, dy, size(rows), size(cols), k, n.p.transpose_a, n.p.transpose_b)

    samples = (
        S((5, 7), (7, 3)), S((7, 5), (7, 3), transpose_a=True), S((5, 7), (3, 7), transpose_b=True),
        S((7, 5), (3, 7), transpose_a=True, transpose_b=True), S((4,), (4,)), S((6,), (6, 5)), S((5, 6), (6,)),
        S((2, 3, 4), (4, 5, 6)), S((4, 2, 3), (5, 6, 4), transpose_a=True, transpose_b=True), S((0, 3), (3, 4)),
        S((2, 0), (0, 4)), S((65, 130), (130, 97)), S((1, 300), (200, 300), transpose_b=True),
        S((3, 130), (130, 530)), S((200, 150), (200, 2), transpose_a=True))


def _product_grads(F, n, dy, rows, cols, k, ta, tb):
    """Gradients of C(rows, cols) = op(a) op(b), as products of the flattened tensors."""
    a, b = n.inputs[:2]
    sa, sb = n.in_shapes[:2]
    if ta:
        da = F._gemm(b, dy, m=k, n=rows, k=cols, transpose_a=tb, transpose_b=True, shape=sa)
    else:
        da = F._gemm(dy, b, m=rows, n=k, k=cols, transpose_b=not tb, shape=sa)
    if tb:
        db = F._gemm(dy, a, m=cols, n=k, k=rows, transpose_a=True, transpose_b=ta, shape=sb)
    else:
        db = F._gemm(a, dy, m=k, n=cols, k=rows, transpose_a=not ta, shape=sb)
    return da, db


class _gemm(Op):
    """``op(a) op(b)`` of two tensors seen as matrices, given any `shape` of m * n elements.

    `a` holds m * k elements (k * m with `transpose_a`), `b` holds k * n (n * k with `transpose_b`). The gradients of
    dot and FullyConnected are made of it: no reshape nodes. ValueError where the numbers of elements do not fit.
    """
    inputs = "lhs rhs"
    params = dict(m=Param(integer, help="rows of the result", low=0), n=Param(integer, help="its columns", low=0),
                  k=Param(integer, help="contracted length", low=0), transpose_a=TRANSPOSE_A, transpose_b=TRANSPOSE_B,
                  shape=Param(shape, help="shape of the output"))

    def infer(p, ins, outs):
        want = (p.m * p.k, p.k * p.n, p.m * p.n)
        for s, elements in zip((*ins, p.shape), want):
            if s is not None and None not in s and size(s) != elements:
                raise ValueError(f"_gemm: shape {show(s)} does not hold {elements} elements")
        return ins, [unify(p.shape, outs[0])]

    def ref(xp, p, a, b):
        a = a.reshape(p.k, p.m).T if p.transpose_a else a.reshape(p.m, p.k)
        b = b.reshape(p.n, p.k).T if p.transpose_b else b.reshape(p.k, p.n)
        return product(xp, a, b).reshape(p.shape)

    cpu = "gemm.gemm"
    cpu_dtypes = FLOATS

    def launch(p, ins, outs):
        return gemm_args(p.m, p.n, p.k, p.transpose_a, p.transpose_b)

    def workspace(p, ins, outs, itemsize, threads):
        return gemm_bytes(p.m, p.n, p.k, itemsize, threads)

    def grad(F, n, dy):
        return _product_grads(F, n, dy, n.p.m, n.p.n, n.p.k, n.p.transpose_a, n.p.transpose_b)

    samples = (S((3, 4, 5), (4, 5, 6), m=3, n=6, k=20, shape=(3, 2, 3)),
               S((6, 10), (6, 7), m=10, n=7, k=6, transpose_a=True, shape=(10, 7)),
               S((10, 6), (7, 6), m=10, n=7, k=6, transpose_b=True, shape=(10, 7)),
               S((6, 10), (7, 6), m=10, n=7, k=6, transpose_a=True, transpose_b=True, shape=(70,)))


def _batch(p, a, b):
    """batch_dot's leading axes and (m, n, k); axes may be unknown."""
    if len(a) != len(b) or len(a) < 3:
        raise ValueError(f"batch_dot needs two arrays of the same number of axes, at least 3: {show(a)} and {show(b)}")
    lead = unify(a[:-2], b[:-2])
    m, ka = (a[-1], a[-2]) if p.transpose_a else (a[-2], a[-1])
    kb, n = (b[-1], b[-2]) if p.transpose_b else (b[-2], b[-1])
    if ka is not None and kb is not None and ka != kb:
        raise ValueError(f"batch_dot: contracted axes differ: {ka} of lhs {show(a)}, {kb} of rhs {show(b)}")
    return lead, m, n, kb if ka is None else ka


class batch_dot(Op):
    """Matrix product of the last two axes, for each index of the leading axes.

    (..., m, k) and (..., k, n) give (..., m, n); the transpose flags swap the last two axes of an input. Leading axes
    must be equal (no broadcasting), at least one. ValueError where shapes do not fit.
    """
    inputs = "lhs rhs"
    params = dict(transpose_a=TRANSPOSE_A, transpose_b=TRANSPOSE_B, forward_stype=FORWARD_STYPE)

    def infer(p, ins, outs):
        if ins[0] is None or ins[1] is None:
            return ins, outs
        lead, m, n, k = _batch(p, *ins)
        return ([(*lead, k, m) if p.transpose_a else (*lead, m, k), (*lead, n, k) if p.transpose_b else (*lead, k, n)],
                [unify((*lead, m, n), outs[0])])

    def ref(xp, p, a, b):
        return product(xp, a.swapaxes(-1, -2) if p.transpose_a else a, b.swapaxes(-1, -2) if p.transpose_b else b)

    cpu = "gemm.gemm"
    cpu_dtypes = FLOATS

    def launch(p, ins, outs):
        lead, m, n, k = _batch(p, *ins)
        return gemm_args(m, n, k, p.transpose_a, p.transpose_b, size(lead))

    def workspace(p, ins, outs, itemsize, threads):
        lead, m, n, k = _batch(p, *ins)
        return gemm_bytes(m, n, k, itemsize, threads, size(lead))

    def grad(F, n, dy):
        (a, b), ta, tb = n.inputs, n.p.transpose_a, n.p.transpose_b
        da = F.batch_dot(b, dy, transpose_a=tb, transpose_b=True) if ta else F.batch_dot(dy, b, transpose_b=not tb)
        db = F.batch_dot(dy, a, transpose_a=True, transpose_b=ta) if tb else F.batch_dot(a, dy, transpose_a=not ta)
        return da, db

    samples = (S((2, 3, 4), (2, 4, 5)), S((2, 4, 3), (2, 4, 5), transpose_a=True),
               S((2, 3, 4), (2, 5, 4), transpose_b=True), S((3, 4, 9), (3, 5, 4), transpose_a=True, transpose_b=True),
               S((2, 3, 7, 6), (2, 3, 6, 50)), S((0, 3, 4), (0, 4, 5)), S((40, 17, 33), (40, 33, 19)))


def _fc_sizes(p, x):
    """(rows, contracted length) of FullyConnected for a known data shape."""
    return (x[0], size(x[1:])) if p.flatten else (size(x[:-1]), x[-1])


class FullyConnected(Op):
    """``data · weightᵀ + bias``: a dense layer.

    `weight` is (num_hidden, inputs), `bias` (num_hidden,) and absent with `no_bias`. With `flatten` all axes of `data`
    but the first are one axis of inputs and the output is (batch, num_hidden); without, only the last axis is
    contracted and the others stay. ValueError where shapes do not fit.
    """
    def inputs(p):
        return "data weight" if p.no_bias else "data weight bias"

    params = dict(num_hidden=Param(integer, help="number of outputs a row", low=1),
                  no_bias=Param(boolean, False, "leave out the bias"),
                  flatten=Param(boolean, True, "contract all axes of data but the first, instead of the last alone"))

    def infer(p, ins, outs):
        x, w, y = ins[0], unify(ins[1], (p.num_hidden, None)), outs[0]
        if x is not None:
            if len(x) == 0:
                raise ValueError("FullyConnected needs data of at least one axis")
            if p.flatten:
                k = None if None in x[1:] else size(x[1:])
                y = unify((x[0], p.num_hidden), y)
                x = (y[0], *x[1:])
                if len(x) == 2:
                    x = (x[0], w[1] if x[1] is None else x[1])
            else:
                k = x[-1]
                y = unify((*x[:-1], p.num_hidden), y)
                x = (*y[:-1], w[1] if k is None else k)
            w = unify(w, (p.num_hidden, k))
        bias = [] if p.no_bias else [unify(ins[2], (p.num_hidden,))]
        return [x, w, *bias], [y]

    def ref(xp, p, x, w, bias=None):
        lead = x.shape[:1] if p.flatten else x.shape[:-1]
        y = product(xp, x.reshape(_fc_sizes(p, x.shape)), w.T)
        if bias is not None:
            y = y + bias
        return y.reshape(*lead, p.num_hidden)

    cpu = "gemm.gemm"
    cpu_dtypes = FLOATS

    def launch(p, ins, outs):
        m, k = _fc_sizes(p, ins[0])
        return gemm_args(m, p.num_hidden, k, False, True, bias=int(not p.no_bias))

    def workspace(p, ins, outs, itemsize, threads):
        m, k = _fc_sizes(p, ins[0])
        return gemm_bytes(m, p.num_hidden, k, itemsize, threads)

    def grad(F, n, dy):
        m, k = _fc_sizes(n.p, n.in_shapes[0])
        x, w = n.inputs[:2]
        dx = F._gemm(dy, w, m=m, n=k, k=n.p.num_hidden, shape=n.in_shapes[0])
        dw = F._gemm(dy, x, m=n.p.num_hidden, n=k, k=m, transpose_a=True, shape=n.in_shapes[1])
        return (dx, dw) if n.p.no_bias else (dx, dw, F.sum(dy, axis=-1, exclude=True))

    samples = (S((4, 6), num_hidden=5), S((3, 2, 5), num_hidden=7), S((3, 2, 5), num_hidden=7, flatten=False),
               S((2, 3), num_hidden=1, no_bias=True), S((0, 3), num_hidden=4), S((1, 130), num_hidden=70),
               S((64, 400), num_hidden=120), S((5,), num_hidden=3, flatten=False), S((9, 33), num_hidden=49))
