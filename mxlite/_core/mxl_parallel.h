/* When to open a parallel region, decided in one place, and who runs it.
 *
 *     int nt = mxl_enter(rt, c->threads, flops_or_bytes, MXL_GRAIN);
 *     if (nt == 1) body(0, n);                 // branch around the pragma: even `if(0)` costs 360 ns
 *     else {
 *         #pragma omp parallel for num_threads(nt) ...
 *     }
 *     mxl_leave(rt, nt);
 *
 * One region at a time in the whole process; whoever comes second runs serially.
 *
 * With GCC on Linux the pragmas run on threads of our own (mxl_team.h), not on libgomp's: the few functions that GCC
 * calls for them are defined here, hidden in each module. A region is then a number of shares, one a `thread`; who
 * opened it does those that nobody else came for. So nobody ever waits for a thread that has not started, and a child
 * made by fork has threads again. What this asks of a region:
 * - without barriers it may be anything: `parallel for`, static or dynamic, `omp_get_thread_num`;
 * - with barriers (several `omp for` in one `parallel`) the threads must all be there: mxl_enter_together. At most
 *   MXL_LOOPS loops between two barriers;
 * - no other construct: an undefined GOMP_ symbol in a module is one (tests/test_threads.py looks).
 */
#ifndef MXL_PARALLEL_H
#define MXL_PARALLEL_H
#include "mxl.h"

/* Work below this many elementary operations is not worth a second thread. */
#define MXL_GRAIN 32768

#if defined(_OPENMP) && defined(__linux__) && defined(__LP64__) && defined(__GNUC__) && !defined(__clang__)
#define MXL_TEAM 1
#define MXL_HIDDEN __attribute__((weak, visibility("hidden")))
MXL_HIDDEN mxl_runtime *mxl_team_runtime;   /* whose threads this module's regions run on */
#endif

static inline int mxl_enter(mxl_runtime *rt, int most, int64_t work, int64_t grain)
{
#ifdef _OPENMP
    if (work < 2 * grain || most < 2 || rt->threads < 2) return 1;
#ifdef MXL_TEAM
    __atomic_store_n(&mxl_team_runtime, rt, __ATOMIC_RELAXED);
#else
    if (rt->forked) return 1;
#endif
    if (__atomic_exchange_n(&rt->busy, 1, __ATOMIC_ACQUIRE)) return 1;
    int64_t nt = work / grain;
    if (nt > most) nt = most;
    if (nt > rt->threads) nt = rt->threads;
    if (nt < 2) { __atomic_store_n(&rt->busy, 0, __ATOMIC_RELEASE); return 1; }
    rt->together = 0;
    return (int)nt;
#else
    (void)rt; (void)most; (void)work; (void)grain;
    return 1;
#endif
}

/* The same for a region with barriers. It may run on fewer threads than it asked for. */
static inline int mxl_enter_together(mxl_runtime *rt, int most, int64_t work, int64_t grain)
{
    const int nt = mxl_enter(rt, most, work, grain);
    if (nt > 1) rt->together = 1;
    return nt;
}

static inline void mxl_leave(mxl_runtime *rt, int nt)
{
    if (nt > 1) __atomic_store_n(&rt->busy, 0, __ATOMIC_RELEASE);
}

#ifdef MXL_TEAM
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { MXL_LOOPS = 4 };
typedef struct {
    void (*body)(void *);
    void *data;
    long taken[MXL_LOOPS];                  /* iterations handed out of the loops under way */
    mxl_barrier barrier;
} mxl_region;
typedef struct {
    mxl_region *region;                     /* NULL: serial */
    int id, n, loop;
    long start, end, step, chunk;           /* of the loop this thread is in */
} mxl_member;
MXL_HIDDEN __thread mxl_member mxl_me;

static inline void mxl_region_share(void *region, int id, int n)
{
    const mxl_member outer = mxl_me;
    mxl_me = (mxl_member){.region = n > 1 ? region : NULL, .id = id, .n = n};
    ((mxl_region *)region)->body(((mxl_region *)region)->data);
    mxl_me = outer;
}

MXL_HIDDEN void GOMP_parallel(void (*body)(void *), void *data, unsigned n, unsigned flags)
{
    mxl_region region = {.body = body, .data = data};
    (void)flags;
    if (n < 2) mxl_region_share(&region, 0, 1);
    else mxl_team_runtime->run(mxl_team_runtime, mxl_region_share, &region, (int)n);
}

MXL_HIDDEN int omp_get_thread_num(void) { return mxl_me.id; }
MXL_HIDDEN int omp_get_num_threads(void) { return mxl_me.region ? mxl_me.n : 1; }

MXL_HIDDEN void GOMP_barrier(void)
{
    mxl_region *r = mxl_me.region;
    if (!r) return;
    if (!mxl_team_runtime->together) {      /* shares of such a region may run one after the other: they would hang */
        fprintf(stderr, "mxlite: a parallel region with a barrier was not opened by mxl_enter_together\n");
        abort();
    }
    mxl_team_runtime->wait(&r->barrier, mxl_me.n, r->taken, MXL_LOOPS);
    mxl_me.loop = 0;
}

MXL_HIDDEN bool GOMP_loop_nonmonotonic_dynamic_next(long *from, long *to)
{
    mxl_member *me = &mxl_me;
    if (!me->region) return false;          /* the only thread was given the whole loop at its start */
    const long k = __atomic_fetch_add(&me->region->taken[(me->loop - 1) % MXL_LOOPS], me->chunk, __ATOMIC_RELAXED);
    const long count = (me->end - me->start + me->step - (me->step > 0 ? 1 : -1)) / me->step;
    if (k >= count) return false;
    const long last = k + me->chunk < count ? k + me->chunk : count;
    *from = me->start + k * me->step;
    *to = me->start + last * me->step;
    return true;
}

MXL_HIDDEN bool GOMP_loop_nonmonotonic_dynamic_start(long start, long end, long step, long chunk, long *from, long *to)
{
    mxl_member *me = &mxl_me;
    me->loop++;
    if (!me->region) {
        *from = start;
        *to = end;
        return step > 0 ? start < end : start > end;
    }
    me->start = start, me->end = end, me->step = step, me->chunk = chunk > 0 ? chunk : 1;
    return GOMP_loop_nonmonotonic_dynamic_next(from, to);
}

MXL_HIDDEN void GOMP_loop_end(void) { GOMP_barrier(); }
MXL_HIDDEN void GOMP_loop_end_nowait(void) { }
#endif
#endif
