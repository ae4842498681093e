/* Inner loops of the loss layers' kernels; included once a level, with LEVEL and VECTOR_BYTES defined. */
#include "loss_table.h"
#include "vmath.h"

#define T float
#define I int32_t
#define F(name) name##_f
#include "loss_real.h"
#undef T
#undef I
#undef F
#define T double
#define I int64_t
#define F(name) name##_d
#include "loss_real.h"
#undef T
#undef I
#undef F

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
const loss_table GLUE(mxl_loss_, LEVEL) = {
    { sigmoid_range_f, sigmoid_range_d }, { difference_f, difference_d }, { sign_difference_f, sign_difference_d },
    { fill_f, fill_d } };
