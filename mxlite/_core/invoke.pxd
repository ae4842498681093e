from cpython.object cimport PyObject
from mxlite._core.abi cimport mxl_rng
from mxlite._core.callplan cimport CallPlan
from mxlite._core.ndarray cimport NDArrayBase

cdef extern from *:
    """
    /* Calls come as C arrays of arguments (PEP 590): no tuple, no dict a call. `method`: ``x.f(...)`` is a call with x
     * first, and no bound method is made for it. */
    static inline void mxl_call_by_vector(PyObject *type, Py_ssize_t offset, int method)
    {
        PyTypeObject *t = (PyTypeObject *)type;
        t->tp_vectorcall_offset = offset;
        t->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | (method ? Py_TPFLAGS_METHOD_DESCRIPTOR : 0);
        PyType_Modified(t);
    }
    """
    void mxl_call_by_vector(object type, Py_ssize_t offset, bint method)

ctypedef object (*vector_function)(object, PyObject**, size_t, PyObject*)

cdef class OpFunction:
    """A callable for one operator under one name."""
    cdef vector_function vector
    cdef readonly object record
    cdef public str __name__
    cdef object face             # the module that reads arguments (``split``), shows signatures, and finds functions
    cdef dict plans              # parameter key -> list of CallPlan, most recent first
    cdef list forms              # CallForms of earlier calls, most recent first
    cdef list plain              # plans of calls with arrays alone, for the operators of arrays
    cdef object pair(self, NDArrayBase x, NDArrayBase y, NDArrayBase out)
    cdef object scaled(self, NDArrayBase x, double value, NDArrayBase out)
    cdef list apply_kept(self, list plans, p, tuple scalars, tuple inputs, out, mxl_rng* drawn)
    cdef object launch(self, CallPlan plan, PyObject** inputs, double* scalars, PyObject* out)
    cdef object run(self, CallPlan plan, tuple inputs, out, tuple scalars, mxl_rng* drawn=*, bint whole=*)
    cdef object call(self, tuple args, dict kwargs, tuple names)
    cdef object parse(self, dict values)
    cdef list plans_under(self, key)
    cdef tuple read_scalars(self, dict values)
    cdef CallPlan make(self, tuple inputs, p, ctx)
    cdef object called_with(self, CallPlan plan, tuple scalars)
    cdef object finish(self, CallPlan plan, tuple inputs, list outputs, out, tuple scalars, mxl_rng rng)
    cdef list outputs_for(self, CallPlan plan, tuple inputs, out)
    cdef tuple given_outputs(self, CallPlan plan, out)
    cdef bint clashes(self, CallPlan plan, int i, NDArrayBase a, tuple inputs)
    cdef int run_reference(self, CallPlan plan, tuple inputs, list outputs, tuple scalars, mxl_rng rng) except -1
    cdef object run_long(self, CallPlan plan, tuple inputs, out, mxl_rng rng, bint whole)
    cdef object failed(self, CallPlan plan, int rc)
