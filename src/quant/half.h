/* Half-precision conversions in plain C: f16 (IEEE 754) and bf16 (the upper half of an f32).
 * To 16 bits they round to nearest even; NaN stays NaN. */
#ifndef AIRLCHAT_QUANT_HALF_H
#define AIRLCHAT_QUANT_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t f32_bits(float f)
{
	uint32_t u;
	memcpy(&u, &f, sizeof(u));
	return u;
}

static inline float bits_f32(uint32_t u)
{
	float f;
	memcpy(&f, &u, sizeof(f));
	return f;
}

static inline float f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, mag = h & 0x7FFF;
	if (mag >= 0x7C00) /* infinity, NaN */
		return bits_f32(sign | 0x7F800000 | (mag & 0x3FF) << 13);
	if (mag < 0x400) { /* zero, subnormal: exact in float */
		float f = (float)mag * 0x1p-24f;
		return sign ? -f : f;
	}
	return bits_f32(sign | ((mag << 13) + 0x38000000));
}

static inline uint16_t f32_to_f16(float f)
{
	uint32_t u = f32_bits(f), mag = u & 0x7FFFFFFF;
	uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
	if (mag > 0x7F800000)
		return sign | 0x7E00;
	if (mag >= 0x477FF000) /* 65520 and up round to infinity */
		return sign | 0x7C00;
	if (mag < 0x38800000) { /* below 2^-14: let the float unit round to a multiple of 2^-24 */
		float r = bits_f32(mag) + 0.5f;
		return sign | (uint16_t)(f32_bits(r) - 0x3F000000);
	}
	return sign | (uint16_t)((mag + 0xFFF + (mag >> 13 & 1) - 0x38000000) >> 13);
}

static inline float bf16_to_f32(uint16_t h)
{
	return bits_f32((uint32_t)h << 16);
}

static inline uint16_t f32_to_bf16(float f)
{
	uint32_t u = f32_bits(f);
	if ((u & 0x7FFFFFFF) > 0x7F800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

#endif
