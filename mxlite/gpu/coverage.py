"""Which operator runs how on a GPU, by dtype: ``python -m mxlite.gpu.coverage > docs/gpu_operators.md``.

Every record's samples are put to the rules that a program asks (:mod:`mxlite.gpu.resolve`), on a device that is not
there: a library that a rule wants is one that would be installed. Neither CuPy nor a GPU takes part.
"""
from ..ops.record import RECORDS
from . import launch
from .launch import Tensor
from .libraries import RULES, library_plan
from .resolve import SOMEWHERE, kernel_of

DTYPES = ("float32", "float64", "float16", "bfloat16", "int32", "int64", "int8", "uint8", "bool")
LIBRARIES = {"lt": "cublasLt", "dnn": "cuDNN", "rnn": "cuDNN"}
NAMES = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}
CUDA, REFERENCE, REFUSED = "CUDA", "CuPy", "–"
HEAD = """# Operators on a GPU

Written by `python -m mxlite.gpu.coverage > docs/gpu_operators.md` from the operators' samples; a test holds it to that.

| entry | is |
|---|---|
| CUDA | kernels of mxlite's own |
| cublasLt, cuDNN | NVIDIA's libraries, where they are installed and have a plan for the geometry |
| CuPy | the operator's reference, on the device: right, with temporaries of its own, between two CUDA graphs |
| CUDA/CuPy | it depends on the parameters: some samples run one way, some the other |
| – | the operator does not take the dtype |

bf16 is bfloat16. The dtype is that of an operator's arrays; index arrays keep theirs. Operators of which only
`backward` or fused graphs know are in the second table.
"""


class _Asked(Exception):
    """A rule got as far as asking its library."""


class _Library:
    def __getattr__(self, name):
        raise _Asked


class _Libraries(dict):
    """All of them are there, and none of them answers."""

    def __contains__(self, name):
        return name in RULE_MODULES

    def __getitem__(self, name):
        return _Library()


class _Device:
    """As much of a device as rules look at before they ask a library."""

    capability, arch, index = 90, "sm_90", 0

    def __init__(self):
        self.libraries = _Libraries()


RULE_MODULES = {module for module, _ in RULES.values()}


def shapes_of(record, p, shapes):
    """All input and output shapes of a sample."""
    n = len(shapes) if record.variadic else len(record.input_names(p)) + len(record.aux_names(p))
    ins, outs = [*shapes, *[None] * (n - len(shapes))], [None] * len(record.output_names(p))
    for _ in range(3):
        ins, outs = record.infer(p, list(ins), list(outs))
    return ins, outs


def dtypes_of(record, p, sample, n_ins, n_outs, dtype):
    """Dtypes of the inputs and outputs of a sample in `dtype`; None where the record refuses it."""
    everywhere = [None if i in sample.index else dtype for i in range(n_ins)]
    # Statistics beside half precision are float32, masters of weights too: what is only said of the first input.
    for said in (everywhere, [dtype] + [None] * (n_ins - 1)):
        try:
            ins, outs = record.infer_dtype(p, said, [None] * n_outs)
            # What the record leaves open for an index is the dtype that indices usually have.
            return record.infer_dtype(p, [d or "float32" for d in ins], list(outs))
        except ValueError:
            continue
    return None


def how(record, sample, dtype):
    """How a sample of `record` runs in `dtype`: one of the page's entries."""
    params = dict(sample.params)
    if not sample.shapes and "dtype" in record.params:
        params["dtype"] = dtype         # an operator without inputs has the dtype that it is asked for
    try:
        p = record.parse(params)
        shapes = shapes_of(record, p, sample.shapes)
    except ValueError:
        return REFUSED
    dtypes = dtypes_of(record, p, sample, len(shapes[0]), len(shapes[1]), dtype)
    if dtypes is None or dtype not in (*dtypes[0], *dtypes[1]):
        return REFUSED
    kernel = kernel_of(record, p)
    if kernel is None:
        return REFERENCE
    ins, outs = ([Tensor(s, d, SOMEWHERE) for s, d in zip(*pair)] for pair in zip(shapes, dtypes))
    args = record.launch(p, *shapes) if record.launch else None
    scalars = tuple(float(getattr(p, k) or 0) for k in record.dynamic)
    context = {"rng": SOMEWHERE, "rng_id": 0, "is_train": True}
    try:
        found = library_plan(_Device(), kernel, args, ins, outs, scalars, context)
    except _Asked:
        return LIBRARIES[RULES[kernel][0]]
    if found is None:
        found = launch.plan(kernel, args, ins, outs, scalars, **context)
    return REFERENCE if found is None else CUDA


def entry(record, dtype):
    """The page's entry for a record and a dtype."""
    # Empty tensors need nothing: they say nothing.
    found = {how(record, s, dtype) for s in record.samples if not any(0 in x for x in s.shapes)}
    found = found - {REFUSED} or found
    return "/".join(sorted(found, key=(CUDA, "cublasLt", "cuDNN", REFERENCE, REFUSED).index))


def table():
    """{operator: {dtype: entry}} of every record."""
    return {name: {d: entry(record, d) for d in DTYPES} for name, record in sorted(RECORDS.items())}


def page():
    """The text of ``docs/gpu_operators.md``."""
    found = table()
    lines = [HEAD, summary(found)]
    for title, internal in (("Public operators", False), ("Operators of gradients and fused graphs", True)):
        lines.append(f"\n## {title}\n\n| operator | {' | '.join(NAMES.get(d, d) for d in DTYPES)} |\n"
                     f"|---|{'---|' * len(DTYPES)}")
        for name, row in found.items():
            if name.startswith(("_backward", "_fused", "_conv")) == internal:
                lines.append(f"| `{name}` | {' | '.join(row[d] for d in DTYPES)} |")
    return "\n".join(lines) + "\n"


def summary(found):
    lines = ["| dtype | by kernels or libraries alone | by both, as parameters say | by the reference alone |",
             "|---|--:|--:|--:|"]
    for d in DTYPES:
        entries = [row[d] for row in found.values() if row[d] != REFUSED]
        plain = sum(e == REFERENCE for e in entries)
        mixed = sum(REFERENCE in e and e != REFERENCE for e in entries)
        lines.append(f"| {d} | {len(entries) - plain - mixed} | {mixed} | {plain} |")
    return "\n".join(lines)


def main():
    print(page(), end="")


if __name__ == "__main__":
    main()
