"""One library's side of benchmarks/gpu.py, in the protocol of workers.py.

    python gpu_worker.py mxlite|torch|jax [--tiny] [--device gpu|cpu|fake]

``{"open": row}`` builds a row's variants, compiled and warm; ``{"time": variant}`` gives seconds a step, between two
events on the device around as many steps as fill the budget.
"""
import argparse
import importlib
import json
import os
import sys
import time

import gpu_rows

BUDGET = float(os.environ.get("BENCH_BUDGET", "0.05"))


class Variant:
    """A way of running a row: ``run()`` starts one step; `clock` measures a number of them."""

    def __init__(self, run, clock, kind):
        self.run, self.clock, self.kind, self.calls = run, clock, kind, 1

    def warm(self, tiny):
        """Runs until nothing is compiled or captured any more, and chooses how many steps fill the budget."""
        for _ in range(2 if tiny else 5):
            self.run()
        spent = self.clock.seconds(self.run, 1 if tiny else 3) / (1 if tiny else 3)
        if self.kind != "latency":
            self.calls = 1 if tiny else max(2, min(2000, int(BUDGET / max(spent, 1e-7))))

    def value(self):
        if self.kind == "host":
            return self.clock.host(self.run, 2 if self.calls == 1 else 60)
        if self.kind == "latency":          # from asking to having the result, one after the other
            times = []
            for _ in range(2 if BUDGET < 0.01 else 50):
                began = time.perf_counter()
                self.run()
                self.clock.wait()
                times.append(time.perf_counter() - began)
            return sorted(times)[len(times) // 2]
        return self.clock.seconds(self.run, self.calls) / self.calls


class Clock:
    """Where a library has no events: real time until the device is through."""

    def __init__(self, wait):
        self.wait = wait

    def seconds(self, run, n):
        self.wait()
        began = time.perf_counter()
        for _ in range(n):
            run()
        self.wait()
        return time.perf_counter() - began

    def host(self, run, n):
        """Seconds a step until the call is back, the device being idle at the start."""
        run()
        self.wait()
        began = time.perf_counter()
        for _ in range(n):
            run()
        spent = time.perf_counter() - began
        self.wait()
        return spent / n


class EventClock(Clock):
    """Seconds between two events on the stream that the steps run on. `make()`: an event; `record(e)`;
    `between(a, b)`: seconds."""

    def __init__(self, wait, make, record, between):
        super().__init__(wait)
        self.make, self.record, self.between = make, record, between

    def seconds(self, run, n):
        first, last = self.make(), self.make()
        self.wait()
        self.record(first)
        for _ in range(n):
            run()
        self.record(last)
        self.wait()
        return self.between(first, last)


def build(library, row, tiny):
    """{variant: Variant}, or a text that says why this library has none."""
    try:
        steps = library.steps(row, tiny)
        if isinstance(steps, str):
            return steps
        out, failed = {}, []
        for name, make in steps.items():
            try:
                variant = Variant(make(), library.clock, row.kind)
                variant.warm(tiny)
                out[name] = variant
            except Exception as e:      # a variant that a library refuses, or that does not fit
                failed.append(f"{name or 'it'}: {type(e).__name__}: {(str(e).strip().splitlines() or [''])[0][:200]}")
        return out or "; ".join(failed) or "no variant"
    except Exception as e:
        return f"{type(e).__name__}: {(str(e).strip().splitlines() or [''])[0][:300]}"


def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=("mxlite", "torch", "jax"))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--device", choices=("gpu", "cpu", "fake"), default="gpu")
    options = parser.parse_args(argv)
    out = sys.stdout
    sys.stdout = sys.stderr         # libraries print; answers have this pipe to themselves
    library = importlib.import_module(f"gpu_{options.library}").Library(options.device)
    print(json.dumps({"version": library.version}), file=out, flush=True)
    variants = None
    for line in sys.stdin:
        request = json.loads(line)
        if "open" in request:
            variants = None         # the last row's memory goes first
            library.parameters = None   # how many numbers the network learns: the same in all libraries
            library.forget()
            variants = build(library, gpu_rows.find(request["open"]), options.tiny)
            answer = {"skip": variants} if isinstance(variants, str) else {
                "variants": list(variants), "parameters": library.parameters}
        else:
            answer = {"value": variants[request["time"]].value()}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
