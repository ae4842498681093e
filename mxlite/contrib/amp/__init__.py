"""Automatic mixed precision: products in float16 or bfloat16, everything that needs it and all parameters in float32.

    mx.contrib.amp.init("float16")
    mod = mx.mod.Module(net)
    mod.fit(train, ...)                 # as ever

`init` turns it on for every Module that is bound afterwards. The `convert_...` functions make symbols for inference,
the `list_...` functions say which operator runs in what.
"""
from ...namespace import hinted as _hinted
from .convert_model import convert_bucketing_module, convert_model, convert_symbol
from .lists import (
    list_conditional_fp32_ops,
    list_fp32_ops,
    list_loss_output_functions,
    list_lp16_fp32_ops,
    list_lp16_ops,
    list_lp16_use_fp32_params,
    list_widest_type_cast,
)
from .loss_scaler import LossScaler
from .training import disable, get_loss_scaler, init, init_trainer, scale_loss, unscale

__all__ = ["init", "disable", "init_trainer", "get_loss_scaler", "scale_loss", "unscale", "convert_symbol",
           "convert_model", "convert_bucketing_module", "LossScaler", "list_lp16_ops", "list_fp32_ops",
           "list_lp16_fp32_ops", "list_conditional_fp32_ops", "list_widest_type_cast", "list_loss_output_functions",
           "list_lp16_use_fp32_params"]

__getattr__ = _hinted(__name__)
