#define LEVEL avx512
#define MXL_VB 64
#include "rnn.h"
