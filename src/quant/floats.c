/* Formats of one number an element: f32, f16, bf16 and the two 8-bit floats of the OCP standard. */
#include <math.h>

#include "quant/codecs.h"
#include "quant/half.h"

void decode_f32(const void *src, float *dst, size_t n)
{
	memcpy(dst, src, n * sizeof(*dst));
}

void encode_f32(const float *src, void *dst, size_t n)
{
	memcpy(dst, src, n * sizeof(*src));
}

void decode_f16(const void *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = f16_to_f32(load16((const uint8_t *)src + 2 * i));
}

void encode_f16(const float *src, void *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store16((uint8_t *)dst + 2 * i, f32_to_f16(src[i]));
}

void decode_bf16(const void *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = bf16_to_f32(load16((const uint8_t *)src + 2 * i));
}

void encode_bf16(const float *src, void *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store16((uint8_t *)dst + 2 * i, f32_to_bf16(src[i]));
}

/* E5M2 is the upper byte of an f16. */
void decode_f8_e5m2(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i++)
		dst[i] = f16_to_f32((uint16_t)(b[i] << 8));
}

/* 4 bits of exponent with bias 7, no infinity; all ones is not a number. */
void decode_f8_e4m3(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i++) {
		uint32_t mag = b[i] & 0x7F;
		float f = mag < 8 ? (float)mag * 0x1p-9f : bits_f32((mag << 20) + ((127 - 7) << 23));
		if (mag == 0x7F)
			f = NAN;
		dst[i] = b[i] & 0x80 ? -f : f;
	}
}
