/* Element-wise functions of one array: one line an operator.
 *
 *     U(name, scalars, class, value, class of backward, gradient)
 *
 * `value` is an expression of x and of as many scalars s0, s1, s2. `gradient` is one of dy, of s0.., and what backward
 * keeps, which it calls x or y as the record says. M(f) is the function f at the type at hand, K(c) a constant of it.
 * Classes: C cheap arithmetic, built for float and double at every instruction-set level; H vector code for float,
 * built for float at every level; F the same with a way out for arguments too large for it; R rare, built once. N: no
 * such kernel. MXL_INTEGER_UNARY says which are exact on
 * integers, in the same form; other functions of integers are computed in double.
 */
#define TWO_OVER_ROOT_PI K(1.1283791670955126)
#define SELU_ALPHA K(1.6732632423543772)
#define SELU_LAMBDA K(1.0507009873554805)
#define MXL_UNARY(U) \
U(_copy, 0, C, x, N, 0) \
U(zeros_like, 0, C, 0, N, 0) \
U(ones_like, 0, C, 1, N, 0) \
U(_where_number, 0, N, 0, C, x == x ? dy : 0) \
U(relu, 0, C, x <= 0 ? 0 : x, C, y > 0 ? dy : y != y ? y : 0) \
U(sigmoid, 0, H, M(sigmoid)(x), C, dy * (y * (1 - y))) \
U(softsign, 0, C, x / (1 + M(abs)(x)), C, dy / ((1 + M(abs)(x)) * (1 + M(abs)(x)))) \
U(_softrelu, 0, H, M(softrelu)(x), H, dy * -M(expm1)(-y)) \
U(tanh, 0, H, M(tanh)(x), C, dy * (1 - y * y)) \
U(hard_sigmoid, 2, C, s0 * x + s1 < 0 ? 0 : s0 * x + s1 > 1 ? 1 : s0 * x + s1, \
  C, s0 * x + s1 > 0 && s0 * x + s1 < 1 ? dy * s0 : 0) \
U(erf, 0, H, M(erf)(x), H, dy * (TWO_OVER_ROOT_PI * M(exp)(-(x * x)))) \
U(erfinv, 0, R, M(erfinv)(x), H, dy * (M(exp)(y * y) / TWO_OVER_ROOT_PI)) \
U(exp, 0, H, M(exp)(x), C, dy * y) \
U(expm1, 0, H, M(expm1)(x), C, dy * (y + 1)) \
U(log, 0, H, M(log)(x), C, dy / x) \
U(log2, 0, H, M(log2)(x), C, dy / (x * K(0.6931471805599453))) \
U(log10, 0, H, M(log10)(x), C, dy / (x * K(2.302585092994046))) \
U(log1p, 0, H, M(log1p)(x), C, dy / (1 + x)) \
U(sin, 0, F, M(sin)(x), F, dy * M(cos)(x)) \
U(cos, 0, F, M(cos)(x), F, dy * -M(sin)(x)) \
U(tan, 0, F, M(tan)(x), C, dy * (1 + y * y)) \
U(arcsin, 0, H, M(asin)(x), C, dy / M(sqrt)(1 - x * x)) \
U(arccos, 0, H, M(acos)(x), C, -dy / M(sqrt)(1 - x * x)) \
U(arctan, 0, H, M(atan)(x), C, dy / (1 + x * x)) \
U(sinh, 0, H, M(sinh)(x), H, dy * M(cosh)(x)) \
U(cosh, 0, H, M(cosh)(x), H, dy * M(sinh)(x)) \
U(arcsinh, 0, H, M(asinh)(x), H, dy / M(hypot)(x, 1)) \
U(arccosh, 0, H, M(acosh)(x), C, dy / M(sqrt)(x * x - 1)) \
U(arctanh, 0, H, M(atanh)(x), C, dy / (1 - x * x)) \
U(sqrt, 0, C, M(sqrt)(x), C, dy * (K(0.5) / y)) \
U(rsqrt, 0, C, 1 / M(sqrt)(x), C, dy * (K(-0.5) / (x * M(sqrt)(x)))) \
U(cbrt, 0, H, M(cbrt)(x), C, dy / (3 * y * y)) \
U(rcbrt, 0, H, 1 / M(cbrt)(x), H, dy * (-1 / (3 * x * M(cbrt)(x)))) \
U(square, 0, C, x * x, C, dy * (2 * x)) \
U(reciprocal, 0, C, 1 / x, C, dy * (-1 / (x * x))) \
U(gamma, 0, R, M(gamma)(x), R, dy * (M(gamma)(x) * M(digamma)(x))) \
U(gammaln, 0, R, M(gammaln)(x), R, dy * M(digamma)(x)) \
U(_digamma, 0, R, M(digamma)(x), R, dy * M(trigamma)(x)) \
U(_trigamma, 0, R, M(trigamma)(x), N, 0) \
U(abs, 0, C, M(abs)(x), C, dy * M(sign)(x)) \
U(sign, 0, C, M(sign)(x), N, 0) \
U(ceil, 0, C, M(ceil)(x), N, 0) \
U(floor, 0, C, M(floor)(x), N, 0) \
U(trunc, 0, C, M(trunc)(x), N, 0) \
U(fix, 0, C, M(trunc)(x), N, 0) \
U(round, 0, C, M(round)(x), N, 0) \
U(rint, 0, C, M(rint)(x), N, 0) \
U(logical_not, 0, C, x == 0, N, 0) \
U(negative, 0, C, -x, N, 0) \
U(degrees, 0, C, x * K(57.29577951308232), N, 0) \
U(radians, 0, C, x * K(0.017453292519943295), N, 0) \
U(clip, 2, C, x > s1 ? s1 : x < s0 ? s0 : x, C, x < s0 || x > s1 ? 0 : dy) \
U(smooth_l1, 1, C, M(abs)(x) > 1 / (s0 * s0) ? M(abs)(x) - K(0.5) / (s0 * s0) : K(0.5) * (s0 * x) * (s0 * x), \
  C, dy * (M(abs)(x) > 1 / (s0 * s0) ? M(sign)(x) : s0 * s0 * x)) \
U(_leaky, 3, C, x > 0 ? x : s0 * x, C, x > 0 ? dy : s0 * dy) \
U(_rrelu, 3, C, x > 0 ? x : K(0.5) * (s1 + s2) * x, C, x > 0 ? dy : K(0.5) * (s1 + s2) * dy) \
U(_elu, 3, H, x > 0 ? x : s0 * M(expm1)(x), H, x > 0 ? dy : dy * (s0 * M(exp)(x))) \
U(_selu, 3, H, x > 0 ? SELU_LAMBDA * x : SELU_LAMBDA * SELU_ALPHA * M(expm1)(x), \
  H, x > 0 ? SELU_LAMBDA * dy : dy * (SELU_LAMBDA * SELU_ALPHA * M(exp)(x))) \
U(_gelu, 3, H, x * (K(0.5) * (1 + M(erf)(x * K(0.7071067811865476)))), \
  H, dy * (K(0.5) * (1 + M(erf)(x * K(0.7071067811865476))) + x * K(0.3989422804014327) * M(exp)(K(-0.5) * x * x))) \
U(rdiv_scalar, 1, N, 0, C, -dy * s0 / (x * x)) \
U(rmod_scalar, 1, N, 0, C, dy * -M(floor)(s0 / x)) \
U(power_scalar, 1, N, 0, H, dy * (s0 * M(pow)(x, s0 - 1))) \
U(rpower_scalar, 1, N, 0, C, dy * (y * s1)) \
U(maximum_scalar, 1, N, 0, C, x >= s0 ? dy : 0) \
U(minimum_scalar, 1, N, 0, C, x <= s0 ? dy : 0) \
U(hypot_scalar, 1, N, 0, H, dy * (x / M(hypot)(x, s0)))

#define MXL_INTEGER_UNARY(U) \
U(_copy, 0, C, x, N, 0) \
U(zeros_like, 0, C, 0, N, 0) \
U(ones_like, 0, C, 1, N, 0) \
U(_where_number, 0, N, 0, C, dy) \
U(relu, 0, C, x > 0 ? x : 0, C, y > 0 ? dy : 0) \
U(square, 0, C, mul_i(x, x), C, mul_i(dy, mul_i(2, x))) \
U(abs, 0, C, x < 0 ? sub_i(0, x) : x, C, x > 0 ? dy : x < 0 ? sub_i(0, dy) : 0) \
U(sign, 0, C, (x > 0) - (x < 0), N, 0) \
U(ceil, 0, C, x, N, 0) \
U(floor, 0, C, x, N, 0) \
U(trunc, 0, C, x, N, 0) \
U(fix, 0, C, x, N, 0) \
U(round, 0, C, x, N, 0) \
U(rint, 0, C, x, N, 0) \
U(logical_not, 0, C, x == 0, N, 0) \
U(negative, 0, C, sub_i(0, x), N, 0) \
U(clip, 2, C, x > s1 ? s1 : x < s0 ? s0 : x, C, x < s0 || x > s1 ? 0 : dy)
