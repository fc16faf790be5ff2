/* Products of many rows of activations of 8 bits on AVX-512 with VNNI. */
#include "backend/cpu/fast.h"

#if defined(__x86_64__) && defined(__GNUC__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")
#endif
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
#define TILE_X 6

#include "backend/cpu/fast_codes.h"

typedef __m512 vf;
typedef __m512i vi;

/* Codes must be 0 to 255: signed ones are taken 128 too high, which m makes good. */
#define SIGNED_MIN (-128.0f)

INLINE vf vf_load(const void *p)
{
	return _mm512_loadu_ps(p);
}

INLINE vf vf_load_n(const float *p, uint32_t n)
{
	return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

INLINE void vf_store_n(float *p, vf x, uint32_t n)
{
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}

INLINE vf vf_set1(float f)
{
	return _mm512_set1_ps(f);
}

INLINE vf vf_add(vf x, vf y)
{
	return _mm512_add_ps(x, y);
}

INLINE vf vf_mul(vf x, vf y)
{
	return _mm512_mul_ps(x, y);
}

INLINE vf vf_fma(vf x, vf y, vf z)
{
	return _mm512_fmadd_ps(x, y, z);
}

INLINE vf vf_from(vi x)
{
	return _mm512_cvtepi32_ps(x);
}

/* How codes lie in a tile. */
INLINE __m256i tile_code(__m256i q, const bool is_signed)
{
	return is_signed ? _mm256_xor_si256(q, _mm256_set1_epi8((char)0x80)) : q;
}

/* s[j] = the products of `fours` vectors of a tile with row j of x: lanes are weight rows. */
INLINE void tile_dot(vi *s, const uint8_t *tile, const int8_t *x, size_t ldx, const uint32_t fours,
	const uint32_t n, const unsigned flags)
{
	(void)flags;
#pragma GCC unroll 8
	for (uint32_t j = 0; j < n; j++)
		s[j] = _mm512_setzero_si512();
#pragma GCC unroll 8
	for (uint32_t e = 0; e < fours; e++) {
		__m512i w = _mm512_loadu_si512(tile + e * 64);
#pragma GCC unroll 8
		for (uint32_t j = 0; j < n; j++) {
			int four;
			__builtin_memcpy(&four, x + j * ldx + e * 4, 4);
			s[j] = _mm512_dpbusd_epi32(s[j], w, _mm512_set1_epi32(four));
		}
	}
}

#include "backend/cpu/fast_int.h"
#include "backend/cpu/fast_many.h"

static const struct cpu_fast fast = {many_takes, int_row_bytes, 1, int_round, many_matmul};

#ifdef __clang__
#pragma clang attribute pop
#endif

const struct cpu_fast *cpu_fast_avx512(void)
{
	return cpu_kernels_avx512() && __builtin_cpu_supports("avx512vnni") ? &fast : NULL;
}

#else

const struct cpu_fast *cpu_fast_avx512(void)
{
	return NULL;
}

#endif
