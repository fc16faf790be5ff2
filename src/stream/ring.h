/* Room for chunks of different sizes in one piece of memory, given out and taken back in the order of
 * first in, first out: a block begins where the one before ended, or at the start again when it does
 * not fit behind it. Sizes are rounded up to pages. Only offsets: the memory is the caller's.
 * Not locked. Private to stream/. */
#ifndef AIRLCHAT_STREAM_RING_H
#define AIRLCHAT_STREAM_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_BLOCKS 4096 /* that may be in use at once */

struct ring_block {
	size_t start;
	bool released;
};

struct ring {
	size_t size, head; /* head: where the next block may begin */
	struct ring_block *blocks; /* [RING_BLOCKS], block number b at b % RING_BLOCKS */
	uint64_t first, next; /* numbers of the oldest block in use and of the next one */
};

int ring_init(struct ring *r, size_t size); /* -1 when out of memory */
void ring_clear(struct ring *r);

/* A block of `bytes`: its number and where it starts. False when there is no room for it now. */
bool ring_take(struct ring *r, size_t bytes, uint64_t *number, size_t *start);

/* In any order; room comes back when all older blocks are released too. */
void ring_release(struct ring *r, uint64_t number);

/* A ring of this size always has room for a block of `bytes` as long as at most one block of at most
 * that size is in use. */
static inline size_t ring_least(size_t bytes)
{
	return 3 * bytes;
}

#endif
