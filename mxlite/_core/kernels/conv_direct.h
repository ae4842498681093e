/* The data's gradient for groups of very few channels, and for steps that tiles do not know: directly, row by row. */

/* Output columns lo..hi of a row whose tap falls inside the input: 0 <= ow * stride + at < size. */
INLINE void ENG(inside)(int64_t at, int64_t stride, int64_t size, int64_t out, int64_t *lo, int64_t *hi)
{
    *lo = at < 0 ? ceil_div(-at, stride) : 0;
    *hi = at >= size ? 0 : least(out, (size - 1 - at) / stride + 1);
    if (*hi < *lo) *hi = *lo;
}

#ifndef MXL_CONV_RESIDUE
#define MXL_CONV_RESIDUE
/* The taps along one axis that reach a position: those where `at` (position + pad) minus tap * dilate is a multiple of
 * the stride. They are `step` apart, and see outputs `back` apart, the first one output `out`. */
typedef struct { int64_t first, step, out, back; } residue;

static inline residue residue_step(int64_t stride, int64_t dilate, int64_t kernel)
{
    residue r = {0, 1, 0, 0};
    while (r.step < kernel && r.step * dilate % stride) r.step++;
    r.back = r.step * dilate / stride;
    return r;
}

static inline void residue_at(residue *r, int64_t at, int64_t stride, int64_t dilate, int64_t kernel)
{
    for (r->first = 0; r->first < r->step && r->first < kernel; r->first++)
        if ((at - r->first * dilate) % stride == 0) {
            r->out = (at - r->first * dilate) / stride;
            return;
        }
    r->first = kernel;
}
#endif

/* One plane of the data's gradient, or of a Deconvolution with a bias. Of a row, the positions that the stride leaves
 * the same remainder (a phase) see the same taps, and neighbours of them see neighbours in dy: two vectors of them are
 * summed in registers over all taps. */
static void ENG(direct_dgrad)(const mxl_call *c, const conv_args *g, int64_t t)
{
    enum { PHASES = 16 };
    const int64_t ch = t % g->channels, n = t / g->channels, per = g->channels / g->groups;
    const int64_t many = g->filters / g->groups, group = ch / per, out = g->dst[0] * g->dst[1] * g->dst[2];
    const int64_t taps = g->kernel[0] * g->kernel[1] * g->kernel[2], sw = g->stride[2], ow = g->dst[2];
    const REAL *dy0 = (const REAL *)c->in[0].data + (n * g->filters + group * many) * out;
    const REAL *w0 = (const REAL *)c->in[1].data + (group * many * per + ch % per) * taps;
    const REAL bias = g->bias ? ((const REAL *)CONV_BIAS(c, g))[ch] : 0;
    REAL *dx = (REAL *)c->out[0].data + t * g->src[0] * g->src[1] * g->src[2];
    residue rz = residue_step(g->stride[0], g->dilate[0], g->kernel[0]);
    residue ry = residue_step(g->stride[1], g->dilate[1], g->kernel[1]);
    residue rx = residue_step(sw, g->dilate[2], g->kernel[2]), known[PHASES];
    for (int64_t i = 0; i < least(sw, PHASES); i++) {
        known[i] = rx;
        residue_at(known + i, i + g->pad[2], sw, g->dilate[2], g->kernel[2]);
    }
    for (int64_t z = 0; z < g->src[0]; z++) for (int64_t y = 0; y < g->src[1]; y++, dx += g->src[2]) {
        residue_at(&rz, z + g->pad[0], g->stride[0], g->dilate[0], g->kernel[0]);
        residue_at(&ry, y + g->pad[1], g->stride[1], g->dilate[1], g->kernel[1]);
        for (int64_t phase = 0; phase < least(sw, g->src[2]); phase++) {
            if (phase < PHASES) rx = known[phase];
            else residue_at(&rx, phase + g->pad[2], sw, g->dilate[2], g->kernel[2]);
            const int64_t count = (g->src[2] - 1 - phase) / sw + 1;
            for (int64_t i0 = 0; i0 < count; i0 += 2 * VL) {
                const int two = count - i0 > VL;
                ENG(vec) v0 = {0}, v1 = {0};
                for (int64_t f = 0; f < many; f++)
                for (int64_t a = rz.first, od = rz.out; a < g->kernel[0]; a += rz.step, od -= rz.back) {
                    if (od < 0 || od >= g->dst[0]) continue;
                    for (int64_t b = ry.first, oh = ry.out; b < g->kernel[1]; b += ry.step, oh -= ry.back) {
                        if (oh < 0 || oh >= g->dst[1]) continue;
                        const REAL *w = w0 + f * per * taps + (a * g->kernel[1] + b) * g->kernel[2];
                        const REAL *row = dy0 + f * out + (od * g->dst[1] + oh) * ow;
                        int64_t from = rx.out + i0;
                        for (int64_t k = rx.first; k < g->kernel[2]; k += rx.step, from -= rx.back) {
                            const REAL *p = row + from;
                            if (from >= 0 && from + 2 * VL <= ow) {
                                v0 += w[k] * LOAD(p);
                                v1 += w[k] * LOAD(p + VL);
                                continue;
                            }
                            const int lo = (int)least(2 * VL, most(0, -from));
                            const int hi = (int)most(0, least(2 * VL, ow - from));
                            v0 += w[k] * ENG(load_part)(p, lo, hi < VL ? hi : VL);
                            if (two) v1 += w[k] * ENG(load_part)(p + VL, lo > VL ? lo - VL : 0, hi - VL);
                        }
                    }
                }
                const int len = (int)least(2 * VL, count - i0);
                REAL sums[2 * VL], *to = dx + i0 * sw + phase;
                STORE(sums, v0 + bias);
                STORE(sums + VL, v1 + bias);
                if (sw == 1) memcpy(to, sums, len * sizeof(REAL));
                else if (sw == 2) for (int j = 0; j < len; j++) to[2 * j] = sums[j];
                else for (int j = 0; j < len; j++) to[sw * j] = sums[j];
            }
        }
    }
}

static void ENG(each)(void (*fn)(const mxl_call *, const conv_args *, int64_t), mxl_runtime *rt, const mxl_call *c,
                      const conv_args *g, int64_t tasks)
{
    const int64_t work = g->batch * g->filters * g->dst[0] * g->dst[1] * g->dst[2] * (g->channels / g->groups)
                         * g->kernel[0] * g->kernel[1] * g->kernel[2];
    const int nt = mxl_enter(rt, c->threads, work, 2 * MXL_GRAIN);
    if (nt == 1) {
        for (int64_t t = 0; t < tasks; t++) fn(c, g, t);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 4) num_threads(nt)
        for (int64_t t = 0; t < tasks; t++) fn(c, g, t);
#endif
    }
    mxl_leave(rt, nt);
}
