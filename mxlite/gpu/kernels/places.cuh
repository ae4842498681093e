// Where things are: positions of a result to offsets of an input, by divisions that are multiplications.
#ifndef MXL_PLACES_CUH
#define MXL_PLACES_CUH
#include "common.cuh"

// n / d by a multiplication, for n below 2^31; made by places.divisor.
struct Divisor { uint32_t d, mul, shift; };
FN uint32_t over(Divisor v, uint32_t n) { return (__umulhi(n, v.mul) + n) >> v.shift; }
FN uint32_t rest(Divisor v, uint32_t n) { return n - over(v, n) * v.d; }
struct WideDivisor { int64_t d; };
FN int64_t over(WideDivisor v, int64_t n) { return n / v.d; }
FN int64_t rest(WideDivisor v, int64_t n) { return n % v.d; }

// Element i / inner % channels.
template <class D> struct PeriodOf { D inner, channels; };
typedef PeriodOf<Divisor> Period;
typedef PeriodOf<WideDivisor> WidePeriod;
template <class D, class I> FN I place(PeriodOf<D> p, I i) { return rest(p.channels, over(p.inner, i)); }

// Any strides: axis 0 is the fastest, and n - 1 the last one with a divisor, beyond which nothing repeats.
template <class D> struct NestOf { int64_t n; D dims[8]; int64_t stride[8]; };
typedef NestOf<Divisor> Nest;
typedef NestOf<WideDivisor> WideNest;
template <class D, class I> FN int64_t place(const NestOf<D> &p, I i)
{
    int64_t at = 0;
#pragma unroll
    for (int d = 0; d < 8; d++) {
        if (d >= p.n) break;
        I q = over(p.dims[d], i);
        at += (int64_t)(i - q * p.dims[d].d) * p.stride[d];
        i = q;
    }
    return at;
}
#endif
