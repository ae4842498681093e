"""The networks of mxlite.examples.symbols beside the real MXNet: same text, same parameters, same results."""
import pathlib

import numpy as np
import pytest

import mxlite as mx

from .. import networks

SOURCE = (pathlib.Path(__file__).parents[1] / "networks.py").read_text()

# Pictures as small as the networks take: a batch of them is quick, and BatchNorm still sees 16 numbers a channel.
SMALL = {
    "mlp": ({}, (8, 784)), "lenet": ({}, (4, 1, 28, 28)), "alexnet": ({}, (2, 3, 67, 67)),
    "caffenet": ({}, (2, 3, 67, 67)), "vgg11-bn": ({}, (4, 3, 32, 32)),
    "inception-bn": ({}, (1, 3, 224, 224)), "inception-bn-28": ({}, (4, 3, 28, 28)),
    "inception-v3": ({}, (1, 3, 299, 299)),
    **{name: ({}, (4, 3, 64, 64)) for name in ("resnet-18", "resnet-50", "resnet_v1-18")},
    **{name: ({}, (4, 3, 28, 28)) for name in ("resnet-20", "resnet_v1-20", "resnet_v1-164")},
    "mobilenet-0.5": ({"resolution": 64}, (4, 3, 64, 64)), "mobilenet_v2": ({}, (4, 3, 64, 64)),
}
REST = {
    **{f"vgg{n}{bn}": ({}, (4, 3, 32, 32)) for n in (11, 13, 16, 19) for bn in ("", "-bn")},
    **{f"{m}-{n}": ({}, (4, 3, 64, 64)) for n in (34, 50, 101, 152, 200, 269) for m in ("resnet", "resnet_v1")},
    **{f"{m}-{n}": ({}, (4, 3, 28, 28)) for n in (56, 110, 164) for m in ("resnet", "resnet_v1")},
    **{f"mobilenet-{a}": ({"resolution": 64}, (4, 3, 64, 64)) for a in (0.25, 0.75, 1.0)},
}
REST = {name: case for name, case in REST.items() if name not in SMALL}
CASES = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
FLOAT32_ALONE = ("alexnet", "caffenet")             # MXNet's LRN takes no other dtype
FULL = ["alexnet", "caffenet", "vgg16", "inception-bn", "resnet-50", "resnet_v1-50", "mobilenet-1.0", "mobilenet_v2"]


def both(oracle, tmp_path, net, shape, dtype):
    """`networks.train_step` here and there: two dicts of arrays, the same names in both."""
    # Dropout draws its own numbers on either side: with p=0 it draws none.
    text = net.tojson().replace('"p": "0.5"', '"p": "0"')
    path = tmp_path / "theirs.npz"
    oracle.run(SOURCE + "\nstep = train_step(mx, np, mx.sym.load_json(text), tuple(shape), dtype)"
               "\nnp.savez(path, **step)\nresult = None", text=text, shape=list(shape), dtype=dtype, path=str(path))
    ours = networks.train_step(mx, np, mx.sym.load_json(text), shape, dtype)
    with np.load(path) as file:
        theirs = {name: file[name] for name in file.files}
    path.unlink()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert (ours[name].shape, ours[name].dtype) == (theirs[name].shape, theirs[name].dtype), name
        assert np.isfinite(theirs[name]).all(), name
    return ours, theirs


def gradients(found):
    return [name for name in found if name.startswith("grad:")]


def largest(array):
    return np.abs(array).max()


def small(name):
    options, shape = SMALL.get(name) or REST[name]
    return networks.example(name, num_classes=10, **options), shape


def test_every_example_is_compared():
    assert {*SMALL, *REST} == {*networks.EXAMPLES}


@pytest.mark.parametrize("name", [case for case in CASES if case not in FLOAT32_ALONE])
def test_float64(oracle, tmp_path, name):
    """Scores, probabilities and every gradient to 1e-9 of the array's largest number: both sides compute alike.

    Gradients that are nothing but rounding (a bias before BatchNorm) are measured by 1e-4 of the largest gradient of
    all. Moving statistics to 1e-6: MXNet's momentum is a float32.
    """
    net, shape = small(name)
    ours, theirs = both(oracle, tmp_path, net, shape, "float64")
    floor = 1e-4 * max(largest(theirs[name]) for name in gradients(theirs))
    for name in ours:
        scale = max(largest(theirs[name]), floor if name.startswith("grad:") else 0.0)
        tolerance = 1e-6 if name.startswith("aux:") else 1e-9
        assert largest(ours[name] - theirs[name]) <= tolerance * scale, name


def check_float32(ours, theirs, gradient_tolerance, tolerance=1e-3):
    """Scores to 2e-5 of the largest, probabilities and moving statistics to `tolerance`; gradients by their length.

    Sums in another order differ by 1e-6, and where that carries one of a million numbers over the edge of a relu, a
    gradient is another one. So each is only near in length, short ones by 1e-4 of the longest; `test_float64`, where
    no number meets an edge, is the exact comparison.
    """
    longest = max(np.linalg.norm(theirs[name]) for name in gradients(theirs))
    for name in ours:
        difference = ours[name] - theirs[name]
        if name.startswith("grad:"):
            length = max(np.linalg.norm(theirs[name]), 1e-4 * longest)
            assert np.linalg.norm(difference) <= gradient_tolerance * length, name
        else:
            most = (2e-5 if name == "scores" else tolerance) * largest(theirs[name])
            assert largest(difference) <= most, name


@pytest.mark.parametrize("name", CASES)
def test_float32(oracle, tmp_path, name):
    net, shape = small(name)
    # The deeper, the more edges there are, and the effect of each grows from layer to layer: training a network of 269
    # layers from random values is chaotic in float32.
    layers = sum(n.endswith("_weight") for n in net.list_arguments())
    tolerances = (0.01,) if name in FLOAT32_ALONE else (0.15,) if layers < 100 else (0.6, 0.03)
    check_float32(*both(oracle, tmp_path, net, shape, "float32"), *tolerances)


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_full_size(oracle, tmp_path, name):
    """All 1000 classes, pictures of their real size."""
    shape = networks.EXAMPLES[name][2]
    check_float32(*both(oracle, tmp_path, networks.example(name), shape, "float32"), 0.15)


def test_text_loads_there(oracle):
    """Arguments, auxiliary states, outputs and all shapes as MXNet lists them, for all depths and full sizes."""
    asked = [(networks.example(name).tojson(), list(shape)) for name, (_, _, shape) in networks.EXAMPLES.items()]
    theirs = oracle.run("""
        result = []
        for text, shape in asked:
            net = sym.load_json(text)
            result.append((net.list_arguments(), net.list_auxiliary_states(), net.list_outputs(),
                           net.get_internals().list_outputs(), net.infer_shape(data=tuple(shape))))
        """, asked=asked)
    for (text, shape), told in zip(asked, theirs):
        net = mx.sym.load_json(text)
        assert told == (net.list_arguments(), net.list_auxiliary_states(), net.list_outputs(),
                        net.get_internals().list_outputs(), net.infer_shape(data=tuple(shape)))
        assert net.tojson() == text


@pytest.mark.parametrize("name", ["resnet-50", "vgg16", "inception-v3"])
def test_float16_types(oracle, name):
    """With dtype="float16" MXNet infers the same dtypes; what goes in and comes out is float32."""
    net = networks.example(name, dtype="float16")
    told = oracle.run("result = sym.load_json(text).infer_type(data='float32')", text=net.tojson())
    ours = net.infer_type(data="float32")
    assert [[np.dtype(t) for t in part] for part in ours] == [[np.dtype(t) for t in part] for part in told]
    assert np.dtype(ours[1][0]) == np.float32
    types = dict(zip(net.list_arguments(), ours[0]))
    assert {np.dtype(types[n]) for n in types if n.endswith("weight")} == {np.dtype(np.float16)}
