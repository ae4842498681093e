/* Matrix products of float16 and bfloat16: widened while they are packed, summed in float32, rounded at the end. */
#include "convert.h"

typedef struct { const uint16_t *a, *b, *bias, *residual; uint16_t *c; int brain; } half_job;

static void half_widen(float *restrict to, const uint16_t *restrict p, int n, int brain)
{
    int i = 0;
    if (brain) {
        for (; i < n; i++) to[i] = mxl_from_bf16(p[i]);
        return;
    }
#ifdef __F16C__
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + i))));
#endif
    for (; i < n; i++) to[i] = mxl_from_f16(p[i]);
}

/* dst[k * w + r] = src[r * ld + k], and src[k * ld + r]; zero for nr <= r < w. */
static void half_rows(float *dst, int w, const uint16_t *src, int64_t ld, int nr, int kc, int brain)
{
    enum { STEP = 64 };
    float tmp[PANEL_N * STEP];
    for (int k = 0; k < kc; k += STEP) {
        const int len = (int)least(STEP, kc - k);
        for (int r = 0; r < nr; r++) half_widen(tmp + r * STEP, src + r * ld + k, len, brain);
        pack_rows_f32(dst + (int64_t)k * w, w, w, tmp, STEP, nr, len);
    }
}

static void half_columns(float *dst, int w, const uint16_t *src, int64_t ld, int nr, int kc, int brain)
{
    for (int k = 0; k < kc; k++, dst += w, src += ld) {
        half_widen(dst, src, nr, brain);
        for (int r = nr; r < w; r++) dst[r] = 0;
    }
}

#define HALF const half_job *h = d->ctx
static void half_a_plain(const job_f32 *d, int64_t b, float *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    HALF;
    half_rows(dst, MR, h->a + b * d->a_batch + m0 * d->lda + k0, d->lda, rows, kc, h->brain);
}

static void half_a_trans(const job_f32 *d, int64_t b, float *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    HALF;
    half_columns(dst, MR, h->a + b * d->a_batch + k0 * d->lda + m0, d->lda, rows, kc, h->brain);
}

static void half_b_plain(const job_f32 *d, int64_t b, float *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                         float *tmp)
{
    HALF;
    (void)tmp;
    half_columns(dst, w, h->b + b * d->b_batch + k0 * d->ldb + n0, d->ldb, cols, kc, h->brain);
}

static void half_b_trans(const job_f32 *d, int64_t b, float *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                         float *tmp)
{
    HALF;
    (void)tmp;
    half_rows(dst, w, h->b + b * d->b_batch + n0 * d->ldb + k0, d->ldb, cols, kc, h->brain);
}

static void half_finish(const job_f32 *d, int64_t b, const float *block, int64_t m0, int rows, int64_t n0, int cols)
{
    HALF;
    float bias[BLOCK_N] = {0}, other[BLOCK_N] = {0}, s[BLOCK_N];
    if (h->bias) half_widen(bias, h->bias + n0, cols, h->brain);
    for (int i = 0; i < rows; i++, block += cols) {
        const int64_t at = b * d->c_batch + (m0 + i) * d->ldc + n0;
        uint16_t *c = h->c + at;
        if (h->residual) half_widen(other, h->residual + at, cols, h->brain);
        for (int j = 0; j < cols; j++) s[j] = block[j] + bias[j] + other[j];
        if (d->act) for (int j = 0; j < cols; j++) s[j] = s[j] < d->lo ? d->lo : s[j] > d->hi ? d->hi : s[j];
        if (h->brain) for (int j = 0; j < cols; j++) c[j] = mxl_to_bf16(s[j]);
        else for (int j = 0; j < cols; j++) c[j] = mxl_to_f16(s[j]);
    }
}
#undef HALF

static void gemm_half(mxl_runtime *rt, const mxl_call *c, const gemm_args *g)
{
    const int64_t m = g->m, n = g->n, k = g->k;
    const half_job h = {.a = c->in[0].data, .b = c->in[1].data, .c = c->out[0].data,
                        .bias = g->bias ? c->in[2].data : NULL,
                        .residual = g->residual ? c->in[g->bias ? 3 : 2].data : NULL,
                        .brain = c->in[0].dtype == MXL_BF16};
    job_f32 d = {.m = m, .n = n, .k = k, .batch = g->batch, .ldc = n, .c_batch = m * n, .lda = g->ta ? m : k,
                 .ldb = g->tb ? k : n, .a_batch = m * k, .b_batch = k * n, .work = c->work, .ctx = &h,
                 .pack_a = g->ta ? half_a_trans : half_a_plain, .pack_b = g->tb ? half_b_trans : half_b_plain,
                 .a_step = g->ta ? 32 : 0, .finish = half_finish, .act = (int)g->act,
                 .lo = g->act == 2 ? (float)g->lo : 0, .hi = g->act == 2 ? (float)g->hi : INFINITY};
    run_f32(&d, rt, c->threads);
}
