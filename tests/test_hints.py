"""What is said of names that are not there: why, where MXNet has them; near names, where there are some."""
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import mxlite as mx
from mxlite import absent
from mxlite.ops.record import REGISTRY, near


@pytest.mark.parametrize("package, name", absent.known())
def test_what_is_known_to_be_missing_is_missing(package, name):
    module = importlib.import_module(package)
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    reason = absent.why(package, name)
    assert str(caught.value) == f"module {package!r} has no attribute {name!r}: {reason}"
    assert not hasattr(module, name) and name not in dir(module)
    # Nothing for Python to suggest from, which it would do behind the reason.
    assert caught.value.name == name and caught.value.obj is None


@pytest.mark.parametrize("expression, reason", [
    ("mx.gluon", "Gluon is not part of mxlite; networks are symbols"), ("mx.kv", "Module adds gradients"),
    ("mx.nd.contrib", "contrib namespace is not there yet"), ("mx.sym.sparse", "sparse arrays are not there yet"),
    ("mx.nd.image", "images is not there yet"), ("mx.rnn.ConvLSTMCell", "convolutional cells are not there yet"),
    ("mx.sym.op.Custom", "operators written in Python"), ("mx.nd._internal._cvimread", "images is not there yet"),
    ("mx.sym._internal._foreach", "control flow"), ("mx.model.FeedForward", "mx.mod.Module trains"),
    ("mx.mod.SequentialModule", "chains of modules"), ("mx.mod.PythonModule", "derive from mx.mod.BaseModule"),
    ("mx.io.ImageRecordIter", "RecordIO is not there yet"), ("mx.io.LibSVMIter", "sparse arrays"),
    ("mx.optimizer.LAMB", "optimizer is not there yet"), ("mx.test_utils.get_mnist", "nothing here downloads")])
def test_reasons(expression, reason):
    with pytest.raises(AttributeError, match=f"has no attribute .*: .*{reason}") as caught:
        eval(expression)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("statement, reason", [
    ("import mxlite.gluon", "mxlite.gluon': Gluon is not part"), ("from mxlite import gluon", "Gluon is not part"),
    ("import mxlite.gluon.nn as nn", "Gluon is not part"),
    ("from mxlite.rnn import ConvRNNCell", "convolutional cells"),
    ("from mxlite import recordio", "RecordIO"), ("from mxlite.ndarray import contrib", "contrib namespace"),
    ("from mxlite.symbol.contrib import foreach", "contrib namespace"),
    ("from mxlite.io import ImageRecordIter", "RecordIO")])
def test_imports(statement, reason):
    with pytest.raises(ImportError, match=reason):
        exec(statement)


@pytest.mark.parametrize("statement, error", [
    ("import mxlite.glun", ModuleNotFoundError), ("from mxlite import glun", ImportError),
    ("import gluon_of_somebody_else", ModuleNotFoundError)])
def test_imports_of_anything_else_are_pythons(statement, error):
    with pytest.raises(error) as caught:
        exec(statement)
    assert "not part" not in str(caught.value)


def test_reloading_keeps_one_finder():
    count = len(sys.meta_path)
    importlib.reload(mx)
    assert len(sys.meta_path) == count


def test_a_mistyped_name_gets_pythons_suggestion():
    done = subprocess.run([sys.executable, "-c", "import mxlite as mx; mx.io.NDArayIter"], text=True,
                          capture_output=True, timeout=60)
    assert done.stderr.splitlines()[-1] == ("AttributeError: module 'mxlite.io' has no attribute 'NDArayIter'. "
                                            "Did you mean: 'NDArrayIter'?")


@pytest.mark.parametrize("get", [mx.nd.__getattr__, mx.sym.__getattr__, mx.nd.op.__getattr__])
@pytest.mark.parametrize("name, close", [("softmx", "softmax"), ("FullyConected", "FullyConnected")])
def test_near_operators(get, name, close):
    with pytest.raises(AttributeError, match=f"there is no operator '{name}'; did you mean .*{close}"):
        get(name)


@pytest.mark.parametrize("name", ["plus_scalr", "backward_relu", "spread"])
def test_internal_operators_are_suggested_only_inside(name):
    assert any(close.startswith("_") for close in near(name, REGISTRY, 3))      # they would be
    with pytest.raises(AttributeError) as caught:
        getattr(mx.nd, name)
    assert " _" not in str(caught.value)
    with pytest.raises(AttributeError, match="did you mean _mul_scalar"):
        mx.nd._internal._mul_scalr  # noqa: B018


def test_what_the_documents_list_has_a_reason():
    text = (pathlib.Path(__file__).parents[1] / "docs/differences.md").read_text()
    text = text[text.index("## Not there"):]
    text = text[:text.index("\n## ", 1)]
    operators = text[text.index("missing operators -->"):]
    names = [("mx.nd", name) for name in re.findall(r"`(\w+)`", operators[:operators.index("\n\n")])]
    names += re.findall(r"`(mx(?:\.(?:nd|sym|io|mod|model|optimizer))?)\.(\w+)`", text)
    names = [(where, name) for where, name in names if not hasattr(eval(where), name)]
    assert len(names) > 30
    assert not [f"{where}.{name}" for where, name in names if not absent.why(eval(where).__name__, name)]


def test_the_table_is_loaded_when_it_is_asked():
    code = ("import sys, mxlite as mx; mx.nd, mx.sym, mx.mod, mx.io, mx.optimizer, mx.test_utils, mx.autograd;"
            "there = lambda: 'mxlite.absent' in sys.modules; print(there(), hasattr(mx, 'gluon'), there())")
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=60)
    assert done.stdout.split() == ["False", "False", "True"], done.stderr
