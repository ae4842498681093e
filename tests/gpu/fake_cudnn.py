"""cuDNN's frontend for tests: graphs are described as the package takes them, and computed by NumPy from addresses.

Written from cuDNN's definition of a convolution and not from dnn.py: each tensor is read at its dimensions and strides.
"""
import ctypes
from itertools import product
from types import SimpleNamespace

import numpy as np

ITEMSIZE = {"FLOAT": 4, "DOUBLE": 8, "HALF": 2, "BFLOAT16": 2}


class NotSupported(Exception):
    pass


class Tensor:
    def __init__(self, graph, **given):
        self.graph, self.dim, self.stride, self.data_type, self.uid = graph, None, None, None, None
        self.output, self.make = False, None
        self.__dict__.update(given)

    def set_output(self, value):
        self.output = value
        return self

    def set_dim(self, dim):
        self.dim = list(dim)
        return self

    def set_stride(self, stride):
        self.stride = list(stride)
        return self

    def set_data_type(self, kind):
        self.data_type = kind
        return self

    def set_uid(self, uid):
        self.uid = uid
        return self

    def flat(self, address):
        """The tensor's memory as an array of its dimensions."""
        size = ITEMSIZE[self.data_type]
        span = 1 + sum((d - 1) * s for d, s in zip(self.dim, self.stride))
        raw = (ctypes.c_char * (span * size)).from_address(address)
        kind = {"FLOAT": np.float32, "DOUBLE": np.float64, "HALF": np.float16, "BFLOAT16": np.uint16}[self.data_type]
        return np.lib.stride_tricks.as_strided(np.frombuffer(raw, kind), self.dim, [s * size for s in self.stride])

    def read(self, address):
        x = self.flat(address)
        if self.data_type == "BFLOAT16":
            x = (x.astype(np.uint32) << 16).view(np.float32)
        return x.astype(np.float64)

    def write(self, address, x):
        assert list(x.shape) == self.dim
        if self.data_type == "BFLOAT16":
            u = np.ascontiguousarray(x, np.float32).view(np.uint32)
            x = ((u + 0x7FFF + (u >> 16 & 1)) >> 16).astype(np.uint16)
        self.flat(address)[...] = x


def taps(x_dims, w_dims, y_dims, pre_padding, post_padding, stride, dilation):
    """(window element, slices of the padded data that it sees)."""
    for x, k, y, a, b, s, d in zip(x_dims[2:], w_dims[2:], y_dims[2:], pre_padding, post_padding, stride, dilation):
        assert a >= 0 and b >= 0 and (x + a + b - d * (k - 1) - 1) // s + 1 == y, "not a convolution of these sizes"
    for at in product(*(range(k) for k in w_dims[2:])):
        yield at, tuple(slice(i * d, i * d + (y - 1) * s + 1, s)
                        for i, d, s, y in zip(at, dilation, stride, y_dims[2:]))


def grouped(x, groups):
    return x.reshape(x.shape[0], groups, -1, *x.shape[2:])


class Graph:
    """``cudnn.pygraph``."""

    def __init__(self, module, io_data_type=None, intermediate_data_type=None, compute_data_type=None, handle=None):
        self.module, self.handle, self.ops, self.tensors = module, handle, [], {}
        self.wide, self.io, self.built, self.notes, self.limit = compute_data_type, io_data_type, False, [], None
        self.chosen = None
        self.outputs = []

    def tensor(self, name="", dim=None, stride=None, data_type=None, uid=None):
        out = Tensor(self, dim=list(dim), stride=list(stride), data_type=data_type, uid=uid)
        out.make = lambda pack: out.read(pack[uid])
        return out

    def _made(self, what, make, window=None):
        out = Tensor(self)
        out.make = lambda pack: make(pack, out)
        self.ops.append(what)
        self.outputs.append(out)
        return out

    def conv_fprop(self, image, weight, **window):
        def make(pack, out):
            x, w = image.make(pack), weight.make(pack)
            groups = x.shape[1] // w.shape[1]
            pads = [(0, 0), (0, 0), *zip(window["pre_padding"], window["post_padding"])]
            xp, dims = grouped(np.pad(x, pads), groups), out.dim or self.outputs[-1].dim
            y = np.zeros(dims)
            for at, see in taps(x.shape, w.shape, dims, **window):
                part = w[(slice(None), slice(None), *at)].reshape(groups, -1, w.shape[1])
                y += np.einsum("gkc,ngc...->ngk...", part, xp[(slice(None),) * 3 + see]).reshape(dims)
            return y
        return self._made("fprop", make)

    def conv_dgrad(self, loss, filter, **window):
        def make(pack, out):
            dy, w = loss.make(pack), filter.make(pack)
            groups = out.dim[1] // w.shape[1]
            pre, post = window["pre_padding"], window["post_padding"]
            dx = np.zeros([*out.dim[:2], *(d + a + b for d, a, b in zip(out.dim[2:], pre, post))])
            view = dx.reshape(dx.shape[0], groups, -1, *dx.shape[2:])
            for at, see in taps(out.dim, w.shape, dy.shape, **window):
                part = w[(slice(None), slice(None), *at)].reshape(groups, -1, w.shape[1])
                view[(slice(None),) * 3 + see] += np.einsum("gkc,ngk...->ngc...", part, grouped(dy, groups))
            return dx[(slice(None), slice(None), *(slice(a, a + d) for a, d in zip(pre, out.dim[2:])))]
        return self._made("dgrad", make)

    def conv_wgrad(self, image, loss, **window):
        def make(pack, out):
            x, dy = image.make(pack), loss.make(pack)
            groups = x.shape[1] // out.dim[1]
            pads = [(0, 0), (0, 0), *zip(window["pre_padding"], window["post_padding"])]
            xp, dw = grouped(np.pad(x, pads), groups), np.zeros(out.dim)
            flat = grouped(dy, groups).reshape(*dy.shape[:1], groups, dy.shape[1] // groups, -1)
            for at, see in taps(x.shape, out.dim, dy.shape, **window):
                seen = xp[(slice(None),) * 3 + see]
                part = np.einsum("ngkp,ngcp->gkc", flat, seen.reshape(*seen.shape[:3], -1))
                dw[(slice(None), slice(None), *at)] = part.reshape(out.dim[:2])
            return dw
        return self._made("wgrad", make)

    def add(self, a, b):
        return self._made("add", lambda pack, out: a.make(pack) + b.make(pack))

    def relu(self, input):
        return self._made("relu", lambda pack, out: np.where(input.make(pack) < 0, 0, input.make(pack)))

    def validate(self):
        for out in self.outputs:
            assert out.dim is not None or out.output is False

    def build_operation_graph(self):
        pass

    def create_execution_plans(self, modes):
        assert modes == ["A", "FALLBACK"]

    def deselect_numeric_notes(self, notes):
        self.notes += notes

    def deselect_workspace_greater_than(self, limit):
        self.limit = limit

    def check_support(self):
        reason = self.module.refuse(self)
        if reason:
            raise NotSupported(reason)

    def build_plans(self):
        """The first one that can be built, as the library's default has it."""
        assert not self.built
        for i in range(self.get_execution_plan_count()):
            try:
                return self.build_plan_at_index(i)
            except NotSupported:
                pass
        raise NotSupported("no plan can be built")

    def get_execution_plan_count(self):
        return len(self.module.plans)

    def build_plan_at_index(self, i):
        plan = self.module.plans[i]
        if set(plan.notes) & set(self.notes) or self.limit is not None and plan.workspace > self.limit or plan.broken:
            raise NotSupported("Deselecting execution plan")
        if not self.built:
            self.module.graphs.append(self)
        self.built, self.chosen = True, i

    def get_workspace_size_plan_at_index(self, i):
        return self.module.plans[i].workspace

    def get_workspace_size(self):
        return self.module.plans[self.chosen].workspace

    def serialize(self):
        return self.module.save(self)

    def deserialize(self, handle, data):
        assert handle == self.handle == 99
        self.__dict__.update(self.module.load(data).__dict__)
        self.module.restored += 1

    def execute(self, pack, workspace, handle=None):
        self.execute_plan_at_index(pack, workspace, self.chosen, handle)

    def execute_plan_at_index(self, pack, workspace, index, handle=None):
        assert self.built and handle == self.handle == 99
        module, pack, plan = self.module, dict(pack), self.module.plans[index]
        module.executed.append(index)
        if plan.duration is None:
            raise NotSupported("CUDNN_STATUS_EXECUTION_FAILED")
        if module.xp is not None:
            module.xp.clock += plan.duration

        def run():
            if plan.workspace:
                ctypes.memset(workspace, 0xEE, plan.workspace)
            out = self.outputs[-1]
            assert out.output
            out.write(pack[out.uid], out.make(pack))
        module.run.append(self.ops)
        if module.xp is None:
            run()
        else:
            module.xp.start(module.stream, run, "cudnn")


def plan(duration=0.0, workspace=300, notes=(), broken=False):
    """One execution plan: milliseconds that it takes (None: it fails), its numerical notes, whether it cannot be
    built."""
    return SimpleNamespace(duration=duration, workspace=workspace, notes=notes, broken=broken)


class Cudnn:
    """The module ``cudnn``. `refuse(graph)`: why there is no plan for it, or None."""

    cudnnGraphNotSupportedError = NotSupported
    __version__ = "1.27.0"

    def __init__(self, refuse=lambda graph: None, workspace=300, xp=None, plans=None):
        """`plans`: :func:`plan` for each that a graph has, the library's guess first."""
        self.refuse, self.xp, self.executed = refuse, xp, []
        self.plans = [plan(workspace=workspace)] if plans is None else plans
        self.graphs, self.run, self.saved, self.restored = [], [], [], 0
        self.data_type = SimpleNamespace(**{k: k for k in ITEMSIZE})
        self.heur_mode = SimpleNamespace(A="A", FALLBACK="FALLBACK")
        notes = ("NONDETERMINISTIC", "TENSOR_CORE", "DOWN_CONVERT_INPUTS", "REDUCED_PRECISION_REDUCTION", "WINOGRAD")
        self.numerical_note = SimpleNamespace(**{k: k for k in notes})

    def create_handle(self):
        return 99

    def set_stream(self, handle, stream):
        self.stream = stream

    def backend_version(self):
        return 91900

    def pygraph(self, **given):
        return Graph(self, **given)

    def save(self, graph):
        self.saved.append(graph)
        return list(b"plan %d" % (len(self.saved) - 1))

    def load(self, data):
        text = bytes(data).decode()
        if not text.startswith("plan "):
            raise RuntimeError("not a plan")
        return self.saved[int(text[5:])]
