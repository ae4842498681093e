/* Inner loops of local response normalization; included once a level, with LEVEL and VECTOR_BYTES defined. */
#include "vmath.h"
#include "lrn_table.h"

#define T float
#define I int32_t
#define F(name) name##_f
#include "lrn_real.h"
#undef T
#undef I
#undef F
#define T double
#define I int64_t
#define F(name) name##_d
#include "lrn_real.h"
#undef T
#undef I
#undef F

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
const lrn_table GLUE(mxl_lrn_, LEVEL) = { { lrn_forward_f, lrn_forward_d }, { lrn_backward_f, lrn_backward_d } };
