/* Kernels that work on a range of independent units (rows, channels, tiles): the loop over threads, and the choice of
 * instruction-set level. A unit's result never depends on where ranges are cut. */
#ifndef MXL_RANGES_H
#define MXL_RANGES_H
#include "mxl.h"
#include "mxl_parallel.h"

typedef void (*mxl_range)(const mxl_call *c, int64_t begin, int64_t end);

/* Runs `fn` on units [0, n), of `work` elementary operations all together. */
static inline void mxl_run(mxl_runtime *rt, const mxl_call *c, mxl_range fn, int64_t n, int64_t work)
{
    int nt = n > 1 ? mxl_enter(rt, c->threads, work, MXL_GRAIN) : 1;
    if (nt == 1) {
        if (n > 0) fn(c, 0, n);
    } else {
        int64_t parts = nt * 4 < n ? nt * 4 : n;    /* a few a thread: a thread that is held up costs less */
        #pragma omp parallel for num_threads(nt) schedule(dynamic)
        for (int64_t i = 0; i < parts; i++)
            fn(c, (int64_t)((__int128)n * i / parts), (int64_t)((__int128)n * (i + 1) / parts));
    }
    mxl_leave(rt, nt);
}

#if defined(MXL_HAVE_X86_LEVELS)
#define MXL_PICK(rt, name) ((rt)->isa == MXL_ISA_AVX512 ? &name##_avx512 : \
                            (rt)->isa == MXL_ISA_AVX2 ? &name##_avx2 : &name##_base)
#else
#define MXL_PICK(rt, name) (&name##_base)
#endif

/* Column of a table that has one for float and one for double; -1 for other dtypes. */
static inline int mxl_real(int32_t dtype) { return dtype == MXL_F32 ? 0 : dtype == MXL_F64 ? 1 : -1; }
#endif
