/* Inner loops of layer normalization; included once a level, with LEVEL and VECTOR_BYTES defined. */
#include <math.h>
#include "layernorm_table.h"

#define T float
#define I int32_t
#define F(name) name##_f
#include "layernorm_real.h"
#undef T
#undef I
#undef F
#define T double
#define I int64_t
#define F(name) name##_d
#include "layernorm_real.h"
#undef T
#undef I
#undef F

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
const layer_norm_table GLUE(mxl_layernorm_, LEVEL) = {
    { forward_f, forward_d }, { backward_f, backward_d }, { collect_f, collect_d } };
