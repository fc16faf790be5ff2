/* One row of functions per variant: each does a part of an operation in the calling thread. cpu.c
 * checks nothing here and splits the work; how it splits never changes a bit. */
#ifndef AIRLCHAT_BACKEND_CPU_KERNELS_H
#define AIRLCHAT_BACKEND_CPU_KERNELS_H

#include "backend/backend.h"

#define CPU_SCRATCH_BYTES ((size_t)640 << 10) /* a thread's scratch memory, 4096-aligned */
#define ROW_SCRATCH_BYTES ((size_t)64 << 10)	/* of it, for decoding a row */
#define COLUMNS_STEP 256			/* a multiple of every dtype's block */
#define ATTN_BLOCK 64				/* cells, see struct attn_row */
#define ATTN_QUERIES 64				/* most queries of an attn_part */
#define ATTN_SCRATCH_BYTES (CPU_SCRATCH_BYTES / 2) /* for keys and values; behind it are states */

struct kv_store {
	void *cache;
	enum dtype type;
	const float *src;
	size_t ld;
	struct head_map map;
	uint32_t heads, head_dim;
	const uint32_t *cells;
};

/* Queries that go through the cells together: some heads of one kv head, in neighbouring rows of one base. */
struct attn_part {
	const struct attention *a;
	uint32_t row, rows, head, heads; /* rows * heads <= ATTN_QUERIES */
};

struct cpu_kernels {
	const char *name;
	uint32_t row_step; /* parts of a matmul are best multiples of this many weight rows */
	void (*decode)(float *y, const void *w, enum dtype t, size_t elements);
	/* Elements [k0, k0 + len) of weight row r to floats; k0 is a multiple of 256, len one of the format's
	 * block. scratch: ROW_SCRATCH_BYTES. */
	void (*row)(const struct matmul *m, uint32_t r, size_t k0, size_t len, float *to, float *scratch);
	/* Weight rows [r0, r1) for all n rows. */
	void (*matmul)(const struct matmul *m, uint32_t r0, uint32_t r1, float *scratch);
	/* Transposed: columns [c0, c1) for all n rows; c0 is a multiple of COLUMNS_STEP. */
	void (*matmul_t)(const struct matmul *m, uint32_t c0, uint32_t c1, float *scratch);
	void (*norm)(const struct norm *o, uint32_t row);
	void (*rope)(const struct rope *r, uint32_t row);
	void (*kv_store)(const struct kv_store *s, uint32_t row);
	/* The query heads of one kv head in one row, whole; or, of a variant that leaves it NULL: the states of the
	 * part's queries go on with the cells from `from` up to `to`, a multiple of ATTN_BLOCK behind the rows'
	 * base. scratch: ATTN_SCRATCH_BYTES. */
	void (*attention)(const struct attention *a, uint32_t row, uint32_t kv_head);
	void (*attend)(const struct attn_part *p, uint32_t from, uint32_t to, float *states, float *scratch);
	void (*act_mul)(enum act_kind act, float *y, const float *gate, const float *up, size_t n);
	void (*add)(float *y, const float *x, float scale, size_t n);
	void (*scale)(float *y, float scale, size_t n);
	void (*softcap)(float *y, float cap, size_t n);
};

/* The same in every variant (rows.c). */
void move_row(const struct move *m, size_t i);
void glu_row(const struct glu *g, size_t i);

extern const struct cpu_kernels cpu_kernels_ref;
/* NULL when this build or machine can't run it. */
const struct cpu_kernels *cpu_kernels_avx2(void);
const struct cpu_kernels *cpu_kernels_avx512(void);

/* What 0 stands for in struct attention. */
static inline uint32_t attn_v_dim(const struct attention *a)
{
	return a->v_dim ? a->v_dim : a->head_dim;
}

static inline size_t attn_k_stride(const struct attention *a)
{
	return a->k_stride ? a->k_stride : (size_t)a->kv_heads * a->head_dim;
}

static inline size_t attn_v_stride(const struct attention *a)
{
	return a->v_stride ? a->v_stride : (size_t)a->kv_heads * attn_v_dim(a);
}

/* What is known of a query after some of its cells: the sum of e^(score - max) * value [attn_state_dim, v_dim of
 * them in use], max, the sum of e^(score - max). A part has one for each head of its first row, its second, ... */
static inline size_t attn_state_dim(const struct attention *a)
{
	return ((size_t)attn_v_dim(a) + 15) / 16 * 16;
}

static inline size_t attn_state_floats(const struct attention *a)
{
	return attn_state_dim(a) + 16;
}

/* Offset in a row of head h. */
static inline size_t head_offset(const struct head_map *m, uint32_t h, uint32_t head_dim)
{
	uint32_t group = m->group ? m->group : 1;
	return m->start + (size_t)(h / group) * m->stride + (size_t)(h % group) * head_dim;
}

#endif
