#define LEVEL avx2
#define VECTOR_BYTES 32
#include "layernorm.h"
