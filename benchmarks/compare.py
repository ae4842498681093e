"""mxlite beside MXNet 1.9.1, PyTorch and OpenBLAS (NumPy's): operators, networks, calls, binding and memory.

    python benchmarks/compare.py                            # everything, in a quarter of an hour or two
    python benchmarks/compare.py gemm conv1 --rounds 5      # families (--list names them)
    python benchmarks/compare.py conv16 --match "fwd .*3x3" # cases
    python benchmarks/compare.py --quick                    # short repetitions, three rounds

Each library is a process of its own, in its own environment (`benchmarks/make_envs.sh`; MXLITE_ORACLE and MXLITE_TORCH
name other interpreters). They take turns, one repetition each a round, with a pause in between, for idle thread pools
spin; a repetition during which other programs worked is taken again. Figures are medians. A library's best setting
counts: as installed or with a malloc that never gives pages back, NCHW or channels_last, allocating or writing into
given arrays, fused optimizers. With --threads 1 processor time is measured instead of real time.

A ratio is the peer's time over ours. The results go to benchmarks/results/: compare.json, compare.png.
"""
import argparse
import os
import re
import signal
import sys
import tempfile
import time

import jobs
import report
from workers import COMPETITORS, HERE, Worker, busy_seconds, missing

TRIES = 4               # how often a disturbed repetition is taken


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", help="what to run; default all")
    parser.add_argument("--list", action="store_true", help="name the families and end")
    parser.add_argument("--match", default="", help="regular expression that a case's name must contain")
    parser.add_argument("--rounds", type=int, help="repetitions of each (default 7; 3 with --quick)")
    parser.add_argument("--quick", action="store_true", help="short repetitions, few rounds")
    parser.add_argument("--budget", type=float, help="seconds that a repetition of a short job is filled up to")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(
        os, "sched_getaffinity") else os.cpu_count(), help="threads of each library (default: all cores)")
    parser.add_argument("--only", default=",".join(COMPETITORS), help="competitors, by commas (default: all)")
    parser.add_argument("--results", default=os.path.join(HERE, "results"), help="folder for JSON and chart")
    parser.add_argument("--update", action="store_true", help="keep the rows of results/compare.json not run now")
    parser.add_argument("--show", action="store_true", help="print results/compare.json, and run nothing")
    parser.add_argument("--markdown", action="store_true", help="the same as tables of Markdown")
    options = parser.parse_args(argv)
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.budget = options.budget or (0.008 if options.quick else 0.03)
    return options


def timed(worker, variant, pause):
    """One repetition, in real time again while others disturb it; (value, whether it was disturbed to the end)."""
    for _ in range(TRIES):
        before, began = busy_seconds(), time.perf_counter()
        time.sleep(pause)
        answer = worker.ask(time=variant)
        wall, after = time.perf_counter() - began, busy_seconds()
        # the counter steps by hundredths of a second, one a core
        others = 0.0 if before is None else after - before - answer["cpu"]
        if worker.clock == "cpu" or others < 0.15 * wall + 0.015 and answer["switches"] < 2 + 20 * wall:
            return answer["value"], False
    return answer["value"], True


def run_case(family, case, workers, options):
    """A row: the samples of every competitor's variants."""
    row = {"family": family, "name": case.name, "goal": case.goal, "samples": {}, "left out": {}, "disturbed": 0}
    variants = []
    for worker in workers:
        answer = worker.ask(open=[family, case.name])
        if "skip" in answer:
            row["left out"][worker.name] = answer["skip"]
        else:
            variants += [(worker, v) for v in answer["variants"]]
    for _ in range(options.rounds if "mxlite" not in row["left out"] else 0):
        for worker, variant in variants:
            value, disturbed = timed(worker, variant, 0.002 if options.threads == 1 else 0.02)
            row["samples"].setdefault(worker.name, {}).setdefault(variant, []).append(value)
            row["disturbed"] += disturbed
    return row


def run_family(name, module, cases, names, options, versions, scratch):
    """Rows of a family. Its competitors are started for it and ended after it, so that no family sees another's
    memory."""
    threads = getattr(module, "THREADS", options.threads)
    clock = "cpu" if threads == 1 and not getattr(module, "WALL", False) else "wall"
    workers = [Worker(n, threads, scratch, options.budget, clock) for n in names]
    versions.update({w.name: w.version for w in workers})
    try:
        for case in cases:
            row = run_case(name, case, workers, options)
            row.update(unit=getattr(module, "UNIT", "s"), threads=threads, clock=clock)
            yield row
    finally:
        for worker in workers:
            worker.close()


def run_all(families, names, options, result, scratch):
    """Rows of all that was asked for, into `result`, printed as they come."""
    for name, module in families.items():
        cases = [c for c in module.CASES if re.search(options.match, c.name)]
        if not cases or options.families and name not in options.families:
            continue
        report.heading(name, module)
        wanted = [n for n in names if COMPETITORS[n][0] != "numpy" or hasattr(module, "numpy")]
        for row in run_family(name, module, cases, wanted, options, result["versions"], scratch):
            result["rows"].append(row)
            report.line(row)
        for total in report.totals(module, result["rows"]):
            report.line(total)


def main(argv=None):
    options = arguments(argv)
    families = jobs.families()
    if options.list:
        for name, module in families.items():
            print(f"{name:12s} {len(module.CASES):4d}  {module.__doc__.splitlines()[0]}")
        return 0
    unknown = [f for f in options.families if f not in families]
    unknown += [c for c in options.only.split(",") if c not in COMPETITORS]
    if unknown:
        print(f"compare.py: nothing is called {', '.join(unknown)}; families: {', '.join(families)}; competitors: "
              f"{', '.join(COMPETITORS)}", file=sys.stderr)
        return 2
    path = os.path.join(options.results, "compare.json")
    if options.show or options.markdown:
        (report.markdown if options.markdown else report.show)(report.load(path), families)
        return 0
    names, left_out = [], {}
    for name in options.only.split(","):
        why = missing(name)
        if why:
            left_out[name] = why
            print(f"{name}: left out, {why}")
        else:
            names.append(name)
    result = {"machine": report.machine(), "versions": {}, "left out": left_out, "settings": {
        "threads": options.threads, "rounds": options.rounds, "budget": options.budget,
        "+malloc": next(c[2] for n, c in COMPETITORS.items() if n.endswith("+malloc"))}, "rows": []}
    began = time.perf_counter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            run_all(families, names, options, result, scratch)
    except KeyboardInterrupt:
        print("\ninterrupted: what was measured so far follows")
    result["seconds"] = time.perf_counter() - began
    if options.update and os.path.exists(path):
        result = report.merged(report.load(path), result)
    os.makedirs(options.results, exist_ok=True)
    report.save(result, path)
    report.summary(result, families)
    print(report.chart(result, families, os.path.join(options.results, "compare.png")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
