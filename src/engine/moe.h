/* Mixture of experts: see moe.c. Private to engine/. */
#ifndef AIRLCHAT_ENGINE_MOE_H
#define AIRLCHAT_ENGINE_MOE_H

#include "engine/forward.h"

int moe_open(struct engine *en, struct err *e); /* after the small weights are loaded */
void moe_close(struct engine *en);
void moe_end(struct engine *en, const struct pass *p, int64_t wall); /* of a pass that took so many ns */

size_t moe_width(const struct model *m); /* floats a row of region b; and of more rows of hidden in it: */
size_t moe_out_rows(const struct model *m, size_t n); /* what comes out of experts, with n rows in a pass */
uint64_t moe_host_bytes(const struct model *m, size_t n); /* what it keeps beside the buffers of a pass */

/* y = the layer's feed-forward part of x, [n, hidden]; y is not x. */
int moe_forward(struct engine *en, const struct pass *p, uint32_t layer, float *y, const float *x, struct err *e);

/* --- guessing the experts of the next layer (guess.c) --------------------------------------------- */

struct guess;

struct guess *guess_open(const struct engine *en); /* NULL: no memory */
void guess_close(struct guess *g);				       /* NULL is fine */

/* Ask the stream for what layer's router would choose for the one row in w.x as it is now. choice: what
 * is added to its scores, or NULL. */
void guess_next(struct engine *en, struct guess *g, uint32_t layer, const float *choice);
/* What the layer needed after all: rising numbers, and what the stream told of them. */
void guess_check(struct guess *g, uint32_t layer, const uint32_t *wanted, size_t n, const struct stream_experts *told);
void guess_pass(struct guess *g, int64_t wall); /* after each pass of one row: its time, ns */

#endif
