"""What gpu.py prints and writes: a line a row, and a table with the goals."""
import json
import os
import statistics

import gpu_rows

TITLES = {"best": "best of compile and JAX", "eager": "PyTorch eager", "copy": "copy's bandwidth"}


def medians(found):
    """{library: {variant: median}} of a measured row."""
    return {lib: {way: statistics.median(v) for way, v in ways.items()} for lib, ways in found["samples"].items()}


def figures(found, result):
    """What a row is judged by: "ours" (seconds), "best" and "eager" (their time over ours), "copy" (share of a copy's
    bandwidth), "host" (microseconds); what cannot be said is not in it."""
    by, row, out = medians(found), gpu_rows.find(found["name"]), {}
    if not by.get("mxlite"):
        return out
    ours = out["ours"] = min(by["mxlite"].values())
    torch = by.get("torch", {})
    eager = [v for k, v in torch.items() if k.startswith("eager")]
    others = [v for k, v in torch.items() if k.startswith("compile")] + list(by.get("jax", {}).values())
    if eager:
        out["eager"] = min(eager) / ours
    if others:
        out["best"] = min(others) / ours
    if row.kind == "bandwidth":
        tiny = result["about"]["tiny"]
        out["bytes"] = gpu_rows.bytes_of(row, tiny) / ours
        copy = next((r for r in result["rows"] if r["name"].startswith("copy ")), None)
        times = list(medians(copy).get("mxlite", {}).values()) if copy else []
        if times:
            out["copy"] = out["bytes"] * min(times) / gpu_rows.bytes_of(gpu_rows.find(copy["name"]), tiny)
    if row.kind == "host":
        out["host"] = min(by["mxlite"].values()) * 1e6
    return out


def verdict(found, result):
    """"short" where a goal is missed, "pass" where all are reached, "" where one cannot be judged."""
    row, made = gpu_rows.find(found["name"]), figures(found, result)
    judged = [made[k] <= goal if k == "host" else made[k] >= goal for k, goal in row.goal.items() if k in made]
    if result["about"]["tiny"] or not judged:
        return ""
    return "short" if not all(judged) else "pass" if len(judged) == len(row.goal) else ""


def seconds(value):
    return f"{value * 1e6:.1f} µs" if value < 1e-3 else f"{value * 1e3:.2f} ms"


def line(found, result):
    made = figures(found, result)
    parts = [f"{lib} {way or '-'} {seconds(value)}" for lib, ways in medians(found).items()
             for way, value in ways.items()]
    left = [f"{lib}: {why}" for lib, why in found["left out"].items()]
    ratios = [f"{k} {v:.2f}" for k, v in made.items() if k in TITLES]
    return f"{found['name']:44s} {verdict(found, result):5s} {'; '.join([*parts, *ratios, *left])}"


def best(ways):
    """The fastest of some variants as text."""
    if not ways:
        return "absent"
    way = min(ways, key=ways.get)
    return f"{seconds(ways[way])}{f' ({way})' if way not in ('', 'jit', 'eager', 'compile') else ''}"


def table(rows, result):
    lines = ["| | mxlite | PyTorch eager | PyTorch compile | JAX | of the best | of eager | goal |",
             "|---|--:|--:|--:|--:|--:|--:|---|"]
    for found in rows:
        by, made = medians(found), figures(found, result)
        torch = by.get("torch", {})
        ratio = [f"{made[k]:.2f}" if k in made else "" for k in ("best", "eager")]
        goal = gpu_rows.find(found["name"]).goal
        wanted = ", ".join(f"≥ {goal[k]:g} of {k}" for k in ("best", "eager") if k in goal)
        lines.append(" | ".join([
            f"| {found['name']}", best(by.get("mxlite")), best({k: v for k, v in torch.items() if "eager" in k}),
            best({k: v for k, v in torch.items() if "compile" in k}), best(by.get("jax")), *ratio,
            f"{wanted}: {verdict(found, result) or 'not judged'} |"]))
    return lines


def bandwidths(rows, result):
    lines = ["| | bytes a second | of the copy's | goal |", "|---|--:|--:|---|"]
    for found in rows:
        made, goal = figures(found, result), gpu_rows.find(found["name"]).goal.get("copy")
        if made:
            share = f"{100 * made['copy']:.0f} %" if "copy" in made else ""
            met = ("met" if made.get("copy", 0) >= goal else "missed") if goal else ""
            lines.append(f"| {found['name']} | {made['bytes'] / 1e9:.0f} GB | {share} | "
                         f"{f'≥ {100 * goal:.0f} %: {met}' if goal else ''} |")
    return lines


def markdown(result):
    """The whole text of ``docs/measured_gpu.md``."""
    about, order = result["about"], [r.name for r in gpu_rows.rows()]
    rows = sorted(result["rows"], key=lambda r: order.index(r["name"]))
    kinds = {r["name"]: gpu_rows.find(r["name"]).kind for r in rows}
    versions = ", ".join(f"{k} {v}" for k, v in sorted(result["versions"].items()))
    lines = ["# Measured on a GPU", "",
             f"{about['date']}, {about['device']}; Python {about['python']}, {versions}.", ""]
    if about["tiny"]:
        lines += ["**Next to no work, to prove the program: these figures say nothing about speed.**", ""]
    lines += ["`python benchmarks/gpu.py` wrote this. Medians of rounds in turns, each the time between two events",
              "on the device around many steps. TF32 is on in rows of that name alone, in all libraries;",
              "float16 and bfloat16 are the dtype of data and weights. Ratios: their time over ours, of each the best",
              "setting.", ""]
    timed = [r for r in rows if kinds[r["name"]] in ("training", "inference", "latency")]
    if timed:
        lines += [*table(timed, result), ""]
    if plain := [r for r in rows if kinds[r["name"]] == "bandwidth"]:
        lines += ["## Element by element", "", *bandwidths(plain, result), "", *table(plain, result), ""]
    for found in rows:
        if kinds[found["name"]] == "host" and "mxlite" in found["samples"]:
            goal = gpu_rows.find(found["name"]).goal["host"]
            lines += ["## Host time of a captured step", "", f"| | µs (goal: < {goal:g}) |", "|---|--:|"]
            lines += [f"| {found['name']}: {way} | {v * 1e6:.1f} |" for way, v in medians(found)["mxlite"].items()]
            lines.append("")
    judged = [verdict(r, result) for r in rows]
    lines.append(f"{judged.count('pass')} of {len(judged)} rows reach all of their goals, {judged.count('short')} miss "
                 "one, of the others not all were judged.")
    lines += [f"* {r['name']}: not the same network, parameters: {r['parameters']}" for r in rows
              if len(set(r.get("parameters", {}).values())) > 1]
    left = {f"{lib}: {why}" for r in rows for lib, why in r["left out"].items() if "alone" not in why}
    if left or result.get("not begun"):
        lines += ["", *(f"* {w}" for w in sorted(left))]
        if result.get("not begun"):
            lines.append(f"* {result['not begun']} rows were not begun: the time was up")
    return "\n".join(lines) + "\n"


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(result, path):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
