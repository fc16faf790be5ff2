/* A model: dimensions from config.json or GGUF metadata, and where each weight lies.
 *
 * A family is one row of the table in arch.c (tensor names, defaults, what its equations have). Whatever a config
 * asks for that the row can't express is an error that names it. Read-only after model_open. */
#ifndef AIRLCHAT_MODEL_MODEL_H
#define AIRLCHAT_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "model/moe.h"
#include "model/role.h"
#include "model/rope.h"
#include "model/schedule.h"
#include "quant/scaling.h"
#include "store/checkpoint.h"

/* What a layer's equation names: a tensor, or an expert's slice of a stacked one. rows x cols as stored
 * ([out, in], or [in, out] when transposed); vectors have rows = 1. */
struct weight {
	enum role role;
	uint32_t layer; /* n_layers for those that belong to no layer */
	const struct tensor *tensor;
	enum dtype dtype; /* how the elements are computed with: the tensor's, or what its quantization means */
	uint32_t rows, cols;
	bool transposed;
	const struct tensor **parts; /* a vector in pieces, one tensor each, that follow one another; owned */
	uint32_t n_parts;
	uint64_t offset;    /* of the first byte, in the tensor's file */
	uint64_t row_bytes;
	/* Scales in a tensor of their own. scales_streamed: they come with the chunks; else they are small
	 * and loaded once, as is `nested`. */
	const struct tensor *scale, *nested;
	uint64_t scale_offset; /* of this weight's first scale, in the scale tensor's file */
	uint64_t nested_first; /* entry of `nested` that belongs to it */
	struct scaling scaling;
	bool has_scaling, scales_streamed;
};

#define ROPE_NONE 255
#define MODEL_LAYERS_MAX 4096

struct layer {
	uint8_t rope; /* index into model.rope, or ROPE_NONE */
	bool windowed;
	bool experts; /* a mixture of them in place of one feed-forward network */
	float attn_scale; /* beside the model's */
};

/* Latent attention (DeepSeek V2, V3): a cell keeps one latent of kv_rank and one rotated key of rope
 * elements for all heads. */
struct mla {
	uint32_t kv_rank; /* 0: the model has none */
	uint32_t q_rank;  /* 0: q comes by one matrix */
	uint32_t nope, rope, v; /* of a head: unrotated and rotated part of the key, value */
};

/* Queries of later positions are multiplied. */
struct query_growth {
	enum {
		GROWTH_NONE,
		GROWTH_LOG,   /* by log(position) / log(from), positions counted from 1 (Qwen 1) */
		GROWTH_STEPS, /* by 1 + beta * log(1 + floor(position / from)), counted from 0 (Ministral 3) */
	} kind;
	uint32_t from; /* the position from which on they are */
	double beta;
};

struct arch; /* a row of the family table */

struct model {
	const struct arch *arch;
	char *name; /* for people: from GGUF general.name, else the folder's or file's name */
	const char *note; /* what of the checkpoint is left out, for people; NULL: nothing */
	uint32_t n_layers, hidden, embed_dim, ffn, heads, kv_heads, head_dim, vocab, ctx_train;
	float norm_eps;
	bool norm_centred;  /* LayerNorm; else RMSNorm */
	bool norm_bare;	    /* norms have no weights (OLMo) */
	bool norm_plus_one; /* the file holds weights - 1 (Gemma) */
	bool norm_last;	    /* x = norm(x + f(x)) instead of x + f(norm(x)) (OPT-350m) */
	bool norm_head_rows; /* NormHead: rows of the head are scaled to length 1 */
	bool parallel;	    /* attention and FFN of the same x */
	bool rope_first;    /* heads are rotated, then normed */
	bool qkv_groups;    /* a fused qkv is (q.. k v) per kv head; else all q, all k, all v */
	enum act_kind act;
	bool tied;
	float embed_scale, residual_scale, logit_scale, attn_scale, attn_softcap, logit_softcap;
	float clip_qkv;	       /* > 0: q, k, v are clamped */
	float alibi;	       /* > 0: ALiBi, its slopes multiplied by this */
	uint32_t window;       /* of windowed layers: a token sees so many, itself included */
	struct query_growth growth;
	uint32_t pos_offset;   /* row of ROLE_POS_EMBED that position 0 has */
	struct layer *layers;  /* [n_layers] */
	struct rope_params rope[2];
	uint32_t n_ropes;
	enum rope_style rope_style;
	bool without[ROLES]; /* the config says that there is no weight of this role */
	struct moe moe;
	struct mla mla;
	struct weight *weights;
	size_t n_weights;
	int32_t *by_role; /* [(n_layers + 1) * ROLES] index into weights, -1 if there is none */
	uint64_t bytes;	  /* of all weights, an embedding that is also the head counted once */
	struct quantization *quantization; /* owns the tables of scalings */
};

/* Find dimensions and weights; shapes and dtypes are checked. c must outlive the model. */
int model_open(struct model **out, const struct checkpoint *c, struct err *e);
void model_close(struct model *m); /* NULL is fine */

/* The weight of a role in a layer (n_layers for embed, head, out_norm, rope factors), or NULL. Of roles
 * with one for each head or expert it is the first of model_copies. */
const struct weight *model_weight(const struct model *m, uint32_t layer, enum role role);

uint32_t model_copies(const struct model *m, enum role role); /* weights of this role in a layer */

/* What a matrix of one expert is called where experts lie one by one, in the Hugging Face checkpoint in which all are
 * in the tensor `stacked`. False when the family publishes them stacked only. */
bool model_expert_name(const struct model *m, enum role role, const char *stacked, uint32_t layer, uint32_t expert,
	char *out, size_t size);

/* Elements a row of the fused or joined q, k, v takes, and where they lie in it. */
struct qkv_layout {
	uint32_t width;
	struct head_map q, k, v;
};
struct qkv_layout model_qkv_layout(const struct model *m, bool fused);

/* Cut the streamed weights into chunks of at most chunk_bytes (but at least one row each), in the
 * order of a pass. schedule_clear frees. */
int schedule_make(struct schedule *s, const struct model *m, uint64_t chunk_bytes, struct err *e);
void schedule_clear(struct schedule *s);

/* Ids that end an answer: generation_config.json, config.json or GGUF metadata. *ids is owned by the
 * caller (free). */
int model_stop_ids(const struct checkpoint *c, uint32_t **ids, size_t *n, struct err *e);

#endif
