/* What the operations of a device are asked for. Arrays are row-major float32 unless said otherwise; "rows" n are
 * the tokens of a pass, ld is the distance between rows in elements; "device" pointers: see backend.h. */
#ifndef AIRLCHAT_BACKEND_OPS_H
#define AIRLCHAT_BACKEND_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quant/dtype.h"
#include "quant/scaling.h"

enum act_kind { ACT_SILU, ACT_GELU_TANH, ACT_GELU_ERF, ACT_RELU, ACT_RELU2 /* relu squared */,
	ACT_GELU_QUICK /* x / (1 + e^-1.702x) */ };
enum rope_style { ROPE_HALF /* rotate_half: (i, i + rot/2) */, ROPE_PAIR /* (2i, 2i + 1) */ };

/* Where head h of a (possibly fused) projection lies in a row:
 * start + (h / group) * stride + (h % group) * head_dim. Separate q, k, v: group = heads. */
struct head_map {
	uint32_t start, stride, group;
};

/* y[i][r] = sum_k x[i][k] * w[r][k] (+ bias[r]),  i < n, r < rows.
 *
 * transposed: the weight is stored [in, out], w holds `rows` of its rows from row0 on, each of k elements;
 * x is moved to column row0, y is [n, k]: y[i][c] = (row0 ? y[i][c] : bias[c] or 0), then x[i][r] * w[r][c]
 * is added for r = 0, 1, .. rows - 1 in this order, so that how a weight is cut into chunks changes no
 * bit; chunks must come in order. */
struct matmul {
	float *y; /* device [n, ldy], already moved to the first of these columns */
	size_t ldy;
	const float *x; /* device [n, ldx] */
	size_t ldx;
	const void *w; /* device, any alignment: `rows` rows of k elements of dtype */
	enum dtype dtype;
	uint32_t n, k, rows;
	const float *bias; /* device [rows] ([k] when transposed) or NULL */
	struct scales scales; /* how is NULL for dtypes that need none */
	uint64_t row0;	      /* row of the weight that w begins with: where its scales are found */
	bool transposed;
};

/* Row i sees the cells cells[rows[i].first .. first + count), in that order (rising position).
 * Softmax runs online in blocks of 64 cells, whose borders are at multiples of 64 of the index
 * inside the list counted from rows[i].base (so that a window's start does not move them); the SIMD variants
 * begin anew every 512 cells, and join. */
struct attn_row {
	uint32_t base;	/* index into cells of the sequence's first cell */
	uint32_t first; /* >= base: first visible */
	uint32_t count;
};

struct attention {
	float *out; /* device [n, ldo]; head h at h * v_dim */
	size_t ldo;
	const float *q; /* device [n, ldq] */
	size_t ldq;
	struct head_map q_map;
	const void *k, *v;    /* device [cells, kv_heads * head_dim], [cells, kv_heads * v_dim] of kv_type */
	enum dtype kv_type;   /* DTYPE_F16, DTYPE_F32, DTYPE_BF16 */
	const uint32_t *cells; /* device */
	const struct attn_row *rows; /* device [n] */
	uint32_t n, heads, kv_heads, head_dim; /* query head h reads kv head h / (heads / kv_heads) */
	uint32_t v_dim;		  /* of a value head; 0: head_dim */
	uint32_t k_stride, v_stride; /* elements from cell to cell; 0: kv_heads * head_dim, kv_heads * v_dim */
	uint32_t max_count; /* the largest count of the rows */
	float scale;
	float softcap; /* > 0: s = softcap * tanh(s / softcap) */
	/* ALiBi, device [heads] or NULL: s -= slope * (last - c), c the cell's place in the list, last that
	 * of the row's last visible cell; after the cap. */
	const float *slopes;
	/* Device [heads] or NULL: one more score in each softmax, which takes weight and gives no value. */
	const float *sinks;
};

/* y = (x - mean) / sqrt(var + eps) * w + bias (centred), or x / sqrt(mean(x^2) + eps) * w, over each of
 * `heads` pieces of dim elements that map names in a row. y may be x. A whole row is one head. */
struct norm {
	float *y;
	const float *x; /* device [n, ld], both */
	size_t ld;
	struct head_map map;
	uint32_t n, heads, dim;
	const float *w, *bias; /* device [dim] (head h: + h * w_stride), or NULL */
	uint32_t w_stride;     /* 0: all heads share w */
	float eps;
	bool centred; /* LayerNorm; else RMSNorm */
};

/* In place on the heads that map names: pairs rotated by cos/sin[i][rot / 2]; the rest stays. */
struct rope {
	float *x; /* device [n, ldx] */
	size_t ldx;
	struct head_map map;
	const float *cos, *sin; /* device [n, rot / 2] */
	uint32_t n, heads, head_dim, rot;
	enum rope_style style;
};

/* y row (y_rows ? y_rows[i] : i) = or += weight[i] * x row (x_rows ? x_rows[i] : i), on `heads` pieces of
 * dim elements that the maps name in each. Rows of y are named once at most. x may be y with the same map,
 * weights and no list of rows: then the pieces are scaled in place. */
struct move {
	float *y; /* device [.., ldy] */
	size_t ldy;
	struct head_map y_map;
	const float *x; /* device [.., ldx] */
	size_t ldx;
	struct head_map x_map;
	uint32_t n, heads, dim;
	const uint32_t *y_rows, *x_rows; /* device [n] or NULL */
	const float *weights;		 /* device [n]; NULL: 1 */
	bool add;
};

/* y[i][j] = (up' + 1) * gate' * sigmoid(alpha * gate'), gate' = min(gate, limit), up' clamped to +-limit,
 * with gate[i * ld + j * step] and up likewise (gpt-oss). y [n, d] of distance ld may be gate. */
struct glu {
	float *y;
	const float *gate, *up; /* device */
	size_t ld;
	uint32_t n, d, step;
	float alpha, limit;
};

#endif
