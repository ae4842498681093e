"""The gradient of a formula, by the chain rule over the operators that the formula is made of.

A backward operator with a kernel of its own is fast, but opaque. To differentiate it again its record states what it
computes once more, as a formula of operators, and :func:`vjp` turns their gradients into its own:

    def formula(F, n, dy, x):
        return F.elemwise_mul(dy, F.cos(x))

    grad = vjp(formula)

The result is graph, as the gradients it is made of are, and can be differentiated on.
"""
from .record import RECORDS
from .rules import size


class Value:
    """One entry on the way: what it is, and the gradient that has arrived there."""

    __slots__ = ("entry", "shape", "dtype", "grad")

    def __init__(self, entry, shape, dtype):
        self.entry, self.shape, self.dtype, self.grad = entry, tuple(shape), dtype, None


class Step:
    """One operator on the way; what its `grad` rule sees."""

    __slots__ = ("op", "node", "p", "inputs", "outputs", "in_shapes", "out_shapes", "in_dtypes", "out_dtypes",
                 "given", "made")


class Tape:
    """The `F` of a formula: makes its operators' nodes in another `F`, and remembers them."""

    def __init__(self, F):
        self.F, self.steps = F, []

    def __getattr__(self, name):
        record = RECORDS[name]

        def call(*values, **params):
            s = Step()
            s.op, s.node, s.p, s.given = record, None, record.parse(params), values
            s.in_shapes, s.in_dtypes = [v.shape for v in values], [v.dtype for v in values]
            unknown = [None] * len(record.output_names(s.p))
            s.out_shapes = record.infer(s.p, list(s.in_shapes), list(unknown))[1]
            s.out_dtypes = record.infer_dtype(s.p, list(s.in_dtypes), list(unknown))[1]
            s.inputs = [v.entry for v in values]
            out = getattr(self.F, name)(*s.inputs, **params)
            s.outputs = [out] if len(unknown) == 1 else list(out)
            s.made = [Value(*v) for v in zip(s.outputs, s.out_shapes, s.out_dtypes)]
            self.steps.append(s)
            return s.made[0] if len(unknown) == 1 else tuple(s.made)
        return call

    def arrive(self, value, grad):
        value.grad = grad if value.grad is None else self.F.elemwise_add(value.grad, grad)

    def backward(self):
        """Pass the gradients that have arrived at outputs on to inputs."""
        for s in reversed(self.steps):
            dys = [v.grad for v in s.made]
            if s.op.grad is None or all(d is None for d in dys):
                continue
            visible = s.op.n_visible(s.p)
            dys = [self.F.zeros_like(v.entry) if d is None and i < visible else d
                   for i, (d, v) in enumerate(zip(dys, s.made))]
            grads = s.op.grad(self.F, s, *dys)
            if len(s.given) == 1 and not isinstance(grads, list):
                grads = grads if is_one_of_one(grads) else (grads,)
            for v, g in zip(s.given, grads):
                if g is not None:
                    self.arrive(v, g)


def is_one_of_one(grads):
    """Whether `grads` is a tuple of one gradient, not a gradient: an entry of a graph is a tuple too, of two."""
    return isinstance(grads, tuple) and len(grads) == 1


def vjp(formula):
    """The `grad` rule of a record that computes ``formula(F, n, *inputs)``: one output or a tuple of them. The formula
    need not be right for arrays without elements, whose gradients are zeros."""
    def grad(F, n, *dys):
        if any(size(s) == 0 for s in n.in_shapes):
            return tuple(F.zeros_like(e) for e in n.inputs)
        return pull(F, formula, n, n.inputs, n.in_shapes, n.in_dtypes, dys)
    return grad


def pull(F, formula, n, entries, shapes, dtypes, dys):
    """The gradients of ``formula(F, n, *entries)`` for its entries, from those of its outputs (None: none)."""
    tape = Tape(F)
    given = [Value(*v) for v in zip(entries, shapes, dtypes)]
    made = formula(tape, n, *given)
    for v, d in zip(made if isinstance(made, tuple) else (made,), dys):
        if d is not None:
            tape.arrive(v, d)
    tape.backward()
    return tuple(v.grad for v in given)
