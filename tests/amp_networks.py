"""Networks for the tests of mixed precision: some by name, and random ones as lines of user code."""
import numpy as np

import mxlite as mx
from mxlite.contrib import amp

HALVES = ("float16", "bfloat16")


def mlp(classes=3, hidden=16):
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=hidden, name="f1")
    x = mx.sym.Activation(x, act_type="tanh", name="r")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=classes, name="f2"), name="softmax")


def lenet(classes=10):
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), pad=(1, 1), num_filter=16, name="c1")
    x = mx.sym.Pooling(mx.sym.Activation(x, act_type="tanh"), kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = mx.sym.BatchNorm(mx.sym.Convolution(x, kernel=(3, 3), num_filter=32, name="c2"), name="bn", fix_gamma=False)
    x = mx.sym.Flatten(mx.sym.Activation(x, act_type="relu"))
    x = mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=64, name="f1"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=classes, name="f2"), name="softmax")


def batch_of(*shape, classes=3, seed=0):
    rng = np.random.RandomState(seed)
    return mx.io.DataBatch([mx.nd.array(rng.uniform(-1, 1, shape))], [mx.nd.array(rng.randint(0, classes, shape[0]))])


SMALL = 2.0 ** 10       # a scale at which gradients of these networks stay in float16's range


def module(net=None, dtype=None, shape=(6, 4), context=None, scale=SMALL, **bind):
    """A bound module with parameters, in mixed precision where a dtype is given."""
    amp.disable()
    if dtype:
        amp.init(dtype)
    net = mlp() if net is None else net
    labels = [name for name in net.list_arguments() if name.endswith("label")]
    mod = mx.mod.Module(net, label_names=labels, context=context or mx.cpu())
    mod.bind([("data", shape)], [(name, shape[:1]) for name in labels] or None, **bind)
    mx.random.seed(3)
    mod.init_params(mx.init.Xavier())
    if dtype == "float16" and amp.get_loss_scaler(mod):
        amp.get_loss_scaler(mod)._loss_scale = scale
    return mod


def gradients(mod):
    return {name: grads[0].asnumpy() for name, grads in zip(mod._param_names, mod._exec_group.grad_arrays)
            if grads[0] is not None}


def both(net, shape, dtype="float16", head_grads=None, **bind):
    """(mixed, plain) modules of one network and parameters after forward and backward of one batch."""
    batch, out = batch_of(*shape), []
    for each in (dtype, None):
        mod = module(net, each, shape, **bind)
        mod.forward(batch, is_train=True)
        mod.backward(head_grads)
        out.append(mod)
    return out


# Random networks: in the lines ``s0``, ``s1``, ... are the symbols made so far.
UNARY = ["exp({})", "relu({})", "sqrt({})", "square({})", "tanh({})", "Flatten({})", "BlockGrad({})", "Dropout({})",
         "Activation({}, act_type='relu')", "Activation({}, act_type='softrelu')", "LeakyReLU({}, act_type='elu')",
         "LeakyReLU({}, act_type='leaky')", "BatchNorm({})", "softmax({})", "LRN({}, nsize=3)", "sum({}, axis=1)",
         "FullyConnected({}, num_hidden=4)", "FullyConnected({}, num_hidden=4, no_bias=True)", "clip({}, 0, 1)",
         "FullyConnected({}, num_hidden=4)", "Convolution({}, kernel=(1, 1), num_filter=2)", "argmax({}, axis=0)",
         "Cast({}, dtype='float32')", "Cast({}, dtype='float16')", "make_loss({})", "mean({})", "transpose({})",
         "SequenceMask({})", "SwapAxis({})", "Embedding({}, input_dim=4, output_dim=3)", "one_hot({}, depth=3)",
         "SliceChannel({}, num_outputs=2)[0]", "SliceChannel({}, num_outputs=2)[1]", "LayerNorm({})", "log2({})"]
BINARY = ["broadcast_add({}, {})", "elemwise_mul({}, {})", "concat({}, {})", "add_n({}, {}, {})", "dot({}, {})",
          "stack({}, {})", "broadcast_mul({}, {})", "broadcast_power({}, {})"]


def program(rng):
    """(lines, heads, options) at random."""
    lines = ["s0 = sym.Variable('a')", "s1 = sym.FullyConnected(s0, num_hidden=4, name='first')", "s2 = sym.exp(s0)"]
    for k in range(3, rng.randint(5, 14)):
        text = rng.choice(UNARY if rng.random() < 0.65 else BINARY)
        args = [f"s{max(0, k - 1 - int(rng.expovariate(0.6)))}" for _ in range(text.count("{}"))]
        lines.append(f"s{k} = sym." + text.format(*args))
    heads = sorted({f"s{len(lines) - 1}", *(f"s{rng.randrange(len(lines))}" for _ in range(rng.randint(0, 2)))})
    options = {"target_dtype": rng.choice(["float16", "float16", "bfloat16"])}
    if options["target_dtype"] == "bfloat16":       # a third dtype does not go with those two, converted or not
        lines = [line.replace("'float16'", "'float32'") for line in lines]
    if rng.random() < 0.3:
        options["excluded_sym_names"] = [rng.choice(["first", "exp0", "relu0", "batchnorm0", "fullyconnected0",
                                                     "concat0", "broadcast_add0"])]
    if rng.random() < 0.3:
        options["data_names"] = ["a"]
        options["cast_optional_params"] = rng.random() < 0.5
    return lines, heads, options
