/* quant/: half precision against plain arithmetic over every value, blocks packed by hand, and how
 * far encode -> decode may be off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "quant/dtype.h"
#include "quant/half.h"

/* IEEE 754 binary16 by its definition. */
static float f16_value(uint32_t h)
{
	int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
	float v = exponent ? ldexpf((float)(1024 + fraction), exponent - 25)
			   : ldexpf((float)fraction, -24);
	if (exponent == 31)
		v = fraction ? NAN : INFINITY;
	return h & 0x8000 ? -v : v;
}

static void every_f16_survives(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 65536; h++) {
		float f = f16_to_f32((uint16_t)h), want = f16_value(h);
		if (isnan(want)) {
			assert_true(isnan(f) && isnan(f16_to_f32(f32_to_f16(f))));
			continue;
		}
		assert_int_equal(f32_bits(f), f32_bits(want));
		assert_int_equal(f32_to_f16(f), h);
	}
}

/* Midway between two neighbours goes to the even one; a hair off goes to the nearer one. */
static void f16_rounds_to_nearest_even(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x7C00; h++) {
		float next = h == 0x7BFF ? 65536.0f : f16_value(h + 1);
		float mid = (f16_value(h) + next) / 2; /* exact: one bit more than f16 has */
		uint32_t even = h & 1 ? h + 1 : h;
		assert_int_equal(f32_to_f16(mid), even);
		assert_int_equal(f32_to_f16(-mid), even | 0x8000);
		assert_int_equal(f32_to_f16(nextafterf(mid, 0)), h);
		assert_int_equal(f32_to_f16(nextafterf(mid, INFINITY)), h + 1);
	}
	assert_int_equal(f32_to_f16(1e30f), 0x7C00);
	assert_int_equal(f32_to_f16(-INFINITY), 0xFC00);
	assert_int_equal(f32_to_f16(1e-30f), 0);
}

static void every_bf16_survives(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 65536; h++) {
		float f = bf16_to_f32((uint16_t)h);
		assert_int_equal(f32_bits(f), h << 16);
		if (isnan(f)) {
			assert_true(isnan(bf16_to_f32(f32_to_bf16(f))));
			continue;
		}
		assert_int_equal(f32_to_bf16(f), h);
		if ((h & 0x7FFF) >= 0x7F80) /* infinity has no neighbour */
			continue;
		uint32_t mid = h << 16 | 0x8000;
		assert_int_equal(f32_to_bf16(bits_f32(mid)), h & 1 ? h + 1 : h);
		assert_int_equal(f32_to_bf16(bits_f32(mid - 1)), h);
		assert_int_equal(f32_to_bf16(bits_f32(mid + 1)), h + 1);
	}
	assert_true(isnan(bf16_to_f32(f32_to_bf16(bits_f32(0x7F800001))))); /* low bits only */
}

static void known_blocks_of_32(void **state)
{
	(void)state;
	uint8_t q4_0[18] = {0x00, 0x38}; /* d = 0.5 */
	uint8_t q4_1[20] = {0x00, 0x40, 0x00, 0xC2}; /* d = 2, m = -3 */
	uint8_t q8_0[34] = {0x00, 0x34}; /* d = 0.25 */
	float w[32];
	for (int j = 0; j < 16; j++)
		q4_0[2 + j] = q4_1[4 + j] = (uint8_t)(j | (15 - j) << 4);
	dtype_info(DTYPE_Q4_0)->decode(q4_0, w, 32);
	for (int j = 0; j < 16; j++) {
		assert_true(w[j] == 0.5f * (float)(j - 8));
		assert_true(w[16 + j] == 0.5f * (float)(7 - j));
	}
	dtype_info(DTYPE_Q4_1)->decode(q4_1, w, 32);
	for (int j = 0; j < 16; j++) {
		assert_true(w[j] == (float)(2 * j - 3));
		assert_true(w[16 + j] == (float)(2 * (15 - j) - 3));
	}
	for (int j = 0; j < 32; j++)
		q8_0[2 + j] = (uint8_t)(j * 8 - 128);
	dtype_info(DTYPE_Q8_0)->decode(q8_0, w, 32);
	for (int j = 0; j < 32; j++)
		assert_true(w[j] == (float)(2 * j - 32));
}

/* One value of q6_k at a time, its place computed as ggml's loop over quarters does. */
static void known_blocks_of_q6_k(void **state)
{
	(void)state;
	uint8_t b[210] = {0};
	float w[256];
	b[209] = 0x38; /* d = 0.5 */
	for (int g = 0; g < 16; g++)
		b[192 + g] = (uint8_t)(g - 8);
	dtype_info(DTYPE_Q6_K)->decode(b, w, 256);
	for (int e = 0; e < 256; e++)
		assert_true(w[e] == 0.5f * (float)(e / 16 - 8) * -32);
	for (int e = 0; e < 256; e++) {
		int half = e / 128, quarter = e % 128 / 32, l = e % 32;
		static const int low_at[4] = {0, 32, 0, 32};
		memset(b, 0, 192);
		/* q = 43: low nibble 11, upper bits 2 */
		b[64 * half + low_at[quarter] + l] = (uint8_t)(quarter < 2 ? 11 : 11 << 4);
		b[128 + 32 * half + l] = (uint8_t)(2 << (2 * quarter));
		dtype_info(DTYPE_Q6_K)->decode(b, w, 256);
		for (int i = 0; i < 256; i++)
			assert_true(w[i] == 0.5f * (float)(i / 16 - 8) * (i == e ? 11 : -32));
	}
}

/* Off by half a step of the format at most, and a little for the rounding of the f16 scales. */
static void encode_decode_error_is_bounded(void **state)
{
	(void)state;
	static const struct {
		enum dtype t;
		float bound; /* as a part of the block's largest magnitude */
	} cases[] = {
		{DTYPE_F32, 0}, {DTYPE_F16, 0x1p-11f}, {DTYPE_BF16, 0x1p-8f},
		{DTYPE_Q4_0, 0.13f}, /* the far end maps to 8, which is cut to 7: a whole step of 1/8 */
		{DTYPE_Q4_1, 0.069f}, /* 2/15/2 */
		{DTYPE_Q8_0, 0.0045f}, {DTYPE_Q6_K, 0.022f},
	};
	static float x[1024], y[1024];
	static uint8_t packed[4096];
	uint32_t seed = 1;
	for (size_t i = 0; i < 1024; i++) {
		seed = seed * 1664525 + 1013904223;
		x[i] = (float)(seed >> 8) / 0x1p23f - 1;
	}
	for (size_t k = 0; k < 16 * 2; k += 16) /* groups of zeros at the start of the first block */
		memset(x + k, 0, 16 * sizeof(*x));
	for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
		const struct dtype_info *d = dtype_info(cases[c].t);
		assert_true(dtype_bytes(cases[c].t, 1024) <= sizeof(packed));
		d->encode(x, packed, 1024);
		d->decode(packed, y, 1024);
		for (size_t i = 0; i < 1024; i++)
			if (!(fabsf(x[i] - y[i]) <= cases[c].bound))
				fail_msg("%s: %g became %g", d->name, (double)x[i], (double)y[i]);
	}
}

static void types_have_names_and_sizes(void **state)
{
	(void)state;
	for (int t = 1; t < DTYPE_COUNT; t++) {
		const struct dtype_info *d = dtype_info((enum dtype)t);
		if (d->ggml >= 0) {
			assert_int_equal(dtype_from_ggml((uint32_t)d->ggml), t);
			assert_string_not_equal(dtype_ggml_name((uint32_t)d->ggml), "");
		}
		if (d->safetensors)
			assert_int_equal(dtype_from_safetensors(d->safetensors), t);
		assert_int_equal(dtype_bytes((enum dtype)t, 256), 256 / d->block * d->block_bytes);
	}
	assert_int_equal(dtype_from_ggml(17), DTYPE_UNKNOWN);
	assert_int_equal(dtype_from_ggml(UINT32_MAX), DTYPE_UNKNOWN);
	assert_int_equal(dtype_from_safetensors("I64"), DTYPE_UNKNOWN);
	assert_int_equal(dtype_from_safetensors("U8"), DTYPE_UNKNOWN);
	assert_string_equal(dtype_ggml_name(17), "IQ2_XS");
	assert_null(dtype_ggml_name(77));
	assert_int_equal(dtype_bytes(DTYPE_Q4_0, 33), 0);
	assert_int_equal(dtype_bytes(DTYPE_F32, UINT64_MAX / 2), 0);
	assert_int_equal(dtype_bytes(DTYPE_UNKNOWN, 32), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_f16_survives),
		cmocka_unit_test(f16_rounds_to_nearest_even),
		cmocka_unit_test(every_bf16_survives),
		cmocka_unit_test(known_blocks_of_32),
		cmocka_unit_test(known_blocks_of_q6_k),
		cmocka_unit_test(encode_decode_error_is_bounded),
		cmocka_unit_test(types_have_names_and_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
