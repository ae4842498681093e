#define VECTOR_BYTES 32
#include "pool.h"

const pool_table mxl_pool_avx2 = {{forward_f32, forward_f64}, {backward_f32, backward_f64},
                                  {upsample_f32, upsample_f64}};
