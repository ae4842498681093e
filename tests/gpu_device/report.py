"""What results.json (and the benchmark's gpu.json) say, as Markdown: ``python report.py RESULTS [BENCHMARK]``.

Ends with 1 where a test failed or none ran.
"""
import json
import sys


def text(results):
    """Markdown of a file of results."""
    counts, tests = results["counts"], results["tests"]
    lines = ["# Tests on a GPU", "", f"{results['when']}, mxlite {results['mxlite']}, Python {results['python']}, "
             f"{results['seconds']} s", ""]
    lines += [f"* {k}: {v}" for k, v in results["machine"].items()]
    lines += ["", ", ".join(f"{v} {k}" for k, v in sorted(counts.items())) or "nothing ran", ""]
    failed = {k: t for k, t in tests.items() if t["outcome"] == "failed"}
    for name, test in failed.items():
        words = [w.strip("E ") for w in test.get("message", "").splitlines()
                 if w.startswith("E ") and "assert" not in w]
        lines += [f"## {name}", "", "```", *words[:14], "```", ""]
    worst = sorted(((far, dtype, name) for name, t in tests.items() for dtype, far in t.get("worst", {}).items()),
                   reverse=True)
    if worst:
        lines += ["## Largest distances from the CPU, in units of the tolerance", "", "| | dtype | test |",
                  "|--:|---|---|"]
        lines += [f"| {far:.3f} | {dtype} | {name} |" for far, dtype, name in worst[:25]]
        lines.append("")
    return "\n".join(lines)


def main(path):
    try:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
    except (OSError, ValueError) as e:
        print(f"# Tests on a GPU\n\nno results: {e}\n")
        return 1
    print(text(results))
    return int(not results["counts"].get("passed") or bool(results["counts"].get("failed")))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
