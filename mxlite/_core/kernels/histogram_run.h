/* Counts by bins. Every thread counts its part on its own, in scratch: [edges][counts of thread 0][of thread 1]... */
#include <string.h>
#include "mxl.h"
#include "share.h"
#include "value.h"

typedef struct { int64_t given; double low, high; } histogram_args;

/* The bin of v, -1 outside: the largest k with edge[k] <= v, the last bin for the last edge. `scale` is bins over
 * width for edges of one distance (a first guess, put right by the edges themselves), else 0. */
#define HISTOGRAM(t) \
static inline int64_t bin_##t(const t *edge, int64_t bins, double scale, t v) \
{ \
    if (!(v >= edge[0] && v <= edge[bins])) return -1; \
    if (scale > 0) { \
        double guess = ((double)v - (double)edge[0]) * scale; \
        int64_t k = guess >= (double)bins ? bins - 1 : (int64_t)guess; \
        while (k > 0 && v < edge[k]) k--; \
        while (k < bins - 1 && v >= edge[k + 1]) k++; \
        return k; \
    } \
    int64_t low = 0, high = bins;      /* edge[low] <= v, and v < edge[high] or high is the end */ \
    while (high - low > 1) { \
        int64_t k = low + (high - low) / 2; \
        if (v >= edge[k]) low = k; \
        else high = k; \
    } \
    return low; \
} \
static void count_##t(const void *x_, const void *edge, int64_t bins, double scale, int64_t *count, int64_t a, \
                      int64_t b) \
{ \
    const t *x = x_; \
    for (int64_t i = a; i < b; i++) { \
        int64_t k = bin_##t(edge, bins, scale, x[i]); \
        if (k >= 0) count[k]++; \
    } \
} \
static int ascends_##t(const void *edge_, int64_t bins) \
{ \
    const t *edge = edge_; \
    for (int64_t k = 0; k < bins; k++) if (!(edge[k] <= edge[k + 1])) return 0; \
    return 1; \
}
HISTOGRAM(float) HISTOGRAM(double) HISTOGRAM(int32_t) HISTOGRAM(int64_t) HISTOGRAM(uint8_t) HISTOGRAM(int8_t)

typedef struct {
    void (*count)(const void *, const void *, int64_t, double, int64_t *, int64_t, int64_t);
    int (*ascends)(const void *, int64_t);
} histogram_type;

static int histogram_types(int32_t dtype, histogram_type *t)
{
    switch (dtype) {
#define TYPE(flag, c) case flag: t->count = count_##c; t->ascends = ascends_##c; return 1;
    TYPE(MXL_F32, float) TYPE(MXL_F64, double) TYPE(MXL_I32, int32_t) TYPE(MXL_I64, int64_t) TYPE(MXL_U8, uint8_t)
    TYPE(MXL_I8, int8_t)
    default: return 0;
    }
}

/* The bytes of an edge: integers drop the fraction, and what does not fit int32 becomes its lowest value. */
static uint64_t histogram_edge(double v, int32_t dtype)
{
    if (dtype == MXL_I32 || dtype == MXL_U8 || dtype == MXL_I8)
        return v > -2147483649.0 && v < 2147483648.0 ? (uint64_t)(int64_t)v : (uint64_t)(int64_t)INT32_MIN;
    return mxl_bits_of(v, dtype);
}

static int histogram_any(mxl_runtime *rt, const mxl_call *c)
{
    const histogram_args *p = c->args;
    const mxl_tensor *x = c->in;
    const int64_t bins = c->out[0].size, e = mxl_itemsize(x->dtype);
    char *edge = c->work;
    int64_t *count = (int64_t *)c->work + bins + 1;
    double scale = 0;
    histogram_type t;
    if (!histogram_types(x->dtype, &t)) return MXL_EDTYPE;
    if (p->given) memcpy(edge, c->in[1].data, (size_t)((bins + 1) * e));
    else {
        const double width = (p->high - p->low) / (double)bins;
        for (int64_t k = 0; k <= bins; k++) {
            volatile double far = (double)k * width;        /* rounded on its own, as the reference's is */
            mxl_put(edge + k * e, e, histogram_edge(k == bins ? p->high : p->low + far, x->dtype));
        }
        scale = (double)bins / (p->high - p->low);
    }
    if (!t.ascends(edge, bins)) return MXL_EVALUE;
    int used = 1;
    MXL_PARTS(rt, c, x->size * 16, {
        int64_t a, b;
        mxl_share(x->size, parts, part, &a, &b);
        if (part == 0) used = parts;
        memset(count + part * bins, 0, (size_t)bins * 8);
        t.count(x->data, edge, bins, scale, count + part * bins, a, b);
    });
    if (c->out[0].data) {
        int64_t *total = c->out[0].data;
        memcpy(total, count, (size_t)bins * 8);
        for (int i = 1; i < used; i++) for (int64_t k = 0; k < bins; k++) total[k] += count[i * bins + k];
    }
    if (c->out[1].data) memcpy(c->out[1].data, edge, (size_t)((bins + 1) * e));
    return MXL_OK;
}
