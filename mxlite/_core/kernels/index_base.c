#define IX_LEVEL base
#include "index.h"
