"""``tutorials/digits.py --gpu``: without a GPU it says what is missing; on one that is made up it trains."""
import subprocess
import sys

import numpy as np
import pytest

import mxlite as mx

from ..gpu_device import machine
from ..test_digits import SCRIPT, check_files, digits, run  # noqa: F401  (digits: a fixture)
from . import shim


def test_without_a_gpu(tmp_path):
    if mx.context.num_gpus():
        pytest.skip("there is one")
    done = subprocess.run([sys.executable, str(SCRIPT), "--gpu", "--epochs", "1", "--out", str(tmp_path)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("gpu(0) cannot be used, there is no GPU: ")
    assert "pip install mxlite[gpu]" in done.stderr and not list(tmp_path.iterdir())


@shim.needs_cxx
def test_training(digits, tmp_path, capsys, monkeypatch):       # noqa: F811
    """One epoch of few pictures ends where the CPU's does."""
    pytest.importorskip("sklearn", reason="the scans are in scikit-learn: pip install scikit-learn")
    pytest.importorskip("matplotlib", reason='the learning curve needs matplotlib: pip install "mxlite[viz]"')
    x, y, xv, yv = digits.load_digits()
    monkeypatch.setattr(digits, "load_digits", lambda: (x[:192], y[:192], xv[:60], yv[:60]))
    _, same = run(digits, tmp_path / "cpu", 1)
    plain = digits.main
    monkeypatch.setattr(digits, "main", lambda given: plain(["--gpu", *given]))
    gpu = machine.Fake()
    try:
        _, same_there = run(digits, tmp_path / "gpu", 1)
    finally:
        gpu.close()
    assert same and same_there
    assert "parameters, on gpu(0)" in capsys.readouterr().out and gpu.xp.count("graph") > 3
    check_files(tmp_path / "gpu", 1)
    (_, args, aux), (_, args_there, aux_there) = (mx.model.load_checkpoint(str(tmp_path / d / "digits"), 1)
                                                  for d in ("cpu", "gpu"))
    for name, w in {**args, **aux}.items():
        w, there = w.asnumpy(), {**args_there, **aux_there}[name].asnumpy()
        # Adam turns the sign of a gradient around 0 into a step of its own.
        close = np.isclose(there, w, rtol=1e-2, atol=1e-3)
        assert close.mean() > 0.97 and np.abs(there - w).max() < 0.05, name
