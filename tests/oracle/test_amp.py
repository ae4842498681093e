"""mx.contrib.amp side by side with MXNet's: lists, signatures, converted graphs, dtypes of parameters, the scale."""
import inspect
import json
import random
import textwrap

import numpy as np
import pytest

import mxlite as mx
from mxlite.contrib import amp
from mxlite.ops.record import REGISTRY

from .. import networks
from ..amp_networks import program
from .test_example_symbols import SMALL

FUNCTIONS = ["init", "init_trainer", "scale_loss", "unscale", "convert_symbol", "convert_model",
             "list_lp16_ops", "list_fp32_ops", "list_lp16_fp32_ops", "list_conditional_fp32_ops",
             "list_widest_type_cast", "list_loss_output_functions", "list_lp16_use_fp32_params"]
LISTS = [name for name in FUNCTIONS if name.startswith("list_")]

# Runs in both: builds symbols by the lines of programs, converts them and tells what came of it.
RUN = '''
def convert(mx, amp, jobs):
    import warnings
    warnings.simplefilter("ignore")
    out = []
    for lines, heads, options in jobs:
        mx.name.NameManager.current = mx.name.NameManager()
        space = {"mx": mx, "sym": mx.sym}
        for line in lines:
            exec(line, space)
        net = mx.sym.Group([space[name] for name in heads])
        try:
            done = amp.convert_symbol(net, **options)
        except Exception as error:
            out.append(type(error).__name__)
            continue
        out.append(done.tojson(remove_amp_cast=False))
    return out
'''
BFLOAT16 = "from mxnet.contrib import amp\nbf16 = np.dtype([('bfloat16', np.uint16)])\n"


def both(oracle, jobs):
    """(mine, MXNet's) of what `convert` in RUN tells."""
    space = {}
    exec(RUN, space)
    return space["convert"](mx, amp, jobs), oracle.run(
        RUN + "from mxnet.contrib import amp\nresult = convert(mx, amp, jobs)", jobs=jobs)


def shown(text):
    """A graph as short lines, for a message."""
    nodes = json.loads(text)["nodes"]
    return [f"{n['op']} {n['name']} {n.get('attrs', '')} <- "
            + " ".join(f"{nodes[i]['name']}:{k}" for i, k, _ in n["inputs"]) for n in nodes]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", LISTS)
def test_lists(oracle, name, dtype):
    """Each list is MXNet's, without the operators that are not there."""
    ours = getattr(amp, name)(dtype)
    theirs = oracle.run(BFLOAT16 + f"result = amp.{name}('float16' if dtype == 'float16' else bf16)", dtype=dtype)
    if name == "list_lp16_use_fp32_params":
        theirs = theirs and {op: inputs for op, inputs in theirs.items() if op in REGISTRY}
    elif name != "list_conditional_fp32_ops":
        theirs = sorted({op for op in theirs if op in REGISTRY})
        ours = sorted(ours)
    assert ours == theirs


@pytest.mark.parametrize("name", [*FUNCTIONS, "convert_bucketing_module"])
def test_signatures(oracle, name):
    theirs = oracle.run("from mxnet.contrib.amp import amp\nimport inspect\n"
                        f"result = [(p.name, None if p.default is p.empty else repr(p.default)) for p in "
                        f"inspect.signature(amp.{name}).parameters.values()]")
    ours = [(p.name, None if p.default is p.empty else repr(p.default))
            for p in inspect.signature(getattr(amp, name)).parameters.values()]
    assert ours == theirs


def test_the_scale_moves_as_in_mxnet(oracle):
    """MXNet looks one step behind: what it will use next is what is used at once here."""
    finite = [True] * 2001 + [False] * 3 + [True] * 1999 + [False] + [True] * 25000
    theirs = oracle.run('''
        from mxnet.contrib.amp.loss_scaler import LossScaler
        class P:
            def __init__(self, value): self._grad = [nd.array([value])]
        good, bad, scaler, result = P(1.0), P(float("inf")), LossScaler(), []
        for one in finite[:4100]:
            scaler.has_overflow([good if one else bad])
            result.append(scaler._next_loss_scale)
        most = [scaler._max_loss_scale]
        result += most
    ''', finite=finite)
    scaler, ours = amp.LossScaler(), []
    for one in finite:
        scaler.step(one)
        ours.append(scaler.loss_scale)
    assert ours[:4100] == theirs[:-1] and max(ours) == ours[-1] == theirs[-1]


CONV = ["x = sym.Variable('data')", "x = sym.Convolution(x, kernel=(3, 3), num_filter=8, name='c1')",
        "x = sym.BatchNorm(x, name='bn')", "x = sym.Activation(x, act_type='tanh', name='t')",
        "y = sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=8, name='c2')", "x = x + y",
        "x = sym.Pooling(x, kernel=(2, 2), pool_type='max', name='p')", "x = sym.Flatten(x, name='f')",
        "x = sym.FullyConnected(x, num_hidden=10, name='fc')", "x = sym.exp(x, name='e')",
        "x = sym.FullyConnected(x, num_hidden=10, name='fc2')", "x = sym.Activation(x, act_type='softrelu', name='s')",
        "x = sym.SoftmaxOutput(x, name='softmax')"]
RNN = ["x = sym.Variable('data')", "x = sym.Embedding(x, input_dim=50, output_dim=8, name='em')",
       "x = sym.RNN(x, state_size=3, num_layers=1, mode='lstm', name='rn')", "x = sym.Reshape(x, shape=(-1, 3))",
       "x = sym.FullyConnected(x, num_hidden=9, name='fc')", "x = sym.LayerNorm(x, name='ln')",
       "x = sym.SoftmaxOutput(x, name='softmax')"]
ATTRS = ["with mx.AttrScope(ctx_group='dev1'): f = sym.FullyConnected(sym.Variable('a', lr_mult=2.0), num_hidden=4)",
         "x = sym.exp(f)"]
TWICE = ["a = sym.Variable('a')", "e = sym.exp(a, name='e')", "f = sym.FullyConnected(e, num_hidden=4, name='f')",
         "g = sym.FullyConnected(f, num_hidden=4, name='g')", "h = sym.exp(g, name='h')",
         "w = sym.broadcast_add(f, g, name='w')", "v = sym.broadcast_add(e, f, name='v')",
         "m = sym.add_n(sym.relu(a, name='r'), f, g, name='m')", "s = sym.SliceChannel(f, num_outputs=2, name='s')",
         "t = sym.exp(s[1], name='t')", "u = sym.relu(s[0], name='u')"]
JOBS = {
    "conv": (CONV, "x", {}), "conv bf16": (CONV, "x", {"target_dtype": "bfloat16"}),
    "conv excluded": (CONV, "x", {"excluded_sym_names": ["c2", "fc", "nowhere"]}),
    "conv data": (CONV, "x", {"data_names": ["data", "softmax_label"]}),
    "conv params": (CONV, "x", {"data_names": ["data", "softmax_label"], "cast_optional_params": True}),
    "conv params bf16": (CONV, "x", {"data_names": ["data", "softmax_label"], "cast_optional_params": True,
                                     "target_dtype": "bfloat16"}),
    "conv lists": (CONV, "x", {"target_dtype_ops": ["Convolution", "BatchNorm"], "fp32_ops": ["Flatten", "Pooling"],
                               "conditional_fp32_ops": [("Activation", "act_type", ["tanh"])]}),
    "conv nothing": (CONV, "x", {"target_dtype_ops": [], "fp32_ops": [], "conditional_fp32_ops": []}),
    "rnn": (RNN, "x", {}), "rnn bf16": (RNN, "x", {"target_dtype": "bfloat16"}),
    "rnn params": (RNN, "x", {"data_names": ["data", "softmax_label", "rn_state", "rn_state_cell"],
                              "cast_optional_params": True}),
    "attributes": (ATTRS, "x", {}), "attributes data": (ATTRS, "x", {"data_names": ["a"]}),
    "twice": (TWICE, "hwvmtufe", {}), "twice bf16": (TWICE, "hwvmtufea", {"target_dtype": "bfloat16"}),
    "prelu": (["x = sym.FullyConnected(sym.Variable('a'), num_hidden=4)",
               "x = sym.LeakyReLU(x, act_type='prelu', name='p')"], "x", {"data_names": ["a"]}),
    "casts": (["x = sym.FullyConnected(sym.amp_cast(sym.Variable('a'), dtype='float16'), num_hidden=4, name='f')",
               "y = sym.amp_cast(x, dtype='float32', name='q')", "z = sym.amp_multicast(x, y, num_outputs=2)[0]"],
              "xyz", {}),
    "no inputs": (["x = sym.broadcast_add(sym.FullyConnected(sym.Variable('a'), num_hidden=4), sym.zeros((1,)))"], "x",
                  {}),
    "variable": (["x = sym.Variable('a')"], "x", {}),
    "declared": (["x = sym.FullyConnected(sym.Variable('a', dtype='float16'), num_hidden=4)"], "x", {}),
}


@pytest.mark.parametrize("job", JOBS)
def test_graphs(oracle, job):
    lines, heads, options = JOBS[job]
    (ours,), (theirs,) = both(oracle, [(lines, list(heads), options)])
    assert theirs.startswith("{")
    assert shown(ours) == shown(theirs)
    assert ours == theirs


@pytest.mark.parametrize("name", SMALL)
def test_example_symbols(oracle, name):
    """The networks of mxlite.examples.symbols, in both dtypes, with and without parameters in half precision."""
    net = networks.example(name, **SMALL[name][0])
    text = net.tojson()
    options = [{"target_dtype": dtype, **more} for dtype in ("float16", "bfloat16") for more in (
        {}, {"data_names": ["data", "softmax_label"], "cast_optional_params": True})]
    theirs = oracle.run("from mxnet.contrib import amp\nnet = sym.load_json(text)\nresult = [amp.convert_symbol("
                        "net, **one).tojson(remove_amp_cast=False) for one in options]", text=text, options=options)
    for one, expected in zip(options, theirs):
        ours = amp.convert_symbol(net, **one).tojson(remove_amp_cast=False)
        assert shown(ours) == shown(expected)
        assert ours == expected


@pytest.mark.parametrize("options", [
    {"target_dtype": "float32"}, {"target_dtype_ops": ("FullyConnected",)}, {"target_dtype_ops": ["exp"]},
    {"target_dtype_ops": ["nope"]}, {"target_dtype_ops": ["broadcast_add"]}, {"fp32_ops": ["FullyConnected"]},
    {"conditional_fp32_ops": [("FullyConnected", "num_hidden", ["1"])]}, {"excluded_sym_names": "fc"},
    {"conditional_fp32_ops": [("exp", "x", ["1"])]}, {"data_names": ["nowhere"]}])
def test_what_is_refused(oracle, options):
    ours, theirs = both(oracle, [(CONV, ["x"], options)])
    assert ours == theirs and ours[0] in ("AssertionError", "MXNetError")


def test_random_graphs(oracle):
    """Graphs at random are converted alike. Where MXNet can not (the graph that it made does not fit together), here is
    a graph whose dtypes can be inferred."""
    seed = 1
    rng = random.Random(seed)
    jobs = [program(rng) for _ in range(500)]
    ours, theirs = both(oracle, jobs)
    wrong, alike = [], 0
    for (lines, heads, options), a, b in zip(jobs, ours, theirs):
        if b.startswith("{"):
            if a == b:
                alike += 1
            else:
                wrong.append("\n".join([*lines, str(heads), str(options), "-- mine",
                                        *(shown(a) if a[0] == "{" else [a]), "-- MXNet", *shown(b)]))
    assert not wrong, f"seed {seed}, {len(wrong)} of {len(jobs)} (alike: {alike}):\n\n" + "\n\n".join(wrong[:3])
    assert alike > 450


@pytest.mark.parametrize("optional", [False, True])
def test_convert_model(oracle, optional):
    """The parameters' dtypes, and what the model computes: MXNet's CPU has no products in float16, so it is asked for
    what the float32 model computes."""
    rng = np.random.RandomState(0)
    lines = [line for line in CONV if "softrelu" not in line]
    space = {"sym": mx.sym}
    for line in lines:
        exec(line, space)
    net = space["x"]
    shapes, _, aux_shapes = net.infer_shape(data=(2, 3, 8, 8))
    args = {n: rng.uniform(-0.3, 0.3, s).astype("float32") for n, s in zip(net.list_arguments(), shapes)}
    aux = {n: np.abs(rng.uniform(0.5, 1, s)).astype("float32") for n, s in zip(net.list_auxiliary_states(), aux_shapes)}
    inputs = {n: args.pop(n) for n in ("data", "softmax_label")}
    model = textwrap.dedent('''
        def model(mx, amp, net, args, aux, inputs, optional):
            args, aux = ({n: mx.nd.array(v) for n, v in d.items()} for d in (args, aux))
            done, new_args, new_aux = amp.convert_model(net, args.copy(), aux.copy(), cast_optional_params=optional)
            dtypes = {n: np.dtype(v.dtype).name for n, v in {**new_args, **new_aux}.items()}
            if mx.__name__ == "mxnet":
                done, new_args, new_aux = net, args, aux
            arrays = {**new_args, **{n: mx.nd.array(v) for n, v in inputs.items()}}
            out = done.bind(mx.cpu(), arrays, aux_states=new_aux).forward(is_train=False)[0]
            return dtypes, out.asnumpy()
    ''')
    mine = {"np": np}
    exec(model, mine)
    ours = mine["model"](mx, amp, net, args, aux, inputs, optional)
    theirs = oracle.run(model + "from mxnet.contrib import amp\nfor line in lines: exec(line)\n"
                        "result = model(mx, amp, x, args, aux, inputs, optional)",
                        lines=lines, args=args, aux=aux, inputs=inputs, optional=optional)
    assert ours[0] == theirs[0]
    assert set(ours[0].values()) == ({"float16", "float32"} if optional else {"float32"})
    np.testing.assert_allclose(ours[1], theirs[1], rtol=0.02, atol=2e-3)
    assert not np.array_equal(ours[1], theirs[1])
