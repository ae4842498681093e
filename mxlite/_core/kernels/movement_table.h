/* What the three levels of the movement kernels' inner loops have in common: entry [log2 of the item size]. */
#ifndef MXL_MOVEMENT_TABLE_H
#define MXL_MOVEMENT_TABLE_H
#include <stdint.h>

typedef struct {
    void (*transpose[4])(const void *s, void *d, int64_t rows, int64_t cols, int64_t s_row, int64_t d_row);
    void (*strided[4])(const void *s, void *d, int64_t n0, int64_t n1, int64_t s0, int64_t s1, int64_t d0, int64_t d1);
    void (*mask[4])(const void *c, uint8_t *m, int64_t n, uint64_t bits);
    void (*choose[4])(const uint8_t *m, const void *x, const void *y, void *d, int64_t n);
    void (*rows)(const char *s, char *d, int64_t n, int64_t bytes, int64_t s_row, int64_t d_row, int stream);
} movement_table;

extern const movement_table mxl_movement_base, mxl_movement_avx2, mxl_movement_avx512;
#endif
