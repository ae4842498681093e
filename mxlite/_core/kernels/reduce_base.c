#define LEVEL base
#include "reduce.h"
