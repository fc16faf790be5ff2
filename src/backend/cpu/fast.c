/* --math fast on AVX-512 with VNNI: activations are rounded to 8 bits, a scale for each 32 of them, and
 * multiplied with the integers of low-bit weights as they lie. A group of 32 weights is w = d * q + m with
 * q in 0..255, so a dot product is the sum over groups of d * dx * (q . xq) + m * dx * (sum of xq).
 *
 * Few rows of x: weights are unpacked in registers. Many rows: 16 weight rows are unpacked into a tile,
 * four bytes of each beside each other, so that a vector's lanes are weight rows. The two add in different
 * orders: here the bits depend on the number of rows. */
#include "backend/cpu/fast.h"

#if defined(__x86_64__) && defined(__GNUC__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")
#endif
#include <immintrin.h>

#include "quant/codecs.h"

#define INLINE static inline __attribute__((always_inline))
#define FEW_ROWS 4
#define TILE_ROWS 16
#define TILE_X 6
#define GROUP_BYTES (32 * TILE_ROWS + 2 * TILE_ROWS * 4) /* of a tile: codes, d, m */

/* --- activations ------------------------------------------------------------------- */

static void fast_round(const struct matmul *m, const struct fast_x *to, uint32_t i)
{
	const float *x = m->x + i * m->ldx;
	int8_t *q = to->q + i * to->ldq;
	for (size_t g = 0; g < m->k / 32; g++, x += 32, q += 32) {
		__m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
		float top = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
		__m512 inv = _mm512_set1_ps(top > 0 ? 127 / top : 0);
		__m512i u = _mm512_cvtps_epi32(_mm512_mul_ps(a, inv));
		__m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(b, inv));
		float d = top / 127;
		_mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtsepi32_epi8(u));
		_mm_storeu_si128((__m128i *)(void *)(q + 16), _mm512_cvtsepi32_epi8(v));
		to->d[i * to->ldd + g] = d;
		to->s[i * to->ldd + g] = d * (float)_mm512_reduce_add_epi32(_mm512_add_epi32(u, v));
	}
}

/* --- weights: group g of a row ------------------------------------------------------- */

struct group {
	__m256i q; /* 0 .. 255 */
	float d, m;
};

struct row {
	const uint8_t *p;
	float d[16]; /* formats of 256 elements: 8 scales, 8 negative minima; i8: the row's */
};

INLINE float f16_at(const uint8_t *p)
{
	return _cvtsh_ss(load16(p));
}

INLINE __m128i load128(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

INLINE __m256i load256(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* Low nibbles of 16 bytes, then the high ones. */
INLINE __m256i nibbles(const uint8_t *p)
{
	__m256i x = _mm256_broadcastsi128_si256(load128(p));
	x = _mm256_srlv_epi64(x, _mm256_set_epi64x(4, 4, 0, 0));
	return _mm256_and_si256(x, _mm256_set1_epi8(15));
}

INLINE struct group group_q4_0(struct row *r, size_t g)
{
	const uint8_t *b = r->p + g * 18;
	float d = f16_at(b);
	return (struct group){nibbles(b + 2), d, -8 * d};
}

INLINE struct group group_q4_1(struct row *r, size_t g)
{
	const uint8_t *b = r->p + g * 20;
	return (struct group){nibbles(b + 4), f16_at(b), f16_at(b + 2)};
}

INLINE struct group group_iq4_nl(struct row *r, size_t g)
{
	const uint8_t *b = r->p + g * 18;
	__m256i levels = _mm256_broadcastsi128_si256(load128((const uint8_t *)iq4_levels));
	float d = f16_at(b);
	levels = _mm256_xor_si256(levels, _mm256_set1_epi8((char)0x80));
	return (struct group){_mm256_shuffle_epi8(levels, nibbles(b + 2)), d, -128 * d};
}

INLINE struct group group_q8_0(struct row *r, size_t g)
{
	const uint8_t *b = r->p + g * 34;
	float d = f16_at(b);
	return (struct group){_mm256_xor_si256(load256(b + 2), _mm256_set1_epi8((char)0x80)), d, -128 * d};
}

INLINE struct group group_i8(struct row *r, size_t g)
{
	__m256i q = _mm256_xor_si256(load256(r->p + g * 32), _mm256_set1_epi8((char)0x80));
	return (struct group){q, r->d[0], -128 * r->d[0]};
}

/* Scales and minima of a block of 256, as in quant/blocks256.c. */
INLINE void scales_k(struct row *r, const uint8_t *b)
{
	uint32_t a[3];
	__builtin_memcpy(a, b + 4, 12);
	__m128i x = _mm_set_epi32((int)((a[2] >> 4 & 0x0F0F0F0F) | (a[1] >> 6 & 0x03030303) << 4),
		(int)(a[1] & 0x3F3F3F3F), (int)((a[2] & 0x0F0F0F0F) | (a[0] >> 6 & 0x03030303) << 4),
		(int)(a[0] & 0x3F3F3F3F));
	__m512 d = _mm512_insertf32x8(_mm512_set1_ps(f16_at(b)), _mm256_set1_ps(-f16_at(b + 2)), 1);
	_mm512_storeu_ps(r->d, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(x)), d));
}

INLINE struct group group_q4_k(struct row *r, size_t g)
{
	const uint8_t *b = r->p + g / 8 * 144;
	if (g % 8 == 0)
		scales_k(r, b);
	__m256i q = load256(b + 16 + g % 8 / 2 * 32);
	q = _mm256_and_si256(g % 2 ? _mm256_srli_epi16(q, 4) : q, _mm256_set1_epi8(15));
	return (struct group){q, r->d[g % 8], r->d[8 + g % 8]};
}

INLINE struct group group_q5_k(struct row *r, size_t g)
{
	const uint8_t *b = r->p + g / 8 * 176;
	if (g % 8 == 0)
		scales_k(r, b);
	__m256i q = load256(b + 48 + g % 8 / 2 * 32), bit = _mm256_set1_epi8((char)(1 << g % 8));
	q = _mm256_and_si256(g % 2 ? _mm256_srli_epi16(q, 4) : q, _mm256_set1_epi8(15));
	__mmask32 fifth = _mm256_test_epi8_mask(load256(b + 16), bit);
	q = _mm256_or_si256(q, _mm256_maskz_set1_epi8(fifth, 16));
	return (struct group){q, r->d[g % 8], r->d[8 + g % 8]};
}

INLINE void row_init(struct row *r, const struct matmul *m, uint32_t at, size_t row_bytes)
{
	r->p = (const uint8_t *)m->w + at * row_bytes;
	if (m->scales.how)
		r->d[0] = scale_get(&m->scales, scale_index(m->scales.how, m->row0 + at, 0, m->k));
}

/* --- products -------------------------------------------------------------------------- */

struct call {
	const struct matmul *m;
	const struct fast_x *x;
	size_t row_bytes, group_bytes;
	size_t ahead; /* bytes from what is multiplied to what is fetched into the cache */
	uint8_t *tile; /* [k / 32] groups of GROUP_BYTES */
};

/* 8 x 8 words, transposed, to places 64 bytes apart. */
INLINE void transpose_to(uint8_t *to, __m256i q[8])
{
	__m256i a[8], b[8];
	for (int i = 0; i < 8; i += 2) {
		a[i] = _mm256_unpacklo_epi32(q[i], q[i + 1]);
		a[i + 1] = _mm256_unpackhi_epi32(q[i], q[i + 1]);
	}
	for (int i = 0; i < 8; i += 4) {
		b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
		b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
		b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
		b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
	}
	for (int i = 0; i < 4; i++) {
		_mm256_storeu_si256((__m256i *)(void *)(to + i * 64), _mm256_permute2x128_si256(b[i], b[i + 4], 0x20));
		_mm256_storeu_si256((__m256i *)(void *)(to + (i + 4) * 64),
			_mm256_permute2x128_si256(b[i], b[i + 4], 0x31));
	}
}

/* y of `n` rows of x and the tile's `rows` weight rows from r on. */
INLINE void tile_rows(const struct call *c, uint32_t i, uint32_t r, uint32_t rows, const uint32_t n)
{
	const struct matmul *m = c->m;
	const struct fast_x *x = c->x;
	const int8_t *q = x->q + i * x->ldq;
	__m512 acc[TILE_X];
#pragma GCC unroll 8
	for (uint32_t j = 0; j < n; j++)
		acc[j] = _mm512_setzero_ps();
	for (size_t g = 0; g < m->k / 32; g++, q += 32) {
		const uint8_t *t = c->tile + g * GROUP_BYTES;
		__m512i s[TILE_X];
#pragma GCC unroll 8
		for (uint32_t j = 0; j < n; j++)
			s[j] = _mm512_setzero_si512();
#pragma GCC unroll 8
		for (uint32_t e = 0; e < 8; e++) {
			__m512i w = _mm512_loadu_si512(t + e * 64);
#pragma GCC unroll 8
			for (uint32_t j = 0; j < n; j++) {
				int four;
				__builtin_memcpy(&four, q + j * x->ldq + e * 4, 4);
				s[j] = _mm512_dpbusd_epi32(s[j], w, _mm512_set1_epi32(four));
			}
		}
		__m512 d = _mm512_loadu_ps(t + 512), min = _mm512_loadu_ps(t + 576);
#pragma GCC unroll 8
		for (uint32_t j = 0; j < n; j++) {
			size_t at = (i + j) * x->ldd + g;
			__m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x->d[at]));
			acc[j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s[j]), scale, acc[j]);
			acc[j] = _mm512_fmadd_ps(min, _mm512_set1_ps(x->s[at]), acc[j]);
		}
	}
	__mmask16 mask = (__mmask16)((1u << rows) - 1);
	__m512 bias = m->bias ? _mm512_maskz_loadu_ps(mask, m->bias + r) : _mm512_setzero_ps();
#pragma GCC unroll 8
	for (uint32_t j = 0; j < n; j++)
		_mm512_mask_storeu_ps(m->y + (i + j) * m->ldy + r, mask, _mm512_add_ps(acc[j], bias));
}

static void tile_all(const struct call *c, uint32_t r, uint32_t rows)
{
	uint32_t i = 0, n = c->m->n;
	for (; i + TILE_X <= n; i += TILE_X)
		tile_rows(c, i, r, rows, TILE_X);
	for (; i + 3 <= n; i += 3)
		tile_rows(c, i, r, rows, 3);
	for (; i < n; i++)
		tile_rows(c, i, r, rows, 1);
}

#define GROUPS_TOGETHER 2 /* weight rows of few_...: two chains of additions */

/* Functions of a format. */
#define FORMAT(name)                                                                              \
	INLINE void few_##name(const struct call *c, uint32_t r, uint32_t rows, const uint32_t n) \
	{                                                                                         \
		const struct matmul *m = c->m;                                                    \
		const struct fast_x *x = c->x;                                                    \
		struct row w[GROUPS_TOGETHER];                                                    \
		__m256 acc[GROUPS_TOGETHER][FEW_ROWS];                                            \
		float min[GROUPS_TOGETHER][FEW_ROWS] = {{0}};                                     \
		for (uint32_t j = 0; j < GROUPS_TOGETHER; j++)                                    \
			row_init(&w[j], m, j < rows ? r + j : r, c->row_bytes);                   \
		for (uint32_t j = 0; j < GROUPS_TOGETHER; j++)                                    \
			for (uint32_t i = 0; i < n; i++)                                          \
				acc[j][i] = _mm256_setzero_ps();                                  \
		_Pragma("GCC unroll 8") for (size_t g = 0; g < m->k / 32; g++) {                  \
			_mm_prefetch((const char *)w[0].p + c->ahead + g * GROUPS_TOGETHER * c->group_bytes, \
				_MM_HINT_T0);                                                     \
			_Pragma("GCC unroll 2") for (uint32_t j = 0; j < GROUPS_TOGETHER; j++) {  \
				struct group q = group_##name(&w[j], g);                          \
				_Pragma("GCC unroll 4") for (uint32_t i = 0; i < n; i++) {        \
					const int8_t *xq = x->q + i * x->ldq + g * 32;            \
					__m256i s = _mm256_dpbusd_epi32(_mm256_setzero_si256(), q.q, \
						load256((const uint8_t *)xq));                    \
					__m256 d = _mm256_set1_ps(q.d * x->d[i * x->ldd + g]);    \
					acc[j][i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), d, acc[j][i]); \
					min[j][i] += q.m * x->s[i * x->ldd + g];                  \
				}                                                                 \
			}                                                                         \
		}                                                                                 \
		for (uint32_t j = 0; j < rows; j++)                                               \
			for (uint32_t i = 0; i < n; i++)                                          \
				m->y[i * m->ldy + r + j] = sum8(acc[j][i]) + min[j][i] +          \
					(m->bias ? m->bias[r + j] : 0.0f);                        \
	}                                                                                         \
	static void dot_##name(const struct call *c, uint32_t r, uint32_t rows)                   \
	{                                                                                         \
		switch (c->m->n) {                                                                \
		case 1:                                                                           \
			few_##name(c, r, rows, 1);                                                \
			return;                                                                   \
		case 2:                                                                           \
			few_##name(c, r, rows, 2);                                                \
			return;                                                                   \
		case 3:                                                                           \
			few_##name(c, r, rows, 3);                                                \
			return;                                                                   \
		default:                                                                          \
			few_##name(c, r, rows, FEW_ROWS);                                         \
		}                                                                                 \
	}                                                                                         \
	static void unpack_##name(const struct call *c, uint32_t r, uint32_t rows)                \
	{                                                                                         \
		for (uint32_t j = 0; j < TILE_ROWS; j += 8) {                                     \
			struct row w[8];                                                          \
			for (uint32_t i = 0; i < 8; i++) /* the last row again: not stored */     \
				row_init(&w[i], c->m, r + (j + i < rows ? j + i : rows - 1), c->row_bytes); \
			for (size_t g = 0; g < c->m->k / 32; g++) {                               \
				uint8_t *t = c->tile + g * GROUP_BYTES;                           \
				float *d = (float *)(void *)(t + 512), *min = d + TILE_ROWS;      \
				__m256i q[8];                                                     \
				for (uint32_t i = 0; i < 8; i++) {                                \
					struct group v = group_##name(&w[i], g);                  \
					q[i] = v.q, d[j + i] = v.d, min[j + i] = v.m;             \
				}                                                                 \
				transpose_to(t + j * 4, q);                                       \
			}                                                                         \
		}                                                                                 \
	}

INLINE float sum8(__m256 t)
{
	__m128 u = _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
	u = _mm_add_ps(u, _mm_movehl_ps(u, u));
	return _mm_cvtss_f32(_mm_add_ss(u, _mm_movehdup_ps(u)));
}

FORMAT(q4_0)
FORMAT(q4_1)
FORMAT(q8_0)
FORMAT(iq4_nl)
FORMAT(q4_k)
FORMAT(q5_k)
FORMAT(i8)

static const struct {
	void (*dot)(const struct call *c, uint32_t r, uint32_t rows);
	void (*unpack)(const struct call *c, uint32_t r, uint32_t rows);
} formats[DTYPE_COUNT] = {
	[DTYPE_Q4_0] = {dot_q4_0, unpack_q4_0}, [DTYPE_Q4_1] = {dot_q4_1, unpack_q4_1},
	[DTYPE_Q8_0] = {dot_q8_0, unpack_q8_0}, [DTYPE_IQ4_NL] = {dot_iq4_nl, unpack_iq4_nl},
	[DTYPE_Q4_K] = {dot_q4_k, unpack_q4_k}, [DTYPE_Q5_K] = {dot_q5_k, unpack_q5_k},
	[DTYPE_I8] = {dot_i8, unpack_i8},
};

/* Formats in whole groups of 32; i8 only with one scale a row. */
static bool fast_takes(const struct matmul *m)
{
	const struct scaling *how = m->scales.how;
	if (!formats[m->dtype].dot || m->transposed || m->k % 32 || !m->k ||
		m->k / 32 * GROUP_BYTES > CPU_SCRATCH_BYTES)
		return false;
	return m->dtype == DTYPE_I8 ? how && !how->flat && how->group_cols >= m->k : !how;
}

static void fast_matmul(const struct matmul *m, const struct fast_x *x, uint32_t r0, uint32_t r1, float *scratch)
{
	const struct dtype_info *info = dtype_info(m->dtype);
	const size_t row_bytes = (size_t)(m->k / info->block) * info->block_bytes;
	struct call c = {m, x, row_bytes, row_bytes / (m->k / 32), GROUPS_TOGETHER * row_bytes,
		(uint8_t *)scratch};
	const uint32_t step = m->n <= FEW_ROWS ? GROUPS_TOGETHER : TILE_ROWS;
	for (uint32_t r = r0; r < r1; r += step) {
		uint32_t rows = r1 - r < step ? r1 - r : step;
		if (m->n <= FEW_ROWS) {
			formats[m->dtype].dot(&c, r, rows);
		} else {
			formats[m->dtype].unpack(&c, r, rows);
			tile_all(&c, r, rows);
		}
	}
}

static const struct cpu_fast fast = {"avx512-fast", fast_takes, fast_round, fast_matmul};

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
