"""One library's side of the benchmarks: builds jobs and times them, as `workers.py` asks.

    python worker.py mxlite|mxnet|torch|numpy
"""
import importlib
import json
import os
import sys
import time

try:
    import resource
except ImportError:         # Windows
    resource = None

THREADS = int(os.environ.get("BENCH_THREADS", "1"))
BUDGET = float(os.environ.get("BENCH_BUDGET", "0.03"))      # seconds that a repetition of a short job is filled up to
# Processor time where one thread works: others on the machine do not disturb it.
CLOCK = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter


def load(name):
    """The library, as ``mx`` (or torch or numpy itself), told its number of threads."""
    if name == "mxnet":
        import numpy
        numpy.bool = bool           # MXNet 1.9.1 wants the alias that NumPy 1.24 dropped
    library = importlib.import_module(name)
    if name == "torch":
        library.set_num_threads(THREADS)
        library.set_grad_enabled(False)
    return library


class Repetition:
    """A job's way of being run: called as often as fill `BUDGET`, with `before` outside the time."""

    def __init__(self, step):
        self.run, self.before = step if isinstance(step, tuple) else (step, None)
        self.calls = 1
        self.once()
        spent = self.once()
        while self.before is None and spent < BUDGET / 4 and self.calls < 1 << 20:
            self.calls *= 2
            spent = self.once()
        self.calls = max(1, int(self.calls * BUDGET / max(spent, 1e-9)))

    def once(self):
        if self.before is None:
            began = CLOCK()
            for _ in range(self.calls):
                self.run()
            return CLOCK() - began
        spent = 0.0
        for _ in range(self.calls):
            self.before()
            began = CLOCK()
            self.run()
            spent += CLOCK() - began
        return spent

    def value(self):
        if self.calls > 1:          # caches and threads warm, as in a loop; a long job warms itself
            calls, self.calls = self.calls, max(1, self.calls // 8)
            self.once()
            self.calls = calls
        return self.once() / self.calls


class Figure:
    """A job that is a number, not a time."""

    def __init__(self, number):
        self.number = number

    def value(self):
        return self.number


def build(library, family, name):
    """{variant: Repetition or Figure} of a case, or a text that says why this library has none."""
    module = importlib.import_module(f"jobs.{family}")
    case = next(c for c in module.CASES if c.name == name)
    kind = library.__name__
    builder = getattr(module, kind, None) or (getattr(module, "mx", None) if kind in ("mxlite", "mxnet") else None)
    if builder is None:
        return f"{kind} has no such job"
    try:
        steps = builder(library, *case.spec)
        if isinstance(steps, str):
            return steps
        return {variant: Figure(step) if isinstance(step, (int, float)) else Repetition(step)
                for variant, step in steps.items()}
    except Exception as e:          # a library that cannot do it is a row that says so, not the end of the run
        return f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"


def pushed_aside():
    """How often a thread of this process lost its core to somebody else."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw if resource else 0


def main():
    out = sys.stdout
    sys.stdout = sys.stderr         # libraries print; answers have this pipe to themselves
    library = load(sys.argv[1])
    print(json.dumps({"version": library.__version__}), file=out, flush=True)
    jobs = None
    for line in sys.stdin:
        request = json.loads(line)
        if "open" in request:
            jobs = None             # the last case's memory goes first
            jobs = build(library, *request["open"])
            answer = {"skip": jobs} if isinstance(jobs, str) else {"variants": list(jobs)}
        else:
            cpu, switches = time.process_time(), pushed_aside()
            answer = {"value": jobs[request["time"]].value()}
            answer.update(cpu=time.process_time() - cpu, switches=pushed_aside() - switches)
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
