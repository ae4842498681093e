"""Matrix products by cublasLt, called through its C interface.

The library wants workspace, algorithm and stream as arguments and allocates nothing, so its calls can be captured. It
thinks in columns: our row-major C = op(A) op(B) is its C' = op(B)' op(A)', so our B is its first factor.
"""
import ctypes
import threading
from ctypes import byref, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

from .._core.dtypes import ITEMSIZE
from ..ops import settings
from . import _libs, autotune
from .families.epilogue import epilogue
from .libraries import Call, LibraryPlan

R_32F, R_64F, R_16F, R_16BF = 0, 1, 2, 14
COMPUTE_32F, COMPUTE_32F_PEDANTIC, COMPUTE_64F, COMPUTE_32F_FAST_TF32 = 68, 69, 70, 77
DESC_TRANSA, DESC_TRANSB, DESC_EPILOGUE, DESC_BIAS_POINTER, DESC_BIAS_DATA_TYPE = 3, 4, 7, 8, 26
LAYOUT_BATCH_COUNT, LAYOUT_BATCH_OFFSET = 5, 6
PREF_MAX_WORKSPACE, PREF_REDUCTION_MASK, PREF_ALIGNMENT = 1, 3, 5       # from PREF_ALIGNMENT on: A, B, C, D
EPILOGUE_DEFAULT, EPILOGUE_RELU, EPILOGUE_BIAS, EPILOGUE_RELU_BIAS = 1, 2, 4, 6
REDUCE_IN_COMPUTE_TYPE = 2      # of a sum in parts: never in the dtype of a narrow result
SUCCESS, NOT_SUPPORTED = 0, 15
TYPES = {"float32": R_32F, "float64": R_64F, "float16": R_16F, "bfloat16": R_16BF}
CANDIDATES, ALIGNMENT = autotune.CANDIDATES, 256


class Algo(ctypes.Structure):
    """``cublasLtMatmulAlgo_t``: 64 bytes that only the library reads."""

    _fields_ = [("data", c_uint64 * 8)]


class Heuristic(ctypes.Structure):
    """``cublasLtMatmulHeuristicResult_t``."""

    _fields_ = [("algo", Algo), ("workspace", c_size_t), ("state", c_int), ("waves", c_float), ("reserved", c_int * 4)]


def tf32():
    """Whether float32 products may round their factors to TF32."""
    return bool(getattr(settings, "tf32", False))


def workspace_limit(capability):
    """Bytes that a product may use; NVIDIA's advice is 32 MiB from Hopper on."""
    return 32 << 20 if capability >= 90 else 8 << 20


def alignment(*addresses):
    """The power of two, at most 256, that all addresses are multiples of."""
    out = ALIGNMENT
    for a in addresses:
        out = min(out, a & -a) if a else out
    return out


class Problem:
    """A product as the library sees it: everything but addresses, so that equal ones share an algorithm."""

    __slots__ = ("dtype", "compute", "batch", "m", "n", "k", "ta", "tb", "epilogue", "beta", "align")

    def __init__(self, dtype, a, epilogue, beta, align, fast):
        self.dtype, self.batch, self.m, self.n, self.k = dtype, a["batch"], a["m"], a["n"], a["k"]
        self.ta, self.tb, self.epilogue, self.beta, self.align = a["ta"], a["tb"], epilogue, beta, align
        self.compute = COMPUTE_64F if dtype == "float64" else COMPUTE_32F_FAST_TF32 \
            if dtype == "float32" and fast else COMPUTE_32F

    def key(self):
        return tuple(getattr(self, k) for k in self.__slots__)

    def layouts(self):
        """(rows, columns, leading dimension, elements of a matrix) of its A, B and C: our B, A and C."""
        m, n, k = self.m, self.n, self.k
        return ((k, n, k, k * n) if self.tb else (n, k, n, k * n),
                (m, k, m, m * k) if self.ta else (k, m, k, m * k), (n, m, n, m * n))


class Descriptors:
    """The library's objects for a problem; destroyed with this one."""

    def __init__(self, lib, problem, bias=0):
        self.lib, self.made, kind = lib, [], TYPES[problem.dtype]
        scale = R_64F if problem.dtype == "float64" else R_32F
        self.desc = self._make("MatmulDesc", c_int(problem.compute), c_int(scale))
        self._set("MatmulDesc", self.desc, DESC_TRANSA, c_int32(problem.tb))
        self._set("MatmulDesc", self.desc, DESC_TRANSB, c_int32(problem.ta))
        self._set("MatmulDesc", self.desc, DESC_EPILOGUE, c_int32(problem.epilogue))
        if problem.epilogue in (EPILOGUE_BIAS, EPILOGUE_RELU_BIAS):
            self._set("MatmulDesc", self.desc, DESC_BIAS_DATA_TYPE, c_int32(kind))
            self._set("MatmulDesc", self.desc, DESC_BIAS_POINTER, c_void_p(bias))
        self.layouts = []
        for rows, columns, lead, elements in problem.layouts():
            layout = self._make("MatrixLayout", c_int(kind), c_uint64(rows), c_uint64(columns), c_int64(lead))
            if problem.batch > 1:
                self._set("MatrixLayout", layout, LAYOUT_BATCH_COUNT, c_int32(problem.batch))
                self._set("MatrixLayout", layout, LAYOUT_BATCH_OFFSET, c_int64(elements))
            self.layouts.append(layout)

    def _make(self, what, *given):
        made = c_void_p()
        check(getattr(self.lib, f"cublasLt{what}Create")(byref(made), *given), f"{what}Create")
        self.made.append((what, made))
        return made

    def _set(self, what, made, attribute, value):
        check(getattr(self.lib, f"cublasLt{what}SetAttribute")(made, c_int(attribute), byref(value),
                                                               c_size_t(ctypes.sizeof(value))), f"{what}SetAttribute")

    def preference(self, limit, problem):
        """A preference of at most `limit` bytes of workspace."""
        made = self._make("MatmulPreference")
        self._set("MatmulPreference", made, PREF_MAX_WORKSPACE, c_uint64(limit))
        if ITEMSIZE[problem.dtype] == 2:
            self._set("MatmulPreference", made, PREF_REDUCTION_MASK, c_uint32(REDUCE_IN_COMPUTE_TYPE))
        for i in range(4):
            self._set("MatmulPreference", made, PREF_ALIGNMENT + i, c_uint32(problem.align))
        return made

    def __del__(self):
        while self.made:
            what, made = self.made.pop()
            getattr(self.lib, f"cublasLt{what}Destroy")(made)


def check(status, what):
    if status != SUCCESS:
        raise RuntimeError(f"cublasLt{what} returned {status}")


class Lt:
    """The library on one device: a handle, and the algorithms that were chosen."""

    def __init__(self, lib, device, disk=None):
        self.lib, self.device, self.algorithms, self.lock = lib, device, {}, threading.Lock()
        self.disk = _libs.disk() if disk is None else disk
        self.handle = c_void_p()
        with device.use():
            check(lib.cublasLtCreate(byref(self.handle)), "Create")

    def algorithm(self, problem):
        """(Algo, bytes of workspace) for a problem; None where the library has none."""
        tuned = autotune.wanted(self.device)
        key = problem.key(), tuned
        with self.lock:
            if key not in self.algorithms:
                self.algorithms[key] = self._ask(problem, tuned)
            return self.algorithms[key]

    def _ask(self, problem, tuned):
        if tuned:
            key = repr((problem.key(), self.lib.cublasLtGetVersion(), self.device.name, self.device.arch))
            kept = self.disk.get("cublasLt", key)
            if kept is not None and len(kept) == ctypes.sizeof(Algo) + 8:       # the library's bytes, as its guide says
                return Algo.from_buffer_copy(kept), int.from_bytes(kept[-8:], "little")
        found = self.candidates(problem)
        if not tuned or len(found) < 2:
            return found[0] if found else None
        best = self._quickest(problem, found)
        if best is None:
            return found[0]
        self.disk.put("cublasLt", key, bytes(found[best][0]) + found[best][1].to_bytes(8, "little"))
        return found[best]

    def _quickest(self, problem, found):
        """Which of the algorithms `found` is the quickest; None: unknown."""
        item = problem.batch * ITEMSIZE[problem.dtype]
        sizes = [rows * columns * item for rows, columns, _, _ in problem.layouts()]
        try:
            scratch = autotune.Scratch(self.device, [*sizes, problem.n * ITEMSIZE[problem.dtype],
                                                     max(nbytes for _, nbytes in found)])
        except MemoryError:
            return None
        b, a, c, bias, work = scratch.addresses
        calls = [self.call(problem, one, a, b, c, c, bias, work) for one in found]
        return autotune.quickest(self.device, [one.run for one in calls], lambda e: isinstance(e, RuntimeError))

    def candidates(self, problem):
        """What the library's heuristic proposes, best first: [(Algo, bytes of workspace)]."""
        made = Descriptors(self.lib, problem, bias=ALIGNMENT)
        preference = made.preference(workspace_limit(self.device.capability), problem)
        results, count = (Heuristic * CANDIDATES)(), c_int(0)
        a, b, c = made.layouts
        with self.device.use():
            status = self.lib.cublasLtMatmulAlgoGetHeuristic(self.handle, made.desc, a, b, c, c, preference,
                                                             c_int(CANDIDATES), results, byref(count))
        if status == NOT_SUPPORTED:
            return []
        check(status, "MatmulAlgoGetHeuristic")
        return [(Algo.from_buffer_copy(r.algo), int(r.workspace)) for r in results[:count.value] if r.state == SUCCESS]

    def call(self, problem, algorithm, a, b, c, d, bias, work):
        """A :class:`Call` of the product on addresses: D = epilogue(A B + beta C)."""
        made, (algo, nbytes) = Descriptors(self.lib, problem, bias), algorithm
        real = c_double if problem.dtype == "float64" else c_float
        one, beta, (la, lb, lc) = real(1), real(problem.beta), made.layouts
        # Our B is its A. Bound as they are: a step of a program builds no objects.
        given = (self.handle, made.desc, byref(one), c_void_p(b), la, c_void_p(a), lb, byref(beta), c_void_p(c), lc,
                 c_void_p(d), lc, byref(algo), c_void_p(work), c_size_t(nbytes))
        matmul = self.lib.cublasLtMatmul

        def run(stream):
            check(matmul(*given, c_void_p(stream)), "Matmul")
        return Call(run, f"gemm {problem.m}x{problem.n}x{problem.k}", (made, one, beta, algo))


def library(device):
    """The :class:`Lt` of a device, made on first use. Raises Missing."""
    if "lt" not in device.libraries:
        device.libraries["lt"] = Lt(_prototypes(_libs.load("cublasLt")), device)
    return device.libraries["lt"]


def _prototypes(lib):
    lib.cublasLtGetVersion.restype = c_size_t
    lib.cublasLtMatmulAlgoGetHeuristic.argtypes = [c_void_p] * 7 + [c_int, c_void_p, c_void_p]
    lib.cublasLtMatmul.argtypes = [c_void_p] * 14 + [c_size_t, c_void_p]
    return lib


PLAIN = {"act": 0, "lo": 0.0, "hi": 0.0, "bias": 0, "residual": 0, "prepared": 0}


def gemm(device, args, ins, outs, context=None):
    """The plan of the CPU's ``gemm.gemm``: C = act(op(A) op(B) + bias + residual), `batch` times; None where the
    dtypes are mixed or nothing is summed up."""
    g, (a, b, *more), c = {**PLAIN, **args}, ins, outs[0]
    if any(t.dtype != c.dtype for t in ins) or c.dtype not in TYPES or g["prepared"]:
        return None
    if not c.address or c.size == 0:
        return LibraryPlan("cublasLt", lambda work: [])
    if g["k"] == 0:
        return None
    lt, fast = library(device), tf32()
    bias = more[0].address if g["bias"] else 0
    residual = more[g["bias"]] if g["residual"] else None
    source = residual or c                  # what beta multiplies; not read where beta is 0
    align = alignment(a.address, b.address, c.address, source.address, bias)
    want = {(0, 0): EPILOGUE_DEFAULT, (0, 1): EPILOGUE_RELU, (1, 0): EPILOGUE_BIAS, (1, 1): EPILOGUE_RELU_BIAS}[
        g["bias"], int(g["act"] == 1)]
    beta, behind = int(residual is not None), dict(act=g["act"] if g["act"] == 2 else 0, lo=g["lo"], hi=g["hi"])
    problem = Problem(c.dtype, g, want, beta, align, fast)
    found = lt.algorithm(problem)
    if found is None and want != EPILOGUE_DEFAULT:
        # This dtype or shape has no epilogue in the library: the plain product, then a kernel of ours.
        problem = Problem(c.dtype, g, EPILOGUE_DEFAULT, beta, align, fast)
        found = lt.algorithm(problem)
        behind.update(act=g["act"], bias=bias)
        bias = 0
    if found is None:
        return None

    def launches(work):
        out = [lt.call(problem, found, a.address, b.address, source.address, c.address, bias, work)]
        if behind["act"] or behind.get("bias"):
            out.append(epilogue(c.dtype, c.address, c.address, c.size, g["n"], 1, **behind))
        return out
    return LibraryPlan("cublasLt", launches, found[1])
