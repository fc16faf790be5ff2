/* The integers of low-bit formats: w = d * q + m for groups of 32 weights, or halves of them. Layouts are those
 * of quant/blocks32.c and blocks256.c. AVX2; included by fast_int.h. */
#include <math.h>
#include <string.h>

#include "quant/codecs.h"
#include "quant/scaling.h"

enum codes_flag {
	SIGNED = 1,  /* -127 .. 127; m is 0 */
	HALVES = 2,  /* of a group have a d and an m each */
	SCALED = 8,  /* the scales are in a tensor of their own */
	UP_TO_31 = 16, UP_TO_63 = 32 /* the largest code, where it isn't 15 */
};

#define HALVES_OF(flags) ((flags) & HALVES ? 2u : 1u)
#define HAS_MIN(flags) (!((flags) & SIGNED) || SIGNED_MIN != 0)

/* What is done for each format. */
#define INT_FORMATS(DO)                                                                                   \
	DO(q4_0, DTYPE_Q4_0) DO(q4_1, DTYPE_Q4_1) DO(q5_0, DTYPE_Q5_0) DO(q5_1, DTYPE_Q5_1)               \
	DO(q8_0, DTYPE_Q8_0) DO(iq4_nl, DTYPE_IQ4_NL) DO(mxfp4, DTYPE_MXFP4) DO(q2_k, DTYPE_Q2_K)         \
	DO(q3_k, DTYPE_Q3_K) DO(q4_k, DTYPE_Q4_K) DO(q5_k, DTYPE_Q5_K) DO(q6_k, DTYPE_Q6_K)               \
	DO(iq4_xs, DTYPE_IQ4_XS) DO(i8, DTYPE_I8) DO(e2m1, DTYPE_E2M1)

struct row {
	const uint8_t *p;
	const uint8_t *s; /* SCALED: floats at any alignment; group g's has number (g + phase) >> shift */
	uint32_t phase, shift;
};

struct eight { /* of groups: [0] of each, or with HALVES of groups 0 to 3 and 4 to 7 */
	__m256 d[2], m[2];
};

static bool codes_known(enum dtype t)
{
#define KNOWN(name, type) [type] = true,
	static const bool known[DTYPE_COUNT] = {INT_FORMATS(KNOWN)};
	return known[t];
}

INLINE unsigned codes_flags(const enum dtype t)
{
	switch (t) {
	case DTYPE_Q5_0:
	case DTYPE_Q5_1:
	case DTYPE_Q5_K:
		return UP_TO_31;
	case DTYPE_Q8_0:
	case DTYPE_IQ4_NL:
	case DTYPE_IQ4_XS:
	case DTYPE_MXFP4:
		return SIGNED;
	case DTYPE_Q2_K:
	case DTYPE_Q3_K:
		return HALVES;
	case DTYPE_Q6_K:
		return HALVES | UP_TO_63;
	case DTYPE_I8:
	case DTYPE_E2M1:
		return SIGNED | SCALED;
	default:
		return 0;
	}
}

/* Bytes of eight groups. */
INLINE size_t eight_bytes(const enum dtype t)
{
	switch (t) {
	case DTYPE_Q4_1:
		return 160;
	case DTYPE_Q5_0:
	case DTYPE_Q5_K:
		return 176;
	case DTYPE_Q5_1:
		return 192;
	case DTYPE_Q8_0:
		return 272;
	case DTYPE_MXFP4:
	case DTYPE_IQ4_XS:
		return 136;
	case DTYPE_Q2_K:
		return 84;
	case DTYPE_Q3_K:
		return 110;
	case DTYPE_Q6_K:
		return 210;
	case DTYPE_I8:
		return 256;
	case DTYPE_E2M1:
		return 128;
	default: /* Q4_0, IQ4_NL, Q4_K */
		return 144;
	}
}

/* --- d and m of eight groups; behind the first `count` any that these have ------------------ */

INLINE float f16_at(const uint8_t *p)
{
	return _cvtsh_ss(load16(p));
}

/* Eight f16 numbers at places `stride` bytes apart; of fewer, the last one again for those that are missing. */
INLINE __m256 halves8(const uint8_t *p, const size_t stride, const uint32_t count)
{
	size_t at[8]; /* no array of numbers: a vector is not loaded fast from where its parts were just stored */
#pragma GCC unroll 8
	for (uint32_t i = 0; i < 8; i++)
		at[i] = (i < count ? i : count - 1) * stride;
	__m128i h = _mm_cvtsi32_si128(load16(p));
	h = _mm_insert_epi16(h, load16(p + at[1]), 1);
	h = _mm_insert_epi16(h, load16(p + at[2]), 2);
	h = _mm_insert_epi16(h, load16(p + at[3]), 3);
	h = _mm_insert_epi16(h, load16(p + at[4]), 4);
	h = _mm_insert_epi16(h, load16(p + at[5]), 5);
	h = _mm_insert_epi16(h, load16(p + at[6]), 6);
	h = _mm_insert_epi16(h, load16(p + at[7]), 7);
	return _mm256_cvtph_ps(h);
}

INLINE __m256 from_u8(__m128i x)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(x));
}

INLINE __m256 from_s8(__m128i x)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x));
}

INLINE __m128i load128(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

INLINE __m256i load256(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* m = d * f */
INLINE void eight_centred(struct eight *e, float f, const unsigned flags)
{
	e->m[0] = _mm256_mul_ps(e->d[0], _mm256_set1_ps(f));
	if (flags & HALVES)
		e->m[1] = _mm256_mul_ps(e->d[1], _mm256_set1_ps(f));
}

INLINE void eight_q2_k(struct eight *e, const uint8_t *b)
{
	__m128i s = load128(b), low = _mm_set1_epi8(15);
	__m128i m = _mm_and_si128(_mm_srli_epi16(s, 4), low);
	__m256 d = _mm256_set1_ps(f16_at(b + 80)), dmin = _mm256_set1_ps(-f16_at(b + 82));
	s = _mm_and_si128(s, low);
	e->d[0] = _mm256_mul_ps(from_u8(s), d);
	e->d[1] = _mm256_mul_ps(from_u8(_mm_srli_si128(s, 8)), d);
	e->m[0] = _mm256_mul_ps(from_u8(m), dmin);
	e->m[1] = _mm256_mul_ps(from_u8(_mm_srli_si128(m, 8)), dmin);
}

/* Signed scales of half groups. */
INLINE void eight_s8(struct eight *e, __m128i s, float scale)
{
	__m256 d = _mm256_set1_ps(scale);
	e->d[0] = _mm256_mul_ps(from_s8(s), d);
	e->d[1] = _mm256_mul_ps(from_s8(_mm_srli_si128(s, 8)), d);
}

INLINE void eight_q3_k(struct eight *e, const uint8_t *b)
{
	uint32_t a[3], low = 0x0F0F0F0F, two = 0x03030303;
	memcpy(a, b + 96, 12);
	__m128i s = _mm_set_epi32((int)((a[1] >> 4 & low) | (a[2] >> 6 & two) << 4),
		(int)((a[0] >> 4 & low) | (a[2] >> 4 & two) << 4),
		(int)((a[1] & low) | (a[2] >> 2 & two) << 4), (int)((a[0] & low) | (a[2] & two) << 4));
	eight_s8(e, _mm_sub_epi8(s, _mm_set1_epi8(32)), f16_at(b + 108));
	eight_centred(e, -4, HALVES);
}

INLINE void eight_q4_k(struct eight *e, const uint8_t *b)
{
	uint32_t a[3];
	memcpy(a, b + 4, 12);
	__m128i s = _mm_set_epi32(0, 0, (int)((a[2] & 0x0F0F0F0F) | (a[0] >> 6 & 0x03030303) << 4),
		(int)(a[0] & 0x3F3F3F3F));
	__m128i m = _mm_set_epi32(0, 0, (int)((a[2] >> 4 & 0x0F0F0F0F) | (a[1] >> 6 & 0x03030303) << 4),
		(int)(a[1] & 0x3F3F3F3F));
	e->d[0] = _mm256_mul_ps(from_u8(s), _mm256_set1_ps(f16_at(b)));
	e->m[0] = _mm256_mul_ps(from_u8(m), _mm256_set1_ps(-f16_at(b + 2)));
}

INLINE void eight_iq4_xs(struct eight *e, const uint8_t *b)
{
	uint32_t low;
	memcpy(&low, b + 4, 4);
	/* nibbles, a byte each, and pairs of bits on top */
	__m128i n = _mm_cvtsi32_si128((int)low), mask = _mm_set1_epi8(15);
	n = _mm_unpacklo_epi8(_mm_and_si128(n, mask), _mm_and_si128(_mm_srli_epi16(n, 4), mask));
	__m256i pairs = _mm256_srlv_epi32(_mm256_set1_epi32(load16(b + 2)), _mm256_set_epi32(14, 12, 10, 8, 6, 4, 2, 0));
	pairs = _mm256_slli_epi32(_mm256_and_si256(pairs, _mm256_set1_epi32(3)), 4);
	__m256i s = _mm256_sub_epi32(_mm256_or_si256(_mm256_cvtepu8_epi32(n), pairs), _mm256_set1_epi32(32));
	e->d[0] = _mm256_mul_ps(_mm256_cvtepi32_ps(s), _mm256_set1_ps(f16_at(b)));
}

/* Half of 2^(e - 127), a byte e in each of `count` groups: codes are twice the numbers. */
INLINE void eight_mxfp4(struct eight *e, const uint8_t *p, uint32_t count)
{
	uint32_t t[8] = {0};
	for (uint32_t i = 0; i < count; i++)
		t[i] = p[i * 17] > 1 ? (uint32_t)(p[i * 17] - 1) << 23 : 0x200000u << p[i * 17];
	e->d[0] = _mm256_castsi256_ps(load256((const uint8_t *)t));
}

INLINE void eight_scaled(struct eight *e, const struct row *w, size_t block, uint32_t count, float f)
{
	float t[8] = {0};
	const size_t g = block * 8 + w->phase, first = g >> w->shift;
	if (first == (g + count - 1) >> w->shift) {
		memcpy(t, w->s + first * sizeof(*t), sizeof(*t));
		e->d[0] = _mm256_set1_ps(t[0] * f); /* zeros stand behind the last group's activations */
		return;
	}
	if (!w->shift)
		memcpy(t, w->s + first * sizeof(*t), count * sizeof(*t));
	for (uint32_t i = 0; w->shift && i < count; i++)
		memcpy(t + i, w->s + ((g + i) >> w->shift) * sizeof(*t), sizeof(*t));
	e->d[0] = _mm256_mul_ps(_mm256_loadu_ps(t), _mm256_set1_ps(f));
}

/* Groups from block * 8 on. The m of SIGNED formats is left out. */
INLINE void codes_eight(const struct row *w, size_t block, uint32_t count, const enum dtype t, struct eight *e)
{
	switch (t) {
	case DTYPE_Q4_0:
		e->d[0] = halves8(w->p + block * 8 * 18, 18, count);
		eight_centred(e, -8, 0);
		return;
	case DTYPE_Q4_1:
		e->d[0] = halves8(w->p + block * 8 * 20, 20, count);
		e->m[0] = halves8(w->p + block * 8 * 20 + 2, 20, count);
		return;
	case DTYPE_Q5_0:
		e->d[0] = halves8(w->p + block * 8 * 22, 22, count);
		eight_centred(e, -16, 0);
		return;
	case DTYPE_Q5_1:
		e->d[0] = halves8(w->p + block * 8 * 24, 24, count);
		e->m[0] = halves8(w->p + block * 8 * 24 + 2, 24, count);
		return;
	case DTYPE_Q8_0:
		e->d[0] = halves8(w->p + block * 8 * 34, 34, count);
		return;
	case DTYPE_IQ4_NL:
		e->d[0] = halves8(w->p + block * 8 * 18, 18, count);
		return;
	case DTYPE_MXFP4:
		eight_mxfp4(e, w->p + block * 8 * 17, count);
		return;
	case DTYPE_Q2_K:
		eight_q2_k(e, w->p + block * 84);
		return;
	case DTYPE_Q3_K:
		eight_q3_k(e, w->p + block * 110);
		return;
	case DTYPE_Q4_K:
		eight_q4_k(e, w->p + block * 144);
		return;
	case DTYPE_Q5_K:
		eight_q4_k(e, w->p + block * 176);
		return;
	case DTYPE_Q6_K:
		eight_s8(e, load128(w->p + block * 210 + 192), f16_at(w->p + block * 210 + 208));
		eight_centred(e, -32, HALVES);
		return;
	case DTYPE_IQ4_XS:
		eight_iq4_xs(e, w->p + block * 136);
		return;
	case DTYPE_I8:
		eight_scaled(e, w, block, count, 1);
		return;
	default: /* E2M1 */
		eight_scaled(e, w, block, count, 0.5f);
	}
}

/* --- codes of a group --------------------------------------------------------------------- */

/* Low nibbles of 16 bytes, then the high ones. */
INLINE __m256i nibbles(const uint8_t *p)
{
	__m256i x = _mm256_broadcastsi128_si256(load128(p));
	x = _mm256_srlv_epi64(x, _mm256_set_epi64x(4, 4, 0, 0));
	return _mm256_and_si256(x, _mm256_set1_epi8(15));
}

/* Both nibbles of each of 16 bytes side by side, the low one first. */
INLINE __m256i nibble_pairs(const uint8_t *p)
{
	__m128i x = load128(p), low = _mm_set1_epi8(15);
	__m128i l = _mm_and_si128(x, low), h = _mm_and_si128(_mm_srli_epi16(x, 4), low);
	return _mm256_set_m128i(_mm_unpackhi_epi8(l, h), _mm_unpacklo_epi8(l, h));
}

INLINE __m256i look_up(const int8_t table[16], __m256i q)
{
	return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load128((const uint8_t *)table)), q);
}

/* `bit` where a byte of x has all bits of `mask`. */
INLINE __m256i bits_as(__m256i x, __m256i mask, char bit)
{
	return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(x, mask), mask), _mm256_set1_epi8(bit));
}

/* Bits of the word at p to bytes: 16 where set. */
INLINE __m256i fifth_bits(const uint8_t *p)
{
	int32_t word;
	memcpy(&word, p, 4);
	__m256i spread = _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0);
	__m256i x = _mm256_shuffle_epi8(_mm256_set1_epi32(word), spread);
	return bits_as(x, _mm256_set1_epi64x((long long)0x8040201008040201), 16);
}

/* Nibbles of 32 bytes: the high ones of odd groups. */
INLINE __m256i nibbles_k(const uint8_t *p, bool high)
{
	__m256i q = load256(p);
	return _mm256_and_si256(high ? _mm256_srli_epi16(q, 4) : q, _mm256_set1_epi8(15));
}

INLINE __m256i two_bits(const uint8_t *p, const int shift)
{
	__m256i q = _mm256_srl_epi16(load256(p), _mm_cvtsi32_si128(shift));
	return _mm256_and_si256(q, _mm256_set1_epi8(3));
}

INLINE __m256i codes_q6_k(const uint8_t *b, uint32_t g)
{
	__m256i low = nibbles_k(b + g / 4 * 64 + g % 2 * 32, g % 4 / 2), high = load256(b + 128 + g / 4 * 32);
	if (g % 4 < 2)
		high = g % 2 ? _mm256_slli_epi16(high, 2) : _mm256_slli_epi16(high, 4);
	else if (g % 2)
		high = _mm256_srli_epi16(high, 2);
	return _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
}

static const int8_t e2m1_twice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* Group `at` of the row, which is number g of an eight. */
INLINE __m256i codes_of(const struct row *w, size_t at, const uint32_t g, const enum dtype t)
{
	switch (t) {
	case DTYPE_Q4_0:
		return nibbles(w->p + at * 18 + 2);
	case DTYPE_Q4_1:
		return nibbles(w->p + at * 20 + 4);
	case DTYPE_Q5_0:
		return _mm256_or_si256(nibbles(w->p + at * 22 + 6), fifth_bits(w->p + at * 22 + 2));
	case DTYPE_Q5_1:
		return _mm256_or_si256(nibbles(w->p + at * 24 + 8), fifth_bits(w->p + at * 24 + 4));
	case DTYPE_Q8_0:
		return load256(w->p + at * 34 + 2);
	case DTYPE_IQ4_NL:
		return look_up(iq4_levels, nibbles(w->p + at * 18 + 2));
	case DTYPE_MXFP4:
		return look_up(e2m1_twice, nibbles(w->p + at * 17 + 1));
	case DTYPE_Q2_K:
		return two_bits(w->p + at / 8 * 84 + 16 + g / 4 * 32, (int)(g % 4 * 2));
	case DTYPE_Q3_K:
		return _mm256_or_si256(two_bits(w->p + at / 8 * 110 + 32 + g / 4 * 32, (int)(g % 4 * 2)),
			bits_as(load256(w->p + at / 8 * 110), _mm256_set1_epi8((char)(1 << g)), 4));
	case DTYPE_Q4_K:
		return nibbles_k(w->p + at / 8 * 144 + 16 + g / 2 * 32, g % 2);
	case DTYPE_Q5_K:
		return _mm256_or_si256(nibbles_k(w->p + at / 8 * 176 + 48 + g / 2 * 32, g % 2),
			bits_as(load256(w->p + at / 8 * 176 + 16), _mm256_set1_epi8((char)(1 << g)), 16));
	case DTYPE_Q6_K:
		return codes_q6_k(w->p + at / 8 * 210, g);
	case DTYPE_IQ4_XS:
		return look_up(iq4_levels, nibbles(w->p + at / 8 * 136 + 8 + g * 16));
	case DTYPE_I8:
		return load256(w->p + at * 32);
	default: /* E2M1 */
		return look_up(e2m1_twice, nibble_pairs(w->p + at * 16));
	}
}

/* Products of codes and x, sums of two. A signed code gives its sign to x. */
INLINE __m256i pairs(__m256i q, __m256i x, const bool is_signed)
{
	return is_signed ? _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q)) : _mm256_maddubs_epi16(q, x);
}
