"""Types for :mod:`mxlite.stubs`: those of what is written by hand, where only the author knows them.

Keys of the tables are ``name``, or ``owner.name`` (a class, a module's last part or a function) where a name means
something else there. What is in no table is ``Any``.
"""

# module -> what an operator called there takes and gives
MODULES = {"mxlite.context": None, "mxlite.ndarray": "NDArray", "mxlite.symbol": "Symbol", "mxlite.executor": None,
           "mxlite.random": "NDArray", "mxlite.symbol.random": "Symbol", "mxlite.autograd": None}
PACKAGES = ("mxlite", "mxlite.ndarray", "mxlite.symbol")

# where the words that stubs use come from, beside the builtins
IMPORTS = {
    "collections.abc": "Callable Iterator Mapping Sequence",
    "contextlib": "AbstractContextManager",
    "typing": "Any Literal TypeAlias TypedDict Unpack overload",
    "numpy": "np",
    ".context": "Context", ".executor": "Executor", ".ndarray": "NDArray", ".symbol": "Symbol",
}
ALIASES = {
    "_Shape": "_Shape: TypeAlias = int | Sequence[int]",
    "_DType": "_DType: TypeAlias = str | type | np.dtype[Any]",
    "_Value": "_Value: TypeAlias = NDArray | np.ndarray[Any, Any] | np.number[Any] | float",
    "_Arrays": "_Arrays: TypeAlias = Sequence[NDArray] | Mapping[str, NDArray]",
    "_GradReq": "_GradReq: TypeAlias = str | Sequence[str] | Mapping[str, str]",
    "_Shapes": "_Shapes: TypeAlias = list[tuple[int, ...]]",
    "_Node": '''

class _Node(TypedDict, total=False):
    """What every operator's node takes beside its name, inputs and parameters."""

    ctx_group: str
    lr_mult: float
    wd_mult: float
    force_mirroring: bool
    mirror_stage: int''',
}

# Methods that say nothing to a caller.
SKIPPED = {"__init_subclass__", "__subclasshook__", "__reduce__", "__getstate__", "__setstate__",
           "__reduce_cython__", "__setstate_cython__", "__pyx_vtable__", "__div__", "__rdiv__", "__idiv__",
           "__class__", "__module__", "__doc__", "__dict__", "__weakref__", "__slots__", "__repr__", "__str__",
           "__array_ufunc__", "__getattr__"}

PARAMETERS = {
    "axis": "int", "always_copy": "bool", "array_cls": "Any", "arrays": "Sequence[NDArray]",
    "allow_extra_params": "bool",
    "allow_up_sizing": "bool", "arg_params": "Mapping[str, NDArray]", "args": "Any", "args_grad": "_Arrays",
    "attr": "Mapping[str, str]", "aux_params": "Mapping[str, NDArray]", "aux_states": "_Arrays",
    "begin": "Sequence[int | None]", "buf": "bytes", "callback": "Callable[[str, NDArray], Any] | None",
    "context": "Context", "copy": "bool", "create_graph": "bool", "ctx": "Context", "data": "_Arrays | NDArray",
    "destination": "_Shape", "device_id": "int", "dtype": "_DType", "end": "Sequence[int | None]", "endpoint": "bool",
    "fname": "str", "func": "Callable[..., Any]", "grad_req": "str", "gradients": "NDArray | Sequence[NDArray]",
    "grad_reqs": "str | Sequence[str]", "group2ctx": "Mapping[str, Context | Sequence[Context]]",
    "head_grads": "NDArray | Sequence[NDArray | None] | None", "heads": "NDArray | Sequence[NDArray]",
    "high": "float", "index": "Any", "indices": "NDArray", "infer_range": "bool", "inplace": "bool",
    "is_train": "bool", "json_str": "str", "k": "int", "key": "Any", "kwargs": "Any", "lam": "float",
    "lhs": "NDArray | float", "loc": "float", "low": "float", "lr_mult": "float", "M": "int", "mode": "str",
    "monitor_all": "bool", "N": "int", "name": "str", "ndarray": "np.ndarray[Any, Any]", "num": "int", "out": "NDArray",
    "out_grads": "NDArray | Sequence[NDArray | None] | Mapping[str, NDArray]", "partial_shaping": "bool",
    "other": "Any", "out_grad": "NDArray", "recursive": "bool", "remove_amp_cast": "bool", "repeat": "int",
    "retain_graph": "bool | None", "rhs": "NDArray | float", "scale": "float", "seed_state": "int", "shape": "_Shape",
    "shared_arg_names": "Sequence[str]", "shared_buffer": "dict[str, NDArray]", "shared_exec": "Executor",
    "source": "_Shape", "source_array": "Any", "start": "float", "step": "float", "stop": "float", "stype": "str",
    "stype_dict": "Mapping[str, str]", "symbols": "Sequence[Symbol]", "tensor": "NDArray", "train_mode": "bool",
    "type_dict": "Mapping[str, _DType]", "val": "float", "value": "Any",
    "variables": "NDArray | Sequence[NDArray]", "wd_mult": "float", "wrt": "str | Sequence[str]", "zero_copy": "bool",
    "axes": "_Shape", "get_prob": "bool", "backend": "str", "entries": "Sequence[Any]", "memo": "dict[int, Any]",
    "skip_infer": "bool",
    "shape_dict": "Mapping[str, tuple[int, ...]]", "squeeze_axis": "bool", "lr": "float",
    "optimize_for.args": "_Arrays", "optimize_for.aux": "_Arrays", "symbol": "Symbol", "shapes": "tuple[int, ...]",
    "Executor.__init__.symbol": "Any", "indices_or_sections": "int | Sequence[int]", "create_fn": "Callable[..., Any]",
    "ndarray.split_v2.ary": "NDArray", "symbol.split_v2.ary": "Symbol", "ndarray.histogram.a": "NDArray",
    "ndarray.histogram.bins": "int | NDArray", "symbol.histogram.a": "Symbol", "symbol.histogram.bins": "int | Symbol",
    "range": "tuple[float, float]", "to_dlpack_for_read.data": "NDArray", "to_dlpack_for_write.data": "NDArray",
    "writable": "bool", "ndarray.power.base": "NDArray | float", "ndarray.power.exp": "NDArray | float",
    "ndarray.pow.base": "NDArray | float", "ndarray.pow.exp": "NDArray | float", "base": "Symbol | float",
    "exp": "Symbol | float",
    "asnumpy.dtype": "Any", "__array__.copy": "bool | None", "__array__.dtype": "Any", "randn.shape": "int",
    "NDArray.reshape.shape": "Any", "slice_assign.step": "Sequence[int | None] | None",
    "slice_assign_scalar.step": "Sequence[int | None] | None", "copyto.other": "NDArray | Context",
    "broadcast_like.other": "NDArray", "copy_from.other": "NDArray", "overlaps.other": "NDArray",
    "part.start": "int", "part.shape": "tuple[int, ...]", "bind.args": "_Arrays", "bind.grad_req": "_GradReq",
    "simple_bind.grad_req": "_GradReq", "bind.ctx": "Context", "Symbol.attr.key": "str", "eval.kwargs": "NDArray",
    "Executor.forward.kwargs": "NDArray | np.ndarray[Any, Any]", "Executor.reshape.kwargs": "tuple[int, ...]",
    "Executor.__init__.ctx": "Any", "Executor.__init__.grad_req": "Any", "Executor.__init__.group2ctx": "Any",
    "seed.ctx": "Context | str",
    "set_recording.is_recording": "bool", "get_symbol.x": "NDArray",
    "left": "Symbol | float", "right": "Symbol | float", "Variable.shape": "_Shape", "var.shape": "_Shape",
    "Variable.init": "Any", "var.init": "Any", "device_type": "Context | str", "is_record": "bool",
}
# Distributions take arrays or symbols of parameters, too.
for _module, _kind in (("random", "NDArray"), ("symbol.random", "Symbol")):
    for _function, _names in {"uniform": "low high", "normal": "loc scale", "randn": "loc scale",
                              "exponential": "scale", "poisson": "lam", "gamma": "alpha beta",
                              "negative_binomial": "k p", "generalized_negative_binomial": "mu alpha"}.items():
        for _name in _names.split():
            PARAMETERS[f"mxlite.{_module}.{_function}.{_name}"] = f"{_kind} | float"
            PARAMETERS[f"{_function}_like.{_name}"] = "float"
        PARAMETERS[f"mxlite.{_module}.{_function}_like.data"] = _kind
    for _function in ("shuffle", "multinomial"):
        PARAMETERS[f"mxlite.{_module}.{_function}.data"] = _kind
PARAMETERS["exponential_like.lam"] = "float"

_ARITHMETIC = "add sub mul truediv mod pow matmul"
RETURNS = {
    **{f"__{p}{n}__": "Self" for n in _ARITHMETIC.split() for p in ("", "r", "i")},
    **{f"__{n}__": "Self" for n in "eq ne gt ge lt le neg abs copy deepcopy".split()},
    "__bool__": "bool", "__float__": "float", "__int__": "int", "__index__": "int", "__len__": "int", "__hash__": "int",
    "__array__": "np.ndarray[Any, Any]", "__exit__": "None", "__setitem__": "None", "__contains__": "bool",
    "__enter__": "Self", "__new__": "Self",
    "NDArray.__iter__": "Iterator[NDArray]", "Symbol.__iter__": "Iterator[Symbol]",
    "NDArray.__getitem__": "NDArray", "Symbol.__getitem__": "Symbol", "Symbol.__call__": "Symbol",
    "__dlpack_device__": "tuple[int, int]", "__init__": "None", "__delitem__": "None",
}
for _kind, _names in {
    "NDArray": """arange array as_in_context as_in_ctx as_nd_ndarray concatenate copyto detach empty eye from_numpy full
        linspace load_from moveaxis onehot_encode ones part zeros add subtract multiply divide true_divide modulo
        equal not_equal greater greater_equal lesser lesser_equal logical_and logical_or logical_xor from_dlpack
        slice_assign slice_assign_scalar tostype copy NDArray.astype NDArray.reshape
        NDArray.flatten NDArray.expand_dims NDArray.squeeze NDArray.broadcast_to NDArray.broadcast_like
        NDArray.split NDArray.diag ndarray.maximum ndarray.minimum ndarray.power ndarray.hypot ndarray.pow""",
    "Symbol": """Variable var Group fromjson load_json symbol.load get_internals gradient get_symbol
        get_optimized_symbol get_backend_symbol optimize_for apply
        Symbol.astype Symbol.reshape Symbol.split_v2 symbol.split_v2 symbol.histogram
        symbol.arange symbol.eye symbol.full symbol.linspace symbol.ones symbol.zeros
        symbol.maximum symbol.minimum symbol.power symbol.pow symbol.hypot""",
    "Symbol | None": "get_children",
    "Executor": "bind simple_bind Executor.reshape",
    "Context": "cpu gpu cpu_pinned current_context",
    "None": """attach_grad zero_grad wait_to_read wait_to_write waitall backward seed save copy_from set_from_host
        touched fill_zero copy_params_from set_monitor_callback empty_cache mark_variables save_for_backward
        _set_attr""",
    "str": "tojson debug_str explain",
    "list[str]": "list_arguments list_auxiliary_states list_inputs list_outputs arguments",
    "bool": "is_recording is_training set_recording set_training overlaps",
    "int": "num_gpus",
    "list[NDArray]": "forward eval ndarray.histogram autograd.grad",
    "list[NDArray] | Any": "ndarray.split_v2",
    "NDArray | Any": "mxlite.random.multinomial",
    "np.ndarray[Any, Any]": "asnumpy host_view numpy_view",
    "list[NDArray] | dict[str, NDArray]": "load load_frombuffer",
    "tuple[_Shapes | None, _Shapes | None, _Shapes | None]": "infer_shape infer_shape_partial",
    "tuple[list[Any] | None, list[Any] | None, list[Any] | None]": "infer_type infer_type_partial",
    "dict[str, str]": "list_attr",
    "dict[str, dict[str, str]]": "attr_dict",
    "str | None": "attr",
    "dict[str, int]": "memory_plan",
    "tuple[int, int]": "gpu_memory_info",
    "AbstractContextManager[None]": "record pause train_mode predict_mode",
    "list[Any]": "tolist",
    "Any": "asscalar item Function.forward Function.backward Function.__call__",
}.items():
    RETURNS.update(dict.fromkeys(_names.split(), _kind))

ATTRIBUTES = {
    "shape": "tuple[int, ...]", "ndim": "int", "size": "int", "dtype": "Any", "dtype_name": "str", "context": "Context",
    "ctx": "Context", "stype": "str", "T": "NDArray", "address": "int", "storage": "Any", "grad": "NDArray | None",
    "handle": "Any", "Symbol.name": "str | None", "outputs": "list[NDArray]", "arg_arrays": "list[NDArray]",
    "grad_arrays": "list[NDArray | None]", "aux_arrays": "list[NDArray]", "arg_dict": "dict[str, NDArray]",
    "grad_dict": "dict[str, NDArray | None]", "aux_dict": "dict[str, NDArray]", "output_dict": "dict[str, NDArray]",
    "device_type": "str", "device_typeid": "int", "device_id": "int", "devtype2str": "dict[int, str]",
    "devstr2type": "dict[str, int]",
}

for _name in (*(f"__{p}{n}__" for n in _ARITHMETIC.split() for p in ("", "r", "i")),
              *(f"__{n}__" for n in ("eq", "ne", "gt", "ge", "lt", "le"))):
    PARAMETERS[f"NDArray.{_name}.other"] = "_Value"
    PARAMETERS[f"Symbol.{_name}.other"] = "Symbol | float"

# What a checker would say of methods that mean to be so: comparisons that give arrays, and take NumPy's.
IGNORED = {"NDArray.__eq__": "override", "NDArray.__ne__": "override", "Symbol.__eq__": "override",
           "Symbol.__ne__": "override", **{f"NDArray.__{n}__": "misc" for n in ("ge", "gt", "le", "lt")}}
