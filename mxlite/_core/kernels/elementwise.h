/* The loops of one instruction-set level; included by elementwise_<level>.c with LEVEL and, for the baseline, BASE set.
 *
 * Classes (see unary.h) decide what a level holds: DEF_<class>_<type> expands to the loop or to nothing, PTR_ likewise.
 */
#include "vmath.h"
#include "elementwise_loop.h"
#include "elementwise_ops.h"

#define SCALARS(T) const T s0 = s_[0], s1 = s_[1], s2 = s_[2]; (void)s0; (void)s1; (void)s2;
#define VALUE(LOOP, T, P, name, e) \
    LOOP(T, P##u_##name, 0, SCALARS(T), const T x = p_[k]; (void)x;, e)
#define GRADIENT(LOOP, T, P, name, e) \
    LOOP(T, P##g_##name, 1, SCALARS(T), \
         const T dy = p_[k]; const T x = q_[k]; const T y = x; (void)dy; (void)x; (void)y;, e)
#define PAIR(LOOP, T, P, name, e) \
    LOOP(T, P##b_##name, 1, , const T a = p_[k]; const T b = q_[k];, e) \
    LOOP(T, P##bvs_##name, 0, const T b = s_[0];, const T a = p_[k];, e) \
    LOOP(T, P##bsv_##name, 0, const T a = s_[0];, const T b = p_[k];, e)

#define NOTHING(...)
#define ABSENT(...) 0
#define REFER(symbol) symbol
/* IN_<type>_<class>(what, otherwise): is this class built for this type at this level? */
#define IN_f32_C(yes, no) yes
#define IN_f64_C(yes, no) yes
#define IN_f32_H(yes, no) yes
#define IN_f32_F(yes, no) yes
#define IN_f32_N(yes, no) no
#define IN_f64_N(yes, no) no
#define IN_i64_C(yes, no) yes
#define IN_i64_N(yes, no) no
#ifdef BASE
#define IN_f64_H(yes, no) yes
#define IN_f64_F(yes, no) yes
#define IN_f32_R(yes, no) yes
#define IN_f64_R(yes, no) yes
#else
#define IN_f64_H(yes, no) no
#define IN_f64_F(yes, no) no
#define IN_f32_R(yes, no) no
#define IN_f64_R(yes, no) no
#endif
#define LOOP_f32_C LOOP_VECTOR
#define LOOP_f32_H LOOP_VECTOR
#define LOOP_f32_F LOOP_FAR
#define LOOP_f32_R LOOP_PLAIN
#define LOOP_f64_C LOOP_VECTOR
#define LOOP_f64_H LOOP_PLAIN
#define LOOP_f64_F LOOP_PLAIN
#define LOOP_f64_R LOOP_PLAIN

#define K(c) ((float)(c))
#define M(f) f##_f
#define U(name, ns, cls, value, bcls, gradient) \
    IN_f32_##cls(VALUE, NOTHING)(LOOP_f32_##cls, float, f32, name, value) \
    IN_f32_##bcls(GRADIENT, NOTHING)(LOOP_f32_##bcls, float, f32, name, gradient)
MXL_UNARY(U)
#undef U
#define B(name, cls, value, whole) IN_f32_##cls(PAIR, NOTHING)(LOOP_f32_##cls, float, f32, name, value)
MXL_BINARY(B)
#undef B
#undef K
#undef M

#define K(c) (c)
#define M(f) f##_d
#define U(name, ns, cls, value, bcls, gradient) \
    IN_f64_##cls(VALUE, NOTHING)(LOOP_f64_##cls, double, f64, name, value) \
    IN_f64_##bcls(GRADIENT, NOTHING)(LOOP_f64_##bcls, double, f64, name, gradient)
MXL_UNARY(U)
#undef U
#define B(name, cls, value, whole) IN_f64_##cls(PAIR, NOTHING)(LOOP_f64_##cls, double, f64, name, value)
MXL_BINARY(B)
#undef B
#undef K
#undef M

#define PAIR_ROW(P, T, name) [MXL_B_##name] = P##b_##name, [MXL_BVS_##name] = P##bvs_##name, \
    [MXL_BSV_##name] = P##bsv_##name,
#define U_ROW(P, T, name) [MXL_U_##name] = P##u_##name,
#define G_ROW(P, T, name) [MXL_G_##name] = P##g_##name,
#define TABLE_NAME_(level) mxl_elementwise_##level
#define TABLE_NAME(level) TABLE_NAME_(level)
const mxl_elementwise_table TABLE_NAME(LEVEL) = {
    .load_f32 = mxl_load_f32, .load_f64 = mxl_load_f64, .load_i64 = mxl_load_i64,
    .store_f32 = mxl_store_f32, .store_f64 = mxl_store_f64, .store_i64 = mxl_store_i64,
    .stream = stream_copy,
    .f32 = {
#define U(name, ns, cls, value, bcls, gradient) IN_f32_##cls(U_ROW, NOTHING)(f32, f32, name) \
    IN_f32_##bcls(G_ROW, NOTHING)(f32, f32, name)
#define B(name, cls, value, whole) IN_f32_##cls(PAIR_ROW, NOTHING)(f32, f32, name)
        MXL_UNARY(U) MXL_BINARY(B)
#undef U
#undef B
    },
    .f64 = {
#define U(name, ns, cls, value, bcls, gradient) IN_f64_##cls(U_ROW, NOTHING)(f64, f64, name) \
    IN_f64_##bcls(G_ROW, NOTHING)(f64, f64, name)
#define B(name, cls, value, whole) IN_f64_##cls(PAIR_ROW, NOTHING)(f64, f64, name)
        MXL_UNARY(U) MXL_BINARY(B)
#undef U
#undef B
    },
};

#ifdef BASE
#define U(name, ns, cls, value, bcls, gradient) \
    IN_i64_##cls(VALUE, NOTHING)(LOOP_PLAIN, int64_t, i64, name, value) \
    IN_i64_##bcls(GRADIENT, NOTHING)(LOOP_PLAIN, int64_t, i64, name, gradient)
MXL_INTEGER_UNARY(U)
#undef U
#define B(name, cls, value, whole) PAIR(LOOP_PLAIN, int64_t, i64, name, whole)
MXL_BINARY(B)
#undef B
const mxl_loop_i64 mxl_elementwise_i64[MXL_ELEMENTWISE_LOOPS] = {
#define U(name, ns, cls, value, bcls, gradient) IN_i64_##cls(U_ROW, NOTHING)(i64, i64, name) \
    IN_i64_##bcls(G_ROW, NOTHING)(i64, i64, name)
#define B(name, cls, value, whole) PAIR_ROW(i64, i64, name)
    MXL_INTEGER_UNARY(U) MXL_BINARY(B)
#undef U
#undef B
};
#endif
