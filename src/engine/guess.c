/* Guessing the experts of the next layer: its router, applied to the present hidden state. Which of them are read
 * is the wager's choice. */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/moe.h"
#include "engine/route.h"
#include "engine/wager.h"

struct guess {
	float *x, *logits; /* [hidden], [n_experts] */
	struct chosen *chosen; /* [top_k] */
	uint32_t *asked;       /* [top_k] */
	uint32_t *ranks;       /* [n_ranks of top_k] the last guess, best first; of which layer */
	uint32_t layer, n_ranks, top_k;
	size_t *router;	       /* [n_layers] first chunk of the layer's router */
	struct wager wager;
};

void guess_close(struct guess *g)
{
	if (!g)
		return;
	wager_clear(&g->wager);
	free(g->x);
	free(g->logits);
	free(g->chosen);
	free(g->asked);
	free(g->ranks);
	free(g->router);
	free(g);
}

struct guess *guess_open(const struct engine *en)
{
	const struct model *m = en->c.model;
	const struct schedule *s = &en->c.plan->schedule;
	const uint32_t k = m->moe.top_k;
	struct guess *g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->top_k = k;
	g->x = mem_array(m->hidden, sizeof(*g->x));
	g->logits = mem_array(m->moe.n_experts, sizeof(*g->logits));
	g->chosen = mem_array(k, sizeof(*g->chosen));
	g->asked = mem_array(k, sizeof(*g->asked));
	g->ranks = mem_array(k, sizeof(*g->ranks));
	g->router = mem_array(m->n_layers, sizeof(*g->router));
	if (wager_init(&g->wager, m->n_layers, k) < 0 || !g->x || !g->logits || !g->chosen || !g->asked || !g->ranks ||
		!g->router) {
		guess_close(g);
		return NULL;
	}
	for (size_t i = s->n; i-- > 0;)
		if (m->weights[s->chunks[i].weight].role == ROLE_ROUTER)
			g->router[s->chunks[i].layer] = i;
	return g;
}

static bool is_among(const uint32_t *sorted, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n && sorted[i] <= x; i++)
		if (sorted[i] == x)
			return true;
	return false;
}

void guess_check(struct guess *g, uint32_t layer, const uint32_t *wanted, size_t n, const struct stream_experts *told)
{
	for (uint32_t r = 0; g->layer == layer && r < g->n_ranks; r++)
		wager_rank(&g->wager, layer, r, is_among(wanted, n, g->ranks[r]));
	g->n_ranks = 0;
	wager_reads(&g->wager, told->misses + told->right, told->wrong);
}

void guess_pass(struct guess *g, int64_t wall)
{
	wager_pass(&g->wager, wall);
}

/* The router's logits; false if its weights are not all in memory. */
static bool ask(struct engine *en, struct guess *g, uint32_t layer)
{
	const struct model *m = en->c.model;
	const struct schedule *s = &en->c.plan->schedule;
	const struct weight *w = model_weight(m, layer, ROLE_ROUTER);
	const float *bias = forward_small(en, layer, ROLE_ROUTER_BIAS);
	for (size_t i = g->router[layer]; i < s->n && &m->weights[s->chunks[i].weight] == w; i++) {
		const struct chunk *c = &s->chunks[i];
		const struct matmul mm = {.y = g->logits + c->row0, .ldy = m->moe.n_experts, .x = g->x,
			.ldx = m->hidden, .w = stream_peek(en->stream, i), .dtype = w->dtype, .row0 = c->row0,
			.n = 1, .k = w->cols, .rows = c->rows, .bias = bias ? bias + c->row0 : NULL};
		if (!mm.w)
			return false;
		en->c.backend->ops->matmul(en->c.backend, &mm);
	}
	return true;
}

static int by_weight(const void *a, const void *b)
{
	const struct chosen *x = a, *y = b;
	return (x->weight < y->weight) - (x->weight > y->weight);
}

void guess_next(struct engine *en, struct guess *g, uint32_t layer, const float *choice)
{
	const struct model *m = en->c.model;
	const struct weight *w = model_weight(m, layer, ROLE_ROUTER);
	struct err ignored = ERR_INIT;
	size_t n = 0;
	g->n_ranks = 0;
	if (!en->c.backend->host_memory || w->has_scaling || w->transposed ||
		!forward_norm(en, layer, ROLE_FFN_NORM, g->x, en->w.x, 1) || !ask(en, g, layer) ||
		route(&m->moe, g->logits, choice, g->chosen, &ignored) < 0)
		return;
	qsort(g->chosen, g->top_k, sizeof(*g->chosen), by_weight);
	g->layer = layer;
	g->n_ranks = g->top_k;
	for (uint32_t r = 0; r < g->top_k; r++) {
		g->ranks[r] = layer * m->moe.n_experts + g->chosen[r].expert;
		if (wager_takes(&g->wager, layer, r))
			g->asked[n++] = g->ranks[r];
	}
	if (n)
		stream_guess(en->stream, g->asked, n);
}
