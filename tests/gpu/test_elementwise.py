"""Element-wise plans on the processor against the CPU's kernels: same formulas, so the same numbers."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite._core.kernels import elementwise
from mxlite.gpu import codegen, formulas, launch, places
from mxlite.gpu.families import elementwise as family

from . import check, shim

pytestmark = shim.needs_cxx
SOME = settings(max_examples=8, deadline=None, derandomize=True)
FLOATS = ("float32", "float64", "float16", "bfloat16")
EVERY = (*FLOATS, "int32", "int64", "int8", "uint8", "bool")
shapes = st.lists(st.sampled_from((0, 1, 2, 3, 4, 5, 8, 17)), max_size=4).map(tuple)


def numbers(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype in FLOATS:
        x = rng.normal(0, 2, shape)
        special = rng.random(shape)
        x = np.where(special < 0.05, np.nan, np.where(special > 0.95, 0.0, x))
        return check.wrap(np.asarray(x), dtype)
    return rng.integers(0, 2 if dtype == "bool" else 9, shape).astype(dtype)


def test_numbers_of_the_loops_are_the_cpus():
    order, kernels = formulas.table()
    assert len(order) == max(op for op, _, _ in elementwise.loops.values()) + 1 + (order[-1].kind == "sv")
    for name, (op, arrays, _) in elementwise.loops.items():
        assert kernels[name] is order[op] and order[op].arrays == arrays, name
    assert {"elementwise." + name for name in elementwise.kernels} <= set(family.KERNELS)


def batches(dtype):
    """The formulas that exist for a dtype, in groups that compile as one segment each."""
    whole = family.computing_of(dtype) == "i"
    found = {f.symbol: name for name, f in formulas.table()[1].items() if not whole or f.whole is not None}
    names = list(found.values())
    return [names[at:at + 24] for at in range(0, len(names), 24)]


@pytest.mark.parametrize("dtype", ("float32", "float64", "bfloat16", "int32"))
def test_every_formula(dtype):
    """Each function against the CPU's loop of it, on ordinary numbers and edges."""
    from mxlite._core import kernelcall, kernels
    edges = [0.0, -0.0, 0.5, -0.5, 1, -1, 2.5, -3.7, 1e-3, 30, -30]
    if dtype != "int32":
        edges += [np.inf, -np.inf, np.nan]
    x = np.concatenate([np.repeat(edges, len(edges)), np.random.default_rng(1).normal(0, 3, 300)])
    z = np.concatenate([np.tile(edges, len(edges)), np.random.default_rng(2).normal(0, 3, 300)])
    xs, numbers = [check.wrap(x, dtype), check.wrap(z, dtype)], [0.75, 1.25, 0.5]
    computing = family.computing_of(dtype)
    for names in batches(dtype):
        some = [formulas.table()[1][name] for name in names]
        ins = [check.Memory(check.bits_of(v)) for v in xs]
        outs = [check.Memory(np.zeros_like(check.bits_of(xs[0]))) for _ in some]
        tensors = [launch.Tensor(m.bits.shape, dtype, m.address) for m in ins + outs]
        steps = [(f, [0, 1], [int(v) for v in numbers] if computing == "i" else family.prepare(f, dtype, numbers)[1])
                 for f in some]
        plan = codegen.segment([codegen.Input(t) for t in tensors[:2]], tensors[2:], steps,
                               range(2, 2 + len(some)), computing)
        shim.run(plan.launches(0))
        for name, m in zip(names, outs):
            want = check.wrap(np.zeros(len(x)), dtype)
            assert kernelcall.call(kernels.lookup("elementwise." + name)[0] if not name.startswith("broadcast_")
                                   else kernels.lookup("elementwise." + name[10:])[0], xs, [want], b"", numbers) == 0
            got = (m.bits, dtype) if dtype == "bfloat16" else m.bits
            a, b = check.wide(got), check.wide(want)
            tol = {"float32": 6e-6, "float64": 1e-13, "bfloat16": 1.6e-2}.get(dtype, 0)
            if dtype in FLOATS:     # what only just overflows, or underflows, may do so on one side
                far = np.abs(b) > 1e37 if dtype != "float64" else np.zeros(len(b), bool)
                a, b = np.where(far, 0, a), np.where(far, 0, b)
            np.testing.assert_allclose(a, b, rtol=tol, atol=tol, err_msg=f"{name} {dtype}")


@pytest.mark.parametrize("dtype", ("float32", "uint8"))
def test_rules_of_kinds_of_kernels(dtype):
    """Operands, numbers and strides as each kind of kernel has them, on the samples of a record or two a kind."""
    ran = set()
    of_floats = ("_rrelu", "_prelu", "_backward__prelu", "_backward_sqrt", "hard_sigmoid")
    for name in of_floats if dtype == "float32" else ():
        ran |= check.check_samples({"elementwise." + name}, (dtype,), 1e-5)
    for name in ("clip", "_backward_clip", "smooth_l1", "_rminus_scalar", "_rpower_scalar", "broadcast_add",
                 "broadcast_power", "_where_number", "_backward_power_scalar", "add_n", "cast", "broadcast", "_copy",
                 "div"):
        ran |= check.check_samples({"elementwise." + name}, (dtype,), 1e-5 if dtype == "float32" else None)
    assert len(ran) >= 11


@SOME
@given(st.integers(1, 40), st.sampled_from(EVERY), st.integers(0, 3))
def test_tails_and_unaligned_views(n, dtype, shift):
    a, b = numbers((n,), dtype, 1), numbers((n,), dtype, 2)
    for name in ("elemwise_add", "elemwise_mul", "_maximum", "_equal"):
        check.check(name, [a, b], {}, shift=shift)
    check.check("relu", [a], {}, shift=shift)
    check.check("_mul_scalar", [a], {"scalar": 3.7}, shift=shift)
    check.check("clip", [a], {"a_min": -1e30, "a_max": 2.5}, shift=shift)
    check.check("_copy", [a], {}, tol=0, shift=shift)


@SOME
@given(shapes, st.integers(0, 2 ** 8 - 1), st.sampled_from(EVERY), st.integers(0, 1))
def test_broadcast(shape, repeated, dtype, shift):
    a = tuple(1 if repeated >> i & 1 else d for i, d in enumerate(shape))
    b = tuple(1 if repeated >> (i + 4) & 1 else d for i, d in enumerate(shape))
    if not shape:
        a = b = (1,)
    for name in ("broadcast_add", "broadcast_sub", "broadcast_greater"):
        check.check(name, [numbers(a, dtype, 1), numbers(b, dtype, 2)], {}, shift=shift)
    to = np.broadcast_shapes(a, b)
    if 0 not in to:
        check.check("broadcast_to", [numbers(a, dtype)], {"shape": to}, tol=0, shift=shift)


@SOME
@given(st.sampled_from(EVERY), st.sampled_from(FLOATS + ("int32", "int64", "int8", "uint8")), st.integers(0, 30))
def test_cast(source, to, n):
    x = numbers((n,), source) if source not in FLOATS else check.wrap(np.linspace(-300, 70000, n), source)
    check.check("Cast", [x], {"dtype": to}, tol=0)


def test_cast_rounds_once_and_saturates():
    x = np.array([1 + 2.0 ** -11 + 2.0 ** -40, 65519.999, 65520, 1e300, -1e300, np.nan, np.inf, 2.0 ** 63, 1e-45, -0.0])
    for to in ("float16", "bfloat16", "int32", "int64", "int8", "float32"):
        check.check("Cast", [x], {"dtype": to}, tol=0)
    check.check("Cast", [np.array([2 ** 53 + 1, -2 ** 62, 33554433, 7])], {"dtype": "float32"}, tol=0)


def test_integers_are_exact_and_never_trap():
    big = np.array([2 ** 62 + 1, -2 ** 62 - 3, -2 ** 63, 9])
    check.check("elemwise_mul", [big, np.array([3, 3, -1, 3])], {}, tol=0)
    check.check("elemwise_div", [big, np.array([0, -1, -1, 2])], {}, tol=0)
    check.check("_mod", [big, np.array([0, -1, -1, -2])], {}, tol=0)
    for scalar in (1e30, -1e30, 2.9, 0):
        check.check("_plus_scalar", [big], {"scalar": scalar}, tol=0)
        check.check("_div_scalar", [np.array([7, -7, 0], "int8")], {"scalar": scalar}, tol=0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_prelu_add_n_and_scalars(dtype):
    x = numbers((3, 5, 4), dtype)
    for act in ("leaky", "elu", "selu", "gelu"):
        check.check("LeakyReLU", [x], {"act_type": act}, tol={"bfloat16": 1.6e-2}.get(dtype, 2e-3))
    check.check("LeakyReLU", [x, numbers((5,), dtype, 3)], {"act_type": "prelu"}, shift=1)
    check.check("add_n", [numbers((7, 3), dtype, k) for k in range(9)], {})
    check.check("_power_scalar", [x], {"scalar": 2.0})


def test_outputs_take_over_inputs():
    x, y = numbers((33,), "float32", 1), numbers((33,), "float32", 2)
    check.check("elemwise_add", [x, y], {}, into={0: 1})
    check.check("broadcast_mul", [numbers((4, 7), "float32"), numbers((7,), "float32")], {}, into={0: 0})


def draw_chain(rng, n_steps, periodic, dtype):
    """Arguments of a random chain in the numbering of the kernel, its inputs' shapes and its output's."""
    channels, inner, outer = periodic
    n = channels * inner * outer
    inputs = [(0, 1, 1), (2, channels, inner), (1, 1, 1), (0, 1, 1)]
    sizes, n_out, registers = [n, channels, 1, n], 2, 3
    names = ("relu", "sigmoid", "tanh", "exp", "add", "mul", "sub", "maximum", "_backward_relu", "_backward_tanh",
             "_mul_scalar", "_rminus_scalar", "clip", "square", "_power_scalar", "abs")
    written, steps = list(range(4)), []
    for k in range(n_steps):
        op, arrays, _ = elementwise.loops[names[rng.integers(len(names))]]
        a, b = rng.choice(written, 2)
        y = 4 + (k if k < 2 else rng.integers(2 + registers))
        steps.append((op, y, int(a), int(b) if arrays > 1 else int(a), (0.5, 1.5, 0.25)))
        written = sorted({*written, int(y)})
    return {"inputs": inputs, "outputs": n_out, "steps": steps, "registers": registers, "cost": 9}, sizes, n


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("periodic", [(3, 4, 5), (8, 1, 6), (5, 1, 3), (2, 16, 2), (1, 1, 7), (7, 9, 1)])
def test_chains(periodic, dtype):
    from mxlite._core import kernelcall, kernels
    rng = np.random.default_rng(sum(periodic))
    for _ in range(3):
        args, sizes, n = draw_chain(rng, int(rng.integers(2, 12)), periodic, dtype)
        xs = [check.wrap(rng.uniform(-1, 1, s), dtype) for s in sizes]
        capsule, pack = kernels.lookup("elementwise.chain")
        want = [check.wrap(np.zeros(n), dtype) for _ in range(2)]
        assert kernelcall.call(capsule, xs, want, pack(args)) == 0
        got, _ = check.run("elementwise.chain", args, xs, [((n,), dtype)] * 2)
        check.same(got, want, {"float64": 1e-12, "float32": 2e-5}.get(dtype, 0.05 if dtype == "bfloat16" else 1e-2))


@SOME
@given(st.integers(1, 2 ** 31 - 1), st.integers(0, 2 ** 31 - 1))
def test_divisors(d, n):
    v = places.divisor(d)
    assert v.mul < 2 ** 32 and ((n * v.mul >> 32) + n) >> v.shift == n // d


def test_wide_indices_agree(monkeypatch):
    """Positions above 2^31 are computed in 64 bits; here for a small array."""
    text = codegen._text
    monkeypatch.setattr(codegen, "_text", lambda *a: text(*a[:-1], True))
    check.check("broadcast_add", [numbers((3, 1, 4, 1), "float32"), numbers((1, 5, 1, 6), "float32")], {})
    check.check("broadcast_add", [numbers((3, 5), "float32"), numbers((5,), "float32")], {})


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int8"])
def test_sums_of_more_terms_than_a_kernel_takes(dtype):
    """In order, rounded once; also where the result takes over the memory of the last term."""
    rng = np.random.default_rng(3)
    for n in (64, 65, 127, 128, 200):
        xs = [check.wrap(np.round(rng.normal(size=(3, 5)) * 8), dtype) for _ in range(n)]
        total = check.wide(xs[0]).astype("float32" if dtype in ("float32", "float16", "bfloat16") else dtype)
        for x in xs[1:]:
            total = total + check.wide(x).astype(total.dtype)
        want = [check.wrap(total, dtype)]
        check.same(check.on_gpu("add_n", xs, {})[0], want, 0)
        check.same(check.on_gpu("add_n", xs, {}, into={0: n - 1})[0], want, 0)
