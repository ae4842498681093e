"""mxlite.examples.symbols: parameters by name and number, texts, errors, and that published files load by name."""
import ast
import pathlib
import re
import textwrap

import numpy as np
import pytest

import mxlite as mx
from mxlite.examples import symbols

from . import networks

# Parameters, gammas and betas of BatchNorm included, its moving statistics not, as the networks' papers and other
# collections publish them. Where a network here is not letter for letter the published one, the sum says why.
PUBLISHED = {
    "mlp": 109_386, "lenet": 431_080,
    "alexnet": 50_844_008,                  # 62,378,344 at 227x227, see test_alexnet_at_227
    "caffenet": 60_965_224,
    "vgg11": 132_863_336, "vgg13": 133_047_848, "vgg16": 138_357_544, "vgg19": 143_667_240,
    "vgg11-bn": 132_868_840, "vgg13-bn": 133_053_736, "vgg16-bn": 138_365_992, "vgg19-bn": 143_678_248,
    "inception-bn": 11_295_240,
    "inception-v3": 23_834_568,             # without the auxiliary classifier
    # v1: a projection of 64 to 64 channels in stage 1, which the paper's two shallow networks leave out
    "resnet_v1-18": 11_689_512 + 64 * 64 + 2 * 64, "resnet_v1-34": 21_797_672 + 64 * 64 + 2 * 64,
    "resnet_v1-50": 25_557_032, "resnet_v1-101": 44_549_160, "resnet_v1-152": 60_192_808,
    "mobilenet-0.25": 470_072, "mobilenet-0.5": 1_331_592, "mobilenet-0.75": 2_585_560, "mobilenet-1.0": 4_231_976,
    "mobilenet_v2": 3_504_872 + 32 * 32 + 2 * 32,       # the first block's expansion by 1
}
# The same with moving statistics, as Gluon's list of models counts the v2 networks.
PUBLISHED_WITH_STATES = {
    "resnet-18": 11_695_796 + 64 * 64, "resnet-34": 21_811_380 + 64 * 64, "resnet-50": 25_595_060,
    "resnet-101": 44_639_412, "resnet-152": 60_329_140,
}
# Millions, as the paper's table of CIFAR-10 networks rounds them.
ROUNDED = {"resnet_v1-20": 0.27, "resnet_v1-56": 0.85, "resnet_v1-110": 1.7}


def shapes(net, shape):
    """Two dicts, parameter -> shape and auxiliary state -> shape."""
    args, outputs, states = net.infer_shape(data=shape)
    assert outputs == [(shape[0], outputs[0][1])]
    args = dict(zip(net.list_arguments(), args))
    assert args.pop("data") == shape
    assert args.pop("softmax_label") == shape[:1]
    return args, dict(zip(net.list_auxiliary_states(), states))


def total(named):
    return sum(int(np.prod(shape)) for shape in named.values())


@pytest.mark.parametrize("name", networks.EXAMPLES)
def test_infers_counts_and_comes_back_from_its_text(name):
    net = networks.example(name)
    assert net.list_outputs() == ["softmax_output"]
    names = net.list_arguments() + net.list_auxiliary_states()
    assert len(set(names)) == len(names)
    params, states = shapes(net, networks.EXAMPLES[name][2])
    if name in PUBLISHED:
        assert total(params) == PUBLISHED[name]
    if name in PUBLISHED_WITH_STATES:
        assert total(params) + total(states) == PUBLISHED_WITH_STATES[name]
    if name in ROUNDED:
        assert total(params) / 1e6 == pytest.approx(ROUNDED[name], rel=0.02)
    text = net.tojson()
    again = mx.sym.load_json(text)
    assert again.tojson() == text
    assert shapes(again, networks.EXAMPLES[name][2]) == (params, states)


def test_published_counts_belong_to_examples():
    assert {*PUBLISHED, *PUBLISHED_WITH_STATES, *ROUNDED} <= {*networks.EXAMPLES}


def test_alexnet_at_227():
    params, _ = shapes(networks.example("alexnet"), (1, 3, 227, 227))
    assert total(params) == 62_378_344
    assert params["fc1_weight"] == (4096, 9216)


def test_classes_and_layers_follow_the_arguments():
    for name in networks.EXAMPLES:
        net = networks.example(name, num_classes=7, conv_workspace=512, some_option_of_a_script=1)
        assert net.infer_shape(data=networks.EXAMPLES[name][2])[1][0][1] == 7
    assert "'workspace': '512'" in str(symbols.resnet.get_symbol(conv_workspace=512).attr_dict()["conv0"])
    for shape in ("3,32,32", (3, 32, 32), [3, 32, 32]):
        assert symbols.resnet.get_symbol(num_layers=20, image_shape=shape).infer_shape(data=(1, 3, 32, 32))[1]


# -- names ------------------------------------------------------------------------------------------------------------

def normalized(*names):
    return {f"{name}_{what}" for name in names for what in ("gamma", "beta", "moving_mean", "moving_var")}


def weights(*names, bias=True):
    return {f"{name}_{what}" for name in names for what in ("weight", "bias")[:1 + bias]}


def names_of(name):
    net = networks.example(name)
    return {*net.list_arguments(), *net.list_auxiliary_states()} - {"data", "softmax_label"}


def test_names_of_the_plain_networks():
    assert names_of("mlp") == weights("fc1", "fc2", "fc3")
    assert names_of("lenet") == weights("convolution0", "convolution1", "fullyconnected0", "fullyconnected1")
    convs = [f"conv{i}" for i in range(1, 6)]
    assert names_of("alexnet") == weights(*convs, "fc1", "fc2", "fc3")
    assert names_of("caffenet") == weights(*convs, "fc6", "fc7", "fc8")
    convs = ["1_1", "1_2", "2_1", "2_2", *(f"{i}_{j}" for i in (3, 4, 5) for j in (1, 2, 3))]
    vgg16 = weights(*("conv" + c for c in convs), "fc6", "fc7", "fc8")
    assert names_of("vgg16") == vgg16
    assert names_of("vgg16-bn") == vgg16 | normalized(*("bn" + c for c in convs))
    assert names_of("vgg19") == vgg16 | weights("conv3_4", "conv4_4", "conv5_4")


def test_names_of_the_residual_networks():
    units = [f"stage{i}_unit{j}" for i in (1, 2, 3, 4) for j in (1, 2)]
    v2 = weights("fc1") | weights("conv0", *(f"stage{i}_unit1_sc" for i in (1, 2, 3, 4)), bias=False)
    v2 |= weights(*(f"{u}_conv{k}" for u in units for k in (1, 2)), bias=False)
    v2 |= normalized("bn_data", "bn0", "bn1", *(f"{u}_bn{k}" for u in units for k in (1, 2)))
    assert names_of("resnet-18") == v2
    v1 = weights("fc1") | weights("conv0", *(f"stage{i}_unit1_conv1sc" for i in (1, 2, 3, 4)), bias=False)
    v1 |= weights(*(f"{u}_conv{k}" for u in units for k in (1, 2)), bias=False)
    v1 |= normalized("bn0", *(f"{u}_bn{k}" for u in units for k in (1, 2)))
    v1 |= normalized(*(f"stage{i}_unit1_sc" for i in (1, 2, 3, 4)))
    assert names_of("resnet_v1-18") == v1
    for name, unit in (("resnet-152", "stage3_unit36"), ("resnet-200", "stage2_unit24"),
                       ("resnet-269", "stage4_unit8")):
        assert weights(f"{unit}_conv3", bias=False) | normalized(f"{unit}_bn3") <= names_of(name)
    # Bottlenecks of v2 halve the sides in the 3x3 convolution, those of v1 in the first.
    assert networks.example("resnet-50").attr_dict()["stage2_unit1_conv2"]["stride"] == "(2, 2)"
    assert networks.example("resnet_v1-50").attr_dict()["stage2_unit1_conv1"]["stride"] == "(2, 2)"


def test_names_of_the_inceptions():
    layers = ["1", "2_red", "2"]
    for block in ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        both = ("3x3_reduce", "3x3", "double_3x3_reduce", "double_3x3_0", "double_3x3_1")
        layers += [f"{block}_{part}" for part in (both if block in ("3c", "4e") else ("1x1", *both, "proj"))]
    expected = weights("fc1", *(f"conv_{n}" for n in layers)) | normalized(*(f"bn_{n}" for n in layers))
    assert names_of("inception-bn") == expected
    internals = networks.example("inception-bn").get_internals().list_outputs()
    assert {"ch_concat_5b_chconcat_output", "global_pool_output", "flatten_output", "fc1_output"} <= {*internals}

    conv, tower, tower1, tower2 = "_conv", "_tower_conv", "_tower_1_conv", "_tower_2_conv"
    layers = ["conv", "conv_1", "conv_2", "conv_3", "conv_4"]
    parts = {
        ("mixed", "mixed_1", "mixed_2"): (conv, tower, tower + "_1", tower1, tower1 + "_1", tower1 + "_2", tower2),
        ("mixed_3",): (conv, tower, tower + "_1", tower + "_2"),
        ("mixed_4", "mixed_5", "mixed_6", "mixed_7"): (
            conv, tower, tower + "_1", tower + "_2", tower1, *(f"{tower1}_{i}" for i in (1, 2, 3, 4)), tower2),
        ("mixed_8",): (tower, tower + "_1", tower1, *(f"{tower1}_{i}" for i in (1, 2, 3))),
        ("mixed_9", "mixed_10"): (
            conv, tower, "_tower_mixed_conv", "_tower_mixed_conv_1", tower1, tower1 + "_1", "_tower_1_mixed_conv",
            "_tower_1_mixed_conv_1", tower2),
    }
    layers += [block + part for blocks, ends in parts.items() for block in blocks for part in ends]
    expected = weights("fc1") | weights(*(n + "_conv2d" for n in layers), bias=False)
    assert names_of("inception-v3") == expected | normalized(*(n + "_batchnorm" for n in layers))


def test_names_of_the_mobilenets():
    layers = ["conv_1", *(f"conv_{i}{dw}" for i in range(2, 15) for dw in ("_dw", ""))]
    expected = weights("fc") | weights(*(n + "_conv2d" for n in layers), bias=False)
    assert names_of("mobilenet-1.0") == expected | normalized(*(n + "_batchnorm" for n in layers))
    layers = ["first-3x3-conv", "last-1x1-conv"]
    for i, blocks in enumerate((1, 2, 3, 4, 3, 3, 1)):
        layers += [f"seq-{i}-block{b}-{part}" for b in range(blocks) for part in ("exp", "depthwise", "linear")]
    expected = weights("fc") | weights(*(n + "-conv2d" for n in layers), bias=False)
    assert names_of("mobilenet_v2") == expected | normalized(*(n + "-batchnorm" for n in layers))


@pytest.mark.parametrize("name, layer, attributes", [
    ("resnet-50", "bn_data", {"eps": "2e-05", "momentum": "0.9", "fix_gamma": "True"}),
    ("resnet-50", "stage1_unit1_bn1", {"eps": "2e-05", "momentum": "0.9", "fix_gamma": "False"}),
    ("resnet-50", "stage3_unit1_sc", {"kernel": "(1, 1)", "stride": "(2, 2)", "no_bias": "True"}),
    ("resnet-50", "conv0", {"kernel": "(7, 7)", "stride": "(2, 2)", "pad": "(3, 3)", "num_filter": "64"}),
    ("resnet-50", "pooling0", {"kernel": "(3, 3)", "stride": "(2, 2)", "pad": "(1, 1)", "pool_type": "max"}),
    ("resnet-50", "pool1", {"global_pool": "True", "pool_type": "avg"}),
    ("resnet_v1-50", "stage4_unit1_sc", {"eps": "2e-05", "momentum": "0.9", "fix_gamma": "False"}),
    ("resnet_v1-50", "stage2_unit1_conv2", {"kernel": "(3, 3)", "stride": "(1, 1)", "pad": "(1, 1)"}),
    ("inception-bn", "bn_1", {"eps": "1.00001e-05", "momentum": "0.9", "fix_gamma": "False"}),
    ("inception-bn", "pool_1", {"kernel": "(3, 3)", "stride": "(2, 2)", "pool_type": "max"}),
    ("inception-bn", "avg_pool_5a_pool", {"kernel": "(3, 3)", "stride": "(1, 1)", "pad": "(1, 1)", "pool_type": "avg"}),
    ("inception-bn", "max_pool_5b_pool", {"kernel": "(3, 3)", "stride": "(1, 1)", "pad": "(1, 1)", "pool_type": "max"}),
    ("inception-bn", "conv_3c_double_3x3_1", {"stride": "(2, 2)"}),
    ("inception-v3", "conv_batchnorm", {"fix_gamma": "True"}),
    ("inception-v3", "conv_2_conv2d", {"kernel": "(3, 3)", "stride": "(1, 1)", "pad": "(1, 1)", "no_bias": "True"}),
    ("inception-v3", "mixed_4_tower_1_conv_1_conv2d", {"kernel": "(7, 1)", "pad": "(3, 0)"}),
    ("inception-v3", "mixed_8_tower_1_conv_1_conv2d", {"kernel": "(1, 7)", "pad": "(0, 3)"}),
    ("inception-v3", "mixed_9_tower_mixed_conv_conv2d", {"kernel": "(1, 3)", "pad": "(0, 1)"}),
    ("inception-v3", "max_pool_mixed_10_pool", {"stride": "(1, 1)", "pad": "(1, 1)", "pool_type": "max"}),
    ("mobilenet-1.0", "conv_3_dw_conv2d", {"num_group": "64", "num_filter": "64", "stride": "(2, 2)"}),
    ("mobilenet-1.0", "conv_1_batchnorm", {"fix_gamma": "True"}),
    ("mobilenet_v2", "seq-1-block0-depthwise-conv2d", {"num_group": "96", "stride": "(2, 2)", "pad": "(1, 1)"}),
    ("mobilenet_v2", "first-3x3-conv-batchnorm", {"eps": "1e-05", "fix_gamma": "False"}),
    ("mobilenet_v2", "seq-0-block0-exp-relu6", {"a_min": "0.0", "a_max": "6.0"}),
    ("alexnet", "lrn0", {"alpha": "0.0001", "beta": "0.75", "knorm": "2.0", "nsize": "5"}),
    ("caffenet", "norm2", {"alpha": "0.0001", "beta": "0.75", "knorm": "1.0", "nsize": "5"}),
    ("caffenet", "conv4", {"num_group": "2", "kernel": "(3, 3)", "pad": "(1, 1)"}),
    ("vgg16", "drop6", {"p": "0.5"}),
])
def test_hyper_parameters(name, layer, attributes):
    """As values: how the text is spelt is not the point."""
    there = networks.example(name).attr_dict()[layer]
    for key, text in attributes.items():
        if key == "pool_type":
            assert there[key] == text
        else:
            given, expected = ast.literal_eval(there[key]), ast.literal_eval(text)
            assert given == expected or given == pytest.approx(expected, rel=1e-6), (key, given)


def test_names_do_not_depend_on_what_was_made_before():
    """No layer is numbered by a counter; a Prefix scope goes before all names."""
    for name in ("resnet-18", "alexnet", "lenet", "mlp", "mobilenet_v2"):
        assert networks.example(name).tojson() == networks.example(name).tojson()
    with mx.name.Prefix("left_"):
        inner = networks.example("resnet-18").get_internals().list_outputs()
    assert all(n.startswith("left_") for n in inner if n.endswith("_output"))


# -- dtype and errors -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", networks.EXAMPLES)
def test_float16(name):
    net = networks.example(name, dtype="float16")
    args, outputs, _ = net.infer_type(data="float32", softmax_label="float32")
    kinds = {np.dtype(t).name for n, t in zip(net.list_arguments(), args) if n.endswith("weight")}
    assert kinds == {"float16"}
    assert np.dtype(outputs[0]) == np.float32


def test_float16_trains():
    """A step of the smallest residual network in float16 gives what float32 gives, to float16's digits."""
    found = {dtype: networks.train_step(mx, np, networks.example("resnet-20", dtype=dtype), (2, 3, 16, 16))
             for dtype in ("float16", "float32")}
    assert found["float16"]["grad:conv0_weight"].dtype == np.float16
    assert np.allclose(found["float16"]["output"], found["float32"]["output"], atol=0.02)


@pytest.mark.parametrize("module, options, says", [
    ("resnet", {"num_layers": 19}, "num_layers=19.*18, 34, 50, 101, 152, 200, 269"),
    ("resnet_v1", {"num_layers": 20}, "num_layers=20.*224 high"),
    ("resnet", {"num_layers": 18, "image_shape": "3,28,28"}, "6n.2"),
    ("resnet", {"num_layers": 2, "image_shape": "3,28,28"}, "num_layers=2"),
    ("resnet", {"num_layers": "20", "image_shape": "3,28,28"}, "num_layers='20'"),
    ("resnet", {"image_shape": "224,224"}, "image_shape='224,224'"),
    ("inception_bn", {"image_shape": "3,wide,224"}, "image_shape"),
    ("inception_bn", {"image_shape": None}, "image_shape=None"),
    ("vgg", {"num_layers": 12}, "11, 13, 16, 19"),
    ("mobilenet", {"alpha": 0.01}, "alpha=0.01"),
    ("mobilenet", {"resolution": 100}, "resolution=100"),
    ("mobilenet_v2", {"multiplier": 0.01}, "multiplier=0.01"),
    ("mlp", {"dtype": "float8"}, "dtype='float8'"),
    ("lenet", {"add_stn": True}, "SpatialTransformer"),
])
def test_what_there_is_not(module, options, says):
    with pytest.raises((ValueError, NotImplementedError), match=says):
        getattr(symbols, module).get_symbol(**options)


def test_small_pictures():
    """Up to 28 high three stages; from 29 to 32 the depths of ImageNet on a 3x3 stem too."""
    assert "stage4_unit1_conv1" not in symbols.resnet.get_symbol(10, 50, "3,28,28").attr_dict()
    deep = symbols.resnet.get_symbol(10, 50, "3,32,32").attr_dict()
    assert deep["stage4_unit1_conv1"] and deep["conv0"]["kernel"] == "(3, 3)"
    texts = {symbols.resnet.get_symbol(10, 20, shape).tojson() for shape in ("3,28,28", "3,32,32")}
    assert len(texts) == 1


# -- the package ------------------------------------------------------------------------------------------------------

def test_the_package_lists_its_modules():
    folder = pathlib.Path(symbols.__file__).parent
    there = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
    assert sorted(symbols.__all__) == there
    assert there == sorted(re.findall(r"^``(\w+)``", symbols.__doc__, re.MULTILINE))
    with pytest.raises(AttributeError, match="resnext.*resnet_v1"):
        symbols.resnext  # noqa: B018


def test_examples_use_the_public_face_alone():
    for path in pathlib.Path(symbols.__file__).parent.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {a.name for a in node.names} <= {"mxlite"}, path
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert node.module in ("importlib", "numbers"), path
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 and node.module in ("_parts", "resnet"), path


def test_loading_a_published_file_as_the_docstring_says(tmp_path, monkeypatch):
    """The docstring's own lines, on a file in the layout of the published ones with made-up values."""
    net = networks.example("resnet-18")
    params, states = shapes(net, (1, 3, 224, 224))
    made = networks.values(np, [*params, *states], [*params.values(), *states.values()])
    mx.nd.save(str(tmp_path / "resnet-18-0000.params"),
               {("aux:" if name in states else "arg:") + name: mx.nd.array(v) for name, v in made.items()})
    monkeypatch.chdir(tmp_path)
    block = textwrap.dedent(symbols.__doc__.split("::\n\n")[1].split("\n\nWhere")[0])
    space = {"mx": mx}
    exec(block, space)
    args, aux = space["mod"].get_params()
    assert args.keys() == params.keys() and aux.keys() == states.keys()
    for name, value in made.items():
        assert np.array_equal((aux if name in states else args)[name].asnumpy(), value), name
    assert space["mod"].output_shapes == [("softmax_output", (1, 1000))]
