"""Channels last on a GPU: results with the pass and without it, and the CPU's; where what is transposed."""
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

import mxlite as mx
import mxlite.gpu
from mxlite.contrib import amp
from mxlite.gpu import Backend, _libs, dnn, lt

from . import shim
from .fake import Cupy
from .fake_cudnn import Cudnn
from .fake_lt import FakeLt

pytestmark = shim.needs_cxx


def make_backend():
    """A backend of one made-up device with cuDNN and cublasLt."""
    backend = Backend(Cupy)
    dev = backend.device(0)
    dev.libraries["lt"] = lt.Lt(FakeLt(), dev)
    dev.libraries["lt"].lib.xp = dev.xp
    dev.libraries["dnn"] = dnn.Dnn(Cudnn(xp=dev.xp), dev, _libs.Cache(None))
    dev.libraries["missing"] = {"rnn": "not here"}
    return backend


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(_libs, "disk", lambda: _libs.Cache(None))
    monkeypatch.setattr(sys.modules["mxlite.gpu"], "_backend", make_backend())
    with mx.name.NameManager(), mx.runtime.option("tf32", True):    # names of nodes start anew
        yield mx.gpu(0)


def bound(net, ctx, shapes, grad_req="write", dtype="float32", seed=1):
    """An executor filled with numbers, all of which change the result."""
    mx.random.seed(3)
    args = net.list_arguments()
    exe = net.simple_bind(ctx, grad_req, type_dict=dict.fromkeys(args, dtype), **shapes)
    rng = np.random.default_rng(seed)
    for name, a in exe.arg_dict.items():
        fan = max(1, int(np.prod(a.shape[1:])))
        value = rng.integers(0, 3, a.shape) if name.endswith("label") else \
            rng.normal(size=a.shape) * (1 if name in shapes else 1.5 / fan ** 0.5) + name.endswith("gamma")
        a.copy_from(mx.nd.array(value.astype(dtype), dtype=dtype))
    for a in exe.aux_arrays:
        a.copy_from(mx.nd.array(rng.uniform(0.5, 1.5, a.shape).astype("float32")))
    return exe


def host(a):
    h = mx.nd.empty(a.shape, dtype=a.dtype)
    h.copy_from(a)
    return h.asnumpy().copy()


def results(exe, train=True, runs=2):
    """Outputs, gradients and states after each of a few runs; the third of a program would be a replay."""
    out = []
    for _ in range(runs):
        exe.forward(is_train=train)
        if train:
            exe.backward()
        out += [host(a) for a in (*exe.outputs, *[g for g in exe.grad_arrays if g is not None and train],
                                  *exe.aux_arrays)]
    return out


def rows(exe, mode):
    """[(operators, name, shape, how it runs)] of a program, an item a row."""
    lowered = exe._bound.program(exe._bound.mode_named(mode))
    draft = lowered.draft
    ran = set(lowered.program.rows)
    return [(" + ".join(draft.made_of.get(row, (draft.nodes[row].op.name,))), draft.nodes[row].name,
             draft.shapes[draft.outs[row][0]], getattr(lowered.launches[row], "how", "C") if row in ran else None)
            for row in draft.rows if draft.nodes[row].op is not None]


def transposed(exe, mode):
    """Names of the rows that move bytes because of the layout, `(once)` behind those that run once."""
    lowered = exe._bound.program(exe._bound.mode_named(mode))
    draft, ran = lowered.draft, set(lowered.program.rows)
    return [draft.nodes[row].name + " (once)" * (row in draft.once) for row in draft.rows
            if row in ran and draft.made_of.get(row, [""])[0].startswith("channels ")]


def check(net, gpu, tol=3e-4, modes=("train", "infer"), **shapes):
    """The executor on the GPU, after its numbers were found to be the CPU's and those without the pass."""
    exe = bound(net, gpu, shapes)
    for mode in modes:
        want = results(bound(net, mx.cpu(), shapes), mode == "train")
        got = results(bound(net, gpu, shapes), mode == "train")
        with mx.runtime.option("layout", False):
            off = bound(net, gpu, shapes)
            plain = results(off, mode == "train")
            assert not transposed(off, mode)
        for a, b, c in zip(got, plain, want):
            scale = max(1e-2, np.abs(c).max(initial=0))
            np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale)
            np.testing.assert_allclose(a, c, rtol=tol, atol=tol * scale)
    return exe


def conv(x, k, n, name, bias=False, **kw):
    return mx.sym.Convolution(x, kernel=(k, k), num_filter=n, pad=(k // 2, k // 2), no_bias=not bias, name=name, **kw)


def norm(x, name, act=True):
    x = mx.sym.BatchNorm(x, name=name, fix_gamma=False)
    return mx.sym.Activation(x, act_type="relu") if act else x


def head(x, n=4):
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=n, name="fc")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def pool(x, kind="max", **kw):
    return mx.sym.Pooling(x, pool_type=kind, **{"kernel": (2, 2), "stride": (2, 2), **kw})


def lenet():
    x = mx.sym.Variable("data")
    x = pool(mx.sym.Activation(conv(x, 5, 6, "c1", True), act_type="tanh"))
    x = pool(mx.sym.Activation(conv(x, 5, 10, "c2", True), act_type="tanh"))
    return head(x)


def resnet():
    """A stem, a block with its shortcut through a 1x1 of stride 2, a block without, global pooling."""
    x = pool(norm(conv(mx.sym.Variable("data"), 3, 8, "stem"), "bn0"))
    y = norm(conv(x, 3, 8, "a1", stride=(2, 2)), "bna1")
    y = norm(conv(y, 3, 16, "a2"), "bna2", False)
    x = mx.sym.Activation(y + norm(conv(x, 1, 16, "short", stride=(2, 2)), "bns", False), act_type="relu")
    y = norm(conv(x, 3, 16, "b1"), "bnb1")
    y = norm(conv(y, 3, 16, "b2"), "bnb2", False)
    x = mx.sym.Activation(x + y, act_type="relu")
    return head(pool(x, "avg", global_pool=True))


def inception():
    x = conv(mx.sym.Variable("data"), 3, 8, "stem", True)
    parts = [conv(x, 1, 4, "p1"), conv(conv(x, 1, 4, "p3r"), 3, 5, "p3"),
             conv(pool(x, stride=(1, 1), kernel=(3, 3), pad=(1, 1)), 1, 6, "pp")]
    x = mx.sym.Activation(mx.sym.Concat(*parts, dim=1), act_type="relu")
    a, b, c = mx.sym.SliceChannel(x, num_outputs=3, axis=-3)
    return head(pool(a + b * c, "avg"))


def mobilenet():
    x = norm(conv(mx.sym.Variable("data"), 3, 16, "stem", stride=(2, 2)), "bn0")
    x = norm(conv(x, 1, 16, "expand"), "bn1")
    x = mx.sym.clip(mx.sym.BatchNorm(conv(x, 3, 16, "depth", num_group=16), name="bn2"), 0, 6)
    s = mx.sym.Pooling(x, global_pool=True, pool_type="avg", kernel=(1, 1))
    x = mx.sym.broadcast_mul(x, mx.sym.sigmoid(conv(s, 1, 16, "squeeze", True)))
    x = norm(conv(x, 1, 8, "project"), "bn3", False)
    return head(mx.sym.mean(x, axis=(2, 3)))


def segment():
    """Down, up by a deconvolution, and a softmax over channels."""
    x = norm(conv(mx.sym.Variable("data"), 3, 8, "c1"), "bn1")
    y = norm(conv(x, 3, 12, "c2", stride=(2, 2)), "bn2")
    y = mx.sym.Deconvolution(y, kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_filter=8, no_bias=False, name="up")
    y = mx.sym.LeakyReLU(mx.sym.Concat(x, y, dim=1), slope=0.1)
    y = mx.sym.softmax(conv(y, 1, 5, "classes", True), axis=1)
    return mx.sym.MakeLoss(mx.sym.sum(mx.sym.square(y - mx.sym.Variable("label")), axis=(1, 2, 3)))


IMAGE = dict(data=(2, 3, 12, 12))


def test_lenet(gpu):
    exe = check(lenet(), gpu, data=(2, 1, 16, 16), softmax_label=(2,))
    # One channel lies like one channel: neither the data nor the first weight has to move.
    assert transposed(exe, "train") == ["c2_weight_last", "pooling1_planes", "flatten0_backward_last",
                                        "c2_backward_planes"]
    assert transposed(exe, "infer") == ["c2_weight_last (once)", "pooling1_planes"]


def test_a_residual_network_moves_its_data_and_weights_of_3x3(gpu):
    exe = check(resnet(), gpu, **IMAGE, softmax_label=(2,))
    weights = ["stem", "a1", "a2", "b1", "b2"]
    moved = transposed(exe, "train")
    assert sorted(moved[:6]) == sorted(["data_last", *[f"{w}_weight_last" for w in weights]])
    assert sorted(moved[6:]) == sorted([f"{w}_backward_planes" for w in ["stem", *weights]])    # the data's gradient
    weights = [f"{w}_last (once)" for w in ("stem + bn0", "a1 + bna1", "a2 + bna2", "b1 + bnb1", "b2 + bnb2")]
    assert sorted(transposed(exe, "infer")) == sorted([*weights, "data_last"])
    text = exe.explain("train")
    assert "channels last" in text and "(2, 12, 12, 8) float32" in text and "reference" not in text


def test_without_gradients_of_the_data_only_weights_go_back(gpu):
    req = {n: "null" if n in ("data", "softmax_label") else "write" for n in resnet().list_arguments()}
    exe = bound(resnet(), gpu, {**IMAGE, "softmax_label": (2,)}, req)
    want = results(bound(resnet(), mx.cpu(), {**IMAGE, "softmax_label": (2,)}, req))
    for a, b in zip(results(exe), want):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    assert len(transposed(exe, "train")) == 11


def test_epilogues_are_fused_as_on_the_cpu(gpu):
    """What runs as one row with channels last is what runs as one row without."""
    exe, shapes = resnet(), {**IMAGE, "softmax_label": (2,)}

    def fused(ctx, mode):
        return sorted(r[0] for r in rows(bound(exe, ctx, shapes), mode) if " + " in r[0])
    for mode in ("train", "infer"):
        on = fused(gpu, mode)
        assert on == fused(mx.cpu(), mode) and any("Convolution + " in r or "_conv_dgrad + " in r for r in on)


def test_inception(gpu):
    exe = check(inception(), gpu, **IMAGE, softmax_label=(2,))
    moved = set(transposed(exe, "train"))
    assert moved == {"data_last", "stem_weight_last", "p3_weight_last", "pooling1_planes", "flatten0_backward_last",
                     "p3_backward_planes", "stem_backward_planes"}


def test_mobilenet(gpu):
    exe = check(mobilenet(), gpu, **IMAGE, softmax_label=(2,))
    # 1x1 and depthwise weights lie the same way in both orders; so do means and scales of channels.
    assert transposed(exe, "train") == ["data_last", "stem_weight_last", "stem_backward_planes", "stem_backward_planes"]
    assert not [r for r in rows(exe, "train") if r[3] and r[3].startswith("reference")]


def test_segmentation(gpu):
    exe = check(segment(), gpu, **IMAGE, label=(2, 5, 12, 12))
    assert "up_weight_last" in transposed(exe, "train") and "softmax0_planes" not in transposed(exe, "train")


def test_three_axes(gpu):
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3, 3), num_filter=8, pad=(1, 1, 1), name="c1")
    x = mx.sym.Pooling(norm(x, "bn"), kernel=(2, 2, 2), stride=(2, 2, 2))
    x = mx.sym.Convolution(x, kernel=(1, 1, 1), num_filter=6, name="c2")
    exe = check(head(x), gpu, data=(2, 4, 4, 6, 6), softmax_label=(2,))
    assert (2, 4, 6, 6, 8) in [r[2] for r in rows(exe, "train")]


def test_one_axis_stays(gpu):
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3,), num_filter=8, name="c1")
    assert not transposed(check(head(x), gpu, data=(2, 8, 9), softmax_label=(2,)), "train")


def test_few_channels_are_not_worth_it(gpu):
    x = conv(mx.sym.Activation(conv(mx.sym.Variable("data"), 3, 3, "c1"), act_type="relu"), 3, 2, "c2")
    exe = check(head(x), gpu, data=(2, 3, 8, 8), softmax_label=(2,))
    assert not transposed(exe, "train") and not transposed(exe, "infer")


def test_float32_without_tensor_cores_stays(gpu):
    """cuDNN computes that in planes, and would turn it if it were not."""
    shapes = {**IMAGE, "softmax_label": (2,)}
    with mx.runtime.option("tf32", False):
        exe = bound(resnet(), gpu, shapes)
        for a, b in zip(results(exe), results(bound(resnet(), mx.cpu(), shapes))):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
        assert not transposed(exe, "train") and not transposed(exe, "infer")
    assert transposed(exe, "train"), "another option, another program"


@pytest.mark.parametrize("mode", ["train", "infer"])
def test_half_precision(gpu, mode):
    """Casts at the rims, statistics in float32; rows are fused as in float32."""
    x = mx.sym.Cast(mx.sym.Variable("data"), dtype="float16")
    x = norm(conv(x, 3, 8, "c1"), "bn1")
    x = mx.sym.Activation(norm(conv(x, 3, 8, "c2"), "bn2", False) + x, act_type="relu")
    x = mx.sym.Cast(pool(x, "avg", global_pool=True), dtype="float32")
    net, shapes = head(x), {**IMAGE, "softmax_label": (2,)}
    half = {"c1_weight": "float16", "c2_weight": "float16"}

    def given(ctx):
        exe = net.simple_bind(ctx, type_dict=half, **shapes)
        rng = np.random.default_rng(2)
        for name, a in (*exe.arg_dict.items(), *exe.aux_dict.items()):
            value = np.ones(a.shape) if name.endswith(("gamma", "var")) else np.zeros(a.shape) if name.endswith(
                ("beta", "mean", "label", "bias")) else rng.normal(size=a.shape) / 4
            a.copy_from(mx.nd.array(value.astype(a.dtype), dtype=a.dtype))
        return exe
    with mx.runtime.option("tf32", False):
        exe = given(gpu)
        for a, b in zip(results(exe, mode == "train"), results(given(mx.cpu()), mode == "train")):
            np.testing.assert_allclose(a, b, rtol=2e-2, atol=1e-2)
        moved, names = transposed(exe, mode), [r[0] for r in rows(exe, mode)]
    # The data is cast first: half as many bytes move. Both weights, their gradients and the data's move, too.
    assert len(moved) == (6 if mode == "train" else 3), moved
    assert ("BatchNorm + elemwise_add + Activation" if mode == "train" else
            "Convolution + BatchNorm + elemwise_add + Activation") in names
    assert not [r for r in rows(exe, mode) if (r[3] or "").startswith("reference") and r[0] != "BatchNorm into weights"]


def test_mixed_precision_casts_turns_and_folds_weights_once(gpu):
    """At inference; and again when somebody writes into one. The data is cast and moved every time."""
    net, shapes = amp.convert_symbol(resnet(), target_dtype="float16"), {**IMAGE, "softmax_label": (2,)}
    exe, ref = (bound(net, ctx, shapes) for ctx in (gpu, mx.cpu()))
    for k in range(3):
        for e in (exe, ref):
            value = np.random.default_rng(k).normal(size=(16, 16, 3, 3)).astype("float32") / 12
            e.arg_dict["b1_weight"].copy_from(mx.nd.array(value))
        for a, b in zip(results(exe, False), results(ref, False)):
            np.testing.assert_allclose(a, b, rtol=2e-2, atol=5e-3)
    moved = transposed(exe, "infer")
    assert [n for n in moved if not n.endswith("(once)")] == ["data_amp_cast_float16_last"] and len(moved) == 6
    kinds = [r[0] for r in rows(exe, "infer")]
    assert "BatchNorm" not in " ".join(k for k in kinds if not k.startswith(("Convolution", "BatchNorm into")))
    lowered = exe._bound.program((False, None))
    names = [lowered.draft.nodes[row].op.name for row in lowered.program.rows[lowered.program.once:]]
    assert names.count("amp_cast") == 2, "the data's and the last layer's result's"


def test_a_lone_convolution_of_users_arrays_is_not_worth_it(gpu):
    """Data in, result out: cuDNN would move as much."""
    exe = check(conv(mx.sym.Variable("data"), 1, 8, "c"), gpu, modes=("infer",), data=(2, 8, 6, 6))
    assert not transposed(exe, "infer")


def test_masks_are_the_cpus(gpu):
    """Dropout counts elements in planes; it stays there, or, at inference, does nothing in any order."""
    x = conv(mx.sym.Variable("data"), 3, 8, "c1")
    x = conv(mx.sym.Dropout(mx.sym.Activation(conv(x, 3, 8, "c2"), act_type="relu"), p=0.5), 3, 8, "c3")
    exe = check(head(conv(x, 3, 8, "c4")), gpu, data=(2, 4, 8, 8), softmax_label=(2,))
    kinds = {r[0]: r[2] for r in rows(exe, "train")}
    assert kinds["Dropout"] == (2, 8, 8, 8) and "dropout0_last" in transposed(exe, "train")
    assert "dropout0_last" not in transposed(exe, "infer")


def test_an_operator_that_is_not_known_gets_planes(gpu):
    x = norm(conv(mx.sym.Variable("data"), 3, 8, "c1"), "bn1")
    x = mx.sym.LRN(x, nsize=3, name="lrn")
    x = norm(conv(conv(x, 3, 8, "c2"), 3, 8, "c3"), "bn2")
    exe = check(head(x), gpu, data=(2, 4, 8, 10), softmax_label=(2,))
    assert dict((r[1], r[2]) for r in rows(exe, "train"))["lrn"] == (2, 8, 8, 10)
    assert "lrn_last" in transposed(exe, "train")


def test_gradients_that_are_added_stay_where_they_are(gpu):
    """Only the product moves: the sum with what is there already is made in the user's order."""
    shapes, net = {**IMAGE, "softmax_label": (2,)}, resnet()
    exe, ref = (bound(net, ctx, shapes, "add") for ctx in (gpu, mx.cpu()))
    for a, b in zip(results(exe, runs=3), results(ref, runs=3)):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)
    moved = transposed(exe, "train")
    assert sum(name.startswith("b1") for name in moved) == 2, moved


def test_a_weight_that_two_convolutions_share_moves_once(gpu):
    w = mx.sym.Variable("w")
    x = conv(mx.sym.Variable("data"), 3, 8, "c1", weight=w)
    x = conv(mx.sym.Activation(x, act_type="relu"), 3, 8, "c2", weight=w)
    exe = check(head(x), gpu, data=(2, 8, 8, 8), softmax_label=(2,))
    assert transposed(exe, "infer").count("w_last (once)") == 1
    assert transposed(exe, "train").count("w_last") == 1


def test_weights_move_again_when_somebody_writes_into_them(gpu):
    exe = bound(resnet(), gpu, {**IMAGE, "softmax_label": (2,)})
    ref = bound(resnet(), mx.cpu(), {**IMAGE, "softmax_label": (2,)})
    for k in range(3):
        for e in (exe, ref):
            value = np.random.default_rng(k).normal(size=(16, 16, 3, 3)).astype("float32") / 12
            e.arg_dict["b1_weight"].copy_from(mx.nd.array(value))
        for a, b in zip(results(exe, False), results(ref, False)):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_tensors_of_one_shape_pass_through_operators_of_many(gpu):
    x = conv(mx.sym.Variable("data"), 3, 8, "c1")
    y, z = mx.sym.amp_multicast(mx.sym.where(x > 0, x, 2 * x), mx.sym.tanh(x), num_outputs=2)
    x = pool(conv(y * z, 3, 8, "c2"), "avg", global_pool=True)
    exe = check(head(x), gpu, data=(2, 4, 8, 8), softmax_label=(2,))
    assert {r[2] for r in rows(exe, "train") if r[0] in ("where", "amp_multicast", "_backward_where")} == {(2, 8, 8, 8)}
    assert not [n for n in transposed(exe, "train") if n.startswith(("where", "amp"))]
    assert {r[1] for r in rows(exe, "train") if r[0] == "channels last"} == {"data_last", "c1_weight_last",
                                                                           "c2_weight_last", "flatten0_backward_last"}


def test_the_users_own_layouts_stay(gpu):
    x = mx.sym.transpose(mx.sym.Variable("data"), axes=(0, 2, 3, 1))
    x = mx.sym.Convolution(x, kernel=(3, 3), num_filter=8, layout="NHWC", no_bias=True, name="c1")
    x = mx.sym.Pooling(mx.sym.BatchNorm(x, axis=3, name="bn"), kernel=(2, 2), layout="NHWC")
    exe = check(head(x), gpu, data=(2, 4, 8, 8), softmax_label=(2,))
    assert not transposed(exe, "train")
    how = {r[0]: r[3] for r in rows(exe, "train")}
    assert how["Convolution"] == "cuDNN conv.forward" and how["Pooling"] == "CUDA pool.forward"


def test_both_halves_of_a_program_are_one_graph(gpu):
    exe = bound(resnet(), gpu, {**IMAGE, "softmax_label": (2,)})
    results(exe, runs=3)
    program = exe._bound.program((True, True)).program
    assert [graph for _, _, graph in program.cuts(0, program.n)] == [True]


# -- any network ------------------------------------------------------------------------------------------------------

@st.composite
def networks(draw):
    """A random network of convolutions and what may stand between them, of a few images."""
    def pick(*values):
        return draw(st.sampled_from(values))
    x, channels = mx.sym.Variable("data"), draw(st.sampled_from((1, 3, 4, 8)))
    shape, size, known = (2, channels, 8, 8), 8, []
    for i in range(draw(st.integers(2, 7))):
        name, kind = f"n{i}", pick("conv", "conv", "conv", "norm", "act", "pool", "add", "concat", "scale", "lrn",
                                   "drop", "split", "up", "sum", "transpose", "depth")
        if kind == "conv":
            step = pick(1, 1, 2) if size > 2 else 1
            channels = pick(2, 4, 8)
            x, size = conv(x, pick(1, 3), channels, name, pick(True, False), stride=(step, step)), -(-size // step)
        elif kind == "depth":
            x = conv(x, 3, channels, name, num_group=channels)
        elif kind == "norm":
            x = norm(x, name, pick(True, False))
        elif kind == "act":
            x = pick(mx.sym.tanh, mx.sym.relu, mx.sym.sigmoid, mx.sym.square)(x)
        elif kind == "pool" and size % 2 == 0:
            x, size = pool(x, pick("max", "avg", "sum")), size // 2
        elif kind == "add":
            same = [y for y, s in known if s == (channels, size)]
            x = x + same[draw(st.integers(0, len(same) - 1))] if same else x + x * x
        elif kind == "concat":
            same = [(y, s[0]) for y, s in known if s[1] == size]
            y, n = same[draw(st.integers(0, len(same) - 1))] if same else (x, channels)
            x, channels = mx.sym.Concat(x, y, dim=pick(1, -3)), channels + n
        elif kind == "scale":
            x = mx.sym.broadcast_mul(x, pick(mx.sym.mean(x, axis=(2, 3), keepdims=True),
                                             mx.sym.Variable(name, shape=(1, channels, 1, 1))))
        elif kind == "lrn":
            x = mx.sym.LRN(x, nsize=3)
        elif kind == "drop":
            x = mx.sym.Dropout(x, p=0.4)
        elif kind == "split" and channels % 2 == 0:
            x, channels = mx.sym.SliceChannel(x, num_outputs=2)[pick(0, 1)], channels // 2
        elif kind == "up":
            channels = pick(3, 4)
            x, size = mx.sym.Deconvolution(x, kernel=(2, 2), stride=(2, 2), num_filter=channels, name=name), 2 * size
        elif kind == "sum":
            x = mx.sym.broadcast_sub(x, pick(mx.sym.sum(x, axis=1, keepdims=True), mx.sym.max(x, axis=(1, 2),
                                                                                                keepdims=True)))
        elif kind == "transpose":
            x = mx.sym.transpose(x, axes=(0, 1, 3, 2))
        known.append((x, (channels, size)))
    heads = [head(pool(x, "avg", global_pool=True)), mx.sym.MakeLoss(mx.sym.mean(mx.sym.square(x))), head(x)]
    return heads[draw(st.integers(0, 2))], shape


@examples(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_any_network(given_net):
    net, shape = given_net
    label = {"softmax_label": (2,)} if "softmax_label" in net.list_arguments() else {}
    module, before = sys.modules["mxlite.gpu"], sys.modules["mxlite.gpu"]._backend
    module._backend = make_backend()
    try:
        with mx.runtime.option("tf32", True):
            check(net, mx.gpu(0), 2e-3, data=shape, **label)
    finally:
        module._backend = before
