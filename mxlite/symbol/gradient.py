"""Symbol.gradient: the gradient graph as a symbol.

MXNet 1.9.1 declares the method and does not implement it. Backward nodes are typed when they are made, so the gradient
graph is built per set of shapes: what this returns is a small object that can be evaluated.
"""
from .._core.errors import MXNetError


class Gradient:
    """The gradients of a symbol's summed outputs with respect to some of its arguments, in the order asked for."""

    def __init__(self, symbol, wrt):
        self._symbol, self._wrt = symbol, wrt

    def list_arguments(self):
        return self._symbol.list_arguments()

    def list_outputs(self):
        return [f"{n}_grad" for n in self._wrt]

    def eval(self, ctx=None, **kwargs):
        """The gradients for the given arrays, a list in the order of `wrt`."""
        from .. import ndarray as nd
        from ..context import current_context
        ctx = current_context() if ctx is None else ctx
        args = {n: kwargs[n] for n in self._symbol.list_arguments() if n in kwargs}
        grads = {n: nd.zeros(args[n].shape, ctx=ctx, dtype=args[n].dtype) for n in self._wrt if n in args}
        aux = {n: kwargs[n] for n in self._symbol.list_auxiliary_states() if n in kwargs}
        executor = self._symbol.bind(ctx, args, grads, aux_states=aux)
        outputs = executor.forward(is_train=True)
        executor.backward([nd.ones(o.shape, ctx=ctx, dtype=o.dtype) for o in outputs])
        return [executor.grad_dict[n] for n in self._wrt]


def gradient_symbol(symbol, wrt):
    """See Symbol.gradient."""
    wrt = [wrt] if isinstance(wrt, str) else list(wrt)
    names = symbol.list_arguments()
    for n in wrt:
        if n not in names:
            raise MXNetError(f"gradient: {n!r} is no argument; the arguments are {', '.join(names)}")
    return Gradient(symbol, wrt)
