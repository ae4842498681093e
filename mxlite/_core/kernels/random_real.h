/* Dropout for one floating type T. The output may be the input. */

/* A word below the threshold drops its element; a threshold of 2^32 drops all, which 32 bits cannot say. */
static inline void F(mask)(const T *x, T *y, const uint32_t *w, int64_t n, uint32_t threshold, T scale)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = w[i] >= threshold ? x[i] * scale : 0;
}

static void F(dropout)(const mxl_call *c, int64_t begin, int64_t end)
{
    const dropout_args *a = c->args;
    const T *x = c->in[0].data;
    T *y = c->out[0].data;
    uint32_t w[RANDOM_TILE];
    for (int64_t t = begin; t < end; t++) {
        int64_t at = t * RANDOM_TILE, n = c->out[0].size - at < RANDOM_TILE ? c->out[0].size - at : RANDOM_TILE;
        words(c, at / 4, (n + 3) / 4, w);
        F(mask)(x + at, y + at, w, n, (uint32_t)a->threshold, (T)a->scale);
    }
}

static void F(dropout_shared)(const mxl_call *c, int64_t begin, int64_t end)
{
    const dropout_args *a = c->args;
    const int64_t *size = &a->size0, *shared = &a->shared0;
    int64_t last = a->ndim - 1, run = size[last], stride[8];
    uint32_t w[RANDOM_TILE + 8];
    for (int64_t i = last, s = 1; i >= 0; i--) {
        stride[i] = shared[i] ? 0 : s;
        s *= shared[i] ? 1 : size[i];
    }
    for (int64_t u = begin; u < end; u++) {
        int64_t at = 0, left = u;
        for (int64_t i = last - 1; i >= 0; i--) {
            at += left % size[i] * stride[i];
            left /= size[i];
        }
        const T *x = (const T *)c->in[0].data + u * run;
        T *y = (T *)c->out[0].data + u * run;
        if (shared[last]) {
            T factor = *words_at(c, at, 1, w) >= (uint32_t)a->threshold ? (T)a->scale : 0;
            if (factor == 0) memset(y, 0, (size_t)run * sizeof(T));
            else {
                INDEPENDENT
                for (int64_t i = 0; i < run; i++) y[i] = x[i] * factor;
            }
        } else {
            for (int64_t i = 0; i < run; i += RANDOM_TILE) {
                int64_t n = run - i < RANDOM_TILE ? run - i : RANDOM_TILE;
                F(mask)(x + i, y + i, words_at(c, at + i, n, w), n, (uint32_t)a->threshold, (T)a->scale);
            }
        }
    }
}
