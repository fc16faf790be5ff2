#include "engine/forward.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

/* Time since the mark belongs to `cause`. */
static void account(struct engine *en, enum cause cause, const char *what)
{
	int64_t now = clock_ns();
	trace_span(en->trace, cause, what, en->mark, now);
	en->mark = now;
}

static const float *small(const struct engine *en, uint32_t layer, enum role role)
{
	const struct weight *w = model_weight(en->c.model, layer, role);
	return w ? en->small[w - en->c.model->weights] : NULL;
}

/* y[n, ldy] = x[n, ldx] W^T + bias, chunk by chunk as the stream brings them. */
static int matmul(struct engine *en, uint32_t layer, enum role role, enum role bias_role, float *y,
	size_t ldy, const float *x, size_t ldx, uint32_t n, struct err *e)
{
	const struct model *m = en->c.model;
	const struct schedule *s = &en->c.plan->schedule;
	struct backend *b = en->c.backend;
	const struct weight *w = model_weight(m, layer, role);
	const float *bias = bias_role == ROLES ? NULL : small(en, layer, bias_role);
	uint32_t row = 0;
	while (row < w->rows) {
		const struct chunk *c = &s->chunks[en->next_chunk];
		struct lease l;
		if (atomic_load_explicit(&en->cancelled, memory_order_relaxed))
			return err_set(e, ERR_CANCELLED, "stopped");
		account(en, CAUSE_COMPUTE, NULL);
		int rc = stream_acquire(en->stream, en->next_chunk, &l, e);
		account(en, CAUSE_DISK, NULL);
		if (rc < 0)
			return -1;
		trace_use(en->trace, &(struct trace_chunk){.index = (uint32_t)en->next_chunk, .layer = c->layer,
			.tier = (uint8_t)l.tier, .bytes = c->bytes, .issued = l.issued, .in_ram = l.in_ram,
			.from = l.wait_from, .start = en->mark});
		const struct matmul mm = {.y = y + row, .ldy = ldy, .x = x, .ldx = ldx, .w = l.data,
			.dtype = w->dtype, .row0 = c->row0, .n = n, .k = w->cols, .rows = c->rows,
			.bias = bias ? bias + row : NULL};
		b->ops->matmul(b, &mm);
		stream_release(en->stream, &l);
		row += c->rows;
		en->next_chunk++;
	}
	return 0;
}

/* y = rmsnorm(x) * weight of a role, [n, hidden] */
static void rmsnorm(struct engine *en, uint32_t layer, enum role role, float *y, const float *x, uint32_t n)
{
	const struct model *m = en->c.model;
	const struct norm o = {.y = y, .x = x, .ld = m->hidden, .map = {0, 0, 1}, .n = n, .heads = 1,
		.dim = m->hidden, .w = small(en, layer, role), .eps = m->norm_eps};
	en->c.backend->ops->norm(en->c.backend, &o);
}

static struct head_map map_plain(uint32_t heads)
{
	return (struct head_map){.start = 0, .stride = 0, .group = heads};
}

static int attention_block(struct engine *en, const struct pass *p, uint32_t layer, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	struct work *w = &en->w;
	const uint32_t n = p->n, q = m->heads * m->head_dim, kv = m->kv_heads * m->head_dim;
	const enum dtype kt = en->c.plan->kv_type;
	float *qb = w->b, *kb = qb + (size_t)n * q, *vb = kb + (size_t)n * kv, *out = vb + (size_t)n * kv;

	rmsnorm(en, layer, ROLE_ATTN_NORM, w->h, w->x, n);
	if (matmul(en, layer, ROLE_Q, ROLE_Q_BIAS, qb, q, w->h, m->hidden, n, e) < 0 ||
		matmul(en, layer, ROLE_K, ROLE_K_BIAS, kb, kv, w->h, m->hidden, n, e) < 0 ||
		matmul(en, layer, ROLE_V, ROLE_V_BIAS, vb, kv, w->h, m->hidden, n, e) < 0)
		return -1;
	struct rope r = {.x = qb, .ldx = q, .map = map_plain(m->heads), .cos = w->cos, .sin = w->sin,
		.n = n, .heads = m->heads, .head_dim = m->head_dim, .rot = m->rope.rot,
		.style = m->rope.style};
	b->ops->rope(b, &r);
	r.x = kb;
	r.ldx = kv;
	r.heads = m->kv_heads;
	r.map = map_plain(m->kv_heads);
	b->ops->rope(b, &r);
	b->ops->kv_store(b, en->k[layer], kt, kb, kv, r.map, m->kv_heads, m->head_dim, w->new_cells, n);
	b->ops->kv_store(b, en->v[layer], kt, vb, kv, r.map, m->kv_heads, m->head_dim, w->new_cells, n);
	const struct attention a = {.out = out, .ldo = q, .q = qb, .ldq = q, .q_map = map_plain(m->heads),
		.k = en->k[layer], .v = en->v[layer], .kv_type = kt, .cells = w->cells, .rows = w->rows,
		.n = n, .heads = m->heads, .kv_heads = m->kv_heads, .head_dim = m->head_dim,
		.max_count = p->pos0 + n, .scale = 1.0f / sqrtf((float)m->head_dim)};
	b->ops->attention(b, &a);
	if (matmul(en, layer, ROLE_O, ROLE_O_BIAS, w->h, m->hidden, out, q, n, e) < 0)
		return -1;
	b->ops->add(b, w->x, w->h, 1.0f, n, m->hidden, m->hidden);
	return 0;
}

static int ffn_block(struct engine *en, const struct pass *p, uint32_t layer, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	struct work *w = &en->w;
	const uint32_t n = p->n;
	float *gate = w->b, *up = gate + (size_t)n * m->ffn;

	rmsnorm(en, layer, ROLE_FFN_NORM, w->h, w->x, n);
	if (matmul(en, layer, ROLE_GATE, ROLE_GATE_BIAS, gate, m->ffn, w->h, m->hidden, n, e) < 0 ||
		matmul(en, layer, ROLE_UP, ROLE_UP_BIAS, up, m->ffn, w->h, m->hidden, n, e) < 0)
		return -1;
	b->ops->act_mul(b, m->act, gate, gate, up, n, m->ffn, m->ffn);
	if (matmul(en, layer, ROLE_DOWN, ROLE_DOWN_BIAS, w->h, m->hidden, gate, m->ffn, n, e) < 0)
		return -1;
	b->ops->add(b, w->x, w->h, 1.0f, n, m->hidden, m->hidden);
	return 0;
}

/* The rows' embeddings: as stored, decoded on the device. */
static int embed(struct engine *en, const struct pass *p, struct err *e)
{
	const struct model *m = en->c.model;
	const struct weight *w = model_weight(m, m->n_layers, ROLE_EMBED);
	struct backend *b = en->c.backend;
	if (embed_gather(&en->embed, en->stream, p->tokens, p->n, en->s.embed_raw, e) < 0)
		return -1;
	account(en, CAUSE_DISK, "embedding");
	b->ops->upload(b, QUEUE_COMPUTE, en->w.embed_raw, en->s.embed_raw, p->n * w->row_bytes);
	b->ops->decode(b, en->w.x, en->w.embed_raw, w->tensor->dtype, (size_t)p->n * m->hidden);
	return 0;
}

/* Positions, cells and rotations of the rows, to the device. */
static void place_rows(struct engine *en, const struct pass *p)
{
	const uint32_t half = en->c.model->rope.rot / 2;
	struct backend *b = en->c.backend;
	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t pos = p->pos0 + i;
		en->s.new_cells[i] = en->s.cells[pos];
		en->s.rows[i] = (struct attn_row){.base = 0, .first = 0, .count = pos + 1};
		for (uint32_t j = 0; j < half; j++) {
			float angle = (float)pos * en->inv_freq[j];
			en->s.cos[(size_t)i * half + j] = cosf(angle);
			en->s.sin[(size_t)i * half + j] = sinf(angle);
		}
	}
	size_t rot_bytes = (size_t)p->n * half * sizeof(float);
	b->ops->upload(b, QUEUE_COMPUTE, en->w.cos, en->s.cos, rot_bytes);
	b->ops->upload(b, QUEUE_COMPUTE, en->w.sin, en->s.sin, rot_bytes);
	b->ops->upload(b, QUEUE_COMPUTE, en->w.new_cells, en->s.new_cells, p->n * sizeof(uint32_t));
	b->ops->upload(b, QUEUE_COMPUTE, en->w.cells, en->s.cells, (p->pos0 + p->n) * sizeof(uint32_t));
	b->ops->upload(b, QUEUE_COMPUTE, en->w.rows, en->s.rows, p->n * sizeof(struct attn_row));
}

static int head(struct engine *en, const struct pass *p, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	uint32_t n = p->n - p->logits_from;
	const float *x = en->w.x + (size_t)p->logits_from * m->hidden;
	rmsnorm(en, m->n_layers, ROLE_OUT_NORM, en->w.h, x, n);
	if (matmul(en, m->n_layers, ROLE_HEAD, ROLES, en->w.logits, m->vocab, en->w.h, m->hidden, n, e) < 0)
		return -1;
	b->ops->download(b, QUEUE_COMPUTE, en->s.logits, en->w.logits,
		(size_t)n * m->vocab * sizeof(float));
	return 0;
}

static int run(struct engine *en, const struct pass *p, struct err *e)
{
	const struct model *m = en->c.model;
	if (embed(en, p, e) < 0)
		return -1;
	place_rows(en, p);
	for (uint32_t layer = 0; layer < m->n_layers; layer++) {
		trace_layer(en->trace, layer);
		if (attention_block(en, p, layer, e) < 0 || ffn_block(en, p, layer, e) < 0)
			return -1;
		account(en, CAUSE_COMPUTE, NULL);
	}
	trace_layer(en->trace, m->n_layers);
	if (p->logits_from < p->n)
		return head(en, p, e);
	return 0;
}

int forward_pass(struct engine *en, const struct pass *p, struct err *e)
{
	struct backend *b = en->c.backend;
	trace_pass_begin(en->trace, p->prefill, p->n);
	en->mark = clock_ns();
	en->next_chunk = 0;
	/* rows without logits skip the head: its chunks are not read then */
	stream_begin(en->stream, p->logits_from < p->n ? en->c.plan->schedule.n : en->head_first);
	int rc = run(en, p, e);
	/* Wait for the queues also after a failure: they still read buffers of this pass. */
	struct err late = ERR_INIT;
	b->ops->event_record(b, QUEUE_COMPUTE, en->event);
	if (b->ops->event_sync(b, en->event, &late) < 0 && rc == 0) {
		*e = late;
		rc = -1;
	}
	account(en, CAUSE_COMPUTE, NULL);
	if (rc < 0)
		stream_rewind(en->stream);
	trace_pass_end(en->trace, rc == 0);
	return rc;
}
