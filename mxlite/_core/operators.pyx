# cython: language_level=3
"""``x + y``, ``x * 2.5``, ``x += y``, ``x < y``, ``x.sum(axis=0)``: the operators and fluent methods of arrays, from
Python's slots straight to a call."""
from types import MethodType
from cpython.object cimport PyObject
from mxlite._core.invoke cimport OpFunction, mxl_call_by_vector, vector_function
from mxlite._core.ndarray cimport FORWARD, INPLACE, REFLECTED, NDArrayBase
from mxlite._core cimport ndarray as _ndarray

cdef enum:
    KINDS = 12


cdef class Operator:
    """One operator: its calls on two arrays, on array and number, on number and array; what reads anything else."""
    cdef OpFunction arrays, scalar, reflected
    cdef object others          # (way, x, other) -> the result or NotImplemented

    def __init__(self, OpFunction arrays not None, OpFunction scalar not None, OpFunction reflected not None, others):
        self.arrays, self.scalar, self.reflected, self.others = arrays, scalar, reflected, others

    cdef object apply(self, int way, NDArrayBase x, other):
        if isinstance(other, NDArrayBase):
            if way == REFLECTED:
                return self.arrays.pair(<NDArrayBase>other, x, None)
            return self.arrays.pair(x, <NDArrayBase>other, x if way == INPLACE else None)
        if type(other) is float or type(other) is int:
            return (self.reflected if way == REFLECTED else self.scalar).scaled(
                x, <double>other, x if way == INPLACE else None)
        return self.others(way, x, other)

    def __call__(self, int way, NDArrayBase x not None, other):
        """`x` with `other`: way 0 is ``x op other``, 1 ``other op x``, 2 ``x op= other``."""
        return self.apply(way, x, other)


cdef list table = [None] * KINDS


def install(int kind, Operator operator not None):
    """Let arrays' operator number `kind` (add, sub, mul, truediv, mod, pow, then < <= == != > >=) be `operator`."""
    table[kind] = operator


cdef object apply(int kind, int way, NDArrayBase x, object other):
    return (<Operator>table[kind]).apply(way, x, other)


_ndarray.apply_operator = apply


cdef object called(object method, PyObject** args, size_t flagged, PyObject* names):
    """``method(*args)``, the last of them under `names`; the array comes first, which is how its function takes it."""
    cdef OpFunction f = (<Method>method).function
    if f is None:
        f = (<Method>method).resolve()
    return f.vector(f, args, flagged, names)


cdef class Method:
    """A fluent method: ``x.sum(axis=0)`` is ``sum(x, axis=0)``. It finds its function when it is called first."""
    cdef vector_function vector
    cdef OpFunction function
    cdef object function_of, owner
    cdef readonly str __name__
    cdef readonly object __signature__
    cdef str module, doc
    cdef object __weakref__

    def __init__(self, str name, owner, function_of, str module, str doc, signature):
        """Method `name` of class `owner`, calling ``function_of(name)``; the rest is what ``help`` and others show."""
        self.__name__, self.owner, self.function_of = name, owner, function_of
        self.module, self.doc, self.__signature__ = module, doc, signature
        self.vector = called

    cdef OpFunction resolve(self):
        self.function = self.function_of(self.__name__)
        return self.function

    @property
    def __module__(self):
        return self.module

    @property
    def __doc__(self):
        return self.doc

    @property
    def __qualname__(self):
        return f"{self.owner.__name__}.{self.__name__}"

    def __repr__(self):
        return f"<function {self.__qualname__}>"

    def __reduce__(self):
        return getattr, (self.owner, self.__name__)

    def __get__(self, x, cls):
        return self if x is None else MethodType(self, x)

    def __call__(self, *args, **kwargs):
        return (self.function or self.resolve())(*args, **kwargs)


cdef Method _some = Method.__new__(Method)
mxl_call_by_vector(Method, <char*>&_some.vector - <char*><void*>_some, True)
