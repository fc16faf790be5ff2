/* The families: one row each. Private to model/. */
#ifndef AIRLCHAT_MODEL_ARCH_H
#define AIRLCHAT_MODEL_ARCH_H

#include "model/config.h"
#include "model/model.h"

/* What a config.json leaves out means, as in the family's configuration class in transformers. */
struct arch_defaults {
	uint32_t hidden, ffn /* 0: 4 * hidden */, layers, heads, kv_heads /* 0: heads */;
	uint32_t head_dim /* 0: hidden / heads */, vocab, ctx;
	double eps, theta, partial /* rotated part of a head; 0: all */;
	enum act_kind act;
	bool tied;
	uint32_t window; /* 0: none */
};

enum arch_flags {
	ARCH_LAYER_NORM = 1, /* LayerNorm, else RMSNorm */
	ARCH_BARE_NORM = 2,  /* without weights */
	ARCH_PLUS_ONE = 4,   /* Hugging Face: the weights of norms are stored minus 1 */
	ARCH_PARALLEL = 8,
	ARCH_TRANSPOSED = 16, /* Hugging Face: matrices in the layers are [in, out] */
	ARCH_NO_ROPE = 32,
	ARCH_QKV_GROUPS = 64, /* Hugging Face: see model.qkv_groups */
	ARCH_WINDOW = 128,    /* heeds sliding_window */
	ARCH_TRANSPOSED_EXPERTS = 256, /* Hugging Face: matrices of experts are [in, out] */
	ARCH_EXPERTS = 512,	       /* may have experts */
	ARCH_LATENT = 1024,	       /* keys and values of sizes of their own, from a latent */
};

/* Tensor names; %u is the layer (a second %u: the part), @ stands for `base` or what a checkpoint has
 * in its place. NULL: the family has no such weight. */
typedef const char *const role_names[ROLES];

struct arch {
	const char *model_type; /* config.json; several with | between */
	const char *gguf;	/* general.architecture, NULL if llama.cpp has none */
	unsigned flags;
	enum rope_style rope_hf, rope_gguf;
	struct arch_defaults defaults;
	const char *base; /* Hugging Face: the prefix of all names but the head's */
	/* A role's name is in `more`, else in the common set. */
	role_names *hf, *hf_more, *gguf_names, *gguf_more;
	/* What the generic readers of config.c don't know; may be NULL. */
	void (*json)(struct config *c, struct model *m);
	void (*gguf_meta)(struct gguf_config *c, struct model *m);
};

extern const struct arch arch_table[];
extern const size_t arch_count;

/* The name of a role with @ and %u in it, or NULL. */
const char *arch_name(const struct arch *a, bool gguf, enum role role);

/* Is `name` among the names of `list`, which has | between them? */
bool arch_list_has(const char *list, const char *name);

extern role_names names_hf_llama, names_gguf; /* names.c */
extern role_names names_mixtral, names_qwen2_moe, names_qwen3_moe, names_glm4_moe, names_deepseek, names_gpt_oss,
	names_gguf_moe, names_gguf_deepseek2, names_gguf_gpt_oss, names_gguf_glm4_moe; /* names_moe.c */

extern role_names names_gptj, names_gpt_neo, names_exaone, names_bloom, names_mpt, names_hunyuan, names_hunyuan_moe,
	names_granite_moe, names_vaultgemma, names_gguf_bloom; /* names_more.c */
extern role_names names_deepseek1, names_ernie_moe, names_minimax_m2;

/* Dimensions from config.json in c->dir, or from c->gguf. They fill m->arch and the numbers. */
int config_from_json(struct model *m, const struct checkpoint *c, struct err *e);
int config_from_gguf(struct model *m, const struct checkpoint *c, struct err *e);

/* What follows from the row alone, before its config is read; json: a Hugging Face folder. */
void model_defaults(struct model *m, bool json);

/* Find the weights of m in c; shapes and dtypes are checked. */
int weights_find(struct model *m, const struct checkpoint *c, struct err *e);

#endif
