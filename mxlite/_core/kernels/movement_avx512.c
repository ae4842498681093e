#define MV_LEVEL avx512
#define MV_BYTES 64
#include "movement.h"
