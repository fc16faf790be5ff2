/* Quantized weights of safetensors checkpoints: which tensors are one weight, and how its elements and
 * scales are to be read. Private to model/, but prepare/ asks it too.
 *
 *   method                 elements                       scales
 *   bitsandbytes 4-bit     N: two codes a byte            N.absmax [n / blocksize], f32, or bytes with
 *                                                         N.nested_absmax, N.nested_quant_map
 *   bitsandbytes 8-bit     N: i8                          X.SCB [rows] for N = X.weight; / 127
 *   AirLLM 4bit, 8bit      N                              the same as N.4bit.absmax; N.8bit.absmax, .code
 *   fp8, fbgemm_fp8,       N: F8_E4M3, F8_E5M2 or I8      N_scale_inv or N_scale: one, one a row, or one
 *   compressed-tensors                                    a block of weight_block_size
 *   mxfp4                  N_blocks: two codes a byte     N_scales: exponents, one for 32 columns
 *
 * Weights are found by their tensors, so modules that a config leaves out (modules_to_not_convert,
 * llm_int8_skip_modules) are the plain tensors they are. What activations would be rounded to is not
 * imitated: the product with the dequantized weights is computed. */
#ifndef AIRLCHAT_MODEL_QUANTIZATION_H
#define AIRLCHAT_MODEL_QUANTIZATION_H

#include <cjson/cJSON.h>

#include "model/model.h"

struct quantization; /* owned by the model: its tables are what struct scaling points to */

/* config: config.json, or NULL (GGUF). A method that is not supported is an error that names it. */
int quantization_open(struct quantization **out, const struct checkpoint *c, const cJSON *config,
	const char *config_path, struct err *e);
void quantization_close(struct quantization *q); /* NULL is fine */

/* Where a weight's elements and scales lie. */
struct stored {
	const struct tensor *tensor; /* NULL: there is no such weight */
	enum dtype dtype;	     /* how its elements are computed with */
	int n_dims;
	uint64_t shape[TENSOR_DIMS]; /* of the weight, in elements */
	bool flipped; /* stored [.., out, in] where the plain tensor of this name is [.., in, out] */
	const struct tensor *scale, *nested; /* NULL: none */
	struct scaling scaling;
	uint64_t grid_rows; /* of one grid of rectangles; a stacked tensor has one for each slice */
};

/* The weight `name` ("...q_proj.weight"), plain or quantized. 0 with out->tensor NULL when there is
 * none; -1 when there is one that makes no sense. */
int stored_find(struct stored *out, struct quantization *q, const char *name, struct err *e);

/* Rows of a weight that a chunk's rows must be a multiple of, so that scales begin where rows do. */
uint32_t weight_row_step(const struct weight *w);

uint64_t weight_step_scale_bytes(const struct weight *w); /* streamed scales of so many rows, at most */

/* The stored scales of rows row0 .. row0 + rows - 1: bytes in the scale tensor's file, and the number
 * of the first. No bytes without scales of its own. */
struct extent weight_scales(const struct weight *w, uint64_t row0, uint64_t rows, uint64_t *first);

/* Fill dtype, scale, nested, scaling and offset of w, whose role, rows and cols are set, from the rows
 * that begin with number `row` of what is stored, its slices counted on (0 for a weight of its own). Blocks
 * of scales that don't begin where these rows do are an error. */
int weight_from_stored(struct weight *w, const struct checkpoint *c, const struct stored *s,
	uint64_t row, struct err *e);

/* Floats of w->nested that belong to w, from w->nested_first on. */
uint64_t weight_nested_count(const struct weight *w);

#endif
