/* The AVX-512 variant: 16 lanes are one register. What is done with them is in the simd_*.h, which the
 * AVX2 variant shares. */
#include "backend/cpu/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")
#endif
#include <immintrin.h>

#define SIMD_INLINE static inline __attribute__((always_inline))

typedef __m512 v16;

SIMD_INLINE v16 v16_set1(float f)
{
	return _mm512_set1_ps(f);
}

SIMD_INLINE v16 v16_load(const float *p)
{
	return _mm512_loadu_ps(p);
}

SIMD_INLINE v16 v16_load_any(const void *p)
{
	return _mm512_castsi512_ps(_mm512_loadu_si512(p));
}

SIMD_INLINE void v16_store(float *p, v16 x)
{
	_mm512_storeu_ps(p, x);
}

/* n < 16 elements; zeros behind them. */
SIMD_INLINE v16 v16_load_n(const float *p, size_t n)
{
	return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

SIMD_INLINE void v16_store_n(float *p, v16 x, size_t n)
{
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}

SIMD_INLINE v16 v16_add(v16 x, v16 y)
{
	return _mm512_add_ps(x, y);
}

SIMD_INLINE v16 v16_sub(v16 x, v16 y)
{
	return _mm512_sub_ps(x, y);
}

SIMD_INLINE v16 v16_mul(v16 x, v16 y)
{
	return _mm512_mul_ps(x, y);
}

SIMD_INLINE v16 v16_div(v16 x, v16 y)
{
	return _mm512_div_ps(x, y);
}

/* y where one of them is not a number */
SIMD_INLINE v16 v16_max(v16 x, v16 y)
{
	return _mm512_max_ps(x, y);
}

SIMD_INLINE v16 v16_min(v16 x, v16 y)
{
	return _mm512_min_ps(x, y);
}

/* x * y + z, rounded once */
SIMD_INLINE v16 v16_fma(v16 x, v16 y, v16 z)
{
	return _mm512_fmadd_ps(x, y, z);
}

/* The fixed tree: +8, +4, +2, +1. */
SIMD_INLINE float v16_sum(v16 x)
{
	__m256 t = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
	__m128 u = _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
	u = _mm_add_ps(u, _mm_movehl_ps(u, u));
	return _mm_cvtss_f32(_mm_add_ss(u, _mm_movehdup_ps(u)));
}

SIMD_INLINE float v16_top(v16 x)
{
	return _mm512_reduce_max_ps(x);
}

SIMD_INLINE v16 v16_from_i8(__m128i x)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x));
}

SIMD_INLINE v16 v16_from_f16(__m256i h)
{
	return _mm512_cvtph_ps(h);
}

SIMD_INLINE v16 v16_load_f16(const void *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

SIMD_INLINE void v16_store_f16(void *p, v16 x)
{
	_mm256_storeu_si256(p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

SIMD_INLINE v16 v16_load_bf16(const void *p)
{
	__m512i x = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p));
	return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
}

SIMD_INLINE v16 v16_round(v16 x)
{
	return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x * 2^n for whole n */
SIMD_INLINE v16 v16_scale2(v16 x, v16 n)
{
	return _mm512_scalef_ps(x, n);
}

SIMD_INLINE v16 v16_set1_f16(const uint8_t *p)
{
	short h;
	__builtin_memcpy(&h, p, sizeof(h));
	return _mm512_cvtph_ps(_mm256_set1_epi16(h));
}

/* The number at p in lanes 0 to 7, the one behind it in the others. */
SIMD_INLINE v16 v16_halves_f16(const uint8_t *p)
{
	short h[2];
	__builtin_memcpy(h, p, sizeof(h));
	return _mm512_cvtph_ps(_mm256_set_m128i(_mm_set1_epi16(h[1]), _mm_set1_epi16(h[0])));
}

/* table[index[lane]] */
SIMD_INLINE v16 v16_gather(const float *table, const uint8_t *index)
{
	__m512i i = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)index));
	return _mm512_i32gather_ps(i, table, 4);
}

/* A table of 16 values that nibbles look up: the lowest 4 bits of each 32 count. */
typedef __m512 nib16;

SIMD_INLINE v16 nib_numbers(void)
{
	return _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

/* q * d + m; the product is exact */
SIMD_INLINE nib16 nib_affine(v16 d, v16 m)
{
	return _mm512_fmadd_ps(nib_numbers(), d, m);
}

SIMD_INLINE nib16 nib_centred(v16 d)
{
	return _mm512_mul_ps(_mm512_sub_ps(nib_numbers(), _mm512_set1_ps(8)), d);
}

SIMD_INLINE nib16 nib_levels(v16 levels, v16 d)
{
	return _mm512_mul_ps(levels, d);
}

SIMD_INLINE __m512i nib_bytes(const uint8_t *p)
{
	return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}

SIMD_INLINE v16 nib_low(nib16 t, const uint8_t *p)
{
	return _mm512_permutexvar_ps(nib_bytes(p), t);
}

SIMD_INLINE v16 nib_high(nib16 t, const uint8_t *p)
{
	return _mm512_permutexvar_ps(_mm512_srli_epi32(nib_bytes(p), 4), t);
}

/* 16 bytes: low nibbles, high nibbles */
SIMD_INLINE void nib_halves(nib16 t, const uint8_t *p, v16 out[2])
{
	__m512i q = nib_bytes(p);
	out[0] = _mm512_permutexvar_ps(q, t);
	out[1] = _mm512_permutexvar_ps(_mm512_srli_epi32(q, 4), t);
}

/* 8 bytes of two neighbours each: the byte to both halves of 64 bits, shifted in one of them. */
SIMD_INLINE v16 nib_pairs(nib16 t, const uint8_t *p, bool high_first)
{
	__m512i q = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p));
	if (high_first)
		q = _mm512_or_si512(_mm512_slli_epi64(q, 32), _mm512_srli_epi64(q, 4));
	else
		q = _mm512_or_si512(_mm512_slli_epi64(q, 28), q);
	return _mm512_permutexvar_ps(q, t);
}

/* Two vectors to one: the upper half of each is added to its lower half. */
SIMD_INLINE v16 fold_halves(v16 a, v16 b)
{
	return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}

/* The same inside each half, quarter, eighth of the vectors. */
SIMD_INLINE v16 fold_quarters(v16 a, v16 b)
{
	return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
}

SIMD_INLINE v16 fold_pairs(v16 a, v16 b)
{
	return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xEE));
}

SIMD_INLINE v16 fold_ones(v16 a, v16 b)
{
	return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
}

/* The sums of 16 vectors, one behind the other, in the fixed tree. */
SIMD_INLINE v16 sum_16(const v16 *x)
{
	const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
	v16 q[4]; /* vectors 4j to 4j + 3, four lanes each */
	_Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)
	{
		v16 a = fold_halves(x[4 * j], x[4 * j + 1]), b = fold_halves(x[4 * j + 2], x[4 * j + 3]);
		q[j] = fold_quarters(a, b);
	}
	v16 s = fold_ones(fold_pairs(q[0], q[1]), fold_pairs(q[2], q[3]));
	return _mm512_permutexvar_ps(order, s);
}

/* The sums of n vectors. Reads whole sixteens of vectors and writes as many sums. */
static void sum_lanes(const float *acc, uint32_t n, float *sums)
{
	for (uint32_t i = 0; i < n; i += 16, acc += 256) {
		v16 x[16];
		_Pragma("GCC unroll 16") for (int j = 0; j < 16; j++) x[j] = v16_load(acc + 16 * j);
		v16_store(sums + i, sum_16(x));
	}
}

SIMD_INLINE void score_sums(float *sums, const v16 *x, float scale)
{
	v16_store(sums, _mm512_mul_ps(sum_16(x), _mm512_set1_ps(scale)));
}

#define TILE_X 6
#define TILE_W 4
#define PANEL_W 32
#define PANEL_K 2048
#define ROWS_1 4
#define ROWS_2 2
#define ROWS_3 2
#define ROWS_T 3
#define COLS_T 8
#define SCORE_Q 4
#define SCORE_SUMS 16
#define VALUE_V 4
#define SIMD_NAME "avx512"
#define SIMD_KERNELS kernels_avx512
#include "backend/cpu/simd_decode.h"
#include "backend/cpu/simd_dot.h"
#include "backend/cpu/simd_tile.h"
#include "backend/cpu/simd_ops.h"

#ifdef __clang__
#pragma clang attribute pop
#endif

const struct cpu_kernels *cpu_kernels_avx512(void)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
		cpu_kernels_avx2())
		return &kernels_avx512;
	return NULL;
}

#else

const struct cpu_kernels *cpu_kernels_avx512(void)
{
	return NULL;
}

#endif
