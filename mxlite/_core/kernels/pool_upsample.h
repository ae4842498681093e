/* Nearest-neighbour upsampling of (N, C, H, W) tensors: every element becomes a square. Each input has its own factor,
 * the output's height over its own. Inputs follow each other along the channels, or are added. */

static inline __attribute__((always_inline)) void F(repeat_row)(T *restrict y, const T *restrict x, int64_t n,
                                                                  int64_t s, const int add)
{
    for (int64_t j = 0; j < n; j++, y += s)
        for (int64_t i = 0; i < s; i++) y[i] = add ? y[i] + x[j] : x[j];
}

static void F(repeat_plane)(T *y, const T *x, const mxl_tensor *t, int64_t s, int add)
{
    const int64_t h = t->shape[2], w = t->shape[3], row = w * s;
    for (int64_t i = 0; i < h; i++, x += w) {
        if (add) {
            for (int64_t k = 0; k < s; k++, y += row) F(repeat_row)(y, x, w, s, 1);
            continue;
        }
        if (s == 2) F(repeat_row)(y, x, w, 2, 0);
        else if (s == 4) F(repeat_row)(y, x, w, 4, 0);
        else F(repeat_row)(y, x, w, s, 0);
        for (int64_t k = 1; k < s; k++) memcpy(y + k * row, y, row * sizeof(T));
        y += s * row;
    }
}

/* Plane t of the output. */
static void F(upsample_plane)(const mxl_call *c, int64_t t, int sum)
{
    const mxl_tensor *o = c->out;
    const int64_t n = t / o->shape[1];
    int64_t ch = t % o->shape[1];
    T *y = (T *)o->data + t * o->shape[2] * o->shape[3];
    for (int i = 0; i < c->n_in; i++) {
        const mxl_tensor *x = c->in + i;
        if (sum || ch < x->shape[1]) {
            const T *from = (const T *)x->data + (n * x->shape[1] + ch) * x->shape[2] * x->shape[3];
            F(repeat_plane)(y, from, x, o->shape[2] / x->shape[2], sum && i);
            if (!sum) return;
        } else {
            ch -= x->shape[1];
        }
    }
}

static void F(upsample)(mxl_runtime *rt, const mxl_call *c, int sum)
{
    const int64_t planes = c->out[0].shape[0] * c->out[0].shape[1];
    const int nt = mxl_enter(rt, c->threads, c->out[0].size * (sum ? c->n_in : 1), MXL_GRAIN);
    if (nt == 1) {
        for (int64_t t = 0; t < planes; t++) F(upsample_plane)(c, t, sum);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 4) num_threads(nt)
        for (int64_t t = 0; t < planes; t++) F(upsample_plane)(c, t, sum);
#endif
    }
    mxl_leave(rt, nt);
}
