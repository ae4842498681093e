/* Element-wise functions of two values a and b: one line an operator, in the form of unary.h.
 *
 *     B(name, class, value, value on integers)
 *
 * Each gives three loops: array with array, array with number, number with array.
 */
#define MXL_BINARY(B) \
B(add, C, a + b, add_i(a, b)) \
B(sub, C, a - b, sub_i(a, b)) \
B(mul, C, a * b, mul_i(a, b)) \
B(div, C, a / b, div_i(a, b)) \
B(mod, R, M(mod)(a, b), mod_i(a, b)) \
B(power, H, M(pow)(a, b), pow_i(a, b)) \
B(maximum, C, a != a || a > b ? a : b, a > b ? a : b) \
B(minimum, C, a != a || a < b ? a : b, a < b ? a : b) \
B(hypot, H, M(hypot)(a, b), mxl_to_i64(hypot((double)a, (double)b))) \
B(equal, C, a == b, a == b) \
B(not_equal, C, a != b, a != b) \
B(greater, C, a > b, a > b) \
B(greater_equal, C, a >= b, a >= b) \
B(lesser, C, a < b, a < b) \
B(lesser_equal, C, a <= b, a <= b) \
B(logical_and, C, (a != 0) & (b != 0), (a != 0) & (b != 0)) \
B(logical_or, C, (a != 0) | (b != 0), (a != 0) | (b != 0)) \
B(logical_xor, C, (a != 0) ^ (b != 0), (a != 0) ^ (b != 0))
