/* Drivers of the movement kernels: they cut a copy into parts for threads and hand each to an inner loop. */
#include <string.h>
#include "mxl.h"
#include "share.h"
#include "value.h"
#include "movement_table.h"

#define MOVE_AXES 16
#define MOVE_ROW 64                         /* bytes from which on a row is copied as one */
#define MOVE_STREAM ((int64_t)16 << 20)     /* results at least this long go past the caches, in rows that fill lines */
#define MOVE_STREAM_ROW 1024

typedef struct {                /* packed by ops/box.py; strides and offsets in elements */
    int64_t n, src_offset, dst_offset, shape[MOVE_AXES], src[MOVE_AXES], dst[MOVE_AXES];
} move_box;

static inline const movement_table *move_table(const mxl_runtime *rt)
{
#if defined(MXL_HAVE_X86_LEVELS)
    if (rt->isa == MXL_ISA_AVX512) return &mxl_movement_avx512;
    if (rt->isa == MXL_ISA_AVX2) return &mxl_movement_avx2;
#endif
    (void)rt;
    return &mxl_movement_base;
}

static inline int move_log2(int32_t dtype)
{
    int64_t e = mxl_itemsize(dtype);
    return e == 8 ? 3 : e == 4 ? 2 : e == 2 ? 1 : 0;
}

/* ---- a box of any strides: the last two axes go to an inner loop, the others are counted */
typedef struct {
    const movement_table *t;
    const move_box *b;
    const char *s;
    char *d;
    int64_t chunk, chunks, units;
    int z, stream;
} move_job;

static void move_part(const move_job *j, int64_t first, int64_t last)
{
    const move_box *b = j->b;
    const int n = (int)b->n, z = j->z;
    const int64_t e = (int64_t)1 << z, n1 = b->shape[n - 1];
    int64_t at[MOVE_AXES], s = 0, d = 0, rest = first / j->chunks, piece = first % j->chunks;
    if (first >= last) return;
    for (int i = n - 3; i >= 0; i--) {
        at[i] = rest % b->shape[i];
        rest /= b->shape[i];
        s += at[i] * b->src[i];
        d += at[i] * b->dst[i];
    }
    const int plain = b->src[n - 1] == 1 && b->dst[n - 1] == 1 && n1 * e >= MOVE_ROW;
    const int turned = b->src[n - 2] == 1 && b->dst[n - 1] == 1 && b->src[n - 1] != 1;
    for (int64_t u = first; u < last; u++) {
        int64_t i0 = piece * j->chunk, n0 = b->shape[n - 2] - i0 < j->chunk ? b->shape[n - 2] - i0 : j->chunk;
        const char *from = j->s + (s + i0 * b->src[n - 2]) * e;
        char *to = j->d + (d + i0 * b->dst[n - 2]) * e;
        if (plain) j->t->rows(from, to, n0, n1 * e, b->src[n - 2] * e, b->dst[n - 2] * e, j->stream);
        else if (turned) j->t->transpose[z](from, to, n1, n0, b->src[n - 1], b->dst[n - 2]);
        else j->t->strided[z](from, to, n0, n1, b->src[n - 2], b->src[n - 1], b->dst[n - 2], b->dst[n - 1]);
        if (++piece < j->chunks) continue;
        piece = 0;
        for (int i = n - 3; i >= 0; i--) {
            s += b->src[i];
            d += b->dst[i];
            if (++at[i] < b->shape[i]) break;
            s -= b->src[i] * b->shape[i];
            d -= b->dst[i] * b->shape[i];
            at[i] = 0;
        }
    }
}

static void move_copy(const mxl_runtime *rt, const mxl_call *c, const char *s, char *d, int64_t bytes)
{
    MXL_PARTS((mxl_runtime *)rt, c, bytes, {
        int64_t a, b;
        mxl_share(bytes / 64, parts, part, &a, &b);
        a *= 64;
        b = part == parts - 1 ? bytes : b * 64;
        memcpy(d + a, s + a, (size_t)(b - a));
    });
}

static int move_strided(mxl_runtime *rt, const mxl_call *c, const move_box *b, const void *s, void *d, int z)
{
    const int n = (int)b->n;
    int64_t total = 1, outer = 1;
    for (int i = 0; i < n; i++) total *= b->shape[i];
    if (total == 0) return MXL_OK;
    for (int i = 0; i < n - 2; i++) outer *= b->shape[i];
    const char *from = (const char *)s + (b->src_offset << z);
    char *to = (char *)d + (b->dst_offset << z);
    if (total == b->shape[n - 1] && b->src[n - 1] == 1 && b->dst[n - 1] == 1) {
        move_copy(rt, c, from, to, total << z);
        return MXL_OK;
    }
    move_job j = {move_table(rt), b, from, to, b->shape[n - 2], 1, outer, z,
                  total << z >= MOVE_STREAM && b->shape[n - 1] << z >= MOVE_STREAM_ROW};
    if (outer < 16) {           /* cut the last axis but one, at whole tiles, so that threads have something to share */
        int64_t want = (b->shape[n - 2] + 15) / 16;
        j.chunk = want < 64 ? 64 : (want + 63) / 64 * 64;
        j.chunks = (b->shape[n - 2] + j.chunk - 1) / j.chunk;
        j.units = outer * j.chunks;
    }
    MXL_PARTS(rt, c, total << (z + 1), {
        int64_t first, last;
        mxl_share(j.units, parts, part, &first, &last);
        move_part(&j, first, last);
    });
    return MXL_OK;
}

static void move_zero(mxl_runtime *rt, const mxl_call *c, char *d, int64_t bytes)
{
    if (bytes == 0) return;
    MXL_PARTS(rt, c, bytes, {
        int64_t a, b;
        mxl_share(bytes / 64, parts, part, &a, &b);
        a *= 64;
        b = part == parts - 1 ? bytes : b * 64;
        memset(d + a, 0, (size_t)(b - a));
    });
}

/* ---- join and split: `outer` rows, in each one piece of every tensor after another */
#define JOIN_BLOCK 32768        /* bytes of the whole side that stay in the first-level cache while pieces interleave */

static void move_rows(const movement_table *t, char *whole, int64_t row, mxl_tensor *x, int count, int64_t outer,
                      int64_t a, int64_t b, int64_t z, int join, int stream)
{
    int64_t step = JOIN_BLOCK / (row > 0 ? row : 1);
    if (step < 1) step = 1;
    for (int64_t r = a; r < b; r += step) {
        int64_t n = b - r < step ? b - r : step;
        char *at = whole + r * row;
        for (int i = 0; i < count; i++) {
            int64_t len = x[i].size / outer, bytes = len << z;
            if (x[i].data && len) {
                char *p = (char *)x[i].data + r * bytes;
                if (bytes >= MOVE_ROW && join) t->rows(p, at, n, bytes, bytes, row, stream && bytes >= MOVE_STREAM_ROW);
                else if (bytes >= MOVE_ROW) t->rows(at, p, n, bytes, row, bytes, stream && bytes >= MOVE_STREAM_ROW);
                else if (join) t->strided[z](p, at, n, len, len, 1, row >> z, 1);
                else t->strided[z](at, p, n, len, row >> z, 1, len, 1);
            }
            at += bytes;
        }
    }
}

static void move_columns(char *whole, int64_t row, mxl_tensor *x, int count, int64_t outer, int parts, int part,
                         int64_t z,
                         int join)
{
    for (int64_t r = 0; r < outer; r++) {
        char *at = whole + r * row;
        for (int i = 0; i < count; i++) {
            int64_t bytes = x[i].size / outer << z, a, b;
            mxl_share(x[i].size / outer, parts, part, &a, &b);
            a <<= z;
            b <<= z;
            if (x[i].data && a < b) {
                char *p = (char *)x[i].data + r * bytes;
                if (join) memcpy(at + a, p + a, (size_t)(b - a));
                else memcpy(p + a, at + a, (size_t)(b - a));
            }
            at += bytes;
        }
    }
}

static int move_pieces(mxl_runtime *rt, const mxl_call *c, mxl_tensor *whole, mxl_tensor *x, int count, int64_t outer,
                       int join)
{
    if (whole->size == 0 || outer == 0) return MXL_OK;
    const int64_t z = move_log2(whole->dtype), row = (whole->size / outer) << z;
    const movement_table *t = move_table(rt);
    const int stream = whole->size << z >= MOVE_STREAM;
    MXL_PARTS(rt, c, whole->size << z, {
        if (outer >= 4 * parts || parts == 1) {
            int64_t a, b;
            mxl_share(outer, parts, part, &a, &b);
            move_rows(t, (char *)whole->data, row, x, count, outer, a, b, z, join, stream);
        } else move_columns((char *)whole->data, row, x, count, outer, parts, part, z, join);
    });
    return MXL_OK;
}

/* ---- where: d0 takes x where the condition holds, else y (NULL: zero); d1, for the gradient, the other way round */
#define WHERE_BLOCK 1024

static uint64_t move_value_bits(int32_t dtype)
{
    return dtype == MXL_F32 ? 0x7fffffff : dtype == MXL_F64 ? 0x7fffffffffffffff
         : dtype == MXL_F16 || dtype == MXL_BF16 ? 0x7fff : ~(uint64_t)0;
}

static void where_row(const char *x, char *d, int64_t bytes)
{
    if (!x) memset(d, 0, (size_t)bytes);
    else if (x != d) memcpy(d, x, (size_t)bytes);
}

static int move_where(mxl_runtime *rt, const mxl_call *c, const mxl_tensor *cond, const char *x, const char *y,
                      char *d0,
                      char *d1, int64_t size, int32_t dtype)
{
    if (size == 0) return MXL_OK;
    const movement_table *t = move_table(rt);
    const int z = move_log2(dtype), cz = move_log2(cond->dtype);
    const uint64_t bits = move_value_bits(cond->dtype);
    const int64_t inner = size / cond->size << z;
    MXL_PARTS(rt, c, size * 3 << z, {
        uint8_t m[WHERE_BLOCK];
        int64_t first, last;
        mxl_share((cond->size + WHERE_BLOCK - 1) / WHERE_BLOCK, parts, part, &first, &last);
        for (int64_t i = first * WHERE_BLOCK; i < last * WHERE_BLOCK && i < cond->size; i += WHERE_BLOCK) {
            int64_t n = cond->size - i < WHERE_BLOCK ? cond->size - i : WHERE_BLOCK;
            t->mask[cz]((const char *)cond->data + (i << cz), m, n, bits);
            if (cond->size == size) {
                const char *xi = x ? x + (i << z) : NULL;
                const char *yi = y ? y + (i << z) : NULL;
                if (d0) t->choose[z](m, xi, yi, d0 + (i << z), n);
                if (d1) t->choose[z](m, NULL, xi, d1 + (i << z), n);
            } else for (int64_t k = 0; k < n; k++) {
                int64_t o = (i + k) * inner;
                if (d0) where_row(m[k] ? x + o : y ? y + o : NULL, d0 + o, inner);
                if (d1) where_row(m[k] ? NULL : x + o, d1 + o, inner);
            }
        }
    });
    return MXL_OK;
}
