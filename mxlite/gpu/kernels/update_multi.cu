/* Gradient descent on many weights in one launch. A block takes CHUNK elements of one weight; the formulas are those of
 * the CPU's sgd and sgd_mom. */
#include "update_steps.cuh"

enum { CHUNK = 2048 };
struct Weight { const S *x, *d; S *y; Q *mom; float *wide; int64_t size, first; double lr, wd; };
struct Weights { Weight w[MOST]; };

#define STEP(name, states, ...) STEP_##name(__VA_ARGS__)
#define STEP_sgd(...) FN void sgd(T &w, T g, const Numbers &p) { __VA_ARGS__ }
#define STEP_sgd_mom(...) FN void sgd_mom(T &w, T g, T &s0, const Numbers &p) { __VA_ARGS__ }
#define STEP_nag_mom(...)
#define STEP_adam(...)
#define STEP_rmsprop(...)
#define STEP_rmspropalex(...)
#define STEP_ftrl(...)
#define STEP_signsgd(...)
#define STEP_signum(...)
UPDATE_STEPS

/* `given`: momentum, rescale_grad, clip_gradient; `number`: which of all weights the first one here is. */
KERNEL __launch_bounds__(256, 1) multi_sgd(const __grid_constant__ Weights all, int weights, int number,
                                           const RATE *lrs, const RATE *wds, const Scalars given, const double *at,
                                           int momentum)
{
    int low = 0, high = weights - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (all.w[middle].first <= (int64_t)blockIdx.x) low = middle;
        else high = middle - 1;
    }
    const Weight &a = all.w[low];
    const double lr = lrs ? (double)lrs[number + low] : a.lr, wd = wds ? (double)wds[number + low] : a.wd;
    const double keep = at && momentum ? at[0] : given.v[0];
    const double scale = at ? at[momentum] : given.v[1], clip = at ? at[momentum + 1] : given.v[2];
    Numbers p;
    p.v[0] = (T)lr;
    if (momentum) { p.v[1] = (T)keep; p.v[2] = (T)wd; p.v[3] = (T)scale; p.v[4] = (T)clip; }
    else { p.v[1] = (T)wd; p.v[2] = (T)scale; p.v[3] = (T)clip; }
    const int64_t begin = ((int64_t)blockIdx.x - a.first) * CHUNK + threadIdx.x;
    #pragma unroll 4
    for (int64_t i = begin; i < begin + CHUNK && i < a.size; i += 256) {
        T w = a.wide ? (T)a.wide[i] : get<T>(a.x[i]);
        const T g = get<T>(a.d[i]);
        if (momentum) {
            T s = get<T>(a.mom[i]);
            sgd_mom(w, g, s, p);
            a.mom[i] = put<Q>(s);
        } else sgd(w, g, p);
        if (a.wide) a.wide[i] = (float)w;
        a.y[i] = put<S>(w);
    }
}
