/* The kernel ABI: what every CPU kernel sees, and all that it sees.
 *
 * A kernel is `int k(mxl_call *)`. It reads `in`, writes `out` (and those inputs that its record declares as
 * auxiliary states), and returns MXL_OK or a positive error code. It never allocates, never raises, knows no Python;
 * every tensor is contiguous and row-major. It only ever writes its outputs: accumulation is a node of its own.
 */
#ifndef MXL_H
#define MXL_H
#include <stdint.h>

#define MXL_ABI 1
#define MXL_MAXDIM 8

/* MXNet's type flags: they stand in .params files and in JSON attributes. */
enum { MXL_F32 = 0, MXL_F64 = 1, MXL_F16 = 2, MXL_U8 = 3, MXL_I32 = 4, MXL_I8 = 5, MXL_I64 = 6, MXL_BOOL = 7,
       MXL_BF16 = 12 };

enum { MXL_OK = 0,
       MXL_EDTYPE = 1,   /* the kernel has no code for these dtypes */
       MXL_EINDEX = 2,   /* an index value is out of range */
       MXL_EVALUE = 3,   /* some other value in the data is not allowed */
       MXL_EPYTHON = -1  /* a Python-written operator raised; the exception is kept by the executor */ };

typedef struct {
    void *data;
    int64_t size;                 /* number of elements */
    int64_t shape[MXL_MAXDIM];
    int32_t ndim, dtype;
} mxl_tensor;

/* Counter-based random state (Philox4x32-10): key = seed, counter = (element / 4, rng_id, step low, step high). */
typedef struct { uint64_t seed, step; } mxl_rng;

typedef struct mxl_call {
    mxl_tensor *in, *out;         /* auxiliary states are the last inputs */
    const void *args;             /* the kernel's own argument struct, packed once a bind */
    const double *scalars;        /* values of the record's `dynamic` parameters, in declared order */
    void *work;                   /* scratch of the record's `workspace` bytes, 64-byte aligned */
    const mxl_rng *rng;
    void *py;                     /* trampoline's callable */
    uint32_t rng_id;              /* which random node of the program this is */
    int32_t n_in, n_out, is_train;
    int32_t threads;              /* never open more than this many */
} mxl_call;

typedef int (*mxl_kernel)(mxl_call *);

typedef struct { uint32_t arrived, phase; } mxl_barrier;

/* Process-wide state, owned by cpu.pyx; every kernel module holds a pointer to it. */
typedef struct mxl_runtime {
    int32_t threads;              /* size of a parallel region at most */
    int32_t forked;               /* set in a forked child */
    int32_t busy;                 /* a parallel region is open: others run serially */
    int32_t isa;                  /* 0 baseline, 1 AVX2+FMA, 2 AVX-512 */
    int32_t together;             /* that region has barriers: see mxl_parallel.h */
    /* body(data, id, n) for every id below n, on several threads; and a barrier among them */
    void (*run)(struct mxl_runtime *, void (*body)(void *, int, int), void *data, int n);
    void (*wait)(mxl_barrier *, int n, long *words, int count);
} mxl_runtime;

enum { MXL_ISA_BASE = 0, MXL_ISA_AVX2 = 1, MXL_ISA_AVX512 = 2, MXL_ISA_LEVELS = 3 };
#endif
