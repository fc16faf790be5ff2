#include "stream/pool.h"

#include <stdlib.h>

#include "base/mem.h"

static uint32_t block_new(struct pool *p)
{
	uint32_t b = p->unused;
	if (b != POOL_NONE)
		p->unused = p->blocks[b].behind;
	else
		b = p->n_blocks++;
	return b;
}

static void block_free(struct pool *p, uint32_t b)
{
	p->blocks[b].behind = p->unused;
	p->unused = b;
}

static void hole_add(struct pool *p, uint32_t b)
{
	p->blocks[b].owner = POOL_NONE;
	p->blocks[b].hole = p->n_holes;
	p->holes[p->n_holes++] = b;
}

static void hole_remove(struct pool *p, uint32_t b)
{
	uint32_t at = p->blocks[b].hole, last = p->holes[--p->n_holes];
	p->holes[at] = last;
	p->blocks[last].hole = at;
}

int pool_init(struct pool *p, size_t size, uint32_t most)
{
	*p = (struct pool){.size = (size_t)mem_align_down(size, MEM_PAGE), .cap = 2 * most + 2,
		.unused = POOL_NONE};
	p->blocks = mem_array(p->cap, sizeof(*p->blocks));
	p->holes = mem_array(p->cap, sizeof(*p->holes));
	if (!p->blocks || !p->holes) {
		pool_clear(p);
		return -1;
	}
	uint32_t b = block_new(p);
	p->blocks[b] = (struct pool_block){0, p->size, POOL_NONE, POOL_NONE, POOL_NONE, 0};
	hole_add(p, b);
	return 0;
}

void pool_clear(struct pool *p)
{
	free(p->blocks);
	free(p->holes);
	*p = (struct pool){0};
}

uint32_t pool_take(struct pool *p, size_t bytes, uint32_t owner)
{
	uint32_t found = POOL_NONE;
	bytes = (size_t)mem_align_up(bytes, MEM_PAGE);
	for (uint32_t i = 0; i < p->n_holes; i++) {
		const struct pool_block *h = &p->blocks[p->holes[i]];
		if (h->bytes >= bytes && (found == POOL_NONE || h->start < p->blocks[found].start))
			found = p->holes[i];
	}
	if (found == POOL_NONE)
		return POOL_NONE;
	struct pool_block *b = &p->blocks[found];
	hole_remove(p, found);
	b->owner = owner;
	if (b->bytes > bytes) {
		uint32_t rest = block_new(p);
		p->blocks[rest] = (struct pool_block){.start = b->start + bytes, .bytes = b->bytes - bytes,
			.before = found, .behind = b->behind};
		if (b->behind != POOL_NONE)
			p->blocks[b->behind].before = rest;
		b->behind = rest;
		b->bytes = bytes;
		hole_add(p, rest);
	}
	return found;
}

/* Block b takes in the one behind it. */
static void join(struct pool *p, uint32_t b)
{
	struct pool_block *x = &p->blocks[b];
	uint32_t gone = x->behind;
	x->bytes += p->blocks[gone].bytes;
	x->behind = p->blocks[gone].behind;
	if (x->behind != POOL_NONE)
		p->blocks[x->behind].before = b;
	hole_remove(p, gone);
	block_free(p, gone);
}

uint32_t pool_give(struct pool *p, uint32_t b)
{
	hole_add(p, b);
	uint32_t behind = p->blocks[b].behind, before = p->blocks[b].before;
	if (behind != POOL_NONE && p->blocks[behind].owner == POOL_NONE)
		join(p, b);
	if (before != POOL_NONE && p->blocks[before].owner == POOL_NONE) {
		join(p, before);
		b = before;
	}
	return b;
}
