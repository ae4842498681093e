#ifndef MXL_INDEX_TABLE_H
#define MXL_INDEX_TABLE_H
#include <stdint.h>
typedef struct {
    void (*add_f32)(void *d, const void *s, int64_t n);
    void (*add_f64)(void *d, const void *s, int64_t n);
    /* row at[i] of s, of `bytes` bytes, to row i of d */
    void (*gather)(char *d, const char *s, const int64_t *at, int64_t n, int64_t bytes);
} index_table;
extern const index_table mxl_index_base, mxl_index_avx2, mxl_index_avx512;
#endif
