"""Random calls of every operator, sensible and senseless: ``python -m tests.fuzz_worker SEED ROUNDS LOG [OP ...]``.

What is about to run is written to LOG first, so that whoever started this process knows what killed it. A case is
repeated by its seed and operator alone. Ends with 1 where an exception came out that is not the user's business.
"""
import os
import random
import resource
import signal
import sys
import traceback
import warnings

import numpy as np

import mxlite as mx
from mxlite.ops import RECORDS
from mxlite.ops.types import DTYPES

ALLOWED = (mx.MXNetError, TypeError, ValueError, IndexError, MemoryError, OverflowError)
SECONDS = 20                # most that one case may take
BYTES = 3 << 30             # address space beyond what the process starts with

INTS = [0, 1, 2, 3, -1, -2, 4, 5, 7, -9]
WILD = [2**31, 2**63, -2**63, 2**70, 10**6, 10**12, float("nan"), float("inf"), -1e30, 1e-40, 0.5, None, "", "None",
        "nonsense", "(1, 2", "[1,2]", "1e9", True, (), (1,), (0, 0), (2, 2), (2, 3, 4), (-1, 2), (None, 1), [1, 2],
        (1,) * 9, (2**40, 2**40), b"x", object, {}, {"a": 1}, np.float32(2), np.int64(3), np.array([1, 2]), 3 + 4j,
        ("a", "b"), ((1, 2), (3, 4)), (1.5, 2.5), "float32", "float16", "bool", "complex64", np.float64]


def number(r):
    return r.choice(INTS) if r.random() < 0.8 else r.choice(WILD)


def value_of(r, param):
    """A value for `param`: mostly of its kind, sometimes anything."""
    roll = r.random()
    if roll < 0.15:
        return r.choice(WILD)
    if param.choices:
        return r.choice(param.choices)
    kind = getattr(param.type, "__name__", "")
    if kind == "dtype" or roll < 0.2:
        return r.choice(DTYPES)
    if kind in ("shape", "slots", "axes", "reals") or roll < 0.35:
        return tuple(number(r) for _ in range(r.randrange(5)))
    if kind == "real":
        return r.choice([0.0, 1.0, -1.0, 0.5, 2.0, 1e-5, 1e30, -0.0, float("nan"), float("inf")])
    if kind == "boolean":
        return r.choice([True, False])
    return number(r)


def shape_of(r):
    ndim = r.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 8])
    return tuple(r.choice([0, 1, 1, 2, 2, 3, 4, 5, 7] if ndim < 6 else [1, 1, 2]) for _ in range(ndim))


def data_of(r, shape, dtype):
    """Values that kernels like, and values that they do not."""
    rng = np.random.default_rng(r.randrange(2**32))
    roll = r.random()
    if roll < 0.4:
        x = rng.uniform(-1, 1, shape)
    elif roll < 0.7:
        x = rng.integers(0, 4, shape)
    elif roll < 0.8:
        x = rng.integers(-9, 9, shape)
    elif roll < 0.9:
        x = np.zeros(shape)
    else:
        x = rng.choice([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.0**63, -2.0**63, 0.0, 3e9, 1e-40], shape)
    with np.errstate(all="ignore"):
        return mx.nd.array(np.asarray(x, np.float64), dtype=dtype)


def case(r, op):
    """(shapes, dtypes, parameters) of one call: a sample of the record with changes, or anything."""
    names = list(op.params)
    if op.samples and r.random() < 0.7:
        sample = r.choice(op.samples)
        shapes, params = [s for s in sample.shapes if s is not None], dict(sample.params)
        dtypes = [sample.dtype if r.random() < 0.7 else r.choice(DTYPES)] * len(shapes)
        for _ in range(r.randrange(3)):
            roll = r.random()
            if names and roll < 0.5:
                k = r.choice(names)
                params[k] = value_of(r, op.params[k])
            elif shapes and roll < 0.8:
                i = r.randrange(len(shapes))
                shapes[i] = shape_of(r) if r.random() < 0.4 else tuple(
                    r.choice([0, 1, d, d + 1]) for d in shapes[i])
            elif shapes and roll < 0.9:
                dtypes[r.randrange(len(shapes))] = r.choice(DTYPES)
            elif shapes:
                i = r.randrange(len(shapes))
                del shapes[i], dtypes[i]
    else:
        one = r.choice(DTYPES)
        n = r.choice([0, 1, 1, 2, 2, 3, 5]) if op.variadic else len(mx.nd.functions.all_inputs(op))
        same = shape_of(r)
        shapes = [same if r.random() < 0.6 else shape_of(r) for _ in range(n)]
        dtypes = [one if r.random() < 0.8 else r.choice(DTYPES) for _ in range(n)]
        params = {k: value_of(r, op.params[k]) for k in names if r.random() < 0.6}
    return shapes, dtypes, params


def imperative(op, arrays, params, r):
    function = getattr(mx.nd._internal, op.name)
    out = function(*arrays, **params)
    first = out[0] if isinstance(out, list) else out
    first.asnumpy()
    if r.random() < 0.3:            # once more into given memory, of the right shape or not
        target = r.choice([first, arrays[0] if arrays else first, mx.nd.zeros(shape_of(r), dtype=r.choice(DTYPES))])
        function(*arrays, out=target, **params)


def symbolic(op, arrays, params, r):
    """The same call as a graph between other operators, bound, run and differentiated."""
    names = [f"x{i}" for i in range(len(arrays))]
    net = getattr(mx.sym._internal, op.name)(*map(mx.sym.Variable, names), name="node", **params)
    known = dict(zip(names, arrays))
    shapes = {n: a.shape for n, a in known.items() if a.ndim}
    net.infer_shape_partial(**shapes)
    net.infer_type_partial(**{n: a.dtype_name for n, a in known.items()})
    again = mx.sym.load_json(net.tojson())
    if r.random() < 0.3:
        again = mx.sym.identity(again[0]) * 2
    args = {n: known[n] for n in again.list_arguments() if n in known}
    aux = {n: known[n] for n in again.list_auxiliary_states() if n in known}
    grads = {n: mx.nd.zeros(a.shape, dtype=a.dtype_name) for n, a in args.items()}
    executor = again.bind(mx.cpu(), args, grads, r.choice(["write", "add", "null"]), aux)
    outputs = executor.forward(is_train=r.random() < 0.7)
    executor.backward([mx.nd.ones(o.shape, dtype=o.dtype_name) for o in outputs])
    for a in outputs + [g for g in executor.grad_arrays if g is not None]:
        a.asnumpy()
    again.simple_bind(mx.cpu(), **shapes).forward()


def too_slow(signum, frame):
    raise RuntimeError(f"more than {SECONDS} s")


def main(seed, rounds, log, *chosen):
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_slow)
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):       # its shadow memory takes the whole address space
        with open("/proc/self/statm") as f:
            now = int(f.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, now + BYTES))
    bad = done = fine = 0
    with open(log, "w") as report:
        for name in chosen or sorted(RECORDS):
            for i in range(int(rounds)):
                op, r = RECORDS[name], random.Random(f"{seed}/{name}/{i}")
                shapes, dtypes, params = case(r, op)
                report.seek(0)
                report.truncate()
                told = f"seed {seed}, round {i}: {name}{tuple(zip(shapes, dtypes))} {params}"
                report.write(told + "\n")
                report.flush()
                for run in (imperative, symbolic):
                    signal.alarm(SECONDS)
                    try:
                        arrays = [data_of(r, s, d) for s, d in zip(shapes, dtypes)]
                        run(op, arrays, dict(params), r)
                        fine += 1
                    except ALLOWED:
                        pass
                    except Exception as e:
                        if type(e) is RuntimeError and str(e).startswith("simple_bind error"):
                            continue                # MXNet's class for it
                        bad += 1
                        print(f"--- {run.__name__}: {told}")
                        traceback.print_exc(limit=-4, file=sys.stdout)
                    finally:
                        signal.alarm(0)
                    done += 1
    print(f"{done} calls, {fine} ran through, {bad} ended with an exception that no caller expects")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
