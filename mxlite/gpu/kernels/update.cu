/* One optimizer step on one weight; the states move in place. The new weight may lie on top of the old one. */
#include "update_steps.cuh"

#define LOAD_0
#define LOAD_1 T s0 = get<T>(q0[i]);
#define LOAD_2 T s0 = get<T>(q0[i]), s1 = get<T>(q1[i]);
#define LOAD_3 T s0 = get<T>(q0[i]), s1 = get<T>(q1[i]), s2 = get<T>(q2[i]);
#define KEEP_0
#define KEEP_1 q0[i] = put<Q>(s0);
#define KEEP_2 q0[i] = put<Q>(s0); q1[i] = put<Q>(s1);
#define KEEP_3 q0[i] = put<Q>(s0); q1[i] = put<Q>(s1); q2[i] = put<Q>(s2);

#define STEP(name, states, ...) \
KERNEL __launch_bounds__(256, 1) name(const S *x, const S *d, S *y, Q *q0, Q *q1, Q *q2, int64_t n, \
                                      const Scalars given, const double *at, int count) \
{ \
    const Numbers p = numbers(given, at, count); \
    for (int64_t i = THREAD; i < n; i += THREADS) { \
        T w = get<T>(x[i]), g = get<T>(d[i]); \
        LOAD_##states \
        __VA_ARGS__ \
        KEEP_##states \
        y[i] = put<S>(w); \
    } \
}
UPDATE_STEPS
