# cython: language_level=3
"""What an imperative call resolves to: inference, the kernel, its packed arguments and the outputs' shapes."""
from cpython.object cimport PyObject
from libc.string cimport memset
from mxlite._core.abi cimport *
from mxlite._core.ndarray cimport NDArrayBase
from mxlite._core.program cimport kernel_pointer
from . import cpu, options
from . import dtypes as _dtypes
from .blame import blame
from .context import check_usable, current_context, gpu_backend
from .errors import MXNetError
from .infer import check_shape
from .select import Launch, select, scalars_of
from ..ops.record import show

cdef object TOO_MANY = 1 << 58  # elements
cdef dict NAME = _dtypes.NAME
cdef dict FLAG = _dtypes.FLAG


cdef int64_t now = 0            # plans of another epoch are void


def forget():
    """Let every planned call be planned anew: something that plans depend on has changed."""
    global now
    now += 1


options.on_change.append(forget)


cdef inline bint fits_one(CallPlan plan, int i, PyObject* x) noexcept:
    cdef mxl_tensor* have = &(<NDArrayBase>x).t
    cdef mxl_tensor* want = &plan.ins[i]
    cdef int k
    if have.dtype != want.dtype or have.ndim != want.ndim or have.size != want.size:
        return False
    for k in range(have.ndim):
        if have.shape[k] != want.shape[k]:
            return False
    return <PyObject*>(<NDArrayBase>x).context == <PyObject*>plan.context


cdef class CallPlan:
    cdef bint fits(self, tuple inputs) noexcept:
        cdef int i
        if self.epoch != now:
            return False
        for i in range(self.n_in):
            if not fits_one(self, i, <PyObject*>inputs[i]):
                return False
        return True

    cdef bint takes(self, PyObject** inputs, int n) noexcept:
        """`fits`, for `n` arrays of which nobody counted whether they are as many as the plan takes."""
        cdef int i
        if self.n_in != n or self.epoch != now:
            return False
        for i in range(n):
            if not fits_one(self, i, inputs[i]):
                return False
        return True


cdef CallPlan make_plan(str called, record, tuple inputs, p, ctx):
    """Infer, choose the kernel, pack the arguments of a call of `record` under the name `called`."""
    cdef CallPlan plan = CallPlan.__new__(CallPlan)
    cdef NDArrayBase a
    cdef int i, j
    try:
        n_aux = len(record.aux_names(p))
        wanted = len(inputs) if record.variadic else len(record.input_names(p)) + n_aux
        n_out, n_visible = len(record.output_names(p)), record.n_visible(p)
    except Exception as e:
        raise MXNetError(f"{called}({p}): {e}") from e
    if len(inputs) != wanted:
        names = list(record.input_names(p)) + list(record.aux_names(p))
        raise TypeError(f"{called} takes {wanted} arrays ({', '.join(names)}), got {len(inputs)}")
    shapes = [(<NDArrayBase>x).shape for x in inputs]
    dtypes = [NAME[(<NDArrayBase>x).t.dtype] for x in inputs]
    context = inputs[0].context if inputs else (current_context() if ctx is None else ctx)
    for x in inputs:
        if x.context is not context:
            raise MXNetError(f"{called}: the inputs are on different devices, {context} and {x.context}; "
                             f"move one with as_in_context")
    check_usable(context)
    if len(shapes) == 0 and record.variadic:
        raise TypeError(f"{called} takes at least one NDArray")
    kinds = None
    try:
        new, outs = record.infer(p, list(shapes), [None] * n_out)
        for i, (old, shape) in enumerate(zip(shapes, new)):
            if shape is not None and tuple(shape) != old:
                raise ValueError(f"input {i} has shape {show(old)}, expected {show(shape)}")
        new, kinds = record.infer_dtype(p, list(dtypes), [None] * n_out)
        for i, (old, kind) in enumerate(zip(dtypes, new)):
            if kind is not None and kind != old:
                raise ValueError(f"input {i} has dtype {old}, expected {kind}")
        for shape in outs:
            if shape is None or None in shape:
                raise ValueError("the output's shape does not follow from the inputs")
            check_shape(shape)
            check_size(called, shape)
        kinds = ["float32" if k is None else k for k in kinds]
        plan.threads = cpu.get_threads()
        if context.device_typeid == 2:
            plan.on_device = gpu_backend().get_device(context.device_id).call_of(called, record)
            launch = Launch()
        else:
            launch = select(record, p, shapes, [tuple(s) for s in outs], dtypes, kinds, plan.threads,
                            _dtypes.ITEMSIZE[(dtypes or kinds)[0]])
    except MemoryError:
        raise
    except Exception as e:          # a rule that fails is told like one that refuses, and keeps its traceback
        listed = "".join([f"\n  {n}: {s} {d}" for n, s, d in zip(
            list(record.input_names(p, len(inputs) - n_aux)) + list(record.aux_names(p)), shapes, dtypes)])
        if type(e) is ValueError:
            labels = list(record.input_names(p, len(inputs) - n_aux)) + list(record.aux_names(p))
            given = [i > 0 for i in range(len(inputs))]
            hint = (blame(record.infer, p, shapes, [None] * n_out, labels, given) if kinds is None
                    else blame(record.infer_dtype, p, dtypes, [None] * n_out, labels, given))
            raise MXNetError(f"{called}: {e}{hint}{listed}") from None
        raise MXNetError(f"{called}: {type(e).__name__}: {e}{listed}") from e
    if len(inputs) > MOST or n_out > MOST:
        plan.n_in, plan.n_out = -1, n_out
    else:
        plan.n_in, plan.n_out = len(inputs), n_out
    plan.p, plan.capsule, plan.context = p, launch.capsule, context
    plan.args, plan.scalars, plan.work = launch.args, scalars_of(record, p), launch.work
    plan.fn = NULL if launch.capsule is None else kernel_pointer(launch.capsule)
    plan.n_visible, plan.n_aux = n_visible, n_aux
    plan.random, plan.epoch = record.random, now
    if plan.n_in >= 0:
        for i in range(plan.n_in):
            plan.ins[i] = (<NDArrayBase>inputs[i]).t
            plan.size = max(plan.size, plan.ins[i].size)
        memset(plan.outs, 0, sizeof(plan.outs))
        for i in range(n_out):
            shape = outs[i]
            plan.outs[i].ndim, plan.outs[i].dtype, plan.outs[i].size = len(shape), FLAG[kinds[i]], 1
            for j in range(plan.outs[i].ndim):
                plan.outs[i].shape[j] = shape[j]
                plan.outs[i].size *= plan.outs[i].shape[j]
            plan.size += plan.outs[i].size
    else:
        plan.capsule = (tuple([tuple(s) for s in outs]), tuple(kinds))
    plan.simple = plan.fn != NULL and plan.n_in >= 0 and plan.n_out == plan.n_visible == 1 and not plan.random
    if plan.simple:
        claims = record.inplace(p) if callable(record.inplace) else record.inplace
        claim = claims.get(0, ())
        for k in (claim,) if isinstance(claim, int) else claim:
            plan.may_alias |= <uint32_t>1 << <int>k
    return plan


cdef int check_size(str called, shape) except -1:
    """MemoryError where no machine holds an array of `shape`: C's 64-bit sums would run over."""
    n = 1
    for d in shape:
        n *= d
        if d > TOO_MANY or n > TOO_MANY:
            raise MemoryError(f"{called}: an output of shape {tuple(shape)} is too large")
    return 0
