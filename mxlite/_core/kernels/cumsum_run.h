/* Running sums along the middle axis of (outer, n, inner), in the result's type, one addition after the other. */
#include "mxl.h"
#include "share.h"
#include "value.h"

typedef struct { int64_t outer, n, inner, reverse; } cumsum_args;

/* Integers add as unsigned ones: they wrap round. Conversions are those of Cast. */
#define SUM_FF(v) (v)
#define CUMSUM(from, to, add, convert) \
static void cumsum_##from##_##to(const cumsum_args *a, const void *x_, void *y_, int64_t o0, int64_t o1, int64_t i0, \
                                 int64_t i1) \
{ \
    const int64_t step = a->reverse ? -a->inner : a->inner, first = a->reverse ? (a->n - 1) * a->inner : 0; \
    for (int64_t o = o0; o < o1; o++) { \
        const from *x = (const from *)x_ + o * a->n * a->inner + first; \
        to *y = (to *)y_ + o * a->n * a->inner + first; \
        if (a->inner == 1) { \
            to sum = 0; \
            for (int64_t k = 0; k < a->n; k++, x += step, y += step) \
                *y = sum = k ? (to)((add)sum + (add)convert(*x)) : (to)convert(*x); \
        } else for (int64_t k = 0; k < a->n; k++, x += step, y += step) { \
            if (k == 0) for (int64_t i = i0; i < i1; i++) y[i] = (to)convert(x[i]); \
            else for (int64_t i = i0; i < i1; i++) y[i] = (to)((add)y[i - step] + (add)convert(x[i])); \
        } \
    } \
}
typedef float f32;
typedef double f64;
typedef int8_t i8;
typedef uint8_t u8;
typedef int32_t i32;
typedef int64_t i64;
/* A float that does not fit becomes the lowest integer, as x86 converts. */
static inline int64_t cumsum_i32(double v) { return v > -2147483649.0 && v < 2147483648.0 ? (int64_t)v : INT32_MIN; }
static inline int64_t cumsum_i64(double v) { return mxl_to_i64(v); }

#define TO_FLOATS(from) CUMSUM(from, f32, f32, SUM_FF) CUMSUM(from, f64, f64, SUM_FF)
#define TO_INTS(from) CUMSUM(from, i32, uint32_t, SUM_FF) CUMSUM(from, i64, uint64_t, SUM_FF)
TO_FLOATS(f32) TO_FLOATS(f64) TO_FLOATS(i32) TO_FLOATS(i64) TO_FLOATS(u8) TO_FLOATS(i8)
CUMSUM(f32, i32, uint32_t, cumsum_i32) CUMSUM(f64, i32, uint32_t, cumsum_i32)
CUMSUM(f32, i64, uint64_t, cumsum_i64) CUMSUM(f64, i64, uint64_t, cumsum_i64)
TO_INTS(i32) TO_INTS(i64) TO_INTS(u8) TO_INTS(i8)
CUMSUM(u8, u8, uint8_t, SUM_FF) CUMSUM(i8, i8, uint8_t, SUM_FF)

typedef void (*cumsum_fn)(const cumsum_args *, const void *, void *, int64_t, int64_t, int64_t, int64_t);

static cumsum_fn cumsum_pick(int32_t from, int32_t to)
{
#define ROW(dtype, from) case dtype: \
        switch (to) { \
        case MXL_F32: return cumsum_##from##_f32; \
        case MXL_F64: return cumsum_##from##_f64; \
        case MXL_I32: return cumsum_##from##_i32; \
        case MXL_I64: return cumsum_##from##_i64; \
        default: break; \
        } \
        break;
    if (from == MXL_U8 && to == MXL_U8) return cumsum_u8_u8;
    if (from == MXL_I8 && to == MXL_I8) return cumsum_i8_i8;
    switch (from) {
    ROW(MXL_F32, f32) ROW(MXL_F64, f64) ROW(MXL_I32, i32) ROW(MXL_I64, i64) ROW(MXL_I8, i8)
    case MXL_BOOL:
    ROW(MXL_U8, u8)
    default: break;
    }
    return 0;
}

static int cumsum_any(mxl_runtime *rt, const mxl_call *c)
{
    const cumsum_args *a = c->args;
    cumsum_fn fn = cumsum_pick(c->in->dtype, c->out->dtype);
    if (!fn) return MXL_EDTYPE;
    if (c->out->size == 0) return MXL_OK;
    MXL_PARTS(rt, c, c->out->size * 8, {
        int64_t p;
        int64_t q;
        if (a->outer >= parts || a->inner < 16 * parts) {
            mxl_share(a->outer, parts, part, &p, &q);
            fn(a, c->in->data, c->out->data, p, q, 0, a->inner);
        } else {
            mxl_share(a->inner, parts, part, &p, &q);
            fn(a, c->in->data, c->out->data, 0, a->outer, p, q);
        }
    });
    return MXL_OK;
}
