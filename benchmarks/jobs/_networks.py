"""The example networks bound, their PyTorch twins, and steps of inference and training."""
import importlib
import os

import numpy as np

from . import settled

RATE = 1e-6             # so small that nothing grows or dies while it is timed
# name: (module of mxlite.examples.symbols, options, shape of one picture)
NETWORKS = {
    "resnet50": ("resnet_v1", {"num_layers": 50}, (3, 224, 224)),
    "resnet50-small": ("resnet_v1", {"num_layers": 50, "image_shape": "3,64,64"}, (3, 64, 64)),
    "resnet18-small": ("resnet_v1", {"num_layers": 18, "image_shape": "3,32,32", "num_classes": 10}, (3, 32, 32)),
    "inception-bn": ("inception_bn", {}, (3, 224, 224)),
    "vgg16": ("vgg", {"num_layers": 16}, (3, 224, 224)),
    "mlp": ("mlp", {}, (784,)),
    "lenet": ("lenet", {}, (1, 28, 28)),
}


def symbol(lib, name, make=None):
    """The network's symbol: made by mxlite, which leaves its JSON for MXNet."""
    path = os.path.join(os.environ["BENCH_SCRATCH"], f"{name}.json")
    if lib.__name__ == "mxnet":
        return lib.sym.load(path)
    if make is None:
        module, options, _ = NETWORKS[name]
        net = importlib.import_module(f"mxlite.examples.symbols.{module}").get_symbol(**options)
    else:
        net = make(lib)
    net.save(path)
    return net


def draw(name, shape, rng):
    """A parameter's or input's values, by its name."""
    if name.endswith(("gamma", "moving_var")):
        return np.ones(shape, "float32")
    if name.endswith(("beta", "bias", "moving_mean", "label")):
        return np.zeros(shape, "float32")
    scale = 1.0 if name == "data" else float(np.sqrt(2 / max(1, np.prod(shape[1:]))))
    return (rng.random(shape, "float32") - 0.5) * (3.46 * scale)


def executor(lib, name, batch, train):
    net = symbol(lib, name)
    made = net.simple_bind(lib.cpu(), data=(batch, *NETWORKS[name][2]), grad_req={
        k: "write" if train and k not in ("data", "softmax_label") else "null" for k in net.list_arguments()})
    fill(made)
    return made


def fill(made):
    rng = np.random.default_rng(0)
    for k, a in [*made.arg_dict.items(), *made.aux_dict.items()]:
        a[:] = draw(k, a.shape, rng)


def inference(lib, name, batch):
    made = executor(lib, name, batch, False)
    return {"": settled(lib, lambda: made.forward(is_train=False))}


def updates(lib, made):
    """The call of SGD on all parameters of an executor that have a gradient, each library's faster way."""
    pairs = [(made.arg_dict[k], g) for k, g in made.grad_dict.items() if g is not None]
    if lib.__name__ == "mxlite":
        one = lib.nd.sgd_update

        def each():
            for weight, grad in pairs:
                one(weight, grad, out=weight, lr=RATE)
        return each
    chunks = [pairs[i:i + 30] for i in range(0, len(pairs), 30)]
    update = lib.nd.multi_sgd_update
    calls = [([a for pair in c for a in pair], dict(out=[w for w, _ in c], num_weights=len(c), lrs=[RATE] * len(c),
                                                     wds=[0.0] * len(c))) for c in chunks]

    def run():
        for arrays, options in calls:
            update(*arrays, **options)
    return run


def training(lib, name, batch):
    """Forward, backward and SGD."""
    made = executor(lib, name, batch, True)
    update = updates(lib, made)

    def step():
        made.forward(is_train=True)
        made.backward()
        update()
    return {"": settled(lib, step)}


def torch_model(lib, name):
    import torch_networks
    return getattr(torch_networks, name.replace("-", "_"))(), NETWORKS[name][2]


def torch_layouts(lib, shape):
    formats = {"": lib.contiguous_format}
    if len(shape) == 3 and shape[0] > 1:
        formats["channels_last"] = lib.channels_last
    return formats


def torch_inference(lib, name, batch):
    steps = {}
    for variant, layout in torch_layouts(lib, NETWORKS[name][2]).items():
        lib.manual_seed(0)
        model, shape = torch_model(lib, name)
        model = model.eval().to(memory_format=layout)
        data = lib.rand(batch, *shape)
        data = data.contiguous(memory_format=layout) if len(shape) == 3 else data

        def run(model=model, data=data):
            with lib.inference_mode():
                lib.softmax(model(data), 1)
        steps[variant] = run
    return steps


def torch_training(lib, name, batch):
    steps, label, loss = {}, lib.zeros(batch, dtype=lib.int64), lib.nn.CrossEntropyLoss(reduction="sum")
    for variant, layout in torch_layouts(lib, NETWORKS[name][2]).items():
        lib.manual_seed(0)
        model, shape = torch_model(lib, name)
        model = model.train().to(memory_format=layout)
        data = lib.rand(batch, *shape)
        data = data.contiguous(memory_format=layout) if len(shape) == 3 else data
        for kind in ("foreach", "fused"):
            sgd = lib.optim.SGD(model.parameters(), lr=RATE, **{kind: True})

            def run(model=model, data=data, sgd=sgd):
                with lib.enable_grad():
                    sgd.zero_grad()
                    loss(model(data), label).backward()
                    sgd.step()
            steps[", ".join(filter(None, (variant, kind)))] = run
    return steps


