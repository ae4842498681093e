"""mxlite's side of the rows of gpu_rows.py: example networks, trained by Module as a user does."""
import gc
import importlib
import os
import sys

import gpu_rows
import numpy as np
from gpu_worker import Clock, EventClock
from jobs._networks import draw

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RATE = 1e-6             # so small that nothing grows or dies while it is timed
SYMBOLS = {"MLP": "mlp", "LeNet": "lenet", "ResNet-50": "resnet_v1"}


class Library:
    def __init__(self, device):
        import mxlite as mx
        self.mx, self.version = mx, mx.__version__
        if device == "cpu":
            self.ctx, self.clock = mx.cpu(), Clock(mx.nd.waitall)
            return
        if device == "fake":
            sys.path.append(ROOT)
            self.machine = importlib.import_module("tests.gpu_device.machine").Fake()
            self.device = self.machine.device
        else:
            import mxlite.gpu
            self.device = mxlite.gpu.get_device(0)
        self.ctx, cuda = mx.gpu(0), self.device.xp.cuda
        self.clock = EventClock(mx.nd.waitall, lambda: cuda.Event(disable_timing=False),
                                lambda e: e.record(self.device.stream),
                                lambda a, b: cuda.get_elapsed_time(a, b) / 1000)

    def forget(self):
        gc.collect()
        if self.ctx.device_type == "gpu":
            self.ctx.empty_cache()

    def steps(self, row, tiny):
        self.mx.runtime.set_option("tf32", row.mode == "TF32")
        if row.kind == "bandwidth":
            return self.bandwidth(row, tiny)
        if row.network == "LSTM":
            return {"": lambda: self.lstm(row, tiny)}
        if row.kind in ("inference", "latency"):
            return {"": lambda: self.inference(row, tiny)}
        if row.kind == "host":
            return {"forward, backward": lambda: self.halves(row, tiny),
                    "forward, backward, update": lambda: self.training(row, tiny)}
        return {"": lambda: self.training(row, tiny)}

    # -- networks -----------------------------------------------------------------------------------------------------

    def symbol(self, row, tiny):
        depths, side, classes = gpu_rows.sizes(tiny).resnet
        options = {"num_layers": 50 if not tiny else 2 + 6 * depths[0], "num_classes": classes,
                   "image_shape": f"3,{side},{side}"} if row.network == "ResNet-50" else {}
        module = importlib.import_module(f"mxlite.examples.symbols.{SYMBOLS[row.network]}")
        dtype = gpu_rows.DTYPE.get(row.mode, row.mode)
        if dtype != "bfloat16":
            return module.get_symbol(dtype=dtype, **options)
        # MXNet's examples know float16 alone: their casts, to the other half precision.
        return self.mx.sym.load_json(module.get_symbol(dtype="float16", **options).tojson().replace("float16", dtype))

    def batch(self, row, tiny):
        nd, (batch, shape) = self.mx.nd, gpu_rows.size_of(row, tiny)
        rng = np.random.default_rng(0)
        return (nd.array(rng.random((batch, *shape), "float32"), ctx=self.ctx),
                nd.array(rng.integers(0, 10, batch).astype("float32"), ctx=self.ctx))

    def module(self, row, tiny, training):
        mx, (data, label), net = self.mx, self.batch(row, tiny), self.symbol(row, tiny)
        made = mx.mod.Module(net, context=self.ctx)
        made.bind([("data", data.shape)], [("softmax_label", label.shape)], for_training=training)
        shapes, rng = net.infer_shape(data=data.shape, softmax_label=label.shape), np.random.default_rng(0)
        args, aux = ({k: mx.nd.array(draw(k, s, rng)) for k, s in zip(names, found)
                      if k not in ("data", "softmax_label")}
                     for names, found in ((net.list_arguments(), shapes[0]), (net.list_auxiliary_states(), shapes[2])))
        self.parameters = sum(a.size for a in args.values())
        made.init_params(None, arg_params=args, aux_params=aux)
        return made, mx.io.DataBatch([data], [label])

    def inference(self, row, tiny):
        made, batch = self.module(row, tiny, False)
        return lambda: made.forward(batch, is_train=False)

    def training(self, row, tiny):
        made, batch = self.module(row, tiny, True)
        made.init_optimizer(optimizer="sgd", optimizer_params={"learning_rate": RATE, "momentum": 0.9})

        def step():
            made.forward_backward(batch)
            made.update()
        return step

    def halves(self, row, tiny):
        """The bound graph alone, its arrays in place."""
        data, label = self.batch(row, tiny)
        net = self.symbol(row, tiny)
        exe = net.simple_bind(self.ctx, data=data.shape, softmax_label=label.shape, grad_req={
            k: "null" if k in ("data", "softmax_label") else "write" for k in net.list_arguments()})

        def step():
            exe.forward(is_train=True)
            exe.backward()
        return step

    def lstm(self, row, tiny):
        """Two layers by the operator RNN: forward and backward."""
        mx, (steps, batch, hidden) = self.mx, gpu_rows.sizes(tiny).lstm
        var, dtype = mx.sym.Variable, gpu_rows.DTYPE.get(row.mode, row.mode)
        net = mx.sym.RNN(var("data"), var("parameters"), var("state"), var("state_cell"), state_size=hidden,
                         num_layers=2, mode="lstm", name="rnn")
        names = net.list_arguments()
        exe = net.simple_bind(self.ctx, data=(steps, batch, hidden), type_dict={k: dtype for k in names}, grad_req={
            k: "write" if k == "parameters" else "null" for k in names})
        for k, a in exe.arg_dict.items():
            a[:] = 0 if "state" in k else mx.nd.random.uniform(-0.1, 0.1, a.shape, ctx=self.ctx).astype(dtype)
        head = mx.nd.ones((steps, batch, hidden), ctx=self.ctx, dtype=dtype)

        def step():
            exe.forward(is_train=True)
            exe.backward([head])
        return step

    # -- element by element -------------------------------------------------------------------------------------------

    def bandwidth(self, row, tiny):
        """Bound graphs; of a copy, the driver's own."""
        mx, n = self.mx, gpu_rows.sizes(tiny).elements
        x = [mx.nd.ones((n,), ctx=self.ctx) for _ in range(3)]
        if row.network == "copy":
            if self.ctx.device_type != "gpu":
                return {"": lambda: lambda: x[0].copyto(x[1])}

            def copy():
                with self.device.use():
                    self.device.copy(x[1].address, x[0].address, 4 * n)
            return {"": lambda: copy}
        a, b, c = map(mx.sym.Variable, "abc")
        net = {"relu": mx.sym.relu(a), "add": a + b, "multiply, add, relu": mx.sym.relu(a * b + c)}[row.network]
        exe = net.bind(self.ctx, {k: v for k, v in zip("abc", x) if k in net.list_arguments()})
        return {"": lambda: lambda: exe.forward()}
