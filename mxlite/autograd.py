"""``mx.autograd``: record imperative calls and differentiate them.

    x.attach_grad()
    with mx.autograd.record():
        y = (x * x).sum()
    y.backward()
    x.grad                              # 2 * x

A recorded call is a node of the same graph that symbols make, and its gradient is the one that a bound graph runs.
Each thread records for itself.
"""
from ._core import backward as _backward
from ._core import tape as _tape
from ._core.errors import MXNetError
from .ndarray import NDArray
from .ops.function import FunctionCall as _FunctionCall

__all__ = ["Function", "backward", "get_symbol", "grad", "is_recording", "is_training", "mark_variables", "pause",
           "predict_mode", "record", "set_recording", "set_training", "train_mode"]

GRAD_REQ = ("null", "write", "add")


def set_recording(is_recording):
    """Turn recording on or off for this thread; returns whether it was on."""
    return _tape.set_flag(True, bool(is_recording))


def set_training(train_mode):
    """Let operators such as Dropout behave as while training, or not, in this thread; returns whether they did."""
    return _tape.set_flag(False, bool(train_mode))


def is_recording():
    """True inside :func:`record`."""
    return _tape.is_recording()


def is_training():
    """True where operators behave as while training."""
    return _tape.is_training()


class _Mode:
    """A ``with`` block that sets the thread's flags; None leaves one as it is."""

    def __init__(self, recording, training):
        self._enter = recording, training
        self._before = []                   # a stack: one block may be entered inside itself

    def __enter__(self):
        recording, training = self._enter
        self._before.append((None if recording is None else set_recording(recording),
                             None if training is None else set_training(training)))

    def __exit__(self, *exc):
        recording, training = self._before.pop()
        if recording is not None:
            set_recording(recording)
        if training is not None:
            set_training(training)


def record(train_mode=True):
    """A block whose calls are recorded, in training mode unless `train_mode` is False."""
    return _Mode(True, train_mode)


def pause(train_mode=False):
    """A block inside :func:`record` whose calls are not recorded."""
    return _Mode(False, train_mode)


def train_mode():
    """A block in which operators behave as while training; recording stays as it is."""
    return _Mode(None, True)


def predict_mode():
    """A block in which operators behave as in prediction; recording stays as it is."""
    return _Mode(None, False)


def _listed(value, what):
    """One NDArray or a list of them, as a list. TypeError for anything else."""
    out = [value] if isinstance(value, NDArray) else value
    if not isinstance(out, (list, tuple)):
        raise TypeError(f"{what} must be an NDArray or a list of them, got {type(value).__name__}")
    for x in out:
        if not isinstance(x, NDArray):
            raise TypeError(f"{what} must be NDArrays, got {type(x).__name__}")
    return list(out)


def mark_variables(variables, gradients, grad_reqs="write"):
    """Let `gradients[i]` receive the gradient of `variables[i]`: 'write', 'add' (accumulate) or 'null'.

    ValueError for another request, MXNetError where shape, dtype or number do not fit.
    """
    variables, gradients = _listed(variables, "variables"), _listed(gradients, "gradients")
    if not isinstance(grad_reqs, (str, list, tuple)):
        raise TypeError(f"grad_reqs must be a text or a list of them, got {type(grad_reqs).__name__}")
    reqs = [grad_reqs] * len(variables) if isinstance(grad_reqs, str) else list(grad_reqs)
    if not len(variables) == len(gradients) == len(reqs):
        raise ValueError(f"mark_variables: {len(variables)} variables, {len(gradients)} gradients, {len(reqs)} "
                         "requests")
    for i, (x, g, req) in enumerate(zip(variables, gradients, reqs)):
        if req not in GRAD_REQ:
            raise ValueError(f"grad_req must be one of {GRAD_REQ}, got {req!r}")
        if (x.shape, x.dtype_name, x.context) != (g.shape, g.dtype_name, g.context):
            raise MXNetError(f"mark_variables: gradient {i} is {g.shape} {g.dtype_name} on {g.context}, its variable "
                             f"{x.shape} {x.dtype_name} on {x.context}")
        if g.overlaps(x):
            raise MXNetError(f"mark_variables: gradient {i} shares memory with its variable")
        for k in range(i):
            if req == reqs[k] == "write" and g.overlaps(gradients[k]):
                raise MXNetError(f"mark_variables: gradients {k} and {i} share memory, so each would overwrite the "
                                 "other")
        _tape.mark(x, g, req)


def _heads(heads, head_grads):
    heads = _listed(heads, "heads")
    if not heads:
        raise ValueError("heads is empty: there is nothing to differentiate")
    if head_grads is None:
        return heads, None
    grads = [head_grads] if isinstance(head_grads, NDArray) else head_grads
    if not isinstance(grads, (list, tuple)):
        raise TypeError(f"head_grads must be NDArrays or None, got {type(head_grads).__name__}")
    grads = list(grads)
    if len(grads) != len(heads):
        raise ValueError(f"{len(grads)} head gradients for {len(heads)} heads")
    return heads, grads


def backward(heads, head_grads=None, retain_graph=False, train_mode=True):
    """The gradients of `heads` into the ``grad`` of every array behind them that has one.

    `head_grads`: gradients of some further loss with respect to the heads (None: ones). The graph is released unless
    `retain_graph`. MXNetError for a head that was not recorded, or whose inputs were overwritten since.
    """
    heads, grads = _heads(heads, head_grads)
    _backward.backward(heads, grads, bool(retain_graph), bool(train_mode))


def grad(heads, variables, head_grads=None, retain_graph=None, create_graph=False, train_mode=True):
    """The gradients of `heads` with respect to `variables`, as a list of new arrays.

    With `create_graph` they are recorded themselves, so they can be differentiated again. The graph is kept if
    `retain_graph`, which is `create_graph` unless given. `variables` are arrays with a gradient attached.
    """
    heads, grads = _heads(heads, head_grads)
    variables = _listed(variables, "variables")
    if not variables:
        raise ValueError("variables is empty: there is nothing to differentiate with respect to")
    retain_graph = create_graph if retain_graph is None else retain_graph
    return _backward.grad(heads, variables, grads, bool(retain_graph), bool(create_graph), bool(train_mode))


def get_symbol(x):
    """The recorded computation of the NDArray `x` as a Symbol; its variables are ``var0``, ``var1``, ..."""
    from ._core.graph import Node, topological
    from .symbol import Symbol
    from .symbol.compose import attribute_text
    if not isinstance(x, NDArray):
        raise TypeError(f"get_symbol takes an NDArray, got {type(x).__name__}")
    if x._entry is None:
        raise MXNetError("get_symbol: the array is not part of a recorded graph")
    made, variables, calls = {}, 0, 0
    for node in topological([x._entry]):
        if node.op is None:
            made[node] = Node(None, f"var{variables}", {})
            variables += 1
            continue
        if node.op is _FunctionCall:
            raise MXNetError("get_symbol: the array was computed by an autograd.Function, which is no operator")
        attrs = {k: attribute_text(k, getattr(node.p, k)) for k, param in node.op.params.items()
                 if getattr(node.p, k) != param.default}
        made[node] = Node(node.op, f"node_{calls}", attrs, node.p, [(made[n], i) for n, i in node.inputs])
        calls += 1
    return Symbol([(made[x._entry[0]], x._entry[1])])


class Function:
    """An operation written in Python, with its own gradient.

    Define ``forward(self, *inputs)`` and ``backward(self, *output_grads)`` on NDArrays; ``backward`` returns one
    gradient an input. What forward keeps with ``save_for_backward`` is in ``saved_tensors`` there. Make a new object
    for each call:

        y = Sigmoid()(x)
    """

    def __init__(self):
        self.saved_tensors = ()
        self._used = False

    def save_for_backward(self, *args):
        """Keep arrays for :meth:`backward`, as ``saved_tensors``."""
        self.saved_tensors = args

    def __call__(self, *inputs):
        """Run :meth:`forward` unrecorded, and record the call as one step.

        MXNetError where this object was recorded before, TypeError for what is no NDArray.
        """
        inputs = _listed(inputs, f"the inputs of {type(self).__name__}")
        if not inputs:
            raise MXNetError(f"{type(self).__name__} is called with no inputs")
        if getattr(self, "_used", False):
            raise MXNetError(f"{type(self).__name__}: each Function object is called once; make a new one")
        with pause(is_training()):
            outputs = self.forward(*inputs)
        single = isinstance(outputs, NDArray)
        listed = _listed(outputs, f"the outputs of {type(self).__name__}.forward")
        if not listed:
            raise MXNetError(f"{type(self).__name__}.forward returned no outputs")
        if is_recording():
            self._used = True
            taken = {id(x) for x in inputs}
            listed = [x.detach() if id(x) in taken or x._entry is not None else x for x in listed]
            p = _FunctionCall.parse({"shapes": tuple(x.shape for x in listed),
                                     "dtypes": tuple(x.dtype_name for x in listed)})
            _tape.record_function(_FunctionCall, p, inputs, listed, self)
        return listed[0] if single else type(outputs)(listed)

    def forward(self, *inputs):
        """The outputs (an NDArray or several) for the inputs."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def backward(self, *output_grads):
        """The gradients with respect to the inputs, from those with respect to the outputs."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward")
