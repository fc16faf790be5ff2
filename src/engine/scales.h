/* Scales that lie in tensors of their own: the small ones are loaded once, the large ones come with
 * their chunks. Private to engine/. */
#ifndef AIRLCHAT_ENGINE_SCALES_H
#define AIRLCHAT_ENGINE_SCALES_H

#include "engine/forward.h"

/* Bytes that scales_load will take on the device. */
uint64_t scales_bytes(const struct model *m);

/* Load the scales of matrices that don't come with the chunks. */
int scales_load(struct engine *en, struct err *e);
void scales_free(struct engine *en);

/* What chunk c of w, held by l, is multiplied with. */
struct scales scales_of_chunk(const struct engine *en, const struct weight *w, const struct chunk *c,
	const struct lease *l);

/* cols elements of a vector (t: its tensor, or one of its parts) from its stored bytes; scales are read. */
int scales_decode_vector(struct engine *en, const struct weight *w, const struct tensor *t, const void *raw,
	float *dst, uint32_t cols, struct err *e);

/* n gathered rows of an embedding with scales, from host memory to x on the device. */
int scales_decode_rows(struct engine *en, const struct weight *w, const uint32_t *tokens, uint32_t n,
	const void *raw, float *x, struct err *e);

#endif
