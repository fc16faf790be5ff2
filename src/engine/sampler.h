/* From logits to a token: penalties, then temperature, top-k, top-p, min-p in that order, as
 * transformers and llama.cpp define them. Same seed, same logits: same tokens. One thread. */
#ifndef AIRLCHAT_ENGINE_SAMPLER_H
#define AIRLCHAT_ENGINE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sampler_params {
	float temp;		/* 0: greedy */
	uint32_t top_k;		/* 0: off */
	float top_p, min_p;	/* 1 and 0: off */
	float repeat_penalty;	/* 1: off; divides positive, multiplies negative logits of tokens seen */
	float presence_penalty; /* 0: off; subtracted once for each token generated so far */
	float frequency_penalty; /* 0: off; subtracted for each time it was generated */
	uint64_t seed;
};

#define SAMPLER_DEFAULTS {0.8f, 40, 0.95f, 0.05f, 1.0f, 0.0f, 0.0f, 0}

struct sampler;

/* 0, or -1 naming the parameter that is out of range. */
int sampler_check(const struct sampler_params *p, struct err *e);

struct sampler *sampler_new(const struct sampler_params *p, uint32_t vocab); /* NULL: no memory */
void sampler_free(struct sampler *s);

/* Choose a token; logits [vocab] are changed. seen: all tokens in context (prompt and answer), of
 * which the last n_new are the answer's. Fails if every logit is NaN or -inf (ERR_FORMAT). */
int sampler_pick(struct sampler *s, float *logits, const uint32_t *seen, size_t n_seen, size_t n_new,
	uint32_t *token, struct err *e);

#endif
