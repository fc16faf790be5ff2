/* Mixture of experts: how a layer's router chooses, as families and configs say it. Part of struct
 * model. Sources: transformers' modeling files of mixtral, qwen2_moe, qwen3_moe, deepseek_v2,
 * deepseek_v3 and gpt_oss. */
#ifndef AIRLCHAT_MODEL_MOE_H
#define AIRLCHAT_MODEL_MOE_H

#include <stdbool.h>
#include <stdint.h>

/* What becomes of the router's logits. */
enum route_score {
	ROUTE_SOFTMAX,	    /* over all experts, then the best are chosen */
	ROUTE_SIGMOID,	    /* each for itself */
	ROUTE_TOPK_SOFTMAX, /* the best logits are chosen, softmax over these (gpt-oss) */
};

struct moe {
	uint32_t n_experts; /* 0: the model has none */
	uint32_t top_k;
	uint32_t ffn;	     /* of one expert */
	uint32_t shared_ffn; /* of the expert that every token passes; 0: none */
	enum route_score score;
	bool normalize; /* the chosen weights are divided by their sum */
	float scale;	/* then multiplied by this */
	/* Choice among groups first: the best `top_groups` of `groups` groups of neighbouring experts.
	 * A group counts as its best score, or as the sum of its two best (DeepSeek V3). 1 of 1: none. */
	uint32_t groups, top_groups;
	bool group_sum2;
	bool interleaved; /* the fused matrix of an expert has a row of gate, a row of up, and so on */
	/* gpt-oss (alpha > 0): gate <= limit, -limit <= up <= limit, (up + 1) * gate * sigmoid(alpha * gate). */
	float glu_alpha, glu_limit;
};

#endif
