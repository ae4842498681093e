"""Column-wise Kronecker product."""
from . import types as T
from .record import Op, Param, S, show, unify


class khatri_rao(Op):
    """The Khatri-Rao product of matrices of equally many columns: column j of the result is the Kronecker product of
    the columns j of the inputs, so its rows are the product of theirs. Floating point. (MXNet has no gradient.)"""
    inputs = "*args"
    params = dict(num_args=Param(T.optional(T.integer), None, "how many inputs; counted if left out", low=1))
    samples = (S((2, 3), (4, 3)), S((2, 2), (3, 2), (2, 2)), S((3, 2)), S((0, 2), (3, 2)),
               S((2, 3), (4, 3), num_args=2))

    def infer(p, ins, outs):
        if p.num_args is not None and p.num_args != len(ins):
            raise ValueError(f"num_args={p.num_args}, but there are {len(ins)} inputs")
        columns, rows = None, 1
        for s in (*ins, *outs):
            if s is None:
                continue
            if len(s) != 2:
                raise ValueError(f"inputs must have 2 axes, not {show(s)}")
            columns = unify(columns, s[1:])
        for s in ins:
            rows = None if rows is None or s is None or s[0] is None else rows * s[0]
        ins = [None if s is None else unify(s, (None,) + (columns or (None,))) for s in ins]
        return ins, [outs[0] if columns is None else unify((rows,) + columns, outs[0])]

    def ref(xp, p, *xs):
        y = xs[0]
        for x in xs[1:]:
            y = (y[:, None] * x).reshape(y.shape[0] * x.shape[0], x.shape[1])
        return y.copy()

    def grad(F, n, dy):
        rows, columns = [s[0] for s in n.in_shapes], n.out_shapes[0][1]
        count = len(rows)
        if count == 1:
            return dy
        if 0 in n.out_shapes[0]:
            return [F.zeros_like(x) for x in n.inputs]
        dy = F._reshape_to(dy, shape=(*rows, columns))

        def spread(i):
            return F._reshape_to(n.inputs[i], shape=tuple(r if k == i else 1 for k, r in enumerate(rows)) + (columns,))
        out = []
        for i in range(count):
            part = dy
            for k in range(count):
                if k != i:
                    part = F.sum(F.broadcast_mul(part, spread(k)), axis=(k,), keepdims=True)
            out.append(F._reshape_to(part, shape=(rows[i], columns)))
        return out
