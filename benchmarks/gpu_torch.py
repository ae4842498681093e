"""PyTorch's side of the rows of gpu_rows.py: eager and compiled, channels first and last, the same precision."""
import gc

import gpu_rows
import torch
import torch_networks
from gpu_worker import Clock, EventClock
from torch import nn

RATE = 1e-6
COMPILED = {"compile": {}, "compile reduce-overhead": {"mode": "reduce-overhead"}}


def network(row, tiny):
    if row.network == "ResNet-50":
        depths, _, classes = gpu_rows.sizes(tiny).resnet
        return torch_networks.resnet50() if not tiny else \
            torch_networks.resnet(depths, (16, 16, 32, 64), False, True, classes)
    return {"MLP": torch_networks.mlp, "LeNet": torch_networks.lenet}[row.network]()


class Library:
    def __init__(self, device):
        self.version = torch.__version__
        if device == "gpu":
            if not torch.cuda.is_available():
                raise RuntimeError("PyTorch sees no GPU")
            self.device = torch.device("cuda")
            self.clock = EventClock(torch.cuda.synchronize, lambda: torch.cuda.Event(enable_timing=True),
                                    lambda e: e.record(), lambda a, b: a.elapsed_time(b) / 1000)
        else:
            self.device, self.clock = torch.device("cpu"), Clock(lambda: None)

    def forget(self):
        torch._dynamo.reset()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def steps(self, row, tiny):
        precise = "tf32" if row.mode == "TF32" else "ieee"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precise == "tf32"
        torch.backends.cudnn.benchmark = True
        if row.kind == "bandwidth":
            return self.bandwidth(row, tiny)
        if row.network == "LSTM":
            return {"eager": lambda: self.lstm(row, tiny)}
        if row.kind == "host":
            return "host time is measured of a captured step of ours alone"
        make = self.training if row.kind == "training" else self.inference
        layouts = {"": torch.contiguous_format}
        if row.network == "ResNet-50":
            layouts["channels_last"] = torch.channels_last
        out = {}
        for layout, memory in layouts.items():
            ways = {"eager": None, **({} if tiny else COMPILED)}
            if layout == "" and row.network == "ResNet-50" and row.mode != "float32":
                ways = {"eager": None}          # tensor cores want channels last: compiled that way alone
            for way, words in ways.items():
                out[f"{way} {layout}".strip()] = lambda words=words, memory=memory: make(row, tiny, words, memory)
        return out

    def made(self, row, tiny, memory):
        dtype = getattr(torch, gpu_rows.DTYPE.get(row.mode, row.mode))
        batch, shape = gpu_rows.size_of(row, tiny)
        torch.manual_seed(0)
        model = network(row, tiny).to(self.device, dtype)
        self.parameters = sum(p.numel() for p in model.parameters())
        data = torch.rand(batch, *shape, device=self.device)
        if len(shape) == 3:
            model, data = model.to(memory_format=memory), data.contiguous(memory_format=memory)
        return model, data, torch.zeros(batch, dtype=torch.int64, device=self.device), dtype

    def inference(self, row, tiny, compiled, memory):
        model, data, _, dtype = self.made(row, tiny, memory)
        model.eval()

        def forward(x):
            return torch.softmax(model(x.to(dtype)).float(), 1)
        if compiled is not None:
            forward = torch.compile(forward, **compiled)

        def run():
            with torch.inference_mode():
                return forward(data)
        return run

    def training(self, row, tiny, compiled, memory):
        model, data, label, dtype = self.made(row, tiny, memory)
        model.train()
        fused = {"fused": True} if self.device.type == "cuda" else {}
        sgd = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, **fused)
        loss = nn.CrossEntropyLoss(reduction="sum")

        def objective(x, y):
            return loss(model(x.to(dtype)).float(), y)
        if compiled is not None:
            objective = torch.compile(objective, **compiled)

        def run():
            sgd.zero_grad(set_to_none=True)
            objective(data, label).backward()
            sgd.step()
        return run

    def lstm(self, row, tiny):
        steps, batch, hidden = gpu_rows.sizes(tiny).lstm
        dtype = getattr(torch, gpu_rows.DTYPE.get(row.mode, row.mode))
        model = nn.LSTM(hidden, hidden, 2).to(self.device, dtype)
        data = (torch.rand(steps, batch, hidden, device=self.device) - 0.5).to(dtype)
        head = torch.ones(steps, batch, hidden, device=self.device, dtype=dtype)

        def run():
            model.zero_grad()
            model(data)[0].backward(head)
        return run

    def bandwidth(self, row, tiny):
        n = gpu_rows.sizes(tiny).elements
        a, b, c, out = (torch.ones(n, device=self.device) for _ in range(4))
        eager = {"copy": lambda: out.copy_(a), "relu": lambda: torch.relu(a), "add": lambda: torch.add(a, b, out=out),
                 "multiply, add, relu": lambda: torch.relu(a * b + c)}[row.network]
        ways = {"eager": lambda: eager}
        if not tiny and row.network not in ("copy", "add"):
            ways["compile"] = lambda: torch.compile(eager)
        return ways
