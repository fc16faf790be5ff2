/* Guessing the experts of the next layer: its router, applied to the present hidden state. A guess costs
 * nothing while the drive would rest, and a wrong one delays what is wanted by at most one read; yet where
 * most are wrong it is left alone for a while. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/moe.h"
#include "engine/route.h"

#define PAYS 0.5f  /* share of right guesses below which they pause */
#define PAUSE 64   /* passes */
#define FADE 0.1f  /* weight of the last pass in the share */

struct guess {
	float *x, *logits; /* [hidden], [n_experts] */
	struct chosen *chosen; /* [top_k] */
	uint32_t *wanted;      /* [most chunks of top_k experts] */
	size_t *router;	       /* [n_layers] first chunk of the layer's router */
	float right;
	uint32_t pause;
	uint64_t guesses, wrong; /* counted so far */
};

void guess_close(struct guess *g)
{
	if (!g)
		return;
	free(g->x);
	free(g->logits);
	free(g->chosen);
	free(g->wanted);
	free(g->router);
	free(g);
}

struct guess *guess_open(const struct engine *en, size_t most_chunks)
{
	const struct model *m = en->c.model;
	const struct schedule *s = &en->c.plan->schedule;
	struct guess *g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->right = 1;
	g->x = mem_array(m->hidden, sizeof(*g->x));
	g->logits = mem_array(m->moe.n_experts, sizeof(*g->logits));
	g->chosen = mem_array(m->moe.top_k, sizeof(*g->chosen));
	g->wanted = mem_array(most_chunks, sizeof(*g->wanted));
	g->router = mem_array(m->n_layers, sizeof(*g->router));
	if (!g->x || !g->logits || !g->chosen || !g->wanted || !g->router) {
		guess_close(g);
		return NULL;
	}
	for (size_t i = s->n; i-- > 0;)
		if (m->weights[s->chunks[i].weight].role == ROLE_ROUTER)
			g->router[s->chunks[i].layer] = i;
	return g;
}

void guess_pass(struct guess *g, const struct stream_view *v)
{
	const uint64_t n = v->expert_guesses - g->guesses, wrong = v->expert_wrong_guesses - g->wrong;
	g->guesses = v->expert_guesses;
	g->wrong = v->expert_wrong_guesses;
	if (g->pause && --g->pause == 0)
		g->right = 1; /* another try */
	if (!n)
		return;
	float share = wrong < n ? 1 - (float)wrong / (float)n : 0;
	g->right += FADE * (share - g->right);
	if (!g->pause && g->right < PAYS)
		g->pause = PAUSE;
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

void guess_next(struct engine *en, struct guess *g, uint32_t layer, const float *choice)
{
	const struct model *m = en->c.model;
	const struct schedule *s = &en->c.plan->schedule;
	const struct weight *w = model_weight(m, layer, ROLE_ROUTER);
	struct err ignored = ERR_INIT;
	size_t n = 0;
	if (!en->c.backend->host_memory || g->pause || w->has_scaling || w->transposed ||
		!forward_norm(en, layer, ROLE_FFN_NORM, g->x, en->w.x, 1) || !ask(en, g, layer) ||
		route(&m->moe, g->logits, choice, g->chosen, &ignored) < 0)
		return;
	for (uint32_t i = 0; i < m->moe.top_k; i++) {
		const uint32_t *first = s->expert_first + (size_t)layer * s->n_experts + g->chosen[i].expert;
		for (uint32_t c = first[0]; c < first[1]; c++)
			g->wanted[n++] = c;
	}
	stream_guess(en->stream, g->wanted, n);
}
