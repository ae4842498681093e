"""What compare.py prints, writes and draws."""
import json
import math
import os
import platform
import statistics

from workers import COMPETITORS

PEERS = ("mxnet", "torch", "numpy")
TITLES = {"mxnet": "MXNet", "torch": "PyTorch", "numpy": "OpenBLAS"}


def machine():
    """Processor, cores, operating system."""
    model = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), model)
    except OSError:
        pass
    return {"processor": model, "cores": os.cpu_count(), "system": platform.platform(),
            "python": platform.python_version()}


def best(row):
    """{library: (median, setting)}: the best of each library's settings."""
    found = {}
    for name, variants in row["samples"].items():
        library = COMPETITORS[name][0]
        for variant, samples in variants.items():
            if variant == "lower":
                continue
            median = statistics.median(samples)
            if library not in found or median < found[library][0]:
                found[library] = median, ", ".join(filter(None, (name.partition("+")[2], variant)))
    return found


def ratios(row):
    """{"best" or library: its time over ours}, and "lower" where there is a lower bound of ours."""
    found = row["best"] if "best" in row else best(row)
    if "mxlite" not in found:
        return {}
    ours = found["mxlite"][0]
    made = {k: found[k][0] / ours if ours else math.inf for k in PEERS if k in found}
    if made:
        made["best"] = min(made.values())
    bound = row.get("samples", {}).get("mxlite", {}).get("lower")
    if bound:
        made["lower"] = statistics.median(bound) / ours
    return made


def verdict(row):
    """"pass", "short" (a goal is missed), "" (no goal, or nobody to compare with)."""
    made = ratios(row)
    missed = [k for k, goal in row["goal"].items() if k in made and made[k] < goal]
    return "short" if missed else "pass" if any(k in made for k in row["goal"]) else ""


def quantity(value, unit):
    if unit == "MB":
        return f"{value:.2f} MB"
    for scale, name in ((1, "s"), (1e3, "ms"), (1e6, "us")):
        if value * scale >= 1:
            return f"{value * scale:.{3 if value * scale < 10 else 1 if value * scale < 1000 else 0}f} {name}"
    return f"{value * 1e9:.0f} ns"


def heading(name, module):
    print(f"\n{name}: {module.__doc__.splitlines()[0]}")
    print(f"{'':50s}{'mxlite':>10s}" + "".join(f"{TITLES[p]:>10s}{'ratio':>7s}" for p in PEERS) + "   goal")


def line(row):
    """One row of the table, printed."""
    found, made, unit = row["best"] if "best" in row else best(row), ratios(row), row.get("unit", "s")
    if "mxlite" not in found:
        print(f"{row['name']:50s}left out: {row.get('left out', {}).get('mxlite', 'not run')}", flush=True)
        return
    text = f"{row['name']:50s}{quantity(found['mxlite'][0], unit) if row.get('kind') != 'mean' else '':>10s}"
    for p in PEERS:
        shown = quantity(found[p][0], unit) if p in found and row.get("kind") != "mean" else ""
        text += f"{shown:>10s}" + (f"{made[p]:7.2f}" if p in made else f"{'':7s}")
    goals = ", ".join(f"{k if k != 'best' else 'all'} {v:.3g}" for k, v in row["goal"].items())
    goals += f" ({made['lower']:.3f})" if "lower" in made else ""
    settings = ", ".join(f"{TITLES[p]}: {found[p][1]}" for p in PEERS if p in found and found[p][1])
    text += f"   {goals:22s} {verdict(row):6s}" + (f" [{settings}]" if settings else "")
    if row.get("disturbed"):
        text += f" ({row['disturbed']} disturbed)"
    print(text.rstrip(), flush=True)


def markdown(result, families):
    """The table for a page of documentation."""
    for name, module, rows in with_totals(result, families):
        peers = [p for p in PEERS if any(p in ratios(r) for r in rows)]
        print(f"\n### `compare.py {name}`\n\n{module.__doc__.splitlines()[0]}\n")
        print("| work | mxlite | " + "".join(f"{TITLES[p]} | ratio | " for p in peers) + "goal | |")
        print("|---|---|" + "---|---|" * len(peers) + "---|---|")
        for row in rows:
            found, made, unit = row["best"] if "best" in row else best(row), ratios(row), row.get("unit", "s")
            if "mxlite" not in found:
                continue
            mean = row.get("kind") == "mean"
            cells = [row["name"], "" if mean else quantity(found["mxlite"][0], unit)]
            for p in peers:
                cells += [quantity(found[p][0], unit) if p in found and not mean else "",
                          f"{made[p]:.2f}" if p in made else ""]
            names = {"best": "all", **TITLES}
            cells.append(", ".join(f"{names.get(k, k)} {v:.3g}" for k, v in row["goal"].items())
                         + (f" ({made['lower']:.3f})" if "lower" in made else ""))
            notes = ["**short**" if verdict(row) == "short" else "", "disturbed" if row.get("disturbed") else ""]
            print("| " + " | ".join([*cells, ", ".join(filter(None, notes))]) + " |")


def totals(module, rows):
    """Rows over rows, of those totals whose rows are all there."""
    have = {r["name"]: best(r) for r in rows}
    for total in getattr(module, "TOTALS", ()):
        parts = [have.get(name, {}) for name in total.rows]
        if not all("mxlite" in p for p in parts):
            continue
        shared = [k for k in ("mxlite", *PEERS) if all(k in p for p in parts)]
        row = {"name": total.name, "goal": total.goal, "kind": total.kind, "samples": {}}
        if total.kind == "sum":
            row["best"] = {k: (sum(p[k][0] * w for p, w in zip(parts, total.rows.values())), "") for k in shared}
        else:                           # geometric means of ratios; ours is 1
            row["best"] = {k: (math.exp(statistics.mean(math.log(p[k][0] / p["mxlite"][0]) for p in parts)), "")
                           for k in shared}
            each = [min((p[k][0] for k in PEERS if k in p), default=None) for p in parts]
            if None not in each:        # beside the best library of every row
                row["best"]["best"] = (math.exp(statistics.mean(
                    math.log(e / p["mxlite"][0]) for e, p in zip(each, parts))), "")
                row["name"] += f" (best of each: {row['best'].pop('best')[0]:.3f})"
        yield row


def with_totals(result, families):
    """All rows, each family's totals after it."""
    made = []
    for name, module in families.items():
        rows = [r for r in result["rows"] if r["family"] == name]
        if rows:
            made.append((name, module, [*rows, *totals(module, rows)]))
    return made


def summary(result, families):
    """Who ran, how, and which goals were missed."""
    rows = [r for _, _, rows in with_totals(result, families) for r in rows]
    verdicts = [verdict(r) for r in rows]
    print(f"\n{verdicts.count('pass')} goals reached, {verdicts.count('short')} short, {verdicts.count('')} rows "
          "without goal or peer.")
    for row, v in zip(rows, verdicts):
        if v == "short":
            made = ratios(row)
            print(f"  short: {row['name']}: " + ", ".join(f"{k} {made[k]:.2f} of {g:g}" for k, g in row["goal"].items()
                                                          if k in made and made[k] < g))
    m, s = result["machine"], result["settings"]
    print(f"{m['processor']}, {m['cores']} cores; {s['threads']} threads; medians of {s['rounds']} rounds; "
          + ", ".join(f"{k} {v}" for k, v in {k.partition("+")[0]: v for k, v in result["versions"].items()}.items()))
    print("+malloc: " + " ".join(f"{k}={v}" for k, v in s["+malloc"].items()))
    for name, why in result["left out"].items():
        print(f"{name}: left out, {why}")


def show(result, families):
    for name, module, rows in with_totals(result, families):
        heading(name, module)
        for row in rows:
            line(row)
    summary(result, families)


def merged(old, new):
    """`new`, and the rows of `old` that it has not."""
    have = {(r["family"], r["name"]) for r in new["rows"]}
    return {**new, "versions": {**old["versions"], **new["versions"]},
            "rows": [*(r for r in old["rows"] if (r["family"], r["name"]) not in have), *new["rows"]]}


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def save(result, path):
    """The samples, rounded to what they are worth, one row a line."""
    def short(samples):
        return {n: {v: [float(f"{x:.4g}") for x in xs] for v, xs in variants.items()}
                for n, variants in samples.items()}
    rows = [{**r, "samples": short(r["samples"])} for r in result["rows"]]
    head = json.dumps({**result, "rows": []}, indent=1)
    body = ",\n  ".join(json.dumps(r) for r in rows)
    with open(path, "w", encoding="utf-8") as f:
        f.write(head.replace('"rows": []', f'"rows": [\n  {body}\n ]') + "\n")


def chart(result, families, path):
    """Ratios as bars, one a row, with the goals as ticks. Gives what to print."""
    try:
        import matplotlib
    except ImportError:
        return "no chart: this Python has no matplotlib"
    matplotlib.use("Agg")
    from matplotlib import pyplot
    bars = [(name, row, ratios(row)) for name, _, rows in with_totals(result, families) for row in rows]
    bars = [(name, row, made) for name, row, made in bars if made]
    if not bars:
        return "no chart: nobody to compare with"
    figure, axes = pyplot.subplots(figsize=(10, 1.5 + 0.17 * len(bars)))
    colors = {"mxnet": "#4c78a8", "torch": "#f58518", "numpy": "#54a24b"}
    for i, (_, row, made) in enumerate(bars):
        for p in PEERS:
            if p in made:
                axes.plot(made[p], i, "o", color=colors[p], markersize=3, zorder=3)
        if "best" in made:
            color = "#e8a0a0" if verdict(row) == "short" else "#bbbbbb"
            axes.barh(i, made["best"] - 1, left=1, color=color, height=0.7)
        for goal in row["goal"].values():
            axes.plot([goal, goal], [i - 0.4, i + 0.4], color="black", linewidth=1, zorder=4)
    axes.axvline(1, color="black", linewidth=0.5)
    axes.set_xscale("log", base=2)
    axes.set_yticks(range(len(bars)), [f"{row['name']}" for _, row, _ in bars], fontsize=6)
    axes.set_ylim(len(bars), -1)
    axes.set_xlabel("time of the peer / time of mxlite (bar: best peer, line: goal, pink: short)")
    axes.legend(handles=[pyplot.Line2D([], [], marker="o", linestyle="", color=colors[p], label=TITLES[p])
                         for p in PEERS], loc="lower right", fontsize=7)
    axes.grid(axis="x", linewidth=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    return f"wrote {path} and the JSON beside it"
