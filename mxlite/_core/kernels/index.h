/* The one loop of the index kernels that needs vector code: a row added to another. Defined by the file: IX_LEVEL. */
#include <stdint.h>
#include "index_table.h"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

#define ADD(t) \
static void add_##t(void *d_, const void *s_, int64_t n) \
{ \
    t *restrict d = d_; \
    const t *restrict s = s_; \
    for (int64_t i = 0; i < n; i++) d[i] += s[i]; \
}
ADD(float)
ADD(double)

const index_table CAT(mxl_index_, IX_LEVEL) = {add_float, add_double};
