"""The side-by-side benchmark, alone and on little: families are well formed, the harness measures and reports."""
import importlib
import json
import os
import subprocess
import sys

import pytest

from .child import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}    # scripts find what lies beside them


@pytest.fixture
def benchmarks(monkeypatch):
    """The modules of benchmarks/, imported as its scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    names = ("jobs", "workers", "report", "compare")
    yield {n: importlib.import_module(n) for n in names}
    for name in [n for n in sys.modules if n.split(".")[0] in names]:
        del sys.modules[name]


def run(*arguments, expect=0):
    done = subprocess.run([sys.executable, str(FOLDER / "compare.py"), *arguments], capture_output=True, text=True,
                          timeout=120, cwd=REPOSITORY, env=ENVIRONMENT)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_run_of_mxlite_alone(tmp_path):
    given = ("--only", "mxlite", "--rounds", "1", "--budget", "0.001", "--threads", "1", "--results", str(tmp_path))
    text = run("gemm", "steps", "--match", r"128\^3 NN|MLP", *given)
    result = json.loads((tmp_path / "compare.json").read_text())
    names = ["dot 128^3 NN", "MLP 784-128-64-10 training, b64"]
    assert [r["name"] for r in result["rows"]] == names
    for row in result["rows"]:
        (seconds,), = row["samples"]["mxlite"].values()
        assert 1e-7 < seconds < 1 and not row["left out"] and row["name"] in text
    assert result["settings"]["threads"] == 1 and result["versions"]["mxlite"]
    run("small", "--match", "call relu", "--update", *given)
    again = json.loads((tmp_path / "compare.json").read_text())
    assert sorted(r["name"] for r in again["rows"]) == sorted([*names, "call relu(x), 8 elements"])
    shown = run("--show", "--results", str(tmp_path))
    assert all(name in shown for name in names)


def test_wrong_names_are_told():
    assert "nothing is called nonsense" in run("nonsense", expect=2)
    assert "nothing is called caffe" in run("gemm", "--only", "caffe", expect=2)


def test_cases_are_well_formed(benchmarks):
    """Names are unique, goals are known, totals name rows that exist, every family has builders."""
    seen = set()
    for name, module in benchmarks["jobs"].families().items():
        assert module.__doc__ and (hasattr(module, "mx") or hasattr(module, "mxlite")), name
        rows = {c.name for c in module.CASES}
        assert len(rows) == len(module.CASES) and not rows & seen, name
        seen |= rows
        for case in module.CASES:
            assert set(case.goal) <= {"best", "torch", "mxnet", "lower"}, case
        for total in getattr(module, "TOTALS", ()):
            assert set(total.rows) <= rows and total.kind in ("sum", "mean")


def test_ratios_and_verdicts(benchmarks):
    report, jobs = benchmarks["report"], benchmarks["jobs"]

    def row(name, ours, goal, **peers):
        samples = {"mxlite": {"": ours}, **{k.replace("_", "+"): v for k, v in peers.items()}}
        return {"family": "f", "name": name, "goal": goal, "samples": samples, "left out": {}}
    slow = row("a", [1.0, 2.0, 9.0], {"best": 1.5}, torch={"": [9.0] * 3, "out=": [4.0, 1.0, 5.0]},
               torch_malloc={"": [2.5, 2.5, 2.5]}, mxnet={"": [8.0, 8.0, 8.0]})
    assert report.best(slow) == {"mxlite": (2.0, ""), "torch": (2.5, "malloc"), "mxnet": (8.0, "")}
    assert report.ratios(slow) == {"mxnet": 4.0, "torch": 1.25, "best": 1.25} and report.verdict(slow) == "short"
    slow["goal"] = {"torch": 1.2, "mxnet": 4.0}
    assert report.verdict(slow) == "pass"
    assert report.verdict(row("b", [1.0], {"best": 1.0})) == ""             # nobody to compare with

    class Family:
        TOTALS = [jobs.Total("sum", "sum", {"a": 1, "c": 3}, {"best": 2.0}),
                  jobs.Total("mean", "mean", {"a": 1, "c": 1}, {"best": 2.5}),
                  jobs.Total("not run", "sum", {"a": 1, "d": 1}, {"best": 2.0})]
    fast = row("c", [1.0], {}, torch={"": [5.0]}, mxnet={"": [2.0]})
    total, mean = report.totals(Family, [slow, fast])
    assert total["best"] == {"mxlite": (5.0, ""), "torch": (17.5, ""), "mxnet": (14.0, "")}
    assert report.verdict(total) == "pass" and report.ratios(total)["best"] == pytest.approx(2.8)
    assert report.ratios(mean)["torch"] == pytest.approx(2.5) and "1.581" in mean["name"]


def test_a_job_that_fails_is_a_row_that_says_so(tmp_path, monkeypatch):
    """A library that cannot do a job answers with the reason, and is there for the next."""
    code = ("import sys; sys.path.insert(0, 'benchmarks'); import worker, jobs.gemm as g\n"
            "g.CASES.append(g.Case('broken', -1, 2, 3, 'NN'))\n"
            "class lib: __name__ = 'numpy'\n"
            "import numpy\nassert 'ValueError' in worker.build(numpy, 'gemm', 'broken')\n"
            "assert list(worker.build(numpy, 'gemm', 'dot 128^3 NN')) == ['out=']\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
