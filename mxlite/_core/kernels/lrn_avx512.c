#define LEVEL avx512
#define VECTOR_BYTES 64
#include "lrn.h"
