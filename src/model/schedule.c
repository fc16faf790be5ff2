#include <stdlib.h>

#include "base/mem.h"
#include "model/model.h"

static const enum role order[] = {
	ROLE_Q, ROLE_K, ROLE_V, ROLE_O, ROLE_GATE, ROLE_UP, ROLE_DOWN, ROLE_HEAD};

/* Chunks of one weight: as many rows as fit, spread so that all are nearly equal. */
static uint32_t chunk_count(const struct weight *w, uint64_t chunk_bytes)
{
	uint64_t rows = chunk_bytes / w->row_bytes;
	if (rows < 1)
		rows = 1;
	return (uint32_t)((w->rows + rows - 1) / rows);
}

static void add_chunks(struct schedule *s, const struct model *m, const struct weight *w,
	uint64_t chunk_bytes)
{
	uint32_t n = chunk_count(w, chunk_bytes);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t r0 = (uint32_t)((uint64_t)w->rows * i / n);
		uint32_t r1 = (uint32_t)((uint64_t)w->rows * (i + 1) / n);
		struct chunk *c = &s->chunks[s->n++];
		*c = (struct chunk){.weight = (uint32_t)(w - m->weights), .layer = w->layer, .row0 = r0,
			.rows = r1 - r0, .data = {.file = w->tensor->file,
				.offset = w->offset + r0 * w->row_bytes,
				.bytes = (r1 - r0) * w->row_bytes}};
		c->bytes = c->data.bytes + c->scale.bytes;
		s->bytes += c->bytes;
		if (c->bytes > s->max_bytes)
			s->max_bytes = c->bytes;
	}
}

int schedule_make(struct schedule *s, const struct model *m, uint64_t chunk_bytes, struct err *e)
{
	*s = (struct schedule){0};
	size_t n = 0;
	for (int count = 1; count >= 0; count--) {
		for (uint32_t layer = 0; layer <= m->n_layers; layer++) {
			for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
				const struct weight *w = model_weight(m, layer, order[i]);
				if (w && count)
					n += chunk_count(w, chunk_bytes);
				else if (w)
					add_chunks(s, m, w, chunk_bytes);
			}
		}
		if (count && !(s->chunks = mem_array(n, sizeof(*s->chunks))))
			return err_nomem(e);
	}
	return 0;
}

void schedule_clear(struct schedule *s)
{
	free(s->chunks);
	*s = (struct schedule){0};
}
