"""Optimizer steps of the GPU against the CPU's kernels, on the processor."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu import launch
from mxlite.gpu.families import update
from mxlite.ops.record import RECORDS

from .. import reference as R
from . import check, shim

pytestmark = shim.needs_cxx
TOL = {"float32": 2e-6, "float64": 1e-14, "float16": 2e-3, "bfloat16": 1.6e-2}
MULTI = [k for k in RECORDS if k.endswith(("multi_sgd_update", "multi_sgd_mom_update", "multi_mp_sgd_update",
                                           "multi_mp_sgd_mom_update"))]


def test_samples():
    assert check.check_samples(set(update.KERNELS), tol=4e-6) == set(update.KERNELS)
    assert len(MULTI) == 8


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(update.COUNTS)), st.sampled_from((0, 1, 7, 1030)), st.data())
def test_every_step(step, n, data):
    op = RECORDS[step + "_update"]
    dtype, shift = data.draw(st.sampled_from(("float32", "float64"))), data.draw(st.integers(0, 3))
    rng = np.random.default_rng(n)
    params = {"lr": 0.1, "wd": data.draw(st.sampled_from((0.0, 0.1))), "rescale_grad": 0.5,
              "clip_gradient": data.draw(st.sampled_from((-1.0, 0.2)))}
    xs = [rng.uniform(0.1, 1, n).astype(dtype) for _ in range(2 + len(op.aux_names(op.parse(params))))]
    if step == "rmspropalex":
        xs[2] += 2                          # the mean of squares exceeds the square of the mean
    check.check(op.name, xs, params, 4 * TOL[dtype], shift=shift, into=data.draw(st.sampled_from(({}, {0: 0}))))


def test_numbers_that_are_none():
    x = np.array([1, np.nan, np.inf, -np.inf, 2], "float32")
    for name in ("sgd_update", "signsgd_update", "adam_update"):
        more = [np.ones(5, "float32")] * 2 if name == "adam_update" else []
        check.check(name, [np.ones(5, "float32"), x, *more], {"lr": 0.1, "clip_gradient": 0.5})


def many(name, sizes, dtype, seed=0):
    """Inputs and parameters of a step on weights of the given sizes."""
    rng, mixed, momentum = np.random.default_rng(seed), "_mp_" in name, "mom" in name
    xs = []
    for n in sizes:
        wide = [rng.normal(size=n).astype("float32") for _ in range(4)]
        kinds = [dtype, dtype] + (["float32" if mixed else dtype] if momentum else []) + ["float32"] * mixed
        xs += [check.wrap(w, k) for w, k in zip(wide, kinds)]
    rates = rng.uniform(0.01, 1, len(sizes)), rng.uniform(0, 0.1, len(sizes))
    params = {"num_weights": len(sizes), "rescale_grad": 0.5, "clip_gradient": 0.9}
    params.update({"momentum": 0.7} if momentum else {})
    if name.startswith("preloaded"):
        return [*xs, *(r.astype("float32") for r in rates)], params
    return xs, {**params, "lrs": tuple(map(float, rates[0])), "wds": tuple(map(float, rates[1]))}


@pytest.mark.parametrize("name", MULTI)
def test_many_weights(name):
    for dtype in ("float16", "bfloat16", "float32") if "_mp_" in name else ("float32", "float64"):
        xs, params = many(name, (3, 0, 2049, 1, 5000, 2048), dtype)
        fields = 2 + ("mom" in name) + ("_mp_" in name)
        check.check(name, xs, params, TOL[dtype], into={i: i * fields for i in range(6)}, shift=1)


@pytest.mark.parametrize("count", (9, 70, 410))
def test_tables_of_every_size(count):
    xs, params = many("multi_sgd_mom_update", [i % 5 for i in range(count)], "float32")
    own = [x.copy() for x in xs]
    op = RECORDS["multi_sgd_mom_update"]
    want = R.run(op, op.parse(params), own)
    check.same(sum(check.on_gpu(op.name, xs, params), []), [*want, *own])


def test_a_step_that_reads_what_another_wrote_comes_after_it():
    def tensor(at, n=4):
        return launch.Tensor((n,), "float32", at)
    args = dict(weights=2, momentum=0, mixed=0, preloaded=0, lrs=(0.1, 0.2), wds=(0.0, 0.0))
    ins = [tensor(0x100), tensor(0x200), tensor(0x300), tensor(0x400)]
    for outs, launches in (([ins[0], ins[2]], 1), ([tensor(0x500), tensor(0x600)], 1), ([ins[0], ins[0]], 2),
                           ([ins[3], ins[2]], 2), ([tensor(0x500), tensor(0x508)], 2), ([tensor(0x104), ins[2]], 2)):
        plan = launch.plan("update.multi_sgd", args, ins, outs, (1.0, -1.0))
        assert len(plan.launches(0)) == launches
    xs, params = many("multi_sgd_update", (5, 5), "float32")
    check.check("multi_sgd_update", xs, params, into={0: 3, 1: 2})          # the second gradient is the first result


def test_scalars_in_memory_take_the_place_of_given_ones():
    x, g, m = (np.random.default_rng(i).normal(size=9).astype("float32") for i in range(3))
    now = np.array([0.3, 0.8, 0.1, 2.0, 0.5])
    want = check.on_cpu("sgd_mom_update", [x, g, m], dict(zip(
        ("lr", "momentum", "wd", "rescale_grad", "clip_gradient"), now)))[0]
    place = launch.Tensor((5,), "float64", now.ctypes.data)
    got = check.run("update.sgd_mom", None, [x, g, m], [((9,), "float32")], place)
    check.same(got[0] + got[1], want[0] + want[1])
    args = dict(weights=1, momentum=1, mixed=0, preloaded=0, lrs=(0.3,), wds=(0.1,))
    rest = np.array([0.8, 2.0, 0.5])
    got = check.run("update.multi_sgd", args, [x, g, m], [((9,), "float32")], launch.Tensor((3,), "float64",
                                                                                           rest.ctypes.data))
    check.same(got[0] + got[1], want[0] + want[1])


# -- all weights of an optimizer in one launch ------------------------------------------------------------------------

SIZES = (3, 0, 2049, 1, 5000, 2048)


def run_many(step, arrays, dtype, mixed, rates, now, backwards=False, shift=0):
    """The weights after a step on `arrays`: per weight, lists of weight, gradient, states, and the float32 copy if
    `mixed`; memory that has to stay as it is is looked at."""
    held = [[check.Memory(check.bits_of(x), shift, backwards) for x in one] for one in arrays]
    end = 1 if mixed else 0
    weights = [(one[0].bits.size, one[0].address, one[1].address, [m.address for m in one[2:len(one) - end]],
                one[-1].address if mixed else 0) for one in held]
    table, owners = update.rows(weights)
    places = [check.Memory(np.frombuffer(x, np.uint8)) for x in (table, owners)]
    places += [check.Memory(np.array(x, np.float64)) for x in (rates, now)]
    shim.run([update.many(step, dtype, mixed, *(p.address for p in places), len(owners) // 4)], backwards)
    assert all(m.intact() for one in [*held, places] for m in one)
    return [[m.bits.copy() for m in one] for one in held]


@pytest.mark.parametrize("mixed", (False, True))
@pytest.mark.parametrize("step", sorted(update.COUNTS))
def test_all_weights_in_one_launch(step, mixed):
    """Against the records, with multipliers a weight, by vectors and single elements, either thread first."""
    op = RECORDS[step + "_update"]
    assert (op.dynamic[0], op.dynamic[update.DECAY[step]]) == ("lr", "wd")
    states = op.aux_names(op.parse({"lr": 0.1}))
    assert (len(op.dynamic), len(states)) == (update.COUNTS[step], update.STATES[step])
    for dtype in ("float16", "bfloat16") if mixed else ("float32", "float64", "float16"):
        rng, arrays, wants = np.random.default_rng(7), [], []
        params = {**dict.fromkeys(op.dynamic, 0.3), "clip_gradient": 0.9, "rescale_grad": 0.5}
        rates = [(1.0 + k, 0.5 * k) for k in range(len(SIZES))]
        for n, (faster, decayed) in zip(SIZES, rates):
            beside = "float32" if mixed else dtype
            xs = [check.wrap(rng.uniform(0.1, 1, n), d) for d in [dtype, dtype] + [beside] * update.STATES[step]]
            if step == "rmspropalex":
                xs[2] = check.wrap(np.full(n, 3.0), beside)     # mean of squares: more than the square of the mean
            own = {**params, "lr": 0.02 * faster * 0.7, "wd": 0.1 * decayed}
            if mixed:
                wide = check.wide(xs[0]).astype("float32") + np.float32(1e-4)
                (new, *_), after = check.on_cpu(op.name, [wide, check.wide(xs[1]).astype("float32"), *xs[2:]], own)[0]
                wants.append([check.wrap(new, dtype), xs[1], *after[2:], new])
                xs = [*xs, wide]
            else:
                after = [x.copy() for x in xs]              # the CPU's kernels have no float16; the record has
                wants.append([*R.run(op, op.parse(own), after), *after[1:]])
            arrays.append(xs)
        now = [0.02, 0.7, 0.1, *(params[k] for k in op.dynamic)]
        results = [run_many(step, arrays, dtype, mixed, rates, now, backwards, shift)
                   for backwards, shift in ((False, 0), (True, 1))]
        for one, other in zip(*results):
            for a, b in zip(one, other):
                np.testing.assert_array_equal(a, b)
        for got, want in zip(results[0], wants):
            kinds = map(check.dtype_of, want)
            check.same([check._form(g, d) for g, d in zip(got, kinds)], want, 8 * TOL[dtype], f"{step} {dtype}")
