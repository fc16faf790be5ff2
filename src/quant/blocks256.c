/* ggml's blocks of 256 elements ("K quants" and IQ4_XS): groups of 16 or 32 have small integer scales
 * of their own. Every product of the f16 scale, the group's scale and an element is exact in float32,
 * so each value is rounded once at most. */
#include <math.h>

#include "quant/codecs.h"
#include "quant/half.h"

/* 84 bytes: scales[16] (low nibble scale, high nibble minimum), q[64], d, dmin. Element e: group e / 16,
 * two bits of q[32 (e / 128) + e % 32] at 2 (e / 32 % 4). w = d * scale * q - dmin * min. */
void decode_q2_k(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 256, b += 84) {
		float d = f16_to_f32(load16(b + 80)), dmin = f16_to_f32(load16(b + 82));
		for (int e = 0; e < 256; e++) {
			int q = b[16 + 32 * (e / 128) + e % 32] >> 2 * (e / 32 % 4) & 3;
			float scale = d * (float)(b[e / 16] & 15), min = dmin * (float)(b[e / 16] >> 4);
			dst[i + e] = scale * (float)q - min;
		}
	}
}

/* Scale g of 16, six bits: low four in nibbles of s[0..7] (g and g + 8 share a byte), upper two in
 * s[8 + g % 4] at 2 (g / 4). */
static int q3_k_scale(const uint8_t *s, int g)
{
	int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4;
	return (low | (s[8 + g % 4] >> 2 * (g / 4) & 3) << 4) - 32;
}

/* 110 bytes: high[32], q[64] as in q2_k, scales[12], d. Element e's third bit is bit e / 32 of
 * high[e % 32]. w = d * scale * (q - 4). */
void decode_q3_k(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 256, b += 110) {
		float d = f16_to_f32(load16(b + 108));
		for (int e = 0; e < 256; e++) {
			int q = b[32 + 32 * (e / 128) + e % 32] >> 2 * (e / 32 % 4) & 3;
			q |= (b[e % 32] >> e / 32 & 1) << 2;
			dst[i + e] = d * (float)q3_k_scale(b + 96, e / 16) * (float)(q - 4);
		}
	}
}

/* Scale and minimum of group g of 8, six bits each, in 12 bytes: groups 0..3 in s[g] and s[g + 4];
 * groups 4..7 have their low nibbles in s[g + 4] and the upper two bits on top of s[g - 4] and s[g]. */
static void scale_min(const uint8_t *s, int g, int *scale, int *min)
{
	if (g < 4) {
		*scale = s[g] & 63;
		*min = s[g + 4] & 63;
	} else {
		*scale = (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
		*min = s[g + 4] >> 4 | s[g] >> 6 << 4;
	}
}

/* 144 bytes: d, dmin, scales[12], q[128]: group g takes a nibble, low for even g, of the 32 bytes from
 * q[32 (g / 2)] on. w = d * scale * q - dmin * min. */
void decode_q4_k(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 256, b += 144) {
		float d = f16_to_f32(load16(b)), dmin = f16_to_f32(load16(b + 2));
		for (int g = 0; g < 8; g++) {
			int scale, min;
			scale_min(b + 4, g, &scale, &min);
			float s = d * (float)scale, m = dmin * (float)min;
			for (int l = 0; l < 32; l++)
				dst[i + 32 * g + l] = s * (float)(b[16 + 32 * (g / 2) + l] >> 4 * (g % 2) & 15) - m;
		}
	}
}

/* 176 bytes: d, dmin, scales[12], high[32], q[128]: as q4_k with a fifth bit, bit g of high[l]. */
void decode_q5_k(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 256, b += 176) {
		float d = f16_to_f32(load16(b)), dmin = f16_to_f32(load16(b + 2));
		for (int g = 0; g < 8; g++) {
			int scale, min;
			scale_min(b + 4, g, &scale, &min);
			float s = d * (float)scale, m = dmin * (float)min;
			for (int l = 0; l < 32; l++) {
				int q = b[48 + 32 * (g / 2) + l] >> 4 * (g % 2) & 15;
				dst[i + 32 * g + l] = s * (float)(q | (b[16 + l] >> g & 1) << 4) - m;
			}
		}
	}
}

static int clamp_int(float v, int lo, int hi)
{
	if (!(v > (float)lo))
		return lo;
	return v < (float)hi ? (int)lrintf(v) : hi;
}

/* 256 elements: ql[128] low 4 bits, qh[64] high 2 bits, 16 signed scales (one a 16 elements), f16 d.
 * Element e of half h (128 each): l = e % 32, part = e / 32: low nibble of ql[64 h + 32 (part % 2) + l]
 * for parts 0 and 1, high nibble for 2 and 3; bits 2 part of qh[32 h + l].
 * w = (d * scale) * (q - 32). */
static int q6_k_value(const uint8_t *b, int h, int part, int l)
{
	int lo = b[64 * h + 32 * (part & 1) + l] >> (part & 2 ? 4 : 0) & 15;
	int hi = b[128 + 32 * h + l] >> (2 * part) & 3;
	return (lo | hi << 4) - 32;
}

void decode_q6_k(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 256, b += 210) {
		float d = f16_to_f32(load16(b + 208));
		for (int e = 0; e < 256; e++) {
			float scale = d * (float)(int8_t)b[192 + e / 16];
			dst[i + e] = scale * (float)q6_k_value(b, e / 128, e / 32 % 4, e % 32);
		}
	}
}

void encode_q6_k(const float *src, void *dst, size_t n)
{
	uint8_t *b = dst;
	for (size_t i = 0; i < n; i += 256, b += 210) {
		float step[16], top = 0;
		for (int g = 0; g < 16; g++) {
			float max = 0;
			for (int j = 0; j < 16; j++)
				max = fmaxf(max, fabsf(src[i + 16 * g + j]));
			step[g] = max / 31;
			top = fmaxf(top, step[g]);
		}
		memset(b, 0, 210);
		float d = f16_to_f32(f32_to_f16(top / 127));
		store16(b + 208, f32_to_f16(d));
		for (int g = 0; g < 16; g++)
			b[192 + g] = (uint8_t)(d > 0 ? clamp_int(step[g] / d, 0, 127) : 0);
		for (int e = 0; e < 256; e++) {
			float s = d * (float)b[192 + e / 16];
			int q = (s > 0 ? clamp_int(src[i + e] / s, -32, 31) : 0) + 32;
			int h = e / 128, part = e / 32 % 4, l = e % 32;
			b[64 * h + 32 * (part & 1) + l] |= (uint8_t)((q & 15) << (part & 2 ? 4 : 0));
			b[128 + 32 * h + l] |= (uint8_t)(q >> 4 << 2 * part);
		}
	}
}

/* 136 bytes: d, 16 bits of upper pairs, 4 bytes of low nibbles of the 8 scales, q[128] in 8 runs of 16
 * bytes as in iq4_nl. w = d * (scale - 32) * level of q. */
void decode_iq4_xs(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 256, b += 136) {
		float d = f16_to_f32(load16(b));
		for (int g = 0; g < 8; g++) {
			int scale = (b[4 + g / 2] >> 4 * (g % 2) & 15) | (load16(b + 2) >> 2 * g & 3) << 4;
			float s = d * (float)(scale - 32);
			for (int j = 0; j < 16; j++) {
				uint8_t q = b[8 + 16 * g + j];
				dst[i + 32 * g + j] = s * (float)iq4_levels[q & 15];
				dst[i + 32 * g + 16 + j] = s * (float)iq4_levels[q >> 4];
			}
		}
	}
}
