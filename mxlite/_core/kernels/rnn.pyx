# cython: language_level=3
"""Kernels of recurrent layers: RNN and its gradient, and the gates of one step of an lstm."""
import sys

from cpython.pycapsule cimport PyCapsule_GetPointer
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule
from . import check_keys

cdef extern from "rnn_table.h":
    """
    #include "value.h"
    static const rnn_table *pick_rnn(const mxl_runtime *rt) { return MXL_PICK(rt, mxl_rnn); }
    static void rnn_lengths(const mxl_call *c, const mxl_tensor *lengths)
    {
        const rnn_args *a = c->args;
        int64_t *to = c->work;
        for (int64_t i = 0; i < a->batch; i++) {
            const int64_t k = a->use_length ? mxl_index(lengths->data, lengths->dtype, i) : a->steps;
            to[i] = k < 0 ? 0 : k < a->steps ? k : a->steps;
        }
    }
    """
    ctypedef void (*mxl_range)(const mxl_call* c, int64_t begin, int64_t end) noexcept nogil
    ctypedef void (*rnn_fn)(mxl_runtime* rt, const mxl_call* c) noexcept nogil
    ctypedef struct rnn_args:
        int64_t mode, layers, directions, steps, batch, inputs, hidden, projection
        int64_t joined, use_length, clip, clip_nan, state_outputs, threshold
        int64_t scratch4, scratch8
        double low, high, scale
    ctypedef struct lstm_gates_args:
        int64_t rows, hidden
    ctypedef struct rnn_table:
        rnn_fn forward[2]
        rnn_fn backward[2]
        mxl_range lstm_gates[2]
        mxl_range lstm_gates_backward[2]
    void rnn_lengths(const mxl_call* c, const mxl_tensor* lengths) noexcept nogil
    const rnn_table* pick_rnn(const mxl_runtime* rt) noexcept nogil
    int mxl_real(int32_t dtype) noexcept nogil
    void mxl_run(mxl_runtime* rt, const mxl_call* c, mxl_range fn, int64_t n, int64_t work) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))

# Elementary operations of one unit's gates.
cdef enum:
    UNIT = 64


def _pack(dict d):
    check_keys(d, "mode", "layers", "directions", "steps", "batch", "inputs", "hidden", "projection", "joined",
               "use_length", "clip", "clip_nan", "state_outputs", "threshold", "scratch4", "scratch8", "low",
               "high", "scale")
    cdef rnn_args a = d
    return (<char*>&a)[:sizeof(a)]


def _pack_gates(dict d):
    check_keys(d, "rows", "hidden")
    cdef lstm_gates_args a = d
    return (<char*>&a)[:sizeof(a)]


cdef api int forward(mxl_call* c) noexcept nogil:
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0:
        return MXL_EDTYPE
    rnn_lengths(c, &c.inp[c.n_in - 1])
    pick_rnn(rt).forward[real](rt, c)
    return MXL_OK


cdef api int backward(mxl_call* c) noexcept nogil:
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0:
        return MXL_EDTYPE
    rnn_lengths(c, &c.inp[c.n_in - 2])
    pick_rnn(rt).backward[real](rt, c)
    return MXL_OK


cdef api int lstm_gates(mxl_call* c) noexcept nogil:
    cdef const lstm_gates_args* a = <const lstm_gates_args*>c.args
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0 or c.inp[1].dtype != c.inp[0].dtype:
        return MXL_EDTYPE
    mxl_run(rt, c, pick_rnn(rt).lstm_gates[real], a.rows, UNIT * c.inp[1].size)
    return MXL_OK


cdef api int lstm_gates_backward(mxl_call* c) noexcept nogil:
    cdef const lstm_gates_args* a = <const lstm_gates_args*>c.args
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0 or c.inp[2].dtype != c.inp[0].dtype:
        return MXL_EDTYPE
    mxl_run(rt, c, pick_rnn(rt).lstm_gates_backward[real], a.rows, UNIT // 2 * c.inp[0].size)
    return MXL_OK


kernels = dict(sys.modules[__name__].__pyx_capi__)
packers = {"forward": _pack, "backward": _pack, "lstm_gates": _pack_gates, "lstm_gates_backward": _pack_gates}
