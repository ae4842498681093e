"""Philox4x32-10, the counter-based generator behind every random operator (Salmon, Moraes, Dror and Shaw, "Parallel
random numbers: as easy as 1, 2, 3", SC 2011), in NumPy/CuPy terms. ``kernels/philox.h`` is the same in C.

A draw has no state: word ``i`` of random node ``rng_id`` in step ``step`` under ``seed`` is word ``i % 4`` of the block
with counter ``(i // 4, rng_id, step low, step high)`` and key ``(seed low, seed high)``. So any thread, device or
backward pass can produce any part of a draw on its own, and all get the same bits.
"""

MASK = 0xFFFFFFFF
TWO_PI = 6.283185307179586


def philox4x32(xp, counter, key):
    """Ten rounds on the four uint32 arrays (or scalars) `counter` with the two-word `key`: four uint32 arrays."""
    c0, c1, c2, c3 = (xp.asarray(c, dtype="uint32").astype("uint64") for c in counter)
    k0, k1 = int(key[0]), int(key[1])
    low, shift = xp.asarray(MASK, dtype="uint64"), xp.asarray(32, dtype="uint64")
    m0, m1 = xp.asarray(0xD2511F53, dtype="uint64"), xp.asarray(0xCD9E8D57, dtype="uint64")
    for _ in range(10):
        a, b = c0 * m0, c2 * m1
        c0 = (b >> shift) ^ c1 ^ xp.asarray(k0, dtype="uint64")
        c2 = (a >> shift) ^ c3 ^ xp.asarray(k1, dtype="uint64")
        c1, c3 = b & low, a & low
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return [c.astype("uint32") for c in (c0, c1, c2, c3)]


class Philox:
    """The numbers of one random node in one step. Every call starts at element 0: two calls give equal numbers."""

    def __init__(self, xp, seed, step, rng_id=0):
        self.xp, self.seed, self.step, self.rng_id = xp, int(seed), int(step), int(rng_id)

    def bits(self, n):
        """`n` uint32 words."""
        xp = self.xp
        blocks = xp.arange((n + 3) // 4, dtype="uint32")
        counter = (blocks, self.rng_id & MASK, self.step & MASK, self.step >> 32 & MASK)
        words = philox4x32(xp, counter, (self.seed & MASK, self.seed >> 32 & MASK))
        return xp.stack(xp.broadcast_arrays(*words), axis=1).reshape(-1)[:n]

    def block(self, n, plane=0):
        """Four arrays of `n` uint32 words: block i of plane `plane` for element i. A draw that takes as many numbers
        as it must gives each element a block a plane; planes are counters of their own, 256 a node."""
        counter = (self.xp.arange(n, dtype="uint32"), (self.rng_id + (plane << 24)) & MASK, self.step & MASK,
                   self.step >> 32 & MASK)
        words = philox4x32(self.xp, counter, (self.seed & MASK, self.seed >> 32 & MASK))
        return self.xp.broadcast_arrays(*words)

    def at(self, row, n, plane=0):
        """Four arrays of `n` uint32 words: blocks ``row * n`` to ``(row + 1) * n`` of plane `plane`."""
        counter = ((row * n + self.xp.arange(n, dtype="uint64")).astype("uint32"), (self.rng_id + (plane << 24)) & MASK,
                   self.step & MASK, self.step >> 32 & MASK)
        words = philox4x32(self.xp, counter, (self.seed & MASK, self.seed >> 32 & MASK))
        return self.xp.broadcast_arrays(*words)

    def uniform(self, n, dtype="float32"):
        """`n` numbers in [0, 1): the top 24 bits of a word, for float64 the top 53 of two words."""
        if dtype == "float64":
            w = self.bits(2 * n).astype("float64")
            return (self.xp.floor(w[0::2] / 32) * 67108864.0 + self.xp.floor(w[1::2] / 64)) * 2.0 ** -53
        u = (self.bits(n) >> self.xp.asarray(8, dtype="uint32")).astype("float32") * self.xp.float32(2.0 ** -24)
        return u.astype(dtype)

    def normal(self, n, dtype="float32"):
        """`n` standard normal numbers by Box and Muller: each pair of uniforms gives a cosine and a sine."""
        xp, m = self.xp, (n + 1) // 2
        if dtype == "float64":
            u = self.uniform(2 * m, "float64")
            u1, angle = u[0::2] + 2.0 ** -54, u[1::2] * TWO_PI
        else:
            w = self.bits(2 * m)
            u1 = w[0::2].astype("float32") * xp.float32(2.0 ** -32) + xp.float32(2.0 ** -33)
            angle = (w[1::2] >> xp.asarray(8, dtype="uint32")).astype("float32") * xp.float32(2.0 ** -24)
            angle = angle * xp.float32(TWO_PI)
        r = xp.sqrt(-2 * xp.log(u1))
        return xp.stack([r * xp.cos(angle), r * xp.sin(angle)], axis=1).reshape(-1)[:n].astype(dtype)
