#define MV_LEVEL avx2
#define MV_BYTES 32
#include "movement.h"
