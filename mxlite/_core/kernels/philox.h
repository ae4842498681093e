/* Philox4x32-10 (Salmon, Moraes, Dror and Shaw, SC 2011): block `block` of random node `id` in step `step` under `seed`
 * is four words. Plain C, for NVRTC as well; ops/philox.py is the same in NumPy terms. */
#ifndef MXL_PHILOX_H
#define MXL_PHILOX_H
#ifndef __CUDACC__
#include <stdint.h>
#define PHILOX_FN static inline __attribute__((always_inline))
#else
#define PHILOX_FN __device__ __forceinline__
#endif

#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u

PHILOX_FN void philox_block(uint64_t seed, uint64_t step, uint32_t id, uint32_t block, uint32_t *w0, uint32_t *w1,
                            uint32_t *w2, uint32_t *w3)
{
    uint32_t c0 = block, c1 = id, c2 = (uint32_t)step, c3 = (uint32_t)(step >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#ifdef __CUDACC__
    #pragma unroll
#else
    #pragma GCC unroll 10
#endif
    for (int r = 0; r < 10; r++) {
        uint64_t a = (uint64_t)PHILOX_M0 * c0, b = (uint64_t)PHILOX_M1 * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    *w0 = c0;
    *w1 = c1;
    *w2 = c2;
    *w3 = c3;
}
#endif
