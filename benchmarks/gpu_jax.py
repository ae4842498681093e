"""JAX's side of the rows of gpu_rows.py: pure functions, jitted whole, channels last."""
import gc

import gpu_rows
import jax
import numpy as np
from gpu_worker import Clock
from jax import lax
from jax import numpy as jnp

RATE = 1e-6
NHWC = ("NHWC", "HWIO", "NHWC")


class Parameters:
    """Draws parameters where a network asks for them the first time, and hands them out after that."""

    def __init__(self, dtype):
        self.dtype, self.made, self.rng = dtype, {}, np.random.default_rng(0)

    def __call__(self, name, shape, fill=None):
        if name not in self.made:
            scale = np.sqrt(2 / max(1, np.prod(shape[:-1])))
            x = np.full(shape, fill) if fill is not None else self.rng.normal(size=shape) * scale
            self.made[name] = jnp.asarray(x, self.dtype)
        return self.made[name]


class Given:
    """The same face over a dict: what `jit` and `grad` see."""

    def __init__(self, values):
        self.values = values

    def __call__(self, name, shape, fill=None):
        return self.values[name]


def conv(p, x, name, filters, size, stride=1, pad="SAME"):
    w = p(name, (size, size, x.shape[-1], filters))
    return lax.conv_general_dilated(x, w, (stride, stride), pad, dimension_numbers=NHWC)


def norm(p, x, name, training):
    """BatchNorm by the batch's statistics while training, by moving ones (constants here) else."""
    c = x.shape[-1]
    gamma, beta = p(name + "_gamma", (c,), 1), p(name + "_beta", (c,), 0)
    if training:
        wide = x.astype(jnp.float32)
        mean = wide.mean((0, 1, 2))
        var = (wide * wide).mean((0, 1, 2)) - mean * mean
    else:
        mean, var = p(name + "_mean", (c,), 0), p(name + "_var", (c,), 1)
    scale = gamma.astype(jnp.float32) * lax.rsqrt(var.astype(jnp.float32) + 2e-5)
    return (x * scale.astype(x.dtype) + (beta.astype(jnp.float32) - mean * scale).astype(x.dtype))


def dense(p, x, name, n):
    return x @ p(name, (x.shape[-1], n)) + p(name + "_bias", (n,), 0)


def mlp(p, x, training, sizes):
    for i, n in enumerate((128, 64)):
        x = jax.nn.relu(dense(p, x, f"fc{i}", n))
    return dense(p, x, "fc", 10)


def pool(x, size, stride, pad="VALID"):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1), pad)


def lenet(p, x, training, sizes):
    for i, n in enumerate((20, 50)):
        x = jnp.tanh(conv(p, x, f"conv{i}", n, 5, pad="VALID") + p(f"conv{i}_bias", (n,), 0))
        x = pool(x, 2, 2)
    x = jnp.tanh(dense(p, x.reshape(x.shape[0], -1), "fc0", 500))
    return dense(p, x, "fc1", 10)


def resnet(p, x, training, sizes):
    depths, side, classes = sizes.resnet
    small = side < 64
    widths = (16, 16, 32, 64) if small else (64, 256, 512, 1024, 2048)
    x = norm(p, conv(p, x, "stem", widths[0], 3 if small else 7, 1 if small else 2,
                     "SAME" if small else ((3, 3), (3, 3))), "stem_bn", training)
    if not small:
        x = pool(jax.nn.relu(x), 3, 2, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for stage, (depth, width) in enumerate(zip(depths, widths[1:])):
        for i in range(depth):
            name, stride = f"s{stage}u{i}", 2 if stage and i == 0 else 1
            y = x
            layers = [(width, 3), (width, 3)] if small else [(width // 4, 1), (width // 4, 3), (width, 1)]
            for k, (filters, size) in enumerate(layers):
                pad = ((size // 2, size // 2),) * 2
                y = norm(p, conv(p, y, f"{name}c{k}", filters, size, stride if k == 0 else 1, pad), f"{name}b{k}",
                         training)
                if k + 1 < len(layers):
                    y = jax.nn.relu(y)
            if i == 0:
                x = norm(p, conv(p, x, f"{name}s", width, 1, stride, "VALID"), f"{name}sb", training)
            x = jax.nn.relu(x + y)
    return dense(p, x.mean((1, 2)), "fc", classes)


NETWORKS = {"MLP": mlp, "LeNet": lenet, "ResNet-50": resnet}


class Library:
    def __init__(self, device):
        self.version = jax.__version__
        self.device = jax.devices("cpu" if device == "cpu" else "gpu")[0]
        jax.config.update("jax_default_device", self.device)
        self.last = None
        self.clock = Clock(lambda: jax.block_until_ready(self.last))

    def forget(self):
        self.last = None
        jax.clear_caches()
        gc.collect()

    def step(self, f, *args):
        """Calls `f` and remembers what to wait for."""
        def run():
            self.last = f(*args)
        return run

    def steps(self, row, tiny):
        precision = {"TF32": "tensorfloat32", "float32": "highest"}.get(row.mode, "default")
        jax.config.update("jax_default_matmul_precision", precision)
        if row.kind == "bandwidth":
            return self.bandwidth(row, tiny)
        if row.kind == "host":
            return "host time is measured of a captured step of ours alone"
        if row.network == "LSTM":
            return {"jit": lambda: self.lstm(row, tiny)}
        return {"jit": lambda: (self.training if row.kind == "training" else self.inference)(row, tiny)}

    def made(self, row, tiny, training):
        batch, shape = gpu_rows.size_of(row, tiny)
        dtype = jnp.dtype(gpu_rows.DTYPE.get(row.mode, row.mode))
        shape = (*shape[1:], shape[0]) if len(shape) == 3 else shape
        data = jnp.asarray(np.random.default_rng(0).random((batch, *shape), "float32"))
        net, values, sizes = NETWORKS[row.network], Parameters(dtype), gpu_rows.sizes(tiny)
        net(values, data[:1].astype(dtype), training, sizes)        # draws them
        self.parameters = sum(v.size for k, v in values.made.items() if not k.endswith(("_mean", "_var")))
        return values.made, data, lambda v, x: net(Given(v), x.astype(dtype), training, sizes).astype(jnp.float32)

    def inference(self, row, tiny):
        values, data, forward = self.made(row, tiny, False)
        return self.step(jax.jit(lambda v, x: jax.nn.softmax(forward(v, x))), values, data)

    def training(self, row, tiny):
        values, data, forward = self.made(row, tiny, True)
        state = {"v": values, "m": jax.tree.map(jnp.zeros_like, values)}

        def loss(v, x):
            return -jax.nn.log_softmax(forward(v, x))[:, 0].sum()

        def update(v, m, x):
            grads = jax.grad(loss)(v, x)
            m = jax.tree.map(lambda m, g: (0.9 * m - RATE * g).astype(m.dtype), m, grads)
            return jax.tree.map(lambda v, m: v + m, v, m), m
        jitted = jax.jit(update, donate_argnums=(0, 1))

        def run():
            state["v"], state["m"] = jitted(state["v"], state["m"], data)
            self.last = state["v"]
        return run

    def lstm(self, row, tiny):
        steps, batch, hidden = gpu_rows.sizes(tiny).lstm
        dtype = jnp.dtype(gpu_rows.DTYPE.get(row.mode, row.mode))
        p = Parameters(dtype)
        values = [(p(f"i{k}", (hidden, 4 * hidden)), p(f"h{k}", (hidden, 4 * hidden)), p(f"b{k}", (4 * hidden,), 0))
                  for k in range(2)]
        data = jnp.asarray(np.random.default_rng(0).random((steps, batch, hidden)) - 0.5, dtype)

        def layer(v, x):
            inner = x @ v[0] + v[2]

            def cell(state, gates):
                h, c = state
                i, f, g, o = jnp.split(gates + h @ v[1], 4, -1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h
            zero = jnp.zeros((batch, hidden), dtype)
            return lax.scan(cell, (zero, zero), inner)[1]
        return self.step(jax.jit(jax.grad(lambda v, x: layer(v[1], layer(v[0], x)).sum())), values, data)

    def bandwidth(self, row, tiny):
        n = gpu_rows.sizes(tiny).elements
        a, b, c = (jnp.ones((n,), jnp.float32) for _ in range(3))
        f = {"copy": jnp.copy, "relu": jax.nn.relu, "add": jnp.add,
             "multiply, add, relu": lambda a, b, c: jax.nn.relu(a * b + c)}[row.network]
        args = {"copy": (a,), "relu": (a,), "add": (a, b)}.get(row.network, (a, b, c))
        return {"jit": lambda: self.step(jax.jit(f), *args)}
