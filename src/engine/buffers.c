/* The buffers of a pass, carved from one block; with base NULL only the size is counted. */
#include "engine/forward.h"

#include "base/mem.h"
#include "engine/moe.h"

struct carver {
	char *base;
	size_t used;
};

/* 64-aligned */
static void *carve(struct carver *c, uint64_t bytes)
{
	void *p = c->base ? c->base + c->used : NULL;
	c->used += (size_t)mem_align_up(bytes, 64);
	return p;
}

static uint64_t raw_bytes(const struct model *m, enum role role)
{
	const struct weight *w = model_weight(m, m->n_layers, role);
	return w ? w->row_bytes : 0;
}

static size_t rope_bytes(const struct model *m, size_t n)
{
	size_t half = 0;
	for (uint32_t i = 0; i < m->n_ropes; i++)
		half += m->rope[i].rot / 2;
	return n * half * sizeof(float);
}

static size_t widest(const struct model *m)
{
	size_t a = attention_width(m), f = ffn_width(m);
	size_t w = a > f ? a : f;
	return w > m->embed_dim ? w : m->embed_dim;
}

static void carve_routes(struct carver *c, const struct model *m, size_t n, float **router, float **weights,
	uint32_t **rows)
{
	const size_t k = m->moe.n_experts ? m->moe.top_k : 0, one = m->moe.n_experts ? 1 : 0;
	*router = carve(c, n * (m->moe.n_experts + one) * sizeof(float));
	*weights = carve(c, n * (k + one) * sizeof(float));
	*rows = carve(c, n * k * sizeof(uint32_t));
}

size_t buffers_work(struct work *w, void *base, const struct model *m, size_t n, size_t logits_rows, size_t ctx)
{
	struct carver c = {base, 0};
	const size_t more = m->moe.n_experts ? moe_out_rows(m, n) - n : 0;
	w->x = carve(&c, n * m->hidden * sizeof(float));
	w->h = carve(&c, n * m->hidden * sizeof(float));
	w->y = carve(&c, n * m->hidden * sizeof(float));
	w->b = carve(&c, (n * widest(m) + more * m->hidden) * sizeof(float));
	w->cos = carve(&c, rope_bytes(m, n));
	w->sin = carve(&c, rope_bytes(m, n));
	w->logits = carve(&c, logits_rows * m->vocab * sizeof(float));
	w->embed_raw = carve(&c, n * raw_bytes(m, ROLE_EMBED));
	w->pos_raw = carve(&c, n * raw_bytes(m, ROLE_POS_EMBED));
	w->cells = carve(&c, ctx * sizeof(uint32_t));
	w->new_cells = carve(&c, n * sizeof(uint32_t));
	w->rows = carve(&c, 2 * n * sizeof(struct attn_row));
	carve_routes(&c, m, n, &w->router, &w->route_weights, &w->route_rows);
	size_t f = 2 * (size_t)m->moe.ffn;
	w->expert_bias = carve(&c, m->moe.n_experts ? (f > m->hidden ? f : m->hidden) * sizeof(float) : 0);
	w->growth = carve(&c, m->growth.kind ? n * sizeof(float) : 0);
	return c.used;
}

size_t buffers_host(struct host *s, void *base, const struct model *m, size_t n, size_t logits_rows, size_t ctx)
{
	struct carver c = {base, 0};
	s->embed_raw = carve(&c, n * raw_bytes(m, ROLE_EMBED));
	s->pos_raw = carve(&c, n * raw_bytes(m, ROLE_POS_EMBED));
	s->cos = carve(&c, rope_bytes(m, n));
	s->sin = carve(&c, rope_bytes(m, n));
	s->logits = carve(&c, logits_rows * m->vocab * sizeof(float));
	s->cells = carve(&c, ctx * sizeof(uint32_t));
	s->new_cells = carve(&c, n * sizeof(uint32_t));
	s->rows = carve(&c, 2 * n * sizeof(struct attn_row));
	carve_routes(&c, m, n, &s->router, &s->route_weights, &s->route_rows);
	s->growth = carve(&c, m->growth.kind ? n * sizeof(float) : 0);
	return c.used;
}
