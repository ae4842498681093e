/* Drivers of the element-wise loops at one computing type; included by elementwise_run.h with T, SUFFIX and NATIVE (the
 * dtype that is T in memory) defined. Every other dtype passes through tiles. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define LOAD mxl_levels[mxl_rt->isa]->JOIN(load_, SUFFIX)
#define STORE mxl_levels[mxl_rt->isa]->JOIN(store_, SUFFIX)
#define LOOP_T JOIN(mxl_loop_, SUFFIX)
#define SELF(name) JOIN(name, SUFFIX)

/* Elements [from, to) of out = f(a, b). */
static void SELF(span_)(LOOP_T f, mxl_tensor *a, mxl_tensor *b, mxl_tensor *y, const T *s, int cost, int64_t from,
                        int64_t to)
{
    if (y->dtype == NATIVE && a->dtype == NATIVE) {
        const T *x = (const T *)a->data, *z = b ? (const T *)b->data : 0;
        T *out = (T *)y->data, tile[STREAM_TILE];
        if (y->size * (int64_t)sizeof(T) <= mxl_stream_bytes || cost > COST_C || out == x || out == z) {
            f(to - from, x + from, z ? z + from : 0, out + from, s);
            return;
        }
        for (int64_t i = from; i < to; i += STREAM_TILE) {
            int64_t m = to - i < STREAM_TILE ? to - i : STREAM_TILE;
            f(m, x + i, z ? z + i : 0, tile, s);
            mxl_levels[mxl_rt->isa]->stream(out + i, tile, m * sizeof(T));
        }
        STREAM_END();
        return;
    }
    T ta[TILE], tb[TILE], ty[TILE];
    for (int64_t i = from; i < to; i += TILE) {
        int64_t m = to - i < TILE ? to - i : TILE;
        LOAD(a->dtype, a->data, i, m, ta);
        if (b) LOAD(b->dtype, b->data, i, m, tb);
        f(m, ta, tb, ty, s);
        STORE(y->dtype, y->data, i, m, ty);
    }
}

static int SELF(flat_)(mxl_call *c, LOOP_T f, mxl_tensor *a, mxl_tensor *b, mxl_tensor *y, const T *s, int cost)
{
    int64_t n = y->size;
    int nt = mxl_enter(mxl_rt, c->threads, n * cost, MXL_GRAIN);
    if (nt == 1) {
        SELF(span_)(f, a, b, y, s, cost, 0, n);
        return MXL_OK;
    }
    int64_t step = (n / nt + 63) / 64 * 64;
    if (step * nt < n) step += 64;
#pragma omp parallel for num_threads(nt) schedule(static, 1)
    for (int t = 0; t < nt; t++) {
        int64_t from = t * step, to = from + step < n ? from + step : n;
        if (from < to) SELF(span_)(f, a, b, y, s, cost, from, to);
    }
    mxl_leave(mxl_rt, nt);
    return MXL_OK;
}

/* Rows [row, end) of a broadcast, each cut to the columns [col, col_end) where there is one row only. */
static void SELF(rows_)(const LOOP_T *f, mxl_call *c, const BroadcastArgs *g, int64_t row, int64_t end, int64_t col,
                        int64_t col_end)
{
    int last = (int)g->ndim - 1;
    int64_t inner = g->dims[last], sa = g->a[last], sb = g->b[last], width = col_end - col;
    int64_t at[MXL_MAXDIM], pa = 0, pb = 0, rest = row;
    for (int d = last - 1; d >= 0; d--) {
        at[d] = rest % g->dims[d];
        rest /= g->dims[d];
        pa += at[d] * g->a[d];
        pb += at[d] * g->b[d];
    }
    const mxl_tensor *a = c->in, *b = c->in + 1, *y = c->out;
    int direct = a->dtype == NATIVE && y->dtype == NATIVE, native = direct && width >= 16;
    T ta[TILE], tb[TILE], ty[TILE];
    if (direct && !native && last == 1 && width == inner && sa && sb && (!g->a[0] || !g->b[0])) {
        /* a short row that is repeated, such as a bias: lay copies of it side by side */
        const T *small = g->a[0] ? (const T *)b->data : (const T *)a->data;
        const T *full = (g->a[0] ? (const T *)a->data : (const T *)b->data) + row * inner;
        T *to = (T *)y->data + row * inner;
        int64_t many = TILE / inner;
        for (int64_t k = 0; k < many * inner; k++) ta[k] = k < inner ? small[k] : ta[k - inner];
        for (; row < end; row += many, full += many * inner, to += many * inner) {
            int64_t m = (end - row < many ? end - row : many) * inner;
            if (g->a[0]) f[0](m, full, ta, to, 0);
            else f[0](m, ta, full, to, 0);
        }
        return;
    }
    int64_t held = 0, out = row * inner + col;          /* tiles collect rows that are short */
    for (; row < end; row++) {
        if (native) {
            const T *x = (const T *)a->data + pa + col * sa, *z = (const T *)b->data + pb + col * sb;
            T *to = (T *)y->data + row * inner + col;
            if (sa && sb) f[0](width, x, z, to, 0);
            else if (sa) f[1](width, x, 0, to, z);
            else if (sb) f[2](width, z, 0, to, x);
            else {
                T v = 0;
                f[0](1, x, z, &v, 0);
                for (int64_t i = 0; i < width; i++) to[i] = v;
            }
        } else {
            for (int64_t i = col; i < col_end;) {
                int64_t m = col_end - i < TILE - held ? col_end - i : TILE - held;
                if (direct) {
                    const T *x = (const T *)a->data + pa + i * sa, *z = (const T *)b->data + pb + i * sb;
                    for (int64_t k = 0; k < m; k++) {
                        ta[held + k] = x[k * sa];
                        tb[held + k] = z[k * sb];
                    }
                } else {
                    LOAD(a->dtype, a->data, pa + i * sa, sa ? m : 1, ta + held);
                    LOAD(b->dtype, b->data, pb + i * sb, sb ? m : 1, tb + held);
                    if (!sa) for (int64_t k = 1; k < m; k++) ta[held + k] = ta[held];
                    if (!sb) for (int64_t k = 1; k < m; k++) tb[held + k] = tb[held];
                }
                held += m;
                i += m;
                if (held == TILE) {
                    f[0](held, ta, tb, ty, 0);
                    STORE(y->dtype, y->data, out, held, ty);
                    out += held;
                    held = 0;
                }
            }
        }
        for (int d = last - 1; d >= 0; d--) {           /* odometer */
            pa += g->a[d];
            pb += g->b[d];
            if (++at[d] < g->dims[d]) break;
            at[d] = 0;
            pa -= g->a[d] * g->dims[d];
            pb -= g->b[d] * g->dims[d];
        }
    }
    if (held) {
        f[0](held, ta, tb, ty, 0);
        STORE(y->dtype, y->data, out, held, ty);
    }
}

static int SELF(broadcast_)(mxl_call *c, const LOOP_T *f, int cost)
{
    const BroadcastArgs *g = (const BroadcastArgs *)c->args;
    int64_t n = c->out->size;
    if (n == 0) return MXL_OK;
    if (g->ndim == 0 || (g->ndim == 1 && g->a[0] && g->b[0]))       /* nothing is repeated */
        return SELF(flat_)(c, f[0], c->in, c->in + 1, c->out, 0, cost);
    int64_t inner = g->dims[g->ndim - 1], rows = n / inner;
    int nt = mxl_enter(mxl_rt, c->threads, n * cost, MXL_GRAIN);
    if (nt == 1) {
        SELF(rows_)(f, c, g, 0, rows, 0, inner);
        return MXL_OK;
    }
    int by_row = rows >= nt;
    int64_t all = by_row ? rows : inner, step = (all + nt - 1) / nt;
#pragma omp parallel for num_threads(nt) schedule(static, 1)
    for (int t = 0; t < nt; t++) {
        int64_t from = t * step, to = from + step < all ? from + step : all;
        if (from < to && by_row) SELF(rows_)(f, c, g, from, to, 0, inner);
        else if (from < to) for (int64_t r = 0; r < rows; r++) SELF(rows_)(f, c, g, r, r + 1, from, to);
    }
    mxl_leave(mxl_rt, nt);
    return MXL_OK;
}

static void SELF(sum_span_)(LOOP_T add, mxl_call *c, int64_t from, int64_t to)
{
    T ty[TILE], tx[TILE];
    int direct = c->out->dtype == NATIVE;
    for (int64_t i = from; i < to; i += TILE) {
        int64_t m = to - i < TILE ? to - i : TILE;
        T *y = direct && c->n_in < 3 ? (T *)c->out->data + i : ty;
        for (int k = 0; k < c->n_in; k++) {
            const T *x = tx;
            if (direct) x = (const T *)c->in[k].data + i;
            else LOAD(c->in[k].dtype, c->in[k].data, i, m, tx);
            if (k) add(m, ty, x, k + 1 == c->n_in ? y : ty, 0);
            else memcpy(ty, x, m * sizeof(T));
        }
        if (c->n_in == 1) y = ty;
        if (y == ty) STORE(c->out->dtype, c->out->data, i, m, ty);
    }
}

static int SELF(add_n_)(mxl_call *c, LOOP_T add)
{
    int64_t n = c->out->size;
    int nt = mxl_enter(mxl_rt, c->threads, n * c->n_in, MXL_GRAIN);
    if (nt == 1) {
        SELF(sum_span_)(add, c, 0, n);
        return MXL_OK;
    }
    int64_t step = (n + nt - 1) / nt;
#pragma omp parallel for num_threads(nt) schedule(static, 1)
    for (int t = 0; t < nt; t++) {
        int64_t from = t * step, to = from + step < n ? from + step : n;
        if (from < to) SELF(sum_span_)(add, c, from, to);
    }
    mxl_leave(mxl_rt, nt);
    return MXL_OK;
}
#include "elementwise_chain.h"
#undef LOAD
#undef STORE
#undef LOOP_T
#undef SELF
#undef JOIN
#undef JOIN_
