#include <stdlib.h>

#include "base/mem.h"
#include "model/model.h"
#include "model/quantization.h"

/* In the order of forward.c, attention.c and ffn.c. */
static const enum role first[] = {ROLE_PROJ_IN};
static const enum role in_layer[] = {
	ROLE_QKV, ROLE_Q, ROLE_K, ROLE_V, ROLE_O, ROLE_GATE_UP, ROLE_GATE, ROLE_UP, ROLE_DOWN};
static const enum role last[] = {ROLE_PROJ_OUT, ROLE_HEAD};

/* Chunks of one weight: as many steps of rows as fit, spread so that all are nearly equal. */
static uint32_t chunk_count(const struct weight *w, uint64_t chunk_bytes)
{
	uint64_t step = weight_row_step(w), steps = (w->rows + step - 1) / step;
	uint64_t fit = chunk_bytes / (step * w->row_bytes + weight_step_scale_bytes(w));
	if (fit < 1)
		fit = 1;
	return (uint32_t)((steps + fit - 1) / fit);
}

static void add_chunk(struct schedule *s, const struct model *m, const struct weight *w, uint32_t row0,
	uint32_t rows)
{
	struct chunk *c = &s->chunks[s->n++];
	uint64_t first_scale;
	*c = (struct chunk){.weight = (uint32_t)(w - m->weights), .layer = w->layer, .row0 = row0, .rows = rows,
		.data = {.file = w->tensor->file, .offset = w->offset + row0 * w->row_bytes,
			.bytes = rows * w->row_bytes}};
	if (w->has_scaling && w->scales_streamed)
		c->scale = weight_scales(w, row0, rows, &first_scale);
	c->bytes = c->data.bytes + c->scale.bytes;
	s->bytes += c->bytes;
	if (c->bytes > s->max_bytes)
		s->max_bytes = c->bytes;
}

static void add_chunks(struct schedule *s, const struct model *m, const struct weight *w,
	uint64_t chunk_bytes)
{
	uint64_t step = weight_row_step(w), steps = (w->rows + step - 1) / step;
	uint32_t n = chunk_count(w, chunk_bytes), r0 = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t r1 = steps * (i + 1) / n * step;
		uint32_t end = r1 < w->rows ? (uint32_t)r1 : w->rows;
		add_chunk(s, m, w, r0, end - r0);
		r0 = end;
	}
}

/* Add, or with s->chunks NULL only count, the chunks of these roles in a layer. */
static void add_roles(struct schedule *s, const struct model *m, uint32_t layer, const enum role *roles,
	size_t n, uint64_t chunk_bytes)
{
	for (size_t i = 0; i < n; i++) {
		const struct weight *w = model_weight(m, layer, roles[i]);
		if (w && s->chunks)
			add_chunks(s, m, w, chunk_bytes);
		else if (w)
			s->n += chunk_count(w, chunk_bytes);
	}
}

int schedule_make(struct schedule *s, const struct model *m, uint64_t chunk_bytes, struct err *e)
{
	*s = (struct schedule){0};
	for (int round = 0; round < 2; round++) {
		add_roles(s, m, m->n_layers, first, sizeof(first) / sizeof(*first), chunk_bytes);
		for (uint32_t layer = 0; layer < m->n_layers; layer++)
			add_roles(s, m, layer, in_layer, sizeof(in_layer) / sizeof(*in_layer), chunk_bytes);
		add_roles(s, m, m->n_layers, last, sizeof(last) / sizeof(*last), chunk_bytes);
		if (round)
			break;
		if (!(s->chunks = mem_array(s->n, sizeof(*s->chunks))))
			return err_nomem(e);
		s->n = 0;
	}
	return 0;
}

void schedule_clear(struct schedule *s)
{
	free(s->chunks);
	*s = (struct schedule){0};
}
