/* Programs and calls of several Python threads at the same time.
 *
 * One parallel region at a time is open in the process. Where as many threads compute as a region may have, each of
 * them has work for a core of its own, and a region only makes them take turns: its opener waits, and its core with
 * it, for a share that stands behind another thread's work. So such a crowd runs serially: it holds `busy`, as an open
 * region would, until some milliseconds after the last time that there was one.
 *
 * Included by program.pyx alone.
 */
#ifndef MXL_CROWD_H
#define MXL_CROWD_H
#include <time.h>
#include "mxl.h"

#define get(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define put(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)

static struct {
    int32_t runners;            /* threads that compute without the GIL */
    int32_t held;               /* `busy` is the crowd's */
    int64_t until;              /* nanoseconds: till then it stays so. 0: there is no crowd */
} crowd;
static __thread int crowd_inside;
#define CROWD_STAYS 10000000

static inline int64_t crowd_clock(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static inline int crowd_full(const mxl_runtime *rt)
{
    return rt->threads > 1 && get(&crowd.runners) >= rt->threads;
}

static inline void crowd_let_go(mxl_runtime *rt)
{
    if (__atomic_exchange_n(&crowd.held, 0, __ATOMIC_SEQ_CST)) __atomic_store_n(&rt->busy, 0, __ATOMIC_SEQ_CST);
}

static __attribute__((noinline)) void crowd_decide(mxl_runtime *rt)
{
    const int64_t now = crowd_clock(), until = get(&crowd.until);
    if (crowd_full(rt)) put(&crowd.until, now + CROWD_STAYS);
    else if (now > until || now < until - CROWD_STAYS) {    /* clocks are set back, too */
        put(&crowd.until, 0);
        crowd_let_go(rt);
        return;
    }
    if (!get(&crowd.held) && !__atomic_exchange_n(&rt->busy, 1, __ATOMIC_SEQ_CST)) put(&crowd.held, 1);
}

/* Before each instruction of a program. */
static inline void crowd_look(mxl_runtime *rt)
{
    if (get(&crowd.until)) crowd_decide(rt);
}

static inline void crowd_join(mxl_runtime *rt)
{
    crowd_inside = 1;
    __atomic_add_fetch(&crowd.runners, 1, __ATOMIC_SEQ_CST);
    if (crowd_full(rt) || get(&crowd.until)) crowd_decide(rt);
}

/* 1 where the thread was in it; a Python-written operator is no company while it runs. */
static inline int crowd_leave(mxl_runtime *rt)
{
    if (!crowd_inside) return 0;
    crowd_inside = 0;
    if (__atomic_sub_fetch(&crowd.runners, 1, __ATOMIC_SEQ_CST) == 0) crowd_let_go(rt);
    return 1;
}

/* In a child made by fork, where the other threads are not; cpu.pyx has cleared `busy`. */
static void crowd_forget(void)
{
    crowd.runners = crowd_inside;
    crowd.held = 0;
    crowd.until = 0;
}

#if defined(_WIN32)
static int crowd_watch_fork(void) { return 0; }
#else
#include <pthread.h>
static int crowd_watch_fork(void) { return pthread_atfork(0, 0, crowd_forget); }
#endif
#undef get
#undef put
#endif
