/* The kernels of the element-wise family: they choose the loop for level, dtype and function, and cut the work. */
#ifndef MXL_ELEMENTWISE_RUN_H
#define MXL_ELEMENTWISE_RUN_H
#include <math.h>
#include "mxl_parallel.h"
#include "convert.h"
#include "elementwise_ops.h"

/* Rough cost of an element against an addition, by class: where to start a second thread, and whether
 * memory is what a loop waits for. */
enum { COST_C = 1, COST_H = 8, COST_F = 8, COST_R = 32, COST_N = 1 };
enum { TILE = 256, STREAM_TILE = 128 };
typedef struct { int64_t ndim, dims[MXL_MAXDIM], a[MXL_MAXDIM], b[MXL_MAXDIM]; } BroadcastArgs;
typedef struct { int64_t channels, inner; } PreluArgs;

static mxl_runtime *mxl_rt;
/* Outputs above this are written past the cache. It is what a core reaches of the last cache: what the C library tells
 * is ten times as much on virtual machines. */
static int64_t mxl_stream_bytes = 32 << 20;
#if defined(__SSE2__)
#include <emmintrin.h>
#define STREAM_END() _mm_sfence()
#else
#define STREAM_END()
#endif
static const mxl_elementwise_table *mxl_levels[MXL_ISA_LEVELS] = {
    &mxl_elementwise_base,
#ifdef MXL_HAVE_X86_LEVELS
    &mxl_elementwise_avx2, &mxl_elementwise_avx512,
#endif
};

static inline mxl_loop_f32 loop_f32(int op)
{
    mxl_loop_f32 f = mxl_levels[mxl_rt->isa]->f32[op];
    return f ? f : mxl_elementwise_base.f32[op];
}
static inline mxl_loop_f64 loop_f64(int op)
{
    mxl_loop_f64 f = mxl_levels[mxl_rt->isa]->f64[op];
    return f ? f : mxl_elementwise_base.f64[op];
}

static inline mxl_loop_i64 loop_i64(int op) { return mxl_elementwise_i64[op]; }

/* The scalars `v` as function `op` wants them beside arrays of `dtype`; returns the function to run. */
static int prepare(int op, int dtype, int n, double *v)
{
    if (dtype == MXL_F16)                   /* a number beside float16 is one, as in MXNet and NumPy */
        for (int i = 0; i < n; i++) v[i] = mxl_from_f16(mxl_to_f16((float)v[i]));
    if (op == MXL_G_rpower_scalar) v[1] = log(v[0]);
    return op == MXL_BVS_power && v[0] == 2 && (dtype == MXL_F32 || mxl_is_half(dtype)) ? MXL_U_square : op;
}

#define T float
#define SUFFIX f32
#define NATIVE MXL_F32
#include "elementwise_type.h"
#undef T
#undef SUFFIX
#undef NATIVE
#define T double
#define SUFFIX f64
#define NATIVE MXL_F64
#include "elementwise_type.h"
#undef T
#undef SUFFIX
#undef NATIVE
#define T int64_t
#define SUFFIX i64
#define NATIVE MXL_I64
#include "elementwise_type.h"
#undef T
#undef SUFFIX
#undef NATIVE

/* out = f(in[0], in[1] if any, scalars) */
static int run_any(mxl_call *c, int op, int n_arrays, int n_scalars, int cost)
{
    mxl_tensor *a = c->in, *b = n_arrays > 1 ? c->in + 1 : 0, *y = c->out;
    double v[3] = {0, 0, 0};
    for (int i = 0; i < n_scalars; i++) v[i] = c->scalars[i];
    op = prepare(op, a->dtype, n_scalars, v);
    if (a->dtype == MXL_F32 || mxl_is_half(a->dtype)) {
        if (op == MXL_U_square) cost = COST_C;
        const float s[3] = {(float)v[0], (float)v[1], (float)v[2]};
        return flat_f32(c, loop_f32(op), a, b, y, s, cost);
    }
    if (a->dtype != MXL_F64 && a->dtype == y->dtype && mxl_elementwise_i64[op]) {
        const int64_t s[3] = {mxl_saturate(v[0]), mxl_saturate(v[1]), mxl_saturate(v[2])};
        return flat_i64(c, mxl_elementwise_i64[op], a, b, y, s, cost);
    }
    return flat_f64(c, loop_f64(op), a, b, y, v, cost);
}
/* Inlined with its constants: a node on a few elements is this call and little else. */
static inline __attribute__((always_inline)) int run_flat(mxl_call *c, int op, int n_arrays, int n_scalars, int cost)
{
    mxl_tensor *a = c->in, *y = c->out;
    if (a->dtype != MXL_F32 || y->dtype != MXL_F32 || y->size * cost >= 2 * MXL_GRAIN
        || op == MXL_G_rpower_scalar || op == MXL_BVS_power) return run_any(c, op, n_arrays, n_scalars, cost);
    float s[3] = {0, 0, 0};
    for (int i = 0; i < n_scalars; i++) s[i] = (float)c->scalars[i];
    loop_f32(op)(y->size, (const float *)a->data, n_arrays > 1 ? (const float *)c->in[1].data : 0, (float *)y->data, s);
    return MXL_OK;
}

static int run_broadcast(mxl_call *c, int op, int cost)
{
    int dtype = c->in->dtype;
    if (dtype == MXL_F32 || mxl_is_half(dtype)) {
        mxl_loop_f32 f[3] = {loop_f32(op), loop_f32(op + 1), loop_f32(op + 2)};
        return broadcast_f32(c, f, cost);
    }
    if (dtype == MXL_F64) {
        mxl_loop_f64 f[3] = {loop_f64(op), loop_f64(op + 1), loop_f64(op + 2)};
        return broadcast_f64(c, f, cost);
    }
    return broadcast_i64(c, mxl_elementwise_i64 + op, cost);
}

#define U(name, ns, cls, value, bcls, gradient) \
static int k_##name(mxl_call *c) { return run_flat(c, MXL_U_##name, 1, ns, COST_##cls); } \
static int g_##name(mxl_call *c) { return run_flat(c, MXL_G_##name, 2, ns, COST_##bcls); }
MXL_UNARY(U)
#undef U
#define B(name, cls, value, whole) \
static int k_##name(mxl_call *c) { return run_flat(c, MXL_B_##name, 2, 0, COST_##cls); } \
static int vs_##name(mxl_call *c) { return run_flat(c, MXL_BVS_##name, 1, 1, COST_##cls); } \
static int sv_##name(mxl_call *c) { return run_flat(c, MXL_BSV_##name, 1, 1, COST_##cls); } \
static int bc_##name(mxl_call *c) { return run_broadcast(c, MXL_B_##name, COST_##cls); }
MXL_BINARY(B)
#undef B

static int k_add_n(mxl_call *c)
{
    int dtype = c->out->dtype;
    if (dtype == MXL_F32 || mxl_is_half(dtype)) return add_n_f32(c, loop_f32(MXL_B_add));
    if (dtype == MXL_F64) return add_n_f64(c, loop_f64(MXL_B_add));
    return add_n_i64(c, mxl_elementwise_i64[MXL_B_add]);
}

static int k_copy(mxl_call *c)
{
    if (c->out->data != c->in->data && c->out->size)
        memmove(c->out->data, c->in->data, c->out->size * mxl_itemsize(c->out->dtype));
    return MXL_OK;
}

static void cast_span(mxl_call *c, int64_t from, int64_t to)
{
    const mxl_elementwise_table *t = mxl_levels[mxl_rt->isa];
    int in = c->in->dtype, out = c->out->dtype;
    union { float f[TILE]; double d[TILE]; int64_t i[TILE]; } v;
    for (int64_t i = from; i < to; i += TILE) {
        int64_t m = to - i < TILE ? to - i : TILE;
        if (in == MXL_F32 || mxl_is_half(in)) {
            t->load_f32(in, c->in->data, i, m, v.f);
            t->store_f32(out, c->out->data, i, m, v.f);
        } else if (in == MXL_F64) {
            t->load_f64(in, c->in->data, i, m, v.d);
            t->store_f64(out, c->out->data, i, m, v.d);
        } else {
            t->load_i64(in, c->in->data, i, m, v.i);
            t->store_i64(out, c->out->data, i, m, v.i);
        }
    }
}
static int k_cast(mxl_call *c)
{
    int64_t n = c->out->size;
    if (c->in->dtype == c->out->dtype) return k_copy(c);
    int nt = mxl_enter(mxl_rt, c->threads, n, MXL_GRAIN);
    if (nt == 1) {
        cast_span(c, 0, n);
        return MXL_OK;
    }
    int64_t step = (n + nt - 1) / nt;
#pragma omp parallel for num_threads(nt) schedule(static, 1)
    for (int t = 0; t < nt; t++) if (t * step < n) cast_span(c, t * step, (t + 1) * step < n ? (t + 1) * step : n);
    mxl_leave(mxl_rt, nt);
    return MXL_OK;
}

static int k_chain(mxl_call *c)
{
    int dtype = c->out->dtype;
    if (c->out->size == 0) return MXL_OK;
    if (dtype == MXL_F32 || mxl_is_half(dtype)) return chain_f32(c);
    return dtype == MXL_F64 ? chain_f64(c) : MXL_EDTYPE;
}

/* rrelu's hidden mask is zeros: prediction draws nothing. */
static int k_rrelu(mxl_call *c)
{
    if (c->n_out > 1 && c->out[1].data) memset(c->out[1].data, 0, c->out[1].size * mxl_itemsize(c->out[1].dtype));
    return k__rrelu(c);
}

/* Repeats one array along the axes whose stride is 0; bytes are moved, not numbers. */
#define REPEAT(C) { const C *x = (const C *)c->in->data + pa; C *y = (C *)c->out->data + row * inner; \
    if (step) memcpy(y, x, inner * sizeof(C)); else { const C v = *x; for (int64_t i = 0; i < inner; i++) y[i] = v; } }
static void repeat_rows(mxl_call *c, const BroadcastArgs *g, int64_t row, int64_t end)
{
    int last = (int)g->ndim - 1, bytes = mxl_itemsize(c->out->dtype);
    int64_t inner = last < 0 ? 1 : g->dims[last], step = last < 0 ? 1 : g->a[last], at[MXL_MAXDIM], pa = 0, rest = row;
    for (int d = last - 1; d >= 0; d--) {
        at[d] = rest % g->dims[d];
        rest /= g->dims[d];
        pa += at[d] * g->a[d];
    }
    for (; row < end; row++) {
        if (bytes == 4) REPEAT(uint32_t) else if (bytes == 8) REPEAT(uint64_t)
        else if (bytes == 2) REPEAT(uint16_t) else REPEAT(uint8_t)
        for (int d = last - 1; d >= 0; d--) {
            pa += g->a[d];
            if (++at[d] < g->dims[d]) break;
            at[d] = 0;
            pa -= g->a[d] * g->dims[d];
        }
    }
}
static int k_broadcast(mxl_call *c)
{
    const BroadcastArgs *g = (const BroadcastArgs *)c->args;
    int64_t n = c->out->size;
    if (n == 0) return MXL_OK;
    int64_t rows = g->ndim ? n / g->dims[g->ndim - 1] : 1;
    int nt = rows < 2 ? 1 : mxl_enter(mxl_rt, rows < c->threads ? (int)rows : c->threads, n, MXL_GRAIN);
    if (nt == 1) {
        repeat_rows(c, g, 0, rows);
        return MXL_OK;
    }
    int64_t step = (rows + nt - 1) / nt;
#pragma omp parallel for num_threads(nt) schedule(static, 1)
    for (int t = 0; t < nt; t++)
        if (t * step < rows) repeat_rows(c, g, t * step, (t + 1) * step < rows ? (t + 1) * step : rows);
    mxl_leave(mxl_rt, nt);
    return MXL_OK;
}

/* prelu: one slope a channel. in = data, gamma; or ograd, data, gamma */
#define PRELU(T, S) \
static void prelu_##S(mxl_call *c, int64_t from, int64_t to) \
{ \
    const PreluArgs *p = (const PreluArgs *)c->args; \
    const mxl_tensor *gamma = c->in + c->n_in - 1, *x = c->in + c->n_in - 2, *dy = c->in; \
    T tx[TILE], td[TILE], ty[TILE], g[TILE]; \
    int64_t pos = from % p->inner, ch = from / p->inner % p->channels; \
    T slope; \
    mxl_levels[mxl_rt->isa]->load_##S(gamma->dtype, gamma->data, ch, 1, &slope); \
    for (int64_t i = from; i < to; i += TILE) { \
        int64_t m = to - i < TILE ? to - i : TILE; \
        for (int64_t k = 0; k < m;) { \
            int64_t run = p->inner - pos < m - k ? p->inner - pos : m - k; \
            for (int64_t j = 0; j < run; j++) g[k + j] = slope; \
            k += run; \
            pos += run; \
            if (pos == p->inner) { \
                pos = 0; \
                if (++ch == p->channels) ch = 0; \
                mxl_levels[mxl_rt->isa]->load_##S(gamma->dtype, gamma->data, ch, 1, &slope); \
            } \
        } \
        mxl_levels[mxl_rt->isa]->load_##S(x->dtype, x->data, i, m, tx); \
        mxl_levels[mxl_rt->isa]->load_##S(dy->dtype, dy->data, i, m, td); \
        for (int64_t k = 0; k < m; k++) ty[k] = tx[k] > 0 ? td[k] : td[k] * g[k]; \
        mxl_levels[mxl_rt->isa]->store_##S(c->out->dtype, c->out->data, i, m, ty); \
    } \
}
PRELU(float, f32)
PRELU(double, f64)
static int k_prelu(mxl_call *c)     /* forward is backward with ograd = data */
{
    int64_t n = c->out->size;
    void (*f)(mxl_call *, int64_t, int64_t) = c->out->dtype == MXL_F64 ? prelu_f64 : prelu_f32;
    if (n == 0) return MXL_OK;
    int nt = mxl_enter(mxl_rt, c->threads, n, MXL_GRAIN);
    if (nt == 1) {
        f(c, 0, n);
        return MXL_OK;
    }
    int64_t step = (n + nt - 1) / nt;
#pragma omp parallel for num_threads(nt) schedule(static, 1)
    for (int t = 0; t < nt; t++) if (t * step < n) f(c, t * step, (t + 1) * step < n ? (t + 1) * step : n);
    mxl_leave(mxl_rt, nt);
    return MXL_OK;
}

/* Kernels by name; where a name comes twice the later one counts. */
#define ROW_N(...)
#define ROW_C(...) {__VA_ARGS__},
#define ROW_H(...) {__VA_ARGS__},
#define ROW_F(...) {__VA_ARGS__},
#define ROW_R(...) {__VA_ARGS__},
/* `op`: the loop that a chain runs for this kernel, -1 where there is none; `arrays` it reads; `cost` of an element. */
typedef struct { const char *name; mxl_kernel fn; int op, arrays, cost; } Row;
static const Row mxl_elementwise_rows[] = {
#define B(name, cls, value, whole) {#name, k_##name, MXL_B_##name, 2, COST_##cls}, \
    {"_" #name "_scalar", vs_##name, MXL_BVS_##name, 1, COST_##cls}, \
    {"broadcast_" #name, bc_##name, MXL_B_##name, 2, COST_##cls},
    MXL_BINARY(B)
#undef B
#define U(name, ns, cls, value, bcls, gradient) ROW_##cls(#name, k_##name, MXL_U_##name, 1, COST_##cls) \
    ROW_##bcls("_backward_" #name, g_##name, MXL_G_##name, 2, COST_##bcls)
    MXL_UNARY(U)
#undef U
#define ALONE(name, fn) {name, fn, -1, 0, 0}
    ALONE("_copy", k_copy), ALONE("cast", k_cast), ALONE("add_n", k_add_n), ALONE("broadcast", k_broadcast),
    ALONE("_prelu", k_prelu), ALONE("_backward__prelu", k_prelu), ALONE("_rrelu", k_rrelu), ALONE("chain", k_chain),
#undef ALONE
    {"_where_number", g__where_number, MXL_G__where_number, 2, COST_C},
    {"_plus_scalar", vs_add, MXL_BVS_add, 1, COST_C}, {"_minus_scalar", vs_sub, MXL_BVS_sub, 1, COST_C},
    {"_rminus_scalar", sv_sub, MXL_BSV_sub, 1, COST_C}, {"_rdiv_scalar", sv_div, MXL_BSV_div, 1, COST_C},
    {"_rmod_scalar", sv_mod, MXL_BSV_mod, 1, COST_R}, {"_rpower_scalar", sv_power, MXL_BSV_power, 1, COST_H},
    {0, 0, 0, 0, 0}};
#endif
