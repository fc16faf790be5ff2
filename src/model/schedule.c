#include <stdlib.h>

#include "base/mem.h"
#include "model/model.h"
#include "model/quantization.h"

/* In the order of forward.c, attention.c and ffn.c. */
static const enum role first[] = {ROLE_PROJ_IN};
static const enum role in_layer[] = {
	ROLE_QKV, ROLE_Q, ROLE_K, ROLE_V, ROLE_Q_A, ROLE_Q_B, ROLE_KV_A, ROLE_K_B, ROLE_V_B, ROLE_O, ROLE_GATE_UP,
	ROLE_GATE, ROLE_UP, ROLE_DOWN, ROLE_ROUTER, ROLE_SHARED_GATE_UP, ROLE_SHARED_GATE, ROLE_SHARED_UP,
	ROLE_SHARED_DOWN};
/* Of one expert, in the order of moe.c. */
static const enum role in_expert[] = {ROLE_EXPERT_GATE_UP_BIAS, ROLE_EXPERT_GATE_UP, ROLE_EXPERT_GATE_BIAS,
	ROLE_EXPERT_GATE, ROLE_EXPERT_UP_BIAS, ROLE_EXPERT_UP, ROLE_EXPERT_DOWN_BIAS, ROLE_EXPERT_DOWN};
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
	const bool expert = role_is_expert(w->role);
	struct chunk *c = expert ? &s->expert_chunks[s->n_expert_chunks++] : &s->chunks[s->n++];
	uint64_t first_scale;
	*c = (struct chunk){.weight = (uint32_t)(w - m->weights), .layer = w->layer, .row0 = row0, .rows = rows,
		.data = {.file = w->tensor->file, .offset = w->offset + row0 * w->row_bytes,
			.bytes = rows * w->row_bytes}};
	if (w->has_scaling && w->scales_streamed)
		c->scale = weight_scales(w, row0, rows, &first_scale);
	c->bytes = c->data.bytes + c->scale.bytes;
	*(expert ? &s->expert_bytes : &s->bytes) += c->bytes;
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
		for (uint32_t k = 0; w && k < model_copies(m, roles[i]); k++)
			if (s->chunks)
				add_chunks(s, m, w + k, chunk_bytes);
			else
				s->n += chunk_count(w + k, chunk_bytes);
	}
}

/* The same for the experts of a layer, one expert behind the other. */
static void add_experts(struct schedule *s, const struct model *m, uint32_t layer, uint64_t chunk_bytes)
{
	for (uint32_t k = 0; k < m->moe.n_experts; k++) {
		if (s->chunks)
			s->expert_first[(size_t)layer * m->moe.n_experts + k] = (uint32_t)s->n_expert_chunks;
		for (size_t i = 0; i < sizeof(in_expert) / sizeof(*in_expert); i++) {
			const struct weight *w = model_weight(m, layer, in_expert[i]);
			if (w && s->chunks)
				add_chunks(s, m, w + k, chunk_bytes);
			else if (w)
				s->n_expert_chunks += chunk_count(w + k, chunk_bytes);
		}
	}
}

/* Neighbours of one expert, up to chunk_bytes in all. */
static void add_packs(struct schedule *s, uint64_t chunk_bytes)
{
	for (size_t g = 0, c = 0; c < s->n_expert_chunks; g++) {
		uint64_t sum = 0;
		for (; c < s->expert_first[g + 1]; c++) {
			if (sum == 0 || sum + s->expert_chunks[c].bytes > chunk_bytes) {
				s->pack_first[s->n_packs++] = (uint32_t)c;
				sum = 0;
			}
			sum += s->expert_chunks[c].bytes;
		}
	}
	s->pack_first[s->n_packs] = (uint32_t)s->n_expert_chunks;
}

static int allocate(struct schedule *s, const struct model *m, struct err *e)
{
	const size_t groups = (size_t)m->n_layers * m->moe.n_experts;
	s->chunks = mem_array(s->n, sizeof(*s->chunks));
	s->n = 0;
	if (!s->chunks)
		return err_nomem(e);
	if (!groups)
		return 0;
	s->n_experts = m->moe.n_experts;
	s->expert_chunks = mem_array(s->n_expert_chunks, sizeof(*s->expert_chunks));
	s->expert_first = mem_array(groups + 1, sizeof(*s->expert_first));
	s->pack_first = mem_array(s->n_expert_chunks + 1, sizeof(*s->pack_first));
	if (!s->expert_chunks || !s->expert_first || !s->pack_first || s->n_expert_chunks >= UINT32_MAX)
		return err_nomem(e);
	s->expert_first[groups] = (uint32_t)s->n_expert_chunks;
	s->n_expert_chunks = 0;
	return 0;
}

int schedule_make(struct schedule *s, const struct model *m, uint64_t chunk_bytes, struct err *e)
{
	*s = (struct schedule){0};
	for (int round = 0; round < 2; round++) {
		add_roles(s, m, m->n_layers, first, sizeof(first) / sizeof(*first), chunk_bytes);
		for (uint32_t layer = 0; layer < m->n_layers; layer++) {
			add_roles(s, m, layer, in_layer, sizeof(in_layer) / sizeof(*in_layer), chunk_bytes);
			add_experts(s, m, layer, chunk_bytes);
		}
		add_roles(s, m, m->n_layers, last, sizeof(last) / sizeof(*last), chunk_bytes);
		if (round)
			break;
		if (allocate(s, m, e) < 0) {
			schedule_clear(s);
			return -1;
		}
	}
	if (s->n_experts)
		add_packs(s, chunk_bytes);
	return 0;
}

void schedule_clear(struct schedule *s)
{
	free(s->chunks);
	free(s->expert_chunks);
	free(s->expert_first);
	free(s->pack_first);
	*s = (struct schedule){0};
}
