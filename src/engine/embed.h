/* Rows of the embedding, as stored, for the tokens of a pass. They come from a head that shares the
 * matrix and lies resident, from a table of rows met before, or from disk: all rows that a pass lacks
 * are read at once. Private to engine/. */
#ifndef AIRLCHAT_ENGINE_EMBED_H
#define AIRLCHAT_ENGINE_EMBED_H

#include "model/model.h"
#include "stream/stream.h"

struct embed {
	const struct weight *weight;
	const struct schedule *schedule;
	size_t head_first; /* the first chunk of a head that shares the matrix; schedule.n without one */
	uint32_t slots;	   /* of the table: the row of token t lies in slot t % slots */
	uint32_t *ids;	   /* [slots] token + 1; 0: empty */
	char *rows;	   /* [slots, row_bytes] */
	size_t table_bytes;
};

/* The table takes at most `bytes`, and touches them only as rows come. */
int embed_init(struct embed *em, const struct model *m, const struct schedule *s, uint64_t bytes,
	struct err *e);
void embed_clear(struct embed *em);

/* dst[n, row_bytes], host memory. */
int embed_gather(struct embed *em, struct stream *s, const uint32_t *tokens, uint32_t n, void *dst,
	struct err *e);

#endif
