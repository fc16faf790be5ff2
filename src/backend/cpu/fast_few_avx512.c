/* --math fast for few rows of x on AVX-512 with VNNI: half an eight of groups, 128 weights, is unpacked into two
 * vectors, in the order that is cheapest for its format; a vector's sums get their scales at once. */
#include "backend/cpu/fast.h"

#if defined(__x86_64__) && defined(__GNUC__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")
#endif
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define SIGNED_MIN (-128.0f) /* signed codes are taken 128 too high */
#define FEW_ROWS 8
#define SIDE_MAX 4 /* weight rows side by side */

#include "backend/cpu/fast_codes.h"
#include "backend/cpu/fast_int.h"

_Static_assert(SIDE_MAX <= ROWS_READY, "rows");

enum order { /* of the groups of half an eight in two vectors */
	IN_ORDER,    /* 0 1, 2 3 */
	EVEN_ODD,    /* 0 2, 1 3 */
	HALF_GROUPS, /* the first halves of all, the second ones */
};

INLINE enum order order_of(const enum dtype t)
{
	switch (t) {
	case DTYPE_Q4_K:
	case DTYPE_Q5_K:
		return EVEN_ODD;
	case DTYPE_Q8_0:
	case DTYPE_Q2_K:
	case DTYPE_Q3_K:
	case DTYPE_Q6_K:
	case DTYPE_I8:
	case DTYPE_E2M1:
		return IN_ORDER;
	default:
		return HALF_GROUPS;
	}
}

/* --- codes -------------------------------------------------------------------------- */

INLINE __m512i load512(const void *p)
{
	return _mm512_loadu_si512(p);
}

INLINE __m512i twice256(const uint8_t *p)
{
	return _mm512_broadcast_i64x4(load256(p));
}

INLINE __m512i pair256(const uint8_t *p, const size_t stride)
{
	return _mm512_inserti64x4(_mm512_castsi256_si512(load256(p)), load256(p + stride), 1);
}

INLINE __m512i four128(const uint8_t *p, const size_t stride)
{
	__m512i x = _mm512_castsi128_si512(load128(p));
	x = _mm512_inserti32x4(x, load128(p + stride), 1);
	x = _mm512_inserti32x4(x, load128(p + 2 * stride), 2);
	return _mm512_inserti32x4(x, load128(p + 3 * stride), 3);
}

INLINE __m512i masked(__m512i x, const char mask)
{
	return _mm512_and_si512(x, _mm512_set1_epi8(mask));
}

/* low, and the bits of `mask` from x. */
INLINE __m512i with_bits(__m512i low, __m512i x, const char mask)
{
	return _mm512_ternarylogic_epi64(x, _mm512_set1_epi8(mask), low, 0xEA);
}

/* The bits of each byte of x from bit from0 on, in the vector's upper half from from1 on, are moved to bit `to`;
 * what comes over from other bytes is for the caller to mask. */
INLINE __m512i moved(__m512i x, const int from0, const int from1, const int to)
{
	const long long a = (to - from0) & 63, b = (to - from1) & 63;
	return _mm512_rolv_epi64(x, _mm512_set_epi64(b, b, b, b, a, a, a, a));
}

INLINE void nibbles512(__m512i x, __m512i q[2])
{
	q[0] = masked(x, 15);
	q[1] = masked(_mm512_srli_epi16(x, 4), 15);
}

/* Levels of codes, 128 too high. */
INLINE __m512i raised(const int8_t levels[16], __m512i q)
{
	__m128i table = _mm_xor_si128(load128((const uint8_t *)levels), _mm_set1_epi8((char)0x80));
	return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), q);
}

/* The fifth bits of four groups: a word each, `stride` bytes apart. */
INLINE void fifths(const uint8_t *p, const size_t stride, __m512i q[2])
{
	uint64_t low = 0, high = 0;
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		low |= (uint64_t)load16(p + (size_t)i * stride) << 16 * i;
		high |= (uint64_t)load16(p + (size_t)i * stride + 2) << 16 * i;
	}
	q[0] = _mm512_mask_add_epi8(q[0], low, q[0], _mm512_set1_epi8(16));
	q[1] = _mm512_mask_add_epi8(q[1], high, q[1], _mm512_set1_epi8(16));
}

/* Vector e of the 128 weights from group g of an eight at b on; of Q5_K their fifth bits. */
INLINE __m512i codes64(const uint8_t *b, const int g, const int e, const enum dtype t)
{
	const __m512i top = _mm512_set1_epi8((char)0x80);
	const uint8_t *low = b + 16 + g * 8; /* of Q2_K */
	__m512i x;
	switch (t) {
	case DTYPE_Q8_0:
		return _mm512_xor_si512(pair256(b + (g + 2 * e) * 34 + 2, 34), top);
	case DTYPE_I8:
		return _mm512_xor_si512(load512(b + (g + 2 * e) * 32), top);
	case DTYPE_E2M1:
		x = _mm512_cvtepu8_epi16(load256(b + (g + 2 * e) * 16));
		return raised(e2m1_twice, masked(_mm512_or_si512(x, _mm512_slli_epi16(x, 4)), 15));
	case DTYPE_Q2_K:
		return masked(moved(twice256(low), 4 * e, 4 * e + 2, 0), 3);
	case DTYPE_Q3_K:
		return with_bits(masked(moved(twice256(low + 16), 4 * e, 4 * e + 2, 0), 3),
			moved(twice256(b), g + 2 * e, g + 2 * e + 1, 2), 4);
	default: /* Q5_K: groups e and e + 2 */
		return moved(twice256(b + 16), g + e, g + e + 2, 4);
	}
}

/* The 128 weights from group g (0 or 4) of an eight at b on. */
INLINE void codes128(const uint8_t *b, const int g, const enum dtype t, __m512i q[2])
{
	switch (t) {
	case DTYPE_Q4_0:
		nibbles512(four128(b + g * 18 + 2, 18), q);
		return;
	case DTYPE_Q4_1:
		nibbles512(four128(b + g * 20 + 4, 20), q);
		return;
	case DTYPE_Q5_0:
		nibbles512(four128(b + g * 22 + 6, 22), q);
		fifths(b + g * 22 + 2, 22, q);
		return;
	case DTYPE_Q5_1:
		nibbles512(four128(b + g * 24 + 8, 24), q);
		fifths(b + g * 24 + 4, 24, q);
		return;
	case DTYPE_IQ4_NL:
		nibbles512(four128(b + g * 18 + 2, 18), q);
		break;
	case DTYPE_MXFP4:
		nibbles512(four128(b + g * 17 + 1, 17), q);
		break;
	case DTYPE_IQ4_XS:
		nibbles512(load512(b + 8 + g * 16), q);
		break;
	case DTYPE_Q4_K: /* odd groups 16 times too high: see x_factors */
		q[0] = masked(load512(b + 16 + g * 16), 15);
		q[1] = masked(load512(b + 16 + g * 16), (char)0xF0);
		return;
	case DTYPE_Q5_K:
		nibbles512(load512(b + 48 + g * 16), q);
		q[0] = with_bits(q[0], codes64(b, g, 0, t), 16);
		q[1] = with_bits(q[1], codes64(b, g, 1, t), 16);
		return;
	case DTYPE_Q6_K:
		nibbles512(load512(b + g * 16), q);
		q[0] = with_bits(q[0], moved(twice256(b + 128 + g * 8), 0, 2, 4), 0x30);
		q[1] = with_bits(q[1], moved(twice256(b + 128 + g * 8), 4, 6, 4), 0x30);
		return;
	default:
		q[0] = codes64(b, g, 0, t);
		q[1] = codes64(b, g, 1, t);
		return;
	}
	q[0] = raised(t == DTYPE_MXFP4 ? e2m1_twice : iq4_levels, q[0]);
	q[1] = raised(t == DTYPE_MXFP4 ? e2m1_twice : iq4_levels, q[1]);
}

/* --- scales of an eight ----------------------------------------------------------------- */

/* Of whole groups: d, then m. With HALVES: d, and m for itself. */
struct scales16 {
	__m512 d, m;
};

/* What x's numbers are multiplied with: where m is d times a constant, with this. */
INLINE __m512 x_factors(__m512 x, const enum dtype t)
{
	switch (t) {
	case DTYPE_Q4_0:
		return _mm512_mul_ps(x, _mm512_set_ps(-8, -8, -8, -8, -8, -8, -8, -8, 1, 1, 1, 1, 1, 1, 1, 1));
	case DTYPE_Q4_K:
		return _mm512_mul_ps(x, _mm512_set_ps(1, 1, 1, 1, 1, 1, 1, 1, 1 / 16.0f, 1, 1 / 16.0f, 1, 1 / 16.0f, 1,
			1 / 16.0f, 1));
	case DTYPE_Q3_K:
		return _mm512_mul_ps(x, _mm512_set1_ps(-4));
	case DTYPE_Q6_K:
		return _mm512_mul_ps(x, _mm512_set1_ps(-32));
	default:
		return x;
	}
}

/* x's own: d and the sums of the rounded elements, to go with struct scales16. */
INLINE struct scales16 x_scales(const struct rounded *x, size_t block, const enum dtype t)
{
	const __m512i pairs = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
	__m512 d = _mm512_castps256_ps512(_mm256_loadu_ps(x->d + block * 8));
	struct scales16 s;
	if (codes_flags(t) & HALVES) {
		s.d = _mm512_permutexvar_ps(pairs, d);
		s.m = x_factors(_mm512_loadu_ps(x->h + block * 16), t);
	} else {
		s.d = s.m = x_factors(_mm512_insertf32x8(d, _mm256_loadu_ps(x->s + block * 8), 1), t);
	}
	return s;
}

/* Numbers in f16 at words 0 to 3 of the halves of an eight, `stride` words apart, twice; the second time `next`
 * words further. */
INLINE __m512 f16_each(const uint8_t *b, const short stride, const short next)
{
	const short s = stride, n = next, n1 = (short)(n + s), n2 = (short)(n + 2 * s), n3 = (short)(n + 3 * s);
	const __m512i at = _mm512_castsi256_si512(_mm256_set_epi16(n3, n2, n1, n, n3, n2, n1, n, 3 * s, 2 * s, s, 0, 3 * s,
		2 * s, s, 0));
	__m512i h = _mm512_permutexvar_epi16(at, load512(b));
	h = _mm512_mask_permutexvar_epi16(h, 0xF0F0, at, load512(b + 8 * stride));
	return _mm512_cvtph_ps(_mm512_castsi512_si256(h));
}

/* Numbers 0 and 1 of h in f16, eight times each. */
INLINE __m512 f16_pair(__m128i h)
{
	const __m256i at = _mm256_set_epi16(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
	return _mm512_cvtph_ps(_mm256_permutexvar_epi16(at, _mm256_castsi128_si256(h)));
}

INLINE __m512 f16_all(const uint8_t *p)
{
	return _mm512_set1_ps(f16_at(p));
}

/* Q4_K, Q5_K: d, dmin and three words: 6 bits of the first four scales and minima; on top of these, and in the
 * third, what makes up the others. */
INLINE __m512 scales_k(const uint8_t *b)
{
	__m128i h = load128(b), third = _mm_shuffle_epi32(h, 0xFF);
	__m128i first = _mm_and_si128(h, _mm_set1_epi8(63));
	__m128i others = _mm_and_si128(_mm_srlv_epi32(third, _mm_set_epi32(0, 4, 0, 0)), _mm_set1_epi8(15));
	others = _mm_or_si128(others, _mm_and_si128(_mm_srli_epi16(h, 2), _mm_set1_epi8(0x30)));
	__m128i all = _mm_alignr_epi8(_mm_unpackhi_epi32(first, others), _mm_unpacklo_epi32(first, others), 8);
	__m512 d = f16_pair(_mm_xor_si128(h, _mm_set_epi32(0, 0, 0, (int)0x80000000)));
	return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(all)), d);
}

INLINE struct scales16 scales_of(const struct row *w, uint32_t count, const enum dtype t)
{
	const uint8_t *b = w->p;
	struct scales16 s;
	struct eight e;
	switch (t) {
	case DTYPE_Q4_0:
		s.d = f16_each(b, 9, 0);
		break;
	case DTYPE_Q4_1:
		s.d = f16_each(b, 10, 1);
		break;
	case DTYPE_Q4_K:
	case DTYPE_Q5_K:
		s.d = scales_k(b);
		break;
	case DTYPE_Q6_K:
		s.d = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load128(b + 192))), f16_all(b + 208));
		break;
	default:
		eight_of(w, 0, count, t, &e);
		s.d = _mm512_insertf32x8(_mm512_castps256_ps512(e.d[0]), codes_flags(t) & HALVES ? e.d[1] : e.m[0], 1);
		if (t == DTYPE_Q2_K)
			s.m = _mm512_insertf32x8(_mm512_castps256_ps512(e.m[0]), e.m[1], 1);
	}
	if (t != DTYPE_Q2_K)
		s.m = s.d;
	return s;
}

/* --- products ------------------------------------------------------------------------- */

/* 128 rounded elements in the order of the codes. */
INLINE void x128(const int8_t *q, const enum order order, __m512i x[2])
{
	__m512i a = load512(q), b = load512(q + 64);
	x[0] = order == IN_ORDER ? a : order == EVEN_ODD ? _mm512_shuffle_i64x2(a, b, 0x44) : _mm512_shuffle_i64x2(a, b, 0x88);
	x[1] = order == IN_ORDER ? b : order == EVEN_ODD ? _mm512_shuffle_i64x2(a, b, 0xEE) : _mm512_shuffle_i64x2(a, b, 0xDD);
}

/* Which of an eight's scales the sums of vector e belong to; g: 0 or 4. */
INLINE __m512i scale_lanes(const int g, const int e, const enum order order, const unsigned flags)
{
	const __m512i fours = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
	const __m512i eights = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
	if (flags & HALVES)
		return _mm512_add_epi32(fours, _mm512_set1_epi32(2 * g + 4 * e));
	if (order == HALF_GROUPS)
		return _mm512_add_epi32(fours, _mm512_set1_epi32(g));
	if (order == EVEN_ODD)
		return _mm512_add_epi32(_mm512_add_epi32(eights, eights), _mm512_set1_epi32(g + e));
	return _mm512_add_epi32(eights, _mm512_set1_epi32(g + 2 * e));
}

INLINE __m512 scaled(__m512i sums, __m512 scales, __m512i lanes, __m512 acc)
{
	return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_permutexvar_ps(lanes, scales), acc);
}

struct products { /* of an eight of `side` weight rows with n rows of x */
	__m512 acc[SIDE_MAX][FEW_ROWS], d[SIDE_MAX][FEW_ROWS];
};

/* d of both sides multiplied, and the minima's part of the sums. */
INLINE void products_scale(struct products *s, const struct row *w, uint32_t count, const struct rounded *x,
	size_t block, const uint32_t side, const uint32_t n, const enum dtype t)
{
	struct scales16 dw[SIDE_MAX];
#pragma GCC unroll 4
	for (uint32_t j = 0; j < side; j++)
		dw[j] = scales_of(&w[j], count, t);
#pragma GCC unroll 8
	for (uint32_t i = 0; i < n; i++) {
		const struct scales16 dx = x_scales(&x[i], block, t);
#pragma GCC unroll 4
		for (uint32_t j = 0; j < side; j++) {
			__m512 *acc = &s->acc[j][i], d = _mm512_mul_ps(dw[j].d, dx.d);
			s->d[j][i] = d;
			if (codes_flags(t) & HALVES)
				*acc = _mm512_fmadd_ps(dw[j].m, dx.m, *acc);
			else
				*acc = _mm512_mask_add_ps(*acc, 0xFF00, *acc, d);
		}
	}
}

INLINE void products_add(struct products *s, const struct row *w, const struct rounded *x, size_t block,
	const uint32_t side, const uint32_t n, const enum dtype t)
{
	const enum order order = order_of(t);
	const unsigned flags = codes_flags(t);
#pragma GCC unroll 2
	for (int g = 0; g < 8; g += 4) {
		__m512i q[SIDE_MAX][2], zero = _mm512_setzero_si512();
#pragma GCC unroll 4
		for (uint32_t j = 0; j < side; j++)
			codes128(w[j].p, g, t, q[j]);
#pragma GCC unroll 8
		for (uint32_t i = 0; i < n; i++) {
			__m512i xq[2];
			x128(x[i].q + block * 256 + g * 32, order, xq);
#pragma GCC unroll 4
			for (uint32_t j = 0; j < side; j++) {
				__m512 *acc = &s->acc[j][i];
				__m512i a = _mm512_dpbusd_epi32(zero, q[j][0], xq[0]);
				__m512i b = _mm512_dpbusd_epi32(order == HALF_GROUPS ? a : zero, q[j][1], xq[1]);
				if (order != HALF_GROUPS)
					*acc = scaled(a, s->d[j][i], scale_lanes(g, 0, order, flags), *acc);
				*acc = scaled(b, s->d[j][i], scale_lanes(g, 1, order, flags), *acc);
			}
		}
	}
}

static void few_store(const struct matmul *m, uint32_t r, uint32_t rows, float (*sums)[FEW_ROWS][16])
{
	for (uint32_t j = 0; j < rows; j++)
		for (uint32_t i = 0; i < m->n; i++)
			m->y[i * m->ldy + r + j] =
				_mm512_reduce_add_ps(_mm512_loadu_ps(sums[j][i])) + (m->bias ? m->bias[r + j] : 0.0f);
}

#define EIGHT_BYTES 272 /* the most that eight_bytes gives */

/* The row's present eight has only `count` groups: they are read from `end`, zeros behind them. */
INLINE void row_end(struct row *w, uint8_t end[EIGHT_BYTES], uint32_t count, const enum dtype t)
{
	memset(end, 0, EIGHT_BYTES);
	w->p = memcpy(end, w->p, eight_bytes(t) / 8 * count);
}

/* y of at most n rows of x and `rows` weight rows from r on, of which `side` go together. */
INLINE void few(const struct call *c, uint32_t r, uint32_t rows, const uint32_t side, const uint32_t n,
	const enum dtype t)
{
	const struct matmul *m = c->m;
	const size_t whole = m->k / 256;
	const uint8_t *ahead = (const uint8_t *)m->w + (r + side - 1) * c->row_bytes + FETCH_AHEAD;
	uint8_t end[SIDE_MAX][EIGHT_BYTES];
	struct row w[SIDE_MAX];
	struct rounded x[FEW_ROWS];
	struct products s;
#pragma GCC unroll 8
	for (uint32_t i = 0; i < n; i++)
		x[i] = rounded_row(c->x, m->k, i < m->n ? i : 0);
#pragma GCC unroll 4
	for (uint32_t j = 0; j < side; j++) { /* the last row again: not stored */
		row_init(c, &w[j], j < rows ? r + j : r + rows - 1, j);
#pragma GCC unroll 8
		for (uint32_t i = 0; i < n; i++)
			s.acc[j][i] = _mm512_setzero_ps();
	}
	for (size_t block = 0; block * 256 < m->k; block++) {
		const uint32_t count = block < whole ? 8 : m->k / 32 % 8;
		if (block == whole)
			for (uint32_t j = 0; j < side; j++)
				row_end(&w[j], end[j], count, t);
		fetch(ahead, side * eight_bytes(t));
		ahead += side * eight_bytes(t);
		products_scale(&s, w, count, x, block, side, n, t);
		products_add(&s, w, x, block, side, n, t);
#pragma GCC unroll 4
		for (uint32_t j = 0; j < side; j++)
			row_next(&w[j], t);
	}
	float sums[SIDE_MAX][FEW_ROWS][16];
#pragma GCC unroll 4
	for (uint32_t j = 0; j < side; j++)
#pragma GCC unroll 8
		for (uint32_t i = 0; i < n; i++)
			_mm512_storeu_ps(sums[j][i], s.acc[j][i]);
	few_store(m, r, rows, sums);
}

/* Weight rows that go together: more sums hide more waiting, until the registers are full. */
static uint32_t side_of(uint32_t n)
{
	return n == 1 ? SIDE_MAX : n <= 4 ? 2 : 1;
}

INLINE void few_rows(const struct call *c, uint32_t r, uint32_t rows, const enum dtype t)
{
	switch (c->m->n) {
	case 1:
		few(c, r, rows, SIDE_MAX, 1, t);
		return;
	case 2:
		few(c, r, rows, 2, 2, t);
		return;
	case 3:
		few(c, r, rows, 2, 3, t);
		return;
	case 4:
		few(c, r, rows, 2, 4, t);
		return;
	case 5:
	case 6:
		few(c, r, rows, 1, 6, t);
		return;
	default:
		few(c, r, rows, 1, FEW_ROWS, t);
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
	const uint32_t side = side_of(m->n);
	for (uint32_t r = r0; r < r1; r += side)
		few_formats[m->dtype](&c, r, r1 - r < side ? r1 - r : side);
}

static const struct cpu_fast fast = {few_takes, int_row_bytes, 1, int_round, few_matmul};

#ifdef __clang__
#pragma clang attribute pop
#endif

const struct cpu_fast *cpu_fast_few_avx512(void)
{
	return cpu_kernels_avx512() && __builtin_cpu_supports("avx512vnni") ? &fast : NULL;
}

#else

const struct cpu_fast *cpu_fast_few_avx512(void)
{
	return NULL;
}

#endif
