#define LEVEL base
#define VECTOR_BYTES 16
#include "l2norm.h"
