#include "quant/scaling.h"

#include <math.h>
#include <string.h>

#include "quant/half.h"

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
		return ldexpf(1, *p - 127);
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
