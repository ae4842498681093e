# cython: language_level=3
"""Copies between a contiguous tensor and a box of another: transpose, slice, tile, concat, split, where, pad.

All kernels but pad's gradient go by item size and take any dtype. Drivers are in movement_run.h and movement_pad.h,
inner loops (one set an instruction-set level) in movement.h.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule
from mxlite._core.kernels import check_keys

cdef extern from "movement_pad.h":
    ctypedef struct move_box:
        int64_t n, src_offset, dst_offset
        int64_t[16] shape, src, dst
    ctypedef struct pad_args:
        int64_t mode, ndim
        int64_t[8] before
        double value
    int64_t mxl_itemsize(int32_t dtype) nogil
    uint64_t mxl_bits_of(double v, int32_t dtype) nogil
    void mxl_put(void* at, int64_t size, uint64_t bits) nogil
    int move_log2(int32_t dtype) nogil
    void move_copy(mxl_runtime* rt, mxl_call* c, const char* s, char* d, int64_t bytes) nogil
    void move_zero(mxl_runtime* rt, mxl_call* c, char* d, int64_t bytes) nogil
    int move_strided(mxl_runtime* rt, mxl_call* c, const move_box* b, const void* s, void* d, int z) nogil
    int move_pieces(mxl_runtime* rt, mxl_call* c, mxl_tensor* whole, mxl_tensor* x, int count, int64_t outer,
                    int join) nogil
    int move_where(mxl_runtime* rt, mxl_call* c, const mxl_tensor* cond, const char* x, const char* y, char* d0,
                   char* d1,
                   int64_t size, int32_t dtype) nogil
    int pad_forward "pad_forward"(mxl_runtime* rt, mxl_call* c) nogil
    int pad_backward_ "pad_backward"(mxl_runtime* rt, mxl_call* c) nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))

cdef struct OuterArgs:
    int64_t outer


cdef int copy(mxl_call* c) noexcept nogil:
    cdef int64_t bytes = c.out.size * mxl_itemsize(c.out.dtype)
    if bytes and c.out.data != c.inp.data:
        move_copy(rt, c, <const char*>c.inp.data, <char*>c.out.data, bytes)
    return MXL_OK


cdef int strided(mxl_call* c) noexcept nogil:
    return move_strided(rt, c, <const move_box*>c.args, c.inp.data, c.out.data, move_log2(c.out.dtype))


cdef int into_zeros(mxl_call* c) noexcept nogil:
    cdef int64_t bytes = c.out.size * mxl_itemsize(c.out.dtype)
    if c.inp.size != c.out.size:
        move_zero(rt, c, <char*>c.out.data, bytes)
    return move_strided(rt, c, <const move_box*>c.args, c.inp.data, c.out.data, move_log2(c.out.dtype))


cdef int assign(mxl_call* c) noexcept nogil:
    copy(c)
    return move_strided(rt, c, <const move_box*>c.args, c.inp[1].data, c.out.data, move_log2(c.out.dtype))


cdef int assign_scalar(mxl_call* c) noexcept nogil:
    cdef uint64_t value
    mxl_put(&value, mxl_itemsize(c.out.dtype), mxl_bits_of(c.scalars[0], c.out.dtype))
    copy(c)
    return move_strided(rt, c, <const move_box*>c.args, &value, c.out.data, move_log2(c.out.dtype))


cdef int join(mxl_call* c) noexcept nogil:
    return move_pieces(rt, c, c.out, c.inp, c.n_in, (<const OuterArgs*>c.args).outer, 1)


cdef int split(mxl_call* c) noexcept nogil:
    return move_pieces(rt, c, c.inp, c.out, c.n_out, (<const OuterArgs*>c.args).outer, 0)


cdef int where(mxl_call* c) noexcept nogil:
    return move_where(rt, c, c.inp, <const char*>c.inp[1].data, <const char*>c.inp[2].data, <char*>c.out.data, NULL,
                      c.out.size, c.out.dtype)


cdef int where_backward(mxl_call* c) noexcept nogil:
    return move_where(rt, c, c.inp, <const char*>c.inp[1].data, NULL, <char*>c.out.data, <char*>c.out[1].data,
                      c.inp[1].size, c.inp[1].dtype)


cdef int pad(mxl_call* c) noexcept nogil:
    return pad_forward(rt, c)


cdef int pad_backward(mxl_call* c) noexcept nogil:
    return pad_backward_(rt, c)


def _pack_box(dict d):
    check_keys(d, "n", "src_offset", "dst_offset", "shape", "src", "dst")
    cdef move_box a = d
    return (<char*>&a)[:sizeof(move_box)]


def _pack_outer(dict d):
    check_keys(d, "outer")
    cdef OuterArgs a
    a.outer = d["outer"]
    return (<char*>&a)[:sizeof(OuterArgs)]


def _pack_pad(dict d):
    check_keys(d, "mode", "ndim", "before", "value")
    cdef pad_args a = d
    return (<char*>&a)[:sizeof(pad_args)]


cdef _kernel(mxl_kernel fn):
    return PyCapsule_New(<void*>fn, "int (mxl_call *)", NULL)


kernels = {"copy": _kernel(copy), "strided": _kernel(strided), "into_zeros": _kernel(into_zeros), "join": _kernel(join),
           "split": _kernel(split), "where": _kernel(where), "where_backward": _kernel(where_backward),
           "pad": _kernel(pad), "pad_backward": _kernel(pad_backward), "assign": _kernel(assign),
           "assign_scalar": _kernel(assign_scalar)}
packers = {"strided": _pack_box, "into_zeros": _pack_box, "join": _pack_outer, "split": _pack_outer, "pad": _pack_pad,
           "pad_backward": _pack_pad, "assign": _pack_box, "assign_scalar": _pack_box}
