/* The feed-forward part of a layer with a mixture of experts: the router's logits come to the host, which
 * chooses experts for each row and asks the stream for them; each expert then takes its rows at once, first
 * those that are in memory, then the others as they come.
 * y = shared(x) + sum over the chosen experts, by rising number, of weight * expert(x). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/moe.h"
#include "engine/route.h"

struct moe_state {
	struct chosen *chosen; /* [n * top_k] of the pass's rows */
	uint32_t *first;       /* [n_experts + 1] where each expert's rows begin in route_rows */
	uint32_t *wanted;      /* [n_wanted of n_experts] that the layer needs, as the stream numbers them */
	uint32_t *left;	       /* [n_experts] of those, what is to be computed before anything is added */
	size_t n_wanted;
	struct guess *guess;
	float **choice;	       /* [n_layers] host [n_experts], or NULL: what is added for the choice */
};

size_t moe_out_rows(const struct model *m, size_t n)
{
	return n > m->moe.top_k ? n : m->moe.top_k;
}

size_t moe_width(const struct model *m)
{
	const size_t f = m->moe.ffn > m->moe.shared_ffn ? m->moe.ffn : m->moe.shared_ffn;
	return m->moe.n_experts ? 2 * (size_t)m->hidden + 2 * f : 0;
}

/* The values that route() adds are small weights like others, but the host needs them. */
static int load_choice(struct engine *en, struct moe_state *st, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	for (uint32_t l = 0; l < m->n_layers; l++) {
		const float *dev = forward_small(en, l, ROLE_ROUTER_CHOICE);
		if (!dev)
			continue;
		size_t bytes = m->moe.n_experts * sizeof(float);
		if (!(st->choice[l] = mem_array(bytes, 1)))
			return err_nomem(e);
		b->ops->download(b, QUEUE_COMPUTE, st->choice[l], dev, bytes);
	}
	b->ops->event_record(b, QUEUE_COMPUTE, en->event);
	return b->ops->event_sync(b, en->event, e);
}

int moe_open(struct engine *en, struct err *e)
{
	const struct model *m = en->c.model;
	if (!m->moe.n_experts)
		return 0;
	struct moe_state *st = en->moe = calloc(1, sizeof(*st));
	if (!st)
		return err_nomem(e);
	st->chosen = mem_array((size_t)en->c.plan->prefill_rows * m->moe.top_k, sizeof(*st->chosen));
	st->first = mem_array((size_t)m->moe.n_experts + 1, sizeof(*st->first));
	st->wanted = mem_array(m->moe.n_experts, sizeof(*st->wanted));
	st->left = mem_array(m->moe.n_experts, sizeof(*st->left));
	st->choice = mem_array(m->n_layers, sizeof(*st->choice));
	st->guess = guess_open(en);
	if (!st->chosen || !st->first || !st->wanted || !st->left || !st->choice || !st->guess)
		return err_nomem(e);
	return load_choice(en, st, e);
}

void moe_close(struct engine *en)
{
	struct moe_state *st = en->moe;
	if (!st)
		return;
	for (uint32_t l = 0; st->choice && l < en->c.model->n_layers; l++)
		free(st->choice[l]);
	guess_close(st->guess);
	free(st->chosen);
	free(st->first);
	free(st->wanted);
	free(st->left);
	free(st->choice);
	free(st);
}

void moe_end(struct engine *en, const struct pass *p, int64_t wall)
{
	if (en->moe && p->n == 1)
		guess_pass(en->moe->guess, wall);
}

uint64_t moe_host_bytes(const struct model *m, size_t n)
{
	const struct moe *o = &m->moe;
	if (!o->n_experts)
		return 0;
	return n * o->top_k * sizeof(struct chosen) + m->n_layers * (8 + (uint64_t)o->n_experts * (sizeof(float) + 40));
}

/* --- choosing ----------------------------------------------------------------------------------- */

/* Logits of all rows, to the host. */
static int ask_router(struct engine *en, const struct pass *p, uint32_t layer, const float *x, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	const uint32_t experts = m->moe.n_experts;
	if (forward_matmul(en, layer, ROLE_ROUTER, en->w.router, experts, x, m->hidden, p->n, e) < 0)
		return -1;
	b->ops->download(b, QUEUE_COMPUTE, en->s.router, en->w.router, (size_t)p->n * experts * sizeof(float));
	/* x . w of each row, behind the routers' */
	const float *scale = forward_small(en, layer, ROLE_SHARED_SCALE);
	if (scale) {
		const struct matmul mm = {.y = en->w.router + (size_t)p->n * experts, .ldy = 1, .x = x,
			.ldx = m->hidden, .w = scale, .dtype = DTYPE_F32, .n = p->n, .k = m->hidden, .rows = 1};
		b->ops->matmul(b, &mm);
		b->ops->download(b, QUEUE_COMPUTE, en->s.router + (size_t)p->n * experts, mm.y,
			p->n * sizeof(float));
	}
	b->ops->event_record(b, QUEUE_COMPUTE, en->event);
	return b->ops->event_sync(b, en->event, e);
}

/* Rows and weights sorted by expert, in s.route_rows and s.route_weights. */
static int choose(struct engine *en, const struct pass *p, uint32_t layer, struct err *e)
{
	const struct moe *o = &en->c.model->moe;
	struct moe_state *st = en->moe;
	const uint32_t n = p->n, k = o->top_k;
	for (uint32_t i = 0; i < n; i++) {
		if (route(o, en->s.router + (size_t)i * o->n_experts, st->choice[layer],
			    st->chosen + (size_t)i * k, e) < 0) {
			err_prefix(e, "layer %u", layer);
			return -1;
		}
	}
	memset(st->first, 0, (o->n_experts + 1) * sizeof(*st->first));
	for (size_t i = 0; i < (size_t)n * k; i++)
		st->first[st->chosen[i].expert + 1]++;
	for (uint32_t x = 0; x < o->n_experts; x++)
		st->first[x + 1] += st->first[x];
	for (size_t i = 0; i < (size_t)n * k; i++) { /* first[x] moves to where expert x + 1 begins */
		uint32_t at = st->first[st->chosen[i].expert]++;
		en->s.route_rows[at] = (uint32_t)(i / k);
		en->s.route_weights[at] = st->chosen[i].weight;
	}
	memmove(st->first + 1, st->first, o->n_experts * sizeof(*st->first));
	st->first[0] = 0;
	return 0;
}

static void want(struct engine *en, uint32_t layer)
{
	const uint32_t experts = en->c.model->moe.n_experts, first = layer * experts;
	struct moe_state *st = en->moe;
	struct stream_experts told;
	st->n_wanted = 0;
	for (uint32_t x = 0; x < experts; x++)
		if (st->first[x + 1] > st->first[x])
			st->wanted[st->n_wanted++] = first + x;
	stream_want(en->stream, st->wanted, st->n_wanted, &told);
	guess_check(st->guess, layer, st->wanted, st->n_wanted, &told);
	trace_experts(en->trace, &(struct trace_experts){.chosen = st->wanted, .n = (uint32_t)st->n_wanted,
		.first_number = first, .hits = told.hits, .misses = told.misses, .right = told.right, .wrong = told.wrong,
		.wrong_bytes = told.wrong_bytes});
}

/* --- computing ---------------------------------------------------------------------------------- */

struct expert_work { /* pieces of region b */
	float *x, *gate_up; /* [n, hidden], [n, 2 ffn] */
	float *out;	    /* [moe_out_rows(n), hidden] */
};

/* act(gate) * up of n rows of distance ld, in place of gate. */
static void activate(struct engine *en, float *gate, size_t ffn, bool fused, uint32_t n)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	const bool mixed = fused && m->moe.interleaved;
	const float *up = mixed ? gate + 1 : gate + ffn;
	if (m->moe.glu_alpha > 0) {
		const struct glu g = {.y = gate, .gate = gate, .up = up, .ld = 2 * ffn, .n = n, .d = (uint32_t)ffn,
			.step = mixed ? 2 : 1, .alpha = m->moe.glu_alpha, .limit = m->moe.glu_limit};
		b->ops->glu(b, &g);
	} else {
		b->ops->act_mul(b, m->act, gate, gate, up, n, (uint32_t)ffn, 2 * ffn);
	}
}

static int run_expert(struct engine *en, uint32_t layer, uint32_t expert, const struct expert_work *w, float *out,
	uint32_t n, struct err *e)
{
	const struct model *m = en->c.model;
	const size_t f = m->moe.ffn, h = m->hidden;
	const bool fused = model_weight(m, layer, ROLE_EXPERT_GATE_UP);
	en->next_expert_chunk = en->c.plan->schedule.expert_first[(size_t)layer * m->moe.n_experts + expert];
	if (fused) {
		if (forward_expert(en, layer, ROLE_EXPERT_GATE_UP, expert, w->gate_up, 2 * f, w->x, h, n, e) < 0)
			return -1;
	} else if (forward_expert(en, layer, ROLE_EXPERT_GATE, expert, w->gate_up, 2 * f, w->x, h, n, e) < 0 ||
		   forward_expert(en, layer, ROLE_EXPERT_UP, expert, w->gate_up + f, 2 * f, w->x, h, n, e) < 0) {
		return -1;
	}
	activate(en, w->gate_up, f, fused, n);
	return forward_expert(en, layer, ROLE_EXPERT_DOWN, expert, out, h, w->gate_up, 2 * f, n, e);
}

/* n whole rows [d] from x to y, for the caller to say which, how much, and whether added. */
static struct move rows_to(float *y, const float *x, uint32_t n, uint32_t d)
{
	return (struct move){.y = y, .ldy = d, .y_map = {0, 0, 1}, .x = x, .ldx = d, .x_map = {0, 0, 1}, .n = n,
		.heads = 1, .dim = d};
}

/* The expert of all tokens, into y. */
static int run_shared(struct engine *en, uint32_t layer, float *y, const float *x, float *gate_up, uint32_t n,
	struct err *e)
{
	const struct model *m = en->c.model;
	const size_t f = m->moe.shared_ffn, h = m->hidden;
	if (model_weight(m, layer, ROLE_SHARED_GATE_UP)) {
		if (forward_matmul(en, layer, ROLE_SHARED_GATE_UP, gate_up, 2 * f, x, h, n, e) < 0)
			return -1;
	} else if (forward_matmul(en, layer, ROLE_SHARED_GATE, gate_up, 2 * f, x, h, n, e) < 0 ||
		   forward_matmul(en, layer, ROLE_SHARED_UP, gate_up + f, 2 * f, x, h, n, e) < 0) {
		return -1;
	}
	en->c.backend->ops->act_mul(en->c.backend, m->act, gate_up, gate_up, gate_up + f, n, (uint32_t)f, 2 * f);
	return forward_matmul(en, layer, ROLE_SHARED_DOWN, y, h, gate_up, 2 * f, n, e);
}

/* The weights of the shared expert's rows lie behind those of the others. */
static int add_shared(struct engine *en, uint32_t layer, const struct pass *p, const struct expert_work *w, float *y,
	const float *x, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	const size_t at = (size_t)p->n * m->moe.top_k;
	const bool scaled = model_weight(m, layer, ROLE_SHARED_SCALE);
	if (!m->moe.shared_ffn) {
		b->ops->zero(b, y, (size_t)p->n * m->hidden);
		return 0;
	}
	if (run_shared(en, layer, scaled ? w->out : y, x, w->gate_up, p->n, e) < 0)
		return -1;
	if (!scaled)
		return 0;
	struct move mv = rows_to(y, w->out, p->n, m->hidden);
	mv.weights = en->w.route_weights + at;
	b->ops->move(b, &mv);
	return 0;
}

static void upload_routes(struct engine *en, uint32_t layer, const struct pass *p)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	size_t k = (size_t)p->n * m->moe.top_k, all = k;
	if (model_weight(m, layer, ROLE_SHARED_SCALE)) {
		const float *logits = en->s.router + (size_t)p->n * m->moe.n_experts;
		for (uint32_t i = 0; i < p->n; i++)
			en->s.route_weights[all++] = 1 / (1 + expf(-logits[i]));
	}
	b->ops->upload(b, QUEUE_COMPUTE, en->w.route_rows, en->s.route_rows, k * sizeof(uint32_t));
	b->ops->upload(b, QUEUE_COMPUTE, en->w.route_weights, en->s.route_weights, all * sizeof(float));
}

/* Experts st->wanted[from..to-1]: computed in the order in which they come from disk, added in rising order,
 * so that the sum has the same bits whatever was in memory. */
static int run_experts(struct engine *en, uint32_t layer, const struct expert_work *w, float *y, const float *x,
	size_t from, size_t to, struct err *e)
{
	const uint32_t h = en->c.model->hidden, first = layer * en->c.model->moe.n_experts;
	struct backend *b = en->c.backend;
	struct moe_state *st = en->moe;
	const uint32_t begin = st->first[st->wanted[from] - first];
	memcpy(st->left, st->wanted + from, (to - from) * sizeof(*st->left));
	for (size_t left = to - from; left; left--) {
		size_t pick = forward_pick_expert(en, st->left, left);
		const uint32_t expert = st->left[pick] - first, at = st->first[expert], n = st->first[expert + 1] - at;
		memmove(st->left + pick, st->left + pick + 1, (left - pick - 1) * sizeof(*st->left));
		struct move mv = rows_to(w->x, x, n, h);
		mv.x_rows = en->w.route_rows + at;
		b->ops->move(b, &mv);
		if (run_expert(en, layer, expert, w, w->out + (size_t)(at - begin) * h, n, e) < 0)
			return -1;
	}
	for (size_t i = from; i < to; i++) {
		const uint32_t expert = st->wanted[i] - first, at = st->first[expert];
		struct move mv = rows_to(y, w->out + (size_t)(at - begin) * h, st->first[expert + 1] - at, h);
		mv.y_rows = en->w.route_rows + at;
		mv.weights = en->w.route_weights + at;
		mv.add = true;
		b->ops->move(b, &mv);
	}
	return 0;
}

int moe_forward(struct engine *en, const struct pass *p, uint32_t layer, float *y, const float *x, struct err *e)
{
	const struct model *m = en->c.model;
	const struct moe_state *st = en->moe;
	const uint32_t *first = st->first, *wanted = st->wanted, base = layer * m->moe.n_experts;
	struct expert_work w = {.x = en->w.b};
	w.out = w.x + (size_t)p->n * m->hidden;
	w.gate_up = w.out + moe_out_rows(m, p->n) * m->hidden;
	if (ask_router(en, p, layer, x, e) < 0 || choose(en, p, layer, e) < 0)
		return -1;
	want(en, layer);
	if (p->n == 1 && layer + 1 < m->n_layers && m->layers[layer + 1].experts)
		guess_next(en, st->guess, layer + 1, st->choice[layer + 1]);
	upload_routes(en, layer, p);
	if (add_shared(en, layer, p, &w, y, x, e) < 0)
		return -1;
	for (size_t from = 0, to; from < st->n_wanted; from = to) { /* as many as have room for what comes out */
		for (to = from + 1; to < st->n_wanted; to++)
			if (first[wanted[to] - base + 1] - first[wanted[from] - base] > moe_out_rows(m, p->n))
				break;
		if (run_experts(en, layer, &w, y, x, from, to, e) < 0)
			return -1;
	}
	return 0;
}
