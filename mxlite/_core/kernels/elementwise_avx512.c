#define LEVEL avx512
#include "elementwise.h"
