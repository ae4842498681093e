#define LEVEL avx2
#define MXL_VB 32
#include "rnn.h"
