/* Recurrent layers for one level; included with LEVEL and MXL_VB defined. */
#include "philox.h"
#include "rnn_table.h"
#include "vmath.h"
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

#define REAL float
#define ENG(x) x##_f32
#define VF(x) x##_f
#include "rnn_gates.h"
#include "rnn_layer.h"
#include "rnn_forward.h"
#include "rnn_backward.h"
#undef REAL
#undef ENG
#undef VF
#define REAL double
#define ENG(x) x##_f64
#define VF(x) x##_d
#include "rnn_gates.h"
#include "rnn_layer.h"
#include "rnn_forward.h"
#include "rnn_backward.h"
#undef REAL
#undef ENG
#undef VF

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
const rnn_table GLUE(mxl_rnn_, LEVEL) = {
    { rnn_forward_f32, rnn_forward_f64 }, { rnn_backward_f32, rnn_backward_f64 },
    { lstm_rows_f32, lstm_rows_f64 }, { lstm_back_rows_f32, lstm_back_rows_f64 } };
