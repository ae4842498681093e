"""Starting values of parameters, chosen by the parameter's name.

An :class:`Initializer` is called with an :class:`InitDesc` (a name with the symbol's attributes) and the array to
fill. A parameter with an ``__init__`` attribute (``mx.sym.Variable("w", init=mx.init.One())``) gets that one; else the
end of the name decides: ``weight`` is drawn as the class says, ``bias`` and ``beta`` are 0, ``gamma`` is 1.
Numbers are drawn through :mod:`mxlite.random`, so ``mx.random.seed`` makes them repeatable.
"""
import json
import logging
import math
import re
import warnings

import numpy as np

from . import ndarray as nd
from . import random
from .registry import get_alias_func, get_create_func, get_register_func

__all__ = ["InitDesc", "Initializer", "Uniform", "Normal", "Zero", "One", "Constant", "Orthogonal", "Xavier",
           "MSRAPrelu", "Bilinear", "LSTMBias", "FusedRNN", "Load", "Mixed", "register", "alias", "create"]


class InitDesc(str):
    """A parameter's name, with the symbol's attributes `attrs` (dict) and the initializer of the whole network."""

    def __new__(cls, name, attrs=None, global_init=None):
        self = super().__new__(cls, name)
        self.attrs = attrs or {}
        self.global_init = global_init
        return self


# What the end of a name says, most telling last: the first one that fits decides.
_BY_SUFFIX = (("weight", "_init_weight"), ("bias", "_init_bias"), ("gamma", "_init_gamma"), ("beta", "_init_beta"),
              ("min", "_init_zero"), ("max", "_init_one"), ("weight_quantize", "_init_quantized_weight"),
              ("bias_quantize", "_init_quantized_bias"))
# The same for bare names, as they were before names carried attributes.
_BY_SUFFIX_BARE = (("bias", "_init_bias"), ("gamma", "_init_gamma"), ("beta", "_init_beta"),
                   ("weight", "_init_weight"), ("moving_mean", "_init_zero"), ("moving_var", "_init_one"),
                   ("moving_inv_var", "_init_zero"), ("moving_avg", "_init_zero"), ("min", "_init_zero"),
                   ("max", "_init_one"))


class Initializer:
    """Base of all initializers. A subclass defines ``_init_weight(name, arr)`` and passes its arguments on to
    ``super().__init__`` by name, so that :meth:`dumps` can write them down."""

    def __init__(self, **kwargs):
        self._kwargs = kwargs
        self._verbose = False
        self._print_func = None

    def __eq__(self, other):
        if not isinstance(other, Initializer):
            return NotImplemented
        return type(self) is type(other) and self._kwargs == other._kwargs

    __hash__ = None

    def set_verbosity(self, verbose=False, print_func=None):
        """Log each parameter as it is filled, with ``print_func(arr)`` (its root mean square). Returns self."""
        self._verbose = verbose
        self._print_func = print_func or (lambda arr: str(np.linalg.norm(arr.asnumpy()) / math.sqrt(arr.size)))
        return self

    def dumps(self):
        """JSON text ``["name", {arguments}]`` from which :func:`create` makes an equal initializer."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, desc, arr):
        if not isinstance(desc, InitDesc):
            self._call_with_bare_name(desc, arr)
            return
        if desc.global_init is None:
            desc.global_init = self
        how = desc.attrs.get("__init__", "")
        if how:
            create(how)._init_weight(desc, arr)
        else:
            how, rule = self._rule(desc, _BY_SUFFIX)
            getattr(self, rule)(desc, arr)
        if self._verbose and how:
            logging.info("Initialized %s as %s: %s", desc, how, self._print_func(arr))

    @staticmethod
    def _rule(name, table):
        return next(((suffix, rule) for suffix, rule in table if name.endswith(suffix)), ("", "_init_default"))

    def _call_with_bare_name(self, name, arr):
        warnings.warn("Calling initializer with init(str, NDArray) has been deprecated. "
                      "Please use init(mx.init.InitDesc(...), NDArray) instead.", DeprecationWarning, stacklevel=3)
        if not isinstance(name, str):
            raise TypeError(f"name must be string, not {type(name).__name__}")
        if not isinstance(arr, nd.NDArray):
            raise TypeError(f"arr must be NDArray, not {type(arr).__name__}")
        if name.startswith("upsampling"):
            self._init_bilinear(name, arr)
        elif name.startswith("stn_loc") and name.endswith("weight"):
            self._init_zero(name, arr)
        elif name.startswith("stn_loc") and name.endswith("bias"):
            self._init_loc_bias(name, arr)
        else:
            getattr(self, self._rule(name, _BY_SUFFIX_BARE)[1])(name, arr)

    def _init_weight(self, name, arr):
        raise NotImplementedError(f"{type(self).__name__} must define _init_weight(name, arr)")

    def _init_zero(self, _, arr):
        arr[:] = 0

    def _init_one(self, _, arr):
        arr[:] = 1

    _init_bias = _init_beta = _init_quantized_bias = _init_zero
    _init_gamma = _init_one

    def _init_quantized_weight(self, _, arr):
        arr[:] = random.randint(-127, 127, shape=arr.shape).asnumpy().astype("int8")

    def _init_loc_bias(self, _, arr):
        # A spatial transformer starts as the identity.
        if arr.shape != (6,):
            raise AssertionError(f"the bias of a localisation network has shape (6,), not {arr.shape}")
        arr[:] = np.array([1.0, 0, 0, 0, 1.0, 0])

    def _init_bilinear(self, _, arr):
        # Interpolation weights of an upsampling by f, the same for every channel (Long et al., "FCN", 2015).
        height, width = arr.shape[2:]
        factor = np.ceil(width / 2.0)
        centre = (2 * factor - 1 - factor % 2) / (2.0 * factor)
        row, column = (1 - np.abs(np.arange(size) / factor - centre) for size in (height, width))
        arr[:] = np.broadcast_to(np.outer(row, column), arr.shape).astype("float32")

    def _init_default(self, name, _):
        raise ValueError(
            f"Unknown initialization pattern for {name}. Default initialization is now limited to \"weight\", "
            "\"bias\", \"gamma\" (1.0), and \"beta\" (0.0). Please use mx.sym.Variable(init=mx.init.*) to set "
            "initialization pattern")


register = get_register_func(Initializer, "initializer")
alias = get_alias_func(Initializer, "initializer")
create = get_create_func(Initializer, "initializer")


@register
@alias("zeros")
class Zero(Initializer):
    """All 0."""

    def __init__(self):
        super().__init__()

    _init_weight = Initializer._init_zero


@register
@alias("ones")
class One(Initializer):
    """All 1."""

    def __init__(self):
        super().__init__()

    _init_weight = Initializer._init_one


@register
class Constant(Initializer):
    """All `value`: a number, or an array of the parameter's shape."""

    def __init__(self, value):
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, _, arr):
        arr[:] = self.value

    def dumps(self):
        value = self.value
        if not np.isscalar(value):
            value = np.asarray(value.asnumpy() if isinstance(value, nd.NDArray) else value).tolist()
        return json.dumps(["constant", {"value": value}])


@register
class Uniform(Initializer):
    """Uniform on [-scale, scale)."""

    def __init__(self, scale=0.07):
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, _, arr):
        random.uniform(-self.scale, self.scale, arr.shape, out=arr)


@register
class Normal(Initializer):
    """Normal with mean 0 and standard deviation `sigma`."""

    def __init__(self, sigma=0.01):
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, _, arr):
        random.normal(0, self.sigma, arr.shape, out=arr)


@register
class Orthogonal(Initializer):
    """`scale` times a random matrix with orthonormal rows or columns, of the array seen as (axis 0, the rest).

    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning", 2013. `rand_type` is
    ``"uniform"`` or ``"normal"``.
    """

    def __init__(self, scale=1.414, rand_type="uniform"):
        super().__init__(scale=scale, rand_type=rand_type)
        self.scale = scale
        self.rand_type = rand_type

    def _init_weight(self, _, arr):
        shape = (arr.shape[0], math.prod(arr.shape[1:]))
        if self.rand_type == "uniform":
            start = random.uniform(-1.0, 1.0, shape=shape)
        elif self.rand_type == "normal":
            start = random.normal(0.0, 1.0, shape=shape)
        else:
            raise ValueError(f"Unknown random type {self.rand_type!r}: 'uniform' or 'normal'")
        left, _, right = np.linalg.svd(start.asnumpy(), full_matrices=False)
        arr[:] = self.scale * (left if left.shape == shape else right).reshape(arr.shape)


@register
class Xavier(Initializer):
    """Spread such that signals keep their size through the layer (Glorot and Bengio, 2010).

    With s = sqrt(magnitude / n), n being the fan-in ("in"), fan-out ("out") or their mean ("avg"): uniform on
    [-s, s) (`rnd_type` "uniform") or normal with deviation s ("gaussian"). The array's axes are (out, in, kernel...);
    ValueError for fewer than two.
    """

    def __init__(self, rnd_type="uniform", factor_type="avg", magnitude=3):
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        self.rnd_type = rnd_type
        self.factor_type = factor_type
        self.magnitude = float(magnitude)

    def _init_weight(self, name, arr):
        if len(arr.shape) < 2:
            raise ValueError(f"Xavier initializer cannot be applied to vector {name}. It requires at least 2D.")
        kernel = math.prod(arr.shape[2:])
        fan_in, fan_out = arr.shape[1] * kernel, arr.shape[0] * kernel
        fans = {"avg": (fan_in + fan_out) / 2.0, "in": fan_in, "out": fan_out}
        if self.factor_type not in fans:
            raise ValueError(f"Incorrect factor type {self.factor_type!r}: 'avg', 'in' or 'out'")
        scale = math.sqrt(self.magnitude / fans[self.factor_type])
        if self.rnd_type == "uniform":
            random.uniform(-scale, scale, arr.shape, out=arr)
        elif self.rnd_type == "gaussian":
            random.normal(0, scale, arr.shape, out=arr)
        else:
            raise ValueError(f"Unknown random type {self.rnd_type!r}: 'uniform' or 'gaussian'")


@register
class MSRAPrelu(Xavier):
    """:class:`Xavier` for layers followed by a (leaky) ReLU of slope `slope` (He et al., 2015)."""

    def __init__(self, factor_type="avg", slope=0.25):
        super().__init__("gaussian", factor_type, 2.0 / (1 + slope ** 2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Bilinear(Initializer):
    """Weights that make a Deconvolution, (channels, 1, kernel, kernel), upsample bilinearly."""

    def __init__(self):
        super().__init__()

    _init_weight = Initializer._init_bilinear


@register
class LSTMBias(Initializer):
    """A bias (4 hidden) of an LSTM: `forget_bias` for the forget gate, 0 for the others (gates are i, f, c, o)."""

    def __init__(self, forget_bias=1.0):
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, _, arr):
        hidden = arr.shape[0] // 4
        values = np.zeros(arr.shape, "float32")
        values[hidden:2 * hidden] = self.forget_bias
        arr[:] = values


@register
class FusedRNN(Initializer):
    """The flat parameter vector of the RNN operator: `init` for its matrices (None: the network's initializer).

    `init` is an Initializer or its JSON text. Biases are filled by the same rules as everywhere, and an LSTM's forget
    gates get `forget_bias`.
    """

    def __init__(self, init, num_hidden, num_layers, mode, bidirectional=False, forget_bias=1.0):
        init = create(init) if isinstance(init, str) else init
        super().__init__(init=init.dumps() if init is not None else None, num_hidden=num_hidden,
                         num_layers=num_layers, mode=mode, bidirectional=bidirectional, forget_bias=forget_bias)
        self._init = init
        self._lstm = mode == "lstm"
        self._gates = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}[mode]
        self._hidden, self._layers, self._directions = num_hidden, num_layers, 1 + bool(bidirectional)
        self._forget_bias = forget_bias

    def _init_weight(self, desc, arr):
        hidden, gates, directions = self._hidden, self._gates, self._directions
        blocks = self._layers * directions
        # All matrices come first, layer by layer, then all biases; the first layer's input size is what is left over.
        rest = (self._layers - 1) * directions * gates * hidden * (directions * hidden + hidden + 2)
        first = (arr.size - rest) // (directions * gates * hidden) - hidden - 2
        if rest + directions * gates * hidden * (first + hidden + 2) != arr.size or first < 1:
            raise ValueError(f"{desc} has {arr.size} numbers, which is no size of an RNN of this kind")
        init = self._init or desc.global_init
        flat, at = np.empty(arr.size, "float32"), 0
        for block in range(blocks):
            inputs = first if block < directions else directions * hidden
            for columns in (inputs, hidden):
                for _ in range(gates):
                    flat[at:at + hidden * columns] = self._filled(init, desc, "weight", (hidden, columns))
                    at += hidden * columns
        for _ in range(2 * blocks):
            for gate in range(gates):
                bias = self._filled(init, desc, "bias", (hidden,))
                flat[at:at + hidden] = self._forget_bias if self._lstm and gate == 1 else bias
                at += hidden
        arr[:] = flat.reshape(arr.shape)

    @staticmethod
    def _filled(init, desc, suffix, shape):
        part = nd.zeros(shape)
        init(InitDesc(f"{desc}_{suffix}", global_init=desc.global_init), part)
        return part.asnumpy().ravel()


class Load:
    """Values from `param`, a dict name -> NDArray or a ``.params`` file; `default_init` for names it does not hold.

    Raises AssertionError for another shape, or for a missing name without `default_init`.
    """

    def __init__(self, param, default_init=None, verbose=False):
        if isinstance(param, str):
            param = nd.load(param)
        if not isinstance(param, dict):
            raise AssertionError("param must be a dict of NDArrays, or a file that holds one")
        self.param = {name[4:] if name[:4] in ("arg:", "aux:") else name: array for name, array in param.items()}
        self.default_init = default_init
        self.verbose = verbose

    def __call__(self, name, arr):
        if name in self.param:
            value = self.param[name]
            if tuple(arr.shape) != tuple(value.shape):
                raise AssertionError(f"Parameter {name} cannot be initialized from loading. Shape mismatch, "
                                     f"target {arr.shape} vs loaded {value.shape}")
            arr[:] = value
        elif self.default_init is None:
            raise AssertionError(f"Cannot Initialize {name}. Not found in loaded param and no default Initializer "
                                 "is provided.")
        else:
            self.default_init(name, arr)
        if self.verbose:
            logging.info("Initialized %s by %s", name, "loading" if name in self.param else "default")


class Mixed:
    """The first of `initializers` whose regular expression in `patterns` fits the beginning of the name.

    Raises ValueError if none fits: let the last pattern be ``".*"``.
    """

    def __init__(self, patterns, initializers):
        if len(patterns) != len(initializers):
            raise AssertionError(f"{len(patterns)} patterns for {len(initializers)} initializers")
        self.map = [(re.compile(pattern), init) for pattern, init in zip(patterns, initializers)]

    def __call__(self, name, arr):
        for pattern, init in self.map:
            if pattern.match(name):
                init(name, arr)
                return
        raise ValueError(f"Parameter name {name} did not match any pattern. Consider adding a \".*\" pattern at the "
                         "end with default Initializer.")
