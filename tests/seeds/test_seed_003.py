"""The blocks of "Symbolic and Automatic Differentiation" (MXNet's Python guide), as written but for the import.

Each test quotes one block. An output that the block states is compared by value.
"""
import numpy as np

import mxlite as mx

from .running import session


def test_two_layer_perceptron():
    names, compared = session("""
    >>> import mxlite as mx
    >>> net = mx.symbol.Variable('data')
    >>> net = mx.symbol.FullyConnected(data=net, name='fc1', num_hidden=128)
    >>> net = mx.symbol.Activation(data=net, name='relu1', act_type="relu")
    >>> net = mx.symbol.FullyConnected(data=net, name='fc2', num_hidden=64)
    >>> net = mx.symbol.SoftmaxOutput(data=net, name='out')
    >>> type(net)
    <class 'mxlite.symbol.Symbol'>
    """)
    assert compared == 1
    _, compared = session("""
    >>> net.list_arguments()
    ['data', 'fc1_weight', 'fc1_bias', 'fc2_weight', 'fc2_bias', 'out_label']
    """, net=names["net"])
    assert compared == 1


def test_explicit_names():
    _, compared = session("""
    >>> net = mx.symbol.Variable('data')
    >>> w = mx.symbol.Variable('myweight')
    >>> net = mx.symbol.FullyConnected(data=net, weight=w, name='fc1', num_hidden=128)
    >>> net.list_arguments()
    ['data', 'myweight', 'fc1_bias']
    """, mx=mx)
    assert compared == 1


def test_sum_of_two_inputs():
    _, compared = session("""
    >>> lhs = mx.symbol.Variable('data1')
    >>> rhs = mx.symbol.Variable('data2')
    >>> net = mx.symbol.FullyConnected(data=lhs + rhs, name='fc1', num_hidden=128)
    >>> net.list_arguments()
    ['data1', 'data2', 'fc1_weight', 'fc1_bias']
    """, mx=mx)
    assert compared == 1


def test_a_symbol_as_a_function():
    names, compared = session("""
    >>> net = mx.symbol.Variable('data')
    >>> net = mx.symbol.FullyConnected(data=net, name='fc1', num_hidden=128)
    >>> net2 = mx.symbol.Variable('data2')
    >>> net2 = mx.symbol.FullyConnected(data=net2, name='net2', num_hidden=128)
    >>> composed_net = net(data=net2, name='compose')
    >>> composed_net.list_arguments()
    ['data2', 'net2_weight', 'net2_bias', 'fc1_weight', 'fc1_bias']
    """, mx=mx)
    assert compared == 1
    # "the resulting composed_net will replace the original argument data with net2": a copy, net keeps its own.
    assert names["net"].list_arguments() == ["data", "fc1_weight", "fc1_bias"]


def test_prefix():
    _, compared = session("""
   >>> data = mx.sym.Variable("data")
   >>> net = data
   >>> n_layer = 2
   >>> for i in range(n_layer):
   ...     with mx.name.Prefix("layer%d_" % (i + 1)):
   ...         net = mx.sym.FullyConnected(data=net, name="fc", num_hidden=100)
   ...
   >>> net.list_arguments()
   ['data', 'layer1_fc_weight', 'layer1_fc_bias', 'layer2_fc_weight', 'layer2_fc_bias']
    """, mx=mx)
    assert compared == 1


def test_shape_inference():
    _, compared = session("""
    >>> net = mx.symbol.Variable('data')
    >>> net = mx.symbol.FullyConnected(data=net, name='fc1', num_hidden=10)
    >>> arg_shape, out_shape, aux_shape = net.infer_shape(data=(100, 100))
    >>> dict(zip(net.list_arguments(), arg_shape))
    {'data': (100, 100), 'fc1_weight': (10, 100), 'fc1_bias': (10,)}
    >>> out_shape
    [(100, 10)]
    """, mx=mx)
    assert compared == 2


def test_bind_and_forward():
    _, compared = session("""
    >>> # define computation graphs
    >>> A = mx.symbol.Variable('A')
    >>> B = mx.symbol.Variable('B')
    >>> C = A * B
    >>> a = mx.nd.ones(3) * 4
    >>> b = mx.nd.ones(3) * 2
    >>> # bind the symbol with real arguments
    >>> c_exec = C.bind(ctx=mx.cpu(), args={'A' : a, 'B': b})
    >>> # do forward pass calculation.
    >>> c_exec.forward()
    >>> c_exec.outputs[0].asnumpy()
    [ 8.  8.  8.]
    """, mx=mx)
    assert compared == 1


def test_simple_bind():
    # The block's two placeholders: `some symbol` is a classifier, `input_shape` a batch of four.
    data = mx.symbol.Variable("data")
    net = mx.symbol.SoftmaxOutput(mx.symbol.FullyConnected(data, num_hidden=3, name="fc"), name="out")
    names, _ = session("""
    >>> # define computation graphs
    >>> net = some_symbol
    >>> texec = net.simple_bind(data=input_shape)
    >>> texec.forward()
    >>> texec.backward()
    """, some_symbol=net, input_shape=(4, 5))
    texec = names["texec"]
    assert texec.outputs[0].shape == (4, 3)
    # All arguments are zero, labels too: every class gets 1/3, and the gradient is softmax - onehot, summed.
    np.testing.assert_allclose(texec.outputs[0].asnumpy(), np.full((4, 3), 1 / 3), rtol=1e-6)
    np.testing.assert_allclose(texec.grad_dict["fc_bias"].asnumpy(), [4 / 3 - 4, 4 / 3, 4 / 3], rtol=1e-6)
    assert texec.grad_dict["fc_weight"].shape == (3, 5)
