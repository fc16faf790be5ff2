/* From a router's logits to experts and their weights. Private to engine/; host memory, no state. */
#ifndef AIRLCHAT_ENGINE_ROUTE_H
#define AIRLCHAT_ENGINE_ROUTE_H

#include "base/err.h"
#include "model/moe.h"

#define ROUTE_EXPERTS_MAX 4096

struct chosen {
	uint32_t expert;
	float weight;
};

/* logits [n_experts] of one token row -> out [top_k], by rising expert (so that sums over experts have
 * one order). bias [n_experts] is added for the choice only, or NULL. Equal scores: the lower expert.
 * Fails with ERR_FORMAT if a logit is NaN. */
int route(const struct moe *m, const float *logits, const float *bias, struct chosen *out,
	struct err *e);

#endif
