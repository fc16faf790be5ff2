/* Products of many rows of activations of 8 bits on AVX2: bytes are multiplied to sums of two in 16 bits. */
#include "backend/cpu/fast.h"

#if defined(__x86_64__) && defined(__GNUC__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 8
#define TILE_X 4

#include "backend/cpu/fast_codes.h"

typedef __m256 vf;
typedef __m256i vi;

#define SIGNED_MIN 0.0f

INLINE vf vf_load(const void *p)
{
	return _mm256_loadu_ps(p);
}

INLINE vf vf_load_n(const float *p, uint32_t n)
{
	float t[8] = {0};
	memcpy(t, p, n * sizeof(*t));
	return _mm256_loadu_ps(t);
}

INLINE void vf_store_n(float *p, vf x, uint32_t n)
{
	float t[8];
	_mm256_storeu_ps(t, x);
	memcpy(p, t, n * sizeof(*t));
}

INLINE vf vf_set1(float f)
{
	return _mm256_set1_ps(f);
}

INLINE vf vf_add(vf x, vf y)
{
	return _mm256_add_ps(x, y);
}

INLINE vf vf_mul(vf x, vf y)
{
	return _mm256_mul_ps(x, y);
}

INLINE vf vf_fma(vf x, vf y, vf z)
{
	return _mm256_fmadd_ps(x, y, z);
}

INLINE vf vf_from(vi x)
{
	return _mm256_cvtepi32_ps(x);
}

/* How codes lie in a tile. */
INLINE __m256i tile_code(__m256i q, const bool is_signed)
{
	(void)is_signed;
	return q;
}

/* How many sums of two products fit into 16 bits: |code| times 127, twice. */
INLINE uint32_t pairs_that_fit(const unsigned flags)
{
	return flags & SIGNED ? 1 : flags & UP_TO_63 ? 2 : flags & UP_TO_31 ? 4 : 8;
}

/* s[j] = the products of `fours` vectors of a tile with row j of x: lanes are weight rows. */
INLINE void tile_dot(vi *s, const uint8_t *tile, const int8_t *x, size_t ldx, const uint32_t fours,
	const uint32_t n, const unsigned flags)
{
	const uint32_t run = pairs_that_fit(flags) < fours ? pairs_that_fit(flags) : fours;
	__m256i t[TILE_X];
#pragma GCC unroll 8
	for (uint32_t e = 0; e < fours; e++) {
		__m256i w = load256(tile + e * 32);
#pragma GCC unroll 4
		for (uint32_t j = 0; j < n; j++) {
			int four;
			memcpy(&four, x + j * ldx + e * 4, 4);
			__m256i p = pairs(w, _mm256_set1_epi32(four), flags & SIGNED);
			t[j] = e % run ? _mm256_add_epi16(t[j], p) : p;
			if (e % run < run - 1)
				continue;
			p = _mm256_madd_epi16(t[j], _mm256_set1_epi16(1));
			s[j] = e < run ? p : _mm256_add_epi32(s[j], p);
		}
	}
}

#include "backend/cpu/fast_int.h"
#include "backend/cpu/fast_many.h"

static const struct cpu_fast fast = {many_takes, int_row_bytes, 1, int_round, many_matmul};

#ifdef __clang__
#pragma clang attribute pop
#endif

const struct cpu_fast *cpu_fast_avx2(void)
{
	return cpu_kernels_avx2() ? &fast : NULL;
}

#else

const struct cpu_fast *cpu_fast_avx2(void)
{
	return NULL;
}

#endif
