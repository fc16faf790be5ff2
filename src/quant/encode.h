/* Encoders of the formats whose scales lie in tensors of their own, as bitsandbytes quantizes. Groups
 * are flat over the whole tensor; the last one may be shorter. NaN and infinities in src are the
 * caller's to refuse. (Formats with scales inside encode by struct dtype_info.) */
#ifndef AIRLCHAT_QUANT_ENCODE_H
#define AIRLCHAT_QUANT_ENCODE_H

#include <stddef.h>
#include <stdint.h>

/* NF4: n elements to (n + 1) / 2 bytes, the first in the high nibble, and one absolute maximum for each
 * group (even; 64 by custom). To encode a tensor in parts, parts are multiples of the group. */
void encode_nf4(const float *src, size_t n, uint32_t group, uint8_t *codes, float *scales);

/* 8 bits block-wise: codes are places in the dynamic map, of what is above or below `offset`. */
void encode_i8_map(const float *src, size_t n, uint32_t group, float offset, uint8_t *codes, float *scales);

/* LLM.int8(): a row's largest magnitude `scb` maps to 127. w = code * scb / 127. */
void encode_i8_rows(const float *src, size_t rows, size_t cols, int8_t *codes, float *scb);

/* bitsandbytes' double quantization of n scales: encode_i8_map around their mean, `offset`, with
 * one `nested` scale a group (256 by custom). */
void encode_nested(const float *scales, size_t n, uint32_t group, uint8_t *codes, float *nested,
	float *offset);

#endif
