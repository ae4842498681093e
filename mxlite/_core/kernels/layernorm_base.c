#define LEVEL base
#define VECTOR_BYTES 16
#include "layernorm.h"
