"""An inconsistency names the argument at fault, what it has to be, and what was given."""
import pytest

import mxlite as mx

data = mx.sym.Variable("data")


@pytest.mark.parametrize("net, shapes, text", [
    (mx.sym.FullyConnected(data, num_hidden=3, name="fc"), dict(data=(2, 5), fc_weight=(3, 4)),
     r"expected weight: \(3, 5\), given: \(3, 4\)"),
    (mx.sym.FullyConnected(data, num_hidden=3, name="fc"), dict(data=(2, 5), fc_bias=(4,)),
     r"expected bias: \(3,\), given: \(4,\)"),
    (mx.sym.Convolution(data, num_filter=4, kernel=(3, 3), name="conv"),
     dict(data=(1, 2, 8, 8), conv_weight=(4, 3, 3, 3)),
     r"expected weight: \(4, 2, 3, 3\), given: \(4, 3, 3, 3\)"),
    (mx.sym.elemwise_add(mx.sym.relu(data), mx.sym.Variable("other")), dict(data=(2, 3), other=(2, 4)),
     r"expected rhs: \(2, 3\), given: \(2, 4\)"),
    (mx.sym.SoftmaxOutput(data, name="sm"), dict(data=(2, 3), sm_label=(3,)), r"expected label: \(2,\), given: \(3,\)"),
])
def test_symbols(net, shapes, text):
    with pytest.raises(mx.MXNetError, match=text) as error:
        net.infer_shape(**shapes)
    assert "node" in str(error.value) and "made at" in str(error.value) and "test_blame.py:" in str(error.value)


def test_dtypes():
    with pytest.raises(mx.MXNetError, match="input 'rhs' has dtype float64, expected float32"):
        mx.sym.elemwise_add(mx.sym.relu(data), mx.sym.Variable("other")).infer_type(data="float32", other="float64")


def test_imperative_calls():
    with pytest.raises(mx.MXNetError, match=r"expected weight: \(3, 5\), given: \(3, 4\)"):
        mx.nd.FullyConnected(mx.nd.ones((2, 5)), mx.nd.ones((3, 4)), num_hidden=3, no_bias=True)
    with pytest.raises(mx.MXNetError, match=r"do not broadcast\n  lhs"):        # neither side is at fault
        mx.nd.ones((2, 3)) + mx.nd.ones((4, 5))
