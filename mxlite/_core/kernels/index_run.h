/* Gather and scatter of rows: take, Embedding, gather_nd, scatter_nd and the gradients; pick; one_hot.
 *
 * A tensor is (outer, rows, inner); the data say which rows. Index tuples of m numbers name a row by its position in
 * `dims`; take has m = 1. Every index is checked before it is used.
 */
#include <string.h>
#include "share.h"
#include "value.h"
#include "index_table.h"

typedef struct { int64_t outer, inner, count, mode, m, dims[8]; } row_args;
typedef struct { int64_t depth; double on, off; } one_hot_args;

static inline const index_table *row_table(const mxl_runtime *rt)
{
#if defined(MXL_HAVE_X86_LEVELS)
    if (rt->isa == MXL_ISA_AVX512) return &mxl_index_avx512;
    if (rt->isa == MXL_ISA_AVX2) return &mxl_index_avx2;
#endif
    (void)rt;
    return &mxl_index_base;
}

/* The row that tuple k of the indices (m, count) names; -1 where one of them is out of range. */
static inline int64_t row_at(const row_args *p, const mxl_tensor *index, int64_t k)
{
    int64_t at = 0;
    for (int64_t i = 0; i < p->m; i++) {
        int64_t j = mxl_inside(mxl_index(index->data, index->dtype, i * p->count + k), p->dims[i], (int)p->mode);
        if (j < 0) return -1;
        at = at * p->dims[i] + j;
    }
    return at;
}

static inline int64_t row_count(const row_args *p)
{
    int64_t n = 1;
    for (int64_t i = 0; i < p->m; i++) n *= p->dims[i];
    return n;
}

static inline void row_copy(char *d, const char *s, int64_t bytes)
{
    switch (bytes) {            /* a call for a few bytes costs more than the bytes */
    case 1: *d = *s; break;
    case 2: memcpy(d, s, 2); break;
    case 4: memcpy(d, s, 4); break;
    case 8: memcpy(d, s, 8); break;
    case 16: memcpy(d, s, 16); break;
    case 32: memcpy(d, s, 32); break;
    default: memcpy(d, s, (size_t)bytes);
    }
}

static inline int rows_may_fail(const row_args *p)
{
    if (p->mode == MXL_RAISE || p->mode == MXL_NEGATIVE) return 1;
    for (int64_t i = 0; i < p->m; i++) if (p->dims[i] <= 0) return 1;
    return 0;
}

enum { ROW_TILE = 256 };        /* indices made row numbers at a time */

/* Row numbers of tuples k .. k + n, n <= ROW_TILE; 0 where all are in range, else 1 (and those are -1). */
static int rows_of(const row_args *p, const mxl_tensor *index, int64_t k, int64_t n, int64_t *at)
{
    if (p->m != 1) {
        int64_t bad = 0;
        for (int64_t i = 0; i < n; i++) { at[i] = row_at(p, index, k + i); bad |= at[i]; }
        return bad < 0;
    }
    const int64_t most = p->dims[0];
    uint64_t high = 0;
    switch (index->dtype) {
#define ROW_NUMBERS(t, conversion) { \
        const t *v = (const t *)index->data + k; \
        for (int64_t i = 0; i < n; i++) { at[i] = conversion(v[i]); high |= (uint64_t)at[i] >= (uint64_t)most; } \
    } break
    case MXL_F32: ROW_NUMBERS(float, mxl_to_i64);
    case MXL_I32: ROW_NUMBERS(int32_t, (int64_t));
    case MXL_I64: ROW_NUMBERS(int64_t, (int64_t));
#undef ROW_NUMBERS
    default:
        for (int64_t i = 0; i < n; i++) {
            at[i] = mxl_index(index->data, index->dtype, k + i);
            high |= (uint64_t)at[i] >= (uint64_t)most;
        }
    }
    if (!high) return 0;
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++) { at[i] = mxl_inside(at[i], most, (int)p->mode); bad |= at[i]; }
    return bad < 0;
}

/* All of the tuples in range? Then no thread has to report anything. */
static int rows_valid(const row_args *p, const mxl_tensor *index)
{
    int64_t at[ROW_TILE];
    for (int64_t k = 0; k < p->count; k += ROW_TILE)
        if (rows_of(p, index, k, p->count - k < ROW_TILE ? p->count - k : ROW_TILE, at)) return 0;
    return 1;
}

static int row_gather(mxl_runtime *rt, const mxl_call *c, const mxl_tensor *data, const mxl_tensor *index)
{
    const row_args *p = c->args;
    const mxl_tensor *out = c->out;
    if (p->count == 0 || p->outer == 0) return MXL_OK;
    if (rows_may_fail(p) && !rows_valid(p, index)) return MXL_EINDEX;
    const int64_t bytes = p->inner * mxl_itemsize(out->dtype), rows = row_count(p);
    if (bytes == 0) return MXL_OK;
    const index_table *t = row_table(rt);
    MXL_PARTS(rt, c, out->size * mxl_itemsize(out->dtype) * 2, {
        int64_t a, b, at[ROW_TILE];
        mxl_share(p->outer * p->count, parts, part, &a, &b);
        while (a < b) {
            const int64_t o = a / p->count, k = a % p->count, left = p->count - k < b - a ? p->count - k : b - a;
            const int64_t n = left < ROW_TILE ? left : ROW_TILE;
            rows_of(p, index, k, n, at);
            t->gather((char *)out->data + a * bytes, (const char *)data->data + o * rows * bytes, at, n, bytes);
            a += n;
        }
    });
    return MXL_OK;
}

enum { ROW_SET, ROW_ADD };

/* Rows [r0, r1) and columns [c0, c1) of the scatter, for outer [o0, o1): the tuples in their order, so every element
 * sees the same additions however the work is cut. */
static void row_scatter_part(const index_table *t, const row_args *p, const mxl_tensor *dy, const mxl_tensor *index,
                             const mxl_tensor *out, int kind, int64_t o0, int64_t o1, int64_t r0, int64_t r1,
                             int64_t c0,
                             int64_t c1)
{
    const int64_t e = mxl_itemsize(out->dtype), rows = row_count(p), bytes = p->inner * e;
    if (c0 >= c1) return;
    for (int64_t o = o0; o < o1; o++) {
        char *to = (char *)out->data + o * rows * bytes;
        const char *from = (const char *)dy->data + o * p->count * bytes;
        if (c0 == 0 && c1 == p->inner) memset(to + r0 * bytes, 0, (size_t)((r1 - r0) * bytes));
        else for (int64_t r = r0; r < r1; r++) memset(to + r * bytes + c0 * e, 0, (size_t)((c1 - c0) * e));
        int64_t at[ROW_TILE];
        for (int64_t k = 0; k < p->count; k++) {
            if (k % ROW_TILE == 0) rows_of(p, index, k, p->count - k < ROW_TILE ? p->count - k : ROW_TILE, at);
            const int64_t r = at[k % ROW_TILE];
            if (r < r0 || r >= r1) continue;
            char *d = to + r * bytes + c0 * e;
            const char *s = from + k * bytes + c0 * e;
            if (kind == ROW_SET) row_copy(d, s, (c1 - c0) * e);
            else if (out->dtype == MXL_F32) t->add_f32(d, s, c1 - c0);
            else t->add_f64(d, s, c1 - c0);
        }
    }
}

static int row_scatter(mxl_runtime *rt, const mxl_call *c, int kind)
{
    const row_args *p = c->args;
    const mxl_tensor *dy = c->in, *index = c->in + 1, *out = c->out;
    if (kind == ROW_ADD && out->dtype != MXL_F32 && out->dtype != MXL_F64) return MXL_EDTYPE;
    if (p->count && p->outer && rows_may_fail(p) && !rows_valid(p, index)) return MXL_EINDEX;
    if (out->size == 0) return MXL_OK;
    const int64_t rows = row_count(p);
    const index_table *t = row_table(rt);
    MXL_PARTS(rt, c, (out->size + 2 * dy->size) * mxl_itemsize(out->dtype), {
        int64_t a, b;
        if (p->outer >= 4 * parts) {
            mxl_share(p->outer, parts, part, &a, &b);
            row_scatter_part(t, p, dy, index, out, kind, a, b, 0, rows, 0, p->inner);
        } else if (p->inner >= 64 * parts) {
            mxl_share(p->inner / 16, parts, part, &a, &b);
            row_scatter_part(t, p, dy, index, out, kind, 0, p->outer, 0, rows, a * 16,
                             part == parts - 1 ? p->inner : b * 16);
        } else {
            mxl_share(rows, parts, part, &a, &b);
            row_scatter_part(t, p, dy, index, out, kind, 0, p->outer, a, b, 0, p->inner);
        }
    });
    return MXL_OK;
}

/* One element along an axis for every position of the others: (outer, dims[0], inner) and indices (outer, inner). */
static int row_pick(mxl_runtime *rt, const mxl_call *c, int backward)
{
    const row_args *p = c->args;
    const mxl_tensor *index = c->in + 1;
    const int64_t e = mxl_itemsize(c->out->dtype), n = p->dims[0], total = p->outer * p->inner;
    char *out = c->out->data;
    const char *in = c->in->data;
    if (total && n <= 0) return MXL_EINDEX;
    if (total == 0) return MXL_OK;
    MXL_PARTS(rt, c, (backward ? c->out->size : 8 * total) * e, {
        int64_t a, b;
        if (p->inner == 1) {
            mxl_share(p->outer, parts, part, &a, &b);
            if (backward) memset(out + a * n * e, 0, (size_t)((b - a) * n * e));
            for (int64_t o = a; o < b; o++) {
                int64_t j = mxl_inside(mxl_index(index->data, index->dtype, o), n, (int)p->mode);
                if (backward) row_copy(out + (o * n + j) * e, in + o * e, e);
                else row_copy(out + o * e, in + (o * n + j) * e, e);
            }
        } else if (p->outer >= 4 * parts || parts == 1) {
            mxl_share(p->outer, parts, part, &a, &b);
            if (backward) memset(out + a * n * p->inner * e, 0, (size_t)((b - a) * n * p->inner * e));
            for (int64_t o = a; o < b; o++) for (int64_t i = 0; i < p->inner; i++) {
                int64_t k = o * p->inner + i;
                int64_t row = mxl_inside(mxl_index(index->data, index->dtype, k), n, (int)p->mode);
                int64_t at = (o * n + row) * p->inner + i;
                if (backward) row_copy(out + at * e, in + k * e, e);
                else row_copy(out + k * e, in + at * e, e);
            }
        } else {
            mxl_share(p->inner, parts, part, &a, &b);
            for (int64_t o = 0; o < p->outer; o++) {
                if (backward) for (int64_t j = 0; j < n; j++)
                    memset(out + ((o * n + j) * p->inner + a) * e, 0, (size_t)((b - a) * e));
                for (int64_t i = a; i < b; i++) {
                    int64_t k = o * p->inner + i;
                    int64_t row = mxl_inside(mxl_index(index->data, index->dtype, k), n, (int)p->mode);
                int64_t at = (o * n + row) * p->inner + i;
                    if (backward) row_copy(out + at * e, in + k * e, e);
                    else row_copy(out + k * e, in + at * e, e);
                }
            }
        }
    });
    return MXL_OK;
}

static int row_one_hot(mxl_runtime *rt, const mxl_call *c)
{
    const one_hot_args *p = c->args;
    const mxl_tensor *index = c->in, *out = c->out;
    const int64_t e = mxl_itemsize(out->dtype);
    if (out->size == 0) return MXL_OK;
    const uint64_t on = mxl_bits_of(p->on, out->dtype), off = mxl_bits_of(p->off, out->dtype);
    MXL_PARTS(rt, c, out->size * e, {
        int64_t a, b;
        mxl_share(index->size, parts, part, &a, &b);
        char *d = (char *)out->data;
        mxl_fill(d + a * p->depth * e, (b - a) * p->depth, e, off);
        for (int64_t i = a; i < b; i++) {
            int64_t j = mxl_index(index->data, index->dtype, i);
            if ((uint64_t)j < (uint64_t)p->depth) mxl_put(d + (i * p->depth + j) * e, e, on);
        }
    });
    return MXL_OK;
}
