"""Symbols by themselves: composing, attributes, parts, text. tests/oracle/test_composition.py compares with MXNet."""
import copy

import pytest

import mxlite as mx

sym = mx.sym


@pytest.fixture
def net():
    return sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc")


@pytest.fixture
def other():
    return sym.FullyConnected(sym.Variable("data2"), num_hidden=4, name="other")


def test_composition_makes_a_copy(net, other):
    before = net.tojson(), other.tojson()
    both = net(data=other, name="both")
    assert both.list_arguments() == ["data2", "other_weight", "other_bias", "fc_weight", "fc_bias"]
    assert both.list_outputs() == ["both_output"] and both.name == "both"
    assert net(other).tojson() == net(data=other).tojson()
    assert net(data=other, fc_bias=sym.Variable("b")).list_arguments()[-1] == "b"
    assert mx.apply(net, data=other, name="both").tojson() == both.tojson()
    assert mx.arguments(both) == both.list_arguments()
    group = sym.Group([net, other])(data=sym.Variable("x"), name="first")
    assert group.list_outputs() == ["first_output", "other_output"]
    both._set_attr(__mark__="1")
    both[0].get_children()
    assert (net.tojson(), other.tojson()) == before
    again = copy.deepcopy(net)
    again._set_attr(num_hidden="7")
    assert net.tojson() == before[0] and again.infer_shape(data=(2, 5))[1] == [(2, 7)]


def test_a_head_that_is_replaced_keeps_its_name(other):
    x = sym.Variable("x")
    assert x(x=other, name="renamed").list_outputs() == ["other_output"]
    assert other.list_outputs() == ["other_output"]


def test_positions_are_those_of_arguments_then_states():
    bn = sym.BatchNorm(sym.Variable("x"), name="bn")
    made = bn(*[sym.Variable(f"v{i}") for i in range(5)])
    assert made.list_arguments() == ["v0", "v1", "v2"] and made.list_auxiliary_states() == ["v3", "v4"]
    with pytest.raises(mx.MXNetError, match="6 symbols for 5 inputs"):
        bn(*[sym.Variable(f"v{i}") for i in range(6)])


@pytest.mark.parametrize("code, kind, text", [
    ("net(dat=other)", mx.MXNetError, r"(?s)argument name dat not found, did you mean 'data'\?.*fc_weight.*made at"),
    ("net(data=sym.Group([other, net]))", mx.MXNetError, "data: an input must have one output, the group has 2"),
    ("net(3)", TypeError, "Compose expect `Symbol`"), ("net(data=None)", TypeError, "Compose expect `Symbol`"),
    ("net(other, fc_bias=other)", TypeError, "not both"),
    ("(sym.Variable('x') * sym.Variable('x'))(x=other)", mx.MXNetError, "x is ambiguous: 2 variables"),
    ("sym.BatchNorm(net, name='bn')(bn_moving_mean=other)", mx.MXNetError, "bn_moving_mean is an auxiliary state"),
    ("sym.BatchNorm(net, moving_mean=other)", mx.MXNetError, "'moving_mean' must be a variable"),
    ("sym.FullyConnected(net, data=other, num_hidden=3)", TypeError, "'data' is given by position and by name"),
    ("sym.FullyConnected(net, bias=other, no_bias=True, num_hidden=3)", mx.MXNetError, "no input 'bias'"),
    ("sym.FullyConnected(foo=net, num_hidden=3)", mx.MXNetError, "no input 'foo'"),
    ("sym.Concat(net, weight=other)", TypeError, "by position or by name, not both"),
    ("sym.Concat(weight=other, arg0=net)", mx.MXNetError, "no input 'weight'; 2 inputs are arg0, arg1"),
    ("sym.Group([])", TypeError, "list of symbols"), ("net[1:1]", TypeError, "is empty"),
    ("net[1]", IndexError, "output 1"),
    ("net['fc']", ValueError, "Cannot find output"), ("net[1.0]", TypeError, "integer, slice or string"),
    ("net._set_attr(num_hiddn='7')", mx.MXNetError, "did you mean 'num_hidden'"),
    ("net._set_attr(no_bias='True')", mx.MXNetError, "other inputs or outputs"),
    ("net._set_attr(x=1)", ValueError, "string values"),
    ("sym.Group([net, other])._set_attr(lr_mult='1')", mx.MXNetError, "one node"),
    ("net.get_backend_symbol('TensorRT')", mx.MXNetError, "no backend 'TensorRT'; MKLDNN"),
    ("net.as_np_ndarray()", mx.MXNetError, "mx.np"), ("net.asnumpy()", mx.MXNetError, "only available in NDArray"),
    ("net.list_attr(recursive=True)", DeprecationWarning, "attr_dict"),
    ("sym.split_v2(net, 2.5)", ValueError, "int or a tuple"), ("sym.histogram(net, bins=5)", ValueError, "null range"),
    ("mx.apply(3)", TypeError, "composes a Symbol"), ("mx.arguments('net')", TypeError, "of a Symbol"),
    ("hash(net)", TypeError, "unhashable"), ("bool(net)", mx.MXNetError, "bool"),
    ("net.__iadd__(1)", mx.MXNetError, r"\+="),
    ("net.optimize_for('MKLDNN', shape_dict={'data': (2, 4), 'fc_weight': (3, 5)})", mx.MXNetError, "fc_weight")])
def test_errors_say_what_is_wrong(net, other, code, kind, text):
    before = net.tojson(), other.tojson()
    with pytest.raises(kind, match=text):
        eval(code, {"net": net, "other": other, "sym": sym, "mx": mx})
    assert (net.tojson(), other.tojson()) == before


def test_attributes_of_nodes_with_one_name_are_merged():
    a = sym.Variable("x", lr_mult=2) + sym.Variable("x", __own__="1")
    assert a.attr_dict() == {"x": {"__lr_mult__": "2", "lr_mult": "2", "__own__": "1"}}


def test_scopes_win_over_keywords_and_attr_over_scopes():
    x = sym.Variable("x")
    with mx.AttrScope(lr_mult="2", num_hidden="5"):
        assert sym.FullyConnected(x, lr_mult=3, num_hidden=4, name="a").list_attr()["lr_mult"] == "2"
        made = sym.FullyConnected(x, attr={"lr_mult": "4"}, num_hidden=4, name="b")
    assert made.list_attr()["lr_mult"] == "4" and made.infer_shape(x=(1, 2))[1] == [(1, 5)]


def test_a_refused_call_uses_up_a_number():
    """As in MXNet, so that scripts that try and go on get the same names."""
    with mx.name.NameManager():
        x = sym.Variable("x")
        with pytest.raises(mx.MXNetError):
            sym.FullyConnected(x)
        assert sym.FullyConnected(x, num_hidden=1).name == "fullyconnected1"


def test_backend_symbols_are_copies(net):
    made = net.get_backend_symbol("MKLDNN")
    assert made.tojson() == net.tojson()
    made._set_attr(__k__="1")
    assert net.attr("__k__") is None
    args = {"fc_weight": mx.nd.ones((3, 4)), "fc_bias": mx.nd.ones((3,))}
    assert net.optimize_for("MKLDNN", args, shape_dict={"data": (2, 4)}).tojson() == net.tojson()
    assert net.as_nd_ndarray() is net


def test_debug_str_counts_states():
    text = sym.BatchNorm(sym.Variable("x"), name="bn").debug_str()
    assert "arg[3]=bn_moving_mean(0) version=1" in text and "arg[1]=bn_gamma(0) version=0" in text
    assert sym.Variable("x").debug_str() == "Variable:x\n"
