/* The decoders and encoders behind the dtype table, one file a family. Signatures: struct dtype_info. */
#ifndef AIRLCHAT_QUANT_CODECS_H
#define AIRLCHAT_QUANT_CODECS_H

#include <stddef.h>
#include <stdint.h>

static inline uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline void store16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

/* The 16 levels of ggml's IQ4_NL and IQ4_XS, and of E2M1 floats (0 .. 6, then the negatives). */
extern const int8_t iq4_levels[16];
extern const float e2m1_levels[16];
/* bitsandbytes: the 16 levels of NF4 and FP4, the 256 of its dynamic map (rising). */
extern const float nf4_levels[16], fp4_levels[16], dynamic_map[256];

/* floats.c */
void decode_f32(const void *src, float *dst, size_t n);
void encode_f32(const float *src, void *dst, size_t n);
void decode_f16(const void *src, float *dst, size_t n);
void encode_f16(const float *src, void *dst, size_t n);
void decode_bf16(const void *src, float *dst, size_t n);
void encode_bf16(const float *src, void *dst, size_t n);
void decode_f8_e4m3(const void *src, float *dst, size_t n);
void decode_f8_e5m2(const void *src, float *dst, size_t n);

/* blocks32.c */
void decode_q4_0(const void *src, float *dst, size_t n);
void encode_q4_0(const float *src, void *dst, size_t n);
void decode_q4_1(const void *src, float *dst, size_t n);
void encode_q4_1(const float *src, void *dst, size_t n);
void decode_q5_0(const void *src, float *dst, size_t n);
void decode_q5_1(const void *src, float *dst, size_t n);
void decode_q8_0(const void *src, float *dst, size_t n);
void encode_q8_0(const float *src, void *dst, size_t n);
void decode_iq4_nl(const void *src, float *dst, size_t n);
void decode_mxfp4(const void *src, float *dst, size_t n);

/* blocks256.c */
void decode_q2_k(const void *src, float *dst, size_t n);
void decode_q3_k(const void *src, float *dst, size_t n);
void decode_q4_k(const void *src, float *dst, size_t n);
void decode_q5_k(const void *src, float *dst, size_t n);
void decode_q6_k(const void *src, float *dst, size_t n);
void encode_q6_k(const float *src, void *dst, size_t n);
void decode_iq4_xs(const void *src, float *dst, size_t n);

/* codes.c: the value of each code, without the scales */
void decode_nf4(const void *src, float *dst, size_t n);
void decode_fp4(const void *src, float *dst, size_t n);
void decode_e2m1(const void *src, float *dst, size_t n);
void decode_i8(const void *src, float *dst, size_t n);
void decode_i8_map(const void *src, float *dst, size_t n);

#endif
