#include "stream/ring.h"

#include <stdlib.h>

#include "base/mem.h"

int ring_init(struct ring *r, size_t size)
{
	*r = (struct ring){.size = (size_t)mem_align_down(size, MEM_PAGE)};
	r->blocks = mem_array(RING_BLOCKS, sizeof(*r->blocks));
	return r->blocks ? 0 : -1;
}

void ring_clear(struct ring *r)
{
	free(r->blocks);
	r->blocks = NULL;
}

bool ring_take(struct ring *r, size_t bytes, uint64_t *number, size_t *start)
{
	bytes = (size_t)mem_align_up(bytes, MEM_PAGE);
	if (r->next - r->first == RING_BLOCKS || bytes > r->size)
		return false;
	if (r->first == r->next) {
		r->head = 0;
	} else {
		size_t tail = r->blocks[r->first % RING_BLOCKS].start;
		bool wrapped = r->head <= tail; /* a block is in use, so head == tail means full */
		if (wrapped ? tail - r->head < bytes : r->size - r->head < bytes && tail < bytes)
			return false;
		if (!wrapped && r->size - r->head < bytes)
			r->head = 0;
	}
	*start = r->head;
	*number = r->next;
	r->blocks[r->next % RING_BLOCKS] = (struct ring_block){r->head, false};
	r->next++;
	r->head += bytes;
	return true;
}

void ring_release(struct ring *r, uint64_t number)
{
	r->blocks[number % RING_BLOCKS].released = true;
	while (r->first < r->next && r->blocks[r->first % RING_BLOCKS].released)
		r->first++;
}
