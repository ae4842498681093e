/* When to open a parallel region, decided in one place.
 *
 *     int nt = mxl_enter(rt, c->threads, flops_or_bytes, MXL_GRAIN);
 *     if (nt == 1) body(0, n);                 // branch around the pragma: even `if(0)` costs 360 ns
 *     else {
 *         #pragma omp parallel for num_threads(nt) ...
 *     }
 *     mxl_leave(rt, nt);
 *
 * One region at a time in the whole process; whoever comes second runs serially, as does a forked child.
 */
#ifndef MXL_PARALLEL_H
#define MXL_PARALLEL_H
#include "mxl.h"

/* Work below this many elementary operations is not worth waking a second thread for (measured: 20-40 us a region
 * on a shared machine). */
#define MXL_GRAIN 65536

static inline int mxl_enter(mxl_runtime *rt, int most, int64_t work, int64_t grain)
{
#ifdef _OPENMP
    if (work < 2 * grain || most < 2 || rt->forked) return 1;
    if (__atomic_exchange_n(&rt->busy, 1, __ATOMIC_ACQUIRE)) return 1;
    int64_t nt = work / grain;
    if (nt > most) nt = most;
    if (nt > rt->threads) nt = rt->threads;
    if (nt < 2) { __atomic_store_n(&rt->busy, 0, __ATOMIC_RELEASE); return 1; }
    return (int)nt;
#else
    (void)rt; (void)most; (void)work; (void)grain;
    return 1;
#endif
}

static inline void mxl_leave(mxl_runtime *rt, int nt)
{
    if (nt > 1) __atomic_store_n(&rt->busy, 0, __ATOMIC_RELEASE);
}
#endif
