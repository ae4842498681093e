/* float16 and bfloat16: through float32 copies of all tensors in the workspace, before the kernel's own scratch. */
#include "convert.h"

static void convert_all(mxl_runtime *rt, const mxl_call *c, int dtype, void *narrow, float *wide, int64_t n, int in)
{
    enum { STEP = 16384 };
    const int nt = mxl_enter(rt, c->threads, n, MXL_GRAIN);
#define CONVERT(i) do { \
        const int64_t len = least(STEP, n - (i)); \
        if (in) mxl_load_f32(dtype, narrow, i, len, wide + (i)); \
        else mxl_store_f32(dtype, narrow, i, len, wide + (i)); \
    } while (0)
    if (nt == 1) {
        for (int64_t i = 0; i < n; i += STEP) CONVERT(i);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(nt)
        for (int64_t i = 0; i < n; i += STEP) CONVERT(i);
#endif
    }
#undef CONVERT
    mxl_leave(rt, nt);
}

static void through_float(mxl_runtime *rt, const mxl_call *c, const conv_args *g, conv_fn fn)
{
    mxl_tensor in[4], out = c->out[0];
    mxl_call wide = *c;
    conv_args direct = *g;
    direct.winograd = 0;
    char *work = c->work;
    for (int i = 0; i < c->n_in && i < 4; i++) {
        in[i] = c->in[i];
        in[i].data = work;
        work += ceil_to(4 * in[i].size, 64);
        convert_all(rt, c, c->in[i].dtype, c->in[i].data, in[i].data, in[i].size, 1);
    }
    out.data = work;
    wide.in = in;
    wide.out = &out;
    wide.work = work + ceil_to(4 * out.size, 64);
    fn(rt, &wide, &direct);
    convert_all(rt, c, c->out[0].dtype, c->out[0].data, out.data, out.size, 0);
}

static void forward_half(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    through_float(rt, c, g, forward_f32);
}

static void dgrad_half(mxl_runtime *rt, const mxl_call *c, const conv_args *g) { through_float(rt, c, g, dgrad_f32); }
static void wgrad_half(mxl_runtime *rt, const mxl_call *c, const conv_args *g) { through_float(rt, c, g, wgrad_f32); }
