"""Convolutions of 1x1 with channels last are matrix products of what lies in memory: cublasLt runs those that it runs
quicker than cuDNN does. Who is quicker is found out by running both, so without the option ``autotune`` cuDNN has all.
"""
from ..ops import settings
from ..ops.dot import gemm_args
from . import autotune
from .launch import Launch, Tensor
from .libraries import library_plan


def product(kind, a):
    """Arguments of ``gemm.gemm`` for the 1x1 convolution of kernel ``conv.<kind>`` with arguments `a`; None where it is
    no matrix product."""
    if not a.get("last") or a["groups"] != 1 or any(k != 1 for k in (*a["kernel"], *a["stride"])) or any(a["pad"]):
        return None
    rows, channels, filters = a["batch"], a["channels"], a["filters"]
    for d in a["dst"]:
        rows *= d
    m, n, k, ta, tb = {"forward": (rows, filters, channels, 0, 1), "dgrad": (rows, channels, filters, 0, 0),
                       "wgrad": (filters, channels, rows, 1, 0)}[kind]
    behind = {key: a.get(key, 0) for key in ("bias", "residual", "act", "lo", "hi")}
    return gemm_args(m, n, k, ta, tb, **behind)


def quicker(device, dnn, kind, args, ins, outs, by_cudnn):
    """The plan of the call: that of cuDNN, or of cublasLt. `by_cudnn`: a function (ins, outs) that gives the first."""
    own = by_cudnn(ins, outs)
    there = own is not None and outs[0].address and all(t.size for t in (*ins, *outs))
    given = product(kind, args) if there and settings.autotune else None
    if given is None:
        return own

    def by_product(ins, outs):
        return library_plan(device, "gemm.gemm", given, ins, outs, (), None)
    key = repr((kind, sorted(given.items()), outs[0].dtype, bool(settings.tf32), bool(settings.winograd)))
    if key not in dnn.pointwise:
        if not autotune.wanted(device):
            return own
        dnn.pointwise[key] = _decide(device, dnn, key, ins, outs, (by_cudnn, by_product))
    return (by_product(ins, outs) or own) if dnn.pointwise[key] else own


def _decide(device, dnn, key, ins, outs, rules):
    """1 where the second of the rules is quicker, 0 where it is the first."""
    key = f"{key} {dnn.versions()}"
    kept = dnn.disk.get("pointwise", key)
    if kept in (b"0", b"1"):
        return int(kept)
    tensors = [*ins, *outs]
    try:
        data = autotune.Scratch(device, [t.nbytes for t in tensors])
        moved = [Tensor(t.shape, t.dtype, at) for t, at in zip(tensors, data.addresses)]
        plans = [rule(moved[:len(ins)], moved[len(ins):]) for rule in rules]
        if None in plans:
            return 0
        scratch = autotune.Scratch(device, [max(plan.workspace for plan in plans)])
    except MemoryError:
        return 0
    runs = [_start(device, plan.launches(scratch.addresses[0])) for plan in plans]
    best = autotune.quickest(device, runs, dnn.means_no_plan)
    if best is not None:
        dnn.disk.put("pointwise", key, str(best).encode())
    return best or 0


def _start(device, launches):
    calls = [device.kernel(one) if isinstance(one, Launch) else one for one in launches]

    def run(stream):
        for one in calls:
            one.run(stream)
    return run
