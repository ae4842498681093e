"""Automatic names and attribute scopes. They need nothing but themselves, so they are tested as plain objects."""
import threading

import pytest

import mxlite as mx


def test_counters_are_one_a_hint():
    names = mx.name.NameManager()
    assert [names.get(None, "fc"), names.get(None, "conv"), names.get(None, "fc")] == ["fc0", "conv0", "fc1"]
    assert names.get("mine", "fc") == "mine"        # a name of the user's own is not counted
    assert names.get("", "fc") == "fc2"


def test_prefix_applies_to_given_names_too():
    prefix = mx.name.Prefix("net_")
    assert prefix.get(None, "fc") == "net_fc0"
    assert prefix.get("out", "fc") == "net_out"


def test_managers_nest_and_come_back():
    outer = mx.name.NameManager.current
    prefix = mx.name.Prefix("a_")
    with prefix as inside:
        assert inside is prefix is mx.name.NameManager.current
        with mx.name.NameManager() as fresh:
            assert mx.name.NameManager.current is fresh
        assert mx.name.NameManager.current is prefix
    assert mx.name.NameManager.current is outer


def test_a_manager_may_be_entered_twice():
    outer = mx.name.NameManager.current
    prefix = mx.name.Prefix("a_")
    with prefix, mx.name.NameManager(), prefix:
        assert mx.name.NameManager.current.get(None, "x") == "a_x0"
    assert mx.name.NameManager.current is outer


def test_each_thread_has_its_own_manager_and_scope():
    seen = []

    def look():
        seen.append(mx.name.NameManager.current.get(None, "thread"))
        seen.append(mx.AttrScope.current.get(None))

    with mx.name.Prefix("main_"), mx.AttrScope(a="1"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == ["thread0", {}]


def test_scopes_merge_and_the_inner_one_wins():
    with mx.AttrScope(a="1", b="2") as outer:
        assert outer.get({"c": "3"}) == {"a": "1", "b": "2", "c": "3"}
        with mx.AttrScope(b="x"):
            assert mx.AttrScope.current.get(None) == {"a": "1", "b": "x"}
            assert mx.AttrScope.current.get({"a": "own"}) == {"a": "own", "b": "x"}
        assert mx.AttrScope.current is outer
    assert mx.AttrScope.current.get(None) == {}


def test_a_scope_left_forgets_what_it_was_in():
    inner = mx.AttrScope(b="2")
    with mx.AttrScope(a="1"), inner:
        assert inner.get(None) == {"a": "1", "b": "2"}
    assert inner.get(None) == {"b": "2"}


def test_the_callers_dict_is_not_touched():
    given = {"c": "3"}
    with mx.AttrScope(a="1") as scope:
        scope.get(given)["d"] = "4"
        assert scope.get(None) == {"a": "1"}
    assert given == {"c": "3"}


def test_attributes_are_text():
    with pytest.raises(ValueError, match="need to be string"):
        mx.AttrScope(lr_mult=2)


def test_symbols_take_names_and_attributes():
    with mx.name.Prefix("p_"), mx.AttrScope(ctx_group="dev1"):
        data = mx.sym.Variable("data")
        net = mx.sym.FullyConnected(data, num_hidden=3)
    assert net.name == "p_fullyconnected0"
    assert data.name == "data"
    assert net.list_arguments() == ["data", "p_fullyconnected0_weight", "p_fullyconnected0_bias"]
    assert net.attr("ctx_group") == "dev1"
