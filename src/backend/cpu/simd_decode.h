/* Decoding in registers, on vectors of 16 lanes: one `dec` function a format, which gives 32 elements
 * (a group) as two vectors with the bits of the reference decoding. Behind the primitives of the
 * includer's instruction set: v16_..., and nib_...: a table of 16 values that nibbles look up.
 *
 * A block is a group, or 8 of them (formats of 256 elements; then `init` prepares what they share). */
#include <string.h>

#include "quant/codecs.h"
#include "quant/half.h"

struct block {
	const uint8_t *p;
	float scale;	     /* from a tensor of its own: the group's */
	const float *levels; /* what its codes stand for */
	float s[16];	     /* of blocks of 256: complete scales; q4_k, q5_k: 8 scales, 8 minima */
};

SIMD_INLINE __m128i load128(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

SIMD_INLINE void init_none(struct block *b)
{
	(void)b;
}

/* --- one number an element -------------------------------------------------------- */

SIMD_INLINE void dec_f32(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	out[0] = v16_load_any(b->p);
	out[1] = v16_load_any(b->p + 64);
}

SIMD_INLINE void dec_f16(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	out[0] = v16_load_f16(b->p);
	out[1] = v16_load_f16(b->p + 32);
}

SIMD_INLINE void dec_bf16(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	out[0] = v16_load_bf16(b->p);
	out[1] = v16_load_bf16(b->p + 32);
}

/* E5M2 is the upper byte of an f16. */
SIMD_INLINE v16 v16_from_e5m2(__m128i x)
{
	__m256i h = _mm256_slli_epi16(_mm256_cvtepu8_epi16(x), 8);
	return v16_from_f16(h);
}

/* E4M3 as an f16 has an exponent 8 too low; its NaN would be a number. */
SIMD_INLINE v16 v16_from_e4m3(__m128i x)
{
	__m256i w = _mm256_cvtepi8_epi16(x); /* the sign is in bits 7 to 15 */
	__m256i mag = _mm256_and_si256(w, _mm256_set1_epi16(0x7F));
	__m256i nan = _mm256_and_si256(_mm256_cmpeq_epi16(mag, _mm256_set1_epi16(0x7F)),
		_mm256_set1_epi16(0x7C00));
	__m256i h = _mm256_or_si256(_mm256_slli_epi16(mag, 7),
		_mm256_and_si256(w, _mm256_set1_epi16((short)0x8000)));
	return v16_mul(v16_from_f16(_mm256_or_si256(h, nan)), v16_set1(256));
}

SIMD_INLINE void dec_e4m3(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	out[0] = v16_from_e4m3(load128(b->p));
	out[1] = v16_from_e4m3(load128(b->p + 16));
}

SIMD_INLINE void dec_e5m2(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	out[0] = v16_from_e5m2(load128(b->p));
	out[1] = v16_from_e5m2(load128(b->p + 16));
}

/* --- elements with scales in a tensor of their own ---------------------------------- */

SIMD_INLINE void dec_e4m3_scaled(const struct block *b, size_t g, v16 out[2])
{
	dec_e4m3(b, g, out);
	out[0] = v16_mul(out[0], v16_set1(b->scale));
	out[1] = v16_mul(out[1], v16_set1(b->scale));
}

SIMD_INLINE void dec_e5m2_scaled(const struct block *b, size_t g, v16 out[2])
{
	dec_e5m2(b, g, out);
	out[0] = v16_mul(out[0], v16_set1(b->scale));
	out[1] = v16_mul(out[1], v16_set1(b->scale));
}

SIMD_INLINE void dec_i8(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	out[0] = v16_mul(v16_from_i8(load128(b->p)), v16_set1(b->scale));
	out[1] = v16_mul(v16_from_i8(load128(b->p + 16)), v16_set1(b->scale));
}

SIMD_INLINE void dec_i8_map(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	out[0] = v16_mul(v16_gather(b->levels, b->p), v16_set1(b->scale));
	out[1] = v16_mul(v16_gather(b->levels, b->p + 16), v16_set1(b->scale));
}

/* Two codes a byte: the first in the high nibble (NF4, FP4), or in the low one. */
SIMD_INLINE void dec_high_first(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	nib16 t = nib_levels(v16_load(b->levels), v16_set1(b->scale));
	out[0] = nib_pairs(t, b->p, true);
	out[1] = nib_pairs(t, b->p + 8, true);
}

SIMD_INLINE void dec_low_first(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	nib16 t = nib_levels(v16_load(b->levels), v16_set1(b->scale));
	out[0] = nib_pairs(t, b->p, false);
	out[1] = nib_pairs(t, b->p + 8, false);
}

/* --- blocks of 32 ------------------------------------------------------------------- */

SIMD_INLINE void dec_q4_0(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	nib16 t = nib_centred(v16_set1_f16(b->p));
	nib_halves(t, b->p + 2, out);
}

SIMD_INLINE void dec_q4_1(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	nib16 t = nib_affine(v16_set1_f16(b->p), v16_set1_f16(b->p + 2));
	nib_halves(t, b->p + 4, out);
}

SIMD_INLINE v16 v16_iq4_levels(void)
{
	return v16_from_i8(load128((const uint8_t *)iq4_levels));
}

SIMD_INLINE void dec_iq4_nl(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	nib16 t = nib_levels(v16_iq4_levels(), v16_set1_f16(b->p));
	nib_halves(t, b->p + 2, out);
}

SIMD_INLINE void dec_mxfp4(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	/* 2^(e - 127): the bits of an exponent, but for e = 0, a subnormal */
	float d = b->p[0] ? bits_f32((uint32_t)b->p[0] << 23) : 0x1p-127f;
	nib16 t = nib_levels(v16_load(e2m1_levels), v16_set1(d));
	nib_halves(t, b->p + 1, out);
}

/* Bits of the 32-bit word at p to bytes: 16 where set. Bytes 0..15 and 16..31. */
SIMD_INLINE void fifth_bits(const uint8_t *p, __m128i out[2])
{
	int32_t word;
	memcpy(&word, p, 4);
	__m128i x = _mm_set1_epi32(word), bit = _mm_set1_epi64x((long long)0x8040201008040201);
	__m128i lo = _mm_shuffle_epi8(x, _mm_set_epi64x(0x0101010101010101, 0));
	__m128i hi = _mm_shuffle_epi8(x, _mm_set_epi64x(0x0303030303030303, 0x0202020202020202));
	__m128i sixteen = _mm_set1_epi8(16);
	out[0] = _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(lo, bit), bit), sixteen);
	out[1] = _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(hi, bit), bit), sixteen);
}

/* Five bits an element: low and high nibbles of 16 bytes, the fifth from a word. */
SIMD_INLINE void five_bit_bytes(const uint8_t *word, const uint8_t *nibbles, __m128i out[2])
{
	__m128i q = load128(nibbles), low = _mm_set1_epi8(15);
	fifth_bits(word, out);
	out[0] = _mm_or_si128(out[0], _mm_and_si128(q, low));
	out[1] = _mm_or_si128(out[1], _mm_and_si128(_mm_srli_epi16(q, 4), low));
}

SIMD_INLINE void dec_q5_0(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	__m128i q[2], sixteen = _mm_set1_epi8(16);
	v16 d = v16_set1_f16(b->p);
	five_bit_bytes(b->p + 2, b->p + 6, q);
	out[0] = v16_mul(v16_from_i8(_mm_sub_epi8(q[0], sixteen)), d);
	out[1] = v16_mul(v16_from_i8(_mm_sub_epi8(q[1], sixteen)), d);
}

SIMD_INLINE void dec_q5_1(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	__m128i q[2];
	v16 d = v16_set1_f16(b->p), m = v16_set1_f16(b->p + 2);
	five_bit_bytes(b->p + 4, b->p + 8, q);
	out[0] = v16_fma(v16_from_i8(q[0]), d, m); /* the product is exact */
	out[1] = v16_fma(v16_from_i8(q[1]), d, m);
}

SIMD_INLINE void dec_q8_0(const struct block *b, size_t g, v16 out[2])
{
	(void)g;
	v16 d = v16_set1_f16(b->p);
	out[0] = v16_mul(v16_from_i8(load128(b->p + 2)), d);
	out[1] = v16_mul(v16_from_i8(load128(b->p + 18)), d);
}

/* --- blocks of 256: see quant/blocks256.c for the layouts ----------------------------- */

SIMD_INLINE void init_q2_k(struct block *b)
{
	__m128i s = load128(b->p), low = _mm_set1_epi8(15);
	v16 d = v16_set1_f16(b->p + 80);
	v16_store(b->s, v16_mul(v16_from_i8(_mm_and_si128(s, low)), d));
}

SIMD_INLINE void dec_q2_k(const struct block *b, size_t g, v16 out[2])
{
	v16 dmin = v16_set1_f16(b->p + 82);
	const uint8_t *q = b->p + 16 + 32 * (g / 4);
	for (size_t i = 0; i < 2; i++) {
		__m128i x = _mm_srl_epi16(load128(q + 16 * i), _mm_cvtsi32_si128((int)(g % 4 * 2)));
		v16 m = v16_mul(dmin, v16_set1((float)(b->p[2 * g + i] >> 4)));
		v16 v = v16_from_i8(_mm_and_si128(x, _mm_set1_epi8(3)));
		out[i] = v16_sub(v16_mul(v, v16_set1(b->s[2 * g + i])), m);
	}
}

SIMD_INLINE void init_q3_k(struct block *b)
{
	uint32_t a[3], low = 0x0F0F0F0F, two = 0x03030303;
	memcpy(a, b->p + 96, 12);
	__m128i s = _mm_set_epi32((int)((a[1] >> 4 & low) | (a[2] >> 6 & two) << 4),
		(int)((a[0] >> 4 & low) | (a[2] >> 4 & two) << 4),
		(int)((a[1] & low) | (a[2] >> 2 & two) << 4), (int)((a[0] & low) | (a[2] & two) << 4));
	s = _mm_sub_epi8(s, _mm_set1_epi8(32));
	v16_store(b->s, v16_mul(v16_from_i8(s), v16_set1_f16(b->p + 108)));
}

SIMD_INLINE void dec_q3_k(const struct block *b, size_t g, v16 out[2])
{
	const uint8_t *q = b->p + 32 + 32 * (g / 4);
	__m128i bit = _mm_set1_epi8((char)(1 << g)), four = _mm_set1_epi8(4);
	for (size_t i = 0; i < 2; i++) {
		__m128i x = _mm_srl_epi16(load128(q + 16 * i), _mm_cvtsi32_si128((int)(g % 4 * 2)));
		__m128i h = _mm_cmpeq_epi8(_mm_and_si128(load128(b->p + 16 * i), bit), bit);
		x = _mm_sub_epi8(_mm_and_si128(x, _mm_set1_epi8(3)), _mm_andnot_si128(h, four));
		out[i] = v16_mul(v16_from_i8(x), v16_set1(b->s[2 * g + i]));
	}
}

SIMD_INLINE void init_q4_k(struct block *b)
{
	uint32_t a[3];
	memcpy(a, b->p + 4, 12);
	__m128i x = _mm_set_epi32((int)((a[2] >> 4 & 0x0F0F0F0F) | (a[1] >> 6 & 0x03030303) << 4),
		(int)(a[1] & 0x3F3F3F3F), (int)((a[2] & 0x0F0F0F0F) | (a[0] >> 6 & 0x03030303) << 4),
		(int)(a[0] & 0x3F3F3F3F));
	v16_store(b->s, v16_mul(v16_from_i8(x), v16_halves_f16(b->p)));
}

SIMD_INLINE void dec_q4_k(const struct block *b, size_t g, v16 out[2])
{
	const uint8_t *q = b->p + 16 + 32 * (g / 2);
	nib16 t = nib_affine(v16_set1(b->s[g]), v16_set1(-b->s[8 + g]));
	out[0] = g % 2 ? nib_high(t, q) : nib_low(t, q);
	out[1] = g % 2 ? nib_high(t, q + 16) : nib_low(t, q + 16);
}

SIMD_INLINE void dec_q5_k(const struct block *b, size_t g, v16 out[2])
{
	const uint8_t *q = b->p + 48 + 32 * (g / 2);
	__m128i bit = _mm_set1_epi8((char)(1 << g)), low = _mm_set1_epi8(15), sixteen = _mm_set1_epi8(16);
	for (size_t i = 0; i < 2; i++) {
		__m128i x = load128(q + 16 * i);
		__m128i h = _mm_cmpeq_epi8(_mm_and_si128(load128(b->p + 16 + 16 * i), bit), bit);
		x = _mm_and_si128(g % 2 ? _mm_srli_epi16(x, 4) : x, low);
		x = _mm_or_si128(x, _mm_and_si128(h, sixteen));
		out[i] = v16_fma(v16_from_i8(x), v16_set1(b->s[g]), v16_set1(-b->s[8 + g]));
	}
}

SIMD_INLINE void init_q6_k(struct block *b)
{
	v16_store(b->s, v16_mul(v16_from_i8(load128(b->p + 192)), v16_set1_f16(b->p + 208)));
}

SIMD_INLINE void dec_q6_k(const struct block *b, size_t g, v16 out[2])
{
	const uint8_t *ql = b->p + g / 4 * 64 + g % 2 * 32, *qh = b->p + 128 + g / 4 * 32;
	for (size_t i = 0; i < 2; i++) {
		__m128i l = load128(ql + 16 * i), h = load128(qh + 16 * i);
		l = _mm_and_si128(g % 4 / 2 ? _mm_srli_epi16(l, 4) : l, _mm_set1_epi8(15));
		h = _mm_srl_epi16(h, _mm_cvtsi32_si128((int)(g % 4 * 2)));
		h = _mm_slli_epi16(_mm_and_si128(h, _mm_set1_epi8(3)), 4);
		__m128i q = _mm_sub_epi8(_mm_or_si128(l, h), _mm_set1_epi8(32));
		out[i] = v16_mul(v16_from_i8(q), v16_set1(b->s[2 * g + i]));
	}
}

SIMD_INLINE void dec_iq4_xs(const struct block *b, size_t g, v16 out[2])
{
	int scale = (b->p[4 + g / 2] >> 4 * (g % 2) & 15) | (load16(b->p + 2) >> 2 * g & 3) << 4;
	v16 d = v16_mul(v16_set1_f16(b->p), v16_set1((float)(scale - 32)));
	nib16 t = nib_levels(v16_iq4_levels(), d);
	nib_halves(t, b->p + 8 + 16 * g, out);
}
