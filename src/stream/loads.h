/* How chunks are on their way from disk, and what is kept of each. Private to stream/. */
#ifndef AIRLCHAT_STREAM_LOADS_H
#define AIRLCHAT_STREAM_LOADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/ring.h"

#define LOADS (RING_BLOCKS + 64) /* loads at once; a block of the ring needs one each */
#define NO_LOAD UINT32_MAX
#define FILE_ENDED (-1) /* the file is shorter than when it was opened */

struct ring_memory {
	struct ring ring;
	char *memory;
};

enum load_state { LOAD_FREE, LOAD_READING, LOAD_READY, LOAD_FAILED };

/* A chunk's bytes on their way from disk, and in the ring until they are released. */
struct load {
	enum load_state state;
	bool dead;	  /* nobody wants it any more: its room comes back when the last request does */
	bool leased;
	bool expert;	  /* number: of a pack of an expert's chunks, else of schedule.chunks */
	uint32_t number;
	struct ring *ring; /* whose `block` it has; NULL: the chunk has memory of its own */
	uint64_t block;
	char *memory;
	size_t asked, span; /* bytes that requests were made for or that are borrowed, of all */
	/* Border pages that a neighbour has or will have; those of them that it will. A bit each. */
	uint8_t borrowed, awaited;
	unsigned pending;   /* requests in flight */
	unsigned tries;
	int error;	    /* errno, or FILE_ENDED */
	uint32_t bad_file;
	uint64_t bad_offset;
	uint32_t next; /* free list; list of those that are whole */
};

/* Has all of it come? */
static inline bool load_is_whole(const struct load *l)
{
	return !l->pending && l->asked == l->span && !l->awaited;
}

enum chunk_state { ABSENT, COMING /* has a load */, HERE /* in memory of its own */ };

struct entry { /* one chunk, or one pack of an expert's */
	uint8_t state, tier;
	bool fresh; /* read since it was last acquired */
	uint32_t load;
	char *memory; /* of its own in host memory, or NULL */
	char *device; /* of its own on a device with memory of its own, or NULL */
	int64_t issued, in_ram;
};

#endif
