/* The packed matrix-product engine, for one type and one instruction-set level.
 *
 * Include once a type, with REAL (float or double), ENG(x) (a name suffixed by type) and MXL_VB (bytes of a vector)
 * defined. C(m, n) = act(A(m, k) B(k, n) + bias + residual). Panels are MR rows of A and NR columns of B, k by k; a
 * task owns a block of C, packs the panels of B that it needs for one block of k, and streams the panels of A past
 * them. A is packed once for all tasks where it fits; neither is, where packing would cost more than it gains (few
 * rows or columns, small matrices). k is always split at the same places and each element of C summed in the same
 * order, so the result depends neither on threads nor on how C is cut. Packing is done by functions, which is how a
 * convolution becomes a matrix product without its matrix: see conv.h.
 */
#ifndef MXL_ENGINE_COMMON
#define MXL_ENGINE_COMMON
#include <math.h>
#include <stddef.h>
#include <string.h>
#if MXL_VB > 16
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif
#include "mxl_parallel.h"

/* Limits of blocks; ops/dot.py computes workspaces from the same numbers. 48 columns are a panel at most. */
enum { BLOCK_N = 192, BLOCK_K_BYTES = 2048, PANEL_N = 48, FINISH_M = 256, SHARED_BYTES = 1 << 24,
       AHEAD = 12 /* rows of B are prefetched */, PACK_COST = 16 };
#if MXL_VB == 64
enum { MR = 8, NV = 3 };
#elif MXL_VB == 32
enum { MR = 4, NV = 3 };
#else
enum { MR = 4, NV = 2 };
#endif
#define UNROLL _Pragma("GCC unroll 32")
#define INLINE static inline __attribute__((always_inline))
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
INLINE int64_t ceil_to(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
#if MXL_VB == 32
INLINE __m256i lanes_32(int lo, int hi)
{
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_and_si256(_mm256_cmpgt_epi32(i, _mm256_set1_epi32(lo - 1)),
                            _mm256_cmpgt_epi32(_mm256_set1_epi32(hi), i));
}
INLINE __m256i lanes_64(int lo, int hi)
{
    const __m256i i = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_and_si256(_mm256_cmpgt_epi64(i, _mm256_set1_epi64x(lo - 1)),
                            _mm256_cmpgt_epi64(_mm256_set1_epi64x(hi), i));
}
#endif
#endif

#include "engine_tile.h"
#include "engine_pack.h"
#define BLOCK_K ((int)(BLOCK_K_BYTES / sizeof(REAL)))       /* no block of k is longer */

typedef struct ENG(job) ENG(job);
/* `rows` rows of `lines` cache lines each. */
typedef struct { const REAL *at; int64_t step; int rows, lines; } ENG(lines);
struct ENG(job) {
    int64_t m, n, k, batch;
    /* dst[k][MR], rows past `rows` zero */
    void (*pack_a)(const ENG(job) *, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc);
    /* dst[k][w], columns past `cols` zero */
    void (*pack_b)(const ENG(job) *, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc, REAL *tmp);
    /* where columns n0 .. n1 of k0 .. k0 + kc will be packed from, as a hint for fetching them in time. NULL: none */
    void (*source)(const ENG(job) *, int64_t b, int64_t n0, int64_t n1, int64_t k0, int kc, ENG(lines) *);
    /* offsets of `cols` columns of C from its first row. NULL: column n at n */
    void (*place)(const ENG(job) *, int64_t n0, int cols, int64_t *off);
    /* takes the sums of blocks of C, epilogue and all, for results of another type. NULL: C is written to `c` */
    void (*finish)(const ENG(job) *, int64_t b, const REAL *block, int64_t m0, int rows, int64_t n0, int cols);
    REAL *c;
    int64_t ldc, c_batch;           /* from row to row of C, from batch to batch */
    /* C = act(A B + bias + residual): one bias a row, one a column of C, a residual placed like C that may be C itself;
     * NULL: none. act as in the epilogue; lo and hi are read for clip alone. */
    const REAL *bias_m, *bias_n, *residual;
    int64_t bias_batch;             /* of bias_m, from batch to batch */
    int act;
    REAL lo, hi;
    const REAL *packed_a, *packed_b;    /* what ENG(pack_whole_a), ENG(pack_whole_b) made. NULL: packed as we go */
    const void *ctx;
    const REAL *a, *b;
    int64_t lda, ldb, a_batch, b_batch; /* for the packers; the batches for what is used in place, too */
    /* A(i, k) = a[i * a_row + k * a_k] and B(k, j) = b[k * b_k + j] may be used in place. 0: they have to be packed */
    int64_t a_row, a_k, b_k;
    /* k lies in runs of k_run, and A's begin a_run apart; batch b of a sum in parts begins with k_from + b * k_part.
     * Zeros: one run */
    int64_t k_run, a_run, k_from, k_part;
    int a_as_is;                    /* A is used in place whatever its size, where a_k allows it */
    int a_step;                     /* of k are packed at once: where panels of A share cache lines. 0: a block */
    char *work;
    int64_t work_thread, tmp_thread;    /* bytes a thread: packed blocks, then the packers' own scratch */
    /* set by ENG(run), as is work_thread: */
    int64_t n_blocks, m_blocks, k_block;
    int64_t whole, pieces;              /* panels of columns in those blocks; the rows of the others' in so many */
    int in_place_a, in_place_b, team;
};

/* `rows` rows of a tile and of C, whose columns lie in stretches: `len` side by side, or -`len` two apart. Into the
 * tile, or out of it. */
INLINE void ENG(move)(REAL *t, REAL *c, int64_t ldc, const int64_t *off, const short *len, int rows, int cols,
                      const int in)
{
    for (int j = 0; j < cols; j += len[j] < 0 ? -len[j] : len[j]) {
        REAL *p = c + off[j], *q = t + j;
        if (len[j] < 0) {
            for (int v = 0; v < -len[j]; v += VL) {
                const int n = (int)least(-len[j] - v, VL);
                for (int i = 0; i < rows; i++) {
                    REAL *a = p + i * ldc + 2 * v, *b = q + i * NR + v;
                    if (in) ENG(store_first)(b, ENG(load_two_apart)(a, n), n);
                    else ENG(store_two_apart)(a, ENG(load_first)(b, n), n);
                }
            }
            continue;
        }
        if (len[j] == 1) {
            for (int i = 0; i < rows; i++) if (in) q[i * NR] = p[i * ldc]; else p[i * ldc] = q[i * NR];
            continue;
        }
        for (int v = 0; v < len[j]; v += VL) {
            const int n = len[j] - v < VL ? len[j] - v : VL;
            for (int i = 0; i < rows; i++) {
                REAL *from = in ? p + i * ldc + v : q + i * NR + v, *to = in ? q + i * NR + v : p + i * ldc + v;
                if (n == VL) STORE(to, LOAD(from));
                else ENG(store_part)(to, ENG(load_part)(from, 0, n), n);
            }
        }
    }
}

/* One tile to its place in C; through a tile of its own where C's columns lie apart. */
INLINE void ENG(put)(ENG(tile_args) *t, int w, const int64_t *off, const short *len, int cols)
{
    const ENG(tile_fn) fn = ENG(tiles)[(t->rows - 1) / 2][w / VL - 1];
    REAL own[MR * NR] __attribute__((aligned(64)));
    REAL *c = t->c;
    const REAL *add = t->add;
    const int64_t ldc = t->ldc;
    if (len[0] == cols) {
        t->c += off[0];
        if (add) t->add += off[0];
        fn(t);
    } else {
        if (add) {
            ENG(move)(own, (REAL *)add, ldc, off, len, t->rows, cols, 1);
            t->add = own;
        }
        for (int j = 0; j < cols; j += VL / 2)
            for (int i = 0; i < t->rows; i++) __builtin_prefetch(c + off[j] + i * ldc, 1);
        t->c = own;
        t->ldc = NR;
        fn(t);
        ENG(move)(own, c, ldc, off, len, t->rows, cols, 0);
    }
    t->c = c, t->add = add, t->ldc = ldc;
}

/* Elements of the whole of A or B, packed, of one batch: blocks of k, in each of them panels. */
INLINE int64_t ENG(packed_a_size)(const ENG(job) *d) { return ceil_to(d->m, MR) * d->k; }
INLINE int64_t ENG(packed_b_size)(const ENG(job) *d) { return ceil_to(d->n, VL) * d->k; }

/* How long blocks of k are: even, whole vectors. */
INLINE int64_t ENG(block_of_k)(int64_t k)
{
    return k <= BLOCK_K ? most(k, 1) : ceil_to(ceil_div(k, ceil_div(k, BLOCK_K)), 16);
}

/* k from k0 on that belong to one block: none crosses a run. */
INLINE int ENG(block_at)(const ENG(job) *d, int64_t b, int64_t k0)
{
    return (int)least(least(d->k_block, d->k - k0), d->k_run - (d->k_from + b * d->k_part + k0) % d->k_run);
}

/* What a task packs after k0 of columns' block `in`; past the end, what this thread probably packs in its next task. */
static ENG(lines) ENG(next_source)(const ENG(job) *d, int64_t b, int64_t in, int64_t k0)
{
    ENG(lines) soon = {0};
    if (!d->source || d->packed_b || d->in_place_b) return soon;
    if (k0 >= d->k) k0 = 0, in += d->team;
    if (in >= d->n_blocks) return soon;
    d->source(d, b, in * d->whole / d->n_blocks * NR, least(d->n, (in + 1) * d->whole / d->n_blocks * NR), k0,
              ENG(block_at)(d, b, k0), &soon);
    return soon;
}

static void ENG(task)(const ENG(job) *d, const int64_t t, int thread)
{
    const int64_t mp = ceil_div(d->m, MR), blocks = d->n_blocks * d->m_blocks;
    int64_t in = t, im = 0, b = 0, m_blocks = d->m_blocks, p0 = d->whole, p1;
    if (t < blocks * d->batch) {
        if (blocks > 1) in = t % d->n_blocks, im = t / d->n_blocks % m_blocks, b = t / blocks;
        else in = 0, b = t;
        p0 = in * d->whole / d->n_blocks, p1 = (in + 1) * d->whole / d->n_blocks;
    } else {
        m_blocks = d->pieces, im = (t - blocks) % m_blocks;
        p0 += (t - blocks) / m_blocks, p1 = p0 + 1;
        in = d->n_blocks;
    }
    const int64_t n0 = p0 * NR, n1 = least(d->n, p1 * NR);
    const int64_t m0 = im * mp / m_blocks * MR, m1 = least(d->m, (im + 1) * mp / m_blocks * MR);
    char *work = d->work + thread * d->work_thread;
    REAL *tmp = (REAL *)(work + d->work_thread - d->tmp_thread), *pa = (REAL *)work;
    REAL *pb = pa + ceil_to(MR * d->k_block, 64 / sizeof(REAL));
    REAL *block = d->finish ? pb + ceil_to(n1 - n0, VL) * d->k_block : NULL;
    ENG(epilogue) e = {.act = d->act, .lo = d->act == 2 ? d->lo : 0, .hi = d->act == 2 ? d->hi : (REAL)INFINITY};
    int64_t off[BLOCK_N];
    short len[BLOCK_N];             /* how many columns of a panel lie side by side (or -: two apart), from each on */
    if (d->place) for (int64_t n = n0; n < n1; n += NR) {
        const int cols = (int)least(NR, n1 - n);
        int64_t *o = off + (n - n0);
        short *l = len + (n - n0);
        d->place(d, n, cols, o);
        for (int j = cols - 1; j >= 0; j--) {
            const int64_t apart = j + 1 < cols ? o[j + 1] - o[j] : 0;
            l[j] = 1;
            if (apart == 1 && l[j + 1] > 0) l[j] = (short)(l[j + 1] + 1);
            if (apart == 2 && (l[j + 1] < 0 || l[j + 1] == 1)) l[j] = (short)((l[j + 1] < 0 ? l[j + 1] : -1) - 1);
        }
    }
    for (int64_t k0 = 0, kc_next; k0 == 0 || k0 < d->k; k0 += kc_next) {
        const int kc = d->k ? ENG(block_at)(d, b, k0) : 0, last = k0 + kc >= d->k;
        const int64_t k = d->k_from + b * d->k_part + k0, k_at = k / d->k_run * d->a_run + k % d->k_run * d->a_k;
        const REAL *panels = pb;
        kc_next = most(kc, 1);
        ENG(lines) soon = ENG(next_source)(d, b, in, last ? d->k : k0 + kc);
        if (d->packed_b) panels = d->packed_b + b * ENG(packed_b_size)(d) + k0 * ceil_to(d->n, VL) + n0 * kc;
        else if (kc && !d->in_place_b)
            for (int64_t n = n0; n < n1; n += NR) {
                const int cols = (int)least(NR, n1 - n);
                d->pack_b(d, b, pb + (n - n0) * kc, n, cols, (int)ceil_to(cols, VL), k0, kc, tmp);
            }
        else if (kc && MXL_VB < 64 && n1 % VL) {        /* the last panel would be read beyond its end */
            const int64_t n = n1 - 1 - (n1 - 1 - n0) % NR;
            const int cols = (int)(n1 - n);
            d->pack_b(d, b, pb, n, cols, (int)ceil_to(cols, VL), k0, kc, tmp);
        }
        int64_t wait = ceil_div(m1 - m0, MR) * ceil_div(n1 - n0, NR) - soon.lines;      /* not too soon */
        for (int64_t m = m0; m < m1; m += MR) {
            const int rows = (int)least(MR, m1 - m);
            ENG(tile_args) s = {.a = pa, .a_row = 1, .a_k = MR, .kc = kc, .rows = rows,
                                .e = last && !d->finish && (d->act || d->bias_m || d->bias_n) ? &e : NULL};
            if (d->packed_a) {
                s.a = d->packed_a + b * ENG(packed_a_size)(d) + k0 * ceil_to(d->m, MR) + m * kc;
            } else if (d->in_place_a && rows % 2 == 0) {
                s.a = d->a + b * d->a_batch + m * d->a_row + k_at, s.a_row = d->a_row, s.a_k = d->a_k;
            } else if (kc) d->pack_a(d, b, pa, m, rows, k0, kc);
            const int64_t at = b * d->c_batch + m * d->ldc + (d->place ? 0 : n0);
            if (d->bias_m) e.bias_m = d->bias_m + b * d->bias_batch + m;
            if (d->finish) s.c = block + (m - m0) * (n1 - n0), s.ldc = n1 - n0, s.add = k0 > 0 ? s.c : NULL;
            else s.c = d->c + at, s.ldc = d->ldc, s.add = k0 > 0 ? s.c : d->residual ? d->residual + at : NULL;
            for (int64_t n = n0; n < n1; n += NR) {
                const int cols = (int)least(NR, n1 - n), w = (int)ceil_to(cols, VL);
                s.b = panels + (n - n0) * kc, s.ldb = w;
                if (d->in_place_b) {
                    if (MXL_VB == 64 || cols == w) s.b = d->b + b * d->b_batch + k0 * d->b_k + n, s.ldb = d->b_k;
                    else s.b = pb;
                }
                s.lanes = cols - w + VL;
                const int now = wait-- <= 0 && soon.lines > 0;
                s.soon = now ? soon.at : s.b, s.soon_step = soon.step;
                s.soon_rows = now ? soon.rows : 0;
                if (now) soon.at += 64 / sizeof(REAL), soon.lines--;
                if (d->bias_n) e.bias_n = d->bias_n + n;
                if (d->place) {
                    ENG(put)(&s, w, off + (n - n0), len + (n - n0), cols);
                    continue;
                }
                ENG(tiles)[(rows - 1) / 2][w / VL - 1](&s);
                s.c += NR;
                if (s.add) s.add += NR;
            }
        }
    }
    if (d->finish) d->finish(d, b, block, m0, (int)(m1 - m0), n0, (int)(n1 - n0));
}

/* Some panels of A: panels p0..p1 of batch b, all blocks of k. */
static void ENG(pack_panels_a)(const ENG(job) *d, int64_t b, int64_t p0, int64_t p1, REAL *dst)
{
    const int64_t kb = ENG(block_of_k)(d->k);
    for (int64_t k0 = 0; k0 < d->k; k0 += kb) {
        const int kc = (int)least(kb, d->k - k0), step = d->a_step ? d->a_step : kc;
        REAL *to = dst + b * ENG(packed_a_size)(d) + k0 * ceil_to(d->m, MR);
        for (int k = 0; k < kc; k += step) for (int64_t m = p0 * MR; m < least(d->m, p1 * MR); m += MR)
            d->pack_a(d, b, to + m * kc + k * MR, m, (int)least(MR, d->m - m), k0 + k, (int)least(step, kc - k));
    }
}

static void ENG(pack_panel_b)(const ENG(job) *d, int64_t b, int64_t p, REAL *dst)
{
    const int64_t kb = ENG(block_of_k)(d->k), n = p * NR;
    const int cols = (int)least(NR, d->n - n);
    for (int64_t k0 = 0; k0 < d->k; k0 += kb) {
        const int kc = (int)least(kb, d->k - k0);
        d->pack_b(d, b, dst + b * ENG(packed_b_size)(d) + k0 * ceil_to(d->n, VL) + n * kc, n, cols,
                  (int)ceil_to(cols, VL), k0, kc, NULL);
    }
}

enum { ENG(STRETCH) = 8 };          /* panels of A that are packed by one task: whole cache lines of a column */

/* Packs all of A into `dst`, ENG(packed_a_size)(d) elements a batch, for the packed_a of jobs of this m, k, batch. */
static void ENG(pack_whole_a)(const ENG(job) *d, REAL *dst, mxl_runtime *rt, int threads)
{
    const int64_t mp = ceil_div(d->m, MR), each = ceil_div(mp, ENG(STRETCH)), tasks = each * d->batch;
    const int nt = mxl_enter(rt, threads, ENG(packed_a_size)(d) * d->batch, MXL_GRAIN);
#define PACK(t) ENG(pack_panels_a)(d, (t) / each, (t) % each * ENG(STRETCH), \
                                   least(mp, ((t) % each + 1) * ENG(STRETCH)), dst)
    if (nt == 1) {
        for (int64_t t = 0; t < tasks; t++) PACK(t);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(nt)
        for (int64_t t = 0; t < tasks; t++) PACK(t);
#endif
    }
#undef PACK
    mxl_leave(rt, nt);
}

/* The same of B: ENG(packed_b_size)(d) elements a batch. For packers that need no `tmp`. */
static void ENG(pack_whole_b)(const ENG(job) *d, REAL *dst, mxl_runtime *rt, int threads)
{
    const int64_t np = ceil_div(d->n, NR), tasks = np * d->batch;
    const int nt = mxl_enter(rt, threads, ENG(packed_b_size)(d) * d->batch, MXL_GRAIN);
    if (nt == 1) {
        for (int64_t t = 0; t < tasks; t++) ENG(pack_panel_b)(d, t / np, t % np, dst);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(nt)
        for (int64_t t = 0; t < tasks; t++) ENG(pack_panel_b)(d, t / np, t % np, dst);
#endif
    }
    mxl_leave(rt, nt);
}

/* Of 1 .. most pieces of `rows` panels of rows, for each of `panels` of B, the last of them of `vectors`: the number
 * with which the threads are done first. A panel of B costs as much to pack as PACK_COST rows of A to multiply. */
static int64_t ENG(pieces)(int64_t panels, int64_t vectors, int64_t rows, int64_t most_pieces, int nt, int64_t pack)
{
    int64_t best = INT64_MAX, found = 1;
    for (int64_t i = 1; i <= most_pieces; i++) {
        const int64_t task = ceil_div(rows, i) * MR + pack;
        const int64_t all = ceil_div(((panels - 1) * NV + vectors) * i * task, nt);
        const int64_t time = most(most(all, vectors * task), ceil_div((panels - 1) * i, nt) * NV * task);
        if (time < best) best = time, found = i;
    }
    return found;
}

/* How C is cut into tasks: by columns, for tasks below each other pack the same part of B, each for itself. Only the
 * panels that do not share out evenly are cut by rows. */
static void ENG(cut)(ENG(job) *d, int nt, int a_is_there)
{
    const int64_t np = ceil_div(d->n, NR), mp = ceil_div(d->m, MR);
    const int64_t pack = d->in_place_b || d->packed_b ? 0 : PACK_COST;
    d->n_blocks = ceil_div(np, BLOCK_N / NR);
    d->m_blocks = d->finish ? ceil_div(mp * MR, FINISH_M) : 1;
    d->whole = np, d->pieces = 0;
    if (nt == 1 || d->n_blocks * d->m_blocks * d->batch >= 16 * nt) return;
    /* narrow blocks, where passing A by more often costs nothing */
    const int64_t want = a_is_there && !d->a_as_is ? 8 * nt : ceil_to(d->n_blocks, nt);
    d->n_blocks = most(d->n_blocks, least(np, ceil_div(want, d->m_blocks * d->batch)));
    if (d->batch > 1) {
        d->m_blocks = most(d->m_blocks, ENG(pieces)(d->n_blocks * d->batch, NV, mp, least(mp, 4 * nt), nt, pack));
    } else if (np < 16 * nt) {
        const int64_t vectors = ceil_div(d->n - (np - 1) * NR, VL), rest = np % nt || vectors == NV ? np % nt : nt;
        if (rest == 0) return;
        d->whole = np - rest;
        d->n_blocks = least(d->n_blocks, d->whole);
        d->pieces = most(d->m_blocks, ENG(pieces)(rest, vectors, mp, least(mp, 4 * nt), nt, pack));
    }
}

/* Runs the whole job on up to `threads` threads. `work` holds block_bytes(...) of ops/dot.py, plus the packers' own. */
static void ENG(run)(ENG(job) *d, mxl_runtime *rt, int threads)
{
    if (d->m <= 0 || d->n <= 0 || d->batch <= 0) return;
    const double flops = (double)d->m * (double)d->n * (double)most(d->k, 1) * (double)d->batch;
    const int nt = mxl_enter(rt, threads, flops > 1e15 ? (int64_t)1e15 : (int64_t)flops, 4 * MXL_GRAIN);
    const int64_t mp = ceil_div(d->m, MR), item = sizeof(REAL), whole = ENG(packed_a_size)(d) * item;
    d->team = nt;
    if (d->k_run) d->k_block = ENG(block_of_k)(d->k_run);
    else d->k_block = ENG(block_of_k)(d->k), d->k_run = INT64_MAX;
    /* measured: packing pays for what is used by many panels of the other, unless it lies in a near cache as it is */
    d->in_place_a = !d->packed_a && d->a_k && (d->a_as_is || d->n <= 2 * NR || d->m * d->k <= 16384);
    d->in_place_b = !d->packed_b && d->b_k && (d->m <= 8 * MR || d->n * d->k <= 65536);
    int share = !d->packed_a && !d->in_place_a && d->batch == 1 && d->n > PANEL_N && whole <= SHARED_BYTES;
    ENG(cut)(d, nt, share || d->packed_a || d->in_place_a);
    share = share && d->n_blocks + d->pieces > 1;
    REAL *shared = (REAL *)d->work;
    if (share) {
        d->packed_a = shared;
        d->work += ceil_to(whole, 64);
    }
    const int64_t columns = least(ceil_to(d->n, VL), BLOCK_N);
    d->work_thread = ceil_to(MR * d->k_block * item, 64) + ceil_to(columns * d->k_block * item, 64) + d->tmp_thread
                     + (d->finish ? ceil_to(least(d->m, FINISH_M) * columns * item, 64) : 0);
    const int64_t tasks = d->n_blocks * d->m_blocks * d->batch + (ceil_div(d->n, NR) - d->whole) * d->pieces;
    const int64_t chunk = most(1, tasks / (16 * nt));
    const int64_t stretches = share ? ceil_div(mp, ENG(STRETCH)) : 0;
#define PACK(t) ENG(pack_panels_a)(d, 0, (t) * ENG(STRETCH), least(mp, ((t) + 1) * ENG(STRETCH)), shared)
    if (nt == 1) {
        for (int64_t t = 0; t < stretches; t++) PACK(t);
        for (int64_t t = 0; t < tasks; t++) ENG(task)(d, t, 0);
    } else {
#ifdef _OPENMP
        if (stretches) { /* a region of its own: threads need not all be there, as at a barrier */
#pragma omp parallel for schedule(dynamic, 1) num_threads(nt)
            for (int64_t t = 0; t < stretches; t++) PACK(t);
        }
#pragma omp parallel for schedule(dynamic, chunk) num_threads(nt)
        for (int64_t t = 0; t < tasks; t++) ENG(task)(d, t, omp_get_thread_num());
#endif
    }
#undef PACK
    (void)chunk;
    mxl_leave(rt, nt);
}

/* ---- packers of stored matrices, plain or transposed ---- */

static void ENG(a_plain)(const ENG(job) *d, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    ENG(pack_rows)(dst, MR, MR, d->a + b * d->a_batch + m0 * d->lda + k0, d->lda, rows, kc);
}

static void ENG(a_trans)(const ENG(job) *d, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    ENG(pack_columns)(dst, MR, d->a + b * d->a_batch + k0 * d->lda + m0, d->lda, rows, kc);
}

static void ENG(b_plain)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                         REAL *tmp)
{
    (void)tmp;
    ENG(pack_columns)(dst, w, d->b + b * d->b_batch + k0 * d->ldb + n0, d->ldb, cols, kc);
}

static void ENG(b_trans)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                         REAL *tmp)
{
    (void)tmp;
    ENG(pack_rows)(dst, w, w, d->b + b * d->b_batch + n0 * d->ldb + k0, d->ldb, cols, kc);
}
