"""Kernels of the layers that end a network with a declared gradient."""
from ..launch import FLOATS, Launch, Module, Plan, blocks, f64, i32, i64, ptr
from ..source import CTYPE

COUNTERS = 128          # blocks that count elements


def module(dtype):
    return Module("loss.cu", {"TYPE": CTYPE[dtype]})


def plain(name, args, ins, outs, scalars):
    """copy, sigmoid, difference, sign_difference. A label may have another shape, but not another size."""
    x, y, entry = ins[0], outs[0], name.partition(".")[2]
    if x.dtype not in FLOATS or args and ins[1].dtype != x.dtype:
        return None
    if not y.size or not y.address or entry == "copy" and x.address == y.address:
        return Plan([])
    more = [ptr(ins[1]), ptr(y), i64(y.size), f64(args["factor"])] if args else [ptr(y), i64(y.size)]
    return Plan([Launch(module(x.dtype), entry, blocks(y.size, 256, 1 << 16), 256, [ptr(x), *more])])


def make_loss_backward(name, args, ins, outs, scalars):
    x, y = ins[0], outs[0]
    if x.dtype not in FLOATS:
        return None
    if not y.size or not y.address:
        return Plan([])
    code, parts = module(x.dtype), blocks(x.size, 2048, COUNTERS) if args["valid"] else 0

    def launches(work):
        run = Launch(code, "fill", blocks(y.size, 256, 1 << 16), 256,
                     [ptr(y), i64(y.size), f64(args["grad_scale"]), ptr(work), i32(parts)])
        return [Launch(code, "count_above", parts, 256, [ptr(x), ptr(work), i64(x.size), f64(args["valid_thresh"])]),
                run] if parts else [run]
    return Plan(launches, 8 * parts)


KERNELS = {"loss.copy": plain, "loss.sigmoid": plain, "loss.difference": plain, "loss.sign_difference": plain,
           "loss.make_loss_backward": make_loss_backward}


def MODULES():
    return map(module, FLOATS)
