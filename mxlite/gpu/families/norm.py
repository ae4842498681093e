"""Batch normalization kernels. Forward reads the moving statistics, backward moves them. A tensor whose channels lie
last is (N * H * W, C, 1): ``inner`` 1."""
import ctypes

from ..launch import FLOATS, ITEMSIZE, Launch, Module, Plan, blocks, f64, i32, i64, ptr
from ..source import CTYPE

AIM = 1024              # blocks that the sums are spread over
WALKERS = 2048          # blocks of threads that keep their channels and walk down rows
SHORT = 2 ** 31 - 2 ** 12       # elements that 32 bits number, a step of the whole grid behind the last one too
LEAST = 4096            # elements of a channel worth a block of their own


def struct(name, pointers, ints, smalls, doubles):
    """A ctypes.Structure of pointers, 64-bit and 32-bit integers and doubles, in this order."""
    return type(name, (ctypes.Structure,), {"_fields_": [
        *((k, ctypes.c_void_p) for k in pointers.split()), *((k, ctypes.c_int64) for k in ints.split()),
        *((k, ctypes.c_int) for k in smalls.split()), *((k, ctypes.c_double) for k in doubles.split())]})


Apply = struct("Apply", "x z y gamma beta moving_mean moving_var fold mean inv_std", "size channels inner",
               "fix_gamma act", "eps lo hi")
Finish = struct("Finish", "parts_of gamma mean inv_std moving_mean moving_var dgamma dbeta fold", "channels count",
                "parts fix_gamma batch", "eps keep")


def statistics_dtype(dtype):
    return "float64" if dtype == "float64" else "float32"


def module(file, dtype, size, tensors, run=None):
    """The module for packs as wide as the addresses, and the length of a `run` that packs must not cross, allow."""
    vec = 16 // ITEMSIZE[dtype]
    if any(t.address % 16 for t in tensors) or run is not None and run % vec:
        vec = 1
    return Module(file, {"TYPE": CTYPE[dtype], "VEC": vec, "INDEX": "unsigned" if size < SHORT else "int64_t"})


def vector(code):
    """Elements of a pack."""
    return dict(code.defines)["VEC"]


class Shape:
    """How a call's data falls into channels and their parts."""

    def __init__(self, args, x):
        self.channels, self.inner = args["channels"], args["inner"]
        self.count = args["outer"] * self.inner if x.size else 0        # elements of a channel
        tiles = self.channels if self.inner > 1 else -(-self.channels // 32)
        per = self.count if self.inner > 1 else self.count * 32
        self.parts = max(1, min(-(-AIM // max(tiles, 1)), per // LEAST, 256))
        self.blocks = tiles * self.parts

    def sums(self, file, kind, dtype, size, tensors, args):
        """The launch that sums up parts of channels: `args` of the kernel up to what both kinds share."""
        runs = self.inner > 1
        code = module(file, dtype, size, tensors, self.inner if runs else 1)
        tail = [i64(self.channels), *([i64(self.inner)] if runs else []), i64(self.count), i32(self.parts)]
        return Launch(code, f"{kind}_{'runs' if runs else 'columns'}", self.blocks, (256,) if runs else (32, 8),
                      args + tail)


    def apply(self, file, dtype, size, tensors, args):
        """The launch where a channel's elements do not lie in runs: `args` of ``apply_columns``."""
        code = module(file, dtype, size, tensors, self.channels)
        lanes = self.channels // vector(code)
        across = min(32, 1 << (lanes - 1).bit_length())
        tiles, down = -(-lanes // across), 256 // across
        steps = max(1, min(-(-self.count // down), WALKERS // tiles))
        return Launch(code, "apply_columns", (tiles, steps), (across, down), args)


def round_up(n):
    return -(-n // 256) * 256


def batch_norm(name, args, ins, outs, scalars, is_train):
    """data, gamma, beta, [residual], moving mean, moving variance to y, mean, inverse deviation."""
    x, gamma, beta, *rest = ins
    z, (moving_mean, moving_var), (y, mean, inv_std) = rest[0] if args.get("residual") else None, rest[-2:], outs[:3]
    kind = statistics_dtype(x.dtype)
    if x.dtype not in FLOATS or any(t.dtype != kind for t in (gamma, beta, moving_mean, moving_var)):
        return None
    if not args["channels"]:
        return Plan([])
    s, act, item = Shape(args, x), args.get("act", 0), ITEMSIZE[kind]
    batch = is_train and not args["use_global_stats"]
    fold_at = round_up(3 * item * s.channels * s.parts)
    held = [t for t in (x, z, y) if t is not None]

    def launches(work):
        a = Apply(x.address, z.address if z is not None else 0, y.address, gamma.address, beta.address,
                  moving_mean.address, moving_var.address, work + fold_at if batch else 0, mean.address,
                  inv_std.address, x.size, s.channels, s.inner, int(args["fix_gamma"]), act, args["eps"],
                  args.get("lo", 0.0), args.get("hi", 0.0))
        code = module("norm.cu", x.dtype, x.size, held)
        run = Launch(code, "apply", blocks(x.size, 256 * vector(code)), 256, [a])
        if s.inner == 1 and y.address and x.size:
            run = s.apply("norm.cu", x.dtype, x.size, held, [a])
        if not batch:
            return [run] if y.address and x.size or mean.address or inv_std.address else []
        return [s.sums("norm.cu", "moments", x.dtype, x.size, (x,), [ptr(x), ptr(work)]),
                Launch(code, "finish", blocks(s.channels, 4), 128, [
                    ptr(work), ptr(gamma), ptr(beta), ptr(mean), ptr(inv_std), ptr(work + fold_at), i64(s.channels),
                    i32(s.parts), i32(args["fix_gamma"]), f64(args["eps"])]),
                *([run] if y.address and x.size else [])]
    return Plan(launches, fold_at + 3 * item * s.channels if batch else 0)


def batch_norm_backward(name, args, ins, outs, scalars, is_train):
    """dy, data, gamma, mean, inverse deviation, [y], moving mean, moving variance to the gradients of data, gamma and
    beta, and [dy masked by y]."""
    dy, x, gamma, mean, inv_std, *rest = ins
    y, (moving_mean, moving_var) = rest[0] if args.get("masked") else None, rest[-2:]
    dx, dgamma, dbeta = outs[:3]
    dm = outs[3] if len(outs) > 3 else None
    kind = statistics_dtype(x.dtype)
    if x.dtype not in FLOATS or dy.dtype != x.dtype or any(
            t.dtype != kind for t in (gamma, mean, inv_std, moving_mean, moving_var)):
        return None
    if not args["channels"]:
        return Plan([])
    s, item = Shape(args, x), ITEMSIZE[kind]
    batch = bool(is_train and not args["use_global_stats"] and s.count)
    fold_at = round_up(2 * item * s.channels * s.parts)
    dm_at, y_at = dm.address if dm is not None else 0, ptr(y if y is not None else 0)

    def launches(work):
        a = Finish(work, gamma.address, mean.address, inv_std.address, moving_mean.address, moving_var.address,
                   dgamma.address, dbeta.address, work + fold_at, s.channels, s.count, s.parts, int(args["fix_gamma"]),
                   batch, args["eps"], args["momentum"])
        read = [t for t in (dy, x, y) if t is not None]
        code = module("norm_backward.cu", x.dtype, x.size, [*read, dx, *([dm] if dm is not None else [])])
        run = [Launch(code, "apply", blocks(x.size, 256 * vector(code)), 256, [
            ptr(dy), ptr(x), y_at, ptr(dx), ptr(dm_at), ptr(work + fold_at), i64(x.size), i64(s.channels),
            i64(s.inner)])] if x.size and (dx.address or dm_at) else []
        if run and s.inner == 1:
            wanted = [*read, *(t for t in (dx, dm) if t is not None)]
            run = [s.apply("norm_backward.cu", x.dtype, x.size, wanted, [
                ptr(dy), ptr(x), y_at, ptr(dx), ptr(dm_at), ptr(work + fold_at), i64(s.count), i64(s.channels)])]
        return [s.sums("norm_backward.cu", "sums", x.dtype, x.size, read,
                       [ptr(dy), ptr(x), y_at, ptr(mean if batch else moving_mean), ptr(work)]),
                Launch(code, "finish", blocks(s.channels, 4), 128, [a]), *run]
    return Plan(launches, fold_at + 4 * item * s.channels)


KERNELS = {"norm.batch_norm": batch_norm, "norm.batch_norm_backward": batch_norm_backward}


def MODULES():
    for dtype in FLOATS:
        for file in ("norm.cu", "norm_backward.cu"):
            for size in (1, 1 << 31):
                yield module(file, dtype, size, ())
            yield module(file, dtype, 1, (), 1)
