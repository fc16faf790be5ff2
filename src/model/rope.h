/* Rotary position embeddings: parameters and frequencies. */
#ifndef AIRLCHAT_MODEL_ROPE_H
#define AIRLCHAT_MODEL_ROPE_H

#include <stdbool.h>
#include <stdint.h>

enum rope_kind { ROPE_DEFAULT, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN, ROPE_LONG, ROPE_PROPORTIONAL,
	ROPE_NTK_STEPS /* Qwen 1: dynamic, but the base grows when the length doubles */ };

struct rope_params {
	enum rope_kind kind;
	uint32_t rot; /* dimensions of a head that are rotated */
	double theta, factor, low_freq_factor, high_freq_factor, beta_fast, beta_slow;
	bool truncate;	  /* yarn: its range in whole dimensions */
	double attention; /* multiplies cos and sin */
	double proportion; /* proportional: of the head that is rotated at all */
	uint32_t original_ctx;
	/* [rot / 2] or NULL: frequencies are divided by these, by the long ones in a sequence longer than
	 * original_ctx. Owned by the model, or the engine's where GGUF has them as tensors. */
	float *short_factor, *long_factor;
};

/* Rotary frequencies [rot / 2] for a sequence of seq_len tokens, in float32 as transformers computes them. */
void rope_inv_freq(const struct rope_params *r, uint32_t seq_len, float *inv_freq);
/* Frequencies differ between sequences with different results of this. */
uint32_t rope_regime(const struct rope_params *r, uint32_t seq_len);

#endif
