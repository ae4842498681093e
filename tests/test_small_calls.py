"""Imperative calls take short cuts: the form of an earlier call, operators from Python's slots, array objects made
again. None of that may be seen in a result."""
import copy
import functools
import gc
import inspect
import itertools
import operator
import pickle
import random
import sys
import weakref

import numpy as np
import pytest
from mxlite._core.invoke import OpFunction

import mxlite as mx
from mxlite.ops.record import find

nd = mx.nd
FUNCTIONS = sys.modules["mxlite.ndarray.functions"]


def anew(name):
    """The operator's function as it is before its first call."""
    return OpFunction(find(name), name, FUNCTIONS)


def outcome(call):
    """What a call gives, or how it fails."""
    try:
        out = call()
    except (mx.MXNetError, TypeError, ValueError) as e:
        return type(e).__name__, str(e)
    return [(a.dtype_name, a.shape, a.asnumpy().tobytes()) for a in (out if isinstance(out, list) else [out])]


A, B, C = (nd.array(np.random.RandomState(i).uniform(0.5, 2, (3, 4))) for i in range(3))
W, BIAS, INTS = nd.array(np.eye(4)), nd.array([1.0, 2.0, 3.0, 4.0]), nd.array([[0, 2], [1, 1]], dtype="int32")
CALLS = {
    "clip": [((A, 0.6, 1.0), {}), ((A, 0.7, 1), {}), ((A,), {"a_min": 0.6, "a_max": 1.5}), ((A, 0.9), {"a_max": 1.0}),
             ((A,), {"a_max": 1.0, "a_min": 0.9}), ((A, "0.6", "1.0"), {}), ((A, True, 1.5), {}), ((A, None, 1.0), {}),
             ((A, 10 ** 400, 1), {}), ((A, float("nan"), 1.0), {}), ((W, 0.5, 0.75), {})],
    "sum": [((A,), {}), ((A,), {"axis": 0}), ((A,), {"axis": 1}), ((A, 1), {}), ((A, 0, True), {}),
            ((A,), {"axis": (0, 1)}),
            ((A,), {"axis": [0]}), ((A,), {"axis": (1,)}), ((A,), {"axis": 1, "keepdims": True}),
            ((A,), {"keepdims": True, "axis": 1}), ((A,), {"axis": True}), ((A,), {"axis": "1"}), ((W,), {"axis": 0}),
            ((A,), {"axis": 9}), ((A,), {"nonsense": 9}), ((), {"data": A, "axis": 0}), ((), {"axis": 0})],
    "FullyConnected": [((A, W, BIAS), {"num_hidden": 4}), ((A, W), {"num_hidden": 4, "no_bias": True}),
                       ((), {"data": A, "weight": W, "bias": BIAS, "num_hidden": 4}),
                       ((), {"weight": W, "data": A, "bias": BIAS, "num_hidden": 4}),
                       ((W, W, BIAS), {"num_hidden": 4}), ((A, W, None), {"num_hidden": 4, "no_bias": True}),
                       ((W,), {"bias": BIAS, "weight": W, "num_hidden": 4}), ((A, W, BIAS, 4), {}),
                       ((A, W, BIAS), {"num_hidden": 3}), ((A, W, A), {"num_hidden": 4})],
    "elemwise_sub": [((A, B), {}), ((B, A), {}), ((), {"lhs": A, "rhs": B}), ((), {"rhs": A, "lhs": B}),
                     ((A,), {"rhs": B}), ((A, A), {}), ((), {"lhs": A, "rhs": A}), ((A, W), {}), ((A,), {})],
    "concat": [((A, B), {"dim": 0}), ((A, B, C), {"dim": 0}), ((A, B), {"dim": 1}), (([A, B],), {"dim": 1}),
               ((B, A), {"dim": 0}), ((A, A), {"dim": 0}), ((A, B), {})],
    "take": [((A, INTS), {}), ((A, INTS), {"axis": 1}), ((A, INTS, 1, "clip"), {}), ((A, INTS), {"mode": "wrap"})],
    "_plus_scalar": [((A, 1), {}), ((A, 2.5), {}), ((A,), {"scalar": -1.0}), ((A,), {"scalar": "3"}), ((INTS, 2), {})],
    "Cast": [((A,), {"dtype": "int32"}), ((A,), {"dtype": np.int32}), ((A,), {"dtype": "float64"}), ((A, "uint8"), {})],
    "split": [((A,), {"num_outputs": 2, "axis": 1}), ((A, 4), {}), ((A,), {"num_outputs": 3, "axis": 0}),
              ((A,), {"num_outputs": 3, "axis": 0, "squeeze_axis": True})],
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_what_it_gives_alone(name):
    """Whatever was called before, in whatever order: the same result, or the same error."""
    alone = [outcome(lambda a=args, k=kwargs: anew(name)(*a, **k)) for args, kwargs in CALLS[name]]
    assert sum(type(o) is list for o in alone) >= 2
    function, rng = anew(name), random.Random(name)
    order = [i for i in range(len(alone)) for _ in range(4)]
    for _ in range(3):
        rng.shuffle(order)
        for i in order:
            args, kwargs = CALLS[name][i]
            assert outcome(lambda a=args, k=kwargs: function(*a, **k)) == alone[i], (args, kwargs)


def test_a_form_takes_any_shape_and_writes_where_it_is_told():
    relu, clip = anew("relu"), anew("clip")
    for n in (1, 2, 3, 40, 2, 1):
        x = nd.array(np.arange(n) - 1.5)
        assert relu(x).shape == (n,) and clip(x, -1, 0.25).asnumpy().max() <= 0.25
        out = nd.empty((n,))
        assert clip(x, -1, 0.5, out=out) is out and (out.asnumpy() == np.clip(x.asnumpy(), -1, 0.5)).all()
        half = nd.empty((n,), dtype="float16")
        assert clip(x, -1, 0.5, out=half) is half and half.dtype == np.float16
        assert clip(x, -1, 0.5, out=x) is x and (x.asnumpy() == out.asnumpy()).all()
    with pytest.raises(mx.MXNetError, match="out has shape"):
        relu(nd.ones((3,)), out=nd.ones((4,)))
    with pytest.raises(TypeError, match="out"):
        relu(nd.ones((3,)), out=3)


def test_more_forms_than_are_kept():
    function = anew("sum")
    ways = [{"axis": a, "keepdims": k, "exclude": e} for a, k, e in itertools.product((0, 1, 2, (0, 1), (1, 2)), (0, 1),
                                                                                   (False, True))]
    x = nd.array(np.random.RandomState(1).rand(2, 3, 4))
    for _ in range(3):
        for way in ways:
            assert outcome(lambda w=way: function(x, **w)) == outcome(lambda w=way: anew("sum")(x, **w))


def test_zeros_of_either_sign():
    assert np.signbit((nd.ones((1,)) * -0.0).asnumpy()[0]) and not np.signbit((nd.ones((1,)) * 0.0).asnumpy()[0])
    function = anew("_mul_scalar")
    for value in (0.0, -0.0, 0.0):
        assert np.signbit(function(nd.ones((1,)), scalar=value).asnumpy()[0]) == np.signbit(value)
        edge = nd.pad(nd.ones((1, 1, 1, 1)), mode="constant", pad_width=(0,) * 7 + (1,), constant_value=value)
        assert np.signbit(edge.asnumpy().ravel()[1]) == np.signbit(value)


def test_planned_calls_are_dropped_with_an_option():
    from mxlite._core import callplan
    x = nd.ones((3,))
    for _ in range(3):
        assert nd.relu(x).shape == (3,) and (x + 1).shape == (3,)
        callplan.forget()


def test_operators_of_a_subclass_and_by_name():
    x = nd.array([1.0, 4.0])
    for name, other, want in (("add", 2, [3, 6]), ("sub", 2.0, [-1, 2]), ("mul", x, [1, 16]), ("truediv", 2, [0.5, 2]),
                              ("mod", 3, [1, 1]), ("pow", 2, [1, 16])):
        assert getattr(x, f"__{name}__")(other).asnumpy().tolist() == want
        assert getattr(operator, name)(x, other).asnumpy().tolist() == want
        assert type(x).__dict__.get(f"__{name}__") is None      # inherited: found without its name
    assert x.__radd__(1).asnumpy().tolist() == [2, 5] and x.__rsub__(1).asnumpy().tolist() == [0, -3]
    assert x.__rtruediv__(4).asnumpy().tolist() == [4, 1] and (2 ** x).asnumpy().tolist() == [2, 16]

    class Mine(nd.NDArray):
        def __add__(self, other):
            return "mine"

        def __getitem__(self, key):
            return key
    y = Mine.__new__(Mine)
    assert y + 1 == "mine" and y["key"] == "key" and isinstance(y * 2, nd.NDArray)
    with pytest.raises(TypeError):
        pow(x, 2, 3)


def test_methods_are_their_functions():
    """A fluent method makes no Python frame, is bound as any method is, and can be overridden, pickled and shown."""
    x = nd.array(np.arange(6).reshape(2, 3))
    method = nd.NDArray.sum
    assert not inspect.isfunction(method) and inspect.ismethoddescriptor(method) and inspect.ismethod(x.sum)
    for way in (x.sum, functools.partial(method, x), lambda *a, **k: x.sum(*a, **k)):
        assert way().asnumpy().tolist() == [15] and way(axis=0).asnumpy().tolist() == [3, 5, 7]
        assert way(1).asnumpy().tolist() == [3, 12] and way(*[1], **{"keepdims": True}).shape == (2, 1)
        out = nd.empty((3,))
        assert way(axis=0, out=out) is out
    assert method.__qualname__ == "NDArray.sum" and method.__module__ == "mxlite.fluent" and "sum" in method.__doc__
    assert pickle.loads(pickle.dumps(method)) is method and copy.deepcopy(method) is method
    assert x.sum == x.sum and x.sum.__self__ is x and repr(method) == "<function NDArray.sum>"
    with pytest.raises(TypeError):
        method()
    with pytest.raises(TypeError, match="NDArray"):
        method(5)

    class Mine(nd.NDArray):
        def sum(self, *args):
            return "mine", super().sum
    y = Mine.__new__(Mine)
    assert y.sum()[0] == "mine" and y.sum()[1].__self__ is y and y.max.__func__ is nd.NDArray.max


def test_array_objects_made_again_are_new():
    """Dead array objects are made again; nothing of their former life shows."""
    class Mine(nd.NDArray):
        pass
    seen = []
    for i in range(600):
        x = nd.ones((2, i % 3 + 1))
        weakref.finalize(x, seen.append, i)
        assert x._entry is None and x.grad is None
        if i % 2:
            x.attach_grad()
        y = Mine.__new__(Mine)
        y.note = i
        assert y.size == 0 and gc.is_tracked(x)
        del x, y
    assert seen == list(range(600))
    many = [nd.ones((1,)) for _ in range(1000)]
    assert len({id(a) for a in many}) == 1000
    del many
    x = nd.ones((1,))
    x.attach_grad()
    loop = [x]
    loop.append(loop)
    dead = weakref.ref(x)
    del x, loop
    gc.collect()
    assert dead() is None


def test_rows_and_slices_are_numpys():
    rng = random.Random(5)
    for shape in ((), (5,), (4, 3), (3, 2, 2), (0, 3), (1, 1)):
        x = nd.array(np.arange(np.prod(shape, dtype=int)).reshape(shape))
        host = x.asnumpy()
        for _ in range(60):
            bound = lambda: rng.choice([None, *range(-7, 8), 10 ** 30, -10 ** 30])      # noqa: E731
            key = rng.choice([rng.randrange(-7, 8), 10 ** 30, slice(bound(), bound(), rng.choice([None, 1, 2, -1]))])
            try:
                want = host[key]
            except (IndexError, ValueError):
                with pytest.raises((IndexError, ValueError)):
                    x[key]
                continue
            got = x[key]
            assert got.shape == (want.shape or (1,)) and (got.asnumpy() == want).all()
            if type(key) is int or key.step in (None, 1):
                assert got.storage is x.storage


def test_reshape_is_numpys_where_it_is_plain():
    x = nd.arange(24).reshape((2, 3, 4))
    for shape in ((24,), (4, 6), (2, -1), (-1,), (1, 24), (-1, 2, 2), (2, 3, 2, 2)):
        for way in (lambda s=shape: x.reshape(s), lambda s=shape: x.reshape(*s), lambda s=shape: x.reshape(list(s)),
                    lambda s=shape: x.reshape(shape=s)):
            assert (way().asnumpy() == x.asnumpy().reshape(shape)).all() and way().storage is x.storage
    assert x.reshape(0, -1).shape == (2, 12) and x.reshape((-3, 0)).shape == (6, 4)
    for bad in ((5,), (-1, -1), (7, -1), (48, -1), (10 ** 30,), (2 ** 33, 2 ** 33)):
        with pytest.raises(mx.MXNetError):
            x.reshape(bad)
