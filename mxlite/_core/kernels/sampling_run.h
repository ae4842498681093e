/* Random draws whose parameters may differ from element to element; ops/draws.py is the same in NumPy terms and says
 * where the methods come from. Element i is drawn from blocks i of the node's planes and nothing else, in double. */
#include <math.h>
#include "mxl.h"
#include "ranges.h"
#include "philox.h"
#include "value.h"

enum { DRAW_UNIFORM, DRAW_NORMAL, DRAW_EXPONENTIAL, DRAW_GAMMA, DRAW_POISSON, DRAW_NEGATIVE_BINOMIAL,
       DRAW_GENERALIZED };
enum { DRAW_TRIES = 64, DRAW_SECOND = 64 };

/* `arrays`: parameters are inputs, and `per` numbers are drawn from each of their elements; else they are scalars. */
typedef struct { int64_t kind, arrays, per; } draw_args;
typedef struct { int64_t low; uint64_t span; } randint_args;
typedef struct { int64_t rows, k, per; } categories_args;

typedef struct { uint32_t w[4]; } draw_words;

static inline draw_words draw_block(const mxl_call *c, int64_t i, uint32_t plane)
{
    draw_words b;
    philox_block(c->rng->seed, c->rng->step, c->rng_id + (plane << 24), (uint32_t)i, &b.w[0], &b.w[1], &b.w[2],
                 &b.w[3]);
    return b;
}

static inline double draw_whole(const draw_words *b)
{
    return ((double)(b->w[0] >> 5) * 67108864.0 + (double)(b->w[1] >> 6)) * 0x1p-53;
}

static inline double draw_half(uint32_t w) { return ((double)w + 0.5) * 0x1p-32; }

static inline double draw_gauss(const draw_words *b)
{
    return sqrt(-2 * log(draw_half(b->w[0]))) * cos((double)b->w[1] * (6.283185307179586 * 0x1p-32));
}

static double draw_gamma(const mxl_call *c, int64_t i, double alpha, double beta)
{
    if (!(alpha >= 0 && beta >= 0)) return NAN;
    if (alpha == 0) return 0;
    const double d = (alpha < 1 ? alpha + 1 : alpha) - 1 / 3.0, s = 1 / sqrt(9 * d);
    double y = d, boost = 1;
    for (uint32_t plane = 0; plane < DRAW_TRIES; plane++) {
        draw_words b = draw_block(c, i, plane);
        if (plane == 0 && alpha < 1) boost = pow(draw_half(b.w[3]), 1 / alpha);
        double x = draw_gauss(&b), t = 1 + s * x, v = t * t * t;
        if (v > 0 && log(draw_half(b.w[2])) < 0.5 * x * x + d - d * v + d * log(v)) {
            y = d * v;
            break;
        }
    }
    return y * boost * beta;
}

static double draw_log_gamma(double x)
{
#if defined(__GLIBC__)
    int sign;                           /* lgamma itself writes a global variable */
    return lgamma_r(x, &sign);
#else
    return lgamma(x);
#endif
}

static double draw_poisson(const mxl_call *c, int64_t i, double lam, uint32_t first)
{
    if (!(lam >= 0)) return NAN;
    draw_words b = draw_block(c, i, first);
    if (lam < 10) {
        double u = draw_whole(&b), term = exp(-lam), total = term;
        int k = 0;
        while (u >= total && ++k < 200) {
            term *= lam / k;
            total += term;
        }
        return k < 200 ? k : 199;
    }
    if (lam > 1e8) return lam == HUGE_VAL ? lam : floor(lam + sqrt(lam) * draw_gauss(&b) + 0.5);
    const double root = sqrt(lam), log_lam = log(lam), wide = 0.931 + 2.53 * root, a = 0.02483 * wide - 0.059;
    const double inverse = 1.1239 + 1.1328 / (wide - 3.4), quick = 0.9277 - 3.6224 / (wide - 2);
    for (uint32_t plane = 0; plane < DRAW_TRIES; plane++) {
        if (plane) b = draw_block(c, i, first + plane);
        double u = draw_half(b.w[0]) - 0.5, v = draw_half(b.w[1]), near = 0.5 - fabs(u);
        double k = floor((2 * a / near + wide) * u + lam + 0.43);
        if (near >= 0.07 && v <= quick) return k;
        if (k < 0 || (near < 0.013 && v > near)) continue;
        if (log(v) + log(inverse) - log(a / (near * near) + wide) <= k * log_lam - lam - draw_log_gamma(k + 1))
            return k;
    }
    return floor(lam);
}

/* Product and sum rounded one after the other, as the reference's are. */
static double draw_line(double low, double u, double high)
{
    volatile double far = u * (high - low);
    return low + far;
}

static double draw_one(const mxl_call *c, int64_t kind, int64_t i, double p, double q)
{
    draw_words b;
    switch (kind) {
    case DRAW_NORMAL:
        b = draw_block(c, i, 0);
        return p + draw_gauss(&b) * q;
    case DRAW_EXPONENTIAL:
        b = draw_block(c, i, 0);
        return p > 0 ? -log1p(-draw_whole(&b)) / p : NAN;
    case DRAW_GAMMA: return draw_gamma(c, i, p, q);
    case DRAW_POISSON: return draw_poisson(c, i, p, 0);
    case DRAW_NEGATIVE_BINOMIAL:
        return q <= 1 ? draw_poisson(c, i, draw_gamma(c, i, p, (1 - q) / q), DRAW_SECOND) : NAN;
    default:
        return draw_poisson(c, i, q != 0 ? draw_gamma(c, i, 1 / q, p * q) : p, DRAW_SECOND);
    }
}

/* Element i of a tensor of numbers, as a double. */
static inline double draw_number(const mxl_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case MXL_F32: return ((const float *)t->data)[i];
    case MXL_F64: return ((const double *)t->data)[i];
    case MXL_F16: return mxl_from_f16(((const uint16_t *)t->data)[i]);
    case MXL_BF16: return mxl_float32((uint32_t)((const uint16_t *)t->data)[i] << 16);
    default: return (double)mxl_index(t->data, t->dtype, i);
    }
}

/* Rounding must not reach the end of the range: there the uniform number loses the digits that dtype has not. */
static uint64_t draw_uniform_bits(const mxl_call *c, int64_t i, double low, double high, int32_t dtype)
{
    draw_words b = draw_block(c, i, 0);
    double u = draw_whole(&b), y = draw_line(low, u, high);
    uint64_t bits = mxl_bits_of(y, dtype);
    if (dtype == MXL_F64 || !(high > low)) return bits;
    double back = dtype == MXL_F32 ? mxl_float32((uint32_t)bits) : dtype == MXL_F16 ? mxl_from_f16((uint16_t)bits)
                : mxl_float32((uint32_t)bits << 16);
    if (!(back >= high)) return bits;
    double digits = dtype == MXL_F32 ? 0x1p24 : dtype == MXL_F16 ? 0x1p11 : 0x1p8;
    return mxl_bits_of(draw_line(low, floor(u * digits) / digits, high), dtype);
}

static void draw_range(const mxl_call *c, int64_t begin, int64_t end)
{
    const draw_args *a = c->args;
    const int two = !(a->kind == DRAW_EXPONENTIAL || a->kind == DRAW_POISSON);
    const int64_t e = mxl_itemsize(c->out->dtype);
    double p = 0, q = 0;
    if (!a->arrays) {
        p = c->scalars[0];
        q = two ? c->scalars[1] : 0;
    }
    for (int64_t i = begin; i < end; i++) {
        if (a->arrays && (i == begin || i % a->per == 0)) {
            p = draw_number(c->in, i / a->per);
            q = two ? draw_number(c->in + 1, i / a->per) : 0;
        }
        mxl_put((char *)c->out->data + i * e, e, a->kind == DRAW_UNIFORM
                ? draw_uniform_bits(c, i, p, q, c->out->dtype)
                : mxl_bits_of(draw_one(c, a->kind, i, p, q), c->out->dtype));
    }
}

/* Scalars are call data, which inference may not have seen. */
static int draw_allows(int64_t kind, const double *p)
{
    switch (kind) {
    case DRAW_UNIFORM: return p[1] >= p[0];
    case DRAW_NORMAL: return p[1] > 0;
    case DRAW_EXPONENTIAL: return p[0] > 0;
    case DRAW_GAMMA: return p[0] > 0 && p[1] > 0;
    case DRAW_POISSON: return p[0] >= 0;
    case DRAW_NEGATIVE_BINOMIAL: return p[0] >= 0 && p[1] >= 0 && p[1] <= 1;
    default: return p[0] >= 0 && p[1] >= 0;
    }
}

static int draw_any(mxl_runtime *rt, const mxl_call *c)
{
    const draw_args *a = c->args;
    if (!a->arrays && !draw_allows(a->kind, c->scalars)) return MXL_EVALUE;
    if (c->out->dtype != MXL_F32 && c->out->dtype != MXL_F64 && c->out->dtype != MXL_F16 && c->out->dtype != MXL_BF16)
        return MXL_EDTYPE;
    mxl_run(rt, c, draw_range, c->out->size, 64 * c->out->size);
    return MXL_OK;
}

/* Integers on [low, low + span): a span of 32 bits by multiply-shift, a wider one by the remainder of 64 bits. */
static void randint_range(const mxl_call *c, int64_t begin, int64_t end)
{
    const randint_args *a = c->args;
    const int64_t e = mxl_itemsize(c->out->dtype);
    const int narrow = a->span && a->span <= (uint64_t)1 << 32;      /* a span of 0 is one of 2^64 */
    draw_words b;
    for (int64_t i = begin; i < end; i++) {
        int64_t word = narrow ? i : 2 * i;
        uint64_t y;
        if (i == begin || (word & 3) == 0) b = draw_block(c, word / 4, 0);
        if (narrow) y = (uint64_t)b.w[word & 3] * a->span >> 32;
        else {
            y = (uint64_t)b.w[word & 3] << 32 | b.w[(word & 3) + 1];
            if (a->span) y %= a->span;
        }
        mxl_put((char *)c->out->data + i * e, e, y + (uint64_t)a->low);
    }
}

static int randint_any(mxl_runtime *rt, const mxl_call *c)
{
    mxl_run(rt, c, randint_range, c->out->size, 8 * c->out->size);
    return MXL_OK;
}

/* A unit is a row of probabilities. */
static void categories_range(const mxl_call *c, int64_t begin, int64_t end)
{
    const categories_args *a = c->args;
    const mxl_tensor *p = c->in, *out = c->out;
    for (int64_t r = begin; r < end; r++) {
        int64_t last = a->k - 1;
        while (last > 0 && !(draw_number(p, r * a->k + last) > 0)) last--;
        if (last == 0 && !(draw_number(p, r * a->k) > 0)) last = a->k - 1;
        for (int64_t j = 0; j < a->per; j++) {
            const int64_t i = r * a->per + j;
            draw_words b = draw_block(c, i, 0);
            double u = draw_whole(&b), sum = 0;
            int64_t k = 0;
            for (; k < last; k++) {
                sum += draw_number(p, r * a->k + k);
                if (u < sum) break;
            }
            if (out[0].data)
                mxl_put((char *)out[0].data + i * mxl_itemsize(out[0].dtype), mxl_itemsize(out[0].dtype),
                        mxl_bits_of((double)k, out[0].dtype));
            if (c->n_out > 1 && out[1].data)
                mxl_put((char *)out[1].data + i * mxl_itemsize(out[1].dtype), mxl_itemsize(out[1].dtype),
                        mxl_bits_of(log(draw_number(p, r * a->k + k)), out[1].dtype));
        }
    }
}

static int categories_any(mxl_runtime *rt, const mxl_call *c)
{
    const categories_args *a = c->args;
    mxl_run(rt, c, categories_range, a->rows, a->rows * a->per * (16 + a->k));
    return MXL_OK;
}

typedef struct { int64_t rows, inner, backward; } shuffle_args;
typedef struct { uint64_t key; int64_t row; } shuffle_pair;

/* The order of 64 random bits a row, by a radix sort: stable, so that equal keys keep the order of rows. Byte by byte,
 * skipping bytes that all keys share. Two lists of pairs in scratch. */
static const shuffle_pair *shuffle_order(const mxl_call *c, int64_t n)
{
    shuffle_pair *from = c->work, *to = from + n;
    for (int64_t i = 0; i < n; i += 2) {
        draw_words b = draw_block(c, i / 2, 0);
        for (int64_t j = 0; j < 2 && i + j < n; j++)
            from[i + j] = (shuffle_pair){(uint64_t)b.w[2 * j] << 32 | b.w[2 * j + 1], i + j};
    }
    for (int shift = 0; shift < 64; shift += 8) {
        int64_t place[257] = {0};
        for (int64_t i = 0; i < n; i++) place[(from[i].key >> shift & 255) + 1]++;
        int whole = 0;
        for (int d = 0; d < 256; d++) {
            whole |= place[d + 1] == n;
            place[d + 1] += place[d];
        }
        if (whole) continue;
        for (int64_t i = 0; i < n; i++) to[place[from[i].key >> shift & 255]++] = from[i];
        shuffle_pair *swap = from; from = to; to = swap;
    }
    return from;
}

static int shuffle_any(const mxl_call *c)
{
    const shuffle_args *a = c->args;
    const size_t bytes = (size_t)(a->inner * mxl_itemsize(c->out->dtype));
    const char *x = c->in->data;
    char *y = c->out->data;
    if (c->out->size == 0) return MXL_OK;
    const shuffle_pair *order = shuffle_order(c, a->rows);
    for (int64_t i = 0; i < a->rows; i++) {
        int64_t from = a->backward ? i : order[i].row, to = a->backward ? order[i].row : i;
        memcpy(y + (size_t)to * bytes, x + (size_t)from * bytes, bytes);
    }
    return MXL_OK;
}
