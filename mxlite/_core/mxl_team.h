/* The threads that parallel regions run on (with GCC on Linux; elsewhere OpenMP's library has its own).
 *
 * A region is a number of shares. Who opens it publishes them as one word, the ticket, works through them, and waits
 * only for threads that took one. A thread without work looks for a ticket for `team_spin` nanoseconds and then sleeps
 * until the next region rings. So a region costs about a microsecond while threads are awake, an idle process burns
 * nothing, and on a busy machine, where a thread may not get a core for milliseconds, a region degrades to a serial
 * one. A region with barriers is different in one point: its size is how many came within `team_gather` nanoseconds.
 *
 * Linux likes to wake a thread on the core of who wakes it, where it would wait for that one, or look for work in its
 * time. So a thread that finds itself on the opener's core binds itself to the others.
 *
 * Included by cpu.pyx alone. One region at a time: `busy` of mxl_runtime is held by who calls team_run.
 */
#ifndef MXL_TEAM_H
#define MXL_TEAM_H
#include "mxl_parallel.h"
#ifdef MXL_TEAM
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TEAM_MOST 1024                      /* threads of a region */
#define NEXT(t) ((int)((t) & 0xffff))       /* the share that is taken next */
#define SHARES(t) ((int)((t) >> 16 & 0xffff))
#define TICKET(region, shares, next) ((uint64_t)(region) << 32 | (uint64_t)(shares) << 16 | (uint64_t)(next))
#define get(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define put(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

static struct {
    uint64_t ticket;
    void (*body)(void *, int, int);
    void *data;
    int together;
    uint32_t region, go;                    /* the region's number; the last one whose size is settled */
    int size;
    uint32_t done, waits;                   /* shares that others finished; whether the opener sleeps until then */
    uint32_t bell, asleep, threads;
    int core;                               /* of who opened the last region */
    cpu_set_t cores;                        /* that the process may use */
} team __attribute__((aligned(64)));
static int64_t team_spin = 100000, team_gather = 60000;

static inline long futex(uint32_t *word, int what, uint32_t value)
{
    return syscall(SYS_futex, word, what | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static inline int64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static inline void rest(void)
{
    for (int i = 0; i < 8; i++)
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("" ::: "memory");
#endif
}

/* Look at `word` until it is no longer `value`, for a while awake and then asleep (`flag`: counts the sleepers). */
static void await_change(uint32_t *word, uint32_t value, int64_t awake, uint32_t *flag)
{
    const int64_t until = nanoseconds() + awake;
    while (get(word) == value)
        if (nanoseconds() < until) rest();
        else {
            __atomic_fetch_add(flag, 1, __ATOMIC_SEQ_CST);
            while (get(word) == value) futex(word, FUTEX_WAIT, value);
            __atomic_fetch_sub(flag, 1, __ATOMIC_SEQ_CST);
            return;
        }
}

/* One share of the region, if there is one left: 1 where there was. */
static int team_share(int helper)
{
    uint64_t t = get(&team.ticket);
    do {
        if (NEXT(t) >= SHARES(t)) return 0;
    } while (!__atomic_compare_exchange_n(&team.ticket, &t, t + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    /* the share is ours: the region cannot end, nor its fields change, before it is done */
    int size = SHARES(t);
    if (helper && team.together) {
        const uint32_t region = (uint32_t)(t >> 32);
        static uint32_t nobody;
        for (uint32_t seen; (seen = get(&team.go)) != region;) await_change(&team.go, seen, 20000, &nobody);
        size = team.size;
    }
    team.body(team.data, NEXT(t), size);
    if (helper) {
        __atomic_fetch_add(&team.done, 1, __ATOMIC_SEQ_CST);
        if (get(&team.waits)) futex(&team.done, FUTEX_WAKE, 1);
    }
    return 1;
}

/* Away from the opener's core, if this thread is there: 0 where it has to stay. */
static int team_move(void)
{
    const int core = get(&team.core);
    if (sched_getcpu() != core || core < 0 || core >= CPU_SETSIZE) return 1;
    cpu_set_t others = team.cores;
    CPU_CLR(core, &others);
    return CPU_COUNT(&others) > 0 && !sched_setaffinity(0, sizeof others, &others);
}

static void *team_thread(void *unused)
{
    (void)unused;
    for (;;) {
        const uint32_t heard = get(&team.bell);     /* before looking: a region published after this rings again */
        int64_t awake = team_move() ? team_spin : 0;
        while (team_share(1)) { }
        for (const int64_t until = nanoseconds() + awake; awake && get(&team.bell) == heard && nanoseconds() < until;) {
            rest();
            if (!team_move()) break;
        }
        await_change(&team.bell, heard, 0, &team.asleep);
    }
    return NULL;
}

/* At least `n` threads beside the caller's, or as many as the system lets us have. */
static void team_hire(uint32_t n)
{
    if (team.threads >= n) return;
    if (sched_getaffinity(getpid(), sizeof team.cores, &team.cores)) CPU_ZERO(&team.cores);
    sigset_t all, before;
    pthread_attr_t detached;
    sigfillset(&all);                       /* signals are for the threads that the user knows of */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (pthread_t thread; team.threads < n; team.threads++)
        if (pthread_create(&thread, &detached, team_thread, NULL)) break;
    pthread_attr_destroy(&detached);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void team_run(mxl_runtime *rt, void (*body)(void *, int, int), void *data, int n)
{
    if (n > TEAM_MOST) n = TEAM_MOST;
    put(&team.core, sched_getcpu());
    team_hire((uint32_t)n - 1);
    team.body = body, team.data = data, team.together = rt->together, team.region++;
    put(&team.done, 0);
    put(&team.waits, 0);
    put(&team.ticket, TICKET(team.region, n, 1));
    __atomic_fetch_add(&team.bell, 1, __ATOMIC_SEQ_CST);
    if (get(&team.asleep)) futex(&team.bell, FUTEX_WAKE, (uint32_t)n - 1);
    int taken;                              /* shares that others have */
    if (rt->together) {
        for (const int64_t until = nanoseconds() + team_gather; NEXT(get(&team.ticket)) < n && nanoseconds() < until;)
            rest();
        uint64_t t = get(&team.ticket);     /* who is not here now stays away */
        while (!__atomic_compare_exchange_n(&team.ticket, &t, TICKET(team.region, NEXT(t), NEXT(t)), 0,
                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) { }
        team.size = NEXT(t);
        taken = team.size - 1;
        put(&team.go, team.region);
        futex(&team.go, FUTEX_WAKE, TEAM_MOST);
        body(data, 0, team.size);
    } else {
        taken = n - 1;
        body(data, 0, n);
        while (team_share(0)) taken--;
    }
    for (uint32_t done; (done = get(&team.done)) != (uint32_t)taken;)
        await_change(&team.done, done, 20000, &team.waits);
}

/* A barrier of `n` threads. The last one also clears `words`, which nobody looks at between. */
static void team_wait(mxl_barrier *b, int n, long *words, int count)
{
    static uint32_t nobody;
    const uint32_t phase = get(&b->phase);
    if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_SEQ_CST) < (uint32_t)n) {
        await_change(&b->phase, phase, 20000, &nobody);
        return;
    }
    for (int i = 0; i < count; i++) words[i] = 0;
    b->arrived = 0;
    put(&b->phase, phase + 1);
    futex(&b->phase, FUTEX_WAKE, TEAM_MOST);
}

/* In a child made by fork: none of the threads came along, nor does anything that they did matter. */
static void team_forget(void)
{
    memset(&team, 0, sizeof team);
}

#undef NEXT
#undef SHARES
#undef TICKET
#undef get
#undef put
#endif
#endif
