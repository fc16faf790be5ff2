#include "engine/embed.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BATCH 256 /* rows that are asked for at once */

int embed_init(struct embed *em, const struct model *m, const struct schedule *s, uint64_t bytes,
	struct err *e)
{
	const struct weight *w = model_weight(m, m->n_layers, ROLE_EMBED);
	const struct weight *head = model_weight(m, m->n_layers, ROLE_HEAD);
	*em = (struct embed){.weight = w, .schedule = s, .head_first = s->n};
	if (head && head->tensor == w->tensor && head->offset == w->offset)
		while (em->head_first > 0 &&
			s->chunks[em->head_first - 1].weight == (uint32_t)(head - m->weights))
			em->head_first--;
	uint64_t slots = bytes / (w->row_bytes + sizeof(*em->ids));
	em->slots = slots < w->rows ? (uint32_t)slots : w->rows;
	if (!em->slots)
		return 0;
	em->table_bytes = em->slots * w->row_bytes;
	em->ids = mem_array(em->slots, sizeof(*em->ids));
	em->rows = mem_pages(em->table_bytes);
	return em->ids && em->rows ? 0 : err_nomem(e);
}

void embed_clear(struct embed *em)
{
	free(em->ids);
	mem_pages_free(em->rows, em->table_bytes);
	*em = (struct embed){0};
}

/* The row in a resident part of the head, or NULL. */
static const void *in_head(const struct embed *em, struct stream *s, uint32_t id)
{
	size_t lo = em->head_first, hi = em->schedule->n;
	while (lo < hi) { /* the last chunk whose row0 is at most id */
		size_t mid = (lo + hi) / 2;
		if (em->schedule->chunks[mid].row0 <= id)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == em->head_first)
		return NULL;
	const char *p = stream_peek(s, lo - 1);
	return p ? p + (id - em->schedule->chunks[lo - 1].row0) * em->weight->row_bytes : NULL;
}

static const void *in_memory(const struct embed *em, struct stream *s, uint32_t id)
{
	uint32_t slot = em->slots ? id % em->slots : 0;
	if (em->slots && em->ids[slot] == id + 1)
		return em->rows + slot * em->weight->row_bytes;
	return in_head(em, s, id);
}

static void keep(struct embed *em, uint32_t id, const void *row)
{
	if (!em->slots)
		return;
	em->ids[id % em->slots] = id + 1;
	memcpy(em->rows + id % em->slots * em->weight->row_bytes, row, em->weight->row_bytes);
}

struct want {
	uint32_t id, row; /* row of dst */
};

static int by_id(const void *a, const void *b)
{
	const struct want *x = a, *y = b;
	return x->id != y->id ? (x->id < y->id ? -1 : 1) : x->row < y->row ? -1 : x->row > y->row;
}

/* Read the rows of wants[0..n), sorted, each token once. */
static int read_rows(struct embed *em, struct stream *s, const struct want *wants, uint32_t n, char *dst,
	struct err *e)
{
	const struct weight *w = em->weight;
	struct stream_piece pieces[BATCH];
	for (uint32_t i = 0; i < n;) {
		uint32_t from = i;
		size_t k = 0;
		for (; i < n && (k < BATCH || wants[i].id == wants[i - 1].id); i++)
			if (i == from || wants[i].id != wants[i - 1].id)
				pieces[k++] = (struct stream_piece){w->tensor->file,
					w->offset + wants[i].id * w->row_bytes, w->row_bytes,
					dst + wants[i].row * w->row_bytes};
		if (stream_read_many(s, pieces, k, e) < 0)
			return -1;
		const char *row = NULL;
		for (uint32_t j = from; j < i; j++) {
			char *here = dst + wants[j].row * w->row_bytes;
			if (j > from && wants[j].id == wants[j - 1].id) {
				memcpy(here, row, w->row_bytes);
			} else {
				row = here;
				keep(em, wants[j].id, here);
			}
		}
	}
	return 0;
}

int embed_gather(struct embed *em, struct stream *s, const uint32_t *tokens, uint32_t n, void *dst,
	struct err *e)
{
	const struct weight *w = em->weight;
	struct want one, *wants = n > 1 ? mem_array(n, sizeof(*wants)) : &one;
	uint32_t missing = 0;
	int rc = 0;
	if (!wants)
		return err_nomem(e);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		if (tokens[i] >= w->rows) {
			rc = err_set(e, ERR_FORMAT, "token %u is outside the vocabulary of %u", tokens[i],
				w->rows);
			break;
		}
		const void *row = in_memory(em, s, tokens[i]);
		if (row)
			memcpy((char *)dst + i * w->row_bytes, row, w->row_bytes);
		else
			wants[missing++] = (struct want){tokens[i], i};
	}
	if (rc == 0 && missing) {
		qsort(wants, missing, sizeof(*wants), by_id);
		rc = read_rows(em, s, wants, missing, dst, e);
	}
	if (wants != &one)
		free(wants);
	return rc;
}
