"""Symbols, models and modules of mixed precision for inference."""
from ..._core.graph import variables
from ...ndarray import NDArray
from ...ops.record import brief
from ...symbol import Symbol
from ...symbol.inference import variable_dtype
from .convert import Conversion, Rules, declare_dtypes

__all__ = ["convert_symbol", "convert_model", "convert_bucketing_module"]


def _must_be(what, value, kind, name):
    if not isinstance(value, kind):
        raise AssertionError(f"{what} must be a {name}, not {type(value).__name__}")


def convert_symbol(sym, target_dtype="float16", target_dtype_ops=None, fp32_ops=None, conditional_fp32_ops=None,
                   excluded_sym_names=None, data_names=None, cast_optional_params=False):
    """The float32 symbol `sym` with casts, so that operators run in `target_dtype` ("float16" or "bfloat16"), in
    float32, or in either, by the lists that the `list_...` functions show. Outputs are float32.

    `target_dtype_ops`, `fp32_ops` (lists of names of operators) and `conditional_fp32_ops` (a list of (operator,
    parameter, list of its values)) stand in for these lists; nodes named in `excluded_sym_names` run in float32.
    `data_names` are inputs that are float32, by default all without a ``__dtype__``. The others get one: with
    `cast_optional_params` `target_dtype` where all who read them want that, and no cast.

    The graph is MXNet's, names of casts included. AssertionError where an argument is of another type, an operator in
    two lists or one that can be in none; MXNetError for a name in `data_names` that the symbol does not have.
    """
    _must_be("sym", sym, Symbol, "Symbol")
    rules = Rules(target_dtype, target_dtype_ops, fp32_ops, conditional_fp32_ops, excluded_sym_names)
    if data_names is None:
        attrs = sym.attr_dict()
        data_names = [name for name in sym.list_inputs() if "__dtype__" not in attrs.get(name, ())]
    elif not isinstance(data_names, (list, tuple, set)) or not all(isinstance(name, str) for name in data_names):
        raise AssertionError(f"data_names must be a list of names, not {brief(data_names)}")
    entries = Conversion(sym._entries, rules, set(data_names), cast_optional_params).entries
    declare_dtypes(entries, set(data_names))
    return Symbol(entries)


def convert_model(sym, arg_params, aux_params, target_dtype="float16", target_dtype_ops=None, fp32_ops=None,
                  conditional_fp32_ops=None, excluded_sym_names=None, cast_optional_params=False):
    """``(symbol, arg_params, aux_params)`` of mixed precision: `convert_symbol` of `sym`, where inputs without a
    parameter are float32 data, and the parameters (dicts name -> NDArray) in the dtypes that it declares.

    The dicts are new ones; arrays that keep their dtype are the same. Raises as `convert_symbol`, and AssertionError
    where the parameters are no dicts.
    """
    _must_be("sym", sym, Symbol, "Symbol")
    _must_be("arg_params", arg_params, dict, "dict of NDArray by name")
    _must_be("aux_params", aux_params, dict, "dict of NDArray by name")
    for name, array in (*arg_params.items(), *aux_params.items()):
        _must_be(f"parameter {brief(name)}", array, NDArray, "NDArray")
    data_names = [name for name in sym.list_inputs() if name not in arg_params and name not in aux_params]
    converted = convert_symbol(sym, target_dtype, target_dtype_ops, fp32_ops, conditional_fp32_ops, excluded_sym_names,
                               data_names, cast_optional_params)
    dtypes = {name: dtype for name, dtype in zip(converted.list_arguments() + converted.list_auxiliary_states(),
                                                 _declared(converted)) if name not in data_names}
    arg_params, aux_params = ({name: array.astype(dtypes[name], copy=False) if name in dtypes else array
                               for name, array in params.items()} for params in (arg_params, aux_params))
    return converted, arg_params, aux_params


def _declared(symbol):
    """The dtype names that the variables of a converted symbol declare, arguments first; None where they do not."""
    args, aux = variables(symbol._entries)
    return [variable_dtype(node) for node in args + aux]


def convert_bucketing_module(bucketing_mod, target_dtype="float16", target_dtype_ops=None, fp32_ops=None,
                             conditional_fp32_ops=None, excluded_sym_names=None, cast_optional_params=False):
    """A BucketingModule, to be bound, with the buckets that `bucketing_mod` has so far converted by `convert_model`,
    its parameters and its options.

    AssertionError where it is no BucketingModule, or has no buckets or no parameters yet.
    """
    from ...module import BucketingModule
    _must_be("bucketing_mod", bucketing_mod, BucketingModule, "BucketingModule")
    if not bucketing_mod._buckets or not bucketing_mod.params_initialized:
        raise AssertionError("convert_bucketing_module needs a module that is bound and has parameters")
    symbols = {}
    params = bucketing_mod.get_params()
    for key, module in bucketing_mod._buckets.items():
        symbols[key], *converted = convert_model(module.symbol, *params, target_dtype, target_dtype_ops, fp32_ops,
                                                 conditional_fp32_ops, excluded_sym_names, cast_optional_params)
    arg_params, aux_params = converted
    return BucketingModule.load_dict(symbols, bucketing_mod._sym_gen, bucketing_mod._default_bucket_key, arg_params,
                                     aux_params, **bucketing_mod._options)
