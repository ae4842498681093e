"""Mixed precision: converted symbols and models, and the lists of operators."""
import json
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mxlite as mx
from mxlite.contrib import amp
from mxlite.contrib.amp import lists
from mxlite.contrib.amp.convert import Rules
from mxlite.contrib.amp.executor_group import training_symbol
from mxlite.ops.record import REGISTRY

from .amp_networks import HALVES, batch_of, lenet, module, program


@given(st.integers(0, 10 ** 6))
@example(348)                               # a concatenation of float32 and half precision
@settings(max_examples=120, deadline=None)
def test_converted_graphs_fit_together(seed):
    """Whatever the network: all dtypes can be inferred from float32 variables, outputs are float32, and without its
    casts the graph is the old one."""
    lines, heads, options = program(random.Random(seed))
    space = {"sym": mx.sym}
    for line in lines:
        exec(line, space)
    net = mx.sym.Group([space[name] for name in heads])
    options.pop("data_names", None)
    options.pop("cast_optional_params", None)
    done = amp.convert_symbol(net, **options)
    args, outs, aux = done.infer_type(**dict.fromkeys(done.list_arguments(), "float32"))
    assert outs == [np.float32] * len(heads)
    assert len(args) == len(net.list_arguments()) and set(aux) <= {np.float32}
    names = [[node["name"] for node in json.loads(s.tojson())["nodes"] if "_amp_cast_" not in node["name"]]
             for s in (done, net)]
    assert names[0] == names[1]
    training = training_symbol(net, Rules(**options), True)
    assert training.infer_type(**dict.fromkeys(training.list_arguments(), "float32"))[1] == outs


@pytest.mark.parametrize("dtype", HALVES)
def test_lists(dtype):
    """Every name is an operator's, and in one list."""
    names = [name for list_of in ("lp16_ops", "fp32_ops", "lp16_fp32_ops", "widest_type_cast")
             for name in getattr(amp, f"list_{list_of}")(dtype)]
    assert len(names) == len(set(names)) and len(names) > 350 and set(names) <= set(REGISTRY)
    assert lists.NAMED_OUTPUTS <= set(REGISTRY)
    amp.list_fp32_ops(dtype).clear()
    assert amp.list_fp32_ops(dtype)


def test_the_scale_operator_passes_on():
    x, s = mx.sym.Variable("x"), mx.sym.Variable("s")
    for inverse, factor in ((False, 8.0), (True, 0.125)):
        for dtype in ("float16", "bfloat16", "float32", "float64"):
            net = mx.sym._internal._scale_gradient(x, s, inverse=inverse)
            args = {"x": mx.nd.array([1.5, -2.0], dtype=dtype), "s": mx.nd.array([8.0])}
            exe = net.bind(mx.cpu(), args, {"x": mx.nd.zeros((2,), dtype=dtype)})
            exe.forward(is_train=True)
            exe.backward(mx.nd.array([1.0, 3.0], dtype=dtype))
            assert exe.outputs[0].astype("float32").asnumpy().tolist() == [1.5, -2.0]
            assert exe.grad_dict["x"].astype("float32").asnumpy().tolist() == [factor, 3 * factor]


def test_scaled_in_float32():
    """A scale beyond float16, which with a small gradient gives a number that is not."""
    net = mx.sym._internal._scale_gradient(mx.sym.Variable("x"), mx.sym.Variable("s"))
    args = {"x": mx.nd.ones((2,), dtype="float16"), "s": mx.nd.array([2.0 ** 17])}
    exe = net.bind(mx.cpu(), args, {"x": mx.nd.zeros((2,), dtype="float16")})
    exe.forward(is_train=True)
    exe.backward(mx.nd.array([2.0 ** -10, 1.0], dtype="float16"))
    assert exe.grad_dict["x"].asnumpy().tolist() == [128.0, np.inf]


@pytest.mark.parametrize("dtype", HALVES)
def test_convert_model(dtype):
    mod = module(lenet(), None, (4, 1, 8, 8))
    args, aux = mod.get_params()
    net, half, half_aux = amp.convert_model(mod.symbol, args, aux, dtype, cast_optional_params=True)
    assert {array.dtype for array in args.values()} == {np.float32}          # those that were given are as they were
    assert {n for n, array in half.items() if array.dtype_name == dtype} == {
        f"{layer}_{kind}" for layer in ("c1", "c2", "f1", "f2") for kind in ("weight", "bias")}
    assert half["bn_gamma"] is args["bn_gamma"] and half_aux["bn_moving_var"] is aux["bn_moving_var"]
    done = mx.mod.Module(net)
    done.bind([("data", (4, 1, 8, 8))], for_training=False)
    done.set_params(half, half_aux)
    for each in (done, mod):
        each.forward(batch_of(4, 1, 8, 8, classes=10), is_train=False)
    np.testing.assert_allclose(done.get_outputs()[0].asnumpy(), mod.get_outputs()[0].asnumpy(), atol=0.02)
    _, wide, _ = amp.convert_model(mod.symbol, args, aux, dtype)
    assert {array.dtype for array in wide.values()} == {np.float32}
