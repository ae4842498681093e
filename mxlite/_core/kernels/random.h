/* Inner loops of the random kernels; included once a level, with LEVEL and VECTOR_BYTES defined. */
#include <math.h>
#include "philox.h"
#include "random_table.h"
#include "rowvec.h"

/* Words [4 * block, 4 * (block + blocks)) of this call's draw, blocks <= RANDOM_TILE / 4. */
static void words(const mxl_call *c, int64_t block, int64_t blocks, uint32_t *w)
{
    uint32_t a[4][RANDOM_TILE / 4];
    uint64_t seed = c->rng->seed, step = c->rng->step;
    uint32_t id = c->rng_id, first = (uint32_t)block;
    for (int64_t i = 0; i < blocks; i++)
        philox_block(seed, step, id, first + (uint32_t)i, &a[0][i], &a[1][i], &a[2][i], &a[3][i]);
    for (int64_t i = 0; i < blocks; i++)
        for (int j = 0; j < 4; j++) w[4 * i + j] = a[j][i];
}

/* Words [at, at + n), n <= RANDOM_TILE, of which *skip must be left out first. */
static uint32_t *words_at(const mxl_call *c, int64_t at, int64_t n, uint32_t *w)
{
    int64_t skip = at & 3;
    for (int64_t i = 0, blocks = (skip + n + 3) / 4; i < blocks; i += RANDOM_TILE / 4)
        words(c, at / 4 + i, blocks - i < RANDOM_TILE / 4 ? blocks - i : RANDOM_TILE / 4, w + 4 * i);
    return w + skip;
}

static double whole_uniform(const uint32_t *w)          /* 53 bits of two words */
{
    return ((double)(w[0] >> 5) * 67108864.0 + (double)(w[1] >> 6)) * 0x1p-53;
}

static void uniform_f(const mxl_call *c, int64_t begin, int64_t end)
{
    float *y = c->out[0].data;
    double low = (float)c->scalars[0], span = (float)((double)(float)c->scalars[1] - low);
    uint32_t w[RANDOM_TILE];
    for (int64_t t = begin; t < end; t++) {
        int64_t at = t * RANDOM_TILE, n = c->out[0].size - at < RANDOM_TILE ? c->out[0].size - at : RANDOM_TILE;
        words(c, at / 4, (n + 3) / 4, w);
        /* In double the product of two 24-bit factors is exact: contraction to a fused multiply-add changes nothing. */
        for (int64_t i = 0; i < n; i++) {
            float u = (float)(int32_t)(w[i] >> 8) * 0x1p-24f;
            y[at + i] = (float)(low + (double)u * span);
        }
    }
}

static void uniform_d(const mxl_call *c, int64_t begin, int64_t end)
{
    double *y = c->out[0].data, low = c->scalars[0], span = c->scalars[1] - low;
    uint32_t w[2 * RANDOM_TILE];
    for (int64_t t = begin; t < end; t++) {
        int64_t at = t * RANDOM_TILE, n = c->out[0].size - at < RANDOM_TILE ? c->out[0].size - at : RANDOM_TILE;
        words_at(c, 2 * at, 2 * n, w);
        for (int64_t i = 0; i < n; i++) {
            volatile double product = whole_uniform(w + 2 * i) * span;     /* rounded, as the reference's is */
            y[at + i] = low + product;
        }
    }
}

static void normal_f(const mxl_call *c, int64_t begin, int64_t end)
{
    float *y = c->out[0].data, loc = (float)c->scalars[0], scale = (float)c->scalars[1];
    uint32_t w[RANDOM_TILE];
    for (int64_t t = begin; t < end; t++) {
        int64_t at = t * RANDOM_TILE, n = c->out[0].size - at < RANDOM_TILE ? c->out[0].size - at : RANDOM_TILE;
        words(c, at / 4, (n + 3) / 4, w);
        for (int64_t i = 0; i < n; i += 2) {
            float u = (float)w[i] * 0x1p-32f + 0x1p-33f;
            float angle = (float)(int32_t)(w[i + 1] >> 8) * 0x1p-24f * 6.283185307179586f;
            float r = sqrtf(-2 * logf(u)) * scale;
            y[at + i] = r * cosf(angle) + loc;
            if (i + 1 < n) y[at + i + 1] = r * sinf(angle) + loc;
        }
    }
}

static void normal_d(const mxl_call *c, int64_t begin, int64_t end)
{
    double *y = c->out[0].data, loc = c->scalars[0], scale = c->scalars[1];
    uint32_t w[2 * RANDOM_TILE];
    for (int64_t t = begin; t < end; t++) {
        int64_t at = t * RANDOM_TILE, n = c->out[0].size - at < RANDOM_TILE ? c->out[0].size - at : RANDOM_TILE;
        words_at(c, 2 * at, 2 * (n + (n & 1)), w);
        for (int64_t i = 0; i < n; i += 2) {
            double u = whole_uniform(w + 2 * i) + 0x1p-54, angle = whole_uniform(w + 2 * i + 2) * 6.283185307179586;
            double r = sqrt(-2 * log(u)) * scale;
            y[at + i] = r * cos(angle) + loc;
            if (i + 1 < n) y[at + i + 1] = r * sin(angle) + loc;
        }
    }
}

#define T float
#define F(name) name##_f
#include "random_real.h"
#undef T
#undef F
#define T double
#define F(name) name##_d
#include "random_real.h"
#undef T
#undef F

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
const random_table GLUE(mxl_random_, LEVEL) = {
    { uniform_f, uniform_d }, { normal_f, normal_d }, { dropout_f, dropout_d },
    { dropout_shared_f, dropout_shared_d } };
