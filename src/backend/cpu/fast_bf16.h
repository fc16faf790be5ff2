/* Rounding to bf16. Included behind the AVX-512 of the includer. */

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

/* n < 16 or 16 floats, zeros behind them. */
INLINE __m512 load_n(const float *p, size_t n)
{
	return n < 16 ? _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p) : _mm512_loadu_ps(p);
}

/* Elements [0, n) of x, n up to 32; zeros behind them. */
INLINE __m512i bf16_of(const float *x, size_t n)
{
	return (__m512i)_mm512_cvtne2ps_pbh(n > 16 ? load_n(x + 16, n - 16) : _mm512_setzero_ps(), load_n(x, n));
}
