"""The Symbol: an immutable view of one or more outputs of a graph."""
import warnings

from .._core.errors import MXNetError
from .._core.graph import Node, substitute, topological, variables
from ..attribute import AttrScope
from ..base import NotImplementedForSymbol, caller
from ..ops.record import REGISTRY
from . import arithmetic as _arithmetic
from . import backend as _backend
from . import bind as _bind
from . import inference as _inference
from .codec import HIDDEN_KEYS, from_json, to_json, without_amp_casts
from .compose import apply_to, compose, hidden_key, reparsed, text_of

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
            if not self._entries[index]:
                raise TypeError(f"the slice {index.start}:{index.stop}:{index.step} of {len(self._entries)} outputs "
                                f"is empty: a symbol has at least one")
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
        """Text of one attribute, None where there is none. ``lr_mult`` and ``__lr_mult__`` are one; ``name`` is the
        name of the node."""
        nodes = {id(n): n for n, _ in self._entries}
        if len(nodes) != 1:
            return None
        node = next(iter(nodes.values()))
        return node.name if key == "name" else node.attrs.get(key, node.attrs.get(hidden_key(key)))

    def list_attr(self, recursive=False):
        """All attributes of the first output's node, hidden keys under both spellings."""
        if recursive:
            raise DeprecationWarning("Symbol.list_attr with recursive=True has been deprecated. Please use attr_dict "
                                     "instead.")
        return _both_spellings(self._entries[0][0].attrs)

    def attr_dict(self):
        """{node name: its attributes} of every node that has some; nodes of one name are merged."""
        out = {}
        for n in topological(self._entries):
            if n.attrs:
                out.setdefault(n.name, {}).update(_both_spellings(n.attrs))
        return out

    def _set_attr(self, **kwargs):
        """Set attributes of this symbol's node, in place: an operator's parameters, ``__name__`` texts, hidden keys;
        ``name`` renames the node.

        ValueError where a value is no text; MXNetError for a group of several nodes, and for what is no parameter.
        """
        node = self._entries[0][0]
        if any(n is not node for n, _ in self._entries):
            raise MXNetError(f"attributes can be set on one node, this group has {', '.join(self.list_outputs())}")
        attrs = dict(node.attrs)
        for k, v in kwargs.items():
            if not isinstance(v, str):
                raise ValueError("Set Attr only accepts string values")
            if k != "name":
                attrs[hidden_key(k)] = v
        if node.op is not None:
            node.p = reparsed(node, attrs)
        node.attrs.update(attrs)
        node.name = kwargs.get("name", node.name)

    # -- composition ------------------------------------------------------------------------------------------------

    def __call__(self, *args, name=None, **kwargs):
        """A copy of this symbol in which variables stand for the given symbols: ``net(data=other, name="both")``.

        By keyword, or by position in the order of arguments, then auxiliary states. `name` names the copy's (first)
        head. TypeError for anything but symbols; MXNetError for an unknown name, one that several variables have, a
        symbol of several outputs.
        """
        for s in (*args, *kwargs.values()):
            if not isinstance(s, Symbol):
                raise TypeError(f"Compose expect `Symbol` as arguments, got {type(s).__name__}")
        if args and kwargs:
            raise TypeError("compose only accept input Symbols either as positional or keyword arguments, not both")
        return Symbol(apply_to(self, args, kwargs, name))

    def __copy__(self):
        return self.__deepcopy__(None)

    def __deepcopy__(self, memo):
        return Symbol(substitute(self._entries, {}))

    # -- text -------------------------------------------------------------------------------------------------------

    def tojson(self, remove_amp_cast=True):
        """The graph as MXNet 1.9.1's JSON text, without the casts of mixed precision (unless they are outputs)."""
        return to_json(without_amp_casts(self._entries) if remove_amp_cast else self._entries)

    def save(self, fname, remove_amp_cast=True):
        """Write the JSON to file `fname`."""
        text = self.tojson(remove_amp_cast)
        try:
            with open(fname, "w", encoding="utf-8", newline="") as f:
                f.write(text)
        except OSError as e:
            raise MXNetError(f"cannot write the symbol file {fname!r}: {e.strerror}") from None

    def __getstate__(self):
        return {"json": to_json(self._entries)}

    def __setstate__(self, state):
        if not isinstance(state, dict) or not isinstance(state.get("json"), str):
            raise MXNetError("this pickle holds no Symbol: its state has no text 'json'")
        self._entries = from_json(state["json"])

    def debug_str(self):
        """The graph as text, a block a node."""
        return text_of(topological(self._entries), self._entries)

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
        """The gradients of this symbol's summed outputs with respect to the arguments named `wrt`: an object to `eval`.

        ``net.gradient(["w"]).eval(data=x, w=w)`` is their list; a Symbol it is not, since the backward graph depends on
        the shapes of the arguments. MXNet declares this method and never implemented it. MXNetError for an unknown
        name.
        """
        from .gradient import gradient_symbol
        return gradient_symbol(self, wrt)

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

    # -- methods with a signature of their own ------------------------------------------------------------------------

    def astype(self, *args, **kwargs):
        """Cast to `dtype`: ``astype("float16")``, ``astype(np.int32)``."""
        if len(args) == 1:
            args, kwargs = (), {"dtype": args[0], **kwargs}
        return call("Cast", "cast", self, *args, **kwargs)

    def as_nd_ndarray(self):
        """This symbol: MXNet's way back from its NumPy flavour."""
        return self

    def as_np_ndarray(self):
        """MXNetError: there is no NumPy flavour of symbols here."""
        raise MXNetError("the NumPy interface (mx.np, mx.sym.np) is not part of mxlite; use the operators of mx.sym")

    def diag(self, k=0, **kwargs):
        """The operator ``diag`` with this symbol as its first input."""
        return call("diag", "diag", self, k, **kwargs)

    def expand_dims(self, axis, inplace=False, **kwargs):
        """The operator ``expand_dims`` with this symbol as its first input. `inplace` means nothing for a symbol."""
        return call("expand_dims", "expand_dims", self, axis=axis, **kwargs)

    def flatten(self, inplace=False, **kwargs):
        """The operator ``flatten`` with this symbol as its first input. `inplace` means nothing for a symbol."""
        return call("Flatten", "flatten", self, **kwargs)

    def squeeze(self, axis=None, inplace=False, **kwargs):
        """The operator ``squeeze`` with this symbol as its first input. `inplace` means nothing for a symbol."""
        return call("squeeze", "squeeze", self, axis=axis, **kwargs)

    def split_v2(self, *args, **kwargs):
        """``mx.sym.split_v2`` with this symbol as its first input."""
        from .functions import split_v2
        return split_v2(self, *args, **kwargs)

    def get_backend_symbol(self, backend):
        """A copy of this symbol for `backend`: ``"MKLDNN"``, MXNet's name for what fuses operators on the CPU.

        How a graph is run is the executor's work here, so the copy is the same graph. MXNetError for any other backend.
        """
        return _backend.get_backend_symbol(self, backend)

    def optimize_for(self, backend, args=None, aux=None, ctx=None, shape_dict=None, type_dict=None, stype_dict=None,
                     skip_infer=False, **kwargs):
        """Like :meth:`get_backend_symbol`, after a look whether the given arrays or shapes fit this graph.

        `args`, `aux`: dicts or lists of NDArray; `shape_dict`, `type_dict`: shapes and dtypes by name. MXNetError for
        an unknown backend or shapes that contradict each other; `skip_infer` leaves the look out.
        """
        return _backend.optimize_for(self, backend, args, aux, shape_dict, type_dict, skip_infer)

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


_arithmetic.install(Symbol, call)


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
    name = attrs.pop("name", name)          # to a node, `name` is no attribute like others
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


