"""Every operator that MXNet has too, on its record's samples: outputs, gradients and states, called by name in both.

What the records' samples cover is compared here without another line of test; an operator added to `mxlite/ops` with a
name that MXNet knows is compared with it from then on.
"""
import numpy as np
import pytest

import mxlite as mx
from mxlite import autograd as ag
from mxlite.ops import RECORDS

from .. import reference as R
from .client import OracleCrash, OracleError

RUN = """
ag = mx.autograd
def one(name, arrays, params, train, n_aux, heads):
    xs = [nd.array(a, dtype=a.dtype) for a in arrays]
    for x in xs[:len(xs) - n_aux]:
        if np.dtype(x.dtype).kind == 'f':
            x.attach_grad()
    f = getattr(nd._internal if name.startswith('_') else nd.op, name)
    with ag.record(train_mode=train):
        out = f(*xs, **params)
    out = out if isinstance(out, list) else [out]
    recorded = None if heads is None else True
    if heads is not None:
        try:
            ag.backward(out, [nd.array(h, dtype=o.dtype) for h, o in zip(heads, out)], train_mode=train)
        except Exception as e:
            recorded = str(e)[-300:]
    return ([o.asnumpy() for o in out], [None if x.grad is None else x.grad.asnumpy() for x in xs],
            [x.asnumpy() for x in xs[len(xs) - n_aux:]], recorded)
result = []
for call in calls:
    try:
        result.append(one(*call))
    except Exception as e:
        result.append(str(e)[-300:])
"""

# Operators of mxlite's own: what gradients and the executor are made of.
OWN = set("""_accumulate _batch_statistics _conv_dgrad _conv_wgrad _digamma _gemm _linalg_cofactor
    _linalg_triangle _lstm_gates _pool_pick _pool_pick_v1
    _reshape_to _scale_gradient _softrelu _spread _trigamma _unbroadcast _where_number""".split())
# Calls that MXNet 1.9.1 itself computes wrongly: operator -> (which sample, what is wrong). Each must still differ.
MXNET_IS_WRONG = {
    "Deconvolution": (lambda s, dtype: s.params.get("dilate") and dtype == "float64", "its own float32 disagrees"),
    "LeakyReLU": (lambda s, dtype: s.params.get("act_type") == "selu", "the gradient below 0"),
    "lamb_update_phase1": (lambda s, dtype: s.params.get("bias_correction", True) and dtype == "float64",
                           "1 - beta ** t in float32"),
    "Pad": (lambda s, dtype: min(s.params["pad_width"]) < 0, "negative widths read outside of the array"),
    "SoftmaxActivation": (lambda s, dtype: len(s.shapes[0]) == 3, "the gradient is not that of its output"),
    "_unravel_index": (lambda s, dtype: len(s.shapes[0]) == 2, "the output lacks an axis"),
}
# Calls that MXNet dies of, or may die of, operator -> (which sample, while training or not; in its gradient alone?).
# They are not asked, nor are gradients that are deadly: a new process takes more than a second.
KILLS_MXNET = {
    "LeakyReLU": (lambda s, train: s.params.get("act_type") == "rrelu" and train, False),
    # Its gradient without lengths writes where numbers of an uninitialised array say.
    "SequenceLast": (lambda s, train: not s.params.get("use_sequence_length"), True),
    "UpSampling": (lambda s, train: s.params["scale"] == 1 and s.params["sample_type"] == "bilinear", False),
}


def mxnet_operators():
    """Records whose name is an operator of MXNet 1.9.1, without those that only gradients use."""
    return [op for name, op in sorted(RECORDS.items()) if not name.startswith("_backward") and op.samples]


def draw(op, sample, shapes, rng, dtype):
    """Inputs of `dtype`; where the record wants others beside it (BatchNorm's parameters), only the data is of it."""
    try:
        return R.draw(op, sample, shapes, rng, dtype)
    except ValueError:
        xs = R.draw(op, sample, shapes, rng, "float32")
        return [xs[0].astype(dtype), *xs[1:]]


def calls_of(op, dtype):
    """[(sample, call for RUN)] of a record in one dtype."""
    rng = np.random.default_rng(sum(map(ord, op.name)))
    out = []
    for sample in op.samples:
        p = op.parse(sample.params)
        in_shapes, out_shapes = R.complete(op, p, sample.shapes)
        if any(0 in s or s == () for s in (*in_shapes, *out_shapes)):
            continue                            # MXNet has no such arrays
        xs = draw(op, sample, in_shapes, rng, dtype if sample.dtype == "float32" else None)
        heads = [rng.uniform(-1, 1, s) for s in out_shapes[:op.n_visible(p)]]
        for train in (True, False) if op.train_aware else (True,):
            out.append((sample, (op.name, xs, dict(sample.params), train, len(op.aux_names(p)), heads)))
    return out


def run(name, arrays, params, train, n_aux, heads):
    """What RUN's `one` does, here."""
    xs = [mx.nd.array(a, dtype=a.dtype) for a in arrays]
    for x in xs[:len(xs) - n_aux]:
        if np.dtype(x.dtype).kind == "f":
            x.attach_grad()
    with ag.record(train_mode=train):
        out = mx.nd.functions.get(name)(*xs, **params)
    out = out if isinstance(out, list) else [out]
    tracked = [(o, h) for o, h in zip(out, heads) if o._entry is not None]
    if tracked:
        ag.backward([o for o, _ in tracked], [mx.nd.array(h, dtype=o.dtype) for o, h in tracked], train_mode=train)
    return ([o.asnumpy() for o in out], [None if x.grad is None else x.grad.asnumpy() for x in xs],
            [x.asnumpy() for x in xs[len(xs) - n_aux:]])


@pytest.fixture(scope="module")
def known(oracle):
    return set(oracle.run("result = list(mx.operator.get_all_registered_operators())"))


def close(mine, theirs, what, lead):
    assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype), \
        f"{what}: {mine.shape} {mine.dtype}, MXNet {theirs.shape} {theirs.dtype}"
    tol = {"float16": 1e-2, "float32": 3e-5, "float64": 1e-6}
    tol = max(tol.get(theirs.dtype.name, 0), tol.get(lead, 0))
    np.testing.assert_allclose(mine, theirs, rtol=tol, atol=tol, equal_nan=True, err_msg=what)


def kills(op, sample, call):
    """None, "gradient" where only that kills MXNet, or "call"."""
    which, gradient = KILLS_MXNET.get(op.name, (lambda s, train: False, False))
    return ("gradient" if gradient else "call") if which(sample, call[3]) else None


def ask_what_is_safe(oracle, op, calls):
    """The answers to `calls` [(sample, call)] of an operator, without asking what MXNet is known to die of."""
    deadly = [kills(op, *c) for c in calls]
    safe = [(*call[:-1], None) if d else call for (_, call), d in zip(calls, deadly) if d != "call"]
    answers = iter(ask(oracle, safe))
    return ["MXNet dies" if d == "call" else next(answers) for d in deadly]


def ask(oracle, calls):
    """An answer a call: what RUN's `one` gives, or a text where MXNet raises or dies of it."""
    try:
        return oracle.run(RUN, calls=calls)
    except (OracleCrash, OracleError):          # an error here is work that failed after its call had returned
        if len(calls) == 1:
            return ["MXNet died"]
    return [answer for call in calls for answer in ask(oracle, [call])]


@pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in mxnet_operators()])
def test_operator(oracle, known, op):
    if op.name not in known:
        assert op.name in OWN, "an operator that MXNet does not have under this name: a slip, or one for OWN"
        return
    calls = [c for dtype in ("float32", "float64", "float16") for c in calls_of(op, dtype)]
    answers = ask_what_is_safe(oracle, op, calls)
    problems, found_wrong = [], False
    for (sample, call), theirs in zip(calls, answers):
        try:
            if isinstance(theirs, str):
                try:
                    run(*call)                  # MXNet refuses, or dies; here it works, or is refused with a reason
                except mx.MXNetError:
                    pass
                continue
            outs, grads, aux, recorded = theirs
            lead = call[1][0].dtype.name if call[1] else ""
            my_outs, my_grads, my_aux = run(*call)
            assert len(my_outs) == len(outs), f"{len(my_outs)} outputs, MXNet {len(outs)}"
            for i, (a, b) in enumerate(zip(my_outs, outs)):
                if op.random:
                    assert (a.shape, a.dtype) == (b.shape, b.dtype)
                else:
                    close(a, b, f"output {i}", lead)
            if recorded is True and not op.random:
                for i, (a, b) in enumerate(zip(my_grads, grads)):
                    if b is not None:
                        close(a, b, f"gradient {i}", lead)
                for i, (a, b) in enumerate(zip(my_aux, aux)):
                    close(a, b, f"state {i}", lead)
        except (AssertionError, mx.MXNetError) as e:
            if wrong_there(op, sample, call):
                found_wrong = True
                continue
            problems.append(f"{op.name}({sample}) {call[1][0].dtype if call[1] else ''} train={call[3]}: {e}")
    assert not problems, "\n".join(problems)
    assert found_wrong or op.name not in MXNET_IS_WRONG, f"MXNet agrees now: {MXNET_IS_WRONG[op.name][1]}"


@pytest.mark.parametrize("name", KILLS_MXNET)
def test_what_kills_mxnet(oracle, name):
    call = next(call for sample, call in calls_of(RECORDS[name], "float32") if kills(RECORDS[name], sample, call))
    oracle.close()
    with pytest.raises(OracleCrash):
        oracle.run(RUN, calls=[call])


def wrong_there(op, sample, call):
    """Is this a call that MXNet is known to compute wrongly?"""
    return op.name in MXNET_IS_WRONG and MXNET_IS_WRONG[op.name][0](sample, str(call[1][0].dtype))
