"""Runs a record's C kernel on arrays, with the workspace that the record asks for."""
import numpy as np

from mxlite._core import cpu, kernelcall, kernels

LEVELS = tuple(range(cpu.detected_isa + 1))


def run_kernel(op, arrays, level=None, threads=2, **params):
    """Outputs of `op`'s kernel at instruction-set level `level`."""
    p = op.parse(params)
    ins, outs = op.infer(p, [x.shape for x in arrays], [None] * len(op.output_names(p)))
    capsule, packer = kernels.lookup(op.cpu(p) if callable(op.cpu) else op.cpu)
    got = [np.full(s, 99, arrays[0].dtype) for s in outs]
    work = op.workspace(p, ins, outs, arrays[0].itemsize, threads) if op.workspace else 0
    before, most = cpu.get_isa(), cpu.get_threads()
    cpu.set_isa(before if level is None else level)
    cpu.set_threads(max(most, threads))
    try:
        args = packer(op.launch(p, ins, outs))
        rc = kernelcall.call(capsule, [np.ascontiguousarray(x) for x in arrays], got, args, (), work, threads=threads)
    finally:
        cpu.set_isa(before)
        cpu.set_threads(most)
    assert rc == 0, f"{op.name}: kernel returned {rc}"
    return got
