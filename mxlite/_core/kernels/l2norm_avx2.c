#define LEVEL avx2
#define VECTOR_BYTES 32
#include "l2norm.h"
