/* Room for blocks of different sizes that come and go in any order, in one piece of memory: first fit, free
 * neighbours become one. Each block has an owner (a number of the caller's), by which the caller finds
 * what lies beside a hole that is too small. Sizes are rounded up to pages. Only offsets. Not locked.
 * Private to stream/. */
#ifndef AIRLCHAT_STREAM_POOL_H
#define AIRLCHAT_STREAM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_NONE UINT32_MAX

struct pool_block {
	size_t start, bytes;
	uint32_t before, behind; /* in memory; POOL_NONE at the ends */
	uint32_t owner;		 /* POOL_NONE: a hole */
	uint32_t hole;		 /* of a hole: where it stands in holes */
};

struct pool {
	size_t size;
	struct pool_block *blocks; /* [cap] */
	uint32_t cap, n_blocks, unused; /* unused: list through `behind` */
	uint32_t *holes; /* [cap], n_holes of them */
	uint32_t n_holes;
};

/* For at most `most` owners at once. -1 when out of memory. */
int pool_init(struct pool *p, size_t size, uint32_t most);
void pool_clear(struct pool *p);

/* POOL_NONE when no hole is large enough. */
uint32_t pool_take(struct pool *p, size_t bytes, uint32_t owner);
/* Returns the hole that the block is part of now. */
uint32_t pool_give(struct pool *p, uint32_t block);

#endif
