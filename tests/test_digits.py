"""The main job: tutorials/digits.py trains on real scans, writes its files, and predicts the same after reloading."""
import importlib.util
import pathlib
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import mxlite as mx

SCRIPT = pathlib.Path(__file__).parents[1] / "tutorials" / "digits.py"


@pytest.fixture(scope="module")
def digits():
    spec = importlib.util.spec_from_file_location("digits", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(digits):
    """The tutorial's data; scikit-learn carries them in its wheel."""
    pytest.importorskip("sklearn", reason='the scans are in scikit-learn: pip install scikit-learn')
    return digits.load_digits()


def test_network_infers(digits):
    net = digits.network()
    arg_shapes, out_shapes, aux_shapes = net.infer_shape(data=(32, 1, 8, 8))
    shapes = dict(zip(net.list_arguments(), arg_shapes))
    assert out_shapes == [(32, 10)]
    assert shapes["conv0_weight"] == (32, 1, 3, 3) and shapes["conv3_weight"] == (64, 64, 3, 3)
    assert shapes["fc_weight"] == (10, 64 * 2 * 2) and shapes["softmax_label"] == (32,)
    assert dict(zip(net.list_auxiliary_states(), aux_shapes))["bn3_moving_var"] == (64,)


def test_network_is_a_picture(digits):
    assert "conv3" in digits.network()._repr_svg_()


def test_data(data):
    x, y, xv, yv = data
    assert x.shape == (1437, 1, 8, 8) and xv.shape == (360, 1, 8, 8)
    assert x.dtype == y.dtype == np.float32 and x.min() == 0 and x.max() == 1
    counts = np.bincount(yv.astype(int), minlength=10)
    assert counts.min() >= 34 and counts.max() <= 38, counts        # stratified: a tenth each
    assert not {p.tobytes() for p in x} & {p.tobytes() for p in xv}


def run(digits, folder, epochs):
    """(accuracy, predictions are the same after reloading) of a run; short runs may end below the tutorial's floor."""
    try:
        return digits.main(["--epochs", str(epochs), "--out", str(folder)]), True
    except SystemExit as e:
        words = str(e).replace(",", "").split()
        return float(words[-3]), words[-1] == "True"


def check_files(folder, epochs):
    params = folder / f"digits-{epochs:04d}.params"
    symbol, arg_params, aux_params = mx.model.load_checkpoint(str(folder / "digits"), epochs)
    assert sorted(arg_params) == sorted(set(symbol.list_arguments()) - {"data", "softmax_label"})
    assert sorted(aux_params) == sorted(symbol.list_auxiliary_states())
    assert params.stat().st_size > 4 * sum(p.size for p in arg_params.values())
    assert (folder / "digits-curve.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(folder / "digits-network.svg").getroot().tag.endswith("svg")


def test_short_run(digits, data, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason='the learning curve needs matplotlib: pip install "mxlite[viz]"')
    accuracy, same = run(digits, tmp_path, 2)
    assert same
    assert accuracy >= 0.9
    check_files(tmp_path, 2)
    shown = capsys.readouterr().out
    assert "1437 training and 360 validation pictures" in shown and "epoch 2/2" in shown


def test_the_same_seed_gives_the_same_network(digits, data, tmp_path):
    pytest.importorskip("matplotlib", reason='the learning curve needs matplotlib: pip install "mxlite[viz]"')
    files = []
    for name in ("first", "second"):
        run(digits, tmp_path / name, 1)
        files.append((tmp_path / name / "digits-0001.params").read_bytes())
    assert files[0] == files[1]


@pytest.mark.slow
def test_full_run(digits, data, tmp_path):
    pytest.importorskip("matplotlib", reason='the learning curve needs matplotlib: pip install "mxlite[viz]"')
    accuracy, same = run(digits, tmp_path, 15)
    assert same
    assert accuracy >= 0.98
    check_files(tmp_path, 15)
