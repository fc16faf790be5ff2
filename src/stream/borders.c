/* Pages that two chunks share, where one ends in the file and the next begins. A load does not read a page that is
 * in memory with a neighbour, or on its way there, but copies it from there. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stream/stream_private.h"

#define NO_BORDER UINT32_MAX

/* A border's number is 4 * chunk + 2 for the scale's extent + 1 for an extent's end. */
struct edge {
	struct extent x;
	uint32_t border; /* of its begin */
};

static int by_place(const void *a, const void *b)
{
	const struct extent *x = &((const struct edge *)a)->x, *y = &((const struct edge *)b)->x;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

int borders_init(struct stream *s)
{
	const struct schedule *sc = s->c.schedule;
	struct edge *list = mem_array(2 * sc->n, sizeof(*list));
	size_t n = 0;
	s->borders = mem_array(BORDERS * sc->n, sizeof(*s->borders));
	if (!list || !s->borders) {
		free(list);
		return -1;
	}
	for (size_t i = 0; i < sc->n; i++) {
		if (sc->chunks[i].data.bytes)
			list[n++] = (struct edge){sc->chunks[i].data, (uint32_t)(BORDERS * i)};
		if (sc->chunks[i].scale.bytes)
			list[n++] = (struct edge){sc->chunks[i].scale, (uint32_t)(BORDERS * i + 2)};
	}
	for (size_t i = 0; i < BORDERS * sc->n; i++)
		s->borders[i] = NO_BORDER;
	qsort(list, n, sizeof(*list), by_place);
	for (size_t i = 0; i + 1 < n; i++) {
		const struct extent *x = &list[i].x, *y = &list[i + 1].x;
		if (x->file != y->file || span_start(x) + span_bytes(x) != span_start(y) + MEM_PAGE)
			continue;
		s->borders[list[i].border + 1] = list[i + 1].border;
		s->borders[list[i + 1].border] = list[i].border + 1;
	}
	free(list);
	return 0;
}

/* The page at a border of a chunk that is, or will be, at `memory`. */
static char *page_at(const struct stream *s, uint32_t border, char *memory)
{
	const struct chunk *c = &s->c.schedule->chunks[border / BORDERS];
	const size_t data = span_bytes(&c->data);
	switch (border % BORDERS) {
	case 0: return memory;
	case 1: return memory + data - MEM_PAGE;
	case 2: return memory + data;
	default: return memory + data + span_bytes(&c->scale) - MEM_PAGE;
	}
}

/* The load that another chunk of this border is coming with, or NULL. */
static struct load *load_at(const struct stream *s, uint32_t border)
{
	const struct entry *en = &s->entries[border / BORDERS];
	return en->state == COMING ? &s->loads[en->load] : NULL;
}

void borders_borrow(struct stream *s, struct load *l)
{
	const struct chunk *c = &s->c.schedule->chunks[l->number];
	for (unsigned k = 0; k < BORDERS; k++) {
		const uint32_t own = BORDERS * l->number + k, other = s->borders[own];
		const struct extent *x = k < 2 ? &c->data : &c->scale;
		if (other == NO_BORDER || other / BORDERS == l->number ||
			(k % 2 && span_bytes(x) == MEM_PAGE && l->borrowed >> (k - 1) & 1))
			continue;
		const struct entry *en = &s->entries[other / BORDERS];
		const struct load *lender = load_at(s, other);
		char *memory = en->state == HERE ? en->memory :
			       lender && lender->state == LOAD_READY ? lender->memory : NULL;
		/* what stays waits for nobody: dropped with requests in flight it would be read twice at once */
		if (!memory && !(l->ring && lender && lender->state == LOAD_READING))
			continue;
		l->borrowed |= (uint8_t)(1U << k);
		if (memory)
			memcpy(page_at(s, own, l->memory), page_at(s, other, memory), MEM_PAGE);
		else
			l->awaited |= (uint8_t)(1U << k);
	}
}

/* The load that waits for this border of a chunk, or NULL. */
static struct load *borrower_of(const struct stream *s, uint32_t border, uint32_t *its)
{
	*its = s->borders[border];
	struct load *b = *its == NO_BORDER ? NULL : load_at(s, *its);
	return b && b->awaited >> (*its % BORDERS) & 1 ? b : NULL;
}

uint32_t borders_lend(struct stream *s, struct load *l, uint32_t list)
{
	for (unsigned k = 0; k < BORDERS; k++) {
		uint32_t own = BORDERS * l->number + k, its;
		struct load *b = borrower_of(s, own, &its);
		if (!b)
			continue;
		memcpy(page_at(s, its, b->memory), page_at(s, own, l->memory), MEM_PAGE);
		b->awaited &= (uint8_t)~(1U << (its % BORDERS));
		if (load_is_whole(b)) {
			b->next = list;
			list = (uint32_t)(b - s->loads);
		}
	}
	return list;
}

void borders_refuse(struct stream *s, const struct load *l)
{
	for (unsigned k = 0; k < BORDERS; k++) {
		uint32_t its;
		struct load *b = borrower_of(s, BORDERS * l->number + k, &its);
		if (b)
			load_drop(s, b);
	}
}
