"""Which operators run in which precision: MXNet 1.9.1's choice, for the operators that there are here.

Names are public ones, aliases included; a graph's operators are looked up by their own name, so an alias in a list that
a user gives says nothing, as in MXNet. Operators in no list run in whatever their inputs have.
"""
from ..._core.dtypes import name_of
from ...ops.record import brief

TARGETS = ("float16", "bfloat16")

# Products: where half precision pays.
LOW_OPS = {"float16": ["Convolution", "Deconvolution", "FullyConnected", "RNN"],
           "bfloat16": ["Convolution", "FullyConnected"]}

# Fine in both: what moves numbers, keeps their size, or computes in float32 inside.
_EITHER = """
    _adamw_update _add _arange _copy _copyto _crop_assign _crop_assign_scalar _CrossDeviceCopy _div_scalar
    _DivScalar _equal_scalar _EqualScalar _eye _full _grad_add _greater_equal_scalar _greater_scalar
    _GreaterEqualScalar _GreaterScalar _histogram _identity_with_attr_like_rhs _lesser_equal_scalar
    _lesser_scalar _LesserEqualScalar _LesserScalar _linspace _logical_and_scalar _logical_or_scalar
    _logical_xor_scalar _LogicalAndScalar _LogicalOrScalar _LogicalXorScalar _maximum_scalar _MaximumScalar
    _minimum_scalar _MinimumScalar _minus_scalar _MinusScalar _mod_scalar _ModScalar _mp_adamw_update
    _mul_scalar _MulScalar _not_equal_scalar _NotEqualScalar _onehot_encode _ones _plus_scalar _PlusScalar
    _random_exponential _random_exponential_like _random_gamma _random_gamma_like
    _random_generalized_negative_binomial _random_generalized_negative_binomial_like _random_negative_binomial
    _random_negative_binomial_like _random_normal _random_normal_like _random_poisson _random_poisson_like
    _random_randint _random_uniform _random_uniform_like _ravel_multi_index _rminus_scalar _RMinusScalar
    _rmod_scalar _RModScalar _sample_exponential _sample_gamma _sample_generalized_negative_binomial
    _sample_multinomial _sample_negative_binomial _sample_normal _sample_poisson _sample_uniform
    _sample_unique_zipfian _scatter_set_nd _shuffle _slice_assign _slice_assign_scalar _split_v2 _unravel_index
    _zeros _zeros_without_dtype abs adam_update all_finite amp_cast amp_multicast arccosh arcsinh arctan argmax
    argmax_channel argmin batch_take BatchNorm BatchNorm_v1 BlockGrad broadcast_axes broadcast_axis
    broadcast_like broadcast_to Cast cast cbrt ceil choose_element_0index clip cos Crop crop degrees
    depth_to_space diag Dropout Embedding erf expand_dims fill_element_0index fix Flatten flatten flip floor
    ftml_update ftrl_update gather_nd hard_sigmoid identity logical_not max max_axis min min_axis
    mp_sgd_mom_update mp_sgd_update multi_all_finite multi_mp_sgd_mom_update multi_mp_sgd_update
    multi_sgd_mom_update multi_sgd_update negative normal one_hot ones_like Pad pad pick Pooling Pooling_v1
    radians random_exponential random_gamma random_generalized_negative_binomial random_negative_binomial
    random_normal random_poisson random_randint random_uniform ravel_multi_index relu repeat Reshape reshape
    reshape_like reverse rint rmsprop_update rmspropalex_update round sample_exponential sample_gamma
    sample_generalized_negative_binomial sample_multinomial sample_negative_binomial sample_normal
    sample_poisson sample_uniform scatter_nd SequenceLast SequenceMask SequenceReverse sgd_mom_update sgd_update
    shape_array shuffle sigmoid sign signsgd_update signum_update sin size_array slice slice_axis slice_like
    SliceChannel softsign sort space_to_depth split sqrt squeeze stop_gradient swapaxes SwapAxis take tanh tile
    transpose trunc uniform unravel_index UpSampling zeros_like
""".split()

# Sums and functions that leave the range of float16.
_FP32 = """
    _Hypot _hypot _hypot_scalar _HypotScalar _linalg_det _linalg_extractdiag _linalg_extracttrian _linalg_gelqf
    _linalg_gemm _linalg_gemm2 _linalg_inverse _linalg_makediag _linalg_maketrian _linalg_potrf _linalg_potri
    _linalg_slogdet _linalg_sumlogdiag _linalg_syevd _linalg_syrk _linalg_trmm _linalg_trsm _Power _power
    _power_scalar _PowerScalar _rdiv_scalar _RDivScalar _rpower_scalar _RPowerScalar arccos arcsin arctanh
    argsort broadcast_hypot broadcast_power Convolution_v1 cosh erfinv exp expm1 gamma gammaln GroupNorm
    IdentityAttachKLSparseReg InstanceNorm khatri_rao L2Normalization LayerNorm linalg_det linalg_extractdiag
    linalg_extracttrian linalg_gelqf linalg_gemm linalg_gemm2 linalg_inverse linalg_makediag linalg_maketrian
    linalg_potrf linalg_potri linalg_slogdet linalg_sumlogdiag linalg_syrk linalg_trmm linalg_trsm
    LinearRegressionOutput log log10 log1p log2 log_softmax LogisticRegressionOutput LRN MAERegressionOutput
    make_loss MakeLoss mean moments nanprod nansum norm prod rcbrt reciprocal rsqrt sinh smooth_l1 Softmax
    softmax softmax_cross_entropy SoftmaxActivation SoftmaxOutput softmin square sum sum_axis SVMOutput tan topk
""".split()

# Several inputs, which need one dtype: the widest among them.
_WIDEST = """
    _Div _div _Equal _equal _Greater _greater _Greater_Equal _greater_equal _Lesser _lesser _Lesser_Equal
    _lesser_equal _Logical_And _logical_and _Logical_Or _logical_or _Logical_Xor _logical_xor _Maximum _maximum
    _Minimum _minimum _Minus _minus _Mod _mod _Mul _mul _Not_Equal _not_equal _Plus _plus _random_pdf_dirichlet
    _random_pdf_exponential _random_pdf_gamma _random_pdf_generalized_negative_binomial
    _random_pdf_negative_binomial _random_pdf_normal _random_pdf_poisson _random_pdf_uniform _sub add_n
    batch_dot broadcast_add broadcast_div broadcast_equal broadcast_greater broadcast_greater_equal
    broadcast_lesser broadcast_lesser_equal broadcast_logical_and broadcast_logical_or broadcast_logical_xor
    broadcast_maximum broadcast_minimum broadcast_minus broadcast_mod broadcast_mul broadcast_not_equal
    broadcast_plus broadcast_sub Concat concat dot ElementWiseSum elemwise_add elemwise_div elemwise_mul
    elemwise_sub random_pdf_dirichlet random_pdf_exponential random_pdf_gamma
    random_pdf_generalized_negative_binomial random_pdf_negative_binomial random_pdf_normal random_pdf_poisson
    random_pdf_uniform stack where
""".split()

# What MXNet's kernels know of bfloat16 is less: all else runs in float32.
_EITHER_BF16 = ("BatchNorm Concat LRN Pooling _add _shuffle abs clip concat relu shuffle sqrt square tanh").split()
_WIDEST_BF16 = [name for name in _WIDEST if name not in ("Concat", "concat", "broadcast_mul")]

EITHER_OPS = {"float16": _EITHER, "bfloat16": _EITHER_BF16}
WIDEST_OPS = {"float16": _WIDEST, "bfloat16": _WIDEST_BF16}
FP32_OPS = {"float16": _FP32, "bfloat16": [
    name for name in LOW_OPS["float16"] + _EITHER + _FP32 + _WIDEST
    if name not in {*LOW_OPS["bfloat16"], *_EITHER_BF16, *_WIDEST_BF16, "amp_cast", "amp_multicast"}]}

# (operator, parameter, its values that make it run in float32)
CONDITIONAL_OPS = [("Activation", "act_type", ["softrelu"]), ("LeakyReLU", "act_type", ["elu", "selu"])]
# Operators that make their own gradients.
LOSSES = ["SoftmaxOutput", "LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput"]
# Operators whose named inputs stay float32 beside data in bfloat16; "" is the data.
FP32_PARAMS = {"bfloat16": {"BatchNorm": ["", "gamma", "beta", "moving_mean", "moving_var"]}}

# Operators whose outputs MXNet calls by name where it names a cast after them (fc_output_amp_cast_float32); it numbers
# those of all others (exp0_0_amp_cast_float32).
NAMED_OUTPUTS = frozenset("""
    Activation BatchNorm BatchNorm_v1 Concat Convolution Convolution_v1 Crop Deconvolution Dropout FullyConnected
    GroupNorm IdentityAttachKLSparseReg InstanceNorm L2Normalization LRN LayerNorm LeakyReLU MakeLoss Pad Pooling
    Pooling_v1 RNN SVMOutput SequenceLast SequenceMask SequenceReverse SliceChannel SoftmaxActivation SoftmaxOutput
    SwapAxis UpSampling col2im elemwise_add im2col make_loss softmax softmin
""".split())


def target(dtype):
    """The name of half-precision `dtype` (a name, or what ``NDArray.dtype`` says). AssertionError for another one."""
    try:
        name = name_of(dtype)
    except Exception:           # what NumPy raises depends on the object
        name = None
    if name not in TARGETS:
        raise AssertionError(f"mixed precision is of float16 or bfloat16 with float32, not of {brief(dtype)}")
    return name


def list_lp16_ops(target_dtype):
    """The operators that run in half precision, `target_dtype` being "float16" or "bfloat16" (as in all that follow;
    AssertionError for another)."""
    return list(LOW_OPS[target(target_dtype)])


def list_fp32_ops(target_dtype):
    """The operators that run in float32."""
    return list(FP32_OPS[target(target_dtype)])


def list_lp16_fp32_ops(target_dtype):
    """The operators that run in either, as their inputs come."""
    return list(EITHER_OPS[target(target_dtype)])


def list_widest_type_cast(target_dtype):
    """The operators that run in the widest dtype of their inputs."""
    return list(WIDEST_OPS[target(target_dtype)])


def list_conditional_fp32_ops(target_dtype):
    """(operator, parameter, values) of operators that run in float32 where the parameter is given one of the values."""
    target(target_dtype)
    return [(op, param, list(values)) for op, param, values in CONDITIONAL_OPS]


def list_loss_output_functions(target_dtype):
    """The operators whose own gradients MXNet scales."""
    target(target_dtype)
    return list(LOSSES)


def list_lp16_use_fp32_params(target_dtype):
    """Operator -> names of its inputs that stay float32; None where there are none, for float16."""
    table = FP32_PARAMS.get(target(target_dtype))
    return None if table is None else {op: list(names) for op, names in table.items()}
