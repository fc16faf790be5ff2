/* A model: dimensions from config.json or GGUF metadata, and where each weight lies.
 *
 * A family is one row of the table in arch.c (tensor names, activation, rope). Whatever a config
 * asks for that the row can't express is an error that names it. Read-only after model_open. */
#ifndef AIRLCHAT_MODEL_MODEL_H
#define AIRLCHAT_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "model/schedule.h"
#include "quant/scaling.h"
#include "store/checkpoint.h"

enum role {
	ROLE_EMBED, /* [vocab, hidden], rows gathered */
	ROLE_ATTN_NORM,
	ROLE_Q,
	ROLE_K,
	ROLE_V,
	ROLE_O,
	ROLE_FFN_NORM,
	ROLE_GATE,
	ROLE_UP,
	ROLE_DOWN,
	ROLE_OUT_NORM,
	ROLE_HEAD, /* [vocab, hidden]; the embedding's tensor when tied */
	ROLE_Q_BIAS,
	ROLE_K_BIAS,
	ROLE_V_BIAS,
	ROLE_O_BIAS,
	ROLE_GATE_BIAS,
	ROLE_UP_BIAS,
	ROLE_DOWN_BIAS,
	ROLE_ROPE_FACTORS, /* [head_dim / 2], GGUF's form of llama3 rope */
	ROLES
};

/* What a layer's equation names: a tensor, or an expert's slice of a stacked one. rows x cols as stored
 * ([out, in], or [in, out] when transposed); vectors have rows = 1. */
struct weight {
	enum role role;
	uint32_t layer; /* n_layers for those that belong to no layer */
	const struct tensor *tensor;
	enum dtype dtype; /* how the elements are computed with: the tensor's, or what its quantization means */
	uint32_t rows, cols;
	bool transposed;
	uint64_t offset;    /* of the first byte, in the tensor's file */
	uint64_t row_bytes;
	/* Scales in a tensor of their own. scales_streamed: they come with the chunks; else they are small
	 * and loaded once, as is `nested`. */
	const struct tensor *scale, *nested;
	uint64_t scale_offset; /* of this weight's first scale, in the scale tensor's file */
	struct scaling scaling;
	bool has_scaling, scales_streamed;
};

enum rope_scaling { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3 };

struct rope_params {
	enum rope_scaling kind;
	enum rope_style style;
	uint32_t rot; /* dimensions of a head that are rotated */
	double theta, factor, low_freq_factor, high_freq_factor;
	uint32_t original_ctx;
};

struct arch; /* a row of the family table */

struct model {
	const struct arch *arch;
	char *name; /* for people: from GGUF general.name, else the folder's or file's name */
	uint32_t n_layers, hidden, ffn, heads, kv_heads, head_dim, vocab, ctx_train;
	float norm_eps;
	enum act_kind act;
	bool tied;
	struct rope_params rope;
	struct weight *weights;
	size_t n_weights;
	int32_t *by_role; /* [(n_layers + 1) * ROLES] index into weights, -1 if there is none */
	uint64_t bytes;	  /* of all weights, an embedding that is also the head counted once */
};

/* Find dimensions and weights; shapes and dtypes are checked. c must outlive the model. */
int model_open(struct model **out, const struct checkpoint *c, struct err *e);
void model_close(struct model *m); /* NULL is fine */

/* The weight of a role in a layer (n_layers for embed, head, out_norm, rope factors), or NULL. */
const struct weight *model_weight(const struct model *m, uint32_t layer, enum role role);

/* Is this weight multiplied chunk by chunk (a matrix), or small and always resident? */
bool role_is_streamed(enum role role);

/* Rotary frequencies [rot / 2] after scaling, in float32 as transformers computes them.
 * factors: [rot / 2] from ROLE_ROPE_FACTORS, or NULL. */
void model_inv_freq(const struct model *m, const float *factors, float *inv_freq);

/* Cut the streamed weights into chunks of at most chunk_bytes (but at least one row each), in the
 * order of a pass. schedule_clear frees. */
int schedule_make(struct schedule *s, const struct model *m, uint64_t chunk_bytes, struct err *e);
void schedule_clear(struct schedule *s);

/* Ids that end an answer: generation_config.json, config.json or GGUF metadata. *ids is owned by the
 * caller (free). */
int model_stop_ids(const struct checkpoint *c, uint32_t **ids, size_t *n, struct err *e);

#endif
