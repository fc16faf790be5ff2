#include "quant/dtype.h"

#include <math.h>

#include "quant/half.h"

/* Formats of ggml: a block starts with its f16 scale(s), the layout is given at each decoder. */

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void store16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void decode_f32(const void *src, float *dst, size_t n)
{
	memcpy(dst, src, n * sizeof(*dst));
}

static void encode_f32(const float *src, void *dst, size_t n)
{
	memcpy(dst, src, n * sizeof(*src));
}

static void decode_f16(const void *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = f16_to_f32(load16((const uint8_t *)src + 2 * i));
}

static void encode_f16(const float *src, void *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store16((uint8_t *)dst + 2 * i, f32_to_f16(src[i]));
}

static void decode_bf16(const void *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = bf16_to_f32(load16((const uint8_t *)src + 2 * i));
}

static void encode_bf16(const float *src, void *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store16((uint8_t *)dst + 2 * i, f32_to_bf16(src[i]));
}

/* 32 elements: f16 d, 16 bytes; the low nibbles are elements 0..15, the high ones 16..31.
 * w = d * (q - 8). */
static void decode_q4_0(const void *src, float *dst, size_t n)
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

static int clamp_int(float v, int lo, int hi)
{
	if (!(v > (float)lo))
		return lo;
	return v < (float)hi ? (int)lrintf(v) : hi;
}

static void encode_q4_0(const float *src, void *dst, size_t n)
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
			int lo = clamp_int(src[i + j] * inv + 8, 0, 15);
			int hi = clamp_int(src[i + 16 + j] * inv + 8, 0, 15);
			b[2 + j] = (uint8_t)(lo | hi << 4);
		}
	}
}

/* 32 elements: f16 d, f16 m, 16 bytes as in q4_0. w = d * q + m; d * q is exact in float32, so the
 * sum is the only rounding, with a fused multiply-add or without. */
static void decode_q4_1(const void *src, float *dst, size_t n)
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

static void encode_q4_1(const float *src, void *dst, size_t n)
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
			int x = clamp_int((src[i + j] - lo) * inv, 0, 15);
			int y = clamp_int((src[i + 16 + j] - lo) * inv, 0, 15);
			b[4 + j] = (uint8_t)(x | y << 4);
		}
	}
}

/* 32 elements: f16 d, 32 signed bytes. w = d * q. */
static void decode_q8_0(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i += 32, b += 34) {
		float d = f16_to_f32(load16(b));
		for (int j = 0; j < 32; j++)
			dst[i + j] = d * (float)(int8_t)b[2 + j];
	}
}

static void encode_q8_0(const float *src, void *dst, size_t n)
{
	uint8_t *b = dst;
	for (size_t i = 0; i < n; i += 32, b += 34) {
		float top = 0;
		for (int j = 0; j < 32; j++)
			top = fmaxf(top, fabsf(src[i + j]));
		float d = top / 127, inv = d != 0 ? 1 / d : 0;
		store16(b, f32_to_f16(d));
		for (int j = 0; j < 32; j++)
			b[2 + j] = (uint8_t)(int8_t)clamp_int(src[i + j] * inv, -127, 127);
	}
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

static void decode_q6_k(const void *src, float *dst, size_t n)
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

static void encode_q6_k(const float *src, void *dst, size_t n)
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

static const struct dtype_info table[DTYPE_COUNT] = {
	[DTYPE_F32] = {"f32", "F32", 0, 1, 4, decode_f32, encode_f32},
	[DTYPE_F16] = {"f16", "F16", 1, 1, 2, decode_f16, encode_f16},
	[DTYPE_BF16] = {"bf16", "BF16", 30, 1, 2, decode_bf16, encode_bf16},
	[DTYPE_Q4_0] = {"q4_0", NULL, 2, 32, 18, decode_q4_0, encode_q4_0},
	[DTYPE_Q4_1] = {"q4_1", NULL, 3, 32, 20, decode_q4_1, encode_q4_1},
	[DTYPE_Q8_0] = {"q8_0", NULL, 8, 32, 34, decode_q8_0, encode_q8_0},
	[DTYPE_Q6_K] = {"q6_k", NULL, 14, 256, 210, decode_q6_k, encode_q6_k},
};

const struct dtype_info *dtype_info(enum dtype t)
{
	return &table[t];
}

enum dtype dtype_from_ggml(uint32_t ggml_type)
{
	for (int t = 1; t < DTYPE_COUNT; t++)
		if (table[t].ggml >= 0 && (uint32_t)table[t].ggml == ggml_type)
			return (enum dtype)t;
	return DTYPE_UNKNOWN;
}

enum dtype dtype_from_safetensors(const char *name)
{
	for (int t = 1; t < DTYPE_COUNT; t++)
		if (table[t].safetensors && !strcmp(table[t].safetensors, name))
			return (enum dtype)t;
	return DTYPE_UNKNOWN;
}

const char *dtype_ggml_name(uint32_t ggml_type)
{
	static const char *const names[] = {"F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1",
		"Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS",
		"IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64",
		"F64", "IQ1_M", "BF16", NULL, NULL, NULL, "TQ1_0", "TQ2_0", NULL, NULL, NULL, "MXFP4"};
	return ggml_type < sizeof(names) / sizeof(*names) ? names[ggml_type] : NULL;
}

uint64_t dtype_bytes(enum dtype t, uint64_t n)
{
	const struct dtype_info *d = &table[t];
	if (t == DTYPE_UNKNOWN || n % d->block || n / d->block > UINT64_MAX / d->block_bytes)
		return 0;
	return n / d->block * d->block_bytes;
}
