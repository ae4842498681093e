/* im2col and col2im: what every tap of a window sees, a row of the result for each (channel, tap), and back again.
 * There `filters` and `groups` of the arguments are 1; a task is one plane of the image.
 *
 * And a convolution's data gradient for a few channels (a Deconvolution to few filters), by way of columns: a matrix
 * product makes them from plain pixels, where packing panels of taps for so few rows would cost more than the
 * product. */

/* For every tap, and every row of windows of it that lies inside the image: the code, with the windows lo..hi of the
 * row that see an element, `at` the place of window 0's, `q` the image's row, `cols` the row of the columns. */
#define FOR_EACH_ROW_OF_COLUMNS(...) \
    for (int64_t a = 0; a < g->kernel[0]; a++) for (int64_t b = 0; b < g->kernel[1]; b++) \
    for (int64_t k = 0; k < g->kernel[2]; k++) { \
        const int64_t at = k * g->dilate[2] - g->pad[2]; \
        int64_t first, last; \
        ENG(inside)(at, sw, g->src[2], ow, &first, &last); \
        for (int64_t od = 0; od < g->dst[0]; od++) for (int64_t oh = 0; oh < g->dst[1]; oh++, cols += ow) { \
            const int64_t z = od * g->stride[0] - g->pad[0] + a * g->dilate[0]; \
            const int64_t r = oh * g->stride[1] - g->pad[1] + b * g->dilate[1], q = (z * g->src[1] + r) * g->src[2]; \
            const int sees = z >= 0 && z < g->src[0] && r >= 0 && r < g->src[1]; \
            const int64_t lo = sees ? first : 0, hi = sees ? last : 0; \
            __VA_ARGS__ \
        } \
    }

static void ENG(plane_to_columns)(const mxl_call *c, const conv_args *g, int64_t t)
{
    const int64_t taps = g->kernel[0] * g->kernel[1] * g->kernel[2], ow = g->dst[2], sw = g->stride[2];
    const REAL *x = (const REAL *)c->in[0].data + t * g->src[0] * g->src[1] * g->src[2];
    REAL *cols = (REAL *)c->out[0].data + t * taps * g->dst[0] * g->dst[1] * ow;
    FOR_EACH_ROW_OF_COLUMNS({
        const REAL *row = x + q + at;
        for (int64_t j = 0; j < lo; j++) cols[j] = 0;
        if (sw == 1) for (int64_t j = lo; j < hi; j++) cols[j] = row[j];
        else for (int64_t j = lo; j < hi; j++) cols[j] = row[j * sw];
        for (int64_t j = hi; j < ow; j++) cols[j] = 0;
    })
}

/* A plane from its columns and one value more, where windows are next to each other: a vector of positions takes what
 * reaches it from all of them, and is stored once. */
static void ENG(gather_columns)(const conv_args *g, const REAL *cols, REAL *x, REAL more)
{
    const int64_t ow = g->dst[2], pixels = g->dst[0] * g->dst[1] * ow;
    for (int64_t z = 0; z < g->src[0]; z++) for (int64_t y = 0; y < g->src[1]; y++, x += g->src[2])
        for (int64_t j = 0; j < g->src[2]; j += VL) {
            ENG(vec) v = more - (ENG(vec)){0};
            const int64_t left = j + g->pad[2];
            for (int64_t a = 0; a < g->kernel[0]; a++) for (int64_t b = 0; b < g->kernel[1]; b++) {
                const int64_t od = z + g->pad[0] - a * g->dilate[0], oh = y + g->pad[1] - b * g->dilate[1];
                const int64_t d = od / g->stride[0], h = oh / g->stride[1];
                if (od < 0 || oh < 0 || d >= g->dst[0] || h >= g->dst[1]) continue;
                if (d * g->stride[0] != od || h * g->stride[1] != oh) continue;
                const REAL *p = cols + (a * g->kernel[1] + b) * g->kernel[2] * pixels + (d * g->dst[1] + h) * ow + left;
                for (int64_t k = 0, at = left; k < g->kernel[2]; k++, at -= g->dilate[2])
                    v += ENG(window)(p + k * pixels - k * g->dilate[2], -at, ow - at);
            }
            ENG(store_part)(x + j, v, (int)least(VL, g->src[2] - j));
        }
}

/* A plane from its columns and one value more. */
static void ENG(add_columns)(const conv_args *g, const REAL *cols, REAL *x, REAL more)
{
    const int64_t ow = g->dst[2], sw = g->stride[2], size = g->src[0] * g->src[1] * g->src[2];
    if (sw == 1) {
        ENG(gather_columns)(g, cols, x, more);
        return;
    }
    if (more == 0) memset(x, 0, size * sizeof(REAL));
    else for (int64_t i = 0; i < size; i++) x[i] = more;
    FOR_EACH_ROW_OF_COLUMNS({
        REAL *row = x + q + at;
        if (sw == 2) for (int64_t j = lo; j < hi; j++) row[2 * j] += cols[j];
        else for (int64_t j = lo; j < hi; j++) row[j * sw] += cols[j];
    })
}

static void ENG(columns_to_plane)(const mxl_call *c, const conv_args *g, int64_t t)
{
    const int64_t taps = g->kernel[0] * g->kernel[1] * g->kernel[2], in = g->src[0] * g->src[1] * g->src[2];
    ENG(add_columns)(g, (const REAL *)c->in[0].data + t * taps * g->dst[0] * g->dst[1] * g->dst[2],
                     (REAL *)c->out[0].data + t * in, 0);
}

static void ENG(im2col)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    ENG(each)(ENG(plane_to_columns), rt, c, g, g->batch * g->channels);
}

static void ENG(col2im)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    ENG(each)(ENG(columns_to_plane), rt, c, g, g->batch * g->channels);
}
#undef FOR_EACH_ROW_OF_COLUMNS

#ifndef MXL_CONV_THIN
#define MXL_CONV_THIN
enum { THIN_CHANNELS = 4, THIN_FILTERS = 16, COLUMNS_BYTES = 1 << 20,
       COLUMNS_SHARE = 1 << 18 };       /* of a bunch of images; ops/conv.py: the same numbers */
#endif

static int64_t ENG(columns_of_image)(const conv_args *g)
{
    return g->channels * g->kernel[0] * g->kernel[1] * g->kernel[2] * g->dst[0] * g->dst[1] * g->dst[2];
}

static int ENG(is_thin)(const conv_args *g)
{
    /* with little padding a product over the positions multiplies a rim of zeros: here half as much again, or more */
    const int64_t all = g->src[0] * g->src[1] * g->src[2] * 2 / 3 / g->stride[0] / g->stride[1] / g->stride[2];
    const int rim = all >= g->dst[0] * g->dst[1] * g->dst[2];
    return (g->channels / g->groups <= THIN_CHANNELS || rim) && g->filters / g->groups >= THIN_FILTERS
           && ENG(columns_of_image)(g) <= COLUMNS_BYTES / (int64_t)sizeof(REAL);
}

/* W'(channel x tap, filter): rows of it lie side by side. */
static void ENG(a_columns)(const ENG(job) *d, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    const REAL *p = d->a + b * d->a_batch + k0 * d->lda + m0;
    for (int k = 0; k < kc; k++, dst += MR, p += d->lda)
        for (int i = 0; i < MR; i++) dst[i] = i < rows ? p[i] : 0;
}

/* Images n0 .. n0 + images through `cols`, on `threads` threads. */
static void ENG(thin_images)(mxl_runtime *rt, const mxl_call *c, const conv_args *g, const REAL *packed, char *work,
                             int64_t n0, int64_t images, int threads)
{
    const int64_t f = g->filters / g->groups, taps = g->kernel[0] * g->kernel[1] * g->kernel[2];
    const int64_t rows = g->channels / g->groups * taps, image = ENG(columns_of_image)(g);
    const int64_t in = g->src[0] * g->src[1] * g->src[2], pixels = g->dst[0] * g->dst[1] * g->dst[2];
    const int64_t planes = images * g->channels;
    const REAL *bias = CONV_BIAS(c, g);
    REAL *cols = (REAL *)work, *dx = (REAL *)c->out[0].data + n0 * g->channels * in;
    ENG(conv_ctx) x = {.src = (const REAL *)c->in[0].data + n0 * g->filters * pixels, .group = f * pixels, .g = g,
                       .out_image = image};
    x.v.cs = pixels;
    x.v.is = g->filters * pixels;
    for (int i = 0; i < 3; i++) x.v.src[i] = x.v.out[i] = g->dst[i], x.v.step[i] = x.v.taps[i] = 1;
    view_finish(&x.v, 1);
    ENG(job) d = {.m = rows, .n = images * pixels, .k = f, .batch = g->groups, .packed_a = packed,
                  .pack_b = ENG(b_pixels), .place = ENG(place_pixels), .c = cols, .ldc = pixels,
                  .c_batch = rows * pixels, .ctx = &x,
                  .work = work + ceil_to(images * image * (int64_t)sizeof(REAL), 64)};
    ENG(run)(&d, rt, threads);
    const int nt = mxl_enter(rt, threads, planes * (image / g->channels + in), MXL_GRAIN);
#define ADD_PLANE(t) ENG(add_columns)(g, cols + (t) * (image / g->channels), dx + (t) * in, \
                                      bias ? bias[(t) % g->channels] : 0)
    if (nt == 1) {
        for (int64_t t = 0; t < planes; t++) ADD_PLANE(t);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(nt)
        for (int64_t t = 0; t < planes; t++) ADD_PLANE(t);
#endif
    }
#undef ADD_PLANE
    mxl_leave(rt, nt);
}

/* A few images at a time, each by one thread: what the product makes is gathered while it is in that one's cache. */
static void ENG(thin_dgrad)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    const int64_t f = g->filters / g->groups, image = ENG(columns_of_image)(g);
    const int64_t rows = g->channels / g->groups * g->kernel[0] * g->kernel[1] * g->kernel[2];
    const int64_t images = most(1, COLUMNS_SHARE / (int64_t)sizeof(REAL) / most(image, 1));
    const int64_t bunches = ceil_div(g->batch, images);
    ENG(job) d = {.m = rows, .n = 1, .k = f, .batch = g->groups, .pack_a = ENG(a_columns), .a = c->in[1].data,
                  .lda = rows, .a_batch = f * rows};
    REAL *packed = c->work;
    ENG(pack_whole_a)(&d, packed, rt, c->threads);
    char *work = (char *)c->work + ceil_to(ENG(packed_a_size)(&d) * d.batch * (int64_t)sizeof(REAL), 64);
    const int nt = bunches < 2 ? 1 : mxl_enter(rt, c->threads, g->batch * image * f, 4 * MXL_GRAIN);
#define BUNCH(i, room, threads) ENG(thin_images)(rt, c, g, packed, room, (i) * images, \
                                                 least(images, g->batch - (i) * images), threads)
    if (nt == 1) {
        for (int64_t i = 0; i < bunches; i++) BUNCH(i, work, c->threads);
    } else {
#ifdef _OPENMP
        const int64_t block = ENG(block_of_k)(f) * (int64_t)sizeof(REAL);
        const int64_t each = ceil_to(images * image * (int64_t)sizeof(REAL), 64) + ceil_to(MR * block, 64)
                             + ceil_to(BLOCK_N * block, 64);
#pragma omp parallel for schedule(dynamic, 1) num_threads(nt)
        for (int64_t i = 0; i < bunches; i++) BUNCH(i, work + omp_get_thread_num() * each, 1);
#endif
    }
#undef BUNCH
    if (nt > 1) mxl_leave(rt, nt);
}
