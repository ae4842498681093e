#define IX_LEVEL avx512
#include "index.h"
