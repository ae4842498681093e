"""cublasLt for tests: its descriptors as the library keeps them, its products by NumPy, from addresses, in columns.

Written from the library's documentation and not from lt.py: what lt.py sets is read here as cuBLAS reads it.
"""
import ctypes
from ctypes import c_void_p

import numpy as np

TYPES = {0: (np.float32, 4), 1: (np.float64, 8), 2: (np.float16, 2), 14: ("bfloat16", 2)}
NOT_SUPPORTED, INVALID = 15, 7


def value(x):
    """What an argument of a C call holds."""
    x = getattr(x, "_obj", x)
    return x.value if hasattr(x, "value") else x


def read(address, kind, rows, columns, lead):
    """A column-major matrix as float64."""
    dtype, size = TYPES[kind]
    span = (lead * (columns - 1) + rows) * size
    raw = (ctypes.c_char * span).from_address(address)
    if dtype == "bfloat16":
        flat = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        flat = np.frombuffer(raw, dtype)
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (flat.itemsize, lead * flat.itemsize)) \
        .astype(np.float64)


def write(address, kind, lead, x):
    dtype, size = TYPES[kind]
    x = np.asarray(x)
    if dtype == "bfloat16":
        u = x.astype(np.float32).view(np.uint32)
        x, dtype = ((u + 0x7FFF + (u >> 16 & 1)) >> 16).astype(np.uint16), np.uint16
    span = (lead * (x.shape[1] - 1) + x.shape[0]) * size
    flat = np.frombuffer((ctypes.c_char * span).from_address(address), dtype)
    with np.errstate(over="ignore"):            # it becomes infinite, as in the library
        np.lib.stride_tricks.as_strided(flat, x.shape, (size, lead * size))[...] = x.astype(dtype)


class FakeLt:
    """The functions that lt.py calls. `epilogues`: those that there are algorithms for. `live` counts objects."""

    xp = None               # the fake CuPy whose streams the products go to; None: they run at once

    def __init__(self, epilogues=(1, 2, 4, 6), workspace=1000, durations=(0.0,), version=130100):
        """`durations`: milliseconds that each of the algorithms takes; None: it fails."""
        self.durations, self.version, self.ran = durations, version, []
        self.objects, self.next, self.live, self.calls = {}, 1, 0, []
        self.epilogues, self.workspace, self.asked = epilogues, workspace, []
        for what in ("MatmulDesc", "MatrixLayout", "MatmulPreference"):
            setattr(self, f"cublasLt{what}Create", lambda made, *given, what=what: self.make(what, made, given))
            setattr(self, f"cublasLt{what}SetAttribute", self.set)
            setattr(self, f"cublasLt{what}Destroy", self.destroy)

    def cublasLtCreate(self, handle):
        handle._obj.value = 77
        return 0

    def make(self, what, made, given):
        self.objects[self.next] = {"what": what, "given": [value(g) for g in given], "set": {}}
        made._obj.value = self.next
        self.next, self.live = self.next + 1, self.live + 1
        return 0

    def set(self, made, attribute, pointer, size):
        held = pointer._obj
        wanted = {"MatmulDesc": {3: 4, 4: 4, 7: 4, 8: 8, 26: 4}, "MatrixLayout": {5: 4, 6: 8},
                  "MatmulPreference": {1: 8, 3: 4, 5: 4, 6: 4, 7: 4, 8: 4}}[self.objects[made.value]["what"]]
        if wanted.get(value(attribute)) != value(size) or ctypes.sizeof(held) != value(size):
            return INVALID
        self.objects[made.value]["set"][value(attribute)] = held.value
        return 0

    def destroy(self, made):
        del self.objects[made.value]
        self.live -= 1
        return 0

    def cublasLtMatmulAlgoGetHeuristic(self, handle, desc, a, b, c, d, preference, wanted, results, count):
        for given in (handle, desc, a, b, c, d, preference, results, count):
            c_void_p.from_param(given)          # what the library's prototype would take
        kind, preference = self.objects[desc.value], self.objects[preference.value]["set"]
        self.asked.append((kind["given"][0], kind["set"][7], preference))
        if kind["set"][7] not in self.epilogues:
            return NOT_SUPPORTED
        results[0].state = 14                   # an algorithm that needs more than there is
        assert value(wanted) > len(self.durations)
        for i in range(len(self.durations)):
            results[i + 1].state, results[i + 1].workspace = 0, self.workspace
            results[i + 1].algo.data[3], results[i + 1].algo.data[5] = 4711, i
        count._obj.value = 1 + len(self.durations)
        return 0

    def cublasLtGetVersion(self):
        return self.version

    def cublasLtMatmul(self, handle, desc, alpha, A, la, B, lb, beta, C, lc, D, ld, algo, work, size, stream):
        for given in (handle, desc, alpha, A, la, B, lb, beta, C, lc, D, ld, algo, work, stream):
            c_void_p.from_param(given)
        assert handle.value == 77 and algo._obj.data[3] == 4711 and value(size) == self.workspace
        assert value(stream), "on the default stream"
        which = algo._obj.data[5]
        self.ran.append(which)
        if self.durations[which] is None:
            return 14
        if self.xp is not None:
            self.xp.clock += self.durations[which]
        scalars, pointers = (alpha._obj, beta._obj), tuple(p.value for p in (A, B, C, D, work))
        objects = [{**self.objects[x.value], "set": dict(self.objects[x.value]["set"])} for x in (desc, la, lb, lc, ld)]

        def run():
            self.product(*objects, *scalars, *pointers)
        if self.xp is None:
            run()
        else:
            self.xp.start(value(stream), run, "gemm")
        return 0

    def product(self, kind, la, lb, lc, ld, alpha, beta, A, B, C, D, work):
        ctypes.memset(work, 0xEE, self.workspace)
        (compute, scale), s = kind["given"], kind["set"]
        kinds = {x["given"][0] for x in (la, lb, lc, ld)}
        assert len(kinds) == 1
        dtype = kinds.pop()
        assert (compute, scale) in {0: ((68, 0), (77, 0)), 1: ((70, 1),), 2: ((68, 0),), 14: ((68, 0),)}[dtype]
        real = ctypes.c_double if scale == 1 else ctypes.c_float
        assert type(alpha) is type(beta) is real
        batch, n_bytes = ld["set"].get(5, 1), TYPES[dtype][1]
        for i in range(batch):
            def at(pointer, layout, i=i):
                return pointer + i * layout["set"].get(6, 0) * n_bytes
            a = read(at(A, la), dtype, *la["given"][1:])
            b = read(at(B, lb), dtype, *lb["given"][1:])
            a, b = a.T if s[3] else a, b.T if s[4] else b
            d = alpha.value * (a @ b)
            if beta.value:
                d = d + beta.value * read(at(C, lc), dtype, *lc["given"][1:])
            if s[7] in (4, 6):
                assert s[26] == dtype
                d = d + read(s[8], dtype, d.shape[0], 1, d.shape[0])
            if s[7] in (2, 6):
                d = np.where(d < 0, 0, d)
            assert list(d.shape) == ld["given"][1:3]
            write(at(D, ld), dtype, ld["given"][3], d)
        self.calls.append((dtype, batch, s[7]))
