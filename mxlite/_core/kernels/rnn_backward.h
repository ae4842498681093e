/* Recurrent layers backward: the same tasks walk the steps back, then the gradients of all matrices are one product
 * each over all steps. */

typedef struct {
    mxl_runtime *rt;
    const mxl_call *c;
    const rnn_args *a;
    int64_t layer, rows, scratch, work_thread;
    ENG(rnn_keep) keep;
    const REAL *h2h[2], *h2r[2], *dy;
    REAL *dx[2], *ds[2];            /* gradients of the sums of inputs and of states, (steps, batch, G H) */
    REAL *dh[2], *dc[2];            /* what arrives from the step behind */
    REAL *dm[2], *m[2];             /* gradients of projected states, and what was projected */
    REAL *packed_a, *packed_b;      /* room for both sides of the products of parameters' gradients */
    double *sums;                   /* sums of dx, then of ds, over a block's rows */
    char *work;
} ENG(rnn_back);

/* sums[j] += the sum over rows of x[row][j]. */
static void ENG(add_rows)(double *sums, const REAL *x, int64_t rows, int64_t n)
{
    for (int64_t j0 = 0; j0 < n; j0 += 64) {
        const int64_t k = least(64, n - j0);
        REAL s[64] = {0};
        for (int64_t i = 0; i < rows; i++) {
            const REAL *row = x + i * n + j0;
            if (k == 64) for (int j = 0; j < 64; j++) s[j] += row[j];
            else for (int64_t j = 0; j < k; j++) s[j] += row[j];
        }
        for (int64_t j = 0; j < k; j++) sums[j0 + j] += s[j];
    }
}

static void ENG(rnn_back_rows)(const ENG(rnn_back) *w, int64_t task, int thread)
{
    const rnn_args *a = w->a;
    const mxl_call *c = w->c;
    const int64_t d = task % a->directions, at = w->layer * a->directions + d, n = a->batch, h = a->hidden;
    const int64_t r = rnn_state(a), gh = rnn_gates(a) * h, r0 = task / a->directions * w->rows;
    const int64_t rows = least(w->rows, n - r0), out = a->directions * r;
    char *work = w->work + thread * w->work_thread;
    REAL *whole = (REAL *)(work + w->scratch);      /* rows of the whole gradient of a state, before projection */
    REAL *dh = w->dh[d] + r0 * r, *dc = w->dc[d] + r0 * h, *states = w->keep.states[d], *cells = w->keep.cells[d];
    double *sums = w->sums + 2 * gh * task;
    const int64_t *lengths = (const int64_t *)c->work + r0;
    const int residual = a->mode == RNN_GRU || a->use_length;
    memset(sums, 0, 2 * gh * sizeof(double));
    memset(dh, 0, rows * r * sizeof(REAL));
    memset(dc, 0, rows * h * sizeof(REAL));
    if (a->state_outputs) {
        memcpy(dh, (REAL *)c->in[1].data + (at * n + r0) * r, rows * r * sizeof(REAL));
        if (cells) memcpy(dc, (REAL *)c->in[2].data + (at * n + r0) * h, rows * h * sizeof(REAL));
    }
    for (int64_t s = a->steps - 1; s >= 0; s--) {
        const int64_t t = d == 0 ? s : a->steps - 1 - s;
        const int64_t before = (d == 0 ? t : t + 1) * n + r0, after = (d == 0 ? t + 1 : t) * n + r0;
        REAL *dx = w->dx[d] + (t * n + r0) * gh, *ds = w->ds[d] + (t * n + r0) * gh;
        REAL *g = a->projection ? w->dm[d] + (t * n + r0) * r : whole, *gm = a->projection ? whole : g;
        ENG(job) job;
        for (int64_t i = 0; i < rows; i++) {
            const REAL *dy = w->dy + (t * n + r0 + i) * out + d * r;
            if (t < lengths[i]) for (int64_t j = 0; j < r; j++) g[i * r + j] = dh[i * r + j] + dy[j];
            else memset(g + i * r, 0, r * sizeof(REAL));
        }
        if (a->projection) {
            job = ENG(rnn_job)(rows, h, r, g, 0, NULL, 0, gm, work);
            job.packed_b = w->h2r[d];
            ENG(run)(&job, w->rt, 1);
        }
        for (int64_t i = 0; i < rows; i++) {
            const int64_t row = t * n + r0 + i;
            REAL *gate = w->keep.gates[d] + row * gh, *rest = dh + i * r;
            if (t >= lengths[i]) {     /* the state passed by, and so does its gradient */
                memset(dx + i * gh, 0, gh * sizeof(REAL));
                if (ds != dx) memset(ds + i * gh, 0, gh * sizeof(REAL));
                if (a->projection) memset(w->m[d] + row * h, 0, h * sizeof(REAL));
                continue;
            }
            if (a->mode == RNN_LSTM)
                ENG(lstm_back)(gate, cells + (before + i) * h, cells + (after + i) * h, gm + i * h, dc + i * h,
                               dx + i * gh, dc + i * h, a->projection ? w->m[d] + row * h : NULL, h, a);
            else if (a->mode == RNN_GRU)
                ENG(gru_back)(gate, w->keep.recurrent[d] + row * h, states + (before + i) * r, g + i * r, dx + i * gh,
                              ds + i * gh, rest, h);
            else ENG(plain_back)(states + (after + i) * r, g + i * r, dx + i * gh, h, a->mode == RNN_RELU);
            if (residual && a->mode != RNN_GRU) memset(rest, 0, r * sizeof(REAL));
        }
        ENG(add_rows)(sums, dx, rows, gh);
        if (ds != dx) ENG(add_rows)(sums + gh, ds, rows, gh);
        job = ENG(rnn_job)(rows, r, gh, ds, 0, NULL, 0, dh, work);
        job.packed_b = w->h2h[d];
        if (residual) job.residual = dh;
        if (s > 0) {
            const int64_t row = (d == 0 ? t - 1 : t + 1) * n + r0, e = sizeof(REAL);
            if (cells) rnn_fetch(cells + (d == 0 ? row : row + n) * h, rows * h * e);
            if (a->mode >= RNN_LSTM) rnn_fetch(w->keep.gates[d] + row * gh, rows * gh * e);
            rnn_fetch(w->dx[d] + row * gh, rows * gh * e);
        }
        ENG(run)(&job, w->rt, 1);
    }
    REAL *first = c->out[2].data, *first_cell = a->mode == RNN_LSTM ? c->out[3].data : NULL;
    if (first) memcpy(first + (at * n + r0) * r, dh, rows * r * sizeof(REAL));
    if (first_cell) memcpy(first_cell + (at * n + r0) * h, dc, rows * h * sizeof(REAL));
}

/* Of a product with the inputs and the states side by side: B's columns, and where those of C are. */
typedef struct { const REAL *x, *states; int64_t inputs, apart; } ENG(rnn_both);

static void ENG(rnn_pack_both)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                               REAL *tmp)
{
    const ENG(rnn_both) *both = d->ctx;
    const int64_t in = both->inputs, r = d->n - in;
    const int first = (int)most(0, least(cols, in - n0));
    (void)b, (void)tmp;
    if (first == cols || first == 0) {
        const REAL *from = first ? both->x + k0 * in + n0 : both->states + k0 * r + (n0 - in);
        ENG(pack_columns)(dst, w, from, first ? in : r, cols, kc);
        return;
    }
    for (int64_t k = 0; k < kc; k++, dst += w) {
        memcpy(dst, both->x + (k0 + k) * in + n0, first * sizeof(REAL));
        memcpy(dst + first, both->states + (k0 + k) * r, (cols - first) * sizeof(REAL));
        memset(dst + cols, 0, (w - cols) * sizeof(REAL));
    }
}

static void ENG(rnn_place_both)(const ENG(job) *d, int64_t n0, int cols, int64_t *off)
{
    const ENG(rnn_both) *both = d->ctx;
    for (int j = 0; j < cols; j++) off[j] = n0 + j + (n0 + j < both->inputs ? 0 : both->apart);
}

/* The gradients of one layer's parameters, into the parameter vector's places. */
static void ENG(rnn_back_parameters)(mxl_runtime *rt, const ENG(rnn_back) *w, const REAL *x, REAL *to)
{
    const rnn_args *a = w->a;
    const int64_t n = a->batch, rows = a->steps * n, h = a->hidden, r = rnn_state(a), gh = rnn_gates(a) * h;
    const int64_t blocks = n ? ceil_div(n, w->rows) : 0;
    for (int64_t d = 0; d < a->directions; d++) {
        const rnn_place p = rnn_find(a, w->layer, d);
        const REAL *states = w->keep.states[d] + (d == 0 ? 0 : n * r);
        const int64_t in = rnn_inputs(a, w->layer);
        const ENG(rnn_both) both = {x, states, in, p.h2h - p.i2h - in};
        ENG(job) job = ENG(rnn_job)(gh, in, rows, w->dx[d], 1, x, 0, to + p.i2h, w->work);
        ENG(rnn_packed_a)(&job, w->packed_a, rt, w->c->threads);
        if (in == r && w->ds[d] == w->dx[d]) {      /* rows of both results are as long: one product */
            job.n = in + r;
            job.pack_b = ENG(rnn_pack_both);
            job.place = ENG(rnn_place_both);
            job.ctx = &both;
        }
        ENG(pack_whole_b)(&job, w->packed_b, rt, w->c->threads);
        job.packed_b = w->packed_b;
        ENG(run)(&job, rt, w->c->threads);
        if (job.n == in) {
            job = ENG(rnn_job)(gh, r, rows, w->ds[d], 1, states, 0, to + p.h2h, w->work);
            if (w->ds[d] == w->dx[d]) job.packed_a = w->packed_a;
            ENG(run)(&job, rt, w->c->threads);
        }
        if (a->projection) {
            job = ENG(rnn_job)(r, h, rows, w->dm[d], 1, w->m[d], 0, to + p.h2r, w->work);
            ENG(run)(&job, rt, w->c->threads);
        }
        for (int64_t j = 0; j < gh; j++) {
            double i2h = 0, h2h = 0;
            for (int64_t b = 0; b < blocks; b++) {
                const double *sums = w->sums + 2 * gh * (b * a->directions + d);
                i2h += sums[j];
                h2h += sums[gh + j];
            }
            to[p.i2h_bias + j] = (REAL)i2h;
            to[p.h2h_bias + j] = (REAL)(w->ds[d] == w->dx[d] ? i2h : h2h);
        }
    }
}

static void ENG(rnn_backward)(mxl_runtime *rt, const mxl_call *c)
{
    const rnn_args *a = c->args;
    const int heads = a->state_outputs ? a->mode == RNN_LSTM ? 3 : 2 : 1;
    const int64_t n = a->batch, rows = a->steps * n, h = a->hidden, r = rnn_state(a), gh = rnn_gates(a) * h;
    const int64_t out = a->directions * r, e = sizeof(REAL);
    const REAL *i2h[2], *data = c->in[heads].data, *w = c->in[heads + 1].data, *saved = c->in[c->n_in - 1].data;
    char *work = (char *)c->work + ceil_to(n * 8, 64);
    REAL *between[2] = {rnn_take(&work, rows * out * e), rnn_take(&work, rows * out * e)};
    ENG(rnn_back) back = {.rt = rt, .c = c, .a = a, .rows = rnn_block_rows(n), .dy = c->in[0].data};
    back.work_thread = ENG(rnn_thread)(a, back.rows, &back.scratch);
    back.sums = rnn_take(&work, 2 * a->directions * rnn_blocks(n) * gh * (int64_t)sizeof(double));
    for (int64_t d = 0; d < a->directions; d++) {
        back.dx[d] = rnn_take(&work, rows * gh * e);
        back.ds[d] = a->mode == RNN_GRU ? rnn_take(&work, rows * gh * e) : back.dx[d];
        back.dh[d] = rnn_take(&work, n * r * e);
        back.dc[d] = rnn_take(&work, n * h * e);
        back.dm[d] = rnn_take(&work, rows * r * e);
        back.m[d] = rnn_take(&work, rows * h * e);
    }
    back.packed_a = rnn_take(&work, ceil_to(gh, MR) * rows * e);
    back.packed_b = rnn_take(&work, ceil_to(most(a->inputs, out) + r, VL) * rows * e);
    char *pieces = work;
    for (int64_t layer = a->layers - 1; layer >= 0; layer--) {
        const int64_t inputs = rnn_inputs(a, layer);
        const REAL *x = ENG(rnn_input)(a, layer, data, saved);
        back.layer = layer;
        back.keep = ENG(rnn_pieces)(a, layer, saved);
        work = pieces;
        for (int64_t d = 0; d < a->directions; d++) {
            const rnn_place p = rnn_find(a, layer, d);
            if (layer || c->out[1].data)
                i2h[d] = ENG(rnn_packed)(w + p.i2h, 0, gh, inputs, &work, rt, c->threads);
            back.h2h[d] = ENG(rnn_packed)(w + p.h2h, 0, gh, r, &work, rt, c->threads);
            if (a->projection) back.h2r[d] = ENG(rnn_packed)(w + p.h2r, 0, r, h, &work, rt, c->threads);
        }
        back.work = work;
        const int64_t tasks = n ? a->directions * ceil_div(n, back.rows) : 0;
        const double flops = 2.0 * (double)rows * (double)gh * (double)most(r, 1) * (double)a->directions;
        const int nt = tasks < 2 ? 1 : mxl_enter(rt, c->threads, flops > 1e15 ? (int64_t)1e15 : (int64_t)flops,
                                                 4 * MXL_GRAIN);
        if (nt == 1) {
            for (int64_t t = 0; t < tasks; t++) ENG(rnn_back_rows)(&back, t, 0);
        } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(nt)
            for (int64_t t = 0; t < tasks; t++) ENG(rnn_back_rows)(&back, t, omp_get_thread_num());
#endif
        }
        if (nt > 1) mxl_leave(rt, nt);
        if (c->out[0].data) ENG(rnn_back_parameters)(rt, &back, x, c->out[0].data);
        REAL *to = layer == 0 ? c->out[1].data : between[layer % 2];
        if (!to) continue;
        for (int64_t d = 0; d < a->directions; d++) {
            ENG(job) job = ENG(rnn_job)(rows, inputs, gh, back.dx[d], 0, NULL, 0, to, back.work);
            job.packed_b = i2h[d];
            if (d) job.residual = to;
            ENG(run)(&job, rt, c->threads);
        }
        if (layer) ENG(rnn_drop)(rt, c, a, layer, to);
        back.dy = to;
    }
}
