"""The blocks of "Symbol - Neural network graphs" (MXNet's tutorial) up to bind, eval, save and load, as written.

Only the import differs. The tutorial prints no outputs, so each test compares with what its text says or with values
worked out by hand. A block that stands on earlier ones runs after them in one namespace.
"""
import json
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import mxlite as mx

from .running import GRAPHVIZ, run

SUM = """\
import mxlite as mx
a = mx.sym.Variable('a')
b = mx.sym.Variable('b')
c = a + b
(a, b, c)
"""
OPERATORS = """\
# element-wise multiplication
d = a * b
# matrix multiplication
e = mx.sym.dot(a, b)
# reshape
f = mx.sym.reshape(d+e, shape=(1,4))
# broadcast
g = mx.sym.broadcast_to(f, shape=(2,4))
# plot
mx.viz.plot_network(symbol=g,
                    node_attrs={"shape": "oval", "fixedsize": "false"})
"""
PERCEPTRON = """\
net = mx.sym.Variable('data')
net = mx.sym.FullyConnected(data=net, name='fc1', num_hidden=128)
net = mx.sym.Activation(data=net, name='relu1', act_type="relu")
net = mx.sym.FullyConnected(data=net, name='fc2', num_hidden=10)
net = mx.sym.SoftmaxOutput(data=net, name='out')
mx.viz.plot_network(net,
                    shape={'data':(100, 200)},
                    node_attrs={"shape": "oval", "fixedsize": "false"})
"""
ARGUMENTS = """\
net.list_arguments()
"""
EXPLICIT = """\
net = mx.symbol.Variable('data')
w = mx.symbol.Variable('myweight')
net = mx.symbol.FullyConnected(data=net, weight=w, name='fc1', num_hidden=128)
net.list_arguments()
"""
TWO_INPUTS = """\
lhs = mx.symbol.Variable('data1')
rhs = mx.symbol.Variable('data2')
net = mx.symbol.FullyConnected(data=lhs + rhs, name='fc1', num_hidden=128)
net.list_arguments()
"""
COMPOSED = """\
data = mx.symbol.Variable('data')
net1 = mx.symbol.FullyConnected(data=data, name='fc1', num_hidden=10)
net1.list_arguments()
net2 = mx.symbol.Variable('data2')
net2 = mx.symbol.FullyConnected(data=net2, name='fc2', num_hidden=10)
composed = net2(data2=net1, name='composed')
composed.list_arguments()
"""
PREFIX = """\
data = mx.sym.Variable("data")
net = data
n_layer = 2
for i in range(n_layer):
    with mx.name.Prefix("layer%d_" % (i + 1)):
        net = mx.sym.FullyConnected(data=net, name="fc", num_hidden=100)
net.list_arguments()
"""
CONV_FACTORY = """\
def ConvFactory(data, num_filter, kernel,
                stride=(1, 1), pad=(0, 0), name=None, suffix=''):
    conv = mx.sym.Convolution(data=data, num_filter=num_filter,
                              kernel=kernel, stride=stride, pad=pad,
                              name='conv_%s%s' % (name, suffix))

    bn = mx.sym.BatchNorm(data=conv, name='bn_%s%s' % (name, suffix))

    act = mx.sym.Activation(data=bn, act_type='relu',
                            name='relu_%s%s' % (name, suffix))
    return act

prev = mx.sym.Variable(name="Previous Output")
conv_comp = ConvFactory(data=prev, num_filter=64, kernel=(7, 7), stride=(2, 2))
shape = {"Previous Output" : (128, 3, 28, 28)}
mx.viz.plot_network(symbol=conv_comp, shape=shape,
                    node_attrs={"shape": "oval", "fixedsize": "false"})
"""
INCEPTION = """\
def InceptionFactoryA(data, num_1x1, num_3x3red, num_3x3, num_d3x3red,
                      num_d3x3, pool, proj, name):
    # 1x1
    c1x1 = ConvFactory(data=data, num_filter=num_1x1, kernel=(1, 1),
                       name=('%s_1x1' % name))

    # 3x3 reduce + 3x3
    c3x3r = ConvFactory(data=data, num_filter=num_3x3red, kernel=(1, 1),
                        name=('%s_3x3' % name), suffix='_reduce')
    c3x3 = ConvFactory(data=c3x3r, num_filter=num_3x3, kernel=(3, 3),
                       pad=(1, 1), name=('%s_3x3' % name))

    # double 3x3 reduce + double 3x3
    cd3x3r = ConvFactory(data=data, num_filter=num_d3x3red, kernel=(1, 1),
                         name=('%s_double_3x3' % name), suffix='_reduce')
    cd3x3 = ConvFactory(data=cd3x3r, num_filter=num_d3x3, kernel=(3, 3),
                        pad=(1, 1), name=('%s_double_3x3_0' % name))
    cd3x3 = ConvFactory(data=cd3x3, num_filter=num_d3x3, kernel=(3, 3),
                        pad=(1, 1), name=('%s_double_3x3_1' % name))

    # pool + proj
    pooling = mx.sym.Pooling(data=data, kernel=(3, 3), stride=(1, 1),
                             pad=(1, 1), pool_type=pool,
                             name=('%s_pool_%s_pool' % (pool, name)))
    cproj = ConvFactory(data=pooling, num_filter=proj, kernel=(1, 1),
                        name=('%s_proj' %  name))

    # concat
    concat = mx.sym.Concat(*[c1x1, c3x3, cd3x3, cproj],
                           name='ch_concat_%s_chconcat' % name)
    return concat

prev = mx.sym.Variable(name="Previous Output")
in3a = InceptionFactoryA(prev, 64, 64, 64, 64, 96, "avg", 32, name="in3a")
mx.viz.plot_network(symbol=in3a, shape=shape,
                    node_attrs={"shape": "oval", "fixedsize": "false"})
"""
GROUP = """\
net = mx.sym.Variable('data')
fc1 = mx.sym.FullyConnected(data=net, name='fc1', num_hidden=128)
net = mx.sym.Activation(data=fc1, name='relu1', act_type="relu")
out1 = mx.sym.SoftmaxOutput(data=net, name='softmax')
out2 = mx.sym.LinearRegressionOutput(data=net, name='regression')
group = mx.sym.Group([out1, out2])
group.list_outputs()
"""
INFER = """\
arg_name = c.list_arguments()  # get the names of the inputs
out_name = c.list_outputs()    # get the names of the outputs
# infers output shape given the shape of input arguments
arg_shape, out_shape, _ = c.infer_shape(a=(2, 3), b=(2, 3))
# infers output type given the type of input arguments
arg_type, out_type, _ = c.infer_type(a='float32', b='float32')
{'input' : dict(zip(arg_name, arg_shape)),
 'output' : dict(zip(out_name, out_shape))}
{'input' : dict(zip(arg_name, arg_type)),
 'output' : dict(zip(out_name, out_type))}
"""
BIND = r"""ex = c.bind(ctx=mx.cpu(), args={'a' : mx.nd.ones([2,3]),
                                'b' : mx.nd.ones([2,3])})
ex.forward()
print('number of outputs = %d\nthe first output = \n%s' % (
           len(ex.outputs), ex.outputs[0].asnumpy()))
"""
GPU = """\
gpu_device = mx.gpu() if mx.test_utils.list_gpus() else mx.cpu()

ex_gpu = c.bind(ctx=gpu_device, args={'a' : mx.nd.ones([3,4], gpu_device)*2,
                                      'b' : mx.nd.ones([3,4], gpu_device)*3})
ex_gpu.forward()
ex_gpu.outputs[0].asnumpy()
"""
EVAL = r"""ex = c.eval(ctx = mx.cpu(), a = mx.nd.ones([2,3]), b = mx.nd.ones([2,3]))
print('number of outputs = %d\nthe first output = \n%s' % (
            len(ex), ex[0].asnumpy()))
"""
SAVE = """\
print(c.tojson())
c.save('symbol-c.json')
c2 = mx.sym.load('symbol-c.json')
c.tojson() == c2.tojson()
"""
CAST = """\
a = mx.sym.Variable('data')
b = mx.sym.cast(data=a, dtype='float16')
arg, out, _ = b.infer_type(data='float32')
print({'input':arg, 'output':out})

c = mx.sym.cast(data=a, dtype='uint8')
arg, out, _ = c.infer_type(data='int32')
print({'input':arg, 'output':out})
"""
SHARING = """\
a = mx.sym.Variable('a')
b = mx.sym.Variable('b')
b = a + a * a

data = mx.nd.ones((2,3)) * 2
ex = b.bind(ctx=mx.cpu(), args={'a':data, 'b':data})
ex.forward()
ex.outputs[0].asnumpy()
"""
TYING_DATA = """\
import numpy as np
import mxlite as mx

# Training data
train_data_size = 4
train_data1 = mx.random.uniform(shape=(train_data_size, 2))
train_data2 = mx.random.uniform(shape=(train_data_size, 2))
train_label = mx.nd.array([i % 2 for i in range(train_data_size)])
batch_size = 3

# Evaluation Data
eval_data_size = 3
eval_data1 = mx.random.uniform(shape=(eval_data_size, 2))
eval_data2 = mx.random.uniform(shape=(eval_data_size, 2))
eval_label = np.array([i % 2 for i in range(eval_data_size)])

train_iter = mx.io.NDArrayIter({'inputs_left': train_data1,
                                'inputs_right': train_data2},
                               train_label, batch_size, shuffle=True,
                               label_name='labels', last_batch_handle='pad')

eval_iter = mx.io.NDArrayIter({'inputs_left': eval_data1,
                               'inputs_right': eval_data2},
                              eval_label, batch_size, shuffle=False, 
                              label_name='labels',
                              last_batch_handle='pad')
"""  # noqa: W291
TYING_SYMBOL = """\
num_hidden_nodes = 2

# Assume the left and right inputs have the same shape as each other
inputs_left = mx.sym.var('inputs_left')
inputs_right = mx.sym.var('inputs_right')
labels = mx.symbol.Variable('labels')

shared_weight = mx.symbol.Variable('shared_weight')
shared_bias = mx.symbol.Variable('shared_bias')

fc_left_sym = mx.sym.FullyConnected(data=inputs_left, weight=shared_weight,
                                    bias=shared_bias,
                                    num_hidden=num_hidden_nodes, name='fc_left')

fc_right_sym = mx.sym.FullyConnected(data=inputs_right, weight=shared_weight,
                                     bias=shared_bias,
                                     num_hidden=num_hidden_nodes, name='fc_right')

combined = mx.sym.concat(fc_left_sym, fc_right_sym)
output = mx.sym.SoftmaxOutput(data=combined, label=labels, name='softmax')
"""
TYING_FIT = """\
model = mx.mod.Module(
    symbol=output,
    data_names=['inputs_left', 'inputs_right'],
    label_names=['labels']
)

model.fit(train_iter, eval_iter,
          optimizer_params={'learning_rate': 0.01, 'momentum': 0.9},
          num_epoch=1,
          eval_metric='acc')

result = model.predict(eval_iter).asnumpy()
print(result)
"""


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)         # one block saves a file
    mx.random.seed(3)
    np.random.seed(3)


def picture(symbol_or_dot):
    """The edges that a Digraph's text draws, (from, to) in the direction of the data."""
    edges = [line.split("[")[0].split("->") for line in symbol_or_dot.source.splitlines() if "->" in line]
    return {(a.strip().strip('"'), b.strip().strip('"')) for b, a in edges}


def test_automatic_names():
    names = run(SUM)
    a, b, c = names["_"]
    assert (a.name, b.name) == ("a", "b")
    assert c.name not in ("a", "b", None) and c.list_arguments() == ["a", "b"]
    assert names["a"] + names["b"] is not c and (names["a"] + names["b"]).name != c.name


def test_operators():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    names = run(SUM, OPERATORS)
    g, d, e, f = (names[n] for n in "gdef")
    assert picture(names["_"]) >= {("a", d.name), ("b", d.name), ("a", e.name), ("b", e.name), (f.name, g.name)}
    x, y = np.arange(4.0).reshape(2, 2) + 1, np.array([[0.5, -1], [2, 3]])
    out, = g.eval(a=mx.nd.array(x), b=mx.nd.array(y))
    np.testing.assert_allclose(out.asnumpy(), np.tile((x * y + x @ y).reshape(1, 4), (2, 1)), rtol=1e-6)


def test_perceptron():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    names = run("import mxlite as mx", PERCEPTRON)
    assert picture(names["_"]) == {("data", "fc1"), ("fc1", "relu1"), ("relu1", "fc2"), ("fc2", "out"),
                                   ("out_label", "out")}
    assert 'label=200' in names["_"].source and 'label=128' in names["_"].source


def test_arguments():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    assert run("import mxlite as mx", PERCEPTRON, ARGUMENTS)["_"] == [
        "data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"]


def test_explicit_names():
    assert run("import mxlite as mx", EXPLICIT)["_"] == ["data", "myweight", "fc1_bias"]


def test_sum_of_two_inputs():
    assert run("import mxlite as mx", TWO_INPUTS)["_"] == ["data1", "data2", "fc1_weight", "fc1_bias"]


def test_a_symbol_as_a_function():
    names = run("import mxlite as mx", COMPOSED)
    assert names["_"] == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]
    assert names["composed"].list_outputs() == ["composed_output"]
    assert names["net2"].list_arguments() == ["data2", "fc2_weight", "fc2_bias"]


def test_prefix():
    assert run("import mxlite as mx", PREFIX)["_"] == [
        "data", "layer1_fc_weight", "layer1_fc_bias", "layer2_fc_weight", "layer2_fc_bias"]


def test_convolution_factory():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    names = run("import mxlite as mx", CONV_FACTORY)
    assert picture(names["_"]) == {("Previous Output", "conv_None"), ("conv_None", "bn_None"),
                                   ("bn_None", "relu_None")}
    assert "64x11x11" in names["_"].source
    assert names["conv_comp"].list_auxiliary_states() == ["bn_None_moving_mean", "bn_None_moving_var"]
    assert names["conv_comp"].infer_shape(**names["shape"])[1] == [(128, 64, 11, 11)]


def test_inception_module():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    names = run("import mxlite as mx", CONV_FACTORY, INCEPTION)
    in3a = names["in3a"]
    assert in3a.name == "ch_concat_in3a_chconcat"
    assert in3a.infer_shape(**names["shape"])[1] == [(128, 64 + 64 + 96 + 32, 28, 28)]
    assert len(in3a.list_arguments()) == 1 + 7 * 4 and len(in3a.list_auxiliary_states()) == 7 * 2
    edges = picture(names["_"])
    assert {a for a, b in edges if b == in3a.name} == {
        "relu_in3a_1x1", "relu_in3a_3x3", "relu_in3a_double_3x3_1", "relu_in3a_proj"}
    assert ("Previous Output", "avg_pool_in3a_pool") in edges and "256x28x28" not in names["_"].source


def test_group():
    assert run("import mxlite as mx", GROUP)["_"] == ["softmax_output", "regression_output"]


def test_inference():
    names = run(SUM, INFER)
    out = names["c"].name + "_output"
    assert dict(zip(names["arg_name"], names["arg_shape"])) == {"a": (2, 3), "b": (2, 3)}
    assert dict(zip(names["out_name"], names["out_shape"])) == {out: (2, 3)}
    assert names["_"] == {"input": {"a": np.float32, "b": np.float32}, "output": {out: np.float32}}


def test_bind(capsys):
    run(SUM, BIND)
    assert capsys.readouterr().out == "number of outputs = 1\nthe first output = \n[[2. 2. 2.]\n [2. 2. 2.]]\n"


def test_bind_on_a_device_that_is_there():
    np.testing.assert_array_equal(run(SUM, GPU)["_"], np.full((3, 4), 5, np.float32))


def test_eval(capsys):
    run(SUM, EVAL)
    assert capsys.readouterr().out == "number of outputs = 1\nthe first output = \n[[2. 2. 2.]\n [2. 2. 2.]]\n"


def test_save_and_load(capsys, tmp_path):
    names = run(SUM, SAVE)
    assert names["_"] is True
    text = (tmp_path / "symbol-c.json").read_text()
    assert capsys.readouterr().out == text + "\n"
    graph = json.loads(text)
    assert [n["op"] for n in graph["nodes"]] == ["null", "null", "elemwise_add"]
    assert graph["heads"] == [[2, 0, 0]]


def test_cast(capsys):
    names = run("import mxlite as mx", CAST)
    assert (names["arg"], names["out"]) == ([np.int32], [np.uint8])
    assert capsys.readouterr().out == str({"input": [np.float32], "output": [np.float16]}) + "\n" \
        + str({"input": [np.int32], "output": [np.uint8]}) + "\n"


def test_sharing():
    np.testing.assert_array_equal(run("import mxlite as mx", SHARING)["_"], np.full((2, 3), 2 + 2 * 2, np.float32))


def test_weight_tying(capsys):
    names = run(TYING_DATA, TYING_SYMBOL, TYING_FIT)
    assert names["output"].list_arguments() == ["inputs_left", "shared_weight", "shared_bias", "inputs_right",
                                                "labels"]
    result = names["result"]
    assert result.shape == (3, 4) and result.dtype == np.float32
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-6)
    # One weight serves both layers: the prediction is what the two halves give with the trained arrays.
    params, _ = names["model"].get_params()
    assert sorted(params) == ["shared_bias", "shared_weight"]
    weight, bias = params["shared_weight"].asnumpy(), params["shared_bias"].asnumpy()
    halves = [names[d].asnumpy() @ weight.T + bias for d in ("eval_data1", "eval_data2")]
    exp = np.exp(np.concatenate(halves, axis=1))
    np.testing.assert_allclose(result, exp / exp.sum(axis=1, keepdims=True), rtol=1e-5)
    assert "[[" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program `dot` is not installed: the pictures of "
                    "the tutorial are composed and compared as text, not drawn")
@pytest.mark.parametrize("blocks", [(SUM, OPERATORS), (PERCEPTRON,), (CONV_FACTORY,), (CONV_FACTORY, INCEPTION)],
                         ids=["operators", "perceptron", "factory", "inception"])
def test_pictures_are_drawn(blocks):
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    drawn = run("import mxlite as mx", *blocks)["_"].pipe(format="svg").decode()
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
