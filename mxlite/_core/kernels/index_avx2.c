#define IX_LEVEL avx2
#include "index.h"
