"""mxlite on a GPU beside PyTorch (eager, torch.compile, channels last) and JAX, in the same precision.

    python benchmarks/gpu.py                                # all rows, as far as --seconds goes; the most wanted first
    python benchmarks/gpu.py --match ResNet-50.*training    # rows (--list names them)
    python benchmarks/gpu.py --update                       # keep what --out has of rows not measured now
    python benchmarks/gpu.py --show --markdown docs/measured_gpu.md
    python benchmarks/gpu.py --tiny --device fake           # on a made-up device: proves the program, measures nothing

Each library is a process of its own: MXLITE_TORCH and MXLITE_JAX name other interpreters than this one. Rows are built
by all of them at once and then measured in turns, one repetition each a round: the seconds between two events on the
device (JAX: until its results are there) around as many steps as fill --budget. Figures are medians. TF32 is on in rows
of that name alone, in all libraries.
"""
import argparse
import json
import os
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import gpu_report
import gpu_rows
from workers import ROOT, in_place

LIBRARIES = ("mxlite", "torch", "jax")
PYTHON = {"mxlite": sys.executable, "torch": os.environ.get("MXLITE_TORCH", sys.executable),
          "jax": os.environ.get("MXLITE_JAX", sys.executable)}
WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gpu_worker.py")


class Late(Exception):
    """A library did not answer in time."""


class Worker:
    """One library's process. RuntimeError with the end of what it said where it dies; Late where it is too slow."""

    def __init__(self, name, options, scratch):
        self.name = name
        env = {**os.environ, "BENCH_BUDGET": str(options.budget), "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        env.pop("PYTHONSAFEPATH", None)         # scripts find what lies beside them
        if name == "mxlite":
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), *in_place()]))
        else:
            env.pop("PYTHONPATH", None)
        device = options.device if name == "mxlite" or options.device == "gpu" else "cpu"
        self.errors = open(os.path.join(scratch, f"{name}.err"), "w+", encoding="utf-8")    # noqa: SIM115
        self.process = subprocess.Popen(
            [PYTHON[name], WORKER, name, "--device", device, *["--tiny"] * options.tiny], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.errors, env=env, cwd=ROOT)
        self.rest = b""
        try:
            self.version = self.answer(120)["version"]
        except BaseException:
            self.close()
            raise

    def send(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise Late(f"no answer within {seconds:.0f} s")
            got = os.read(self.process.stdout.fileno(), 1 << 16)
            if not got:
                self.process.wait()
                self.errors.seek(0)
                said = self.errors.read().strip().splitlines() or ["nothing"]
                raise RuntimeError(f"ended with status {self.process.returncode}: {said[-1][:400]}")
            self.rest += got
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def close(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            try:
                pipe.close()
            except OSError:         # what it never read
                pass


class Party:
    """The libraries' processes, started again where one was given up."""

    def __init__(self, names, options, scratch):
        self.options, self.scratch, self.workers, self.versions, self.absent = options, scratch, {}, {}, {}
        self.names = list(names)

    def start(self):
        for name in self.names:
            if name not in self.workers and name not in self.absent:
                try:
                    self.workers[name] = Worker(name, self.options, self.scratch)
                    self.versions[name] = self.workers[name].version
                except (OSError, RuntimeError, Late) as e:
                    self.absent[name] = str(e)

    def give_up(self, name):
        self.workers.pop(name).close()

    def measure(self, row, seconds):
        """A row's samples, {library: {variant: [seconds]}}, and why others have none."""
        self.start()
        out = {"name": row.name, "samples": {}, "left out": dict(self.absent)}
        end, variants = time.monotonic() + seconds, {}
        for worker in self.workers.values():            # all of them build at once
            worker.send(open=row.name)
        for name, worker in list(self.workers.items()):
            try:
                answer = worker.answer(max(1.0, end - time.monotonic()))
            except (RuntimeError, Late) as e:
                out["left out"][name] = str(e)
                self.give_up(name)
                continue
            if "skip" in answer:
                out["left out"][name] = answer["skip"]
            else:
                variants[name] = answer["variants"]
                if answer["parameters"] is not None:
                    out.setdefault("parameters", {})[name] = answer["parameters"]
        for _ in range(self.options.rounds):
            for name, ways in list(variants.items()):
                for way in ways:
                    try:
                        self.workers[name].send(time=way)
                        value = self.workers[name].answer(60)["value"]
                    except (OSError, RuntimeError, Late) as e:
                        out["left out"][name] = str(e)
                        self.give_up(name)
                        del variants[name]
                        break
                    out["samples"].setdefault(name, {}).setdefault(way, []).append(value)
        return out

    def close(self):
        for name in list(self.workers):
            self.give_up(name)


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--match", default="", help="regular expression that a row's name must contain")
    parser.add_argument("--only", default=",".join(LIBRARIES), help="libraries, by commas (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.05, help="seconds of a repetition")
    parser.add_argument("--seconds", type=float, default=3600, help="no row is begun after so many seconds")
    parser.add_argument("--row-seconds", type=float, default=150, help="to build a row; a slower library is given up")
    parser.add_argument("--out", default=os.path.join(ROOT, "benchmarks", "results", "gpu.json"))
    parser.add_argument("--update", action="store_true", help="keep the rows of --out that are not measured now")
    parser.add_argument("--show", action="store_true", help="measure nothing")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there, too")
    parser.add_argument("--device", choices=("gpu", "cpu", "fake"), default="gpu")
    parser.add_argument("--tiny", action="store_true", help="next to no work: proves the program")
    return parser.parse_args(argv)


def about(options):
    """Date, device and driver."""
    said = ""
    if options.device == "gpu" and shutil.which("nvidia-smi"):
        said = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], text=True,
                              capture_output=True).stdout.strip()
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "python": sys.version.split()[0],
            "device": said or {"gpu": "unknown", "cpu": "a processor", "fake": "made up"}[options.device],
            "tiny": options.tiny, "rounds": options.rounds, "budget": options.budget}


def run(options, wanted, result):
    began, scratch = time.monotonic(), tempfile.TemporaryDirectory()
    with scratch:
        party = Party(options.only.split(","), options, scratch.name)
        try:
            party.start()
            if "mxlite" in party.absent:        # nothing to compare: what --out holds stays as it is
                raise SystemExit(f"gpu.py: mxlite {party.absent['mxlite']}")
            for row in wanted:
                spent = time.monotonic() - began
                if spent > options.seconds:
                    result["not begun"] = result.get("not begun", 0) + 1
                    continue
                found = party.measure(row, min(options.row_seconds, max(10.0, options.seconds - spent)))
                result["rows"] = [r for r in result["rows"] if r["name"] != row.name] + [found]
                result["versions"].update(party.versions)
                gpu_report.save(result, options.out)        # what was measured stays, whatever comes next
                print(gpu_report.line(found, result), flush=True)
        except KeyboardInterrupt:
            print("interrupted: what was measured so far follows")
        finally:
            party.close()
    result["seconds"] = round(result.get("seconds", 0) + time.monotonic() - began, 1)


def main(argv=None):
    options = arguments(argv)
    names = options.only.split(",")
    if unknown := [n for n in names if n not in LIBRARIES]:
        print(f"gpu.py: no library is called {', '.join(unknown)}; they are {', '.join(LIBRARIES)}", file=sys.stderr)
        return 2
    wanted = [r for r in gpu_rows.rows() if re.search(options.match, r.name)]
    if options.list or not wanted:
        print("\n".join(r.name for r in wanted) or f"gpu.py: no row matches {options.match!r}")
        return 0 if wanted else 2
    result = gpu_report.load(options.out) if options.show or options.update and os.path.exists(options.out) else {
        "about": about(options), "versions": {}, "rows": []}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not options.show:
        result["about"] = about(options)
        run(options, wanted, result)
        gpu_report.save(result, options.out)
    text = gpu_report.markdown(result)
    print(text)
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as file:
            file.write(text)
    ours = [statistics.median(v) for r in result["rows"] for v in r["samples"].get("mxlite", {}).values()]
    return 0 if ours else 1


if __name__ == "__main__":
    sys.exit(main())
