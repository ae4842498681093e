// What generated element-wise kernels stand on: the CPU's functions (vmath.h), and where an input that repeats itself
// has the element that belongs to position i of the result.
#include "places.cuh"
#include "vmath.h"
