// Positions I with their divisor D, of 64 bits where WIDE is defined; and of kernels that copy by size alone U, the type
// of UNIT bytes that travel together (1, 2, 4, 8 or 16).
#ifndef MXL_UNITS_CUH
#define MXL_UNITS_CUH
#include "places.cuh"
#ifdef WIDE
typedef WideDivisor D;
typedef int64_t I;
#else
typedef Divisor D;
typedef uint32_t I;
#endif
#ifdef UNIT
template <int N> struct unit_of;
template <> struct unit_of<1> { typedef uint8_t type; };
template <> struct unit_of<2> { typedef uint16_t type; };
template <> struct unit_of<4> { typedef uint32_t type; };
template <> struct unit_of<8> { typedef uint64_t type; };
template <> struct unit_of<16> { typedef uint4 type; };
typedef unit_of<UNIT>::type U;
#endif
#endif
