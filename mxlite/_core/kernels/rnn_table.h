/* What the levels of the recurrent kernels have in common: the arguments, and where things lie.
 *
 * The parameter vector holds, for each layer and direction, the matrices of the inputs (G H, inputs), of the states
 * (G H, R) and the projection (R, H); behind all of them the biases of both, (G H) each. What forward saves is told in
 * ops/rnn_reference.py.
 */
#ifndef MXL_RNN_TABLE_H
#define MXL_RNN_TABLE_H
#include "ranges.h"

enum { RNN_RELU, RNN_TANH, RNN_LSTM, RNN_GRU };

typedef struct {
    int64_t mode, layers, directions, steps, batch, inputs, hidden, projection;
    int64_t joined, use_length, clip, clip_nan, state_outputs, threshold;
    int64_t scratch4, scratch8;     /* bytes that the engine takes of a thread on its way, for float and for double */
    double low, high, scale;
} rnn_args;

typedef struct { int64_t rows, hidden; } lstm_gates_args;

/* The workspace begins with the steps of every sequence, an int64_t each; rnn.pyx has filled them in. */

typedef void (*rnn_fn)(mxl_runtime *rt, const mxl_call *c);
/* [float or double] */
typedef struct { rnn_fn forward[2], backward[2]; mxl_range lstm_gates[2], lstm_gates_backward[2]; } rnn_table;
extern const rnn_table mxl_rnn_base, mxl_rnn_avx2, mxl_rnn_avx512;

static inline int64_t rnn_gates(const rnn_args *a) { return a->mode == RNN_LSTM ? 4 : a->mode == RNN_GRU ? 3 : 1; }
static inline int64_t rnn_state(const rnn_args *a) { return a->projection ? a->projection : a->hidden; }
static inline int64_t rnn_inputs(const rnn_args *a, int64_t layer)
{
    return layer == 0 ? a->inputs : a->directions * rnn_state(a);
}

/* Where the parts of one layer and direction begin in the parameter vector. */
typedef struct { int64_t i2h, h2h, h2r, i2h_bias, h2h_bias; } rnn_place;

static inline rnn_place rnn_find(const rnn_args *a, int64_t layer, int64_t d)
{
    const int64_t gh = rnn_gates(a) * a->hidden, r = rnn_state(a), project = a->projection * a->hidden;
    const int64_t first = gh * (a->inputs + r) + project, other = gh * (a->directions + 1) * r + project;
    rnn_place p;
    p.i2h = layer == 0 ? d * first : a->directions * (first + (layer - 1) * other) + d * other;
    p.h2h = p.i2h + gh * rnn_inputs(a, layer);
    p.h2r = p.h2h + gh * r;
    p.i2h_bias = a->directions * (first + (a->layers - 1) * other) + 2 * gh * (layer * a->directions + d);
    p.h2h_bias = p.i2h_bias + gh;
    return p;
}

/* Rows of a batch are cut into blocks by their number alone; ops/rnn.py has the same rule. */
static inline int64_t rnn_blocks(int64_t batch) { return batch <= 8 ? 1 : batch <= 16 ? 2 : (batch + 15) / 16; }
static inline int64_t rnn_block_rows(int64_t batch)
{
    const int64_t n = rnn_blocks(batch);
    return ((batch + n - 1) / n + 3) / 4 * 4;
}

/* Asks for the next step's numbers while this step's product runs: they come from far away. */
static inline void rnn_fetch(const void *p, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)p + i, 0, 2);
}

/* Cuts the next piece of `bytes` off the workspace. */
static inline void *rnn_take(char **work, int64_t bytes)
{
    char *at = *work;
    *work += (bytes + 63) / 64 * 64;
    return at;
}
#endif
