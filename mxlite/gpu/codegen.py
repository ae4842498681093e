"""Makes one kernel of a segment of element-wise steps: each thread loads a pack of neighbouring elements of every
input, runs all steps in registers, and stores its pack of every output."""
from . import launch, source
from .launch import Launch, Module, Plan
from .places import Period, WidePeriod, divisor, nest

WHOLE, ONE, PERIODIC, STRIDED = range(4)        # the first three as the CPU's chains number them
THREADS = 256
C = {"f": "float", "d": "double", "i": "int64_t"}
ARG = {"f": launch.f32, "d": launch.f64, "i": launch.i64}
RAW = {1: "uint8_t", 2: "uint16_t", 4: "uint32_t", 8: "uint64_t"}
PRELUDE = """#include "elementwise.cuh"
#include "unary.h"
typedef {C} C;
#define K(c) ({K})
#define M(f) f##_{M}
"""


def nest_of(dims, strides):
    """(kind, details) of an input that lies with `strides` (0: repeated) under a result of `dims`, slowest axis
    first; details are (channels, inner), or (dims, strides) without what can be merged."""
    axes = []
    for d, s in zip(dims, strides):
        if d == 1:
            continue
        if axes and axes[-1][1] == s * d:
            axes[-1] = (axes[-1][0] * d, s)
        else:
            axes.append((d, s))
    moving = [i for i, (_, s) in enumerate(axes) if s]
    if not moving:
        return ONE, (1, 1)
    if len(axes) == 1 and axes[0][1] == 1:
        return WHOLE, (1, 1)
    if len(moving) == 1 and axes[moving[0]][1] == 1:
        inner = 1
        for d, _ in axes[moving[0] + 1:]:
            inner *= d
        return PERIODIC, (axes[moving[0]][0], inner)
    return STRIDED, ([d for d, _ in axes], [s for _, s in axes])


class Input:
    """One input: its tensor and how it lies under the result."""

    __slots__ = ("tensor", "kind", "details")

    def __init__(self, tensor, kind=WHOLE, details=(1, 1)):
        if kind == PERIODIC and details[0] == 1:
            kind = ONE
        self.tensor, self.kind, self.details = tensor, kind, details


def segment(inputs, outputs, steps, results, computing, raw=False):
    """The :class:`Plan` of a segment.

    `inputs` are :class:`Input`; `steps` are (formula, operands, scalars) in order; operands number the inputs, then the
    steps. `results` says which of them each of the `outputs` (tensors; address 0: not wanted) is. `computing`: "f"loat,
    "d"ouble or "i"nt64. `raw`: there are no steps, and bits are moved.
    """
    wanted = [(y, r) for y, r in zip(outputs, results) if y.address]
    if not wanted or wanted[0][0].size == 0:
        return Plan([])
    n = wanted[0][0].size
    packs = [x.tensor for x in inputs if x.kind == WHOLE] + [y for y, _ in wanted]
    width = 16 // max(t.itemsize for t in packs)
    if n < 2 * width or any(t.address % min(16, width * t.itemsize) for t in packs):
        width = 1
    wide = n > 2 ** 31 - 1 - 2 * THREADS * width
    text, params, args = _text(inputs, wanted, steps, computing, raw, width, wide)
    args = [launch.ptr(x.tensor) for x in inputs] + [launch.ptr(y) for y, _ in wanted] + [launch.i64(n)] + args
    module = Module("segment", text=text)
    return Plan([Launch(module, "segment", launch.blocks(-(-n // width), THREADS), THREADS, args)])


def _functions(steps, computing):
    whole = computing == "i"
    lines, seen = [], set()
    for formula, _, _ in steps:
        if formula.symbol not in seen:
            seen.add(formula.symbol)
            names = (["p_", "q_", "r_"][:formula.arrays] + [f"s{i}" for i in formula.used(whole)])
            lines.append(f"FN C {formula.symbol}({', '.join('C ' + v for v in names)}) {{ {formula.body(whole)} }}\n")
    return "".join(lines)


def _text(inputs, outputs, steps, computing, raw, width, wide):
    """(text of the kernel, its parameters, the arguments behind pointers and size)."""
    I, w = ("int64_t", "Wide") if wide else ("uint32_t", "")
    whole = computing == "i"
    ctype = (lambda t: RAW[t.itemsize]) if raw else (lambda t: source.CTYPE[t.dtype])
    params = [f"const {ctype(x.tensor)} *x{i}" for i, x in enumerate(inputs)]
    params += [f"{ctype(y)} *y{i}" for i, (y, _) in enumerate(outputs)] + ["int64_t n"]
    load, args = [], []
    value = (lambda e: e) if raw else (lambda e: f"get<C>({e})")
    typed = (lambda x: ctype(x.tensor)) if raw else (lambda x: "C")
    for i, x in enumerate(inputs):
        t, c = ctype(x.tensor), typed(x)
        channels, inner = x.details
        if x.kind == ONE:
            load.append(f"const {c} c{i} = {value(f'x{i}[0]')};")
            continue
        load.append(f"{c} v{i}[V];")
        vector = f"const pack<{t}, V> p = *(const pack<{t}, V> *)"
        spread = f"_Pragma(\"unroll\") for (int j = 0; j < V; j++) v{i}[j] = "
        single = f"for (int j = 0; j < V; j++) v{i}[j] = i + j < n ? "
        none = f": ({c})0;"
        if x.kind == WHOLE:
            load.append(f"if (full) {{ {vector}(x{i} + i); {spread}{value('p.v[j]')}; }}")
            load.append(f"else {single}{value(f'x{i}[i + j]')} {none}")
            continue
        if x.kind == PERIODIC:
            params.append(f"{w}Period d{i}")
            args.append(WidePeriod(inner, channels) if wide else Period(divisor(inner), divisor(channels)))
            if inner % width == 0:              # one channel for the whole pack
                load.append(f"{{ const {c} u = {value(f'x{i}[place(d{i}, ({I})i)]')}; {spread}u; }}")
                continue
            if inner == 1 and channels % width == 0 and x.tensor.address % min(16, width * x.tensor.itemsize) == 0:
                load.append(f"{{ {vector}(x{i} + place(d{i}, ({I})i)); {spread}{value('p.v[j]')}; }}")
                continue
        else:
            params.append(f"{w}Nest d{i}")
            args.append(nest(channels, inner, wide))
        load.append(f"{single}{value(f'x{i}[place(d{i}, ({I})(i + j))]')} {none}")
    names = [f"c{i}" if x.kind == ONE else f"v{i}[j]" for i, x in enumerate(inputs)]
    compute = []
    for k, (formula, operands, scalars) in enumerate(steps):
        given = [names[v] for v in operands[:formula.arrays]]
        for s in formula.used(whole):
            params.append(f"C s{k}_{s}")
            args.append(ARG[computing](scalars[s]))
            given.append(f"s{k}_{s}")
        compute.append(f"const C r{k} = {formula.symbol}({', '.join(given)});")
        names.append(f"r{k}")
    keep, store = [], []
    for i, (y, r) in enumerate(outputs):
        t = ctype(y)
        keep.append(f"pack<{t}, V> o{i};")
        compute.append(f"o{i}.v[j] = {names[r] if raw else f'put<{t}>({names[r]})'};")
        store.append(f"if (full) *(pack<{t}, V> *)(y{i} + i) = o{i};")
        store.append(f"else for (int j = 0; j < V; j++) if (i + j < n) y{i}[i + j] = o{i}.v[j];")
    head = PRELUDE.format(C=C.get(computing, "float"), K="(float)(c)" if computing == "f" else "c",
                          M={"f": "f"}.get(computing, "d"))
    body = "\n    ".join([*load, *keep, "_Pragma(\"unroll\")", "for (int j = 0; j < V; j++) {",
                          *("    " + line for line in compute), "}", *store])
    return (f"{head}enum {{ V = {width} }};\n{'' if raw else _functions(steps, computing)}"
            f"KERNEL segment({', '.join(params)})\n{{\n    const int64_t i = THREAD * V;\n    if (i >= n) return;\n"
            f"    const bool full = i + V <= n;\n    {body}\n}}\n"), params, args
