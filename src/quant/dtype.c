#include "quant/dtype.h"

#include <string.h>

#include "quant/codecs.h"

static const struct dtype_info table[DTYPE_COUNT] = {
	[DTYPE_F32] = {"f32", "F32", 0, 1, 4, decode_f32, encode_f32, NULL},
	[DTYPE_F16] = {"f16", "F16", 1, 1, 2, decode_f16, encode_f16, NULL},
	[DTYPE_BF16] = {"bf16", "BF16", 30, 1, 2, decode_bf16, encode_bf16, NULL},
	[DTYPE_Q4_0] = {"q4_0", NULL, 2, 32, 18, decode_q4_0, encode_q4_0, NULL},
	[DTYPE_Q4_1] = {"q4_1", NULL, 3, 32, 20, decode_q4_1, encode_q4_1, NULL},
	[DTYPE_Q8_0] = {"q8_0", NULL, 8, 32, 34, decode_q8_0, encode_q8_0, NULL},
	[DTYPE_Q6_K] = {"q6_k", NULL, 14, 256, 210, decode_q6_k, encode_q6_k, NULL},
	[DTYPE_Q5_0] = {"q5_0", NULL, 6, 32, 22, decode_q5_0, NULL, NULL},
	[DTYPE_Q5_1] = {"q5_1", NULL, 7, 32, 24, decode_q5_1, NULL, NULL},
	[DTYPE_IQ4_NL] = {"iq4_nl", NULL, 20, 32, 18, decode_iq4_nl, NULL, NULL},
	[DTYPE_MXFP4] = {"mxfp4", NULL, 39, 32, 17, decode_mxfp4, NULL, NULL},
	[DTYPE_Q2_K] = {"q2_k", NULL, 10, 256, 84, decode_q2_k, NULL, NULL},
	[DTYPE_Q3_K] = {"q3_k", NULL, 11, 256, 110, decode_q3_k, NULL, NULL},
	[DTYPE_Q4_K] = {"q4_k", NULL, 12, 256, 144, decode_q4_k, NULL, NULL},
	[DTYPE_Q5_K] = {"q5_k", NULL, 13, 256, 176, decode_q5_k, NULL, NULL},
	[DTYPE_IQ4_XS] = {"iq4_xs", NULL, 23, 256, 136, decode_iq4_xs, NULL, NULL},
	[DTYPE_F8_E4M3] = {"f8_e4m3", "F8_E4M3", -1, 1, 1, decode_f8_e4m3, NULL, NULL},
	[DTYPE_F8_E5M2] = {"f8_e5m2", "F8_E5M2", -1, 1, 1, decode_f8_e5m2, NULL, NULL},
	[DTYPE_I8] = {"i8", "I8", -1, 1, 1, decode_i8, NULL, NULL},
	[DTYPE_I8_MAP] = {"i8_map", NULL, -1, 1, 1, decode_i8_map, NULL, dynamic_map},
	[DTYPE_NF4] = {"nf4", NULL, -1, 2, 1, decode_nf4, NULL, nf4_levels},
	[DTYPE_FP4] = {"fp4", NULL, -1, 2, 1, decode_fp4, NULL, fp4_levels},
	[DTYPE_E2M1] = {"e2m1", NULL, -1, 2, 1, decode_e2m1, NULL, e2m1_levels},
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
