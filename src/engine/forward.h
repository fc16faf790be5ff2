/* One pass: the layers' equations in order. Private to engine/. */
#ifndef AIRLCHAT_ENGINE_FORWARD_H
#define AIRLCHAT_ENGINE_FORWARD_H

#include <stdatomic.h>

#include "engine/embed.h"
#include "engine/engine.h"

/* Device buffers; [n, ...] with n = plan.prefill_rows. Region b is used twice in a layer: for q, k, v
 * and the attention's output, then for gate and up. */
struct work {
	float *x, *h, *y;    /* [n, hidden]: residual stream, normed input, a sublayer's output */
	float *b;	     /* [n, max(qkv + heads * head_dim, 2 ffn)] */
	float *cos, *sin;    /* a set of rope after the other, each [n, rot / 2] */
	float *logits;	     /* [logits_rows, vocab] */
	void *embed_raw;     /* [n] rows of the embedding as stored */
	void *pos_raw;	     /* the same of learned positions, where there are any */
	uint32_t *cells;     /* [ctx]: cells of the sequence in rising position */
	uint32_t *new_cells; /* [n]: where the rows of this pass are stored */
	struct attn_row *rows; /* [2, n]: for layers that see all, for windowed ones */
	/* Mixture of experts: logits [n, n_experts], behind them one more [n] for the shared expert; which rows
	 * go to which expert, with which weight: [n * top_k], behind the weights those of the shared expert. */
	float *router, *route_weights;
	uint32_t *route_rows;
	float *expert_bias; /* of the matrix at hand */
	float *growth;	    /* [n]: what queries of the rows are multiplied by, in models with model.growth */
};

struct host { /* staging memory that copies run from and to */
	void *embed_raw, *pos_raw;
	float *cos, *sin, *logits;
	uint32_t *cells, *new_cells;
	struct attn_row *rows;
	float *router, *route_weights;
	uint32_t *route_rows;
	float *growth;
};

struct engine {
	struct engine_config c;
	struct stream *stream;
	struct trace *trace;
	struct event *event; /* for waiting on the compute queue */
	struct work w;
	struct host s;
	void *device_block, *host_block; /* what w and s point into */
	size_t device_bytes, host_bytes;
	float **small;	 /* [n_weights] device: norms and biases as float32; NULL for matrices */
	float *small_block;
	size_t small_bytes;
	struct scales *scales; /* [n_weights] what stays in memory of matrices' scales */
	void *scales_block;
	size_t scales_bytes;
	void **k, **v;	 /* [n_layers] device: [ctx, kv_heads * head_dim] */
	size_t k_bytes, v_bytes; /* of a layer */
	struct rope_params rope[2]; /* the model's; factors that GGUF has as tensors are ours */
	float *rope_factors[3];	    /* host, owned: short, long, all */
	float *inv_freq[2];	    /* host [rot / 2] of each set, for sequences like those of rope_len */
	uint32_t rope_len;	    /* tokens of the sequence that the frequencies are for */
	uint32_t cells_len;	    /* the same for the cells that are stored; 0: they differ */
	float *head_scale;		    /* device [vocab], or NULL: the head's rows have length 1 then */
	float *slopes;		    /* device [heads] for ALiBi, or NULL; in small_block */
	uint32_t *ids;	 /* [ctx] committed tokens; token i lies in cell s.cells[i] */
	size_t n_ids;
	struct embed embed;
	size_t head_first; /* the first chunk of the head */
	size_t next_chunk; /* of the running pass */
	uint32_t next_expert_chunk;
	int64_t picked_from; /* when the wait for the expert at hand began; 0: not before it is acquired */
	struct moe_state *moe; /* NULL: no experts */
	int64_t mark;	   /* trace: up to here the time of the pass is accounted for */
	atomic_bool cancelled;
};

/* Rows of one pass. They follow the committed tokens; nothing is committed here. */
struct pass {
	const uint32_t *tokens; /* [n] */
	uint32_t n;
	uint32_t pos0;		/* position of the first row = committed tokens before it */
	uint32_t total;		/* tokens of the sequence that rope is computed for */
	uint32_t logits_from;	/* logits for rows logits_from..n-1; n: none */
	bool prefill;
};

/* Logits arrive in en->s.logits. On failure the stream is rewound. */
int forward_pass(struct engine *en, const struct pass *p, struct err *e);

/* Lay the buffers out in `base` for n rows a pass; returns their bytes, base NULL: nothing else. */
size_t buffers_work(struct work *w, void *base, const struct model *m, size_t n, size_t logits_rows, size_t ctx);
size_t buffers_host(struct host *s, void *base, const struct model *m, size_t n, size_t logits_rows, size_t ctx);

/* Norms, biases and the like: read once, kept as float32. */
int small_load(struct engine *en, struct err *e);
uint64_t small_bytes(const struct model *m);

/* --- pieces of a pass, shared by forward.c, attention.c and ffn.c ------------------------------ */

/* Where the time went on a device with memory of its own, from the events of the pass. */
void forward_device_times(struct engine *en);

/* Which of these experts (as the stream numbers them) is the best to compute now. Waits for it. */
size_t forward_pick_expert(struct engine *en, const uint32_t *experts, size_t n);

/* A norm, bias or other small vector on the device, or NULL. */
const float *forward_small(const struct engine *en, uint32_t layer, enum role role);

/* y[n, ldy] = x[n, ldx] W^T + bias, chunk by chunk as the stream brings them. */
int forward_matmul(struct engine *en, uint32_t layer, enum role role, float *y, size_t ldy, const float *x,
	size_t ldx, uint32_t n, struct err *e);

/* The same with the weight of one head or one expert (whose bias, if any, comes before it). */
int forward_copy(struct engine *en, uint32_t layer, enum role role, uint32_t i, float *y, size_t ldy, const float *x,
	size_t ldx, uint32_t n, struct err *e);
int forward_expert(struct engine *en, uint32_t layer, enum role role, uint32_t i, float *y, size_t ldy,
	const float *x, size_t ldx, uint32_t n, struct err *e);

/* y = norm(x) with the weights of a role, [n, hidden]; false if the model has no such norm. */
bool forward_norm(struct engine *en, uint32_t layer, enum role role, float *y, const float *x, uint32_t n);

/* The sublayers: y = f(x), [n, hidden]. y may not be x. */
int attention_forward(struct engine *en, const struct pass *p, uint32_t layer, float *y, const float *x,
	struct err *e);
int ffn_forward(struct engine *en, const struct pass *p, uint32_t layer, float *y, const float *x,
	struct err *e);

int mla_forward(struct engine *en, const struct pass *p, uint32_t layer, float *y, const float *x,
	struct err *e); /* attention_forward of models with model.mla */

/* Floats a row of region b that they need. */
size_t mla_width(const struct model *m);
size_t attention_width(const struct model *m);
size_t ffn_width(const struct model *m);

/* Bytes of one cell of a layer's two caches; v may have none. */
void attention_cell_bytes(const struct model *m, enum dtype type, uint64_t *k, uint64_t *v);

#endif
