/* The dtype table: how weights lie on disk. One row per format; the reference decoding is the
 * definition that every faster kernel is tested against.
 *
 * A format packs `block` consecutive elements of a row into `block_bytes` bytes. A row of k elements
 * (k a multiple of block) takes k / block * block_bytes bytes, without padding between rows.
 * Little-endian, any alignment. Sources: IEEE 754; the OCP specifications of 8-bit floats and of
 * microscaling formats; ggml-common.h of llama.cpp for the Q formats; bitsandbytes. */
#ifndef AIRLCHAT_QUANT_DTYPE_H
#define AIRLCHAT_QUANT_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype {
	DTYPE_UNKNOWN = 0, /* a type that airlchat can't compute with; struct tensor keeps its name */
	DTYPE_F32,
	DTYPE_F16,
	DTYPE_BF16,
	DTYPE_Q4_0,
	DTYPE_Q4_1,
	DTYPE_Q8_0,
	DTYPE_Q6_K,
	DTYPE_Q5_0,
	DTYPE_Q5_1,
	DTYPE_IQ4_NL,
	DTYPE_MXFP4, /* ggml's blocks, the exponent in front */
	DTYPE_Q2_K,
	DTYPE_Q3_K,
	DTYPE_Q4_K,
	DTYPE_Q5_K,
	DTYPE_IQ4_XS,
	/* Elements alone: they mean something with the scales of quant/scaling.h only (the 8-bit floats
	 * also without). Safetensors call the last four U8; what they are is said elsewhere in the model. */
	DTYPE_F8_E4M3,
	DTYPE_F8_E5M2,
	DTYPE_I8,     /* LLM.int8() */
	DTYPE_I8_MAP, /* bitsandbytes' block-wise 8 bits: places in the dynamic map */
	DTYPE_NF4,    /* bitsandbytes, two a byte, the first in the high nibble */
	DTYPE_FP4,    /* bitsandbytes, the same */
	DTYPE_E2M1,   /* MXFP4 as Hugging Face publishes it: the first in the low nibble */
	DTYPE_COUNT
};

struct dtype_info {
	const char *name;	  /* "bf16", "q4_1" */
	const char *safetensors;  /* name in safetensors headers, NULL if it has none */
	int ggml;		  /* number in GGUF tensor infos, -1 if it has none */
	uint32_t block;		  /* elements a block */
	uint32_t block_bytes;
	/* n elements (a multiple of block) from src to dst. w = the format's formula in float32,
	 * every product and sum rounded once, so that any kernel can reproduce the same bits. */
	void (*decode)(const void *src, float *dst, size_t n);
	/* The inverse, round to nearest; n a multiple of block. NULL: there is none here; formats with
	 * scales of their own are encoded by quant/encode.h. */
	void (*encode)(const float *src, void *dst, size_t n);
	const float *levels; /* what codes stand for: [256] when block is 1, [16] when it is 2; or NULL */
};

const struct dtype_info *dtype_info(enum dtype t); /* t in 1..DTYPE_COUNT-1 */
enum dtype dtype_from_ggml(uint32_t ggml_type);	   /* DTYPE_UNKNOWN if not computed */
enum dtype dtype_from_safetensors(const char *name);
/* The name ggml gives type number t ("IQ2_XS"), for messages; "number 77" style text is the caller's. */
const char *dtype_ggml_name(uint32_t ggml_type); /* NULL if unknown to us */

/* Bytes of n elements; 0 if n is not a multiple of the block or it overflows 64 bits. */
uint64_t dtype_bytes(enum dtype t, uint64_t n);

#endif
