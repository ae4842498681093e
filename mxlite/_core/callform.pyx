# cython: language_level=3
"""The form of a call: how ``nd.op(...)`` was written, so that the next call written so is read in nanoseconds.

Programs make the same call again and again with other arrays. A :class:`CallForm` says of each argument of a call that
was read once, in the general way, what it is: input number k, a parameter that has to be this very value, a parameter
whose value is call data (a record's `dynamic` ones), or ``out``.
"""
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from mxlite._core.ndarray cimport NDArrayBase
from ..ops.types import real

cdef extern from *:
    """
    static int mxl_as_double(PyObject *v, double *to)
    {
        *to = PyLong_AsDouble(v);
        if (*to == -1.0 && PyErr_Occurred()) { PyErr_Clear(); return 0; }
        return 1;
    }
    """
    bint mxl_as_double(PyObject* v, double* to)

cdef enum:
    FIXED = -1              # roles below an input's number
    OUT = -2
    DYNAMIC = -3            # and below: DYNAMIC - j is dynamic parameter j

# Types whose values never change, so that an equal value always means the same call.
cdef frozenset CONSTANT = frozenset((int, float, bool, str, bytes, type(None), type))


cdef bint constant(v):
    if type(v) is tuple:
        for item in <tuple>v:
            if not constant(item):
                return False
        return True
    return type(v) in CONSTANT


cdef bint alike(expected, given):
    """Equal, of equal type, also inside tuples: ``1`` and ``True`` are two values."""
    if type(expected) is not type(given):
        return False
    if type(expected) is tuple:
        if len(<tuple>expected) != len(<tuple>given):
            return False
        for x, y in zip(<tuple>expected, <tuple>given):
            if x is not y and not alike(x, y):
                return False
        return True
    if type(given) is float and not given:
        return repr(expected) == repr(given)        # zeros of either sign
    return bool(expected == given)


cdef class CallForm:
    cdef bint read(self, PyObject** args, Py_ssize_t n_positional, PyObject* names, PyObject** inputs, double* scalars,
                   PyObject** out) noexcept:
        """Whether a call has this form; then its inputs, scalars and ``out`` (NULL: none), borrowed."""
        cdef Py_ssize_t i
        cdef int role
        cdef PyObject* a
        if n_positional != self.n_positional:
            return False
        if names == NULL:
            if self.names is not None:
                return False
        elif names != <PyObject*>self.names and (self.names is None or <object>names != self.names):
            return False
        out[0] = NULL
        for i in range(self.n_scalars):
            scalars[i] = self.scalars[i]
        for i in range(self.n_arguments):
            a = args[i]
            role = self.role[i]
            if role >= 0:
                if not isinstance(<object>a, NDArrayBase):
                    return False
                inputs[role] = a
            elif role == FIXED:
                if a != <PyObject*>(<tuple>self.values)[i] and not alike(self.values[i], <object>a):
                    return False
            elif role == OUT:
                if not isinstance(<object>a, NDArrayBase):
                    return False
                out[0] = a
            elif PyFloat_CheckExact(<object>a):
                scalars[DYNAMIC - role] = PyFloat_AS_DOUBLE(<object>a)
            elif not PyLong_CheckExact(<object>a) or not mxl_as_double(a, &scalars[DYNAMIC - role]):
                return False
        return True


cdef CallForm form_of(tuple args, tuple names, list inputs, dict values, list plans, record, tuple scalars):
    """The form of the call that was written with the arguments `args`, the last of them under `names`, and was read as
    `inputs`, parameter `values` and `scalars`. None where calls like it could not be told apart."""
    cdef CallForm form = CallForm.__new__(CallForm)
    cdef Py_ssize_t i
    cdef int k = 0, leading = 0
    cdef list fixed = [], params = list(record.params)
    if len(args) > FORM_ARGUMENTS or len(inputs) > FORM_INPUTS or len(scalars) > FORM_SCALARS or not inputs:
        return None
    form.names = names if names else None
    form.n_arguments, form.n_positional = len(args), len(args) - len(names)
    form.n_in, form.plans = len(inputs), plans
    for v in args[:form.n_positional]:
        if not isinstance(v, NDArrayBase):
            break
        leading += 1
    for i, v in enumerate(args):
        name = None if i < form.n_positional else names[i - form.n_positional]
        if isinstance(v, NDArrayBase):
            fixed.append(None)
            if name == "out":
                form.role[i] = OUT
            elif name is None:
                if k >= len(inputs) or inputs[k] is not v:
                    return None
                form.role[i] = k
                k += 1
            else:
                places = [j for j in range(len(inputs)) if inputs[j] is v]
                if len(places) != 1:
                    return None
                form.role[i] = places[0]
                k += 1
            continue
        if name is None:
            if not 0 <= i - leading < len(params):
                return None
            name = params[i - leading]
            if values.get(name, form) is not v:
                return None
        if name == "ctx" or name == "name" or not constant(v):
            return None
        fixed.append(v)
        form.role[i] = FIXED
        if name in record.dynamic and type(v) in (float, int):
            param = record.params[name]
            if param.type is real and param.low is None and param.high is None and param.choices is None:
                form.role[i] = DYNAMIC - <int>record.dynamic.index(name)
    if k != len(inputs):
        return None
    form.values = tuple(fixed)
    form.n_scalars = len(scalars)
    for i in range(form.n_scalars):
        form.scalars[i] = scalars[i]
    return form
