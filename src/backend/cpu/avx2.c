/* The AVX2 variant: 16 lanes are two registers. What is done with them is in the simd_*.h, which the
 * AVX-512 variant shares. */
#include <string.h>

#include "backend/cpu/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#include <cpuid.h>
#include <immintrin.h>

#define SIMD_INLINE static inline __attribute__((always_inline))

typedef struct {
	__m256 a, b; /* lanes 0-7, 8-15 */
} v16;

#define V16_EACH(a_expr, b_expr) ((v16){(a_expr), (b_expr)})

SIMD_INLINE v16 v16_set1(float f)
{
	return V16_EACH(_mm256_set1_ps(f), _mm256_set1_ps(f));
}

SIMD_INLINE v16 v16_load(const float *p)
{
	return V16_EACH(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
}

SIMD_INLINE void v16_store(float *p, v16 x)
{
	_mm256_storeu_ps(p, x.a);
	_mm256_storeu_ps(p + 8, x.b);
}

SIMD_INLINE v16 v16_add(v16 x, v16 y)
{
	return V16_EACH(_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b));
}

SIMD_INLINE v16 v16_sub(v16 x, v16 y)
{
	return V16_EACH(_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b));
}

SIMD_INLINE v16 v16_mul(v16 x, v16 y)
{
	return V16_EACH(_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b));
}

SIMD_INLINE v16 v16_div(v16 x, v16 y)
{
	return V16_EACH(_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b));
}

/* y where one of them is not a number */
SIMD_INLINE v16 v16_max(v16 x, v16 y)
{
	return V16_EACH(_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b));
}

SIMD_INLINE v16 v16_min(v16 x, v16 y)
{
	return V16_EACH(_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b));
}

/* x * y + z, rounded once */
SIMD_INLINE v16 v16_fma(v16 x, v16 y, v16 z)
{
	return V16_EACH(_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b));
}

/* The fixed tree: +8, +4, +2, +1. */
SIMD_INLINE float v16_sum(v16 x)
{
	__m256 t = _mm256_add_ps(x.a, x.b);
	__m128 u = _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
	u = _mm_add_ps(u, _mm_movehl_ps(u, u));
	return _mm_cvtss_f32(_mm_add_ss(u, _mm_movehdup_ps(u)));
}

SIMD_INLINE float v16_top(v16 x)
{
	__m256 t = _mm256_max_ps(x.a, x.b);
	__m128 u = _mm_max_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
	u = _mm_max_ps(u, _mm_movehl_ps(u, u));
	return _mm_cvtss_f32(_mm_max_ss(u, _mm_movehdup_ps(u)));
}

SIMD_INLINE v16 v16_from_i8(__m128i x)
{
	return V16_EACH(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)),
		_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(x, 8))));
}

SIMD_INLINE v16 v16_load_f16(const void *p)
{
	const __m128i *q = p;
	return V16_EACH(_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1)));
}

SIMD_INLINE void v16_store_f16(void *p, v16 x)
{
	__m128i *q = p;
	_mm_storeu_si128(q, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
	_mm_storeu_si128(q + 1, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}

SIMD_INLINE __m256 widen_bf16(__m128i x)
{
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}

SIMD_INLINE v16 v16_load_bf16(const void *p)
{
	const __m128i *q = p;
	return V16_EACH(widen_bf16(_mm_loadu_si128(q)), widen_bf16(_mm_loadu_si128(q + 1)));
}

SIMD_INLINE v16 v16_round(v16 x)
{
	return V16_EACH(_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
		_mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* x * 2^n for whole n in [-152, 128], in two factors so that none overflows. */
SIMD_INLINE __m256 scale2(__m256 x, __m256 n)
{
	__m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1);
	__m256i bias = _mm256_set1_epi32(127), rest = _mm256_sub_epi32(i, half);
	x = _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
	return _mm256_mul_ps(x,
		_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
}

SIMD_INLINE v16 v16_scale2(v16 x, v16 n)
{
	return V16_EACH(scale2(x.a, n.a), scale2(x.b, n.b));
}

SIMD_INLINE v16 v16_load_any(const void *p)
{
	const __m256i *q = p;
	return V16_EACH(_mm256_castsi256_ps(_mm256_loadu_si256(q)),
		_mm256_castsi256_ps(_mm256_loadu_si256(q + 1)));
}

/* n < 16 elements; zeros behind them. */
SIMD_INLINE v16 v16_load_n(const float *p, size_t n)
{
	float t[16] = {0};
	memcpy(t, p, n * sizeof(float));
	return v16_load(t);
}

SIMD_INLINE void v16_store_n(float *p, v16 x, size_t n)
{
	float t[16];
	v16_store(t, x);
	memcpy(p, t, n * sizeof(float));
}

SIMD_INLINE v16 v16_from_f16(__m256i h)
{
	return V16_EACH(_mm256_cvtph_ps(_mm256_castsi256_si128(h)),
		_mm256_cvtph_ps(_mm256_extracti128_si256(h, 1)));
}

SIMD_INLINE __m256 set1_f16(const uint8_t *p)
{
	short h;
	memcpy(&h, p, sizeof(h));
	return _mm256_cvtph_ps(_mm_set1_epi16(h));
}

SIMD_INLINE v16 v16_set1_f16(const uint8_t *p)
{
	__m256 d = set1_f16(p);
	return V16_EACH(d, d);
}

/* The number at p in lanes 0 to 7, the one behind it in the others. */
SIMD_INLINE v16 v16_halves_f16(const uint8_t *p)
{
	return V16_EACH(set1_f16(p), set1_f16(p + 2));
}

/* table[index[lane]] */
SIMD_INLINE v16 v16_gather(const float *table, const uint8_t *index)
{
	float t[16];
	for (int i = 0; i < 16; i++)
		t[i] = table[index[i]];
	return v16_load(t);
}

/* What 16 nibbles stand for: q * a + b, (q - 8) * a, or entry q of the table a. */
enum nib_kind { NIB_AFFINE, NIB_CENTRED, NIB_TABLE };

typedef struct {
	enum nib_kind kind; /* a constant where it is used */
	v16 a, b;
} nib16;

SIMD_INLINE nib16 nib_affine(v16 d, v16 m)
{
	return (nib16){NIB_AFFINE, d, m};
}

SIMD_INLINE nib16 nib_centred(v16 d)
{
	return (nib16){NIB_CENTRED, d, d};
}

SIMD_INLINE nib16 nib_levels(v16 levels, v16 d)
{
	return (nib16){NIB_TABLE, v16_mul(levels, d), d};
}

SIMD_INLINE __m256 lookup(v16 table, __m128i q)
{
	__m256i i = _mm256_cvtepu8_epi32(q);
	__m256 lo = _mm256_permutevar8x32_ps(table.a, i), hi = _mm256_permutevar8x32_ps(table.b, i);
	return _mm256_blendv_ps(lo, hi, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}

/* q: a nibble a byte */
SIMD_INLINE v16 nib_value(nib16 t, __m128i q)
{
	if (t.kind == NIB_TABLE)
		return V16_EACH(lookup(t.a, q), lookup(t.a, _mm_srli_si128(q, 8)));
	if (t.kind == NIB_CENTRED)
		return v16_mul(v16_from_i8(_mm_sub_epi8(q, _mm_set1_epi8(8))), t.a);
	return v16_fma(v16_from_i8(q), t.a, t.b); /* the product is exact */
}

SIMD_INLINE v16 nib_low(nib16 t, const uint8_t *p)
{
	__m128i q = _mm_loadu_si128((const __m128i *)(const void *)p);
	return nib_value(t, _mm_and_si128(q, _mm_set1_epi8(15)));
}

SIMD_INLINE v16 nib_high(nib16 t, const uint8_t *p)
{
	__m128i q = _mm_loadu_si128((const __m128i *)(const void *)p);
	return nib_value(t, _mm_and_si128(_mm_srli_epi16(q, 4), _mm_set1_epi8(15)));
}

/* 16 bytes: low nibbles, high nibbles */
SIMD_INLINE void nib_halves(nib16 t, const uint8_t *p, v16 out[2])
{
	out[0] = nib_low(t, p);
	out[1] = nib_high(t, p);
}

/* 8 bytes of two neighbours each */
SIMD_INLINE v16 nib_pairs(nib16 t, const uint8_t *p, bool high_first)
{
	__m128i q = _mm_loadl_epi64((const __m128i *)(const void *)p), low = _mm_set1_epi8(15);
	__m128i l = _mm_and_si128(q, low), h = _mm_and_si128(_mm_srli_epi16(q, 4), low);
	return nib_value(t, high_first ? _mm_unpacklo_epi8(h, l) : _mm_unpacklo_epi8(l, h));
}

/* Quarters of two vectors, one behind the other. */
SIMD_INLINE __m256 sum_quarters(v16 x, v16 y)
{
	__m256 a = _mm256_add_ps(x.a, x.b), b = _mm256_add_ps(y.a, y.b);
	return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}

/* The sums of 4 vectors, one behind the other, in the fixed tree. */
SIMD_INLINE __m128 sum_4(const v16 *x)
{
	__m256 a = sum_quarters(x[0], x[1]), b = sum_quarters(x[2], x[3]);
	__m256 pairs = _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xEE));
	__m128 low = _mm256_castps256_ps128(pairs), high = _mm256_extractf128_ps(pairs, 1); /* 0 2, 1 3 */
	__m128 s = _mm_add_ps(_mm_shuffle_ps(low, high, 0x88), _mm_shuffle_ps(low, high, 0xDD));
	return _mm_shuffle_ps(s, s, 0xD8);
}

/* The sums of n vectors. Reads whole fours of vectors and writes as many sums. */
static void sum_lanes(const float *acc, uint32_t n, float *sums)
{
	for (uint32_t i = 0; i < n; i += 4, acc += 64) {
		const v16 x[4] = {v16_load(acc), v16_load(acc + 16), v16_load(acc + 32), v16_load(acc + 48)};
		_mm_storeu_ps(sums + i, sum_4(x));
	}
}

SIMD_INLINE void score_sums(float *sums, const v16 *x, float scale)
{
	_mm_storeu_ps(sums, _mm_mul_ps(sum_4(x), _mm_set1_ps(scale)));
}

/* acc[i][r] += x[i] * w[r] for TILE_X rows of x and TILE_W of w over `steps` times 16 elements: 12
 * registers of sums, two of x, one of w. */
#define TILE_KERNEL
#define TILE_X 2
#define TILE_W 3

/* One load for both uses: compilers rather repeat the load than take a register. */
#define LOAD_ONCE(v, p)                                                                           \
	do {                                                                                      \
		(v) = _mm256_loadu_ps(p);                                                         \
		__asm__("" : "+x"(v));                                                            \
	} while (0)

#define HALF_STEP(o, s0, s1, s2, s3, s4, s5)                                                      \
	do {                                                                                      \
		__m256 p = _mm256_loadu_ps(x0 + (o)), q = _mm256_loadu_ps(x1 + (o)), v;           \
		LOAD_ONCE(v, w0 + (o));                                                           \
		s0 = _mm256_fmadd_ps(p, v, s0);                                                   \
		s3 = _mm256_fmadd_ps(q, v, s3);                                                   \
		LOAD_ONCE(v, w1 + (o));                                                           \
		s1 = _mm256_fmadd_ps(p, v, s1);                                                   \
		s4 = _mm256_fmadd_ps(q, v, s4);                                                   \
		LOAD_ONCE(v, w2 + (o));                                                           \
		s2 = _mm256_fmadd_ps(p, v, s2);                                                   \
		s5 = _mm256_fmadd_ps(q, v, s5);                                                   \
	} while (0)

static void tile_kernel(const float *x0, size_t ldx, const float *w0, size_t ldw, size_t steps,
	float *acc, size_t lda)
{
	const float *x1 = x0 + ldx, *w1 = w0 + ldw, *w2 = w1 + ldw;
	float *acc1 = acc + lda;
	v16 a0 = v16_load(acc), a1 = v16_load(acc + 16), a2 = v16_load(acc + 32);
	v16 a3 = v16_load(acc1), a4 = v16_load(acc1 + 16), a5 = v16_load(acc1 + 32);
	for (; steps; steps--, x0 += 16, x1 += 16, w0 += 16, w1 += 16, w2 += 16) {
		HALF_STEP(0, a0.a, a1.a, a2.a, a3.a, a4.a, a5.a);
		HALF_STEP(8, a0.b, a1.b, a2.b, a3.b, a4.b, a5.b);
	}
	v16_store(acc, a0), v16_store(acc + 16, a1), v16_store(acc + 32, a2);
	v16_store(acc1, a3), v16_store(acc1 + 16, a4), v16_store(acc1 + 32, a5);
}

#define PANEL_W 24
#define PANEL_K 768
#define ROWS_1 4
#define ROWS_2 2
#define ROWS_3 1
#define ROWS_T 1
#define COLS_T 4
#define SCORE_Q 2
#define SCORE_SUMS 4
#define VALUE_V 1
#define SIMD_NAME "avx2"
#define SIMD_KERNELS kernels_avx2
#include "backend/cpu/simd_decode.h"
#include "backend/cpu/simd_dot.h"
#include "backend/cpu/simd_tile.h"
#include "backend/cpu/simd_ops.h"

#ifdef __clang__
#pragma clang attribute pop
#endif

const struct cpu_kernels *cpu_kernels_avx2(void)
{
	unsigned a, b, c, d;
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
		return NULL;
	/* clang 14 does not take "f16c" there */
	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C ? &kernels_avx2 : NULL;
}

#else

const struct cpu_kernels *cpu_kernels_avx2(void)
{
	return NULL;
}

#endif
