/* Formats whose elements are codes, scaled by numbers in tensors of their own: the levels behind the
 * codes, and the encoders of bitsandbytes' formats. */
#include "quant/encode.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "quant/codecs.h"

/* NF4: quantiles of a normal distribution, from the QLoRA paper (Dettmers et al. 2023, appendix E). */
const float nf4_levels[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
	-0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
	0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
	0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

/* bitsandbytes' FP4: sign, then eighths of its own order. */
const float fp4_levels[16] = {0.0f, 0.0625f / 12, 8.0f / 12, 1.0f, 4.0f / 12, 0.5f, 2.0f / 12, 0.25f, 0.0f,
	-0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -0.5f, -2.0f / 12, -0.25f};

/* The 4-bit float of the OCP microscaling formats: sign, two bits of exponent, one of mantissa. */
const float e2m1_levels[16] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f,
	-2.0f, -3.0f, -4.0f, -6.0f};

/* bitsandbytes' create_dynamic_map(signed=True): 10^-6 .. 1, each decade with twice the steps of the one
 * below, as float32. */
const float dynamic_map[256] = {
	-0.992968738f, -0.978906274f, -0.96484375f, -0.950781226f, -0.936718762f, -0.922656238f,
	-0.908593774f, -0.89453125f, -0.880468726f, -0.866406262f, -0.852343738f, -0.838281274f,
	-0.82421875f, -0.810156226f, -0.796093762f, -0.782031238f, -0.767968774f, -0.75390625f,
	-0.739843726f, -0.725781262f, -0.711718798f, -0.697656274f, -0.68359375f, -0.669531226f,
	-0.655468762f, -0.641406298f, -0.627343774f, -0.61328125f, -0.599218726f, -0.585156262f,
	-0.571093798f, -0.557031274f, -0.54296875f, -0.528906226f, -0.514843702f, -0.500781238f,
	-0.486718714f, -0.47265625f, -0.458593726f, -0.444531262f, -0.430468738f, -0.416406244f,
	-0.40234375f, -0.388281226f, -0.374218762f, -0.360156238f, -0.346093744f, -0.33203125f,
	-0.317968726f, -0.303906262f, -0.289843738f, -0.275781274f, -0.26171875f, -0.247656241f,
	-0.233593747f, -0.219531253f, -0.205468744f, -0.19140625f, -0.177343756f, -0.163281247f,
	-0.149218753f, -0.135156244f, -0.12109375f, -0.107031256f, -0.0985937491f, -0.0957812592f,
	-0.0929687545f, -0.0901562497f, -0.0873437524f, -0.0845312476f, -0.0817187577f, -0.078906253f,
	-0.0760937482f, -0.0732812509f, -0.0704687461f, -0.0676562563f, -0.0648437515f, -0.0620312504f,
	-0.0592187531f, -0.0564062484f, -0.053593751f, -0.05078125f, -0.047968749f, -0.0451562516f,
	-0.0423437469f, -0.0395312496f, -0.0367187522f, -0.0339062512f, -0.0310937501f, -0.028281251f,
	-0.0254687499f, -0.0226562507f, -0.0198437516f, -0.0170312505f, -0.0142187504f, -0.0114062503f,
	-0.00971874967f, -0.00915624946f, -0.00859375019f, -0.00803124998f, -0.00746874977f, -0.00690625003f,
	-0.00634374982f, -0.00578125007f, -0.00521875033f, -0.00465624966f, -0.00409374991f, -0.00353124971f,
	-0.00296874996f, -0.00240624999f, -0.00184375001f, -0.00128124992f, -0.000943750085f, -0.000831249985f,
	-0.00071875006f, -0.000606250076f, -0.000493750034f, -0.000381250022f, -0.000268750038f, -0.000156250011f,
	-8.87499991e-05f, -6.62500024e-05f, -4.37499984e-05f, -2.12499981e-05f, -7.7499999e-06f, -3.25000019e-06f,
	-5.50000038e-07f, 0.0f, 5.50000038e-07f, 3.25000019e-06f, 7.7499999e-06f, 2.12499981e-05f,
	4.37499984e-05f, 6.62500024e-05f, 8.87499991e-05f, 0.000156250011f, 0.000268750038f, 0.000381250022f,
	0.000493750034f, 0.000606250076f, 0.00071875006f, 0.000831249985f, 0.000943750085f, 0.00128124992f,
	0.00184375001f, 0.00240624999f, 0.00296874996f, 0.00353124971f, 0.00409374991f, 0.00465624966f,
	0.00521875033f, 0.00578125007f, 0.00634374982f, 0.00690625003f, 0.00746874977f, 0.00803124998f,
	0.00859375019f, 0.00915624946f, 0.00971874967f, 0.0114062503f, 0.0142187504f, 0.0170312505f,
	0.0198437516f, 0.0226562507f, 0.0254687499f, 0.028281251f, 0.0310937501f, 0.0339062512f,
	0.0367187522f, 0.0395312496f, 0.0423437469f, 0.0451562516f, 0.047968749f, 0.05078125f,
	0.053593751f, 0.0564062484f, 0.0592187531f, 0.0620312504f, 0.0648437515f, 0.0676562563f,
	0.0704687461f, 0.0732812509f, 0.0760937482f, 0.078906253f, 0.0817187577f, 0.0845312476f,
	0.0873437524f, 0.0901562497f, 0.0929687545f, 0.0957812592f, 0.0985937491f, 0.107031256f,
	0.12109375f, 0.135156244f, 0.149218753f, 0.163281247f, 0.177343756f, 0.19140625f,
	0.205468744f, 0.219531253f, 0.233593747f, 0.247656241f, 0.26171875f, 0.275781274f,
	0.289843738f, 0.303906262f, 0.317968726f, 0.33203125f, 0.346093744f, 0.360156238f,
	0.374218762f, 0.388281226f, 0.40234375f, 0.416406244f, 0.430468738f, 0.444531262f,
	0.458593726f, 0.47265625f, 0.486718714f, 0.500781238f, 0.514843702f, 0.528906226f,
	0.54296875f, 0.557031274f, 0.571093798f, 0.585156262f, 0.599218726f, 0.61328125f,
	0.627343774f, 0.641406298f, 0.655468762f, 0.669531226f, 0.68359375f, 0.697656274f,
	0.711718798f, 0.725781262f, 0.739843726f, 0.75390625f, 0.767968774f, 0.782031238f,
	0.796093762f, 0.810156226f, 0.82421875f, 0.838281274f, 0.852343738f, 0.866406262f,
	0.880468726f, 0.89453125f, 0.908593774f, 0.922656238f, 0.936718762f, 0.950781226f,
	0.96484375f, 0.978906274f, 0.992968738f, 1.0f,
};

/* Two elements a byte, the first in the high nibble. */
static void decode_high_first(const uint8_t *src, const float levels[16], float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = levels[i & 1 ? src[i / 2] & 15 : src[i / 2] >> 4];
}

void decode_nf4(const void *src, float *dst, size_t n)
{
	decode_high_first(src, nf4_levels, dst, n);
}

void decode_fp4(const void *src, float *dst, size_t n)
{
	decode_high_first(src, fp4_levels, dst, n);
}

/* Two elements a byte, the first in the low nibble. */
void decode_e2m1(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i++)
		dst[i] = e2m1_levels[i & 1 ? b[i / 2] >> 4 : b[i / 2] & 15];
}

void decode_i8(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i++)
		dst[i] = (float)(int8_t)b[i];
}

void decode_i8_map(const void *src, float *dst, size_t n)
{
	const uint8_t *b = src;
	for (size_t i = 0; i < n; i++)
		dst[i] = dynamic_map[b[i]];
}

/* --- encoders ---------------------------------------------------------------- */

static float abs_max(const float *x, size_t n)
{
	float top = 0;
	for (size_t i = 0; i < n; i++)
		top = fmaxf(top, fabsf(x[i]));
	return top;
}

/* The number of the level next to v, levels rising; midway: the lower one. */
static uint8_t nearest(const float *levels, int count, float v)
{
	int lo = 0, hi = count - 1;
	while (hi - lo > 1) {
		int mid = (lo + hi) / 2;
		if (v >= levels[mid])
			lo = mid;
		else
			hi = mid;
	}
	return (uint8_t)(v - levels[lo] <= levels[hi] - v ? lo : hi);
}

static float inverse(float scale)
{
	return 1 / fmaxf(scale, 1e-38f); /* a block of zeros stays zeros */
}

void encode_nf4(const float *src, size_t n, uint32_t group, uint8_t *codes, float *scales)
{
	for (size_t i = 0; i < n; i += group) {
		size_t len = n - i < group ? n - i : group;
		float inv = inverse(*scales++ = abs_max(src + i, len));
		for (size_t j = i; j < i + len; j++) {
			uint8_t q = nearest(nf4_levels, 16, src[j] * inv);
			codes[j / 2] = (uint8_t)(j & 1 ? codes[j / 2] | q : q << 4);
		}
	}
}

void encode_i8_map(const float *src, size_t n, uint32_t group, float offset, uint8_t *codes, float *scales)
{
	for (size_t i = 0; i < n; i += group) {
		size_t end = n - i < group ? n : i + group;
		float top = 0;
		for (size_t j = i; j < end; j++)
			top = fmaxf(top, fabsf(src[j] - offset));
		float inv = inverse(*scales++ = top);
		for (size_t j = i; j < end; j++)
			codes[j] = nearest(dynamic_map, 256, (src[j] - offset) * inv);
	}
}

void encode_i8_rows(const float *src, size_t rows, size_t cols, int8_t *codes, float *scb)
{
	for (size_t r = 0; r < rows; r++, src += cols, codes += cols) {
		scb[r] = abs_max(src, cols);
		float scale = 127 / fmaxf(scb[r], 1e-38f);
		for (size_t j = 0; j < cols; j++)
			codes[j] = (int8_t)rintf(src[j] * scale);
	}
}

void encode_nested(const float *scales, size_t n, uint32_t group, uint8_t *codes, float *nested,
	float *offset)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)scales[i];
	*offset = n ? (float)(sum / (double)n) : 0;
	encode_i8_map(scales, n, group, *offset, codes, nested);
}
