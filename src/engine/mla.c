/* Latent attention (DeepSeek-V2, arXiv 2405.04434): a cell holds the normed latent c [kv_rank] of a token
 * and its one rotated key [rope], for all heads. With k_h = (K_h c, rotated) and v_h = V_h c, head h scores
 *   q_h . k_h = (K_h^T q_h's unrotated part) . c + (q_h's rotated part) . rotated
 * so K_h is applied to the query, and V_h once to the weighted sum of latents: no key or value is ever
 * expanded, and attention runs as with one kv head of kv_rank + rope dimensions. */
#include "engine/forward.h"

/* Widths of a row's pieces of region b. */
struct pieces {
	size_t q;     /* heads * (nope + rope); later the values, heads * v */
	size_t query; /* heads * (kv_rank + rope): against the cells */
	size_t sum;   /* heads * kv_rank: the weighted latents */
	size_t cell;  /* kv_rank + rope */
	size_t low;   /* q_rank */
};

static struct pieces pieces(const struct model *m)
{
	const struct mla *a = &m->mla;
	const size_t key = m->head_dim, most = key > a->v ? key : a->v;
	return (struct pieces){m->heads * most, (size_t)m->heads * (a->kv_rank + a->rope),
		(size_t)m->heads * a->kv_rank, (size_t)a->kv_rank + a->rope, a->q_rank};
}

size_t mla_width(const struct model *m)
{
	const struct pieces p = pieces(m);
	return p.q + p.query + p.sum + p.cell + p.low;
}

static void norm(struct engine *en, uint32_t layer, enum role role, float *x, size_t ld, uint32_t dim, uint32_t n)
{
	const struct norm o = {.y = x, .x = x, .ld = ld, .map = {0, 0, 1}, .n = n, .heads = 1, .dim = dim,
		.w = forward_small(en, layer, role), .eps = en->c.model->norm_eps};
	en->c.backend->ops->norm(en->c.backend, &o);
}

/* q [n, heads * head_dim], by one matrix or two. */
static int make_query(struct engine *en, uint32_t layer, float *q, size_t ldq, float *low, const float *x,
	uint32_t n, struct err *e)
{
	const struct model *m = en->c.model;
	const uint32_t rank = m->mla.q_rank;
	if (!rank)
		return forward_matmul(en, layer, ROLE_Q, q, ldq, x, m->hidden, n, e);
	if (forward_matmul(en, layer, ROLE_Q_A, low, rank, x, m->hidden, n, e) < 0)
		return -1;
	norm(en, layer, ROLE_Q_A_NORM, low, rank, rank, n);
	return forward_matmul(en, layer, ROLE_Q_B, q, ldq, low, rank, n, e);
}

static void rotate(struct engine *en, float *x, size_t ld, struct head_map map, uint32_t heads, uint32_t n)
{
	const struct model *m = en->c.model;
	const struct rope r = {.x = x, .ldx = ld, .map = map, .cos = en->w.cos, .sin = en->w.sin, .n = n,
		.heads = heads, .head_dim = m->mla.rope, .rot = m->mla.rope, .style = m->rope_style};
	en->c.backend->ops->rope(en->c.backend, &r);
}

/* The rotated parts of q's heads behind their latent parts. */
static void move_rotated(struct engine *en, float *query, size_t ld, const float *q, size_t ldq, uint32_t n)
{
	const struct mla *a = &en->c.model->mla;
	const struct move mv = {.y = query, .ldy = ld, .y_map = {a->kv_rank, a->kv_rank + a->rope, 1}, .x = q,
		.ldx = ldq, .x_map = {a->nope, a->nope + a->rope, 1}, .n = n, .heads = en->c.model->heads,
		.dim = a->rope};
	en->c.backend->ops->move(en->c.backend, &mv);
}

static void attend(struct engine *en, const struct pass *p, uint32_t layer, float *sum, const float *query)
{
	const struct model *m = en->c.model;
	const uint32_t cell = m->mla.kv_rank + m->mla.rope;
	const struct attention a = {.out = sum, .ldo = (size_t)m->heads * m->mla.kv_rank, .q = query,
		.ldq = (size_t)m->heads * cell, .q_map = {0, 0, m->heads}, .k = en->k[layer], .v = en->k[layer],
		.kv_type = en->c.plan->kv_type, .cells = en->w.cells, .rows = en->w.rows, .n = p->n,
		.heads = m->heads, .kv_heads = 1, .head_dim = cell, .v_dim = m->mla.kv_rank, .k_stride = cell,
		.v_stride = cell, .max_count = p->pos0 + p->n, .scale = m->attn_scale};
	en->c.backend->ops->attention(en->c.backend, &a);
}

int mla_forward(struct engine *en, const struct pass *p, uint32_t layer, float *y, const float *x, struct err *e)
{
	const struct model *m = en->c.model;
	const struct mla *a = &m->mla;
	struct backend *b = en->c.backend;
	const struct pieces w = pieces(m);
	const uint32_t n = p->n, heads = m->heads;
	float *q = en->w.b, *query = q + n * w.q, *sum = query + n * w.query, *cell = sum + n * w.sum;

	if (make_query(en, layer, q, w.q, cell + n * w.cell, x, n, e) < 0 ||
		forward_matmul(en, layer, ROLE_KV_A, cell, w.cell, x, m->hidden, n, e) < 0)
		return -1;
	norm(en, layer, ROLE_KV_A_NORM, cell, w.cell, a->kv_rank, n);
	rotate(en, cell, w.cell, (struct head_map){a->kv_rank, 0, 1}, 1, n);
	rotate(en, q, w.q, (struct head_map){a->nope, m->head_dim, 1}, heads, n);
	b->ops->kv_store(b, en->k[layer], en->c.plan->kv_type, cell, w.cell, (struct head_map){0, 0, 1}, 1,
		(uint32_t)w.cell, en->w.new_cells, n);
	for (uint32_t h = 0; h < heads; h++)
		if (forward_copy(en, layer, ROLE_K_B, h, query + h * w.cell, w.query, q + (size_t)h * m->head_dim,
			    w.q, n, e) < 0)
			return -1;
	move_rotated(en, query, w.query, q, w.q, n);
	attend(en, p, layer, sum, query);
	for (uint32_t h = 0; h < heads; h++)
		if (forward_copy(en, layer, ROLE_V_B, h, q + (size_t)h * a->v, w.q, sum + (size_t)h * a->kv_rank,
			    w.sum, n, e) < 0)
			return -1;
	return forward_matmul(en, layer, ROLE_O, y, m->hidden, q, w.q, n, e);
}
