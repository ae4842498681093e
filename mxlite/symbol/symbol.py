"""The Symbol: an immutable view of one or more outputs of a graph."""
import warnings

from .._core.errors import MXNetError
from .._core.graph import Node, substitute, topological, variables
from ..attribute import AttrScope
from ..base import NotImplementedForSymbol, caller
from ..name import NameManager
from ..ops.record import REGISTRY
from . import bind as _bind
from . import inference as _inference
from .codec import HIDDEN_KEYS, from_json, to_json
from .compose import compose, hidden_key

__all__ = ["Symbol", "Variable", "var", "Group", "load", "load_json", "fromjson"]


def entry_name(node, index):
    """The public name of a node's output: ``fc1_output``, ``split0_output1``, a variable's own name."""
    if node.op is None:
        return node.name
    return f"{node.name}_{node.op.output_names(node.p)[index]}"


def call(op_name, called, *args, **kwargs):
    """A new symbol of operator `op_name`, named after `called` where it is given no name."""
    return Symbol(compose(REGISTRY[op_name], called, args, kwargs, Symbol))


class Symbol:
    """One or more outputs of a graph. Composing, indexing and grouping make new symbols and change none."""

    __slots__ = ("_entries",)
    __array_priority__ = 1000.0         # NumPy scalars on the left hand over to us

    def __init__(self, entries):
        self._entries = list(entries)

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def name(self):
        """The name of the node; None for a group of several."""
        nodes = {id(n): n for n, _ in self._entries}
        return next(iter(nodes.values())).name if len(nodes) == 1 else None

    def __repr__(self):
        if self.name is None:
            return f"<{type(self).__name__} group [{', '.join(Symbol([e]).name for e in self._entries)}]>"
        return f"<{type(self).__name__} {self.name}>"

    def __len__(self):
        return len(self._entries)

    def __iter__(self):
        return (Symbol([e]) for e in self._entries)

    def __bool__(self):
        raise NotImplementedForSymbol(self.__bool__, "bool")

    def __getitem__(self, index):
        """Output by position, by its name (``net["fc1_output"]``), or a slice of them as a group."""
        if isinstance(index, str):
            found = [i for i, n in enumerate(self.list_outputs()) if n == index]
            if not found:
                raise ValueError(f'Cannot find output that matches name "{index}"; there are {self.list_outputs()}')
            if len(found) > 1:
                raise ValueError(f'There are multiple outputs with name "{index}"')
            return Symbol([self._entries[found[0]]])
        if isinstance(index, slice):
            return Symbol(self._entries[index])
        if not hasattr(index, "__index__"):
            raise TypeError(f"Symbol only supports integer, slice or string index, not {type(index).__name__}")
        index = index.__index__()
        if not 0 <= index < len(self._entries):
            raise IndexError(f"output {index} of a symbol with {len(self._entries)}")
        return Symbol([self._entries[index]])

    def list_arguments(self):
        """Names of the arguments, depth first in the order of inputs."""
        return [n.name for n in variables(self._entries)[0]]

    def list_auxiliary_states(self):
        """Names of the auxiliary states."""
        return [n.name for n in variables(self._entries)[1]]

    def list_inputs(self):
        """Names of all variables, arguments and auxiliary states in graph order."""
        return [n.name for n in topological(self._entries) if n.op is None]

    def list_outputs(self):
        """Names of the outputs."""
        return [entry_name(n, i) for n, i in self._entries]

    def get_internals(self):
        """All visible outputs of all nodes, as one group."""
        out = []
        for node in topological(self._entries):
            out += [(node, i) for i in range(node.n_visible)]
        return Symbol(out)

    def get_children(self):
        """The inputs of this symbol's nodes as a group; None for a variable."""
        entries, seen = [], set()
        for node, _ in self._entries:
            if node not in seen:
                seen.add(node)
                entries += node.inputs
        return Symbol(entries) if entries else None

    # -- attributes -------------------------------------------------------------------------------------------------

    def attr(self, key):
        """Text of one attribute, None where there is none. ``lr_mult`` and ``__lr_mult__`` are one."""
        nodes = {id(n): n for n, _ in self._entries}
        if len(nodes) != 1:
            return None
        return next(iter(nodes.values())).attrs.get(hidden_key(key))

    def list_attr(self, recursive=False):
        """All attributes of the first output's node, hidden keys under both spellings."""
        if recursive:
            raise DeprecationWarning("Symbol.list_attr with recursive=True has been deprecated. Please use attr_dict "
                                     "instead.")
        return _both_spellings(self._entries[0][0].attrs)

    def attr_dict(self):
        """{node name: its attributes} of every node that has some."""
        return {n.name: _both_spellings(n.attrs) for n in topological(self._entries) if n.attrs}

    def _set_attr(self, **kwargs):
        for k, v in kwargs.items():
            if not isinstance(v, str):
                raise ValueError("Set Attr only accepts string values")
            for node, _ in self._entries:
                node.attrs[hidden_key(k)] = v

    # -- composition ------------------------------------------------------------------------------------------------

    def __call__(self, *args, name=None, **kwargs):
        """A copy of this symbol in which the named variables stand for the given symbols.

        ``net(data=other, name="both")``. Raises TypeError for anything but symbols, MXNetError for an unknown name.
        """
        for s in (*args, *kwargs.values()):
            if not isinstance(s, Symbol):
                raise TypeError(f"Compose expect `Symbol` as arguments, got {type(s).__name__}")
        if args and kwargs:
            raise TypeError("compose only accept input Symbols either as positional or keyword arguments, not both")
        inputs = [n for n in topological(self._entries) if n.op is None]
        if args:
            if len(args) > len(inputs):
                raise MXNetError(f"compose: {len(args)} symbols for {len(inputs)} inputs: {self.list_inputs()}")
            replace = {n: s for n, s in zip(inputs, args)}
        else:
            by_name = {}
            for n in inputs:
                by_name.setdefault(n.name, []).append(n)
            for k in kwargs:
                if k not in by_name:
                    raise MXNetError(f"compose: argument name {k} not found. Candidate arguments: "
                                     f"{', '.join(by_name)}")
            replace = {n: s for k, s in kwargs.items() for n in by_name[k]}
        for s in replace.values():
            if len(s._entries) != 1:
                raise MXNetError(f"compose: an input must have one output, {s!r} has {len(s._entries)}")
        entries = substitute(self._entries, {n: s._entries[0] for n, s in replace.items()})
        if name is not None and len({n for n, _ in entries}) == 1 and entries[0][0].op is not None:
            entries[0][0].name = NameManager.current.get(name, "compose")
        return Symbol(entries)

    def __copy__(self):
        return self.__deepcopy__(None)

    def __deepcopy__(self, memo):
        return Symbol(substitute(self._entries, {}))

    # -- text -------------------------------------------------------------------------------------------------------

    def tojson(self, remove_amp_cast=True):
        """The graph as MXNet 1.9.1's JSON text."""
        return to_json(self._entries)

    def save(self, fname, remove_amp_cast=True):
        """Write the JSON to file `fname`."""
        text = self.tojson()
        try:
            with open(fname, "w", encoding="utf-8", newline="") as f:
                f.write(text)
        except OSError as e:
            raise MXNetError(f"cannot write the symbol file {fname!r}: {e.strerror}") from None

    def __getstate__(self):
        return {"json": self.tojson()}

    def __setstate__(self, state):
        if not isinstance(state, dict) or not isinstance(state.get("json"), str):
            raise MXNetError("this pickle holds no Symbol: its state has no text 'json'")
        self._entries = from_json(state["json"])

    def debug_str(self):
        """The graph as text, a block a node."""
        lines = ["Symbol Outputs:"]
        lines += [f"\toutput[{k}]={n.name}({i})" for k, (n, i) in enumerate(self._entries)]
        for node in topological(self._entries):
            if node.op is None:
                lines.append(f"Variable:{node.name}")
                continue
            lines += ["--------------------", f"Op:{node.op.name}, Name={node.name}", "Inputs:"]
            for k, (child, i) in enumerate(node.inputs):
                lines.append(f"\targ[{k}]={child.name}({i})" + (" version=0" if child.op is None else ""))
            if node.attrs:
                lines.append("Attrs:")
                lines += [f"\t{k}={node.attrs[k]}" for k in sorted(node.attrs)]
        return "\n".join(lines) + "\n"

    # -- inference --------------------------------------------------------------------------------------------------

    def infer_shape(self, *args, **kwargs):
        """(argument shapes, output shapes, auxiliary shapes) from what is given, by position or name.

        Shapes are tuples, 0 or -1 a dimension to find out. Incomplete: warns and returns (None, None, None).
        MXNetError where shapes contradict each other, naming operator, node, inputs and the line that made the node.
        """
        result = _inference.infer_shape(self, False, args, kwargs)
        if result[0] is None:
            warnings.warn(result[1], UserWarning, stacklevel=2)
            return None, None, None
        return result

    def infer_shape_partial(self, *args, **kwargs):
        """Like :meth:`infer_shape`; what stays unknown is ``()`` or a 0 in the shape."""
        return _inference.infer_shape(self, True, args, kwargs)

    def infer_type(self, *args, **kwargs):
        """(argument dtypes, output dtypes, auxiliary dtypes) as NumPy types, from the given dtypes."""
        result = _inference.infer_type(self, False, args, kwargs)
        if result[0] is None:
            warnings.warn(result[1], UserWarning, stacklevel=2)
            return None, None, None
        return result

    def infer_type_partial(self, *args, **kwargs):
        """Like :meth:`infer_type`; what stays unknown is None."""
        return _inference.infer_type(self, True, args, kwargs)

    # -- binding ----------------------------------------------------------------------------------------------------

    def bind(self, ctx, args, args_grad=None, grad_req="write", aux_states=None, group2ctx=None, shared_exec=None):
        """An Executor over the given arrays; see :func:`mxlite.symbol.bind.bind`."""
        return _bind.bind(self, ctx, args, args_grad, grad_req, aux_states, group2ctx, shared_exec)

    def simple_bind(self, ctx=None, grad_req="write", type_dict=None, stype_dict=None, group2ctx=None,
                    shared_arg_names=None, shared_exec=None, shared_buffer=None, **kwargs):
        """An Executor with arrays made for every argument from the given shapes (``data=(32, 10)``)."""
        return _bind.simple_bind(self, ctx, grad_req, type_dict, stype_dict, group2ctx, shared_arg_names, shared_exec,
                                 shared_buffer, kwargs)

    def eval(self, ctx=None, **kwargs):
        """The outputs for the given arrays, a list: bind and forward in one call."""
        from ..context import current_context
        return self.bind(current_context() if ctx is None else ctx, kwargs).forward()

    def gradient(self, wrt):
        """A symbol of the gradients of this symbol's (summed) outputs with respect to the arguments `wrt`, names.

        Its outputs need the shapes that the arguments get when it is bound. MXNet declares this method and never
        implemented it; here it raises MXNetError for an unknown name.
        """
        from .gradient import gradient_symbol
        return gradient_symbol(self, wrt)

    # -- arithmetic -------------------------------------------------------------------------------------------------

    def __iadd__(self, other):
        raise NotImplementedForSymbol(self.__iadd__, "+=", other)

    def __isub__(self, other):
        raise NotImplementedForSymbol(self.__isub__, "-=", other)

    def __imul__(self, other):
        raise NotImplementedForSymbol(self.__imul__, "*=", other)

    def __itruediv__(self, other):
        raise NotImplementedForSymbol(self.__itruediv__, "/=", other)

    def __neg__(self):
        return call("_mul_scalar", "_mulscalar", self, scalar=-1.0)

    def __abs__(self):
        return call("abs", "abs", self)

    __hash__ = None

    # -- arrays only ------------------------------------------------------------------------------------------------

    def asnumpy(self):
        raise NotImplementedForSymbol(self.asnumpy)

    def asscalar(self):
        raise NotImplementedForSymbol(self.asscalar)

    def as_in_context(self):
        raise NotImplementedForSymbol(self.as_in_context)

    def wait_to_read(self):
        raise NotImplementedForSymbol(self.wait_to_read)

    def copy(self):
        raise NotImplementedForSymbol(self.copy)

    def detach(self):
        raise NotImplementedForSymbol(self.detach)

    def backward(self):
        raise NotImplementedForSymbol(self.backward)

    def astype(self, dtype, **kwargs):
        """Cast to `dtype`."""
        return call("Cast", "cast", self, dtype=dtype, **kwargs)

    def _repr_svg_(self):
        """The graph as a picture, in a notebook."""
        from ..svg import draw
        return draw(self._entries)


def _both_spellings(attrs):
    out = dict(attrs)
    for key in HIDDEN_KEYS:
        if f"__{key}__" in out:
            out[key] = out[f"__{key}__"]
    return out


def _arithmetic(symbol_op, name, scalar_op, scalar_name):
    def method(self, other):
        if isinstance(other, Symbol):
            return call(symbol_op, name, self, other)
        if isinstance(other, bool) or not isinstance(other, (int, float)) and not hasattr(other, "__float__"):
            raise TypeError(f"type {type(other)} not supported")
        if getattr(other, "ndim", 0):
            raise TypeError(f"type {type(other)} not supported")
        return call(scalar_op, scalar_name, self, scalar=other)
    return method


for _method, *_spec in (
        ("__add__", "elemwise_add", "_plus", "_plus_scalar", "_plusscalar"),
        ("__radd__", "elemwise_add", "_plus", "_plus_scalar", "_plusscalar"),
        ("__sub__", "elemwise_sub", "_minus", "_minus_scalar", "_minusscalar"),
        ("__rsub__", "elemwise_sub", "_minus", "_rminus_scalar", "_rminusscalar"),
        ("__mul__", "elemwise_mul", "_mul", "_mul_scalar", "_mulscalar"),
        ("__rmul__", "elemwise_mul", "_mul", "_mul_scalar", "_mulscalar"),
        ("__truediv__", "elemwise_div", "_div", "_div_scalar", "_divscalar"),
        ("__rtruediv__", "elemwise_div", "_div", "_rdiv_scalar", "_rdivscalar"),
        ("__div__", "elemwise_div", "_div", "_div_scalar", "_divscalar"),
        ("__rdiv__", "elemwise_div", "_div", "_rdiv_scalar", "_rdivscalar"),
        ("__mod__", "_mod", "_mod", "_mod_scalar", "_modscalar"),
        ("__rmod__", "_mod", "_mod", "_rmod_scalar", "_rmodscalar"),
        ("__pow__", "_power", "_power", "_power_scalar", "_powerscalar"),
        ("__rpow__", "_power", "_power", "_rpower_scalar", "_rpower_scalar"),
        ("__eq__", "_equal", "_equal", "_equal_scalar", "_equal_scalar"),
        ("__ne__", "_not_equal", "_not_equal", "_not_equal_scalar", "_not_equal_scalar"),
        ("__gt__", "_greater", "_greater", "_greater_scalar", "_greater_scalar"),
        ("__ge__", "_greater_equal", "_greater_equal", "_greater_equal_scalar", "_greater_equal_scalar"),
        ("__lt__", "_lesser", "_lesser", "_lesser_scalar", "_lesser_scalar"),
        ("__le__", "_lesser_equal", "_lesser_equal", "_lesser_equal_scalar", "_lesser_equal_scalar")):
    setattr(Symbol, _method, _arithmetic(*_spec))
    getattr(Symbol, _method).__name__ = _method
Symbol.__hash__ = None


_STORAGE = {"default": "0", "row_sparse": "1", "csr": "2"}
_FLAGS = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6, "bool": 7,
          "bfloat16": 12}


def var(name, attr=None, shape=None, lr_mult=None, wd_mult=None, dtype=None, init=None, stype=None, **kwargs):
    """A variable: a named input of the graph.

    `shape` (0 or -1 unknown), `dtype`, `init` (an Initializer or its JSON text), `lr_mult`, `wd_mult` and `stype` are
    kept as attributes and used by inference and Module. TypeError where `name` is no text.
    """
    if not isinstance(name, str):
        raise TypeError("Expect a string for variable `name`")
    if attr is not None and not isinstance(attr, dict):
        raise TypeError(f"attr must be a dict of texts, got {type(attr).__name__}")
    for v in (attr or {}).values():
        if not isinstance(v, str):
            raise ValueError("Set Attr only accepts string values")
    attrs = AttrScope.current.get(attr)
    if shape is not None:
        attrs["__shape__"] = str(shape)
    if lr_mult is not None:
        attrs["__lr_mult__"] = str(lr_mult)
    if wd_mult is not None:
        attrs["__wd_mult__"] = str(wd_mult)
    if dtype is not None:
        from .._core.dtypes import name_of
        attrs["__dtype__"] = str(_FLAGS[name_of(dtype)])
    if init is not None:
        attrs["__init__"] = init if isinstance(init, str) else init.dumps()
    if stype is not None:
        if stype not in _STORAGE:
            raise ValueError(f"stype {stype!r} is not one of {', '.join(_STORAGE)}")
        attrs["__storage_type__"] = _STORAGE[stype]
    for k, v in kwargs.items():
        if not (k.startswith("__") and k.endswith("__")):
            raise ValueError(f"Attribute name={k} is not supported. Additional attributes must start and end with "
                             f"double underscores, e.g, __yourattr__")
        attrs[k] = str(v)
    attrs = {hidden_key(k): v for k, v in attrs.items()}
    return Symbol([(Node(None, name, attrs, None, None, caller()), 0)])


Variable = var


def Group(symbols, create_fn=Symbol):
    """One symbol with the outputs of all `symbols`, in order."""
    symbols = list(symbols)
    if not symbols or any(not isinstance(s, Symbol) for s in symbols):
        raise TypeError("Expected a list of symbols as input")
    return create_fn([e for s in symbols for e in s._entries])


def load_json(json_str):
    """A symbol from its JSON text (MXNet 1.x or older). MXNetError says what is wrong with it and where."""
    if not isinstance(json_str, str):
        raise TypeError("json_str must be string")
    return Symbol(from_json(json_str))


fromjson = load_json


def load(fname):
    """A symbol from the JSON file `fname`."""
    if not isinstance(fname, str):
        raise TypeError("fname must be string")
    try:
        with open(fname, encoding="utf-8") as f:
            text = f.read()
    except OSError as e:
        raise MXNetError(f"cannot read the symbol file {fname!r}: {e.strerror}") from None
    except UnicodeDecodeError:
        raise MXNetError(f"{fname!r} is no symbol JSON: it is not UTF-8 text") from None
    return load_json(text)


