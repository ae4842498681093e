"""Runs a record's C kernel on NumPy arrays, with the record's own inference and arguments and no graph."""
import numpy as np

from mxlite._core import cpu, kernelcall, kernels


def run_kernel(op, arrays, params, isa=None, threads=1, skip=()):
    """Outputs of the kernel (outputs in `skip` are not asked for), and its return code."""
    p = op.parse(params)
    ins, outs = op.infer(p, [x.shape for x in arrays], [None] * len(op.output_names(p)))
    _, dtypes = op.infer_dtype(p, [x.dtype.name for x in arrays], [None] * len(outs))
    got = [None if i in skip else np.full(s, 99).astype(d) for i, (s, d) in enumerate(zip(outs, dtypes))]
    capsule, packer = kernels.lookup(op.cpu(p) if callable(op.cpu) else op.cpu)
    args = packer(op.launch(p, ins, outs)) if packer else b""
    work = op.workspace(p, ins, outs, arrays[0].itemsize, threads) if op.workspace else 0
    level = cpu.get_isa()
    try:
        if isa is not None:
            cpu.set_isa(min(isa, cpu.detected_isa))
        rc = kernelcall.call(capsule, [np.ascontiguousarray(x).reshape(x.shape) for x in arrays], got, args,
                             work=work, threads=threads)
    finally:
        cpu.set_isa(level)
    return got, rc
