/* The roles of weights. */
#ifndef AIRLCHAT_MODEL_ROLE_H
#define AIRLCHAT_MODEL_ROLE_H

#include <stdbool.h>

/* What a weight is for. Vectors have names of their own, so that a row of the table can rename them. */
enum role {
	ROLE_EMBED,	/* [vocab, embed_dim], rows gathered */
	ROLE_POS_EMBED, /* [positions, hidden], rows gathered */
	ROLE_PROJ_IN,	/* [hidden, embed_dim] */
	ROLE_ATTN_NORM,
	ROLE_QKV, /* q, k, v in one; how they lie: model.qkv_groups */
	ROLE_Q,
	ROLE_K,
	ROLE_V,
	ROLE_O,
	ROLE_ATTN_POST, /* norm of the attention's output */
	ROLE_FFN_NORM,
	ROLE_GATE_UP, /* gate above up */
	ROLE_GATE,
	ROLE_UP,
	ROLE_DOWN,
	ROLE_FFN_POST,
	ROLE_OUT_NORM,
	ROLE_PROJ_OUT, /* [embed_dim, hidden] */
	ROLE_HEAD,     /* [vocab, embed_dim]; the embedding's tensor when tied */
	/* From here on a tensor that is not there means that the model has none. */
	ROLE_ATTN_NORM_BIAS,
	ROLE_QKV_BIAS,
	ROLE_Q_BIAS,
	ROLE_K_BIAS,
	ROLE_V_BIAS,
	ROLE_O_BIAS,
	ROLE_FFN_NORM_BIAS,
	ROLE_GATE_UP_BIAS,
	ROLE_GATE_BIAS,
	ROLE_UP_BIAS,
	ROLE_DOWN_BIAS,
	ROLE_OUT_NORM_BIAS,
	ROLE_HEAD_BIAS,
	ROLE_Q_NORM, /* [head_dim], [heads, head_dim] or [heads * head_dim]: the shape tells which */
	ROLE_K_NORM,
	ROLE_Q_NORM_BIAS,
	ROLE_K_NORM_BIAS,
	ROLE_SINKS,	   /* [heads] */
	ROLE_ROPE_FACTORS, /* [rot / 2], GGUF's form of llama3 rope; below its form of longrope */
	ROLE_ROPE_SHORT,
	ROLE_ROPE_LONG,
	ROLES
};

/* Is this weight multiplied chunk by chunk (a matrix), or small and always resident? */
bool role_is_streamed(enum role role);

bool role_is_gathered(enum role role); /* rows are read on demand: embeddings */
bool role_is_global(enum role role);   /* belongs to no layer */
bool role_is_optional(enum role role);
enum role role_bias(enum role role); /* the role of its bias, or ROLES */

#endif
