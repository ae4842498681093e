#define MV_LEVEL base
#define MV_BYTES 16
#include "movement.h"
