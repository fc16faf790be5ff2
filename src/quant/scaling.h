/* Scales that lie in tensors of their own, beside the elements: bitsandbytes NF4, FP4 and int8, FP8
 * with per-tensor, per-row or block scales, MXFP4 as Hugging Face publishes it. (GGML's formats carry
 * theirs inside each block and need none of this.)
 *
 * A weight [rows, cols] has one scale for each cell of a grid. Either the grid is of rectangles,
 * group_rows x group_cols elements each, its scales row-major [ceil(rows / group_rows),
 * ceil(cols / group_cols)]; or it is flat: scale number (row * cols + col) / flat, which may straddle
 * rows (bitsandbytes). An element is decode(stored element) * scale, both float32, rounded once. */
#ifndef AIRLCHAT_QUANT_SCALING_H
#define AIRLCHAT_QUANT_SCALING_H

#include <stdbool.h>
#include <stdint.h>

#include "quant/dtype.h"

enum scale_kind {
	SCALE_F32,
	SCALE_F16,
	SCALE_BF16,
	SCALE_E8M0,   /* a byte b: 2^(b - 127) */
	SCALE_NESTED, /* bitsandbytes' double quantization: map[byte] * nested[number / nested_group] + offset */
};

struct scaling {
	enum scale_kind kind;
	uint32_t flat;			 /* elements a scale; 0: the grid is of rectangles */
	uint32_t group_rows, group_cols; /* of a rectangle; group_cols may be the whole row */
	bool inverse;			 /* divide by the stored scale instead (never seen with E8M0) */
	float factor;			 /* multiplies every scale: 1, or 1/127 for LLM.int8()'s SCB */
	uint32_t nested_group;		 /* scales that share one entry of nested */
	float offset;
	const float *map;      /* SCALE_NESTED: [256], host memory, owned by the model */
	const float *code;     /* what 4-bit or 8-bit codes stand for ([16] or [256]) when the file brings
				  its own quant_map; NULL: the dtype's standard one. Host, owned by the model */
};

/* The scales that a chunk of a weight is multiplied with. */
struct scales {
	const struct scaling *how; /* NULL: the dtype needs none */
	const void *p;		   /* device: scales as stored, beginning with number `first` of the weight */
	uint64_t first;
	const float *nested; /* device: SCALE_NESTED, the whole weight's; else NULL */
};

/* Bytes of one stored scale. */
static inline uint32_t scale_bytes(enum scale_kind k)
{
	return k == SCALE_F32 ? 4 : k == SCALE_F16 || k == SCALE_BF16 ? 2 : 1;
}

/* Number of the scale of element (row, col) in a weight with `cols` columns. */
static inline uint64_t scale_index(const struct scaling *s, uint64_t row, uint64_t col, uint64_t cols)
{
	if (s->flat)
		return (row * cols + col) / s->flat;
	return row / s->group_rows * ((cols + s->group_cols - 1) / s->group_cols) + col / s->group_cols;
}

/* Scale number `index` of the weight, as a float (the definition; kernels may keep it in registers).
 * Reads host memory. */
float scale_get(const struct scales *s, uint64_t index);
/* n of them from number `first` on, the same bits. */
void scales_get(const struct scales *s, uint64_t first, uint32_t n, float *out);
/* Where each group of 32 elements of a row of k has one scale, group g of a row has number
 * (g + phase) >> this of the row's, phase being groups that the row shares its first scale with; else -1. */
int scaling_shift(const struct scaling *how, uint32_t k);

/* n elements of a weight with `cols` columns, from (row, col) on within a row, to floats: the definition
 * for every kernel. src: the first of them; col and n are multiples of the dtype's block. s->how may be
 * NULL: then the elements are decoded alone. */
void decode_scaled(enum dtype t, const struct scales *s, const void *src, uint64_t row, uint64_t col,
	uint64_t cols, float *dst, size_t n);

#endif
