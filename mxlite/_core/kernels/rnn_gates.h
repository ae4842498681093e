/* What happens between two matrix products: the gates of one row, forward and backward, `n` units.
 *
 * A row's gates lie one behind the other, n numbers each: i, f, c, o of lstm, r, z, n of gru. Outputs may lie on the
 * inputs of the same unit.
 */
#include "engine.h"

/* ---- lstm: c = f c_old + i u, h = o tanh(c). `g` holds sums, `act` gets the gates ---- */
INLINE void ENG(lstm_unit_loop)(const REAL *g, const REAL *c_old, REAL *act, REAL *c_new, REAL *h, int64_t n,
                                const int clip, REAL low, REAL high, const int clip_nan)
{
    INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        const REAL i = VF(sigmoid)(g[j]), f = VF(sigmoid)(g[n + j]), u = VF(tanh)(g[2 * n + j]);
        const REAL o = VF(sigmoid)(g[3 * n + j]);
        REAL c = f * c_old[j] + i * u;
        if (clip) {
            c = c < low ? low : c > high ? high : c;
            if (clip_nan) c = c != c ? low : c;
        }
        act[j] = i;
        act[n + j] = f;
        act[2 * n + j] = u;
        act[3 * n + j] = o;
        c_new[j] = c;
        h[j] = o * VF(tanh)(c);
    }
}

static void ENG(lstm_unit)(const REAL *g, const REAL *c_old, REAL *act, REAL *c_new, REAL *h, int64_t n,
                           const rnn_args *a)
{
    if (a && a->clip) ENG(lstm_unit_loop)(g, c_old, act, c_new, h, n, 1, (REAL)a->low, (REAL)a->high, a->clip_nan != 0);
    else ENG(lstm_unit_loop)(g, c_old, act, c_new, h, n, 0, 0, 0, 0);
}

/* From the gradients of h and c those of the gates' sums, and in place of c's that of c_old; `m` gets h. */
INLINE void ENG(lstm_back_loop)(const REAL *act, const REAL *c_old, const REAL *c_new, const REAL *dh, const REAL *dc,
                                REAL *dg, REAL *dc_old, REAL *m, int64_t n, const int clip, REAL low, REAL high,
                                const int clip_nan, const int want)
{
    INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        const REAL i = act[j], f = act[n + j], u = act[2 * n + j], o = act[3 * n + j], t = VF(tanh)(c_new[j]);
        REAL d = dc[j] + dh[j] * o * (1 - t * t);
        const REAL dout = dh[j] * t * o * (1 - o), old = c_old[j];
        if (clip) {
            const REAL c = f * old + i * u;
            d = c < low || c > high || (clip_nan && c != c) ? 0 : d;
        }
        if (want) m[j] = o * t;
        dg[j] = d * u * i * (1 - i);
        dg[n + j] = d * old * f * (1 - f);
        dg[2 * n + j] = d * i * (1 - u * u);
        dg[3 * n + j] = dout;
        dc_old[j] = d * f;
    }
}

static void ENG(lstm_back)(const REAL *act, const REAL *c_old, const REAL *c_new, const REAL *dh, const REAL *dc,
                           REAL *dg, REAL *dc_old, REAL *m, int64_t n, const rnn_args *a)
{
    if (a && a->clip)
        ENG(lstm_back_loop)(act, c_old, c_new, dh, dc, dg, dc_old, m ? m : dg, n, 1, (REAL)a->low, (REAL)a->high,
                            a->clip_nan != 0, m != NULL);
    else if (m) ENG(lstm_back_loop)(act, c_old, c_new, dh, dc, dg, dc_old, m, n, 0, 0, 0, 0, 1);
    else ENG(lstm_back_loop)(act, c_old, c_new, dh, dc, dg, dc_old, NULL, n, 0, 0, 0, 0, 0);
}

/* ---- gru: u = tanh(xn + r hn), h = u + z (h_old - u). `x` and `s` hold the sums of inputs and of states ---- */
static void ENG(gru_unit)(const REAL *x, const REAL *s, const REAL *h_old, REAL *act, REAL *recurrent, REAL *h,
                          int64_t n)
{
    INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        const REAL r = VF(sigmoid)(x[j] + s[j]), z = VF(sigmoid)(x[n + j] + s[n + j]), hn = s[2 * n + j];
        const REAL u = VF(tanh)(x[2 * n + j] + r * hn);
        act[j] = r;
        act[n + j] = z;
        act[2 * n + j] = u;
        recurrent[j] = hn;
        h[j] = u + z * (h_old[j] - u);
    }
}

/* dx: gradients of the inputs' sums, ds: of the states' sums; in place of h's gradient the part that goes by z. */
static void ENG(gru_back)(const REAL *act, const REAL *recurrent, const REAL *h_old, const REAL *dh, REAL *dx, REAL *ds,
                          REAL *dh_old, int64_t n)
{
    INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        const REAL r = act[j], z = act[n + j], u = act[2 * n + j], g = dh[j];
        const REAL du = g * (1 - z) * (1 - u * u), dr = du * recurrent[j] * r * (1 - r);
        const REAL dz = g * (h_old[j] - u) * z * (1 - z);
        dx[j] = dr;
        ds[j] = dr;
        dx[n + j] = dz;
        ds[n + j] = dz;
        dx[2 * n + j] = du;
        ds[2 * n + j] = du * r;
        dh_old[j] = g * z;
    }
}

/* ---- rnn: h = tanh(g) or relu(g), NaN staying NaN ---- */
static void ENG(plain_unit)(const REAL *g, REAL *h, int64_t n, int relu)
{
    if (relu) {
        INDEPENDENT
        for (int64_t j = 0; j < n; j++) h[j] = g[j] < 0 ? 0 : g[j];
    } else {
        INDEPENDENT
        for (int64_t j = 0; j < n; j++) h[j] = VF(tanh)(g[j]);
    }
}

static void ENG(plain_back)(const REAL *h, const REAL *dh, REAL *dg, int64_t n, int relu)
{
    if (relu) {
        INDEPENDENT
        for (int64_t j = 0; j < n; j++) dg[j] = h[j] > 0 ? dh[j] : 0;
    } else {
        INDEPENDENT
        for (int64_t j = 0; j < n; j++) dg[j] = dh[j] * (1 - h[j] * h[j]);
    }
}

/* ---- the gates of one step as an operator of their own ---- */
static void ENG(lstm_rows)(const mxl_call *c, int64_t begin, int64_t end)
{
    const int64_t n = ((const lstm_gates_args *)c->args)->hidden;
    const REAL *g = c->in[0].data, *c_old = c->in[1].data;
    REAL *h = c->out[0].data, *c_new = c->out[1].data, *act = c->out[2].data, spare[512];
    for (int64_t r = begin; r < end; r++) {
        if (act && h && c_new) {
            ENG(lstm_unit)(g + 4 * n * r, c_old + n * r, act + 4 * n * r, c_new + n * r, h + n * r, n, NULL);
            continue;
        }
        for (int64_t j0 = 0; j0 < n; j0 += 64) {        /* what is not wanted goes to the spare row */
            const int64_t k = n - j0 < 64 ? n - j0 : 64;
            REAL sums[256];
            for (int q = 0; q < 4; q++) memcpy(sums + q * k, g + 4 * n * r + q * n + j0, (size_t)k * sizeof(REAL));
            ENG(lstm_unit)(sums, c_old + n * r + j0, spare, spare + 256, spare + 320, k, NULL);
            if (h) memcpy(h + n * r + j0, spare + 320, (size_t)k * sizeof(REAL));
            if (act) for (int q = 0; q < 4; q++)
                memcpy(act + 4 * n * r + q * n + j0, spare + q * k, (size_t)k * sizeof(REAL));
            if (c_new) memcpy(c_new + n * r + j0, spare + 256, (size_t)k * sizeof(REAL));
        }
    }
}

static void ENG(lstm_back_rows)(const mxl_call *c, int64_t begin, int64_t end)
{
    const int64_t n = ((const lstm_gates_args *)c->args)->hidden;
    const REAL *dh = c->in[0].data, *dc = c->in[1].data, *act = c->in[2].data, *c_old = c->in[3].data;
    const REAL *c_new = c->in[4].data;
    REAL *dg = c->out[0].data, *dc_old = c->out[1].data, spare[320];
    for (int64_t r = begin; r < end; r++) {
        if (dg && dc_old) {
            ENG(lstm_back)(act + 4 * n * r, c_old + n * r, c_new + n * r, dh + n * r, dc + n * r, dg + 4 * n * r,
                           dc_old + n * r, NULL, n, NULL);
            continue;
        }
        for (int64_t j0 = 0; j0 < n; j0 += 64) {
            const int64_t k = n - j0 < 64 ? n - j0 : 64;
            REAL gates[256];
            for (int q = 0; q < 4; q++) memcpy(gates + q * k, act + 4 * n * r + q * n + j0, (size_t)k * sizeof(REAL));
            ENG(lstm_back)(gates, c_old + n * r + j0, c_new + n * r + j0, dh + n * r + j0, dc + n * r + j0, spare,
                           spare + 256, NULL, k, NULL);
            if (dg) for (int q = 0; q < 4; q++)
                memcpy(dg + 4 * n * r + q * n + j0, spare + q * k, (size_t)k * sizeof(REAL));
            if (dc_old) memcpy(dc_old + n * r + j0, spare + 256, (size_t)k * sizeof(REAL));
        }
    }
}
