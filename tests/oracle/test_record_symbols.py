"""Every operator that MXNet has too, as a symbol: JSON text, names, and inference from partial knowledge.

Derived from the records' samples, like test_records.py, which compares numbers.
"""
import numpy as np
import pytest

import mxlite as mx

from .. import reference as R
from .client import OracleCrash
from .test_inference import contradiction
from .test_records import OWN, mxnet_operators

ASK = """
import warnings
warnings.simplefilter("ignore")
def described(compose):
    try:
        net = compose()
    except Exception as e:
        return type(e).__name__
    return net.tojson(), net.list_arguments(), net.list_outputs(), net.list_auxiliary_states()
def inferred(net, kind, given):
    try:
        parts = getattr(net, "infer_" + kind + "_partial")(**given)
    except Exception as e:
        return type(e).__name__
    if parts[0] is None:
        return None
    if kind == "shape":
        return [[None if s is None else tuple(s) for s in part] for part in parts]
    return [[None if t is None else np.dtype(t).name for t in part] for part in parts]
def ask(sym, name, params, n_inputs, fill, asked):
    f = getattr(sym._internal if name.startswith("_") else sym.op, name, None)
    if f is None:                       # MXNet keeps some under other names only
        return [], [None] * len(asked)
    # New variables each time: how often one was taken as a state is counted over all symbols there.
    given = lambda n: f(*[sym.Variable("x%d" % i) for i in range(n)], name="node", **params)
    out = [described(lambda: given(n_inputs))] + ([described(lambda: given(min(n_inputs, 1)))] if fill else [])
    net = None if isinstance(out[0], str) else given(n_inputs)
    return out, [None if net is None else inferred(net, kind, given) for kind, given in asked]
"""
NAMES = {"np": np}
exec(ASK, NAMES)

# Inference of MXNet that is wrong, or guesses: operator -> what it does.
WRONG_THERE = {"Crop": "takes float32 for granted where nothing says so",
               "Concat": "adds up what is known and takes an unknown length for 0",
               "Pad": "adds its widths to an unknown length, which it takes for 0",
               "FullyConnected": "data of one axis, which it cannot run, has the weight's rows for its columns",
               "_unravel_index": "lacks an axis of its output"}
# Operators that name all variables they make alike.
ALIKE = {f"_multi_{kind}_update" for kind in ("adamw", "mp_adamw", "lamb", "mp_lamb")}


def questions(op, sample):
    """(parameters, number of inputs, what is asked of inference) for one sample."""
    p = op.parse(sample.params)
    shapes, _ = R.complete(op, p, sample.shapes)
    names = [f"x{i}" for i in range(len(shapes))]
    known = {n: s for n, s in zip(names, shapes) if s}
    rng = np.random.default_rng(sum(map(ord, op.name)))
    asked = [("shape", known)]
    for _ in range(5):
        some = {k: s for k, s in known.items() if rng.random() < 0.6}
        for k in list(some):
            if rng.random() < 0.4:
                some[k] = tuple(0 if rng.random() < 0.4 else d for d in some[k])
        asked.append(("shape", some))
    for dtype in ("float32", "float64", "float16", "int32"):
        asked.append(("type", {n: dtype for n in names}))
        asked.append(("type", {n: dtype for n in names if rng.random() < 0.5}))
    return dict(sample.params), len(shapes), asked


@pytest.fixture(scope="module")
def known(oracle):
    return set(oracle.run("result = list(mx.operator.get_all_registered_operators())"))


@pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in mxnet_operators() if op.name not in OWN])
def test_symbol(oracle, op):
    cases = [questions(op, s) for s in op.samples if not any(s and 0 in s for s in s.shapes)]
    fill = op.name not in ALIKE and bool(op.aux or not op.variadic)
    calls = [(op.name, params, n, fill, asked) for params, n, asked in cases]
    try:
        theirs = oracle.run(ASK + "result = [ask(sym, *call) for call in calls]", calls=calls)
    except OracleCrash:
        return                                          # infinite loops and faults of MXNet's own shape rules
    problems = []
    for call, (their_text, their_facts) in zip(calls, theirs):
        with mx.name.NameManager():
            my_text, my_facts = NAMES["ask"](mx.sym, *call)
        what = f"{op.name}({call[1]})"
        for a, b in zip(my_text, their_text):
            if isinstance(b, str):
                continue                                # MXNet refuses to compose it
            if list(a) != list(b):
                problems.append(f"{what}: {a}\\nMXNet {b}" if isinstance(a, str) else "\n".join(
                    f"{what}: {x}\nMXNet {y}" for x, y in zip(a, b) if x != y))
        for (kind, given), a, b in zip(call[4], my_facts, their_facts):
            if isinstance(b, str) or b is None:
                continue
            if a == "MXNetError" and "int32" in given.values():
                continue                                # refused at once; MXNet refuses when it runs
            if not isinstance(a, list):
                problems.append(f"{what} {kind} {given}: {a or 'gives up'} where MXNet knows {b}")
            elif contradiction(a, b) not in (None, "more"):
                problems.append(f"{what} {kind} {given}: {a}, MXNet {b}")
    assert bool(problems) == (op.name in WRONG_THERE), "\n".join(problems) or "MXNet agrees now"
