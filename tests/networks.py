"""Networks that several tests and benchmarks bind, and what a step of training them gives.

This text is also run inside the real MXNet, so nothing at module level may need mxlite: `mx` and `np` are given.
"""


def mlp(mx, hidden=(128, 64), classes=10):
    """Fully connected layers with relu and a softmax."""
    net = mx.sym.Variable("data")
    for i, n in enumerate(hidden):
        net = mx.sym.FullyConnected(net, num_hidden=n, name=f"fc{i + 1}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i + 1}")
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def lenet(mx, classes=10):
    """LeCun et al. 1998 with tanh and max pooling, as MXNet's examples have it."""
    net = mx.sym.Variable("data")
    for i, filters in enumerate((20, 50)):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{i + 1}")
        net = mx.sym.Activation(net, act_type="tanh", name=f"tanh{i + 1}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{i + 1}")
    net = mx.sym.Flatten(net, name="flatten")
    net = mx.sym.FullyConnected(net, num_hidden=500, name="fc1")
    net = mx.sym.Activation(net, act_type="tanh", name="tanh3")
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def resnet18(mx, classes=10, small=True):
    """Residual network of 18 layers; `small`: a 3x3 stem for pictures of 32x32, else the 7x7 stem of ImageNet."""
    def unit(x, filters, kernel, stride, pad, name, relu=True):
        x = mx.sym.Convolution(x, kernel=kernel, stride=stride, pad=pad, num_filter=filters, no_bias=True,
                               name=f"{name}_conv")
        x = mx.sym.BatchNorm(x, fix_gamma=False, eps=2e-5, momentum=0.9, name=f"{name}_bn")
        return mx.sym.Activation(x, act_type="relu", name=f"{name}_relu") if relu else x
    net = mx.sym.Variable("data")
    if small:
        net = unit(net, 64, (3, 3), (1, 1), (1, 1), "stem")
    else:
        net = unit(net, 64, (7, 7), (2, 2), (3, 3), "stem")
        net = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max", name="stem_pool")
    for stage, filters in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = (2, 2) if stage and not block else (1, 1)
            name = f"stage{stage + 1}_unit{block + 1}"
            body = unit(net, filters, (3, 3), stride, (1, 1), f"{name}_a")
            body = unit(body, filters, (3, 3), (1, 1), (1, 1), f"{name}_b", relu=False)
            if stride != (1, 1):
                net = unit(net, filters, (1, 1), stride, (0, 0), f"{name}_sc", relu=False)
            net = mx.sym.Activation(body + net, act_type="relu", name=f"{name}_relu")
    net = mx.sym.Pooling(net, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten"), num_hidden=classes, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


# name -> module of mxlite.examples.symbols, its options, the shape of a batch of the pictures it is for
EXAMPLES = {
    "mlp": ("mlp", {}, (64, 784)), "lenet": ("lenet", {}, (64, 1, 28, 28)),
    "alexnet": ("alexnet", {}, (2, 3, 224, 224)), "caffenet": ("alexnet", {"caffenet": True}, (2, 3, 227, 227)),
    **{f"vgg{n}": ("vgg", {"num_layers": n}, (2, 3, 224, 224)) for n in (11, 13, 16, 19)},
    **{f"vgg{n}-bn": ("vgg", {"num_layers": n, "batch_norm": True}, (2, 3, 224, 224)) for n in (11, 13, 16, 19)},
    "inception-bn": ("inception_bn", {}, (2, 3, 224, 224)),
    "inception-bn-28": ("inception_bn", {"num_classes": 10, "image_shape": "3,28,28"}, (32, 3, 28, 28)),
    "inception-v3": ("inception_v3", {}, (2, 3, 299, 299)),
    **{f"{m}-{n}": (m, {"num_layers": n}, (2, 3, 224, 224)) for n in (18, 34, 50, 101, 152, 200, 269)
       for m in ("resnet", "resnet_v1")},
    **{f"{m}-{n}": (m, {"num_layers": n, "num_classes": 10, "image_shape": "3,28,28"}, (32, 3, 28, 28))
       for n in (20, 56, 110, 164) for m in ("resnet", "resnet_v1")},
    **{f"mobilenet-{a}": ("mobilenet", {"alpha": a}, (2, 3, 224, 224)) for a in (0.25, 0.5, 0.75, 1.0)},
    "mobilenet_v2": ("mobilenet_v2", {}, (2, 3, 224, 224)),
}


def example(name, **options):
    """A network of `EXAMPLES` as a symbol, with further or other options."""
    import importlib
    module, given, _ = EXAMPLES[name]
    return importlib.import_module("mxlite.examples.symbols." + module).get_symbol(**{**given, **options})


def values(np, names, shapes, seed=0):
    """Arrays for the parameters and auxiliary states of a network, by name; the same in every NumPy.

    Weights are spread as by He et al., gammas and moving variances lie around 1, the rest around 0. All are stretches
    of one table of numbers: drawing a hundred million of them would take longer than the networks.
    """
    table = np.random.RandomState(seed).standard_normal(1_000_003).astype("float32")
    start, made = 0, {}
    for name, shape in zip(names, shapes):
        size = int(np.prod(shape))
        flat = np.resize(np.roll(table, -start)[:size], size) if size < table.size else np.resize(table, size)
        start = (start + size) % table.size
        if name.endswith("weight"):
            flat = flat * np.float32((2.0 / np.prod(shape[1:])) ** 0.5)
        else:
            flat = np.float32(0.1) * np.clip(flat, -4, 4) + np.float32(name.endswith(("gamma", "moving_var")))
        made[name] = flat.reshape(shape)
    return made


def train_step(mx, np, net, shape, dtype="float32"):
    """One forward for inference, one for training and its backward on made-up values, as a dict of NumPy arrays.

    `scores`: what inference gives before the softmax (probabilities of made-up values are 0 and 1 all too often);
    `output`: the probabilities while training; `grad:NAME`: every argument's gradient; `aux:NAME`: auxiliary states
    afterwards.
    """
    layers = net.get_internals()
    scores = layers[len(layers.list_outputs()) - 3]                     # before `softmax_label` and `softmax_output`
    exe = net.simple_bind(mx.cpu(), data=shape, type_dict={"data": dtype})
    states = {**exe.arg_dict, **exe.aux_dict}
    made = values(np, states, [a.shape for a in states.values()])
    made["data"] *= 10
    made["softmax_label"] = np.arange(shape[0]) % exe.outputs[0].shape[1]
    for name, array in states.items():
        array[:] = made[name]
    infer = scores.simple_bind(mx.cpu(), data=shape, type_dict={"data": dtype}, grad_req="null")
    infer.copy_params_from({n: states[n] for n in infer.arg_dict}, {n: states[n] for n in infer.aux_dict})
    found = {"scores": infer.forward(is_train=False)[0].asnumpy()}
    found["output"] = exe.forward(is_train=True)[0].asnumpy()
    exe.backward()
    found.update(("grad:" + name, g.asnumpy()) for name, g in exe.grad_dict.items() if name != "softmax_label")
    mx.nd.waitall()
    found.update(("aux:" + name, a.asnumpy()) for name, a in exe.aux_dict.items())
    return found
