"""tests/gpu_device itself: its file of results, its report, and that it notices what is wrong."""
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import mxlite as mx
from mxlite.gpu import launch
from mxlite.gpu.families import softmax
from mxlite.ops.record import RECORDS

from ..gpu_device import machine, report, samples, test_operators
from . import shim

REPOSITORY = pathlib.Path(__file__).parents[2]


@shim.needs_cxx
def test_one_file_of_results(tmp_path):
    path = tmp_path / "results.json"
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/gpu_device", "--gpu",
                           "fake", "--gpu-results", str(path), "-k", "memory_info or operator[exp] or arrays_are_lent"],
                          cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    found = json.loads(path.read_text())
    assert found["machine"] == {"device": "made up"} and found["counts"] == {"passed": 2, "skipped": 1}
    assert "float32" in found["tests"]["test_operators.py::test_operator[exp]"]["worst"]
    shown = subprocess.run([sys.executable, "tests/gpu_device/report.py", str(path)], cwd=REPOSITORY,
                           capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0 and "2 passed, 1 skipped" in shown.stdout


@pytest.mark.skipif(mx.context.num_gpus() > 0, reason="there is a GPU")
@pytest.mark.parametrize("what, status, said", [
    ("tests", 1, "there is no GPU that CuPy can use"), ("test", 2, "none of all, tests, benchmarks, build")])
def test_the_command_says_why_it_runs_nothing(tmp_path, what, status, said):
    done = subprocess.run(["sh", "tests/gpu_device/run.sh", str(tmp_path), what], cwd=REPOSITORY, capture_output=True,
                          text=True, timeout=60, env={**os.environ, "PYTHON": sys.executable})
    assert done.returncode == status and said in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_report_tells_what_failed(tmp_path, capsys):
    path = tmp_path / "results.json"
    tests = {"test_x.py::test_y": {"outcome": "failed", "seconds": 1.0, "message": "E   AssertionError: 3 is not 4"}}
    path.write_text(json.dumps({"when": "now", "mxlite": "1", "python": "3", "machine": {"device": "d"}, "seconds": 1,
                                "counts": {"passed": 1, "failed": 1}, "tests": tests}))
    assert report.main(str(path)) == 1
    assert "## test_x.py::test_y" in (shown := capsys.readouterr().out) and "3 is not 4" in shown
    assert report.main(str(tmp_path / "none.json")) == 1
    path.write_text(json.dumps({"when": "", "mxlite": "", "python": "", "machine": {}, "seconds": 0, "counts": {},
                                "tests": {}}))
    assert report.main(str(path)) == 1


@shim.needs_cxx
def test_a_wrong_kernel_is_noticed(monkeypatch):
    """A softmax that leaves its output as it was."""
    gpu = machine.Fake()
    try:
        case = samples.Case(RECORDS["softmax"], RECORDS["softmax"].samples[0], "float32")
        assert test_operators.compare(gpu, case, False) < 1
        monkeypatch.setitem(softmax.KERNELS, "softmax.softmax", lambda *given: launch.Plan([]))
        launch.find.cache_clear()
        again = samples.Case(RECORDS["softmax"], RECORDS["softmax"].samples[1], "float32")
        with pytest.raises(AssertionError):
            test_operators.compare(gpu, again, False)
    finally:
        launch.find.cache_clear()
        gpu.close()


def test_distances():
    def one(x, dtype="float32"):
        return [(dtype, np.asarray(x, dtype))]
    assert samples.distance(one([1, 2]), one([1, 2])) == 0
    for got, want, dtype in (([1, 2.001], [1, 2], "float32"), ([np.nan, 1], [1, 1], "float32"), ([3], [4], "int32"),
                             ([np.inf], [-np.inf], "float64"), ([1.0001], [1], "float64"),
                             ([1, 1.05], [1, 1], "float16")):
        with pytest.raises(AssertionError):
            samples.distance(one(got, dtype), one(want, dtype))
    with pytest.raises(AssertionError):
        samples.distance(one([1.0]), one([1.0], "float64"))
    with pytest.raises(AssertionError):
        samples.identical(one([1.0]), one([np.nextafter(np.float32(1), np.float32(2))]))


def test_a_device_that_is_asked_for_and_not_there_is_a_failure():
    if mx.context.num_gpus():
        pytest.skip("there is one")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/gpu_device", "--gpu",
                           "real", "-k", "memory_info"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "there is no GPU" in done.stdout
