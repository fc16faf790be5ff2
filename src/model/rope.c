/* Rotary frequencies, as transformers' modeling_rope_utils.py computes them (float32). */
#include <math.h>

#include "model/model.h"

static const float two_pi = 6.283185307179586f;

/* Llama 3.1: long wavelengths are stretched, short ones stay, those between are blended. */
static float scale_llama3(const struct rope_params *r, float f)
{
	float old = (float)r->original_ctx, low = (float)r->low_freq_factor;
	float high = (float)r->high_freq_factor, factor = (float)r->factor;
	float wavelen = two_pi / f;
	if (wavelen < old / high)
		return f;
	if (wavelen > old / low)
		return f / factor;
	float smooth = (old / wavelen - low) / (high - low);
	return (1 - smooth) * f / factor + smooth * f;
}

void model_inv_freq(const struct model *m, const float *factors, float *inv_freq)
{
	const struct rope_params *r = &m->rope;
	for (uint32_t i = 0; i < r->rot / 2; i++) {
		float f = 1.0f / powf((float)r->theta, (float)(2 * i) / (float)r->rot);
		if (r->kind == ROPE_LINEAR)
			f /= (float)r->factor;
		else if (r->kind == ROPE_LLAMA3)
			f = scale_llama3(r, f);
		inv_freq[i] = factors ? f / factors[i] : f;
	}
}
