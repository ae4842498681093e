"""What a bound program writes must not lie where it reads, or where it writes something else."""
from .errors import MXNetError


def check_targets(bound):
    """MXNetError where a gradient or an auxiliary state overlaps an argument, or another target: it would be read half
    written. `bound`: a :class:`~mxlite._core.executor.Bound`."""
    targets = [(n, g, r) for n, g, r in zip(bound.arg_nodes, bound.grads, bound.reqs) if g is not None and r != "null"]
    for i, (n, g, r) in enumerate(targets):
        for m, a in zip(bound.arg_nodes, bound.args):
            if g.overlaps(a):
                raise MXNetError(f"bind: the gradient of {n.name!r} shares memory with argument {m.name!r}")
        for m, h, s in targets[:i]:
            if g.overlaps(h) and not (r == s == "add"):
                raise MXNetError(f"bind: the gradients of {m.name!r} and {n.name!r} share memory; that works only "
                                 f"where both are bound with grad_req='add'")
    for n, a in zip(bound.aux_nodes, bound.aux):
        for m, b in zip(bound.arg_nodes, bound.args):
            if a.overlaps(b):
                raise MXNetError(f"bind: auxiliary state {n.name!r} shares memory with argument {m.name!r}")
        for m, b, _ in targets:
            if a.overlaps(b):
                raise MXNetError(f"bind: auxiliary state {n.name!r} shares memory with the gradient of {m.name!r}")
        for m, b in zip(bound.aux_nodes, bound.aux):
            if m is not n and a.overlaps(b):
                raise MXNetError(f"bind: auxiliary states {m.name!r} and {n.name!r} share memory")
