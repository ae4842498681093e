// Integers drawn by Philox4x32-10: word i of a draw is the same as on the CPU. `state` is {seed, step} in the device's
// memory.
#include "common.cuh"
#include "philox.h"

// low + [0, span); span 0 stands for 2^64. NARROW: one word a number, multiplied and shifted; else two words a number
// and the remainder.
KERNEL randint(TYPE *y, const uint64_t *state, uint32_t id, int64_t low, uint64_t span, int64_t n)
{
    enum { EACH = NARROW ? 4 : 2 };
    for (int64_t b = THREAD; EACH * b < n; b += THREADS) {
        uint32_t w[4];
        philox_block(state[0], state[1], id, (uint32_t)b, w, w + 1, w + 2, w + 3);
        #pragma unroll
        for (int e = 0; e < EACH; e++) {
            if (EACH * b + e >= n) break;
            uint64_t v;
            if (NARROW) v = (uint64_t)w[e] * span >> 32;
            else {
                v = (uint64_t)w[NARROW ? 0 : 2 * e] << 32 | w[NARROW ? 0 : 2 * e + 1];
                if (span) v %= span;
            }
            y[EACH * b + e] = (TYPE)(int64_t)(v + (uint64_t)low);
        }
    }
}
