# cython: language_level=3
"""Element-wise kernels: unary.h and binary.h hold the functions, elementwise_run.h the kernels."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "elementwise_run.h":
    ctypedef struct BroadcastArgs:
        int64_t ndim
        int64_t dims[8]
        int64_t a[8]
        int64_t b[8]
    ctypedef struct PreluArgs:
        int64_t channels
        int64_t inner
    ctypedef struct ChainInput:
        int64_t kind
        int64_t channels
        int64_t inner
    ctypedef struct ChainStep:
        int32_t op
        int32_t y
        int32_t a
        int32_t b
        double s[3]
    ctypedef struct ChainArgs:
        int64_t n_in
        int64_t n_out
        int64_t steps
        int64_t registers
        int64_t cost
    int CHAIN_STEPS
    int CHAIN_OPERANDS
    int CHAIN_WHOLE
    int CHAIN_ONE
    int CHAIN_PERIODIC
    int MXL_ELEMENTWISE_LOOPS
    int64_t mxl_stream_bytes
    ctypedef struct Row:
        const char* name
        mxl_kernel fn
        int op
        int arrays
        int cost
    const Row* mxl_elementwise_rows
    mxl_runtime* mxl_rt

mxl_rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


def _pack_broadcast(dict d):
    if set(d) != {"ndim", "dims", "a", "b"}:
        raise ValueError(f"broadcast kernels take ndim, dims, a, b, not {sorted(d)}")
    cdef BroadcastArgs args
    cdef int i
    args.ndim = d["ndim"]
    for i in range(8):
        args.dims[i], args.a[i], args.b[i] = d["dims"][i], d["a"][i], d["b"][i]
    return (<char*>&args)[:sizeof(args)]


def _pack_prelu(dict d):
    if set(d) != {"channels", "inner"}:
        raise ValueError(f"prelu takes channels and inner, not {sorted(d)}")
    cdef PreluArgs args
    args.channels, args.inner = d["channels"], d["inner"]
    return (<char*>&args)[:sizeof(args)]


def _pack_chain(dict d):
    """`inputs`: (kind, channels, inner) each; `outputs`: how many; `steps`: (op, y, a, b, (s0, s1, s2)) each, operands
    numbered through inputs, outputs, `registers`; `cost` of an element."""
    if set(d) != {"inputs", "outputs", "steps", "registers", "cost"}:
        raise ValueError(f"chain takes inputs, outputs, steps, registers, cost, not {sorted(d)}")
    cdef ChainArgs head
    cdef ChainInput one
    cdef ChainStep step
    head.n_in, head.n_out, head.steps = len(d["inputs"]), d["outputs"], len(d["steps"])
    head.registers, head.cost = d["registers"], d["cost"]
    operands = head.n_in + head.n_out + head.registers
    if operands > CHAIN_OPERANDS or head.steps > CHAIN_STEPS or head.n_out < 1 or head.registers < 0:
        raise ValueError(f"a chain has at most {CHAIN_STEPS} steps on {CHAIN_OPERANDS} operands")
    out = [(<char*>&head)[:sizeof(head)]]
    for one.kind, one.channels, one.inner in d["inputs"]:
        if one.kind not in (CHAIN_WHOLE, CHAIN_ONE, CHAIN_PERIODIC) or one.channels < 1 or one.inner < 1:
            raise ValueError("a chain's input is (kind, channels, inner)")
        out.append((<char*>&one)[:sizeof(one)])
    for op, y, a, b, scalars in d["steps"]:
        operands_fit = head.n_in <= y < operands and 0 <= a < operands and 0 <= b < operands
        if not (0 <= op < MXL_ELEMENTWISE_LOOPS and operands_fit):
            raise ValueError("a chain's step is (op, y, a, b, scalars)")
        step.op, step.y, step.a, step.b = op, y, a, b
        step.s[0], step.s[1], step.s[2] = scalars
        out.append((<char*>&step)[:sizeof(step)])
    return b"".join(out)


def set_stream_bytes(int64_t n):
    """Outputs of more than `n` bytes are written past the cache; returns the figure until now."""
    global mxl_stream_bytes
    before = mxl_stream_bytes
    mxl_stream_bytes = n
    return before


kernels, loops = {}, {}             # loops: kernel -> (loop, arrays read, cost), for chains
packers = {"chain": _pack_chain, "_prelu": _pack_prelu, "_backward__prelu": _pack_prelu, "broadcast": _pack_broadcast}
cdef int i = 0
while mxl_elementwise_rows[i].name != NULL:
    kernels[mxl_elementwise_rows[i].name.decode()] = PyCapsule_New(<void*>mxl_elementwise_rows[i].fn,
                                                                   "int (mxl_call *)", NULL)
    if mxl_elementwise_rows[i].op >= 0:
        loops[mxl_elementwise_rows[i].name.decode()] = (mxl_elementwise_rows[i].op, mxl_elementwise_rows[i].arrays,
                                                        mxl_elementwise_rows[i].cost)
    i += 1
packers.update((name, _pack_broadcast) for name in kernels if name.startswith("broadcast_"))
