/* What forward and backward share: matrix products, the pieces of what is saved, dropout between layers. */

/* C(m, n) = op(A) op(B): a stored (m, k), with `ta` (k, m); b stored (k, n), with `tb` (n, k). */
static ENG(job) ENG(rnn_job)(int64_t m, int64_t n, int64_t k, const REAL *a, int ta, const REAL *b, int tb, REAL *c,
                             void *work)
{
    return (ENG(job)){.m = m, .n = n, .k = k, .batch = 1, .a = a, .lda = ta ? m : k, .b = b, .ldb = tb ? k : n,
                      .a_row = ta ? 0 : k, .a_k = !ta, .a_as_is = 1, .c = c, .ldc = n, .work = work,
                      .pack_a = ta ? ENG(a_trans) : ENG(a_plain), .pack_b = tb ? ENG(b_trans) : ENG(b_plain)};
}

/* A matrix as the right side of many products, packed into the next piece of the workspace. */
static const REAL *ENG(rnn_packed)(const REAL *b, int tb, int64_t k, int64_t n, char **work, mxl_runtime *rt,
                                   int threads)
{
    const ENG(job) d = ENG(rnn_job)(0, n, k, NULL, 0, b, tb, NULL, NULL);
    REAL *dst = rnn_take(work, ENG(packed_b_size)(&d) * (int64_t)sizeof(REAL));
    ENG(pack_whole_b)(&d, dst, rt, threads);
    return dst;
}

/* A as the left side of a product whose columns are many, packed into `dst`. */
static void ENG(rnn_packed_a)(ENG(job) *d, REAL *dst, mxl_runtime *rt, int threads)
{
    ENG(pack_whole_a)(d, dst, rt, threads);
    d->packed_a = dst;
}

/* Bytes of one thread on its way through the steps: the engine's, then `rows` rows of gates. */
static int64_t ENG(rnn_thread)(const rnn_args *a, int64_t rows, int64_t *scratch)
{
    *scratch = sizeof(REAL) == 4 ? a->scratch4 : a->scratch8;
    return *scratch + ceil_to(rows * rnn_gates(a) * a->hidden * (int64_t)sizeof(REAL), 64);
}

/* Tile `t` of 256 words of dropout: elements [first, first + n) of all layers' inputs are at x. */
static void ENG(rnn_drop_tile)(const mxl_call *c, const rnn_args *a, int64_t t, int64_t first, int64_t n, REAL *x)
{
    uint32_t w[256];
    const int64_t from = (first / 256 + t) * 256;
    const REAL scale = (REAL)a->scale;
    for (int64_t i = 0; i < 64; i++)
        philox_block(c->rng->seed, c->rng->step, c->rng_id, (uint32_t)(from / 4 + i), w + 4 * i, w + 4 * i + 1,
                     w + 4 * i + 2, w + 4 * i + 3);
    for (int64_t i = most(0, first - from); i < least(256, first + n - from); i++)
        x[from + i - first] = w[i] >= a->threshold ? x[from + i - first] * scale : 0;     /* 2^32 drops all */
}

/* Multiplies layer `layer`'s inputs, or their gradient, by dropout's factors; layer 1 takes the first words. */
static void ENG(rnn_drop)(mxl_runtime *rt, const mxl_call *c, const rnn_args *a, int64_t layer, REAL *x)
{
    const int64_t n = a->steps * a->batch * a->directions * rnn_state(a), first = (layer - 1) * n;
    const int64_t tiles = ceil_div(first + n, 256) - first / 256;
    if (n == 0 || a->threshold == 0 || !c->is_train) return;
    const int nt = mxl_enter(rt, c->threads, 4 * n, MXL_GRAIN);
    if (nt == 1) {
        for (int64_t t = 0; t < tiles; t++) ENG(rnn_drop_tile)(c, a, t, first, n, x);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(nt)
        for (int64_t t = 0; t < tiles; t++) ENG(rnn_drop_tile)(c, a, t, first, n, x);
#endif
    }
    mxl_leave(rt, nt);
}

/* The pieces of what forward saves, of one layer. Without a vector to save to, `saved` is NULL and the pieces come
 * from the workspace, and so do the gates of the plain modes, which nobody saves. */
typedef struct { REAL *gates[2], *states[2], *cells[2], *recurrent[2]; } ENG(rnn_keep);

static int64_t ENG(rnn_saved)(const rnn_args *a)
{
    const int64_t rows = a->steps * a->batch, h = a->hidden, r = rnn_state(a);
    return (a->mode >= RNN_LSTM ? rows * rnn_gates(a) * h : 0) + (rows + a->batch) * r
           + (a->mode == RNN_LSTM ? (rows + a->batch) * h : 0) + (a->mode == RNN_GRU ? rows * h : 0);
}

static ENG(rnn_keep) ENG(rnn_pieces)(const rnn_args *a, int64_t layer, const REAL *saved)
{
    const int64_t rows = a->steps * a->batch, h = a->hidden, r = rnn_state(a);
    ENG(rnn_keep) keep = {{0}, {0}, {0}, {0}};
    for (int64_t d = 0; d < a->directions; d++) {
        REAL *at = (REAL *)saved + (layer * a->directions + d) * ENG(rnn_saved)(a);
        if (a->mode >= RNN_LSTM) keep.gates[d] = at, at += rows * rnn_gates(a) * h;
        keep.states[d] = at, at += (rows + a->batch) * r;
        if (a->mode == RNN_LSTM) keep.cells[d] = at;
        if (a->mode == RNN_GRU) keep.recurrent[d] = at;
    }
    return keep;
}

/* What layer `layer` reads, where it is saved. */
static REAL *ENG(rnn_input)(const rnn_args *a, int64_t layer, const REAL *data, const REAL *saved)
{
    const int64_t r = rnn_state(a);
    if (layer == 0) return (REAL *)data;
    if (!a->joined) return ENG(rnn_pieces)(a, layer - 1, saved).states[0] + a->batch * r;
    return (REAL *)saved + a->layers * a->directions * ENG(rnn_saved)(a)
           + (layer - 1) * a->steps * a->batch * a->directions * r;
}
