#define LEVEL avx2
#include "elementwise.h"
