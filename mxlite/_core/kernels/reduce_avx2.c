#define LEVEL avx2
#include "reduce.h"
