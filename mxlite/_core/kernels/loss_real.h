/* The loss layers' kernels for one floating type T. The output may be the first input. */
#include "rowvec.h"

#define LOSS_LOOP(body) do { \
        int64_t last = end * LOSS_TILE < c->out[0].size ? end * LOSS_TILE : c->out[0].size; \
        INDEPENDENT \
        for (int64_t i = begin * LOSS_TILE; i < last; i++) { body } \
    } while (0)

static void F(sigmoid_range)(const mxl_call *c, int64_t begin, int64_t end)
{
    const T *x = c->in[0].data;
    T *y = c->out[0].data;
    LOSS_LOOP( y[i] = F(sigmoid)(x[i]); );
}

static void F(difference)(const mxl_call *c, int64_t begin, int64_t end)
{
    const T *x = c->in[0].data, *label = c->in[1].data;
    T *y = c->out[0].data, factor = (T)((const difference_args *)c->args)->factor;
    LOSS_LOOP( y[i] = (x[i] - label[i]) * factor; );
}

static void F(sign_difference)(const mxl_call *c, int64_t begin, int64_t end)
{
    const T *x = c->in[0].data, *label = c->in[1].data;
    T *y = c->out[0].data, factor = (T)((const difference_args *)c->args)->factor;
    LOSS_LOOP( y[i] = x[i] - label[i] > 0 ? factor : -factor; );
}

/* One range only: the count comes before the first write, since the output may be the data. */
static void F(fill)(const mxl_call *c, int64_t begin, int64_t end)
{
    const make_loss_args *a = c->args;
    const T *x = c->in[0].data;
    T *y = c->out[0].data;
    double scale = a->grad_scale;
    if (a->valid) {
        int64_t count = 0;
        for (int64_t i = 0; i < c->in[0].size; i++) count += x[i] > (T)a->valid_thresh;
        scale /= (double)(count ? count : 1);
    }
    LOSS_LOOP( y[i] = (T)scale; );
}
#undef LOSS_LOOP
