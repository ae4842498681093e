"""What a small call costs: mxlite beside MXNet 1.9.1 and PyTorch, each in its own environment, interleaved.

    python benchmarks/small.py [--rounds 15]

The libraries take turns, one repetition each a round, so that a busy machine slows all of them alike; the table shows
medians and the ratio to mxlite. MXNet's interpreter is $MXLITE_ORACLE or .oracle/bin/python, PyTorch's $MXLITE_TORCH or
.torch/bin/python (`benchmarks/make_torch.sh` makes it); what is missing is left out with a line that says so. One
thread each: the work is too small for more.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PYTHONS = {"mxlite": sys.executable,
           "mxnet": os.environ.get("MXLITE_ORACLE", os.path.join(ROOT, ".oracle", "bin", "python")),
           "torch": os.environ.get("MXLITE_TORCH", os.path.join(ROOT, ".torch", "bin", "python"))}


class Worker:
    """A library in a process of its own."""

    def __init__(self, library, python):
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen([python, os.path.join(HERE, "worker.py"), library], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env,
                                        cwd=ROOT)
        self.jobs = json.loads(self.process.stdout.readline())

    def run(self, job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", help="also write the medians to this file")
    options = parser.parse_args()
    workers = {}
    for library, python in PYTHONS.items():
        if not os.path.exists(python):
            print(f"{library}: left out, there is no {python}")
            continue
        workers[library] = Worker(library, python)
    times = {}
    for _ in range(options.rounds):
        for job in workers["mxlite"].jobs:
            for library, worker in workers.items():
                if job in worker.jobs:
                    times.setdefault(job, {}).setdefault(library, []).append(worker.run(job))
    for worker in workers.values():
        worker.close()
    print(f"{'nanoseconds, medians of ' + str(options.rounds):36s}" + "".join(f"{n:>10s}" for n in workers)
          + "".join(f"{n + '/mxlite':>15s}" for n in workers if n != "mxlite"))
    medians = {job: {n: statistics.median(t) for n, t in row.items()} for job, row in times.items()}
    for job, row in medians.items():
        print(f"{job:36s}" + "".join(f"{row[n] * 1e9:10.0f}" if n in row else f"{'':>10s}" for n in workers)
              + "".join(f"{row[n] / row['mxlite']:15.1f}" if n in row else f"{'':>15s}" for n in workers
                        if n != "mxlite"))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(medians, f, indent=1)


if __name__ == "__main__":
    main()
