#define LEVEL base
#define MXL_VB 16
#include "rnn.h"
