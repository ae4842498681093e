/* Inner loops of batch normalization; included once a level, with LEVEL and VECTOR_BYTES defined. */
#include <math.h>
#include "norm_table.h"

#define T float
#define I int32_t
#define F(name) name##_f
#include "norm_real.h"
#undef T
#undef I
#undef F
#define T double
#define I int64_t
#define F(name) name##_d
#include "norm_real.h"
#undef T
#undef I
#undef F

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
const norm_table GLUE(mxl_norm_, LEVEL) = { { forward_f, forward_d }, { backward_f, backward_d } };
