/* One optimizer step on all weights of a group in one launch. Where they lie stands in a table in the device's memory,
 * and so do the numbers that change from step to step: a captured launch stays valid. KIND names the step, STATES,
 * COUNT and DECAY say how many states and scalars it has and which scalar is the weight decay. MIXED: a float32 copy of
 * the weight is what moves, and the weight is rounded from it. A block takes CHUNK elements of one weight. */
#include "update_steps.cuh"

enum { CHUNK = 2048, V = 4, LEARNING = 0, CORRECTION = 1, WEIGHT_DECAY = 2, SCALARS = 3 };
struct Weight { S *w; const S *g; Q *s[3]; float *wide; int64_t size, first, aligned; };
struct Step { T w, g, s[3]; };

#define STEP(name, states, ...) \
FN void step_##name(T &w, T g, T &s0, T &s1, T &s2, const Numbers &p) { __VA_ARGS__ }
UPDATE_STEPS
#define CALL(kind) CALL_(kind)
#define CALL_(kind) step_##kind

FN void move(Step &e, const Numbers &p) { CALL(KIND)(e.w, e.g, e.s[0], e.s[1], e.s[2], p); }

/* `owner`: which weight a block works on. `rates`: multipliers of learning rate and weight decay, two a weight. `now`:
 * learning rate, what corrects it for the number of this step, weight decay, and the record's scalars in its order. */
KERNEL __launch_bounds__(256, 1) update_many(const Weight *all, const int *owner, const double *rates,
                                             const double *now)
{
    __shared__ Numbers p;
    const int own = owner[blockIdx.x];
    const Weight a = all[own];
    if (threadIdx.x < 12) {
        const int i = threadIdx.x;
        double v = i < COUNT ? now[SCALARS + i] : 0;
        if (i == 0) v = now[LEARNING] * rates[2 * own] * now[CORRECTION];
        if (i == DECAY) v = now[WEIGHT_DECAY] * rates[2 * own + 1];
        p.v[i] = (T)v;
        p.rest[i] = (T)(1 - v);
    }
    __syncthreads();
    const int64_t begin = ((int64_t)blockIdx.x - a.first) * CHUNK, left = a.size - begin;
    const int64_t end = begin + (left < CHUNK ? left : CHUNK);
    for (int64_t i = begin + threadIdx.x * V; i < end; i += 256 * V) {
        if (a.aligned && i + V <= end) {
            pack<S, V> w, g = *(const pack<S, V> *)(a.g + i);
            pack<Q, V> s[STATES + 1];
            pack<float, V> wide;
            if (MIXED) wide = *(const pack<float, V> *)(a.wide + i);
            else w = *(const pack<S, V> *)(a.w + i);
            #pragma unroll
            for (int k = 0; k < STATES; k++) s[k] = *(const pack<Q, V> *)(a.s[k] + i);
            #pragma unroll
            for (int j = 0; j < V; j++) {
                Step e;
                e.w = MIXED ? (T)wide.v[j] : get<T>(w.v[j]);
                e.g = get<T>(g.v[j]);
                #pragma unroll
                for (int k = 0; k < STATES; k++) e.s[k] = get<T>(s[k].v[j]);
                move(e, p);
                #pragma unroll
                for (int k = 0; k < STATES; k++) s[k].v[j] = put<Q>(e.s[k]);
                if (MIXED) wide.v[j] = (float)e.w;
                w.v[j] = put<S>(e.w);
            }
            #pragma unroll
            for (int k = 0; k < STATES; k++) *(pack<Q, V> *)(a.s[k] + i) = s[k];
            if (MIXED) *(pack<float, V> *)(a.wide + i) = wide;
            *(pack<S, V> *)(a.w + i) = w;
        } else for (int64_t j = i; j < i + V && j < end; j++) {
            Step e;
            e.w = MIXED ? (T)a.wide[j] : get<T>(a.w[j]);
            e.g = get<T>(a.g[j]);
            #pragma unroll
            for (int k = 0; k < STATES; k++) e.s[k] = get<T>(a.s[k][j]);
            move(e, p);
            #pragma unroll
            for (int k = 0; k < STATES; k++) a.s[k][j] = put<Q>(e.s[k]);
            if (MIXED) a.wide[j] = (float)e.w;
            a.w[j] = put<S>(e.w);
        }
    }
}
