#include "quant/scaling.h"

#include <string.h>

#include "quant/half.h"

/* 2^(b - 127): the bits of an exponent, but for b = 0, a subnormal. */
static float e8m0(uint8_t b)
{
	return bits_f32(b ? (uint32_t)b << 23 : 0x400000);
}

static float stored_scale(const struct scales *s, uint64_t index)
{
	const uint8_t *p = (const uint8_t *)s->p + (index - s->first) * scale_bytes(s->how->kind);
	uint16_t h;
	float f;
	switch (s->how->kind) {
	case SCALE_F32:
		memcpy(&f, p, sizeof(f));
		return f;
	case SCALE_F16:
		memcpy(&h, p, sizeof(h));
		return f16_to_f32(h);
	case SCALE_BF16:
		memcpy(&h, p, sizeof(h));
		return bf16_to_f32(h);
	case SCALE_E8M0:
		return e8m0(*p);
	case SCALE_NESTED:
		break;
	}
	return s->how->map[*p] * s->nested[index / s->how->nested_group] + s->how->offset;
}

float scale_get(const struct scales *s, uint64_t index)
{
	float f = stored_scale(s, index);
	return (s->how->inverse ? 1 / f : f) * s->how->factor;
}

/* Doubly quantized scales. */
static void nested_get(const struct scales *s, uint64_t first, uint32_t n, float *out)
{
	const struct scaling *how = s->how;
	const uint8_t *p = (const uint8_t *)s->p + (first - s->first);
	while (n) { /* runs that share an entry of nested */
		uint32_t left = how->nested_group - (uint32_t)(first % how->nested_group), run = left < n ? left : n;
		float nested = s->nested[first / how->nested_group];
		for (uint32_t i = 0; i < run; i++)
			out[i] = how->map[p[i]] * nested + how->offset;
		first += run, p += run, out += run, n -= run;
	}
}

void scales_get(const struct scales *s, uint64_t first, uint32_t n, float *out)
{
	const struct scaling *how = s->how;
	const bool plain = !how->inverse && how->factor == 1;
	if (plain && how->kind == SCALE_NESTED) {
		nested_get(s, first, n, out);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		out[i] = plain && how->kind == SCALE_E8M0 ? e8m0(((const uint8_t *)s->p)[first - s->first + i]) :
							    scale_get(s, first + i);
}

int scaling_shift(const struct scaling *how, uint32_t k)
{
	uint32_t run = how->flat ? how->flat : how->group_cols, shift = 0;
	if (!how->flat && run >= k)
		return 31;
	if (run < 32 || (run & (run - 1)) || (how->flat && k % 32))
		return -1;
	while (run >> shift > 32)
		shift++;
	return (int)shift;
}

/* Codes by a table that the file brought: 256 levels for bytes, 16 for nibbles. */
static void decode_levels(enum dtype t, const float *levels, const uint8_t *src, float *dst, size_t n)
{
	bool bytes = dtype_info(t)->block == 1;
	unsigned first = t == DTYPE_E2M1 ? 0 : 4; /* shift of the first of two */
	for (size_t i = 0; i < n; i++)
		dst[i] = levels[bytes ? src[i] : src[i / 2] >> (i & 1 ? 4 - first : first) & 15];
}

void decode_scaled(enum dtype t, const struct scales *s, const void *src, uint64_t row, uint64_t col,
	uint64_t cols, float *dst, size_t n)
{
	const struct scaling *how = s->how;
	if (how && how->code && dtype_info(t)->levels)
		decode_levels(t, how->code, src, dst, n);
	else
		dtype_info(t)->decode(src, dst, n);
	if (!how)
		return;
	size_t done = 0;
	while (done < n) { /* runs that share a scale */
		uint64_t at = col + done;
		uint64_t run = how->flat ? how->flat - (row * cols + at) % how->flat :
					   how->group_cols - at % how->group_cols;
		size_t end = run < n - done ? done + (size_t)run : n;
		float scale = scale_get(s, scale_index(how, row, at, cols));
		for (; done < end; done++)
			dst[done] *= scale;
	}
}
