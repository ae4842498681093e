/* Labels in floating-point arrays. */
#pragma once
#include "softmax_math.cuh"

/* Class index from data: -1 where it is no class. Truncation takes (-1, 0) to class 0. */
FN int64_t class_of(A label, int64_t k)
{
    if (!(label > (A)-1 && label < (A)9e15)) return -1;
    const int64_t i = (int64_t)label;
    return i < k ? i : -1;
}

FN int64_t whole(A label)
{
    return label > (A)-9e15 && label < (A)9e15 ? (int64_t)label : INT64_MIN;
}
