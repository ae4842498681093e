# cython: language_level=3
"""Imperative calls: ``nd.op(...)`` is an :class:`OpFunction`, and a call's plan is cached.

A plan holds all that does not depend on the data: the kernel, its packed arguments, the outputs' shapes. Its key is the
static parameters by type and value, the context, and the inputs' shapes and dtypes. Parameters that a record
declares `dynamic` (``x + 2.5``) are call data: they are read anew and are no part of the key.
"""
import numpy as np
from libc.string cimport memcmp
from mxlite._core.abi cimport *
from mxlite._core.callplan cimport MOST, CallPlan, make_plan
from mxlite._core.ndarray cimport NDArrayBase, new_array
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
    KEYWORDS_KEPT = 4        # and finds this many of them without reading the arguments again
    GIL_FREE_ABOVE = 8192    # elements

cdef dict NAME = _dtypes.NAME


cdef class OpFunction:
    """A callable for one operator under one name."""
    cdef readonly object record
    cdef public str __name__
    cdef object face             # the module that reads arguments (``split``), shows signatures, and finds functions
    cdef dict plans              # parameter key -> list of CallPlan, most recent first
    cdef list plain              # plans of calls with arrays alone
    cdef list keyed              # (keywords, plans) of calls with arrays followed by keywords, most recent first
    cdef int n_plain             # how many arrays such a call has; -1: any number

    def __init__(self, record, name, face):
        self.record, self.face = record, face
        self.__name__ = name
        self.plans, self.plain, self.keyed = {}, [], []
        self.n_plain = -1
        if not record.variadic and not callable(record.inputs) and not record.dynamic:
            self.n_plain = len(record.inputs.split()) + (len(record.aux.split()) if isinstance(record.aux, str) else 0)

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
        cdef tuple inputs
        cdef list found
        cdef CallPlan plan
        cdef int i
        if not kwargs and len(args) == self.n_plain and self.n_plain > 0:
            for i in range(self.n_plain):
                if not isinstance(args[i], NDArrayBase):
                    break
            else:
                inputs = args
                for plan in self.plain:
                    if plan.fits(inputs):
                        return self.run(plan, inputs, None, plan.scalars)
                plan = self.make(inputs, self.parse({}), None)
                remember(self.plain, plan)
                return self.run(plan, inputs, None, plan.scalars)
        elif kwargs and len(args) == self.n_plain and self.n_plain > 0:
            found = self.recall(kwargs)
            if found is not None:
                for i in range(self.n_plain):
                    if not isinstance(args[i], NDArrayBase):
                        break
                else:
                    inputs = args
                    for plan in found:
                        if plan.fits(inputs):
                            return self.run(plan, inputs, None, plan.scalars)
        return self.call(args, kwargs)

    cdef list recall(self, dict kwargs):
        """The plans of an earlier call with these very keywords, by identity first: small ints, True and literals in a
        loop are the same objects each time."""
        cdef dict seen
        for seen, plans in self.keyed:
            if len(seen) != len(kwargs):
                continue
            for k, v in kwargs.items():
                w = seen.get(k, NDArrayBase)
                if w is not v and not (type(w) is type(v) and w == v):
                    break
            else:
                return <list>plans
        return None

    cdef int keep_keywords(self, dict kwargs, list plans) except -1:
        """Let :meth:`recall` find `plans` for these keywords; they are hashable, so nobody can change them later."""
        if "out" in kwargs or "ctx" in kwargs or "name" in kwargs:
            return 0
        self.keyed.insert(0, (dict(kwargs), plans))
        if len(self.keyed) > KEYWORDS_KEPT:
            self.keyed.pop()
        return 0

    def with_scalar(self, NDArrayBase x, value, out=None):
        """``op(x, scalar=value)`` for a record whose one dynamic parameter is ``scalar``: what ``x + 2.5`` runs."""
        cdef CallPlan plan
        cdef tuple inputs = (x,)
        cdef tuple scalars = (<double>value,)
        for plan in self.plain:
            if plan.fits(inputs):
                return self.run(plan, inputs, out, scalars)
        plan = self.make(inputs, self.parse({"scalar": value}), None)
        remember(self.plain, plan)
        return self.run(plan, inputs, out, scalars)

    cdef object parse(self, dict values):
        try:
            return self.record.parse(values)
        except ValueError as e:
            raise MXNetError(str(e)) from None

    cdef object call(self, tuple args, dict kwargs):
        """The general call: any mix of positional and keyword arguments, ``out=``, ``name=``, ``ctx=``."""
        cdef tuple inputs
        cdef list found
        cdef CallPlan plan
        record = self.record
        cdef dict taken = dict(kwargs)
        given, values, ctx, out = self.face.split(record, args, kwargs)
        inputs = tuple(given)
        dynamic = record.dynamic
        key = None
        try:
            key = tuple([(k, type(v), v) for k, v in values.items() if k not in dynamic]) + (ctx,)
            found = self.plans.get(key)
        except TypeError:               # an unhashable value such as a list: parsed each time
            found = None
            key = None
        if found is not None:
            for plan in found:
                if plan.n_in == len(inputs) and plan.fits(inputs):
                    if dynamic:
                        return self.run(plan, inputs, out, self.read_scalars(values))
                    return self.run(plan, inputs, out, plan.scalars)
        p = self.parse(values)
        plan = self.make(inputs, p, ctx)
        if key is not None:
            if found is None:
                found = self.plans_under(key)
            remember(found, plan)
            if out is None and len(values) == len(taken) and len(args) == self.n_plain:
                self.keep_keywords(taken, found)
        return self.run(plan, inputs, out, plan.scalars)

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
        cdef CallPlan plan
        cdef mxl_rng rng
        cdef list found
        dynamic = self.record.dynamic
        key = (p if not dynamic else tuple([getattr(p, k) for k in p.__slots__ if k not in dynamic]), "parsed")
        found = self.plans.get(key)
        scalars = tuple([0.0 if getattr(p, k) is None else float(getattr(p, k)) for k in dynamic])
        if drawn is not None:
            rng.seed, rng.step = drawn.seed, drawn.step
        if found is None:
            found = self.plans_under(key)
        for plan in found:
            if plan.n_in == len(inputs) and plan.fits(inputs):
                break
        else:
            plan = self.make(inputs, p, None)
            remember(found, plan)
        return self.run(plan, inputs, out, scalars, NULL if drawn is None else &rng, True)

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
            self.run_reference(plan, inputs, [a] if outputs is None else outputs, scalars, rng)
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
                    rc = plan.fn(&c)
            if rc != MXL_OK:
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
        self.run_reference(plan, inputs, outputs, plan.scalars, rng)
        result = self.finish(plan, inputs, outputs, out, plan.scalars, rng)
        return outputs if whole else result

    cdef object failed(self, CallPlan plan, int rc):
        from .executor import CODES
        shapes = []
        for i in range(plan.n_in):
            shapes.append(str(tuple([plan.ins[i].shape[k] for k in range(plan.ins[i].ndim)]))
                          + " " + NAME[plan.ins[i].dtype])
        raise MXNetError(f"{self.__name__}({', '.join(shapes)}): {CODES.get(rc, f'kernel error {rc}')}")


cdef int remember(list plans, CallPlan plan) except -1:
    plans.insert(0, plan)
    if len(plans) > PLANS_KEPT:
        plans.pop()
    return 0
