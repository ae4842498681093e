/* Pooling over all planes: threads, scratch, and half precision through float. */
#ifndef MXL_POOL_RUN_H
#define MXL_POOL_RUN_H
#ifdef _OPENMP
#include <omp.h>
#endif
#include "mxl_parallel.h"
#include "convert.h"
#include "pool.h"

typedef struct {
    const mxl_call *c;
    const pool_args *g;
    pool_fn fn;
    int half;
    int64_t in, out, scratch;       /* elements of a plane; bytes of scratch a thread */
} pool_job;

static inline int64_t pool_round(int64_t n) { return (n + 15) / 16 * 16; }

/* Bytes of a thread's scratch; half precision has float planes behind the scratch proper. */
static int64_t pool_scratch(const pool_args *g, int dtype, int64_t in, int64_t out)
{
    return mxl_is_half(dtype) ? 4 * (g->scratch + 2 * pool_round(in) + 2 * pool_round(out))
         : g->scratch * (int64_t)mxl_itemsize(dtype);
}

/* A plane at a time in float; codes stay what they are. */
static void pool_part(const pool_job *j, int64_t begin, int64_t end, char *work)
{
    if (!j->half) { j->fn(j->c, j->g, begin, end, work); return; }
    mxl_tensor t[5], *out = t + 3;
    mxl_call own = *j->c;
    own.in = t;
    own.out = out;
    memcpy(t, j->c->in, (size_t)own.n_in * sizeof *t);
    memcpy(out, j->c->out, (size_t)own.n_out * sizeof *t);
    for (int64_t p = begin; p < end; p++) {
        float *next = (float *)work + j->g->scratch;
        for (int i = 0; i < own.n_in + own.n_out; i++) {
            const mxl_tensor *from = i < own.n_in ? j->c->in + i : j->c->out + i - own.n_in;
            mxl_tensor *to = i < own.n_in ? t + i : out + i - own.n_in;
            const int64_t n = from->size / j->g->planes;
            if (!mxl_is_half(from->dtype)) {
                if (from->data) to->data = (char *)from->data + p * n * (int64_t)mxl_itemsize(from->dtype);
                continue;
            }
            to->data = next;
            next += pool_round(n);
            if (i < own.n_in) mxl_load_f32(from->dtype, from->data, p * n, n, to->data);
        }
        j->fn(&own, j->g, 0, 1, work);
        const int64_t n = out->size / j->g->planes;
        mxl_store_f32(out->dtype, j->c->out->data, p * n, n, out->data);
    }
}

static inline int pool_code_type(int dtype) { return dtype == MXL_U8 || dtype == MXL_I64; }

static int pool_run(mxl_runtime *rt, const mxl_call *c, const pool_fn fn[2], int backward)
{
    const pool_args *g = c->args;
    const int dtype = c->in->dtype, half = mxl_is_half(dtype);
    if (c->out->data == NULL || c->out->size == 0) return MXL_OK;
    if (!half && dtype != MXL_F32 && dtype != MXL_F64) return MXL_EDTYPE;
    const mxl_tensor *codes = backward ? c->in + 1 : c->out + 1;
    if (g->kind == POOL_MAX && (backward || (c->n_out > 1 && codes->data)) && !pool_code_type(codes->dtype))
        return MXL_EDTYPE;
    pool_job j = {c, g, fn[dtype == MXL_F64], half, g->src[0] * g->src[1] * g->src[2],
                  g->dst[0] * g->dst[1] * g->dst[2], 0};
    j.scratch = pool_scratch(g, dtype, j.in, j.out);
    const int64_t taps = g->kernel[0] * g->kernel[1] + g->kernel[2];
    const int nt = mxl_enter(rt, c->threads, g->planes * (backward ? 2 * j.in + taps * j.out : j.in + taps * j.out) / 4,
                             MXL_GRAIN);
    if (nt == 1) pool_part(&j, 0, g->planes, c->work);
    else {
        const int64_t parts = g->planes < 8 * nt ? g->planes : 8 * nt;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(nt)
#endif
        for (int64_t i = 0; i < parts; i++) {
            int at = 0;
#ifdef _OPENMP
            at = omp_get_thread_num();
#endif
            pool_part(&j, g->planes * i / parts, g->planes * (i + 1) / parts, (char *)c->work + at * j.scratch);
        }
    }
    mxl_leave(rt, nt);
    return MXL_OK;
}
#endif
