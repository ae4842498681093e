"""Chooses the machine, and writes the file of results."""
import json
import platform
import time

import pytest

import mxlite as mx
import mxlite.gpu

from ..gpu import shim
from . import machine


def chosen(config):
    """``"real"``, ``"fake"``, ``"fake-all"``, or a text: why none of them can be."""
    want = config.getoption("--gpu")
    if want == "auto":
        want = "real" if mxlite.gpu.count() else "fake"
    if want != "real" and shim.CXX is None:
        return "no GPU, and without g++ none can be made up"
    return want


@pytest.fixture(scope="module")
def gpu(request):
    """The machine (:mod:`.machine`) that the tests of a module run on."""
    kind = chosen(request.config)
    if kind == "real":
        mxlite.gpu.check(0)             # asked for and not there is a failure, never a skip
        one = machine.Real()
        yield one
        mx.nd.waitall()
    elif kind in ("fake", "fake-all"):
        one = machine.Fake(kind == "fake-all")
        yield one
        one.close()
    else:
        pytest.skip(kind)


class Collector:
    """Every test's outcome, time, message, and what it recorded; written as one JSON file at the end."""

    def __init__(self, config, path):
        self.config, self.path, self.tests, self.began = config, path, {}, time.time()

    def pytest_runtest_logreport(self, report):
        if "gpu_device" not in report.nodeid:
            return
        entry = self.tests.setdefault(report.nodeid.partition("gpu_device/")[2], {"outcome": "passed", "seconds": 0.0})
        entry["seconds"] = round(entry["seconds"] + report.duration, 3)
        if report.outcome != "passed":
            entry["outcome"] = report.outcome
            entry["message"] = report.longreprtext[-4000:] if report.failed else str(report.longrepr)[-300:]
        entry.update(dict(report.user_properties))

    def pytest_sessionfinish(self):
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(self.results(), file, indent=1)

    def results(self):
        counts, about = {}, {"device": "none"}
        for entry in self.tests.values():
            counts[entry["outcome"]] = counts.get(entry["outcome"], 0) + 1
        kind = chosen(self.config)
        try:
            about = machine.Real().about() if kind == "real" else {"device": "made up"}
        except Exception as e:          # a machine that broke on the way still leaves its results
            about = {"device": f"{kind}: {e}"}
        return {"when": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.began)), "mxlite": mx.__version__,
                "python": platform.python_version(), "machine": about, "seconds": round(time.time() - self.began, 1),
                "counts": counts, "tests": self.tests}


def pytest_configure(config):
    path = config.getoption("--gpu-results")
    if path and not hasattr(config, "workerinput"):         # one process of pytest-xdist's writes
        config.pluginmanager.register(Collector(config, path), "gpu-results")
