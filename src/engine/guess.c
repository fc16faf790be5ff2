/* Guessing the experts of the next layer: its router, applied to the present hidden state. Reading them early
 * fills the time in which the drive would rest, but what was read for nothing was paid for with bytes, and it
 * took the place of something else. So:
 * - of the experts guessed for a layer, best first, only those ranks are read that were right lately: what was
 *   chosen then is known, read or not;
 * - wrong reads may be at most 1 in WRONG_SHARE of all that is read;
 * - from time to time some passes go with and some without guesses, in turn, and the faster way is kept. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/moe.h"
#include "engine/route.h"

#define SURE 0.8f   /* share of right guesses of a rank from which on they are read */
#define FADE 0.1f   /* weight of the last pass in the share */
#define WRONG_SHARE 32
#define CREDIT 8    /* wrong reads that may be had in advance, and be saved up */
#define BLOCK 4	    /* passes of a trial with guesses, then as many without, */
#define TRIAL 32    /* in all */
#define KEEP 512    /* passes until the next trial */
#define GAIN 0.99   /* guesses have to make a pass shorter by so much */

struct guess {
	float *x, *logits; /* [hidden], [n_experts] */
	struct chosen *chosen; /* [top_k] */
	uint32_t *asked;       /* [top_k] */
	uint32_t *ranks;       /* [top_k] the last guess, best first; of which layer */
	uint32_t layer, n_ranks;
	float *right;	       /* [n_layers * top_k] share of right guesses of each rank */
	size_t *router;	       /* [n_layers] first chunk of the layer's router */
	uint32_t top_k;
	float credit;
	bool on;
	uint32_t pass;	       /* of the trial, or after it */
	int64_t with[TRIAL], without[TRIAL];
	size_t n_with, n_without;
};

void guess_close(struct guess *g)
{
	if (!g)
		return;
	free(g->x);
	free(g->logits);
	free(g->chosen);
	free(g->asked);
	free(g->ranks);
	free(g->right);
	free(g->router);
	free(g);
}

struct guess *guess_open(const struct engine *en)
{
	const struct model *m = en->c.model;
	const struct schedule *s = &en->c.plan->schedule;
	const size_t k = m->moe.top_k;
	struct guess *g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->on = true;
	g->top_k = m->moe.top_k;
	g->credit = CREDIT;
	g->x = mem_array(m->hidden, sizeof(*g->x));
	g->logits = mem_array(m->moe.n_experts, sizeof(*g->logits));
	g->chosen = mem_array(k, sizeof(*g->chosen));
	g->asked = mem_array(k, sizeof(*g->asked));
	g->ranks = mem_array(k, sizeof(*g->ranks));
	g->right = mem_array(m->n_layers * k, sizeof(*g->right));
	g->router = mem_array(m->n_layers, sizeof(*g->router));
	if (!g->x || !g->logits || !g->chosen || !g->asked || !g->ranks || !g->right || !g->router) {
		guess_close(g);
		return NULL;
	}
	for (size_t i = s->n; i-- > 0;)
		if (m->weights[s->chunks[i].weight].role == ROLE_ROUTER)
			g->router[s->chunks[i].layer] = i;
	for (size_t i = 0; i < m->n_layers * k; i++)
		g->right[i] = 0.5f;
	return g;
}

/* --- do they pay? ------------------------------------------------------------------------------------ */

static bool is_among(const uint32_t *sorted, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n && sorted[i] <= x; i++)
		if (sorted[i] == x)
			return true;
	return false;
}

void guess_check(struct guess *g, uint32_t layer, const uint32_t *wanted, size_t n, const struct stream_experts *told)
{
	for (uint32_t r = 0; g->layer == layer && r < g->n_ranks; r++) {
		float *share = &g->right[(size_t)layer * g->top_k + r];
		*share += FADE * ((is_among(wanted, n, g->ranks[r]) ? 1.0f : 0.0f) - *share);
	}
	g->n_ranks = 0;
	g->credit += (float)(told->misses + told->right) / WRONG_SHARE - (float)told->wrong;
	g->credit = g->credit < CREDIT ? g->credit : CREDIT;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int64_t median(int64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	return v[n / 2];
}

void guess_pass(struct guess *g, int64_t wall)
{
	if (g->pass < TRIAL) {
		if (g->on)
			g->with[g->n_with++] = wall;
		else
			g->without[g->n_without++] = wall;
	}
	g->pass++;
	if (g->pass < TRIAL) {
		g->on = g->pass / BLOCK % 2 == 0;
	} else if (g->pass == TRIAL) {
		g->on = (double)median(g->with, g->n_with) < GAIN * (double)median(g->without, g->n_without);
	} else if (g->pass == TRIAL + KEEP) {
		g->pass = 0;
		g->n_with = g->n_without = 0;
		g->on = true;
	}
}

/* --- guessing ---------------------------------------------------------------------------------------- */

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
		if (g->on && g->credit >= 0 && g->right[(size_t)layer * g->top_k + r] >= SURE)
			g->asked[n++] = g->ranks[r];
	}
	if (n)
		stream_guess(en->stream, g->asked, n);
}
