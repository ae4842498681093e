"""Kernels of LayerNorm, InstanceNorm and GroupNorm: data is (outer, groups, inner), normalized along `axis` 1 or 2.
Backward computes the statistics anew and leaves them to the gradients of gamma and beta."""
from ..launch import FLOATS, Launch, Module, Plan, blocks, f64, i32, i64, ptr
from ..source import CTYPE
from .softmax import column_defines, column_launch, row_defines, row_launch, row_modules

AIM = 512               # blocks that gradients of gamma are spread over


def is_columns(args):
    return args["axis"] == 1 and args["inner"] > 1


def rows_of(args):
    """(rows, their length, groups where each row has one gamma, else 0)."""
    if args["axis"] == 2:
        return args["outer"] * args["groups"], args["inner"], args["groups"]
    return args["outer"] * args["inner"], args["groups"], 0


def forward(name, args, ins, outs, scalars):
    x, gamma, beta = ins
    y, mean, std = [*outs, 0, 0][:3]
    if x.dtype not in FLOATS or any(t.dtype != x.dtype for t in ins):
        return None
    if not any(t and t.size and t.address for t in (y, mean, std)):
        return Plan([])
    eps, given = f64(args["eps"]), [ptr(x), ptr(gamma), ptr(beta), ptr(y), ptr(mean), ptr(std)]
    rows, n, groups = rows_of(args)
    if is_columns(args):
        defines = column_defines(n, rows, x.dtype)
        return Plan([column_launch("layernorm_columns.cu", defines, "forward", rows, [
            *given, i64(rows), i64(n), i64(args["inner"]), eps])])
    return Plan([row_launch("layernorm.cu", row_defines(n, x.dtype, (x, y)), "forward", rows, [
        *given, i64(rows), i64(n), i64(groups), eps])])


def backward(name, args, ins, outs, scalars):
    dy, x, gamma = ins
    dx, dgamma, dbeta = outs
    if x.dtype not in FLOATS or any(t.dtype != x.dtype for t in ins):
        return None
    rows, n, groups = rows_of(args)
    item, numbers = 8 if x.dtype == "float64" else 4, args["groups"]
    rows = rows if x.size else 0
    part_at = -(-2 * item * rows // 256) * 256              # behind the statistics
    tiles = -(-n // 32) if not is_columns(args) else n
    parts = args["outer"] if groups else max(1, min(AIM // max(tiles, 1), rows // 64, 256)) if rows else 0
    wanted = numbers and (dgamma.address or dbeta.address)
    if not rows:
        parts = 0

    # Where dx lies on what it is made of, gamma's gradient comes first, after a run for the statistics alone.
    late = bool(wanted and not groups and dx.address in (dy.address, x.address))

    def launches(work):
        code, eps = Module("layernorm_gamma.cu", {"TYPE": CTYPE[x.dtype]}), f64(args["eps"])

        def data(to):
            given = [ptr(dy), ptr(x), ptr(gamma), ptr(to), ptr(work), i64(rows), i64(n)]
            if is_columns(args):
                return column_launch("layernorm_columns.cu", column_defines(n, rows, x.dtype), "backward", rows,
                                     [*given, i64(args["inner"]), eps])
            return row_launch("layernorm.cu", row_defines(n, x.dtype, (dy, x, dx)), "backward", rows,
                              [*given, i64(groups), eps])
        todo = [data(0 if late else dx)] if rows else []
        if not wanted:
            return todo
        at = ptr(work + (0 if groups else part_at))
        shared = [ptr(dy), ptr(x), ptr(work), at]
        if parts and is_columns(args):
            todo.append(Launch(code, "parts_of_columns", n * parts, 256, [
                *shared, i64(args["outer"]), i64(n), i64(args["inner"]), i32(parts)]))
        elif parts and not groups:
            todo.append(Launch(code, "parts_of_matrix", tiles * parts, (32, 8), [
                *shared, i64(rows), i64(n), i32(parts)]))
        todo.append(Launch(code, "collect", blocks(numbers, 4), 128, [
            at, ptr(dgamma), ptr(dbeta), i64(numbers), i64(parts)]))
        return todo + ([data(dx)] if late and rows else [])
    return Plan(launches, part_at + (0 if groups else 2 * item * numbers * parts))


KERNELS = {"layernorm.layer_norm": forward, "layernorm.layer_norm_backward": backward}


def MODULES():
    yield from row_modules("layernorm.cu")
    for dtype in FLOATS:
        for k in (3, 2000):
            yield Module("layernorm_columns.cu", column_defines(k, 50, dtype))
        yield Module("layernorm_gamma.cu", {"TYPE": CTYPE[dtype]})
