# cython: language_level=3
"""Imperative calls: ``nd.op(...)`` is an :class:`OpFunction`, and a call's plan is cached.

A plan holds all that does not depend on the data: the kernel, its packed arguments, the outputs' shapes. Its key is the
static parameters by type and value, the context, and the inputs' shapes and dtypes. Parameters that a record
declares `dynamic` (``x + 2.5``) are call data: they are read anew and are no part of the key.
"""
import numpy as np
from cpython.object cimport PyObject
from libc.string cimport memcmp
from mxlite._core.abi cimport *
from mxlite._core.callform cimport FORM_INPUTS, FORM_SCALARS, CallForm, form_of
from mxlite._core.callplan cimport MOST, CallPlan, make_plan
from mxlite._core.ndarray cimport NDArrayBase, array_like, new_array, overlap, same_kind
from mxlite._core.program cimport enter_crowd, leave_crowd
from mxlite._core.rng cimport next_step
from mxlite._core.storage cimport Storage, new_storage
from mxlite._core.tape cimport RECORDING, TRAINING, TapeNode, adopt, any_entry, flags, record, refuse_write
from . import dtypes as _dtypes
from .errors import MXNetError
from .select import reference_call
from ..ops.record import RECORDS, REQUIRED

cdef enum:
    PLANS_KEPT = 8           # a parameter set keeps this many shapes
    KEYS_KEPT = 64           # an operator keeps this many parameter sets
    FORMS_KEPT = 16          # and knows this many ways of writing a call
    GIL_FREE_ABOVE = 8192    # elements

cdef dict NAME = _dtypes.NAME


cdef extern from *:
    Py_ssize_t PyVectorcall_NARGS(size_t flagged)


cdef object called(object function, PyObject** args, size_t flagged, PyObject* names):
    """``function(*args)``, the last of them under `names`: by the form of an earlier call, else read anew."""
    cdef OpFunction f = <OpFunction>function
    cdef Py_ssize_t n = PyVectorcall_NARGS(flagged), i
    cdef PyObject* inputs[FORM_INPUTS]
    cdef double scalars[FORM_SCALARS]
    cdef PyObject* out
    cdef CallForm form
    cdef CallPlan plan
    cdef tuple given, known
    for form in f.forms:
        if form.read(args, n, names, inputs, scalars, &out):
            for plan in form.plans:
                if plan.takes(inputs, form.n_in):
                    return f.launch(plan, inputs, scalars, out)
            if form.plans:              # new shapes
                given = tuple([<object>inputs[i] for i in range(form.n_in)])
                plan = f.make(given, (<CallPlan>form.plans[0]).p, None)
                remember(form.plans, plan)
                return f.run(plan, given, None if out == NULL else <object>out,
                             tuple([scalars[i] for i in range(form.n_scalars)]))
    known = () if names == NULL else <tuple>names
    given = tuple([<object>args[i] for i in range(n)])
    return f.call(given, {known[i]: <object>args[n + i] for i in range(len(known))}, known)


cdef class OpFunction:
    def __init__(self, record, name, face):
        self.record, self.face = record, face
        self.__name__ = name
        self.plans, self.forms, self.plain = {}, [], []
        self.vector = called

    def __repr__(self):
        return f"<function {self.__name__}>"

    def __reduce__(self):
        return self.face.get, (self.__name__,)

    @property
    def __doc__(self):
        return self.face.describe(self.record, self.__name__)

    @property
    def __module__(self):
        return self.face.__name__.removesuffix(".functions")

    @property
    def __qualname__(self):
        return self.__name__

    @property
    def __signature__(self):
        return self.face.signature(self.record)

    def __call__(self, *args, **kwargs):
        return self.call(args, kwargs, None)

    def with_scalar(self, NDArrayBase x not None, value, NDArrayBase out=None):
        """``op(x, scalar=value)`` for a record whose one dynamic parameter is ``scalar``: what ``x + 2.5`` runs."""
        return self.scaled(x, <double>value, out)

    cdef object scaled(self, NDArrayBase x, double value, NDArrayBase out):
        """`with_scalar`."""
        cdef CallPlan plan
        cdef PyObject* inputs[1]
        inputs[0] = <PyObject*>x
        for plan in self.plain:
            if plan.takes(inputs, 1):
                break
        else:
            plan = self.make((x,), self.parse({"scalar": value}), None)
            remember(self.plain, plan)
        return self.launch(plan, inputs, &value, NULL if out is None else <PyObject*>out)

    cdef object pair(self, NDArrayBase x, NDArrayBase y, NDArrayBase out):
        """``op(x, y, out=out)`` for a record without parameters: what ``x + y`` and ``x += y`` run."""
        cdef CallPlan plan
        cdef PyObject* inputs[2]
        inputs[0], inputs[1] = <PyObject*>x, <PyObject*>y
        for plan in self.plain:
            if plan.takes(inputs, 2):
                break
        else:
            plan = self.make((x, y), self.parse({}), None)
            remember(self.plain, plan)
        return self.launch(plan, inputs, NULL, NULL if out is None else <PyObject*>out)

    cdef object parse(self, dict values):
        try:
            return self.record.parse(values)
        except ValueError as e:
            raise MXNetError(str(e)) from None

    cdef object call(self, tuple args, dict kwargs, tuple names):
        """The general call: any mix of positional and keyword arguments, ``out=``, ``name=``, ``ctx=``. `names`: the
        keywords in their order, if the call's form is to be remembered."""
        cdef tuple inputs
        cdef list found
        cdef CallPlan plan
        cdef CallForm form
        record = self.record
        cdef tuple written = args + tuple(kwargs.values())
        given, values, ctx, out = self.face.split(record, args, kwargs)
        inputs = tuple(given)
        dynamic = record.dynamic
        key = None
        try:
            key = tuple([(k, type(v), v if v or type(v) is not float else repr(v))      # zeros of either sign
                         for k, v in values.items() if k not in dynamic]) + (ctx,)
            found = self.plans.get(key)
        except TypeError:               # an unhashable value such as a list: parsed each time
            found = None
            key = None
        for plan in found or ():
            if plan.n_in == len(inputs) and plan.fits(inputs):
                break
        else:
            plan = self.make(inputs, self.parse(values), ctx)
            if key is not None:
                if found is None:
                    found = self.plans_under(key)
                remember(found, plan)
        cdef tuple scalars = self.read_scalars(values) if dynamic else plan.scalars
        if key is not None and names is not None and ctx is None and plan.n_in >= 0:
            form = form_of(written, names, given, values, found, record, scalars)
            if form is not None:
                self.forms.insert(0, form)
                if len(self.forms) > FORMS_KEPT:
                    self.forms.pop()
        return self.run(plan, inputs, out, scalars)

    cdef list plans_under(self, key):
        """An empty list kept under a new key; the oldest key makes room."""
        if len(self.plans) >= KEYS_KEPT:
            self.plans.pop(next(iter(self.plans)), None)
        return self.plans.setdefault(key, [])

    cdef tuple read_scalars(self, dict values):
        record = self.record
        out = []
        for k in record.dynamic:
            param = record.params[k]
            if k in values:
                try:
                    v = param.parse(record.name, k, values[k])
                except ValueError as e:
                    raise MXNetError(str(e)) from None
            else:
                v = param.default
                if v is REQUIRED:
                    raise MXNetError(f"{self.__name__}: parameter {k!r} is required")
            out.append(0.0 if v is None else float(v))
        return tuple(out)

    cdef CallPlan make(self, tuple inputs, p, ctx):
        return make_plan(self.__name__, self.record, inputs, p, ctx)

    def apply(self, p, tuple inputs, out=None, TapeNode drawn=None):
        """Run the call with parsed parameters `p` and give back all its outputs, hidden ones too. `drawn`: the
        recorded call whose random numbers it draws again."""
        cdef mxl_rng rng
        cdef list found
        dynamic = self.record.dynamic
        key = (p if not dynamic else tuple([getattr(p, k) for k in p.__slots__ if k not in dynamic]), "parsed")
        found = self.plans.get(key)
        if found is None:
            found = self.plans_under(key)
        if drawn is not None:
            rng.seed, rng.step = drawn.seed, drawn.step
        scalars = tuple([0.0 if getattr(p, k) is None else float(getattr(p, k)) for k in dynamic])
        return self.apply_kept(found, p, scalars, inputs, out, NULL if drawn is None else &rng)

    cdef list apply_kept(self, list plans, p, tuple scalars, tuple inputs, out, mxl_rng* drawn):
        """`apply`, for a caller that keeps the plans for `p` itself."""
        cdef CallPlan plan
        for plan in plans:
            if plan.n_in == len(inputs) and plan.fits(inputs):
                break
        else:
            plan = self.make(inputs, p, None)
            remember(plans, plan)
        return self.run(plan, inputs, out, scalars, drawn, True)

    cdef object launch(self, CallPlan plan, PyObject** inputs, double* scalars, PyObject* out):
        """Run a planned call without a detour where nothing is special about it. `inputs`, `scalars`: as many as the
        plan has; `out`: NULL, or an array."""
        cdef mxl_tensor tensors[MOST + 1]
        cdef mxl_call c
        cdef mxl_rng rng
        cdef int i, rc, mode = flags()
        cdef NDArrayBase a = None, x
        cdef Storage scratch
        cdef bint plain = plan.simple
        if mode & RECORDING:
            if out != NULL:
                plain = False
            for i in range(plan.n_in):
                if (<NDArrayBase>inputs[i])._entry is not None:
                    plain = False
        if plain and out != NULL:
            a = <NDArrayBase>out
            plain = same_kind(&a.t, &plan.outs[0]) and a.context is plan.context
            for i in range(plan.n_in - plan.n_aux):
                x = <NDArrayBase>inputs[i]
                if overlap(a, x) and not (plan.may_alias >> i & 1 and x.t.data == a.t.data and x.t.dtype == a.t.dtype
                                          and x.t.size == a.t.size):
                    plain = False
        if not plain:
            return self.run(plan, tuple([<object>inputs[i] for i in range(plan.n_in)]),
                            None if out == NULL else <object>out,
                            tuple([scalars[i] for i in range(len(plan.scalars))]))
        if a is None:
            a = array_like(&plan.outs[0], plan.context)
        for i in range(plan.n_in):
            tensors[i] = (<NDArrayBase>inputs[i]).t
        tensors[plan.n_in] = a.t
        rng.seed = rng.step = 0
        c.inp, c.out = tensors, tensors + plan.n_in
        c.args, c.scalars, c.work = <const char*>plan.args, scalars, NULL
        if plan.work:
            scratch = new_storage(plan.work)
            c.work = scratch.data
        c.rng, c.rng_id, c.py = &rng, 0, NULL
        c.n_in, c.n_out, c.is_train, c.threads = plan.n_in, 1, mode & TRAINING, plan.threads
        if plan.size < GIL_FREE_ABOVE:
            rc = plan.fn(&c)
        else:
            given = [<object>inputs[i] for i in range(plan.n_in)]      # our caller's, who may let them go meanwhile
            with nogil:
                enter_crowd()
                rc = plan.fn(&c)
                leave_crowd()
        for i in range(plan.n_in - plan.n_aux, plan.n_in):
            (<NDArrayBase>inputs[i]).storage.version += 1
        if out != NULL:
            a.storage.version += 1
        if rc != MXL_OK:                # after having written some of it, perhaps
            self.failed(plan, rc)
        return a

    cdef object run(self, CallPlan plan, tuple inputs, out, tuple scalars, mxl_rng* drawn=NULL, bint whole=False):
        """Run a planned call. `drawn`: random numbers to draw again; `whole`: give back a list of all outputs."""
        cdef mxl_tensor tensors[2 * MOST]
        cdef double values[16]
        cdef mxl_call c
        cdef mxl_rng rng
        cdef int i, rc, mode = flags()
        cdef NDArrayBase a
        cdef list outputs
        cdef Storage scratch = None
        if mode & RECORDING and out is not None:
            for x in out if isinstance(out, (list, tuple)) else (out,):
                if isinstance(x, NDArrayBase):
                    refuse_write(self.__name__, x)
        if plan.random:
            rng = next_step() if drawn == NULL else drawn[0]
        else:
            rng.seed = rng.step = 0
        if plan.n_in < 0:
            return self.run_long(plan, inputs, out, rng, whole)
        if out is None and plan.n_visible == 1 and plan.n_out == 1:
            outputs = None
            a = new_array(plan.outs[0].ndim, plan.outs[0].shape, plan.outs[0].dtype, plan.context)
        else:
            outputs = self.outputs_for(plan, inputs, out)
            if outputs is None:         # `out` cannot be written directly: compute aside, then copy
                outputs = self.run(plan, inputs, None, scalars, &rng, True)
                for to, made in zip(out if isinstance(out, (list, tuple)) else [out], outputs):
                    (<NDArrayBase>to).copy_from(made)
                    if mode & RECORDING and (<NDArrayBase>to).t.dtype == (<NDArrayBase>made).t.dtype:
                        adopt(to, made)
                    elif mode & RECORDING and any_entry((made,)):
                        cast = RECORDS["Cast"]
                        record(cast, cast.parse({"dtype": to.dtype_name}), (made,), [to], 0, 0)
                return outputs if whole else out
            a = None
        if plan.fn == NULL:
            try:
                self.run_reference(plan, inputs, [a] if outputs is None else outputs, scalars, rng)
            except BaseException:
                half_written(plan, inputs, outputs)
                raise
        else:
            for i in range(plan.n_in):
                tensors[i] = (<NDArrayBase>inputs[i]).t
            c.inp, c.out = tensors, tensors + plan.n_in
            if outputs is None:
                tensors[plan.n_in] = a.t
            else:
                for i in range(plan.n_out):
                    tensors[plan.n_in + i] = (<NDArrayBase>outputs[i]).t
            for i in range(len(scalars)):
                values[i] = scalars[i]
            c.args, c.scalars = <const char*>plan.args, values
            c.work = NULL
            if plan.work:
                scratch = new_storage(plan.work)
                c.work = scratch.data
            c.rng, c.rng_id, c.py = &rng, 0, NULL
            c.n_in, c.n_out, c.is_train, c.threads = plan.n_in, plan.n_out, mode & TRAINING, plan.threads
            if plan.size < GIL_FREE_ABOVE:
                rc = plan.fn(&c)
            else:
                with nogil:
                    enter_crowd()
                    rc = plan.fn(&c)
                    leave_crowd()
            if rc != MXL_OK:
                half_written(plan, inputs, outputs)
                self.failed(plan, rc)
        if outputs is None:
            if mode & RECORDING and any_entry(inputs):
                record(self.record, self.called_with(plan, scalars), inputs, [a], rng.seed, rng.step)
            for i in range(plan.n_aux):
                (<NDArrayBase>inputs[len(inputs) - 1 - i]).storage.version += 1
            return [a] if whole else a
        result = self.finish(plan, inputs, outputs, out, scalars, rng)
        return outputs if whole else result

    cdef object called_with(self, CallPlan plan, tuple scalars):
        """The parameters of a call of `plan` with these values of the dynamic ones."""
        if scalars == plan.scalars:
            return plan.p
        return plan.p.replace(**dict(zip(self.record.dynamic, scalars)))

    cdef object finish(self, CallPlan plan, tuple inputs, list outputs, out, tuple scalars, mxl_rng rng):
        """Record the call if this thread records, note what it wrote, and give back what the caller sees."""
        cdef TapeNode node = None
        if flags() & RECORDING and any_entry(inputs):       # before the versions move: what was read is the old one
            node = record(self.record, self.called_with(plan, scalars), inputs, outputs, rng.seed, rng.step)
        for i in range(plan.n_aux):
            (<NDArrayBase>inputs[len(inputs) - 1 - i]).storage.version += 1
        if out is not None:
            for x in outputs:
                (<NDArrayBase>x).storage.version += 1
            if node is not None:
                node.written()
            return out
        if plan.n_visible == 1:
            return outputs[0]
        return outputs[:plan.n_visible]

    cdef list outputs_for(self, CallPlan plan, tuple inputs, out):
        """Arrays for all outputs: the given ones checked, the others new. None where an `out` has another dtype, or
        shares memory with an input in a way that the record does not allow."""
        cdef list outputs = []
        cdef NDArrayBase a
        cdef int i
        given = self.given_outputs(plan, out)
        for i in range(plan.n_out):
            if i < len(given):
                a = given[i]
                if a.t.ndim != plan.outs[i].ndim or memcmp(a.t.shape, plan.outs[i].shape, 8 * a.t.ndim) != 0:
                    want = tuple([plan.outs[i].shape[k] for k in range(plan.outs[i].ndim)])
                    raise MXNetError(f"{self.__name__}: out has shape {a.shape}, the result {want}")
                if a.context is not plan.context:
                    raise MXNetError(f"{self.__name__}: out is on {a.context}, the inputs on {plan.context}")
                if a.t.dtype != plan.outs[i].dtype or self.clashes(plan, i, a, inputs):
                    return None
                outputs.append(a)
            else:
                outputs.append(new_array(plan.outs[i].ndim, plan.outs[i].shape, plan.outs[i].dtype, plan.context))
        return outputs

    cdef tuple given_outputs(self, CallPlan plan, out):
        """`out` as a tuple of arrays."""
        given = () if out is None else tuple(out) if isinstance(out, (list, tuple)) else (out,)
        if len(given) > plan.n_out:
            raise MXNetError(f"{self.__name__}: out has {len(given)} arrays, the operator {plan.n_visible} outputs")
        for i, x in enumerate(given):
            if not isinstance(x, NDArrayBase):
                raise TypeError(f"{self.__name__}: out must be an NDArray, got {type(x).__name__}")
            for y in given[:i]:
                if (<NDArrayBase>x).overlaps(y):
                    raise MXNetError(f"{self.__name__}: two arrays in out share memory: each output needs its own")
        return given

    cdef bint clashes(self, CallPlan plan, int i, NDArrayBase a, tuple inputs):
        """Does output `a` overlap an input other than by a declared in-place claim?"""
        claims = self.record.inplace(plan.p) if callable(self.record.inplace) else self.record.inplace
        allowed = claims.get(i, ())
        allowed = (allowed,) if isinstance(allowed, int) else allowed
        cdef NDArrayBase x
        n = len(inputs)
        for k in range(n - plan.n_aux):
            x = inputs[k]
            if a.overlaps(x) and not (k in allowed and x.t.data == a.t.data and x.t.dtype == a.t.dtype
                                      and x.t.size == a.t.size):
                return True
        return False

    cdef int run_reference(self, CallPlan plan, tuple inputs, list outputs, tuple scalars, mxl_rng rng) except -1:
        p = self.called_with(plan, scalars)
        if plan.on_device is not None:
            plan.on_device.run(p, inputs, outputs, (flags() & TRAINING) != 0, rng.seed, rng.step)
            return 0
        in_dtypes = [NAME[(<NDArrayBase>x).t.dtype] for x in inputs]
        out_dtypes = [NAME[(<NDArrayBase>x).t.dtype] for x in outputs]
        try:
            reference_call(self.record, p, np, [x.numpy_view() for x in inputs], in_dtypes,
                           [x.numpy_view() for x in outputs], out_dtypes, (flags() & TRAINING) != 0, 0,
                           plan.n_aux)(rng.seed, rng.step)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError) as e:
            shapes = ", ".join([f"{x.shape} {x.dtype_name}" for x in inputs])
            raise MXNetError(f"{self.__name__}({shapes}): {e}") from e
        return 0

    cdef object run_long(self, CallPlan plan, tuple inputs, out, mxl_rng rng, bint whole):
        """A call with more arrays than a CallPlan holds: outputs by the reference."""
        shapes, kinds = plan.capsule
        from .ndarray import empty
        given = self.given_outputs(plan, out)
        for x, s in zip(given, shapes):
            if x.shape != s:
                raise MXNetError(f"{self.__name__}: out has shape {x.shape}, the result {s}")
            if x.context is not plan.context:
                raise MXNetError(f"{self.__name__}: out is on {x.context}, the inputs on {plan.context}")
        outputs = [given[i] if i < len(given) else empty(s, k, plan.context) for i, (s, k) in
                   enumerate(zip(shapes, kinds))]
        try:
            self.run_reference(plan, inputs, outputs, plan.scalars, rng)
        except BaseException:
            half_written(plan, inputs, outputs)
            raise
        result = self.finish(plan, inputs, outputs, out, plan.scalars, rng)
        return outputs if whole else result

    cdef object failed(self, CallPlan plan, int rc):
        from .executor import CODES
        shapes = []
        for i in range(plan.n_in):
            shapes.append(str(tuple([plan.ins[i].shape[k] for k in range(plan.ins[i].ndim)]))
                          + " " + NAME[plan.ins[i].dtype])
        raise MXNetError(f"{self.__name__}({', '.join(shapes)}): {CODES.get(rc, f'kernel error {rc}')}")


cdef int half_written(CallPlan plan, tuple inputs, list outputs) except -1:
    """A call failed: what it was to write may hold anything now."""
    for x in (outputs or []) + list(inputs[len(inputs) - plan.n_aux:]):
        (<NDArrayBase>x).storage.version += 1
    return 0


cdef int remember(list plans, CallPlan plan) except -1:
    cdef CallPlan old
    if plans and (<CallPlan>plans[0]).epoch != plan.epoch:
        plans[:] = [old for old in plans if old.epoch == plan.epoch]
    plans.insert(0, plan)
    if len(plans) > PLANS_KEPT:
        plans.pop()
    return 0


cdef OpFunction _any = OpFunction.__new__(OpFunction)
mxl_call_by_vector(OpFunction, <char*>&_any.vector - <char*><void*>_any, False)
