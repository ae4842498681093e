#define LEVEL base
#define BASE
#include "elementwise.h"
