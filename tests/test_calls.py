"""How calls of operators are read, and what ``help`` and ``inspect`` see of them."""
import copy
import inspect
import pickle
import pydoc
import subprocess
import sys

import numpy as np
import pytest

import mxlite as mx
from mxlite import fluent
from mxlite.opdoc import WIDTH, describe
from mxlite.ops import types as T
from mxlite.ops.record import RECORDS, REGISTRY, Op, Param

nd, sym = mx.nd, mx.sym


@pytest.fixture
def x():
    return nd.array([[1, -2], [3, 4.]])


@pytest.fixture
def y():
    return nd.zeros((2, 2))


def test_arrays_behind_the_parameters_are_written(x, y):
    for call, expected in ((lambda: nd.abs(x, y), [[1, 2], [3, 4]]), (lambda: nd.abs(x, y, "n"), [[1, 2], [3, 4]]),
                           (lambda: nd.elemwise_add(x, x, y), [[2, -4], [6, 8]]),
                           (lambda: nd.clip(x, 0, 2, y), [[1, 0], [2, 2]]), (lambda: x.clip(0, 3, y), [[1, 0], [3, 3]]),
                           (lambda: nd.FullyConnected(x, nd.ones((2, 2)), None, 2, True, True, y), [[-1, -1], [7, 7]])):
        y[:] = 0
        assert call() is y
        np.testing.assert_array_equal(y.asnumpy(), expected)
    parts = [nd.zeros((2, 1)), nd.zeros((2, 1))]
    assert nd.split(x, 2, 1, False, parts) is parts
    np.testing.assert_array_equal(parts[1].asnumpy(), [[-2], [4]])
    again = nd.abs(x)                                   # the cached plan of the plain call writes nowhere else
    assert again is not y and x.relu(x) is x
    np.testing.assert_array_equal(x.asnumpy(), [[1, 0], [3, 4]])


def test_out_by_position_is_recorded_like_out_by_name(x, y):
    x.attach_grad()
    with mx.autograd.record():
        nd.square(x, y)
    y.backward()
    np.testing.assert_array_equal(x.grad.asnumpy(), 2 * x.asnumpy())


def test_names_and_attributes_behind_the_parameters():
    a = sym.Variable("a")
    net = sym.FullyConnected(a, None, None, 3, True, True, "fc", {"__k__": "v"})
    assert net.list_arguments() == ["a", "fc_weight"] and net.attr("__k__") == "v"
    assert net.tojson() == sym.FullyConnected(a, num_hidden=3, no_bias=True, flatten=True, name="fc",
                                              attr={"__k__": "v"}).tojson()
    assert a.clip(0, 1, "c").name == "c" and sym.abs(a, "n", None, None).name == "n"


def test_scalars_and_dtypes_of_numpy_stand_among_parameters(x):
    np.testing.assert_array_equal(nd.clip(x, np.float32(0), np.int64(2)).asnumpy(), [[1, 0], [2, 2]])
    assert nd.cast(x, np.dtype("int32")).dtype == np.int32
    assert nd.random_uniform(0, 1, (2,), mx.cpu(1)).context == mx.cpu(1)


@pytest.mark.parametrize("spelling, name", [("float", "float64"), ("f", "float32"), ("double", "float64"),
                                            ("i4", "int32"), ("int", "int64"), (">f4", "float32"), ("?", "bool"),
                                            (float, "float64"), (np.int8, "int8"), (np.dtype("u1"), "uint8")])
def test_spellings_of_a_dtype(x, spelling, name):
    assert nd.cast(x, spelling).dtype == np.dtype(name)
    net = sym.Cast(sym.Variable("a"), dtype=spelling)
    assert net.attr("dtype") == name and mx.sym.load_json(net.tojson()).infer_type(a="float32")[1] == [np.dtype(name)]


def test_functions_of_two_numbers():
    assert [sym.pow(2, 3), sym.maximum(3, 4), sym.maximum(4, 3), sym.minimum(3, 4), sym.minimum(4, 3),
            sym.hypot(3, 4)] == [8, 4, 4, 3, 3, 5]
    a = sym.Variable("a")
    assert sym.maximum(a, 2).list_arguments() == sym.maximum(2, a).list_arguments() == ["a"]
    assert sym.pow(2, a).eval(a=nd.array([3]))[0].asscalar() == 8
    assert sym.maximum(np.float32(2), a).eval(a=nd.array([1]))[0].asscalar() == 2


# -- what people see --------------------------------------------------------------------------------------------------

def test_help_shows_signature_inputs_parameters_and_outputs():
    text = pydoc.render_doc(nd.Pooling, renderer=pydoc.plaintext)
    assert "in module mxlite.ndarray" in text and "Pooling(data=None, kernel=" in text
    for name, param in RECORDS["Pooling"].params.items():
        assert f"    {name} (" in text and param.help.split()[0] in text
    assert "one of 'max', 'avg', 'sum', 'lp'" in text and "out (NDArray" in text
    text = pydoc.render_doc(sym.BatchNorm, renderer=pydoc.plaintext)
    assert "moving_var (Symbol, auxiliary state)" in text and "name=None, attr=None, out=None)" in text
    text = nd.FullyConnected.__doc__
    assert "num_hidden (int of at least 1, required)" in text or "num_hidden (int from 1" in text
    assert "bias (NDArray): where the parameters ask for it" in text and "weight (NDArray)\n" in text


def test_every_docstring_is_whole_and_within_its_width():
    for name, record in REGISTRY.items():
        for symbolic in (False, True):
            text = describe(record, name, symbolic)
            assert max(map(len, text.split("\n"))) <= WIDTH, name
            assert text.startswith(f"{name}(") and "Outputs:" in text, name
            for k in record.params:
                assert f"\n    {k} (" in text or (record.variadic and k == "num_args"), (name, k)
            words, shown = record.__doc__.split(), text.split()
            assert set(words) <= set(shown), (name, set(words) - set(shown))


def test_a_docstring_says_types_ranges_and_choices():
    class Thing(Op, registered=False):
        """Does a thing.

            indented = as_it_is

        And no other.
        """
        ref = staticmethod(lambda xp, p, data: data)
        params = dict(k=Param(T.integer, 1, "how many", low=1), t=Param(T.optional(T.real), None, "t", high=2),
                      m=Param(T.text, help="which", choices=("a", "b")))
    text = describe(Thing, "Thing")
    assert "k (int of at least 1, default 1): how many" in text
    assert "t (float of at most 2 or None, default None): t" in text
    assert "m (one of 'a', 'b', required): which" in text and "\n    indented = as_it_is\n" in text


def test_functions_say_where_they_belong():
    for function, module in ((nd.relu, "mxlite.ndarray"), (sym.relu, "mxlite.symbol"),
                             (nd.linalg.potrf, "mxlite.ndarray.linalg"), (sym.linalg.potrf, "mxlite.symbol.linalg"),
                             (sym.random.uniform_like, "mxlite.symbol.random")):
        assert function.__module__ == module and function.__qualname__ == function.__name__
        assert pickle.loads(pickle.dumps(function)) is function and copy.deepcopy(function) is function
        assert repr(function) == f"<function {function.__name__}>"
        assert function.__doc__.startswith(function.__name__) and inspect.signature(function).parameters
    assert type(nd.relu).__module__ == "mxlite._core.invoke" and "operator" in type(nd.relu).__doc__
    assert "composes one operator" in type(sym.relu).__doc__ and inspect.signature(type(sym.relu))


def test_signatures_end_with_what_follows_the_parameters():
    assert list(inspect.signature(nd.clip).parameters) == ["data", "a_min", "a_max", "out", "name"]
    assert list(inspect.signature(sym.clip).parameters) == ["data", "a_min", "a_max", "name", "attr", "out"]
    assert list(inspect.signature(nd.concat).parameters)[0] == "data"


@pytest.mark.parametrize("cls, module", [(nd.NDArray, nd), (sym.Symbol, sym)])
def test_methods_have_their_operators_signature(cls, module):
    methods = [n for n in fluent.FLUENT if getattr(getattr(cls, n), "__module__", "") == "mxlite.fluent"]
    assert len(methods) > 50
    for name in methods:
        first, *others = inspect.signature(getattr(module.op, name)).parameters.values()
        mine = inspect.signature(getattr(cls, name))
        assert list(mine.parameters.values())[1:] == others and list(mine.parameters)[0] == "self", name
    signature = inspect.signature(cls.topk)
    assert str(signature).startswith("(self, axis=-1, k=1, ret_typ='indices'")
    assert signature == inspect.signature(cls.topk) == pickle.loads(pickle.dumps(signature)) == copy.copy(signature)
    assert "axis=-1" in pydoc.render_doc(cls.topk, renderer=pydoc.plaintext)
    one = nd.ones((2,)) if cls is nd.NDArray else sym.Variable("a")
    assert list(inspect.signature(one.topk).parameters)[0] == "axis"
    assert signature.bind(one, k=3).arguments == {"self": one, "k": 3}


def test_docstrings_are_not_made_before_somebody_asks():
    code = """
import mxlite as mx
import mxlite.opdoc
made = []
mxlite.opdoc.describe = mxlite.symbol.functions.describe = lambda *a, **k: made.append(a) or "d"
mx.nd.relu(mx.nd.ones((2,))), mx.sym.relu(mx.sym.var("a")), mx.nd.NDArray.topk
assert not made
assert mx.nd.relu.__doc__ == mx.sym.relu.__doc__ == "d" and len(made) == 2
print("asked")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "asked\n", done.stderr
