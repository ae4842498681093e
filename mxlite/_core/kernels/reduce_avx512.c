#define LEVEL avx512
#include "reduce.h"
