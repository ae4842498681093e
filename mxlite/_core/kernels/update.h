/* Inner loops of the optimizer steps; included once a level, with LEVEL and VECTOR_BYTES defined. */
#include <math.h>
#include "rowvec.h"
#include "update_table.h"

#define P(i) p[i]
#define REST(i) rest[i]
/* Comparisons are put so that NaN passes through, and a negative bound does nothing. */
#define CLIP(x, bound) ((bound) < 0 ? (x) : (x) > (bound) ? (bound) : (x) < -(bound) ? -(bound) : (x))
#define SIGN(x) ((x) > 0 ? (T)1 : (x) < 0 ? (T)-1 : (x))
#define ABS(x) ((x) < 0 ? -(x) : (x))
#define LOAD_0
#define LOAD_1 T s0 = q0[i];
#define LOAD_2 T s0 = q0[i], s1 = q1[i];
#define LOAD_3 T s0 = q0[i], s1 = q1[i], s2 = q2[i];
#define KEEP_0
#define KEEP_1 q0[i] = s0;
#define KEEP_2 q0[i] = s0; q1[i] = s1;
#define KEEP_3 q0[i] = s0; q1[i] = s1; q2[i] = s2;

/* The new weight may lie on top of the old one. */
#define STEP(name, states, ...) static void F(name)(const mxl_call *c, int64_t begin, int64_t end) \
{ \
    T *y = c->out[0].data, p[12], rest[12]; \
    const T *x = c->in[0].data, *d = c->in[1].data; \
    T *q0 = (states) > 0 ? c->in[2].data : 0, *q1 = (states) > 1 ? c->in[3].data : 0; \
    T *q2 = (states) > 2 ? c->in[4].data : 0; \
    int64_t last = end * UPDATE_TILE < c->out[0].size ? end * UPDATE_TILE : c->out[0].size; \
    (void)q0; (void)q1; (void)q2; (void)rest; \
    for (int k = 0; k < 12; k++) { \
        double v = k < scalars[UPDATE_##name] ? c->scalars[k] : 0; \
        p[k] = (T)v; \
        rest[k] = (T)(1 - v); \
    } \
    INDEPENDENT \
    for (int64_t i = begin * UPDATE_TILE; i < last; i++) { \
        T w = x[i], g = d[i]; \
        LOAD_##states \
        __VA_ARGS__ \
        KEEP_##states \
        y[i] = w; \
    } \
}

static const int scalars[UPDATES] = {
    [UPDATE_sgd] = 4, [UPDATE_sgd_mom] = 5, [UPDATE_nag_mom] = 5, [UPDATE_adam] = 7, [UPDATE_rmsprop] = 7,
    [UPDATE_rmspropalex] = 8, [UPDATE_ftrl] = 6, [UPDATE_signsgd] = 4, [UPDATE_signum] = 6 };

#define T float
#define F(name) name##_f
#define ROOT(x) sqrtf(x)
UPDATE_STEPS
#undef T
#undef F
#undef ROOT
#define T double
#define F(name) name##_d
#define ROOT(x) sqrt(x)
UPDATE_STEPS
#undef T
#undef F
#undef ROOT
#undef STEP

#define STEP(name, states, ...) { name##_f, name##_d },
#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
const update_table GLUE(mxl_update_, LEVEL) = { { UPDATE_STEPS } };
