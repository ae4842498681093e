"""The classes and modules have every public member that MXNet 1.9.1's have, with signatures that its callers can use.

``data/mxnet_api.json`` says what MXNet has, and where that comes from.
"""
import importlib
import inspect
import json
import pathlib
import re
import types

import pytest

import mxlite as mx

MODULES = json.loads(pathlib.Path(__file__).with_name("data").joinpath("mxnet_api.json").read_text())["modules"]

# Members that are not here, and why. Under three in a hundred, see below.
HANDLE = "takes a pointer of MXNet's C API; objects are made by functions"
ABSENT = {
    "mxnet.symbol.Symbol.__init__": HANDLE,
    "mxnet.ndarray.NDArray.__init__": HANDLE,
    "mxnet.executor.Executor.__init__": HANDLE,
    "mxnet.ndarray._new_empty_handle": HANDLE,
    "mxnet.contrib.amp.convert_hybrid_block": "Gluon is not part of mxlite",
    "mxnet.ndarray.get_indexing_dispatch_code": "a step of MXNet's own indexing that it forgot to hide",
    "mxnet.ndarray.get_oshape_of_gather_nd_op": "a step of MXNet's own indexing that it forgot to hide",
    "mxnet.ndarray.indexing_key_expand_implicit_axes": "a step of MXNet's own indexing that it forgot to hide",
}
# Parameters whose default is another one, and why.
OTHER_DEFAULT = {
    "mxnet.symbol.Group.create_fn": "the class, which is mxlite's",
    "mxnet.ndarray.from_numpy.array_cls": "the class, which is mxlite's",
    "mxnet.visualization.plot_network.node_attrs": "None for {}: a default that a caller could change",
}


def members():
    """(dotted name, MXNet's signature as text or 'property') of everything public."""
    for module, names in MODULES.items():
        for name, what in names.items():
            if isinstance(what, str):
                yield f"{module}.{name}", what
            else:
                yield from ((f"{module}.{name}.{member}", text) for member, text in what.items())


def look_up(name):
    """What mxlite has under MXNet's dotted name. AttributeError where it has nothing."""
    _, module, *path = name.split(".")
    here = importlib.import_module(f"mxlite.{module}")
    for part in path:
        here = getattr(here, part)
    return here


def parameters(text):
    """The parameters of a signature text; a default that is no literal (a class) becomes `...`."""
    space = {}
    text = re.sub(r"<class '(?:numpy\.)?float32'>", "'float32'", text)
    exec(f"def f{re.sub(r'<[^<>]*>', '...', text)}: pass", space)
    return list(inspect.signature(space["f"]).parameters.values())


def same_default(ours, theirs):
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return list(ours) == list(theirs)
    if theirs == "float32":
        return ours == "float32" or getattr(ours, "__name__", None) == "float32" or ours is None
    return ours == theirs and type(ours) is type(theirs)


def incompatible(name, text):
    """Why a caller of MXNet's `name` could not call mxlite's, as text; None where every call fits."""
    ours = look_up(name)
    if text == "property":
        *owner, last = name.split(".")
        static = inspect.getattr_static(look_up(".".join(owner)), last)
        return None if not callable(static) or isinstance(static, type) else "is a method where MXNet has a property"
    if not callable(ours):
        return f"is a {type(ours).__name__}, which cannot be called"
    theirs, mine = parameters(text), list(inspect.signature(ours).parameters.values())
    if theirs and theirs[0].name == "self":             # a method, found on its class or bound to nothing
        theirs = theirs[1:]
        if mine and mine[0].name in ("self", "cls"):
            mine = mine[1:]
        elif mine and mine[0].kind is mine[0].POSITIONAL_ONLY:
            mine = mine[1:]
    takes_any = {p.kind for p in mine if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    plain = [p for p in mine if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for i, p in enumerate(theirs):
        if p.kind is p.VAR_POSITIONAL:
            if p.kind not in takes_any and len(plain) <= i:
                return f"takes no further positional arguments (*{p.name})"
            continue
        if p.kind is p.VAR_KEYWORD:
            continue
        if p.kind is p.POSITIONAL_OR_KEYWORD and len(takes_any) == 2 and len(plain) <= i:
            continue
        own = next((q for q in mine if q.name == p.name), None)
        if own is None:
            return f"has no parameter {p.name!r}"
        if plain.index(own) != i if own in plain else p.kind is p.POSITIONAL_OR_KEYWORD:
            return f"has parameter {p.name!r} at another position"
        if p.default is not p.empty and not same_default(own.default, p.default) \
                and f"{name}.{p.name}" not in OTHER_DEFAULT:
            return f"has {p.name}={own.default!r}, MXNet {p.default!r}"
    more = plain[len([p for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD]):]
    left = [q.name for q in more if q.default is q.empty]
    if left and not any(p.kind is p.VAR_POSITIONAL for p in theirs):
        return f"needs {', '.join(left)}, which MXNet does not have"
    return None


@pytest.mark.parametrize("module", MODULES)
def test_every_member_is_here(module):
    wrong = []
    for name, text in members():
        if not name.startswith(module + ".") or name in ABSENT:
            continue
        try:
            found = incompatible(name, text)
        except AttributeError as error:
            found = f"is missing: {error}"
        if found:
            wrong.append(f"{name}{text if text != 'property' else ''} {found}")
    assert not wrong, "\n".join(wrong)


def test_few_are_absent():
    every = [name for name, _ in members()]
    assert len(every) > 300 and len(set(every)) == len(every)
    assert set(ABSENT) <= set(every) and all(ABSENT.values())
    assert len(ABSENT) < 0.03 * len(every), f"{len(ABSENT)} of {len(every)}"
    for name in ABSENT:
        if not name.endswith("__init__"):               # every class has one
            with pytest.raises(AttributeError):
                look_up(name)


@pytest.mark.parametrize("theirs, ours, verdict", [
    ("(self, a, b=1)", lambda self, a, b=1: 0, None), ("(self, a)", lambda self, a, more=None: 0, None),
    ("(self, a)", lambda self, b: 0, "has no parameter 'a'"),
    ("(self, a, b)", lambda self, b, a: 0, "another position"),
    ("(self, a=1)", lambda self, a=2: 0, "a=2, MXNet 1"), ("(self, a)", lambda self, a, b: 0, "needs b"),
    ("(self, *args, **kwargs)", lambda self: 0, "no further positional"),
    ("(self, a=1)", lambda self, a=1.0: 0, "a=1.0"),
    ("(self, a)", lambda self, *args, **kwargs: 0, None)])
def test_the_walk_finds_what_differs(monkeypatch, theirs, ours, verdict):
    """The comparison itself: planted members."""
    monkeypatch.setattr(mx.executor.Executor, "planted", ours, raising=False)
    found = incompatible("mxnet.executor.Executor.planted", theirs)
    assert found is None if verdict is None else verdict in found, found


# -- mx.nd beside mx.sym ----------------------------------------------------------------------------------------------

ARRAYS_ONLY = {
    "NDArray": "the class", "array": "makes an array of data", "empty": "makes an array",
    "waitall": "there is nothing to wait for in a graph", "from_numpy": "memory of others",
    "from_dlpack": "memory of others",
    "to_dlpack_for_read": "memory for others", "to_dlpack_for_write": "memory for others",
    "load_frombuffer": "reads arrays; a symbol is read by load_json", "save": "writes arrays; a symbol has a method",
    "concatenate": "old name for arrays, as in MXNet", "imdecode": "reads an image",
    "onehot_encode": "writes into an array", "moveaxis": "needs the number of axes",
    **dict.fromkeys("""add subtract multiply divide true_divide modulo equal not_equal greater greater_equal lesser
                    lesser_equal logical_and logical_or logical_xor""".split(),
                    "MXNet has these functions for arrays alone; symbols have operators and broadcast_*")}
SYMBOLS_ONLY = {
    "Symbol": "the class", "Variable": "a variable", "var": "a variable", "Group": "outputs together",
    "load_json": "reads a symbol's text", "fromjson": "reads a symbol's text", "pow": "MXNet's second name for power"}
# Methods: what only an array has (memory, a device, a value), and what only a graph has.
ARRAY_METHODS = set("""T as_in_ctx attach_grad context copyto ctx dtype grad item ndim shape size slice_assign
    slice_assign_scalar stype to_dlpack_for_read to_dlpack_for_write tolist tostype wait_to_write writable""".split())
SYMBOL_METHODS = set("""attr attr_dict bind debug_str eval get_backend_symbol get_children get_internals gradient
    infer_shape infer_shape_partial infer_type infer_type_partial list_arguments list_attr list_auxiliary_states
    list_inputs list_outputs name optimize_for save simple_bind tojson""".split())


def public(module):
    return {n for n in dir(module) if not n.startswith("_") and not isinstance(getattr(module, n), types.ModuleType)}


def test_functions_of_nd_and_sym_are_the_same():
    nd, sym = public(mx.nd), public(mx.sym)
    assert nd - sym == set(ARRAYS_ONLY), (nd - sym) ^ set(ARRAYS_ONLY)
    assert sym - nd == set(SYMBOLS_ONLY), (sym - nd) ^ set(SYMBOLS_ONLY)
    assert public(mx.nd.op) == public(mx.sym.op) and dir(mx.nd._internal) == dir(mx.sym._internal)
    names = {n for n in set(mx.nd.random.__all__) if n not in ("seed", "shuffle")}
    assert names <= set(dir(mx.sym.random)), names - set(dir(mx.sym.random))


def test_methods_of_arrays_and_symbols_are_the_same():
    engine = set(dir(mx.nd.NDArray.__mro__[1]))         # the Cython half's own names
    arrays = {n for n in dir(mx.nd.NDArray) if not n.startswith("_")}
    symbols = {n for n in dir(mx.sym.Symbol) if not n.startswith("_")}
    assert arrays - symbols - engine <= ARRAY_METHODS, arrays - symbols - engine - ARRAY_METHODS
    assert symbols - arrays == SYMBOL_METHODS, (symbols - arrays) ^ SYMBOL_METHODS
