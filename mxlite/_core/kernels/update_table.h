/* The optimizer steps. A step is STEP(name, states, code); in code `w`, `g` and the states `s0`, `s1`, `s2` are one
 * element's values, P(i) is scalar i in the record's order, REST(i) is 1 - P(i) without float's loss (0.001 of 0.999),
 * and `w` becomes the new weight. */
#ifndef MXL_UPDATE_TABLE_H
#define MXL_UPDATE_TABLE_H
#include "ranges.h"

#define UPDATE_TILE 1024        /* elements of one unit */

#define UPDATE_STEPS \
    STEP(sgd, 0, \
        g = CLIP(g * P(2), P(3)) + P(1) * w; \
        w -= P(0) * g;) \
    STEP(sgd_mom, 1, \
        g = CLIP(g * P(3), P(4)) + P(2) * w; \
        s0 = P(1) * s0 - P(0) * g; \
        w += s0;) \
    STEP(nag_mom, 1, \
        g = CLIP(g * P(3), P(4)) + P(2) * w; \
        s0 = P(1) * s0 - P(0) * g; \
        w += P(1) * s0 - P(0) * g;) \
    STEP(adam, 2, \
        g = CLIP(g * P(5) + P(4) * w, P(6)); \
        s0 = P(1) * s0 + REST(1) * g; \
        s1 = P(2) * s1 + REST(2) * g * g; \
        w -= P(0) * s0 / (ROOT(s1) + P(3));) \
    STEP(rmsprop, 1, \
        g = CLIP(g * P(4) + P(3) * w, P(5)); \
        s0 = REST(1) * g * g + P(1) * s0; \
        w = CLIP(w - P(0) * g / ROOT(s0 + P(2)), P(6));) \
    STEP(rmspropalex, 3, \
        g = CLIP(g * P(5) + P(4) * w, P(6)); \
        s0 = REST(1) * g * g + P(1) * s0; \
        s1 = REST(1) * g + P(1) * s1; \
        s2 = P(2) * s2 - P(0) * g / ROOT(s0 - s1 * s1 + P(3)); \
        w = CLIP(w + s2, P(7));) \
    STEP(ftrl, 2, \
        g = CLIP(g * P(4), P(5)); \
        s0 += g - (ROOT(s1 + g * g) - ROOT(s1)) * w / P(0); \
        s1 += g * g; \
        T step = (SIGN(s0) * P(1) - s0) / ((P(2) + ROOT(s1)) / P(0) + P(3)); \
        w = ABS(s0) > P(1) ? step : 0;) \
    STEP(signsgd, 0, \
        w = (1 - P(0) * P(1)) * w - P(0) * SIGN(g);) \
    STEP(signum, 1, \
        g = CLIP(g * P(3), P(4)); \
        s0 = P(1) * s0 - REST(1) * (P(2) * w) - REST(1) * g; \
        w = (1 - P(0) * P(5)) * w + P(0) * SIGN(s0);)

enum {
#define STEP(name, states, ...) UPDATE_##name,
    UPDATE_STEPS
#undef STEP
    UPDATES
};
typedef struct { mxl_range run[UPDATES][2]; } update_table;
extern const update_table mxl_update_base, mxl_update_avx2, mxl_update_avx512;
#endif
