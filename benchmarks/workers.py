"""The libraries that are compared, each a process of its own, and the one protocol they are spoken to in.

A line of JSON each way. ``{"open": [family, case]}`` builds a job and is answered with ``{"variants": [...]}`` or
``{"skip": why}``; ``{"time": variant}`` runs it once more and is answered with ``{"value": seconds or another figure,
"cpu": seconds of processor time, "switches": how often it lost a core to somebody else}``.
"""
import json
import os
import subprocess
import sys
from importlib.util import find_spec

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
ORACLE = os.environ.get("MXLITE_ORACLE", os.path.join(ROOT, ".oracle", "bin", "python"))
TORCH = os.environ.get("MXLITE_TORCH", os.path.join(ROOT, ".torch", "bin", "python"))
# glibc gives big blocks back to the system at once, and touching fresh pages costs more than many operators.
NEVER_UNMAP = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296",
               "THP_MEM_ALLOC_ENABLE": "1"}         # the last one is PyTorch's own switch for huge pages
# name: (library, interpreter, environment). Those of one library are settings of it; its best one counts.
COMPETITORS = {
    "mxlite": ("mxlite", sys.executable, {}),
    "mxnet": ("mxnet", ORACLE, {}), "mxnet+malloc": ("mxnet", ORACLE, NEVER_UNMAP),
    "torch": ("torch", TORCH, {}), "torch+malloc": ("torch", TORCH, NEVER_UNMAP),
    "openblas": ("numpy", sys.executable, {}),
}
LIBRARIES = ("mxlite", "mxnet", "torch", "numpy")


def in_place():
    """Where to find mxlite if it is not installed."""
    return [] if find_spec("mxlite") else [ROOT]


class Worker:
    """One competitor's process. RuntimeError with the end of its stderr where it dies."""

    def __init__(self, name, threads, scratch, budget, clock):
        self.name, self.clock = name, clock
        self.library, python, extra = COMPETITORS[name]
        env = {**os.environ, **extra, **{f"{kind}_NUM_THREADS": str(threads) for kind in ("OMP", "MKL", "OPENBLAS")}}
        env.update(BENCH_THREADS=str(threads), BENCH_SCRATCH=scratch, BENCH_BUDGET=str(budget), BENCH_CLOCK=clock)
        if self.library == "mxlite":        # what is installed; else the tree that this file stands in, built in place
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), *in_place()]))
        else:
            env.pop("PYTHONPATH", None)
        self.errors = open(os.path.join(scratch, f"{name}.err"), "w+", encoding="utf-8")    # noqa: SIM115
        self.process = subprocess.Popen([python, os.path.join(HERE, "worker.py"), self.library], text=True, env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, cwd=ROOT)
        self.version = self._answer()["version"]

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            said = self.errors.read()[-2000:]
            raise RuntimeError(f"{self.name} ended with status {self.process.returncode}:\n{said}")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def missing(name):
    """Why this competitor cannot be started, or None."""
    library, python, _ = COMPETITORS[name]
    if os.path.exists(python):
        return None
    variable = {"mxnet": "MXLITE_ORACLE", "torch": "MXLITE_TORCH"}[library]
    if variable in os.environ:
        return f"{variable}={python} does not exist"
    return f"there is no {python}; benchmarks/make_envs.sh makes it"


def busy_seconds():
    """Processor seconds that all processes of this machine have used (None where the system does not say)."""
    try:
        with open("/proc/stat", encoding="ascii") as f:
            ticks = [int(t) for t in f.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
