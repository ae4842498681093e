"""benchmarks/gpu.py on a made-up device, with next to no work: every row runs, and the report judges as it says."""
import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

import mxlite as mx

from . import shim

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"
TORCH = os.environ.get("MXLITE_TORCH", str(FOLDER.parent / ".torch" / "bin" / "python"))


@pytest.fixture
def modules(monkeypatch):
    """(gpu_rows, gpu_report), imported as the script does."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("gpu_rows"), importlib.import_module("gpu_report")
    for name in ("gpu_rows", "gpu_report"):
        sys.modules.pop(name, None)


def run(tmp_path, *more, expect=0):
    path = tmp_path / "gpu.json"
    given = ["--tiny", "--device", "fake", "--rounds", "1", "--budget", "0.001", "--out", str(path)]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run([sys.executable, str(FOLDER / "gpu.py"), *given, *more], capture_output=True, text=True,
                          timeout=240, env=env, cwd=FOLDER.parent)
    assert done.returncode == expect, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(path.read_text()) if path.exists() else None, done.stdout + done.stderr


@pytest.mark.slow
@shim.needs_cxx
def test_every_row_of_ours_runs(tmp_path, modules):
    result, text = run(tmp_path, "--only", "mxlite", "--markdown", str(tmp_path / "gpu.md"))
    assert [r["name"] for r in result["rows"]] == [r.name for r in modules[0].rows()]
    assert not [r["left out"] for r in result["rows"] if r["left out"]]
    for row in result["rows"]:
        assert all(v and min(v) > 0 for v in row["samples"]["mxlite"].values()), row
    shown = (tmp_path / "gpu.md").read_text()
    assert shown in text and "say nothing about speed" in shown and "made up" in shown
    assert all(f"| {r.name}" in shown for r in modules[0].rows())


@shim.needs_cxx
@pytest.mark.skipif(not os.path.exists(TORCH), reason=f"there is no PyTorch: {TORCH}")
def test_pytorch_runs_the_same_networks(tmp_path, monkeypatch):
    monkeypatch.setenv("MXLITE_TORCH", TORCH)
    monkeypatch.setenv("MXLITE_JAX", str(tmp_path / "none"))
    some = "add band|MLP latency|LeNet training, b64, float32|ResNet.*training, b1, TF|LSTM.*float32"
    result, text = run(tmp_path, "--match", some)
    assert len(result["rows"]) == 5
    for row in result["rows"]:
        assert "eager" in row["samples"]["torch"] and "none" in row["left out"]["jax"]
        assert len(set(row.get("parameters", {}).values())) <= 1
    assert sum("parameters" in r for r in result["rows"]) == 3 and "| absent |" in text


def test_what_is_asked_wrongly(tmp_path):
    assert "no library is called" in run(tmp_path, "--only", "theano", expect=2)[1]
    assert "no row matches" in run(tmp_path, "--match", "nothing", expect=2)[1]


@pytest.mark.skipif(mx.context.num_gpus() > 0, reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_writes_nothing(tmp_path):
    result, text = run(tmp_path, "--device", "gpu", expect=1)
    assert result is None and "gpu(0) cannot be used, there is no GPU" in text and "Traceback" not in text


def found(name, **samples):
    return {"name": name, "left out": {}, "samples": {k: {w: list(v) for w, v in ways.items()}
                                                      for k, ways in samples.items()}}


def test_goals_are_judged(modules):
    rows, report = modules
    assert {k for r in rows.rows() for k in r.goal} == {"best", "eager", "copy", "host"}
    name = "ResNet-50 training, b64, TF32"
    others = dict(torch={"eager": [3.0], "eager channels_last": [2.0, 9.0, 1.0], "compile": [1.1]}, jax={"jit": [1.5]})
    copy = found("copy bandwidth, float32", mxlite={"": [1.0]})
    result = {"about": {"tiny": False, "date": "d", "device": "x", "python": "3"}, "versions": {}, "rows": [copy]}
    for ours, best, eager, verdict in ((1.0, 1.1, 2.0, "pass"), (1.2, 1.1 / 1.2, 2 / 1.2, "short"),
                                       (0.1, 11, 20, "pass")):
        row = found(name, mxlite={"": [ours]}, **others)
        made = report.figures(row, result)
        assert made["best"] == pytest.approx(best) and made["eager"] == pytest.approx(eager)
        assert report.verdict(row, result) == verdict
    assert report.verdict(found(name, mxlite={"": [1.0]}, torch={"eager": [3.0]}), result) == ""        # not all judged
    assert report.verdict(found(name, mxlite={"": [1.0]}, torch={"eager": [1.2]}), result) == "short"
    assert report.verdict(found(name, torch={"eager": [1.2]}), result) == ""
    # A copy reads and writes 2 arrays in a second: adding moves 3 in as long a time, or in longer.
    jax = {"jit": [9.0]}
    assert report.verdict(found("add bandwidth, float32", mxlite={"": [1.6]}, jax=jax), result) == "pass"
    assert report.verdict(found("add bandwidth, float32", mxlite={"": [1.7]}, jax=jax), result) == "short"
    host = "MLP host, b64, float32"
    assert report.verdict(found(host, mxlite={"train step": [14e-6], "b": [40e-6]}), result) == "pass"
    assert report.verdict(found(host, mxlite={"train step": [16e-6], "b": [4e-6]}), result) == "short"
    result["rows"] += [found(host, mxlite={"a": [14e-6]}), found(name, mxlite={"": [1.0]}, **others)]
    text = report.markdown(result)
    assert "2 of 3 rows reach all of their goals" in text and "14.0" in text and "pass" in text
