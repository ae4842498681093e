from cpython.object cimport PyObject
from mxlite._core.ndarray cimport NDArrayBase

cdef enum:
    FORM_ARGUMENTS = 24      # a call with more arguments has no form
    FORM_INPUTS = 16
    FORM_SCALARS = 16

cdef class CallForm:
    """The form of a call: which arguments are arrays, and what all others are."""
    cdef object names                    # keywords, a tuple of str; None: there are none
    cdef Py_ssize_t n_positional, n_arguments
    cdef int n_in, n_scalars
    cdef int role[FORM_ARGUMENTS]
    cdef tuple values                    # what an argument has to be, None for those that may vary
    cdef double scalars[FORM_SCALARS]    # of the dynamic parameters; those that are given are read anew
    cdef list plans                      # the plans of calls of this form, one a combination of shapes
    cdef bint read(self, PyObject** args, Py_ssize_t n_positional, PyObject* names, PyObject** inputs, double* scalars,
                   PyObject** out) noexcept

cdef CallForm form_of(tuple args, tuple names, list inputs, dict values, list plans, record, tuple scalars)
