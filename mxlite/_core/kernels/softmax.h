/* Inner loops of the softmax kernels; included once a level, with LEVEL and VECTOR_BYTES defined. */
#include "softmax_table.h"
#include "vmath.h"

#define T float
#define I int32_t
#define F(name) name##_f
#include "softmax_real.h"
#undef T
#undef I
#undef F
#define T double
#define I int64_t
#define F(name) name##_d
#include "softmax_real.h"
#undef T
#undef I
#undef F

#define BOTH(name) { name##_f, name##_d }
#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
const softmax_table GLUE(mxl_softmax_, LEVEL) = { {
    BOTH(softmax), BOTH(log_softmax), BOTH(softmax_backward), BOTH(log_softmax_backward),
    BOTH(softmax_output_backward), BOTH(cross_entropy), BOTH(cross_entropy_backward) } };
