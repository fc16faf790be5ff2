/* Attention of one layer, over the KV cache. */
#include "engine/forward.h"

size_t attention_width(const struct model *m)
{
	if (m->mla.kv_rank)
		return mla_width(m);
	return model_qkv_layout(m, false).width + (size_t)m->heads * m->head_dim;
}

void attention_cell_bytes(const struct model *m, enum dtype type, uint64_t *k, uint64_t *v)
{
	bool latent = m->mla.kv_rank;
	*k = dtype_bytes(type, latent ? (uint64_t)m->mla.kv_rank + m->mla.rope : (uint64_t)m->kv_heads * m->head_dim);
	*v = latent ? 0 : *k;
}

/* q, k and v of all rows, next to each other, from one fused matrix or from three. */
static int project(struct engine *en, uint32_t layer, const struct qkv_layout *l, float *qkv,
	const float *x, uint32_t n, struct err *e)
{
	const struct model *m = en->c.model;
	if (model_weight(m, layer, ROLE_QKV))
		return forward_matmul(en, layer, ROLE_QKV, qkv, l->width, x, m->hidden, n, e);
	if (forward_matmul(en, layer, ROLE_Q, qkv + l->q.start, l->width, x, m->hidden, n, e) < 0 ||
		forward_matmul(en, layer, ROLE_K, qkv + l->k.start, l->width, x, m->hidden, n, e) < 0)
		return -1;
	return forward_matmul(en, layer, ROLE_V, qkv + l->v.start, l->width, x, m->hidden, n, e);
}

/* Norm of q's or k's heads, each for itself or all as one vector, in place. */
static void norm_heads(struct engine *en, uint32_t layer, enum role role, float *qkv, size_t ld,
	struct head_map map, uint32_t heads, uint32_t n)
{
	const struct model *m = en->c.model;
	const struct weight *w = model_weight(m, layer, role);
	if (!w)
		return;
	bool own = w->n_parts || (w->tensor->n_dims == 2 && w->cols > m->head_dim);
	bool whole = !own && w->cols != m->head_dim;
	const struct norm o = {.y = qkv, .x = qkv, .ld = ld, .n = n, .map = map,
		.heads = whole ? 1 : heads, .dim = whole ? w->cols : m->head_dim,
		.w = forward_small(en, layer, role), .bias = forward_small(en, layer, role_bias(role)),
		.w_stride = own ? m->head_dim : 0, .eps = m->norm_eps, .centred = m->norm_centred};
	en->c.backend->ops->norm(en->c.backend, &o);
}

static void rotate(struct engine *en, uint32_t layer, float *qkv, const struct qkv_layout *l, uint32_t n)
{
	const struct model *m = en->c.model;
	const uint8_t set = m->layers[layer].rope;
	if (set == ROPE_NONE)
		return;
	size_t at = set ? (size_t)n * (en->rope[0].rot / 2) : 0;
	struct rope r = {.x = qkv, .ldx = l->width, .map = l->q, .cos = en->w.cos + at,
		.sin = en->w.sin + at, .n = n, .heads = m->heads, .head_dim = m->head_dim,
		.rot = en->rope[set].rot, .style = m->rope_style};
	en->c.backend->ops->rope(en->c.backend, &r);
	r.map = l->k;
	r.heads = m->kv_heads;
	en->c.backend->ops->rope(en->c.backend, &r);
}

/* Queries grow with their position in some families. */
static void grow(struct engine *en, float *qkv, const struct qkv_layout *l, uint32_t n)
{
	const struct model *m = en->c.model;
	if (!m->growth.kind)
		return;
	const struct move mv = {.y = qkv, .ldy = l->width, .y_map = l->q, .x = qkv, .ldx = l->width, .x_map = l->q,
		.n = n, .heads = m->heads, .dim = m->head_dim, .weights = en->w.growth};
	en->c.backend->ops->move(en->c.backend, &mv);
}

static void attend(struct engine *en, const struct pass *p, uint32_t layer, float *out, const float *qkv,
	const struct qkv_layout *l)
{
	const struct model *m = en->c.model;
	const bool windowed = m->layers[layer].windowed;
	uint32_t max = p->pos0 + p->n;
	const struct attention a = {.out = out, .ldo = (size_t)m->heads * m->head_dim, .q = qkv,
		.ldq = l->width, .q_map = l->q, .k = en->k[layer], .v = en->v[layer],
		.kv_type = en->c.plan->kv_type, .cells = en->w.cells,
		.rows = en->w.rows + (windowed ? p->n : 0), .n = p->n, .heads = m->heads,
		.kv_heads = m->kv_heads, .head_dim = m->head_dim,
		.max_count = windowed && m->window < max ? m->window : max, .scale = m->attn_scale * m->layers[layer].attn_scale,
		.softcap = m->attn_softcap, .slopes = en->slopes,
		.sinks = forward_small(en, layer, ROLE_SINKS)};
	en->c.backend->ops->attention(en->c.backend, &a);
}

int attention_forward(struct engine *en, const struct pass *p, uint32_t layer, float *y, const float *x,
	struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	const struct qkv_layout l = model_qkv_layout(m, model_weight(m, layer, ROLE_QKV) != NULL);
	const uint32_t n = p->n, q = m->heads * m->head_dim;
	const enum dtype kt = en->c.plan->kv_type;
	float *qkv = en->w.b, *out = qkv + (size_t)n * l.width;

	if (m->mla.kv_rank)
		return mla_forward(en, p, layer, y, x, e);
	if (project(en, layer, &l, qkv, x, n, e) < 0)
		return -1;
	if (m->rope_first)
		rotate(en, layer, qkv, &l, n);
	norm_heads(en, layer, ROLE_Q_NORM, qkv, l.width, l.q, m->heads, n);
	norm_heads(en, layer, ROLE_K_NORM, qkv, l.width, l.k, m->kv_heads, n);
	if (m->clip_qkv > 0)
		b->ops->clamp(b, qkv, m->clip_qkv, (size_t)n * l.width);
	if (!m->rope_first)
		rotate(en, layer, qkv, &l, n);
	grow(en, qkv, &l, n);
	b->ops->kv_store(b, en->k[layer], kt, qkv, l.width, l.k, m->kv_heads, m->head_dim, en->w.new_cells, n);
	b->ops->kv_store(b, en->v[layer], kt, qkv, l.width, l.v, m->kv_heads, m->head_dim, en->w.new_cells, n);
	attend(en, p, layer, out, qkv, &l);
	return forward_matmul(en, layer, ROLE_O, y, m->hidden, out, q, n, e);
}
