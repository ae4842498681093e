/* What the array class needs of Python's own structures: where dead arrays wait, slots that subclasses inherit. */
#ifndef MXL_ARRAYS_H
#define MXL_ARRAYS_H
#include <Python.h>
#include <string.h>

/* Dead arrays of the face's class wait here to be made again: their memory, without the allocator and its part in
 * the garbage collector's count. Python's subclasses of that class have an allocator of their own. */
#define MXL_KEPT 256
static PyTypeObject *mxl_array_type = 0;
static PyObject *mxl_kept[MXL_KEPT];
static int mxl_n_kept = 0;

static PyObject *mxl_array_alloc(PyTypeObject *type, Py_ssize_t n)
{
    if (type != mxl_array_type || mxl_n_kept == 0) return PyType_GenericAlloc(type, n);
    PyObject *o = mxl_kept[--mxl_n_kept];
    memset((char *)o + sizeof(PyObject), 0, (size_t)type->tp_basicsize - sizeof(PyObject));
    PyObject_Init(o, type);
    PyObject_GC_Track(o);
    return o;
}

static void mxl_array_free(void *o)
{
    if (Py_TYPE((PyObject *)o) == mxl_array_type && mxl_n_kept < MXL_KEPT) mxl_kept[mxl_n_kept++] = o;
    else PyObject_GC_Del(o);
}

static void mxl_keep_dead(PyObject *cls)
{
#ifndef Py_GIL_DISABLED
    PyTypeObject *t = (PyTypeObject *)cls;
    if (mxl_array_type || t->tp_itemsize || t->tp_alloc != PyType_GenericAlloc || t->tp_free != PyObject_GC_Del)
        return;
    mxl_array_type = t;
    Py_INCREF(cls);
    t->tp_alloc = mxl_array_alloc;
    t->tp_free = mxl_array_free;
#endif
}

/* Cython enters `__add__` and its like as methods, which subclasses in Python then look up by name at each `x + y`.
 * Wrappers of the slots, as Python itself makes them, let a subclass inherit the slots. */
static int mxl_wrap_slots(PyObject *cls)
{
    PyTypeObject *t = (PyTypeObject *)cls;
    PyNumberMethods *n = t->tp_as_number;
    struct { const char *name; void *slot; } all[] = {
        {"__add__", (void *)n->nb_add}, {"__sub__", (void *)n->nb_subtract}, {"__mul__", (void *)n->nb_multiply},
        {"__truediv__", (void *)n->nb_true_divide}, {"__mod__", (void *)n->nb_remainder}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        PyObject *like = PyObject_GetAttrString((PyObject *)&PyFloat_Type, all[i].name), *w;
        if (!like) return -1;
        w = PyDescr_NewWrapper(t, ((PyWrapperDescrObject *)like)->d_base, all[i].slot);
        Py_DECREF(like);
        if (!w || PyDict_SetItemString(t->tp_dict, all[i].name, w)) { Py_XDECREF(w); return -1; }
        Py_DECREF(w);
    }
    PyType_Modified(t);
    return 0;
}

/* Like cls(): but without looking up the class's call, which an array made a million times a second would feel. */
static PyObject *mxl_new(PyObject *cls, PyObject *args)
{
    return ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, args, NULL);
}
#endif
