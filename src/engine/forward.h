/* One pass: the layers' equations in order. Private to engine/. */
#ifndef AIRLCHAT_ENGINE_FORWARD_H
#define AIRLCHAT_ENGINE_FORWARD_H

#include <stdatomic.h>

#include "engine/embed.h"
#include "engine/engine.h"

/* Device buffers; [n, ...] with n = plan.prefill_rows. Region b is used twice in a layer: for q, k, v
 * and the attention's output, then for gate and up. */
struct work {
	float *x, *h;	     /* [n, hidden]: residual stream, normed input or sublayer output */
	float *b;	     /* [n, max(2 q + 2 kv, 2 ffn)] */
	float *cos, *sin;    /* [n, rot / 2] */
	float *logits;	     /* [logits_rows, vocab] */
	void *embed_raw;     /* [n] rows of the embedding as stored */
	uint32_t *cells;     /* [ctx]: cells of the sequence in rising position */
	uint32_t *new_cells; /* [n]: where the rows of this pass are stored */
	struct attn_row *rows; /* [n] */
};

struct host { /* staging memory that copies run from and to */
	void *embed_raw;
	float *cos, *sin, *logits;
	uint32_t *cells, *new_cells;
	struct attn_row *rows;
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
	void **k, **v;	 /* [n_layers] device: [ctx, kv_heads * head_dim] */
	size_t kv_layer_bytes;
	float *inv_freq; /* host [rot / 2] */
	uint32_t *ids;	 /* [ctx] committed tokens; token i lies in cell s.cells[i] */
	size_t n_ids;
	struct embed embed;
	size_t head_first; /* the first chunk of the head */
	size_t next_chunk; /* of the running pass */
	int64_t mark;	   /* trace: up to here the time of the pass is accounted for */
	atomic_bool cancelled;
};

/* Rows of one pass. They follow the committed tokens; nothing is committed here. */
struct pass {
	const uint32_t *tokens; /* [n] */
	uint32_t n;
	uint32_t pos0;		/* position of the first row = committed tokens before it */
	uint32_t logits_from;	/* logits for rows logits_from..n-1; n: none */
	bool prefill;
};

/* Logits arrive in en->s.logits. On failure the stream is rewound. */
int forward_pass(struct engine *en, const struct pass *p, struct err *e);

#endif
