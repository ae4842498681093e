/* Random numbers by Philox4x32-10: word i of a draw is the same as on the CPU, whatever the grid. `state` is {seed,
 * step} in the device's memory, so that a captured graph draws new numbers when the step has moved. */
#include "softmax_math.cuh"
#include "philox.h"

struct Words { uint32_t w[4]; };
FN Words words_of(const uint64_t *state, uint32_t id, int64_t block)
{
    Words r;
    philox_block(state[0], state[1], id, (uint32_t)block, &r.w[0], &r.w[1], &r.w[2], &r.w[3]);
    return r;
}

/* A thread four elements; FOUR: these travel together. */
KERNEL dropout(const T *x, T *y, const uint64_t *state, uint32_t id, uint32_t threshold, double scale, int64_t n)
{
    const A s = (A)scale;
    for (int64_t b = THREAD; 4 * b < n; b += THREADS) {
        const Words u = words_of(state, id, b);
        if (FOUR && 4 * b + 4 <= n) {
            pack<T, FOUR ? 4 : 1> v[1];
            v[0] = ((const pack<T, FOUR ? 4 : 1> *)x)[b];
            #pragma unroll
            for (int e = 0; e < (FOUR ? 4 : 1); e++) v[0].v[e] = down(u.w[e] >= threshold ? up(v[0].v[e]) * s : (A)0);
            ((pack<T, FOUR ? 4 : 1> *)y)[b] = v[0];
        } else {
            #pragma unroll
            for (int e = 0; e < 4; e++)
                if (4 * b + e < n) y[4 * b + e] = down(u.w[e] >= threshold ? up(x[4 * b + e]) * s : (A)0);
        }
    }
}

struct Shared { int64_t ndim, size[8], stride[8]; };

/* The mask has stride 0 along the axes that share it. */
KERNEL dropout_shared(const T *x, T *y, const uint64_t *state, uint32_t id, uint32_t threshold, double scale, int64_t n,
                      const Shared a)
{
    const A s = (A)scale;
    for (int64_t i = THREAD; i < n; i += THREADS) {
        int64_t at = 0, left = i;
        #pragma unroll
        for (int k = 7; k >= 0; k--) if (k < a.ndim) {
            const int64_t next = left / a.size[k];
            at += (left - next * a.size[k]) * a.stride[k];
            left = next;
        }
        const Words u = words_of(state, id, at / 4);
        const int w = (int)(at & 3);
        const uint32_t word = w < 2 ? (w ? u.w[1] : u.w[0]) : (w == 2 ? u.w[2] : u.w[3]);
        y[i] = down(word >= threshold ? up(x[i]) * s : (A)0);
    }
}

KERNEL copy(const T *x, T *y, int64_t n) { for (int64_t i = THREAD; i < n; i += THREADS) y[i] = x[i]; }
KERNEL zero(T *y, int64_t n) { for (int64_t i = THREAD; i < n; i += THREADS) y[i] = down((A)0); }

FN double whole_uniform(uint32_t high, uint32_t low)        /* 53 bits of two words */
{
    return ((double)(high >> 5) * 67108864.0 + (double)(low >> 6)) * 1.1102230246251565e-16;
}

/* Four float32 numbers a block of words; two float64 ones. */
KERNEL uniform(T *y, const uint64_t *state, uint32_t id, double low, double span, int64_t n)
{
    enum { EACH = sizeof(A) == 8 ? 2 : 4 };
    for (int64_t b = THREAD; EACH * b < n; b += THREADS) {
        const Words u = words_of(state, id, b);
        #pragma unroll
        for (int e = 0; e < EACH; e++) {
            if (EACH * b + e >= n) break;
            /* In double the product of two 24-bit factors is exact; that of wider ones is rounded by itself. */
            const double v = EACH == 4 ? (double)((float)(int32_t)(u.w[e] >> 8) * 5.9604644775390625e-8f)
                                       : whole_uniform(u.w[EACH == 4 ? 0 : 2 * e], u.w[EACH == 4 ? 0 : 2 * e + 1]);
            y[EACH * b + e] = down((A)__dadd_rn(low, __dmul_rn(v, span)));
        }
    }
}

/* Box and Muller: each pair of uniforms gives a cosine and a sine. */
KERNEL normal(T *y, const uint64_t *state, uint32_t id, double loc, double scale, int64_t n)
{
    enum { EACH = sizeof(A) == 8 ? 2 : 4 };
    for (int64_t b = THREAD; EACH * b < n; b += THREADS) {
        const Words u = words_of(state, id, b);
        #pragma unroll
        for (int e = 0; e < EACH; e += 2) {
            A r, c, s;
#if WIDE
            const double v = whole_uniform(u.w[0], u.w[1]) + 5.5511151231257827e-17;
            const double angle = whole_uniform(u.w[2], u.w[3]) * 6.283185307179586;
            r = sqrt(-2 * log(v)) * scale, c = cos(angle), s = sin(angle);
#else
            const float v = __fadd_rn((float)u.w[e] * 2.3283064365386963e-10f, 1.1641532182693481e-10f);
            const float angle = (float)(int32_t)(u.w[e + 1] >> 8) * 5.9604644775390625e-8f * 6.283185307179586f;
            r = sqrtf(-2 * logf(v)) * (float)scale, c = cosf(angle), s = sinf(angle);
#endif
            const int64_t at = EACH * b + e;
            if (at < n) y[at] = down(r * c + (A)loc);
            if (at + 1 < n) y[at + 1] = down(r * s + (A)loc);
        }
    }
}
