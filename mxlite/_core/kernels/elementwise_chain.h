/* Chains of element-wise functions, run tile by tile so that what one step makes the next finds in cache; included by
 * elementwise_type.h once a computing type, after the loops' drivers.
 *
 * Operands of a step are numbers: the inputs, then the outputs, then registers, which are tiles of the stack.
 */
#ifndef MXL_ELEMENTWISE_CHAIN_H
#define MXL_ELEMENTWISE_CHAIN_H
enum { CHAIN_STEPS = 48, CHAIN_OPERANDS = 64, CHAIN_ROOM = 65536, CHAIN_STAGGER = 128, CHAIN_SMALL = 128 };
/* How an input lies under the chain's shape: every element, one for all, or element i / inner % channels. */
enum { CHAIN_WHOLE, CHAIN_ONE, CHAIN_PERIODIC };
typedef struct { int64_t kind, channels, inner; } ChainInput;
typedef struct { int32_t op, y, a, b; double s[3]; } ChainStep;
typedef struct { int64_t n_in, n_out, steps, registers, cost; } ChainArgs;     /* then the inputs, then the steps */
enum { VIA_NOTHING, VIA_TILE, VIA_STREAM };
typedef struct { int32_t tile, via[CHAIN_OPERANDS]; } ChainPlan;

static const ChainInput *chain_inputs(const ChainArgs *g) { return (const ChainInput *)(g + 1); }
static const ChainStep *chain_steps(const ChainArgs *g) { return (const ChainStep *)(chain_inputs(g) + g->n_in); }

/* Which tensors pass through a tile of their own, and how long tiles are. */
static void chain_plan(const mxl_call *c, const ChainArgs *g, int native, int64_t size, ChainPlan *plan)
{
    const ChainInput *in = chain_inputs(g);
    const ChainStep *steps = chain_steps(g);
    int64_t tiles = g->registers, bytes = 0, item = native == MXL_F64 ? 8 : 4;
    int n = (int)(g->n_in + g->n_out);
    for (int t = 0; t < n; t++) {
        const mxl_tensor *x = t < g->n_in ? c->in + t : c->out + (t - g->n_in);
        int whole = t >= g->n_in || in[t].kind == CHAIN_WHOLE;
        plan->via[t] = !whole || x->dtype != native || !x->data ? VIA_TILE : VIA_NOTHING;
        if (whole) bytes += size * item;
    }
    for (int t = (int)g->n_in; t < n; t++) {
        const mxl_tensor *y = c->out + (t - g->n_in);
        int stream = plan->via[t] == VIA_NOTHING && size * item > mxl_stream_bytes && g->cost < 2 * COST_H;
        for (int i = 0; i < g->n_in; i++) {
            if (c->in[i].data != y->data || in[i].kind != CHAIN_WHOLE) continue;
            stream = 0;
            int written = 0;        /* what is read after it was overwritten is kept aside */
            for (int k = 0; k < g->steps; k++) {
                if (written && (steps[k].a == i || steps[k].b == i)) plan->via[i] = VIA_TILE;
                if (steps[k].y == t) written = 1;
            }
        }
        if (stream) plan->via[t] = VIA_STREAM;
    }
    for (int t = 0; t < n; t++) tiles += plan->via[t] != VIA_NOTHING;
    /* Longer tiles keep the prefetcher from what lies in memory; shorter ones are calls and little else. */
    int64_t tile = bytes > mxl_stream_bytes ? 512 : 2048;
    while (tile > 512 && tiles * tile * item > 24576) tile /= 2;
    while (tile > 64 && tiles * (tile * item + CHAIN_STAGGER) > CHAIN_ROOM) tile /= 2;
    plan->tile = (int32_t)tile;
}
#endif

#ifdef T
/* Elements [at, at + m) of an input that repeats itself. */
static void SELF(chain_repeat_)(const mxl_tensor *x, const ChainInput *in, int64_t at, int64_t m, T *to)
{
    if (in->kind == CHAIN_ONE || in->channels == 1) {
        LOAD(x->dtype, x->data, 0, 1, to);
        for (int64_t k = 1; k < m; k++) to[k] = to[0];
        return;
    }
    int64_t channel = at / in->inner % in->channels, pos = at % in->inner;
    for (int64_t k = 0; k < m;) {
        if (in->inner == 1) {
            int64_t run = in->channels - channel < m - k ? in->channels - channel : m - k;
            LOAD(x->dtype, x->data, channel, run, to + k);
            k += run;
            channel = 0;
            continue;
        }
        int64_t run = in->inner - pos < m - k ? in->inner - pos : m - k;
        T v;
        LOAD(x->dtype, x->data, channel, 1, &v);
        for (int64_t j = 0; j < run; j++) to[k + j] = v;
        k += run;
        pos = 0;
        if (++channel == in->channels) channel = 0;
    }
}

static void SELF(chain_span_)(const mxl_call *c, const ChainPlan *plan, const LOOP_T *f, const T (*s)[3],
                              int64_t from, int64_t to)
{
    const ChainArgs *g = (const ChainArgs *)c->args;
    const ChainInput *in = chain_inputs(g);
    const ChainStep *steps = chain_steps(g);
    int n_in = (int)g->n_in, tensors = (int)(g->n_in + g->n_out), all = tensors + (int)g->registers;
    T room[CHAIN_ROOM / sizeof(T)] __attribute__((aligned(64))), *at[CHAIN_OPERANDS], *free_room = room;
    for (int t = 0; t < all; t++) {
        at[t] = free_room;
        if (t >= tensors || plan->via[t] != VIA_NOTHING) free_room += plan->tile + CHAIN_STAGGER / sizeof(T);
        else at[t] = (T *)(t < n_in ? c->in[t].data : c->out[t - n_in].data) + from;
        if (t < n_in && in[t].kind == CHAIN_ONE)
            SELF(chain_repeat_)(c->in + t, in + t, 0, to - from < plan->tile ? to - from : plan->tile, at[t]);
    }
    for (int64_t i = from; i < to; i += plan->tile) {
        int64_t m = to - i < plan->tile ? to - i : plan->tile;
        for (int t = 0; t < n_in; t++) {
            if (plan->via[t] == VIA_NOTHING || in[t].kind == CHAIN_ONE) continue;
            if (in[t].kind == CHAIN_WHOLE) LOAD(c->in[t].dtype, c->in[t].data, i, m, at[t]);
            else SELF(chain_repeat_)(c->in + t, in + t, i, m, at[t]);
        }
        for (int k = 0; k < g->steps; k++)
            f[k](m, at[steps[k].a], at[steps[k].b], at[steps[k].y], s[k]);
        for (int t = 0; t < tensors; t++) {
            const mxl_tensor *y = c->out + (t - n_in);
            if (plan->via[t] == VIA_NOTHING) at[t] += m;
            else if (t >= n_in && plan->via[t] == VIA_STREAM)
                mxl_levels[mxl_rt->isa]->stream((T *)y->data + i, at[t], m * sizeof(T));
            else if (t >= n_in && y->data) STORE(y->dtype, y->data, i, m, at[t]);
        }
    }
    STREAM_END();
}

/* A handful of elements: every operand is a few whole vectors of the stack, filled up with copies of the last element.
 * A masked store is slow to read back, and in a chain each step waits for the one before. */
static void SELF(chain_small_)(const mxl_call *c, int n)
{
    enum { MOST = CHAIN_SMALL / sizeof(T) };
    const ChainArgs *g = (const ChainArgs *)c->args;
    const ChainInput *in = chain_inputs(g);
    const ChainStep *steps = chain_steps(g);
    /* two vectors of the level, which is what the loops take at a time */
    int isa = mxl_rt->isa, unit = MOST >> (isa == MXL_ISA_AVX512 ? 0 : isa == MXL_ISA_AVX2 ? 1 : 2);
    int dtype = c->out->dtype, m = (n + unit - 1) / unit * unit, n_in = (int)g->n_in;
    T at[CHAIN_OPERANDS][MOST] __attribute__((aligned(64)));
    for (int t = 0; t < n_in; t++) {
        if (in[t].kind != CHAIN_WHOLE) SELF(chain_repeat_)(c->in + t, in + t, 0, n, at[t]);
        else if (dtype == NATIVE) memcpy(at[t], c->in[t].data, n * sizeof(T));
        else LOAD(dtype, c->in[t].data, 0, n, at[t]);
        for (int k = n; k < m; k++) at[t][k] = at[t][n - 1];
    }
    for (int k = 0; k < g->steps; k++) {
        const ChainStep *step = steps + k;
        int op = step->op;
        T s[3];
        for (int j = 0; j < 3; j++) s[j] = (T)step->s[j];
        if (dtype == MXL_F16 || op == MXL_G_rpower_scalar || op == MXL_BVS_power) {
            double v[3] = {step->s[0], step->s[1], step->s[2]};
            op = prepare(op, dtype, 3, v);
            for (int j = 0; j < 3; j++) s[j] = (T)v[j];
        }
        SELF(loop_)(op)(m, at[step->a], at[step->b], at[step->y], s);
    }
    for (int t = 0; t < g->n_out; t++) {
        const mxl_tensor *y = c->out + t;
        if (y->data && dtype == NATIVE) memcpy(y->data, at[n_in + t], n * sizeof(T));
        else if (y->data) STORE(dtype, y->data, 0, n, at[n_in + t]);
    }
}

static int SELF(chain_)(mxl_call *c)
{
    const ChainArgs *g = (const ChainArgs *)c->args;
    const ChainStep *steps = chain_steps(g);
    int64_t n = c->out->size;
    LOOP_T f[CHAIN_STEPS];
    T s[CHAIN_STEPS][3];
    ChainPlan plan;
    /* what libm computes an element at a time is not computed for more than there are */
    if (n * sizeof(T) <= CHAIN_SMALL && sizeof(T) == sizeof(float) && g->cost <= COST_H * g->steps) {
        SELF(chain_small_)(c, (int)n);
        return MXL_OK;
    }
    for (int k = 0; k < g->steps; k++) {
        double v[3] = {steps[k].s[0], steps[k].s[1], steps[k].s[2]};
        f[k] = SELF(loop_)(prepare(steps[k].op, c->out->dtype, 3, v));
        for (int j = 0; j < 3; j++) s[k][j] = (T)v[j];
    }
    chain_plan(c, g, NATIVE, n, &plan);
    int nt = mxl_enter(mxl_rt, c->threads, n * g->cost, MXL_GRAIN);
    if (nt == 1) {
        SELF(chain_span_)(c, &plan, f, s, 0, n);
        return MXL_OK;
    }
    int64_t step = (n / nt + 63) / 64 * 64;
    if (step * nt < n) step += 64;
#pragma omp parallel for num_threads(nt) schedule(static, 1)
    for (int t = 0; t < nt; t++) {
        int64_t begin = t * step, end = begin + step < n ? begin + step : n;
        if (begin < end) SELF(chain_span_)(c, &plan, f, s, begin, end);
    }
    mxl_leave(mxl_rt, nt);
    return MXL_OK;
}
#endif
