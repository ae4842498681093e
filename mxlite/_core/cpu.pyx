# cython: language_level=3
"""The processor: which instruction-set level to use, how many threads, and what happens after a fork.

Kernel modules take a pointer to the one ``mxl_runtime`` from here (``runtime_capsule``), so that a change of level or
thread count reaches all of them at once.
"""
import os
from cpython.pycapsule cimport PyCapsule_New
from mxlite._core.abi cimport mxl_runtime, MXL_ISA_LEVELS

cdef extern from *:
    """
    #include "mxl.h"
    static int mxl_detect_isa(void)
    {
    #if defined(MXL_HAVE_X86_LEVELS)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) return MXL_ISA_AVX512;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return MXL_ISA_AVX2;
    #endif
        return MXL_ISA_BASE;
    }
    #include <string.h>
    #include "mxl_team.h"
    #ifdef MXL_TEAM
    #define MXL_OWN_THREADS 1
    static mxl_runtime mxl_rt = {.run = team_run, .wait = team_wait};
    static void mxl_after_fork(void) { mxl_rt.forked = 1; mxl_rt.busy = 0; team_forget(); }
    static void mxl_spin(int64_t ns) { team_spin = ns; }
    #else
    #define MXL_OWN_THREADS 0
    static mxl_runtime mxl_rt;
    static void mxl_after_fork(void) { mxl_rt.forked = 1; mxl_rt.busy = 0; }
    static void mxl_spin(int64_t ns) { (void)ns; }
    #endif
    #if defined(_WIN32)
    static int mxl_watch_fork(void) { return 0; }
    #else
    #include <pthread.h>
    static int mxl_watch_fork(void) { return pthread_atfork(0, 0, mxl_after_fork); }
    #endif
    #if MXL_OWN_THREADS
    #define MXL_OPENMP _OPENMP
    static int mxl_openmp_threads(void) { return 1; }
    #elif defined(_OPENMP)
    #include <omp.h>
    #define MXL_OPENMP _OPENMP
    /* Calling the library makes this module the one that loads it, with the environment that _core/__init__ set. */
    static int mxl_openmp_threads(void) { return omp_get_max_threads(); }
    #else
    #define MXL_OPENMP 0
    static int mxl_openmp_threads(void) { return 1; }
    #endif
    #if defined(MXL_HAVE_X86_LEVELS)
    #define MXL_LEVELS_BUILT 3
    #else
    #define MXL_LEVELS_BUILT 1
    #endif
    """
    int mxl_detect_isa()
    int mxl_watch_fork()
    int mxl_openmp_threads()
    mxl_runtime mxl_rt
    void mxl_spin(long long ns)
    int MXL_OPENMP
    int MXL_OWN_THREADS
    int MXL_LEVELS_BUILT

ISA_NAMES = ("baseline", "avx2", "avx512")
detected_isa = mxl_detect_isa()
openmp = MXL_OPENMP
own_threads = bool(MXL_OWN_THREADS)     # parallel regions run on threads of our own, not on OpenMP's library
levels_built = MXL_LEVELS_BUILT


def _threads_wanted():
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if text.isdigit() and int(text) > 0:
        return int(text)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def set_isa(level):
    """Use instruction-set level `level` (a name of ``ISA_NAMES`` or its index) from now on, in every kernel."""
    if isinstance(level, str):
        if level not in ISA_NAMES:
            raise ValueError(f"MXLITE_ISA={level!r}: choose one of {', '.join(ISA_NAMES)}")
        level = ISA_NAMES.index(level)
    if not 0 <= level < len(ISA_NAMES):
        raise ValueError(f"instruction-set level {level} is not one of 0, 1, 2")
    if level > detected_isa:
        raise ValueError(f"this processor (or build) has no {ISA_NAMES[level]}; highest is {ISA_NAMES[detected_isa]}")
    mxl_rt.isa = level


def get_isa():
    """Name of the level in use."""
    return ISA_NAMES[mxl_rt.isa]


def set_threads(int n):
    """Most threads that a kernel may use from now on (at least 1)."""
    if n < 1:
        raise ValueError(f"thread count {n} must be at least 1")
    mxl_rt.threads = n if MXL_OPENMP else 1


def get_threads():
    return mxl_rt.threads


def forked():
    """True in a child made by ``fork``. Where OpenMP's library has the threads, its kernels run serially."""
    return bool(mxl_rt.forked)


def _spin(long long nanoseconds):
    """How long a thread without work looks for some before it sleeps."""
    mxl_spin(nanoseconds)


if os.environ.get("OMP_WAIT_POLICY", "").strip().lower() in ("active", "passive"):
    _spin(100_000_000 if os.environ["OMP_WAIT_POLICY"].strip().lower() == "active" else 0)
mxl_watch_fork()
mxl_openmp_threads()
set_threads(_threads_wanted())
set_isa(os.environ.get("MXLITE_ISA") or detected_isa)
runtime_capsule = PyCapsule_New(<void*>&mxl_rt, "mxl_runtime", NULL)
