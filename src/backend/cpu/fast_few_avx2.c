/* --math fast for few rows of x on AVX2: groups of 32 weights are unpacked in registers. */
#include "backend/cpu/fast.h"

#if defined(__x86_64__) && defined(__GNUC__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define SIGNED_MIN 0.0f
#define FEW_ROWS 4
#define TOGETHER 2 /* weight rows: two chains of additions */

#include "backend/cpu/fast_codes.h"
#include "backend/cpu/fast_int.h"

/* Sums of products of four neighbours. */
INLINE __m256i dot32(__m256i q, __m256i x, const bool is_signed)
{
	return _mm256_madd_epi16(pairs(q, x, is_signed), _mm256_set1_epi16(1));
}

/* Scales d * dx of an eight of groups to `to`, and the sum of m times sums added to min. */
INLINE __m256 eight_scales(const struct eight *e, const struct rounded *x, size_t block, const unsigned flags,
	float *to, __m256 min)
{
	if (!(flags & HALVES)) {
		_mm256_storeu_ps(to, _mm256_mul_ps(e->d[0], _mm256_loadu_ps(x->d + block * 8)));
		if (HAS_MIN(flags))
			min = _mm256_fmadd_ps(e->m[0], _mm256_loadu_ps(x->s + block * 8), min);
		return min;
	}
#pragma GCC unroll 2
	for (int h = 0; h < 2; h++) {
		__m256 twice = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x->d + block * 8),
			_mm256_add_epi32(_mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0), _mm256_set1_epi32(4 * h)));
		_mm256_storeu_ps(to + 8 * h, _mm256_mul_ps(e->d[h], twice));
		min = _mm256_fmadd_ps(e->m[h], _mm256_loadu_ps(x->h + block * 16 + 8 * h), min);
	}
	return min;
}

/* The scale of group g of an eight, for each of the sums of four elements that dot32 gives. */
INLINE __m256 group_scale(const float *d, uint32_t g, const unsigned flags)
{
	if (!(flags & HALVES))
		return _mm256_broadcast_ss(d + g);
	__m256 pair = _mm256_castpd_ps(_mm256_broadcast_sd((const double *)(const void *)(d + 2 * g)));
	return _mm256_permutevar_ps(pair, _mm256_set_epi32(1, 1, 1, 1, 0, 0, 0, 0));
}

/* What one pair of weight rows and n rows of x have added up to. */
struct few_sums {
	__m256 acc[TOGETHER][FEW_ROWS][2], min[TOGETHER][FEW_ROWS];
};

/* Adds group g of an eight, which is number `at` of the row, to the sums of chain `chain`. */
INLINE void few_group(struct few_sums *s, const struct row *w, const struct rounded *x,
	float (*d)[FEW_ROWS][16], size_t at, uint32_t g, const uint32_t chain, const uint32_t n, const enum dtype t)
{
	const unsigned flags = codes_flags(t);
#pragma GCC unroll 2
	for (uint32_t j = 0; j < TOGETHER; j++) {
		__m256i q = codes_of(&w[j], g, g, t);
#pragma GCC unroll 4
		for (uint32_t i = 0; i < n; i++) {
			__m256i p = dot32(q, load256((const uint8_t *)x[i].q + at * 32), flags & SIGNED);
			s->acc[j][i][chain] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(p), group_scale(d[j][i], g, flags),
				s->acc[j][i][chain]);
		}
	}
}

/* Adds `count` groups, an eight or what is left of a row. */
INLINE void few_eight(struct few_sums *s, struct row *w, const struct rounded *x, size_t block, const uint32_t count,
	const uint32_t n, const enum dtype t)
{
	const unsigned flags = codes_flags(t);
	const uint32_t chains = n == 1 ? 2 : 1; /* of additions, for each sum */
	float d[TOGETHER][FEW_ROWS][16];
#pragma GCC unroll 2
	for (uint32_t j = 0; j < TOGETHER; j++) {
		struct eight e;
		eight_of(&w[j], 0, count, t, &e);
#pragma GCC unroll 4
		for (uint32_t i = 0; i < n; i++)
			s->min[j][i] = eight_scales(&e, &x[i], block, flags, d[j][i], s->min[j][i]);
	}
	if (count == 8) {
#pragma GCC unroll 8
		for (uint32_t g = 0; g < 8; g++)
			few_group(s, w, x, d, block * 8 + g, g, g % chains, n, t);
	} else {
		for (uint32_t g = 0; g < count; g++)
			few_group(s, w, x, d, block * 8 + g, g, 0, n, t);
	}
#pragma GCC unroll 2
	for (uint32_t j = 0; j < TOGETHER; j++)
		row_next(&w[j], t);
}

/* y of n rows of x and `rows` weight rows from r on. */
INLINE void few(const struct call *c, uint32_t r, uint32_t rows, const uint32_t n, const enum dtype t)
{
	const struct matmul *m = c->m;
	const size_t whole = m->k / 256;
	const uint8_t *ahead = (const uint8_t *)m->w + (r + TOGETHER - 1) * c->row_bytes + FETCH_AHEAD;
	struct row w[TOGETHER];
	struct rounded x[FEW_ROWS];
	struct few_sums s;
#pragma GCC unroll 4
	for (uint32_t i = 0; i < n; i++)
		x[i] = rounded_row(c->x, m->k, i);
#pragma GCC unroll 2
	for (uint32_t j = 0; j < TOGETHER; j++) { /* the last row again: not stored */
		row_init(c, &w[j], j < rows ? r + j : r, j);
#pragma GCC unroll 4
		for (uint32_t i = 0; i < n; i++)
			s.acc[j][i][0] = s.acc[j][i][1] = s.min[j][i] = _mm256_setzero_ps();
	}
	for (size_t block = 0; block < whole; block++, ahead += TOGETHER * eight_bytes(t)) {
		fetch(ahead, TOGETHER * eight_bytes(t));
		few_eight(&s, w, x, block, 8, n, t);
	}
	if (m->k % 256)
		few_eight(&s, w, x, whole, m->k / 32 % 8, n, t);
#pragma GCC unroll 2
	for (uint32_t j = 0; j < TOGETHER; j++)
#pragma GCC unroll 4
		for (uint32_t i = 0; i < n && j < rows; i++) {
			__m256 sum = _mm256_add_ps(_mm256_add_ps(s.acc[j][i][0], s.acc[j][i][1]), s.min[j][i]);
			m->y[i * m->ldy + r + j] = sum8(sum) + (m->bias ? m->bias[r + j] : 0.0f);
		}
}

INLINE void few_rows(const struct call *c, uint32_t r, uint32_t rows, const enum dtype t)
{
	switch (c->m->n) {
	case 1:
		few(c, r, rows, 1, t);
		return;
	case 2:
		few(c, r, rows, 2, t);
		return;
	case 3:
		few(c, r, rows, 3, t);
		return;
	default:
		few(c, r, rows, FEW_ROWS, t);
	}
}

#define FEW(name, t)                                                                    \
	static void few_##name(const struct call *c, uint32_t r, uint32_t rows)         \
	{                                                                               \
		few_rows(c, r, rows, t);                                                \
	}
#define FEW_ENTRY(name, t) [t] = few_##name,

INT_FORMATS(FEW)

static int_fn *const few_formats[DTYPE_COUNT] = {INT_FORMATS(FEW_ENTRY)};

static bool few_takes(const struct matmul *m)
{
	return m->n <= FEW_ROWS && int_format(m) && call_bytes(m) <= CPU_SCRATCH_BYTES;
}

static void few_matmul(const struct matmul *m, const uint8_t *x, uint32_t r0, uint32_t r1, float *scratch,
	const struct cpu_kernels *kernels)
{
	(void)kernels;
	const struct call c = call_of(m, x, scratch);
	for (uint32_t r = r0; r < r1; r += TOGETHER)
		few_formats[m->dtype](&c, r, r1 - r < TOGETHER ? r1 - r : TOGETHER);
}

static const struct cpu_fast fast = {few_takes, int_row_bytes, 1, int_round, few_matmul};

#ifdef __clang__
#pragma clang attribute pop
#endif

const struct cpu_fast *cpu_fast_few_avx2(void)
{
	return cpu_kernels_avx2() ? &fast : NULL;
}

#else

const struct cpu_fast *cpu_fast_few_avx2(void)
{
	return NULL;
}

#endif
