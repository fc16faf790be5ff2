/* Mixture of experts: see moe.c. Private to engine/. */
#ifndef AIRLCHAT_ENGINE_MOE_H
#define AIRLCHAT_ENGINE_MOE_H

#include "engine/forward.h"

int moe_open(struct engine *en, struct err *e); /* after the small weights are loaded */
void moe_close(struct engine *en);

size_t moe_width(const struct model *m);			/* floats a row of region b */
uint64_t moe_host_bytes(const struct model *m, size_t n); /* what it keeps beside the buffers of a pass */

void moe_count(struct engine *en); /* what experts the pass found and missed, to the trace */

/* y = the layer's feed-forward part of x, [n, hidden]; y is not x. */
int moe_forward(struct engine *en, const struct pass *p, uint32_t layer, float *y, const float *x, struct err *e);

/* --- guessing the experts of the next layer (guess.c) --------------------------------------------- */

struct guess;

struct guess *guess_open(const struct engine *en, size_t most_chunks); /* NULL: no memory */
void guess_close(struct guess *g);				       /* NULL is fine */

/* Ask the stream for what layer's router would choose for the one row in w.x as it is now. choice: what
 * is added to its scores, or NULL. */
void guess_next(struct engine *en, struct guess *g, uint32_t layer, const float *choice);
void guess_pass(struct guess *g, const struct stream_view *v); /* after each pass: did guesses pay? */

#endif
