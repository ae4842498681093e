# cython: language_level=3
"""The instruction loop: a bound program is an array of {kernel, call}, and running it is walking that array."""
from threading import get_ident

from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer
from cpython.ref cimport PyObject
from libc.stdlib cimport calloc, free
from libc.string cimport strcmp
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule
from mxlite._core.ndarray cimport ITEMSIZE
from mxlite._core.rng cimport next_step

cdef extern from "mxl_crowd.h":
    int crowd_runners "crowd.runners"
    int crowd_held "crowd.held"
    void crowd_join(mxl_runtime* rt) noexcept nogil
    void crowd_look(mxl_runtime* rt) noexcept nogil
    int crowd_leave(mxl_runtime* rt) noexcept nogil
    int crowd_watch_fork()

cdef enum:
    GIL_FREE_ABOVE = 8192      # elements: below it, letting go of the GIL costs more than the run
    LOOK_AFTER = 1 << 22       # elements touched between looks for Ctrl-C: some milliseconds of light work
    LOOK_AFTER_STEPS = 4096    # and instructions, however small

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
crowd_watch_fork()
cdef dict pending = {}         # thread -> the exception of a Python-written operator, on its way out of the loop


def crowd():
    """(threads that compute without the GIL; whether they run serially because they are many; whether a parallel
    region is open or may not be opened)."""
    return crowd_runners, bool(crowd_held), bool(rt.busy)


cdef mxl_kernel kernel_pointer(object capsule) except NULL:
    cdef const char* name = PyCapsule_GetName(capsule)
    if name == NULL or strcmp(name, "int (mxl_call *)") != 0:
        raise TypeError(f"a kernel capsule has the C signature {name}, not int (mxl_call *)")
    return <mxl_kernel>PyCapsule_GetPointer(capsule, name)


cdef int trampoline(mxl_call* c) noexcept with gil:
    """A Python-written operator is one more instruction: this kernel takes the GIL and calls it."""
    cdef bint inside = crowd_leave(rt)
    try:
        (<object>(<PyObject*>c.py))(c.rng.seed, c.rng.step)
        return MXL_OK
    except BaseException as e:
        pending[get_ident()] = e
        return MXL_EPYTHON
    finally:
        if inside:
            crowd_join(rt)


cdef int signals() noexcept with gil:
    try:
        PyErr_CheckSignals()
        return 0
    except BaseException as e:
        pending[get_ident()] = e
        return 1


cdef void enter_crowd() noexcept nogil:
    crowd_join(rt)


cdef void leave_crowd() noexcept nogil:
    crowd_leave(rt)


cdef object take_pending():
    return pending.pop(get_ident(), None)


cdef class Program:
    def __cinit__(self):
        self.code, self.tensors, self.scalars = NULL, NULL, NULL

    def __init__(self, list steps, list keep, int threads, int boundary, int once=0):
        """`steps`: (row, capsule or callable, ins, outs, args, scalars, work address, rng_id, is_train); ins and outs
        are (address, shape, dtype flag), address 0 for an output that nobody reads. `keep` holds the memory alive. The
        first `once` instructions prepare what the others read again and again."""
        cdef int64_t looked = 0
        cdef int looked_at = 0
        cdef int i = 0, j, total = 0, n_scalars = 0
        cdef Instruction* ins
        cdef mxl_tensor* t
        self.n, self.boundary, self.once, self.rows, self.keep = len(steps), boundary, once, [], [keep, steps]
        for step in steps:
            total += len(step[2]) + len(step[3])
            n_scalars += len(step[5])
        self.code = <Instruction*>calloc(self.n + 1, sizeof(Instruction))
        self.tensors = <mxl_tensor*>calloc(total + 1, sizeof(mxl_tensor))
        self.scalars = <double*>calloc(n_scalars + 1, sizeof(double))
        if self.code == NULL or self.tensors == NULL or self.scalars == NULL:
            raise MemoryError
        t, j = self.tensors, 0
        for i in range(self.n):
            row, kernel, inputs, outputs, args, scalars, work, rng_id, is_train = steps[i]
            ins = &self.code[i]
            ins.call.inp = t
            for spec in inputs:
                fill(t, spec)
                self.work += t.size
                t += 1
            ins.call.out = t
            for spec in outputs:
                fill(t, spec)
                self.work += t.size
                t += 1
            ins.call.n_in, ins.call.n_out = len(inputs), len(outputs)
            ins.call.args = <const char*>(<bytes>args)
            ins.call.scalars = self.scalars + j
            for value in scalars:
                self.scalars[j] = value
                j += 1
            ins.call.work = <void*><size_t>work
            ins.call.rng = &self.rng
            ins.call.is_train, ins.call.threads = is_train, threads
            if rng_id is not None:
                ins.call.rng_id = rng_id
                self.random = True
            if callable(kernel):
                ins.fn = trampoline
                ins.call.py = <void*>kernel
            else:
                ins.fn = kernel_pointer(kernel)
            if self.work - looked > LOOK_AFTER or i - looked_at > LOOK_AFTER_STEPS:
                ins.look = 1
                looked, looked_at = self.work, i
            self.rows.append(row)
        self.releases = self.work > GIL_FREE_ABOVE

    @property
    def rng_state(self):
        """(seed, step) of the random numbers that the last run drew."""
        return self.rng.seed, self.rng.step

    @rng_state.setter
    def rng_state(self, value):
        self.rng.seed, self.rng.step = value

    def __dealloc__(self):
        free(self.code)
        free(self.tensors)
        free(self.scalars)

    cdef int loop(self, int begin, int end, int* at) noexcept nogil:
        cdef int i = begin, rc = MXL_OK
        for i in range(begin, end):
            crowd_look(rt)
            rc = self.code[i].fn(&self.code[i].call)
            if rc != MXL_OK:
                break
            if self.code[i].look and signals():
                rc = MXL_EPYTHON
                break
        at[0] = i
        return rc

    def redirect(self, size_t address, size_t nbytes, size_t to):
        """Have what reads the `nbytes` at `address` read them at `to`; undone by the same with both exchanged. False,
        and nothing is changed, where the program uses some of the memory at `to` already, or where something writes
        at `address` or is written in Python (which keeps arrays of its own over that memory)."""
        cdef int i, k, n, apply
        cdef mxl_tensor* t
        cdef size_t at, size
        for apply in range(2):
            for i in range(self.n):
                n = self.code[i].call.n_in
                for k in range(n + self.code[i].call.n_out):
                    t = &self.code[i].call.inp[k] if k < n else &self.code[i].call.out[k - n]
                    at, size = <size_t>t.data, <size_t>(t.size * ITEMSIZE[t.dtype])
                    if at < address + nbytes and address < at + size:
                        if apply:
                            t.data = <void*>(at - address + to)
                        elif k >= n or self.code[i].fn == trampoline or at < address \
                                or at + size > address + nbytes:
                            return False
                    elif not apply and at < to + nbytes and to < at + size:
                        return False
        return True

    def timed(self, int begin, int end):
        """Run instructions `begin` to `end`, one call after the other; the seconds that each took. RuntimeError where
        one fails."""
        cdef int i, at = 0, rc
        cdef list out = []
        from time import perf_counter
        for i in range(begin, end):
            start = perf_counter()
            with nogil:
                rc = self.loop(i, i + 1, &at)
            out.append(perf_counter() - start)
            if rc == MXL_EPYTHON:
                raise take_pending()
            if rc != MXL_OK:
                raise RuntimeError(f"instruction {i} failed with code {rc}")
        return out

    cpdef int run(self, int begin, int end, bint redraw=True) except -2:
        """Run instructions `begin` to `end`; a run from the start draws new random numbers, with `redraw` False those
        of the last one. Returns -1, or the number of the instruction that failed with a kernel code
        (``failed_code``); raises what a Python-written operator raised, ``failed_at`` says where."""
        cdef int at = 0, rc
        if begin >= end:
            return -1
        if self.random and begin <= self.once and redraw:
            self.rng = next_step()
        if self.releases:
            with nogil:
                crowd_join(rt)
                rc = self.loop(begin, end, &at)
                crowd_leave(rt)
        else:
            rc = self.loop(begin, end, &at)
        if rc == MXL_OK:
            return -1
        self.failed_code = rc
        self.failed_at = at
        if rc == MXL_EPYTHON:
            raise take_pending()
        return at


cdef int fill(mxl_tensor* t, spec) except -1:
    address, shape, flag = spec
    if len(shape) > MXL_MAXDIM:
        raise ValueError(f"an array has at most {MXL_MAXDIM} axes, {shape} has {len(shape)}")
    t.data = <void*><size_t>address
    t.ndim, t.dtype, t.size = len(shape), flag, 1
    cdef int i = 0
    for d in shape:
        t.shape[i] = d
        t.size *= t.shape[i]
        i += 1
    return 0
