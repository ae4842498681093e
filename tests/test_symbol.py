"""Symbols by themselves: composing, attributes, parts, text. tests/oracle/test_composition.py compares with MXNet."""
import copy
import json

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


def test_the_name_is_an_attribute_that_is_not_stored(net):
    x = sym.Variable("x", attr={"name": "y", "mark": "1"})
    assert (x.name, x.attr("name"), x.list_attr()) == ("y", "y", {"mark": "1"})
    split = sym.SliceChannel(x, num_outputs=2, name="parts")
    assert [s.attr("name") for s in (net, split, split[1], sym.Group([net, net]))] == ["fc", "parts", "parts", "fc"]
    assert sym.Group([net, x]).attr("name") is None and net.list_attr() == {"num_hidden": "3"}
    net._set_attr(name="new", num_hidden="4")
    assert (net.name, net.list_outputs(), net.list_attr()) == ("new", ["new_output"], {"num_hidden": "4"})
    assert net.list_arguments() == ["data", "fc_weight", "fc_bias"]
    with pytest.raises(mx.MXNetError, match="num_hiddn"):
        net._set_attr(name="other", num_hiddn="5")
    assert net.name == "new"


def read(op, attrs, inputs=("data", "w", "b"), version=10901, key="attrs", of_data=None):
    """A symbol from the JSON of one node, of the given version of MXNet (None: a file that says none)."""
    nodes = [{"op": "null", "name": n, "inputs": []} for n in inputs]
    nodes[0][key] = of_data or {}
    nodes.append({"op": op, "name": "n", key: attrs, "inputs": [[i, 0, 0] for i in range(len(inputs))]})
    graph = {"nodes": nodes, "arg_nodes": list(range(len(inputs))), "heads": [[len(inputs), 0, 0]]}
    if version is not None:
        graph["attrs"] = {"mxnet_version": ["int", version]}
    return sym.load_json(json.dumps(graph))


def attributes(*args, **kwargs):
    return read(*args, **kwargs).attr_dict()


@pytest.mark.parametrize("version", [10901, 10900, 800, None])
@pytest.mark.parametrize("key", ["attrs", "attr", "param"])
def test_json_with_an_unknown_parameter_is_refused(version, key):
    with pytest.raises(mx.MXNetError, match="node 'n' .FullyConnected.: unknown parameter 'num_hiden', did you mean"):
        read("FullyConnected", {"num_hidden": "10", "num_hiden": "3"}, version=version, key=key)
    with pytest.raises(mx.MXNetError, match="'w_lr_mult'"):             # neither an input's name nor hidden
        read("FullyConnected", {"num_hidden": "10", "w_lr_mult": "3"}, version=version, key=key)
    with pytest.raises(mx.MXNetError, match="'____'"):
        read("FullyConnected", {"num_hidden": "10", "____": "3"}, version=version, key=key)
    for op, inputs in (("relu", ["x"]), ("elemwise_add", ["x", "y"])):  # operators without parameters take any
        assert attributes(op, {"odd": "3"}, inputs, version, key) == {"n": {"odd": "3"}}
    assert attributes("relu", {}, ["x"], version, key, {"odd": "3"}) == {"x": {"odd": "3"}}
    assert attributes("FullyConnected", {"num_hidden": "9", "__odd__": "3"}, version=version, key=key) == {
        "n": {"num_hidden": "9", "__odd__": "3"}}


def test_json_hides_keys_that_older_versions_wrote_plainly():
    """What MXNet 1.9.1 makes of each."""
    both = {"__lr_mult__": "3", "lr_mult": "3"}
    for version in (10900, 905, 900, None):
        def of(op, attrs, *args, v=version):
            return attributes(op, attrs, *args, version=v)
        assert of("FullyConnected", {"num_hidden": "9", "lr_mult": "3"}) == {"n": {"num_hidden": "9", **both}}
        assert of("FullyConnected", {"num_hidden": "9", "lr_mult": "3", "__lr_mult__": "4"})["n"]["lr_mult"] == "3"
        assert of("FullyConnected", {"num_hidden": "9", "weight_lr_mult": "3"}) == {"w": both, "n": {"num_hidden": "9"}}
        assert of("BatchNorm", {"gamma_lr_mult": "3"}, list("xgbmv"))["g"] == both
        assert of("BatchNorm", {"moving_mean_lr_mult": "3"}, list("xgbmv"))["m"].items() >= both.items()
        assert of("Concat", {"num_args": "2", "arg1_lr_mult": "3"}, ["x", "y"]) == {"y": both, "n": {"num_args": "2"}}
        assert of("relu", {"lr_mult": "3"}, ["x"]) == {"n": both}
        assert of("relu", {"x_lr_mult": "3", "data_lr_mult": "4"}, ["x"]) == {
            "n": {"x_lr_mult": "3", "data_lr_mult": "4"}}
    for key in ("lr_mult", "ctx_group", "weight_lr_mult"):
        with pytest.raises(mx.MXNetError, match=key):
            read("FullyConnected", {"num_hidden": "9", key: "3"})
    net = read("relu", {"lr_mult": "3"}, ["x"])
    assert net.attr_dict() == {"n": {"lr_mult": "3"}} and (net.attr("lr_mult"), net.attr("__lr_mult__")) == ("3", None)


def test_json_of_older_versions_lacks_what_newer_ones_say():
    assert read("argmax", {"axis": "-1"}, ["data"], 904).infer_shape(data=(2, 3))[1] == [(1,)]
    assert read("argmax", {"axis": "-1"}, ["data"], 905).infer_shape(data=(2, 3))[1] == [(2,)]
    assert read("FullyConnected", {"num_hidden": "9"}, ["data"], 899).list_arguments() == [
        "data", "n_weight", "n_bias"]
    with pytest.raises(mx.MXNetError, match="takes 3 inputs, the file gives 1"):
        read("FullyConnected", {"num_hidden": "9"}, ["data"], 900)
    states = {"m": {"__init__": '["zero", {}]'}, "v": {"__init__": '["one", {}]'}}
    assert attributes("BatchNorm", {}, list("xgbmv"), 903) == states
    assert attributes("BatchNorm", {}, list("xgbmv"), 904) == {}
    assert attributes("BatchNorm", {"eps": "0.1"}, list("xgb"), 899) == {
        "n": {"eps": "0.1"}, **{f"n_moving_{k}": {"eps": "0.1", **v} for k, v in zip(("mean", "var"), states.values())}}


@pytest.mark.parametrize("said", [["int", "10901"], 10901, ["str", "x"], [], None])
def test_json_of_no_version_is_refused(said):
    text = read("relu", {}, ["x"]).tojson().replace('["int", 10901]', json.dumps(said))
    with pytest.raises(mx.MXNetError, match="'mxnet_version': "):
        sym.load_json(text)


def test_simple_bind_says_what_stays_unknown(net):
    with pytest.raises(RuntimeError) as e:
        net.simple_bind(mx.cpu())
    assert str(e.value) == ("simple_bind error.\nthese shapes cannot be inferred from what is given: data: unknown, "
                            "fc_weight: (3, ?)")
    with pytest.raises(RuntimeError, match=r"error. Arguments:\ndata: \(0, 4\)\nthese .*: data: \(\?, 4\)$"):
        net.simple_bind(mx.cpu(), data=(0, 4))


def test_a_record_is_defined_once():
    from mxlite.ops.record import RECORDS, REGISTRY, Op

    def define(name, aliases=""):
        return type(name, (Op,), {"__doc__": "...", "aliases": aliases, "ref": lambda xp, p, x: x})

    before = dict(REGISTRY)
    try:
        define("once_defined", "once_more")
        known = dict(REGISTRY)
        for name, aliases in (("once_defined", ""), ("another", "fresh once_more")):
            with pytest.raises(TypeError, match=r"belongs to the record once_defined of .*test_symbol\.py:\d+.*again"):
                define(name, aliases)
        with pytest.raises(TypeError, match="'fresh' is there twice"):
            define("another", "fresh fresh")
        assert REGISTRY == known                    # nothing of what was refused is left behind
    finally:
        for name in set(REGISTRY) - set(before):
            RECORDS.pop(name, None)
            del REGISTRY[name]


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
