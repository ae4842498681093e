"""Convolutions by cuDNN's graph interface (package nvidia-cudnn-frontend, imported as ``cudnn``).

A graph is built once for a geometry, and executed on any addresses: tensors have numbers, not names. Dimensions are
always in the order N, C, *X; the layout is the strides, of data, weight and result alike. What comes out must not
depend on chance, so engines that add in any order are left out; float32 leaves out tensor cores unless TF32 is allowed.
"""
import threading
import time
from math import prod

from .._core.dtypes import ITEMSIZE
from . import _libs, autotune
from .arena import align
from .dnn_graph import BIAS, KINDS, RESIDUAL, Geometry, Spec, W, X, Y
from .families.epilogue import epilogue
from .libraries import Call, LibraryPlan
from .pointwise import quicker

TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF", "bfloat16": "BFLOAT16"}
WORKSPACE_LIMIT = 128 << 20
KEEP_FROM = 0.1                 # seconds of building, from which on a plan is kept on disk
LONGEST = 2.0                   # seconds that building plans to choose from may take
DNN_ALIGNMENT = 16
PLAIN = {"act": 0, "lo": 0.0, "hi": 0.0, "bias": 0, "residual": 0, "prepared": 0}


class Dnn:
    """cuDNN on one device. `cudnn` is the frontend's module."""

    def __init__(self, cudnn, device, disk=None):
        self.cudnn, self.device, self.graphs, self.lock = cudnn, device, {}, threading.Lock()
        self.disk = _libs.disk() if disk is None else disk
        self.refused = {}               # key of a spec -> why cuDNN has no plan for it
        self.pointwise = {}             # 1x1 convolution -> whether cublasLt runs it
        with device.use():
            self.handle = cudnn.create_handle()
            cudnn.set_stream(handle=self.handle, stream=device.stream.ptr)

    def graph(self, spec):
        """(graph, bytes of workspace), or None where cuDNN has no plan for it (``refused`` says why)."""
        spec.tuned = spec.tuned and autotune.wanted(self.device)
        key = spec.key()
        with self.lock:
            if key not in self.graphs:
                self.graphs[key] = self._build(spec)
            return self.graphs[key]

    def disk_key(self, spec):
        """What a plan depends on: the graph, both versions of cuDNN, the device."""
        return repr((spec.key(), *self.versions()))

    def versions(self):
        return self.cudnn.backend_version(), self.cudnn.__version__, self.device.name, self.device.arch

    def _build(self, spec):
        kept = self.disk.get("cudnn", self.disk_key(spec))
        with self.device.use():
            if kept is not None:
                found = self._restore(spec, kept)
                if found is not None:
                    return found
            begin = time.perf_counter()
            for limit in (WORKSPACE_LIMIT, None):
                try:
                    graph = self._plan(spec, limit)
                except Exception as e:  # the frontend's exceptions have no base of their own in every version
                    if not self.means_no_plan(e):
                        raise
                    self.refused[spec.key()] = str(e).strip().split("\n")[0]
                    continue
                if time.perf_counter() - begin > KEEP_FROM:
                    self._keep(spec, graph)
                return graph, int(graph.get_workspace_size())
        return None

    def means_no_plan(self, error):
        named = getattr(self.cudnn, "cudnnGraphNotSupportedError", None)
        return (named is not None and isinstance(error, named)) or isinstance(error, RuntimeError) \
            or type(error).__module__.startswith("cudnn")

    def _plan(self, spec, limit):
        cudnn, graph = self.cudnn, self._describe(spec)
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        notes = ["NONDETERMINISTIC"]
        if spec.dtype == "float32" and not spec.fast:
            notes += ["TENSOR_CORE", "DOWN_CONVERT_INPUTS"]
        if spec.dtype != "float64":
            notes += ["REDUCED_PRECISION_REDUCTION"]
        if not spec.winograd:
            notes += ["WINOGRAD", "WINOGRAD_TILE_4x4", "WINOGRAD_TILE_6x6", "WINOGRAD_TILE_13x13"]
        graph.deselect_numeric_notes([getattr(cudnn.numerical_note, n) for n in notes
                                      if hasattr(cudnn.numerical_note, n)])
        if limit is not None:
            graph.deselect_workspace_greater_than(limit)
        graph.check_support()
        if not (spec.tuned and self._tune(spec, graph)):
            graph.build_plans()
        return graph

    def _tune(self, spec, graph):
        """Make the quickest of the graph's first few plans the one that it executes; False where there is none. Plans
        of engines that were left out cannot be built."""
        key, begin, built = self.disk_key(spec), time.perf_counter(), {}
        kept = self.disk.get("cudnn-choice", key)
        if kept is not None and self._built(graph, int(kept)):
            return True
        for i in range(graph.get_execution_plan_count()):
            if self._built(graph, i):
                built[i] = int(graph.get_workspace_size_plan_at_index(i))
            if len(built) == autotune.CANDIDATES or time.perf_counter() - begin > LONGEST:
                break
        if not built:
            return False
        best = next(iter(built))
        if len(built) > 1:
            numbers = list(built)
            found = self._quickest(spec, graph, built)
            if found is not None:
                best = numbers[found]
                self.disk.put("cudnn-choice", key, str(best).encode())
        graph.build_plan_at_index(best)         # it is built: this only says which is executed
        return True

    def _built(self, graph, i):
        try:
            graph.build_plan_at_index(i)
        except Exception as e:
            if not self.means_no_plan(e):
                raise
            return False
        return True

    def _quickest(self, spec, graph, built):
        """Which of the plans `built`, {index: bytes of workspace}, is the quickest, by their order; None: unknown."""
        sizes = spec.nbytes()
        try:
            scratch = autotune.Scratch(self.device, [*sizes.values(), max(built.values())])
        except MemoryError:
            return None
        pack, work = dict(zip(sizes, scratch.addresses)), scratch.addresses[-1]

        def run(i):
            return lambda stream: graph.execute_plan_at_index(pack, work, i, handle=self.handle)
        return autotune.quickest(self.device, [run(i) for i in built], self.means_no_plan)

    def _describe(self, spec):
        """The graph of a spec, with numbered tensors."""
        cudnn, g = self.cudnn, spec.geometry
        io = getattr(cudnn.data_type, TYPES[spec.dtype])
        wide = cudnn.data_type.DOUBLE if spec.dtype == "float64" else cudnn.data_type.FLOAT
        graph = cudnn.pygraph(io_data_type=io, intermediate_data_type=wide, compute_data_type=wide, handle=self.handle)
        shapes = g.x, g.w, g.y

        def tensor(number, k):
            return graph.tensor(name=f"t{number}", dim=list(shapes[k]), stride=list(g.strides(k)), data_type=io,
                                uid=number)
        window = dict(pre_padding=list(g.pad), post_padding=list(g.after()), stride=list(g.stride),
                      dilation=list(g.dilation))
        result = {"forward": 2, "dgrad": 0, "wgrad": 1}[spec.kind]
        if spec.kind == "forward":
            out = graph.conv_fprop(image=tensor(X, 0), weight=tensor(W, 1), **window)
        elif spec.kind == "dgrad":
            out = graph.conv_dgrad(loss=tensor(Y, 2), filter=tensor(W, 1), **window)
        else:
            out = graph.conv_wgrad(image=tensor(X, 0), loss=tensor(Y, 2), **window)
        shape, strides = list(shapes[result]), list(g.strides(result))
        if spec.residual or spec.bias or spec.relu:
            out.set_dim(shape).set_stride(strides)
        # In this order, and with the bias in the dtype of the data, cuDNN has engines that need not be compiled.
        if spec.residual:
            out = graph.add(a=out, b=graph.tensor(name="residual", dim=shape, stride=strides, data_type=io,
                                                  uid=RESIDUAL))
        if spec.bias:
            flat = [1, shape[1]] + [1] * (len(shape) - 2)
            out = graph.add(a=out, b=graph.tensor(name="bias", dim=flat, stride=[shape[1], 1, *[shape[1]] * len(
                shape[2:])], data_type=io, uid=BIAS))
        if spec.relu:
            out = graph.relu(input=out)
        out.set_output(True).set_dim(shape).set_stride(strides).set_data_type(io)
        out.set_uid((Y, X, W)[KINDS.index(spec.kind)])
        return graph

    def _keep(self, spec, graph):
        """On disk, where this engine can be; not all can."""
        try:
            data = bytes(graph.serialize())
        except Exception:       # "serialization is not supported" comes as several types
            return
        self.disk.put("cudnn", self.disk_key(spec), data)

    def _restore(self, spec, data):
        cudnn = self.cudnn
        graph = cudnn.pygraph(handle=self.handle)
        try:
            graph.deserialize(self.handle, list(data))
        except Exception:       # of another build of the library: made anew
            return None
        return graph, int(graph.get_workspace_size())

    def call(self, spec, built, addresses, work):
        """A :class:`Call` of a graph on `addresses`, a dict by tensor number."""
        (graph, _), handle = built, self.handle
        execute, pack = graph.execute, dict(addresses)

        def run(stream):
            execute(pack, work, handle=handle)
        g = spec.geometry
        return Call(run, f"conv {spec.kind} {'x'.join(map(str, g.w))}", graph)


def library(device):
    """The :class:`Dnn` of a device, made on first use. Raises Missing."""
    if "dnn" not in device.libraries:
        _libs.path("cudnn")             # before the frontend looks for it; and NVRTC before that
        try:
            import cudnn
        except ImportError as e:
            raise _libs.Missing(f"the package nvidia-cudnn-frontend cannot be imported ({e}); "
                                f"`pip install mxlite[gpu]` brings it") from None
        device.libraries["dnn"] = Dnn(cudnn, device)
    return device.libraries["dnn"]


def _aligned(*tensors):
    return not any(t.address % DNN_ALIGNMENT for t in tensors)


def _product(device, kind, args, factors, ins, outs):
    """The plan of a product and what stands behind it. `factors`: numbers of the first two of `ins`."""
    return quicker(device, library(device), kind, {**PLAIN, **args}, ins, outs,
                   lambda ins, outs: _plan(device, kind, args, dict(zip(factors, ins)), outs[0], ins[2:]))


def _plan(device, kind, args, tensors, out, more):
    """That plan by cuDNN. `tensors`: {number: tensor} of its factors."""
    a = {**PLAIN, **args}
    if a["prepared"] or any(t.dtype != out.dtype for t in (*tensors.values(), *more)) or out.dtype not in TYPES:
        return None
    if not out.address or out.size == 0:
        return LibraryPlan("cuDNN", lambda work: [])
    if any(t.size == 0 for t in tensors.values()):
        return _of_nothing(device, a, out) if not more and not a["act"] else None
    if not _aligned(*tensors.values(), out, *more):
        return None
    dnn, geometry = library(device), Geometry(a)
    number = (Y, X, W)[KINDS.index(kind)]
    bias = more[0].address if a["bias"] else 0
    residual = more[a["bias"]].address if a["residual"] else 0
    relu, clips = a["act"] == 1, a["act"] == 2
    given = {n: t.address for n, t in tensors.items()}
    if kind == "forward" and not clips:
        spec = Spec(kind, out.dtype, geometry, bias, residual, relu)
        built = dnn.graph(spec)
        if built is not None:
            pack = {**given, number: out.address, **({BIAS: bias} if bias else {}),
                    **({RESIDUAL: residual} if residual else {})}
            return LibraryPlan("cuDNN", lambda work: [dnn.call(spec, built, pack, work)], built[1])
    spec = Spec(kind, out.dtype, geometry)
    built = dnn.graph(spec)
    if built is None:
        return None
    behind = bool(bias or residual or a["act"])
    # The residual may be the result's own memory: the product then waits in the workspace.
    scratch = align(out.size * ITEMSIZE[out.dtype]) if residual else 0

    def launches(work):
        at = work if residual else out.address
        calls = [dnn.call(spec, built, {**given, number: at}, work + scratch)]
        if behind:
            channels = a["filters"] if kind == "forward" else a["channels"]
            inner = 1 if geometry.last else prod(out.shape[2:])
            calls.append(epilogue(out.dtype, at, out.address, out.size, channels, inner, bias, residual, a["act"],
                                  a["lo"], a["hi"]))
        return calls
    return LibraryPlan("cuDNN", launches, scratch + built[1])


def _of_nothing(device, args, out):
    """A sum over no elements is 0."""
    def run(stream):
        device.fill(out.address, 0, out.size * ITEMSIZE[out.dtype])
    return LibraryPlan("cuDNN", lambda work: [Call(run, "zero")])


def forward(device, args, ins, outs, context=None):
    """``conv.forward``: data, weight, [bias], [residual]."""
    return _product(device, "forward", args, (X, W), ins, outs)


def dgrad(device, args, ins, outs, context=None):
    """``conv.dgrad``, which is deconvolution too: dy, weight, [bias], [residual]."""
    return _product(device, "dgrad", args, (Y, W), ins, outs)


def wgrad(device, args, ins, outs, context=None):
    """``conv.wgrad``: dy, data. The result has the data's dtype; cuDNN has no wider one."""
    return _product(device, "wgrad", args, (Y, X), ins, outs)
