/* Recurrent layers forward. A task is a block of rows in one direction: it walks all steps, and waits for nobody. */

typedef struct {
    mxl_runtime *rt;
    const mxl_call *c;
    const rnn_args *a;
    int64_t layer, rows, scratch, work_thread;
    ENG(rnn_keep) keep;
    const REAL *h2h[2], *h2r[2], *h2h_bias[2];      /* packed matrices; gru alone adds the bias here */
    REAL *y;                                        /* (steps, batch, directions * R); NULL: the states are enough */
    char *work;
} ENG(rnn_walk);

static void ENG(rnn_walk_rows)(const ENG(rnn_walk) *w, int64_t task, int thread)
{
    const rnn_args *a = w->a;
    const mxl_call *c = w->c;
    const int64_t d = task % a->directions, at = w->layer * a->directions + d, n = a->batch, h = a->hidden;
    const int64_t r = rnn_state(a), gh = rnn_gates(a) * h, r0 = task / a->directions * w->rows;
    const int64_t rows = least(w->rows, n - r0), out = a->directions * r;
    char *work = w->work + thread * w->work_thread;
    REAL *scratch = (REAL *)(work + w->scratch);    /* rows of sums (gru), or of what is to be projected */
    REAL *states = w->keep.states[d], *cells = w->keep.cells[d];
    const int64_t *lengths = (const int64_t *)c->work + r0;
    const int64_t first = d == 0 ? 0 : a->steps, last = d == 0 ? a->steps : 0;
    memcpy(states + (first * n + r0) * r, (REAL *)c->in[2].data + (at * n + r0) * r, rows * r * sizeof(REAL));
    if (cells) memcpy(cells + (first * n + r0) * h, (REAL *)c->in[3].data + (at * n + r0) * h, rows * h * sizeof(REAL));
    for (int64_t s = 0; s < a->steps; s++) {
        const int64_t t = d == 0 ? s : a->steps - 1 - s;
        const int64_t before = ((d == 0 ? t : t + 1) * n + r0) * r, after = ((d == 0 ? t + 1 : t) * n + r0) * r;
        const int64_t c_before = before / r * h, c_after = after / r * h;
        REAL *gates = w->keep.gates[d] + (t * n + r0) * gh;
        ENG(job) job = ENG(rnn_job)(rows, gh, r, states + before, 0, NULL, 0, gates, work);
        job.packed_b = w->h2h[d];
        if (a->mode == RNN_GRU) job.c = scratch, job.bias_n = w->h2h_bias[d];
        else job.residual = gates;
        if (s + 1 < a->steps) rnn_fetch(gates + (d == 0 ? n : -n) * gh, rows * gh * (int64_t)sizeof(REAL));
        ENG(run)(&job, w->rt, 1);
        for (int64_t i = 0; i < rows; i++) {
            REAL *g = gates + i * gh, *next = states + after + i * r;
            if (a->mode == RNN_LSTM)
                ENG(lstm_unit)(g, cells + c_before + i * h, g, cells + c_after + i * h,
                               a->projection ? scratch + i * h : next, h, a);
            else if (a->mode == RNN_GRU)
                ENG(gru_unit)(g, scratch + i * gh, states + before + i * r, g,
                              w->keep.recurrent[d] + (t * n + r0 + i) * h, next, h);
            else ENG(plain_unit)(g, next, h, a->mode == RNN_RELU);
        }
        if (a->projection) {
            job = ENG(rnn_job)(rows, r, h, scratch, 0, NULL, 0, states + after, work);
            job.packed_b = w->h2r[d];
            ENG(run)(&job, w->rt, 1);
        }
        for (int64_t i = 0; i < rows; i++) {
            const int live = t < lengths[i];
            if (!live) {
                memcpy(states + after + i * r, states + before + i * r, r * sizeof(REAL));
                if (cells) memcpy(cells + c_after + i * h, cells + c_before + i * h, h * sizeof(REAL));
            }
            if (!w->y) continue;
            REAL *y = w->y + (t * n + r0 + i) * out + d * r;
            if (live) memcpy(y, states + after + i * r, r * sizeof(REAL));
            else memset(y, 0, r * sizeof(REAL));
        }
    }
    if (a->state_outputs) {
        REAL *to = c->out[1].data, *to_cell = a->mode == RNN_LSTM ? c->out[2].data : NULL;
        if (to) memcpy(to + (at * n + r0) * r, states + (last * n + r0) * r, rows * r * sizeof(REAL));
        if (to_cell) memcpy(to_cell + (at * n + r0) * h, cells + (last * n + r0) * h, rows * h * sizeof(REAL));
    }
}

static void ENG(rnn_forward)(mxl_runtime *rt, const mxl_call *c)
{
    const rnn_args *a = c->args;
    const int64_t n = a->batch, rows = a->steps * n, h = a->hidden, r = rnn_state(a), gh = rnn_gates(a) * h;
    const int64_t out = a->directions * r, e = sizeof(REAL);
    const REAL *w = c->in[1].data;
    REAL *saved = c->out[c->n_out - 1].data, *x = (REAL *)c->in[0].data, *bias[2];
    char *work = (char *)c->work + ceil_to(n * 8, 64);
    REAL *between = rnn_take(&work, rows * out * e);
    REAL *packed_x = rnn_take(&work, ceil_to(rows, MR) * most(a->inputs, out) * e);
    const REAL *i2h[2];
    ENG(rnn_walk) walk = {.rt = rt, .c = c, .a = a, .rows = rnn_block_rows(n)};
    walk.work_thread = ENG(rnn_thread)(a, walk.rows, &walk.scratch);
    for (int64_t d = 0; d < a->directions; d++) {
        walk.keep.gates[d] = rnn_take(&work, rows * gh * e);
        walk.keep.states[d] = rnn_take(&work, (rows + n) * r * e);
        walk.keep.cells[d] = rnn_take(&work, (rows + n) * h * e);
        walk.keep.recurrent[d] = rnn_take(&work, rows * h * e);
        if (a->mode != RNN_LSTM) walk.keep.cells[d] = NULL;
        bias[d] = rnn_take(&work, gh * e);
    }
    char *pieces = work;
    for (int64_t layer = 0; layer < a->layers; layer++) {
        const int64_t inputs = rnn_inputs(a, layer);
        walk.layer = layer;
        work = pieces;
        if (saved) {
            ENG(rnn_keep) keep = ENG(rnn_pieces)(a, layer, saved);
            for (int64_t d = 0; d < a->directions; d++) if (!keep.gates[d]) keep.gates[d] = walk.keep.gates[d];
            walk.keep = keep;
        }
        for (int64_t d = 0; d < a->directions; d++) {
            const rnn_place p = rnn_find(a, layer, d);
            for (int64_t j = 0; j < gh; j++)
                bias[d][j] = w[p.i2h_bias + j] + (a->mode == RNN_GRU ? 0 : w[p.h2h_bias + j]);
            i2h[d] = ENG(rnn_packed)(w + p.i2h, 1, inputs, gh, &work, rt, c->threads);
            walk.h2h[d] = ENG(rnn_packed)(w + p.h2h, 1, r, gh, &work, rt, c->threads);
            walk.h2h_bias[d] = w + p.h2h_bias;
            if (a->projection) walk.h2r[d] = ENG(rnn_packed)(w + p.h2r, 1, h, r, &work, rt, c->threads);
        }
        walk.work = work;
        for (int64_t d = 0; d < a->directions; d++) {
            ENG(job) job = ENG(rnn_job)(rows, gh, inputs, x, 0, NULL, 0, walk.keep.gates[d], walk.work);
            if (d == 0) ENG(rnn_packed_a)(&job, packed_x, rt, c->threads);
            job.packed_a = packed_x;
            job.packed_b = i2h[d];
            job.bias_n = bias[d];
            ENG(run)(&job, rt, c->threads);
        }
        if (layer + 1 == a->layers) walk.y = c->out[0].data;
        else if (!saved) walk.y = between;
        else walk.y = a->joined ? ENG(rnn_input)(a, layer + 1, NULL, saved) : NULL;
        const int64_t tasks = n ? a->directions * ceil_div(n, walk.rows) : 0;
        const double flops = 2.0 * (double)rows * (double)gh * (double)most(r, 1) * (double)a->directions;
        const int nt = tasks < 2 ? 1 : mxl_enter(rt, c->threads, flops > 1e15 ? (int64_t)1e15 : (int64_t)flops,
                                                 4 * MXL_GRAIN);
        if (nt == 1) {
            for (int64_t t = 0; t < tasks; t++) ENG(rnn_walk_rows)(&walk, t, 0);
        } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(nt)
            for (int64_t t = 0; t < tasks; t++) ENG(rnn_walk_rows)(&walk, t, omp_get_thread_num());
#endif
        }
        if (nt > 1) mxl_leave(rt, nt);
        if (layer + 1 == a->layers) break;
        x = walk.y ? walk.y : walk.keep.states[0] + n * r;
        if (walk.y) ENG(rnn_drop)(rt, c, a, layer + 1, x);
    }
}
