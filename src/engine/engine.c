#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/forward.h"

/* Hand out pieces of one block, each 64-aligned; with base NULL only the size is counted. */
struct carver {
	char *base;
	size_t used;
};

static void *carve(struct carver *c, uint64_t bytes)
{
	void *p = c->base ? c->base + c->used : NULL;
	c->used += (size_t)mem_align_up(bytes, 64);
	return p;
}

static void carve_work(struct engine *en, struct carver *c)
{
	const struct model *m = en->c.model;
	const struct plan *p = en->c.plan;
	size_t n = p->prefill_rows, half = m->rope.rot / 2;
	size_t q = (size_t)m->heads * m->head_dim, kv = (size_t)m->kv_heads * m->head_dim;
	size_t a = 2 * q + 2 * kv, f = 2 * (size_t)m->ffn;
	en->w.x = carve(c, n * m->hidden * sizeof(float));
	en->w.h = carve(c, n * m->hidden * sizeof(float));
	en->w.b = carve(c, n * (a > f ? a : f) * sizeof(float));
	en->w.cos = carve(c, n * half * sizeof(float));
	en->w.sin = carve(c, n * half * sizeof(float));
	en->w.logits = carve(c, (size_t)p->logits_rows * m->vocab * sizeof(float));
	en->w.embed_raw = carve(c, n * model_weight(m, m->n_layers, ROLE_EMBED)->row_bytes);
	en->w.cells = carve(c, p->ctx * sizeof(uint32_t));
	en->w.new_cells = carve(c, n * sizeof(uint32_t));
	en->w.rows = carve(c, n * sizeof(struct attn_row));
}

static void carve_host(struct engine *en, struct carver *c)
{
	const struct model *m = en->c.model;
	const struct plan *p = en->c.plan;
	size_t n = p->prefill_rows, half = m->rope.rot / 2;
	en->s.embed_raw = carve(c, n * model_weight(m, m->n_layers, ROLE_EMBED)->row_bytes);
	en->s.cos = carve(c, n * half * sizeof(float));
	en->s.sin = carve(c, n * half * sizeof(float));
	en->s.logits = carve(c, (size_t)p->logits_rows * m->vocab * sizeof(float));
	en->s.cells = carve(c, p->ctx * sizeof(uint32_t));
	en->s.new_cells = carve(c, n * sizeof(uint32_t));
	en->s.rows = carve(c, n * sizeof(struct attn_row));
}

/* Where device memory is host memory, staging and device buffers are the same bytes: the uploads and
 * downloads of a pass then copy a block onto itself, which the backend skips. */
static int alloc_buffers(struct engine *en, struct err *e)
{
	struct backend *b = en->c.backend;
	struct carver c = {NULL, 0};
	carve_work(en, &c);
	en->device_bytes = c.used;
	if (!(en->device_block = b->ops->alloc(b, c.used)))
		return err_nomem(e);
	c = (struct carver){en->device_block, 0};
	carve_work(en, &c);
	if (b->host_memory) {
		en->s = (struct host){en->w.embed_raw, en->w.cos, en->w.sin, en->w.logits, en->w.cells,
			en->w.new_cells, en->w.rows};
		return 0;
	}
	c = (struct carver){NULL, 0};
	carve_host(en, &c);
	en->host_bytes = c.used;
	if (!(en->host_block = b->ops->host_alloc(b, c.used)))
		return err_nomem(e);
	c = (struct carver){en->host_block, 0};
	carve_host(en, &c);
	return 0;
}

static int alloc_kv(struct engine *en, struct err *e)
{
	const struct model *m = en->c.model;
	const struct plan *p = en->c.plan;
	struct backend *b = en->c.backend;
	en->kv_layer_bytes = p->ctx * dtype_bytes(p->kv_type, (uint64_t)m->kv_heads * m->head_dim);
	en->k = mem_array(m->n_layers, sizeof(*en->k));
	en->v = mem_array(m->n_layers, sizeof(*en->v));
	en->ids = mem_array(p->ctx, sizeof(*en->ids));
	if (!en->k || !en->v || !en->ids)
		return err_nomem(e);
	for (uint32_t i = 0; i < m->n_layers; i++) {
		en->k[i] = b->ops->alloc(b, en->kv_layer_bytes);
		en->v[i] = b->ops->alloc(b, en->kv_layer_bytes);
		if (!en->k[i] || !en->v[i])
			return err_set(e, ERR_NOMEM, "out of memory for a KV cache of %u tokens", p->ctx);
	}
	for (uint32_t i = 0; i < p->ctx; i++)
		en->s.cells[i] = i;
	return 0;
}

/* Read one vector from disk and put it on the device as float32. */
static int load_vector(struct engine *en, const struct weight *w, float *dst, struct err *e)
{
	const struct tensor *t = w->tensor;
	struct backend *b = en->c.backend;
	void *raw = mem_array(t->bytes, 1);
	float *f = mem_array(w->cols, sizeof(*f));
	int rc = !raw || !f ? err_nomem(e)
			    : stream_read(en->stream, t->file, t->offset, t->bytes, raw, e);
	if (rc == 0) {
		dtype_info(t->dtype)->decode(raw, f, w->cols);
		b->ops->upload(b, QUEUE_COMPUTE, dst, f, w->cols * sizeof(*f));
		b->ops->event_record(b, QUEUE_COMPUTE, en->event);
		rc = b->ops->event_sync(b, en->event, e);
		if (w->role == ROLE_ROPE_FACTORS)
			model_inv_freq(en->c.model, f, en->inv_freq);
	}
	free(raw);
	free(f);
	return rc;
}

static int load_small(struct engine *en, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	en->inv_freq = mem_array(m->rope.rot / 2 + 1, sizeof(float));
	en->small = mem_array(m->n_weights, sizeof(*en->small));
	if (!en->inv_freq || !en->small)
		return err_nomem(e);
	model_inv_freq(m, NULL, en->inv_freq);
	struct carver c = {NULL, 0};
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < m->n_weights; i++) {
			const struct weight *w = &m->weights[i];
			if (role_is_streamed(w->role) || w->role == ROLE_EMBED)
				continue;
			en->small[i] = carve(&c, w->cols * sizeof(float));
			if (round && load_vector(en, w, en->small[i], e) < 0)
				return -1;
		}
		if (round)
			break;
		en->small_bytes = c.used;
		if (!(en->small_block = b->ops->alloc(b, c.used)))
			return err_nomem(e);
		c = (struct carver){(char *)en->small_block, 0};
	}
	return 0;
}

static int open_parts(struct engine *en, struct err *e)
{
	const struct plan *p = en->c.plan;
	struct backend *b = en->c.backend;
	const struct stream_config sc = {.checkpoint = en->c.checkpoint, .schedule = &p->schedule,
		.tiers = p->tiers, .ring_bytes = p->ring_bytes, .device_ring_bytes = p->device_ring_bytes,
		.backend = b, .reader = en->c.reader};
	if (!(en->trace = trace_new(en->c.model->n_layers)) || !(en->event = b->ops->event_new(b)))
		return err_nomem(e);
	const struct schedule *s = &p->schedule;
	for (en->head_first = s->n; en->head_first > 0; en->head_first--)
		if (s->chunks[en->head_first - 1].layer != en->c.model->n_layers)
			break;
	if (embed_init(&en->embed, en->c.model, s, p->embed_bytes, e) < 0)
		return -1;
	if (stream_open(&en->stream, &sc, e) < 0 || alloc_buffers(en, e) < 0 || alloc_kv(en, e) < 0)
		return -1;
	return load_small(en, e);
}

int engine_open(struct engine **out, const struct engine_config *cfg, struct err *e)
{
	*out = NULL;
	struct engine *en = calloc(1, sizeof(*en));
	if (!en)
		return err_nomem(e);
	en->c = *cfg;
	if (open_parts(en, e) < 0) {
		engine_close(en);
		return -1;
	}
	*out = en;
	return 0;
}

void engine_close(struct engine *en)
{
	if (!en)
		return;
	struct backend *b = en->c.backend;
	stream_close(en->stream);
	embed_clear(&en->embed);
	trace_free(en->trace);
	for (uint32_t i = 0; i < en->c.model->n_layers; i++) {
		if (en->k)
			b->ops->free(b, en->k[i], en->kv_layer_bytes);
		if (en->v)
			b->ops->free(b, en->v[i], en->kv_layer_bytes);
	}
	b->ops->free(b, en->small_block, en->small_bytes);
	b->ops->free(b, en->device_block, en->device_bytes);
	b->ops->host_free(b, en->host_block, en->host_bytes);
	if (en->event)
		b->ops->event_free(b, en->event);
	free(en->small);
	free(en->inv_freq);
	free(en->k);
	free(en->v);
	free(en->ids);
	free(en);
}

static int give_rows(struct engine *en, const struct engine_progress *p, size_t pos, uint32_t n,
	struct err *e)
{
	for (uint32_t i = 0; i < n; i++)
		if (p->row(p->arg, pos + i, en->s.logits + (size_t)i * en->c.model->vocab, e) < 0)
			return -1;
	return 0;
}

int engine_eval(struct engine *en, const uint32_t *ids, size_t n, const struct engine_progress *p,
	size_t *cached, struct err *e)
{
	const struct plan *plan = en->c.plan;
	bool all_rows = p && p->row;
	if (n == 0 || n > plan->ctx)
		return err_set(e, ERR_LIMIT, "%zu tokens do not fit in the context of %u", n, plan->ctx);
	size_t same = 0;
	while (same < en->n_ids && same + 1 < n && en->ids[same] == ids[same])
		same++;
	if (all_rows)
		same = 0;
	en->n_ids = same;
	if (cached)
		*cached = same;
	if (p && p->prefill)
		p->prefill(p->arg, 0, n - same);
	while (en->n_ids < n) {
		size_t left = n - en->n_ids;
		uint32_t rows = left < plan->prefill_rows ? (uint32_t)left : plan->prefill_rows;
		struct pass pass = {.tokens = ids + en->n_ids, .n = rows, .pos0 = (uint32_t)en->n_ids,
			.logits_from = all_rows ? 0 : rows == left ? rows - 1 : rows,
			.prefill = n - same > 1};
		if (forward_pass(en, &pass, e) < 0)
			return -1;
		memcpy(en->ids + en->n_ids, pass.tokens, rows * sizeof(*ids));
		if (all_rows && give_rows(en, p, en->n_ids, rows, e) < 0)
			return -1;
		en->n_ids += rows;
		if (p && p->prefill)
			p->prefill(p->arg, en->n_ids - same, n - same);
	}
	return 0;
}

float *engine_logits(struct engine *en)
{
	return en->s.logits;
}

void engine_cancel(struct engine *en)
{
	atomic_store(&en->cancelled, true);
	stream_interrupt(en->stream, true);
}

void engine_uncancel(struct engine *en)
{
	atomic_store(&en->cancelled, false);
	stream_interrupt(en->stream, false);
}

struct trace *engine_trace(struct engine *en)
{
	return en->trace;
}

void engine_stream_view(struct engine *en, struct stream_view *v)
{
	stream_view(en->stream, v);
}

size_t engine_cached(const struct engine *en)
{
	return en->n_ids;
}
