/* ggml's blocks of 32 elements: a block starts with its f16 scale(s); of 16 bytes of nibbles the low
 * ones are elements 0..15, the high ones 16..31. Products of scale and integer are exact in float32,
 * so each value is rounded once, with a fused multiply-add or without. Encoders give the bytes of
 * ggml's reference quantizers. */
#include <math.h>

#include "quant/codecs.h"
#include "quant/half.h"

const int8_t iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* 18 bytes: d, nibbles. w = d * (q - 8). */
void decode_q4_0(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 32, b += 18) {
		float d = f16_to_f32(load16(b));
		for (int j = 0; j < 16; j++) {
			dst[i + j] = d * (float)((b[2 + j] & 15) - 8);
			dst[i + 16 + j] = d * (float)((b[2 + j] >> 4) - 8);
		}
	}
}

/* The whole part of v, in [0, 15]. */
static int nibble(float v)
{
	return v >= 15 ? 15 : v > 0 ? (int)v : 0;
}

void encode_q4_0(const float *src, void *dst, size_t n)
{
	uint8_t *b = dst;
	for (size_t i = 0; i < n; i += 32, b += 18) {
		float top = 0; /* the value of largest magnitude maps to -8 */
		for (int j = 0; j < 32; j++)
			if (fabsf(src[i + j]) > fabsf(top))
				top = src[i + j];
		float d = top / -8, inv = d != 0 ? 1 / d : 0;
		store16(b, f32_to_f16(d));
		for (int j = 0; j < 16; j++) {
			int lo = nibble(src[i + j] * inv + 8.5f);
			int hi = nibble(src[i + 16 + j] * inv + 8.5f);
			b[2 + j] = (uint8_t)(lo | hi << 4);
		}
	}
}

/* 20 bytes: d, m, nibbles. w = d * q + m. */
void decode_q4_1(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 32, b += 20) {
		float d = f16_to_f32(load16(b)), m = f16_to_f32(load16(b + 2));
		for (int j = 0; j < 16; j++) {
			dst[i + j] = d * (float)(b[4 + j] & 15) + m;
			dst[i + 16 + j] = d * (float)(b[4 + j] >> 4) + m;
		}
	}
}

void encode_q4_1(const float *src, void *dst, size_t n)
{
	uint8_t *b = dst;
	for (size_t i = 0; i < n; i += 32, b += 20) {
		float lo = src[i], hi = src[i];
		for (int j = 1; j < 32; j++) {
			lo = fminf(lo, src[i + j]);
			hi = fmaxf(hi, src[i + j]);
		}
		float d = (hi - lo) / 15, inv = d != 0 ? 1 / d : 0;
		store16(b, f32_to_f16(d));
		store16(b + 2, f32_to_f16(lo));
		for (int j = 0; j < 16; j++) {
			int x = nibble((src[i + j] - lo) * inv + 0.5f);
			int y = nibble((src[i + 16 + j] - lo) * inv + 0.5f);
			b[4 + j] = (uint8_t)(x | y << 4);
		}
	}
}

/* Element j's fifth bit is bit j of the 32-bit word at `high`; returns 5 bits. */
static int five_bits(const uint8_t *high, const uint8_t *nibbles, int j)
{
	int low = j < 16 ? nibbles[j] & 15 : nibbles[j - 16] >> 4;
	return low | (high[j / 8] >> j % 8 & 1) << 4;
}

/* 22 bytes: d, 4 bytes of fifth bits, nibbles. w = d * (q - 16). */
void decode_q5_0(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 32, b += 22) {
		float d = f16_to_f32(load16(b));
		for (int j = 0; j < 32; j++)
			dst[i + j] = d * (float)(five_bits(b + 2, b + 6, j) - 16);
	}
}

/* 24 bytes: d, m, 4 bytes of fifth bits, nibbles. w = d * q + m. */
void decode_q5_1(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 32, b += 24) {
		float d = f16_to_f32(load16(b)), m = f16_to_f32(load16(b + 2));
		for (int j = 0; j < 32; j++)
			dst[i + j] = d * (float)five_bits(b + 4, b + 8, j) + m;
	}
}

/* 34 bytes: d, 32 signed bytes. w = d * q. */
void decode_q8_0(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 32, b += 34) {
		float d = f16_to_f32(load16(b));
		for (int j = 0; j < 32; j++)
			dst[i + j] = d * (float)(int8_t)b[2 + j];
	}
}

void encode_q8_0(const float *src, void *dst, size_t n)
{
	uint8_t *b = dst;
	for (size_t i = 0; i < n; i += 32, b += 34) {
		float top = 0;
		for (int j = 0; j < 32; j++)
			top = fmaxf(top, fabsf(src[i + j]));
		float d = top / 127, inv = d != 0 ? 1 / d : 0;
		store16(b, f32_to_f16(d));
		for (int j = 0; j < 32; j++) {
			float q = roundf(src[i + j] * inv); /* halves away from zero; NaN: 0 */
			b[2 + j] = (uint8_t)(int8_t)(fabsf(q) <= 127 ? q : 0);
		}
	}
}

/* 18 bytes: d, nibbles. w = d * level of q. */
void decode_iq4_nl(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 32, b += 18) {
		float d = f16_to_f32(load16(b));
		for (int j = 0; j < 16; j++) {
			dst[i + j] = d * (float)iq4_levels[b[2 + j] & 15];
			dst[i + 16 + j] = d * (float)iq4_levels[b[2 + j] >> 4];
		}
	}
}

/* 17 bytes: exponent e, nibbles. w = 2^(e - 127) * (E2M1 float). */
void decode_mxfp4(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 32, b += 17) {
		float d = ldexpf(1, b[0] - 127); /* e = 0: a subnormal, exact */
		for (int j = 0; j < 16; j++) {
			dst[i + j] = d * e2m1_levels[b[1 + j] & 15];
			dst[i + 16 + j] = d * e2m1_levels[b[1 + j] >> 4];
		}
	}
}
