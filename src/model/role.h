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
	/* Latent attention (DeepSeek): q may come by two matrices, keys and values from one latent. */
	ROLE_Q_A,      /* [q_rank, hidden] */
	ROLE_Q_A_NORM, /* [q_rank] */
	ROLE_Q_B,      /* [heads * (nope + rope), q_rank] */
	ROLE_KV_A,     /* [kv_rank + rope, hidden] */
	ROLE_KV_A_NORM, /* [kv_rank] */
	ROLE_K_B,      /* for each head, from latent to the key's unrotated part */
	ROLE_V_B,      /* for each head, [v, kv_rank] */
	ROLE_O,
	ROLE_ATTN_POST, /* norm of the attention's output */
	ROLE_FFN_NORM,
	ROLE_GATE_UP, /* gate above up */
	ROLE_GATE,
	ROLE_UP,
	ROLE_DOWN,
	ROLE_ROUTER,	  /* [n_experts, hidden] */
	ROLE_SHARED_GATE_UP, /* the expert that every token passes */
	ROLE_SHARED_GATE,
	ROLE_SHARED_UP,
	ROLE_SHARED_DOWN,
	ROLE_EXPERT_GATE_UP, /* for each expert; gate above up, or row by row: moe.interleaved */
	ROLE_EXPERT_GATE,
	ROLE_EXPERT_UP,
	ROLE_EXPERT_DOWN,
	ROLE_FFN_POST,
	ROLE_OUT_NORM,
	ROLE_PROJ_OUT, /* [embed_dim, hidden] */
	ROLE_HEAD,     /* [vocab, embed_dim]; the embedding's tensor when tied */
	/* From here on a tensor that is not there means that the model has none. */
	ROLE_EMBED_NORM, /* of the embeddings (BLOOM) */
	ROLE_EMBED_NORM_BIAS,
	ROLE_ATTN_NORM_BIAS,
	ROLE_QKV_BIAS,
	ROLE_Q_BIAS,
	ROLE_K_BIAS,
	ROLE_V_BIAS,
	ROLE_Q_A_BIAS,
	ROLE_KV_A_BIAS,
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
	ROLE_ROUTER_BIAS,  /* [n_experts] */
	ROLE_ROUTER_CHOICE, /* [n_experts] added to the scores for the choice only */
	ROLE_SHARED_SCALE, /* [hidden]: the shared expert counts sigmoid(x . this) */
	ROLE_EXPERT_GATE_UP_BIAS, /* for each expert, and so on */
	ROLE_EXPERT_GATE_BIAS,
	ROLE_EXPERT_UP_BIAS,
	ROLE_EXPERT_DOWN_BIAS,
	ROLE_ROPE_FACTORS, /* [rot / 2], GGUF's form of llama3 rope; below its form of longrope */
	ROLE_ROPE_SHORT,
	ROLE_ROPE_LONG,
	ROLES
};

/* Does this weight come chunk by chunk, or is it small and always resident? */
bool role_is_streamed(enum role role);

bool role_is_expert(enum role role); /* one weight for each expert, read when it is chosen */

bool role_is_gathered(enum role role); /* rows are read on demand: embeddings */
bool role_is_global(enum role role);   /* belongs to no layer */
bool role_is_optional(enum role role);
enum role role_bias(enum role role); /* the role of its bias, or ROLES */

#endif
