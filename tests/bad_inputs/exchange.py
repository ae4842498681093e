"""Index expressions, DLPack and pickles."""
import pickle

from mxlite import MXNetError

CASES = [
    # -- index expressions (see arrays.py for the plainest)
    ("reading a column out of range", "x[0, 5]", IndexError, r"index 5 is out of bounds for axis 1"),
    ("reading a row before the first", "x[-3]", IndexError, r"index -3 is out of bounds"),
    ("reading a row beyond 64 bits", "x[2**70]", IndexError, r"out of bounds"),
    ("reading with a step of zero", "x[::0]", ValueError, r"step"),
    ("reading rows of a list, out of range", "x[[0, 9]]", IndexError, r"index 9 is out of bounds"),
    ("reading by a mask of another length", "x[np.array([True, False, True])]", IndexError, r"boolean index.*3"),
    ("reading by two ellipses", "x[..., ...]", IndexError, r"single ellipsis"),
    ("reading by a dict", "x[{}]", ValueError, r"cannot be indexed with {}"),
    ("reading by a symbol", "x[sym.Variable('a')]", ValueError, r"<Symbol a> of type Symbol"),
    ("reading by index arrays that do not broadcast", "x[nd.array([0, 1]), nd.array([0, 1, 2])]", IndexError,
     r"\(2,\) \(3,\)"),
    ("writing with a step of zero", "x[::0] = 1", ValueError, r"step"),
    ("writing rows of a list, out of range", "x[[9]] = 1", IndexError, r"index 9 is out of bounds"),
    ("writing by a text", "x['a'] = 1", ValueError, r"cannot be indexed with 'a'"),
    ("writing a list of another length", "x[0] = [1, 2]", MXNetError, r"\(2,\).*\(3,\)"),
    ("writing a NumPy array of another length", "x[:, 0] = np.ones(5)", MXNetError, r"\(5,\).*\(2,\)"),
    ("writing by index arrays that do not broadcast", "x[[0, 1], [0, 1, 2]] = 1", IndexError, r"\(2,\) \(3,\)"),
    ("deleting a row", "del x[0]", (AttributeError, TypeError), r"__delitem__|delet"),

    # -- DLPack
    ("from_dlpack: a number", "nd.from_dlpack(3)", TypeError, r"__dlpack__.*int"),
    ("from_dlpack: a capsule that was taken", "capsule = x.to_dlpack_for_read()\nnd.from_dlpack(capsule)\n"
     "nd.from_dlpack(capsule)", ValueError, r"taken"),
    ("from_dlpack: complex numbers", "nd.from_dlpack(np.ones((2, 3), dtype='complex64'))", MXNetError,
     r"type code 5.*float32"),
    ("from_dlpack: texts", "nd.from_dlpack(np.array(['a']))", BufferError, r"DLPack"),
    ("from_dlpack: a method that is not there", "class Tensor:\n    __dlpack__ = None\nnd.from_dlpack(Tensor())",
     TypeError, r"NoneType|__dlpack__"),
    ("from_dlpack: a method that gives no capsule", "class Tensor:\n    def __dlpack__(self, **kwargs):\n"
     "        return 3\n    def __dlpack_device__(self):\n        return 1, 0\nnd.from_dlpack(Tensor())", TypeError,
     r"capsule|int"),
    ("from_dlpack: the capsule of something else", "import datetime\n"
     "class Tensor:\n    def __dlpack__(self, **kwargs):\n        return datetime.datetime_CAPI\n"
     "    def __dlpack_device__(self):\n        return 1, 0\nnd.from_dlpack(Tensor())", (TypeError, ValueError),
     r"capsule"),
    ("__dlpack__: a stream for the CPU", "x.__dlpack__(stream=3)", BufferError, r"stream.*3"),

    # -- pickles
    ("pickle: bytes that are none", "pickle.loads(b'garbage')", pickle.UnpicklingError, r"truncated|invalid"),
    ("pickle: an array of an unknown device", "data = pickle.dumps(x).replace(b'cpu', b'tpu')\npickle.loads(data)",
     MXNetError, r"tpu.*cpu"),
    ("pickle: a symbol without its nodes", "data = pickle.dumps(sym.Variable('a')).replace(b'nodes', b'nodez')\n"
     "pickle.loads(data)", MXNetError, r"'nodes'"),
    ("pickle: an executor", "exe = sym.relu(sym.Variable('a')).simple_bind(mx.cpu(), a=(2, 3))\npickle.dumps(exe)",
     (TypeError, pickle.PicklingError), r"(?i)pickle"),
]
