#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/forward.h"
#include "engine/moe.h"
#include "engine/scales.h"

/* Where device memory is host memory, staging and device buffers are the same bytes: the uploads and
 * downloads of a pass then copy a block onto itself, which the backend skips. */
static int alloc_buffers(struct engine *en, struct err *e)
{
	struct backend *b = en->c.backend;
	const struct model *m = en->c.model;
	const struct plan *p = en->c.plan;
	en->device_bytes = buffers_work(&en->w, NULL, m, p->prefill_rows, p->logits_rows, p->ctx);
	if (!(en->device_block = b->ops->alloc(b, en->device_bytes)))
		return err_nomem(e);
	buffers_work(&en->w, en->device_block, m, p->prefill_rows, p->logits_rows, p->ctx);
	if (b->host_memory) {
		en->s = (struct host){en->w.embed_raw, en->w.pos_raw, en->w.cos, en->w.sin, en->w.logits,
			en->w.cells, en->w.new_cells, en->w.rows, en->w.router, en->w.route_weights,
			en->w.route_rows, en->w.growth};
		return 0;
	}
	en->host_bytes = buffers_host(&en->s, NULL, m, p->prefill_rows, p->logits_rows, p->ctx);
	if (!(en->host_block = b->ops->host_alloc(b, en->host_bytes)))
		return err_nomem(e);
	buffers_host(&en->s, en->host_block, m, p->prefill_rows, p->logits_rows, p->ctx);
	return 0;
}

static int alloc_kv(struct engine *en, struct err *e)
{
	const struct model *m = en->c.model;
	const struct plan *p = en->c.plan;
	struct backend *b = en->c.backend;
	uint64_t k, v;
	attention_cell_bytes(m, p->kv_type, &k, &v);
	en->k_bytes = p->ctx * k;
	en->v_bytes = p->ctx * v;
	en->k = mem_array(m->n_layers, sizeof(*en->k));
	en->v = mem_array(m->n_layers, sizeof(*en->v));
	en->ids = mem_array(p->ctx, sizeof(*en->ids));
	if (!en->k || !en->v || !en->ids)
		return err_nomem(e);
	for (uint32_t i = 0; i < m->n_layers; i++) {
		en->k[i] = b->ops->alloc(b, en->k_bytes);
		en->v[i] = en->v_bytes ? b->ops->alloc(b, en->v_bytes) : NULL;
		if (!en->k[i] || (en->v_bytes && !en->v[i]))
			return err_set(e, ERR_NOMEM, "out of memory for a KV cache of %u tokens", p->ctx);
	}
	for (uint32_t i = 0; i < p->ctx; i++)
		en->s.cells[i] = i;
	return 0;
}

static int open_parts(struct engine *en, struct err *e)
{
	const struct plan *p = en->c.plan;
	struct backend *b = en->c.backend;
	const struct stream_config sc = {.checkpoint = en->c.checkpoint, .schedule = &p->schedule,
		.tiers = p->tiers, .ring_bytes = p->ring_bytes, .device_ring_bytes = p->device_ring_bytes,
		.expert_bytes = p->expert_bytes, .backend = b, .reader = en->c.reader};
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
	if (small_load(en, e) < 0 || scales_load(en, e) < 0)
		return -1;
	return moe_open(en, e);
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
	moe_close(en);
	trace_free(en->trace);
	for (uint32_t i = 0; i < en->c.model->n_layers; i++) {
		if (en->k)
			b->ops->free(b, en->k[i], en->k_bytes);
		if (en->v && en->v_bytes)
			b->ops->free(b, en->v[i], en->v_bytes);
	}
	b->ops->free(b, en->small_block, en->small_bytes);
	scales_free(en);
	b->ops->free(b, en->device_block, en->device_bytes);
	b->ops->host_free(b, en->host_block, en->host_bytes);
	if (en->event)
		b->ops->event_free(b, en->event);
	free(en->small);
	for (int i = 0; i < 2; i++)
		free(en->inv_freq[i]);
	for (int i = 0; i < 3; i++)
		free(en->rope_factors[i]);
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

/* Are keys rotated alike in sequences of a and b tokens? 0 stands for cells that differ already. */
static bool same_rope(const struct engine *en, uint32_t a, uint32_t b)
{
	bool same = a > 0;
	for (uint32_t i = 0; i < en->c.model->n_ropes; i++)
		same = same && rope_regime(&en->rope[i], a) == rope_regime(&en->rope[i], b);
	return same || en->c.model->n_ropes == 0;
}

/* Can the first `same` cells serve a sequence of n tokens? Some kinds of rope rotate by other frequencies
 * in a longer sequence. A prompt is then computed anew, as if it came alone. With dynamic rope each new
 * token beyond the original context changes them; one token at a time goes on with the cells there are,
 * as transformers does; Qwen 1's code rotates such tokens as it did the prompt's. */
static bool cells_fit(const struct engine *en, size_t same, size_t n)
{
	const struct model *m = en->c.model;
	if (same == 0 || same_rope(en, en->cells_len, (uint32_t)n))
		return true;
	const bool goes_on = m->n_ropes && (en->rope[0].kind == ROPE_DYNAMIC || en->rope[0].kind == ROPE_NTK_STEPS);
	return goes_on && n - same == 1;
}

/* The length of the sequence that rows behind the first `same` cells are rotated for. */
static uint32_t rope_total(const struct engine *en, size_t same, size_t n)
{
	const bool keeps = en->c.model->n_ropes && en->rope[0].kind == ROPE_NTK_STEPS;
	return keeps && same && n - same == 1 ? en->cells_len : (uint32_t)n;
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
	if (all_rows || !cells_fit(en, same, n))
		same = 0;
	en->n_ids = same;
	const uint32_t total = rope_total(en, same, n);
	if (cached)
		*cached = same;
	if (p && p->prefill)
		p->prefill(p->arg, 0, n - same);
	while (en->n_ids < n) {
		size_t left = n - en->n_ids;
		uint32_t rows = left < plan->prefill_rows ? (uint32_t)left : plan->prefill_rows;
		struct pass pass = {.tokens = ids + en->n_ids, .n = rows, .pos0 = (uint32_t)en->n_ids,
			.total = total,
			.logits_from = all_rows ? 0 : rows == left ? rows - 1 : rows,
			.prefill = n - same > 1};
		if (forward_pass(en, &pass, e) < 0)
			return -1;
		memcpy(en->ids + en->n_ids, pass.tokens, rows * sizeof(*ids));
		en->cells_len = en->n_ids == 0 || same_rope(en, en->cells_len, total) ? total : 0;
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
