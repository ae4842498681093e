#ifndef MXL_INDEX_TABLE_H
#define MXL_INDEX_TABLE_H
#include <stdint.h>
typedef struct {
    void (*add_f32)(void *d, const void *s, int64_t n);
    void (*add_f64)(void *d, const void *s, int64_t n);
} index_table;
extern const index_table mxl_index_base, mxl_index_avx2, mxl_index_avx512;
#endif
