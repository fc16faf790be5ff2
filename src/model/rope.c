/* Rotary frequencies, as transformers' modeling_rope_utils.py computes them (float32, the corrections
 * in double as in Python). */
#include "model/rope.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* Llama 3.1: long wavelengths are stretched, short ones stay, those between are blended. */
static float scale_llama3(const struct rope_params *r, float f)
{
	float old = (float)r->original_ctx, low = (float)r->low_freq_factor;
	float high = (float)r->high_freq_factor, factor = (float)r->factor;
	float wavelen = (float)(2 * pi) / f;
	if (wavelen < old / high)
		return f;
	if (wavelen > old / low)
		return f / factor;
	float smooth = (old / wavelen - low) / (high - low);
	return (1 - smooth) * f / factor + smooth * f;
}

/* YaRN: the dimension that turns so many times in the original context. */
static double yarn_dimension(const struct rope_params *r, double turns)
{
	return r->rot * log(r->original_ctx / (turns * 2 * pi)) / (2 * log(r->theta));
}

static float scale_yarn(const struct rope_params *r, uint32_t i, float power)
{
	double low = yarn_dimension(r, r->beta_fast), high = yarn_dimension(r, r->beta_slow);
	if (r->truncate) {
		low = floor(low);
		high = ceil(high);
	}
	low = fmax(low, 0);
	high = fmin(high, (double)r->rot - 1);
	if (low == high)
		high += 0.001;
	float ramp = ((float)i - (float)low) / (float)(high - low);
	ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
	float keep = 1 - ramp;
	return 1.0f / ((float)r->factor * power) * (1 - keep) + 1.0f / power * keep;
}

/* NTK: beyond the original context the base grows with the sequence. */
static double dynamic_theta(const struct rope_params *r, uint32_t seq_len)
{
	double len = fmax(seq_len, r->original_ctx), rot = r->rot;
	return r->theta * pow(r->factor * len / r->original_ctx - (r->factor - 1), rot / (rot - 2));
}

/* Qwen-7B's get_ntk_alpha: 1 up to the original context, 3 up to twice as many tokens, 7 up to four times. */
static uint32_t ntk_steps(const struct rope_params *r, uint32_t seq_len)
{
	uint64_t reach = r->original_ctx, alpha = 1;
	for (; reach < seq_len; reach *= 2)
		alpha = 2 * alpha + 1;
	return alpha > UINT32_MAX ? UINT32_MAX : (uint32_t)alpha;
}

static double theta_for(const struct rope_params *r, uint32_t seq_len)
{
	const double rot = r->rot;
	if (r->kind == ROPE_DYNAMIC)
		return dynamic_theta(r, seq_len);
	if (r->kind == ROPE_NTK_STEPS)
		return r->theta * pow(ntk_steps(r, seq_len), rot / (rot - 2));
	return r->theta;
}

void rope_inv_freq(const struct rope_params *r, uint32_t seq_len, float *inv_freq)
{
	const float *factors = seq_len > r->original_ctx ? r->long_factor : r->short_factor;
	const float theta = (float)theta_for(r, seq_len);
	for (uint32_t i = 0; i < r->rot / 2; i++) {
		float power = powf(theta, (float)(2 * i) / (float)r->rot);
		float f = 1.0f / (factors ? factors[i] * power : power);
		if (r->kind == ROPE_LINEAR)
			f /= (float)r->factor;
		else if (r->kind == ROPE_LLAMA3)
			f = scale_llama3(r, f);
		else if (r->kind == ROPE_YARN)
			f = scale_yarn(r, i, factors ? factors[i] * power : power);
		else if (r->kind == ROPE_PROPORTIONAL)
			f = i < (uint32_t)(r->proportion * r->rot / 2) ? f / (float)r->factor : 0;
		inv_freq[i] = f;
	}
}

uint32_t rope_regime(const struct rope_params *r, uint32_t seq_len)
{
	if (r->kind == ROPE_DYNAMIC)
		return seq_len > r->original_ctx ? seq_len : 0;
	if (r->kind == ROPE_NTK_STEPS)
		return ntk_steps(r, seq_len);
	return r->long_factor != r->short_factor && seq_len > r->original_ctx;
}
