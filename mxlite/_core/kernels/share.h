/* One piece of code run once a thread, each with its own part of the work: `part` of `parts`. */
#ifndef MXL_SHARE_H
#define MXL_SHARE_H
#include "mxl.h"
#include "mxl_parallel.h"

/* Part `part` of `parts` of n: [*a, *b). */
static inline void mxl_share(int64_t n, int64_t parts, int64_t part, int64_t *a, int64_t *b)
{
    *a = (int64_t)((__int128)n * part / parts);
    *b = (int64_t)((__int128)n * (part + 1) / parts);
}

/* Bytes moved are worth a quarter of an elementary operation each: a core copies about 10 of them in a nanosecond. */
#define MXL_PARTS(rt, c, bytes, ...) do { \
        int nt_ = mxl_enter(rt, (c)->threads, (bytes) / 4, MXL_GRAIN); \
        if (nt_ == 1) { const int parts = 1, part = 0; __VA_ARGS__ } \
        else { \
            _Pragma("omp parallel for num_threads(nt_) schedule(static, 1)") \
            for (int part = 0; part < nt_; part++) { const int parts = nt_; __VA_ARGS__ } \
        } \
        mxl_leave(rt, nt_); \
    } while (0)
#endif
