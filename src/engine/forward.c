#include "engine/forward.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "engine/moe.h"
#include "engine/scales.h"

/* Time since the mark belongs to `cause`. */
static void forward_account(struct engine *en, enum cause cause, const char *what)
{
	int64_t now = clock_ns();
	if (!en->c.backend->host_memory && !what)
		return; /* a device tells at the end of the pass: forward_device_times */
	trace_span(en->trace, cause, what, en->mark, now);
	en->mark = now;
}

const float *forward_small(const struct engine *en, uint32_t layer, enum role role)
{
	const struct weight *w = role == ROLES ? NULL : model_weight(en->c.model, layer, role);
	return w ? en->small[w - en->c.model->weights] : NULL;
}

/* The next chunk of the schedule, or of the expert at hand, leased. */
static int acquire(struct engine *en, bool expert, struct lease *l, struct err *e)
{
	const struct schedule *s = &en->c.plan->schedule;
	const size_t index = expert ? en->next_expert_chunk : en->next_chunk;
	const struct chunk *c = expert ? &s->expert_chunks[index] : &s->chunks[index];
	if (atomic_load_explicit(&en->cancelled, memory_order_relaxed))
		return err_set(e, ERR_CANCELLED, "stopped");
	forward_account(en, CAUSE_COMPUTE, NULL);
	int rc = expert ? stream_acquire_expert(en->stream, (uint32_t)index, l, e)
			: stream_acquire(en->stream, index, l, e);
	forward_account(en, CAUSE_DISK, NULL);
	if (rc < 0)
		return -1;
	if (expert && en->picked_from)
		l->wait_from = en->picked_from;
	en->picked_from = 0;
	trace_use(en->trace, &(struct trace_chunk){.index = (uint32_t)index, .layer = c->layer,
		.tier = (uint8_t)l->tier, .bytes = c->bytes, .issued = l->issued, .in_ram = l->in_ram,
		.from = l->wait_from, .start = en->mark});
	return 0;
}

size_t forward_pick_expert(struct engine *en, const uint32_t *experts, size_t n)
{
	forward_account(en, CAUSE_COMPUTE, NULL);
	en->picked_from = clock_ns();
	size_t pick = stream_pick_expert(en->stream, experts, n);
	forward_account(en, CAUSE_DISK, NULL);
	return pick;
}

static void release(struct engine *en, bool expert, struct lease *l)
{
	stream_release(en->stream, l);
	if (expert)
		en->next_expert_chunk++;
	else
		en->next_chunk++;
}

/* y = x W^T + bias of w, whose chunks are the next. */
static int multiply(struct engine *en, const struct weight *w, const float *bias, float *y, size_t ldy, const float *x,
	size_t ldx, uint32_t n, struct err *e)
{
	const struct schedule *s = &en->c.plan->schedule;
	struct backend *b = en->c.backend;
	const bool expert = role_is_expert(w->role);
	for (uint32_t row = 0; row < w->rows;) {
		const struct chunk *c = expert ? &s->expert_chunks[en->next_expert_chunk] : &s->chunks[en->next_chunk];
		struct lease l;
		if (acquire(en, expert, &l, e) < 0)
			return -1;
		struct matmul mm = {.y = y + row, .ldy = ldy, .x = x, .ldx = ldx, .w = l.data,
			.dtype = w->dtype, .row0 = c->row0, .n = n, .k = w->cols, .rows = c->rows,
			.bias = bias ? bias + row : NULL, .transposed = w->transposed,
			.scales = scales_of_chunk(en, w, c, &l)};
		if (w->transposed) {
			mm.y = y;
			mm.x = x + row;
			mm.bias = bias;
		}
		b->ops->matmul(b, &mm);
		release(en, expert, &l);
		row += c->rows;
	}
	return 0;
}

int forward_matmul(struct engine *en, uint32_t layer, enum role role, float *y, size_t ldy, const float *x,
	size_t ldx, uint32_t n, struct err *e)
{
	return multiply(en, model_weight(en->c.model, layer, role), forward_small(en, layer, role_bias(role)), y, ldy,
		x, ldx, n, e);
}

int forward_copy(struct engine *en, uint32_t layer, enum role role, uint32_t i, float *y, size_t ldy, const float *x,
	size_t ldx, uint32_t n, struct err *e)
{
	return multiply(en, model_weight(en->c.model, layer, role) + i, NULL, y, ldy, x, ldx, n, e);
}

int forward_expert(struct engine *en, uint32_t layer, enum role role, uint32_t i, float *y, size_t ldy,
	const float *x, size_t ldx, uint32_t n, struct err *e)
{
	struct backend *b = en->c.backend;
	const struct weight *bias = model_weight(en->c.model, layer, role_bias(role));
	if (bias) {
		struct lease l;
		if (acquire(en, true, &l, e) < 0)
			return -1;
		b->ops->decode(b, en->w.expert_bias, l.data, bias[i].dtype, bias[i].cols);
		release(en, true, &l);
	}
	return multiply(en, model_weight(en->c.model, layer, role) + i, bias ? en->w.expert_bias : NULL, y, ldy, x,
		ldx, n, e);
}

bool forward_norm(struct engine *en, uint32_t layer, enum role role, float *y, const float *x, uint32_t n)
{
	const struct model *m = en->c.model;
	const float *w = forward_small(en, layer, role);
	bool pre = role == ROLE_ATTN_NORM || role == ROLE_FFN_NORM || role == ROLE_OUT_NORM;
	if (!w && !(m->norm_bare && pre))
		return false;
	const struct norm o = {.y = y, .x = x, .ld = m->hidden, .map = {0, 0, 1}, .n = n, .heads = 1,
		.dim = m->hidden, .w = w, .bias = forward_small(en, layer, role_bias(role)),
		.eps = m->norm_eps, .centred = m->norm_centred};
	en->c.backend->ops->norm(en->c.backend, &o);
	return true;
}

/* x += f, after the norm of f that some families have; or x = norm(x + f). */
static void add_residual(struct engine *en, uint32_t layer, enum role post, enum role last, float *f, uint32_t n)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	forward_norm(en, layer, post, f, f, n);
	b->ops->add(b, en->w.x, f, m->residual_scale, n, m->hidden, m->hidden);
	if (m->norm_last)
		forward_norm(en, layer, last, en->w.x, en->w.x, n);
}

/* What a sublayer reads: x, normed in h unless its norm comes later. */
static const float *input(struct engine *en, uint32_t layer, enum role norm, uint32_t n)
{
	if (!en->c.model->norm_last && forward_norm(en, layer, norm, en->w.h, en->w.x, n))
		return en->w.h;
	return en->w.x;
}

static int layer_forward(struct engine *en, const struct pass *p, uint32_t layer, struct err *e)
{
	const struct model *m = en->c.model;
	struct work *w = &en->w;
	const float *in = input(en, layer, ROLE_ATTN_NORM, p->n);
	if (attention_forward(en, p, layer, w->y, in, e) < 0)
		return -1;
	/* In parallel both read the same x, normed by one norm or by one each. */
	if (m->parallel && forward_norm(en, layer, ROLE_FFN_NORM, w->h, w->x, p->n))
		in = w->h;
	add_residual(en, layer, ROLE_ATTN_POST, ROLE_ATTN_NORM, w->y, p->n);
	if (!m->parallel)
		in = input(en, layer, ROLE_FFN_NORM, p->n);
	if (ffn_forward(en, p, layer, w->y, in, e) < 0)
		return -1;
	add_residual(en, layer, ROLE_FFN_POST, ROLE_FFN_NORM, w->y, p->n);
	return 0;
}

/* x += the learned positions of the rows. */
static int add_positions(struct engine *en, const struct pass *p, struct err *e)
{
	const struct model *m = en->c.model;
	const struct weight *w = model_weight(m, m->n_layers, ROLE_POS_EMBED);
	struct backend *b = en->c.backend;
	if (!w)
		return 0;
	uint64_t first = (uint64_t)p->pos0 + m->pos_offset, bytes = p->n * w->row_bytes;
	if (first + p->n > w->rows)
		return err_set(e, ERR_LIMIT, "the model has learned %u positions; there is none for token %llu",
			w->rows - m->pos_offset, (unsigned long long)(p->pos0 + p->n));
	if (stream_read(en->stream, w->tensor->file, w->offset + first * w->row_bytes, bytes, en->s.pos_raw, e) < 0)
		return -1;
	b->ops->upload(b, QUEUE_COMPUTE, en->w.pos_raw, en->s.pos_raw, bytes);
	b->ops->decode(b, en->w.h, en->w.pos_raw, w->dtype, (size_t)p->n * m->hidden);
	b->ops->add(b, en->w.x, en->w.h, 1, p->n, m->hidden, m->hidden);
	return 0;
}

/* The rows' embeddings: as stored, decoded on the device. */
static int embed(struct engine *en, const struct pass *p, struct err *e)
{
	const struct model *m = en->c.model;
	const struct weight *w = model_weight(m, m->n_layers, ROLE_EMBED);
	struct backend *b = en->c.backend;
	const bool projected = model_weight(m, m->n_layers, ROLE_PROJ_IN);
	float *to = projected ? en->w.b : en->w.x;
	if (embed_gather(&en->embed, en->stream, p->tokens, p->n, en->s.embed_raw, e) < 0)
		return -1;
	forward_account(en, CAUSE_DISK, "embedding");
	if (w->has_scaling) {
		if (scales_decode_rows(en, w, p->tokens, p->n, en->s.embed_raw, to, e) < 0)
			return -1;
	} else {
		b->ops->upload(b, QUEUE_COMPUTE, en->w.embed_raw, en->s.embed_raw, p->n * w->row_bytes);
		b->ops->decode(b, to, en->w.embed_raw, w->dtype, (size_t)p->n * m->embed_dim);
	}
	if (m->embed_scale != 1)
		b->ops->scale(b, to, m->embed_scale, (size_t)p->n * m->embed_dim);
	forward_norm(en, m->n_layers, ROLE_EMBED_NORM, to, to, p->n);
	if (projected && forward_matmul(en, m->n_layers, ROLE_PROJ_IN, en->w.x, m->hidden, to, m->embed_dim,
				 p->n, e) < 0)
		return -1;
	return add_positions(en, p, e);
}

/* Cosines and sines of the rows' positions, for each set of frequencies. */
static void place_rotations(struct engine *en, const struct pass *p)
{
	struct backend *b = en->c.backend;
	const uint32_t n_sets = en->c.model->n_ropes;
	size_t at = 0;
	if (n_sets && en->rope_len != p->total) {
		for (uint32_t set = 0; set < n_sets; set++)
			rope_inv_freq(&en->rope[set], p->total, en->inv_freq[set]);
		en->rope_len = p->total;
	}
	for (uint32_t set = 0; set < n_sets; set++) {
		const uint32_t half = en->rope[set].rot / 2;
		const float factor = (float)en->rope[set].attention;
		for (uint32_t i = 0; i < p->n; i++) {
			for (uint32_t j = 0; j < half; j++, at++) {
				float angle = (float)(p->pos0 + i) * en->inv_freq[set][j];
				en->s.cos[at] = cosf(angle) * factor;
				en->s.sin[at] = sinf(angle) * factor;
			}
		}
	}
	b->ops->upload(b, QUEUE_COMPUTE, en->w.cos, en->s.cos, at * sizeof(float));
	b->ops->upload(b, QUEUE_COMPUTE, en->w.sin, en->s.sin, at * sizeof(float));
}

/* What the rows' queries are multiplied by. */
static void place_growth(struct engine *en, const struct pass *p)
{
	const struct query_growth *g = &en->c.model->growth;
	struct backend *b = en->c.backend;
	if (!g->kind)
		return;
	for (uint32_t i = 0; i < p->n; i++) {
		const double position = (double)p->pos0 + i + 1;
		if (g->kind == GROWTH_STEPS)
			en->s.growth[i] = (float)(1 + g->beta * log(1 + floor((position - 1) / g->from)));
		else
			en->s.growth[i] = position > g->from ? (float)(log(position) / log(g->from)) : 1;
	}
	b->ops->upload(b, QUEUE_COMPUTE, en->w.growth, en->s.growth, p->n * sizeof(float));
}

/* Positions, cells and rotations of the rows, to the device. */
static void place_rows(struct engine *en, const struct pass *p)
{
	struct backend *b = en->c.backend;
	const uint32_t window = en->c.model->window;
	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t pos = p->pos0 + i, out = window && pos + 1 > window ? pos + 1 - window : 0;
		en->s.new_cells[i] = en->s.cells[pos];
		en->s.rows[i] = (struct attn_row){.base = 0, .first = 0, .count = pos + 1};
		en->s.rows[p->n + i] = (struct attn_row){.base = 0, .first = out, .count = pos + 1 - out};
	}
	place_rotations(en, p);
	place_growth(en, p);
	b->ops->upload(b, QUEUE_COMPUTE, en->w.new_cells, en->s.new_cells, p->n * sizeof(uint32_t));
	b->ops->upload(b, QUEUE_COMPUTE, en->w.cells, en->s.cells, (p->pos0 + p->n) * sizeof(uint32_t));
	b->ops->upload(b, QUEUE_COMPUTE, en->w.rows, en->s.rows, 2 * p->n * sizeof(struct attn_row));
}

static int head(struct engine *en, const struct pass *p, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	const uint32_t n = p->n - p->logits_from;
	const float *x = en->w.x + (size_t)p->logits_from * m->hidden;
	float *logits = en->w.logits;
	if (forward_norm(en, m->n_layers, ROLE_OUT_NORM, en->w.h, x, n))
		x = en->w.h;
	if (model_weight(m, m->n_layers, ROLE_PROJ_OUT)) {
		if (forward_matmul(en, m->n_layers, ROLE_PROJ_OUT, en->w.b, m->embed_dim, x, m->hidden, n, e) < 0)
			return -1;
		x = en->w.b;
	}
	if (forward_matmul(en, m->n_layers, ROLE_HEAD, logits, m->vocab, x, m->embed_dim, n, e) < 0)
		return -1;
	if (en->head_scale)
		b->ops->mul(b, logits, en->head_scale, n, m->vocab, m->vocab);
	if (m->logit_scale != 1)
		b->ops->scale(b, logits, m->logit_scale, (size_t)n * m->vocab);
	if (m->logit_softcap > 0)
		b->ops->softcap(b, logits, m->logit_softcap, (size_t)n * m->vocab);
	b->ops->download(b, QUEUE_COMPUTE, en->s.logits, logits, (size_t)n * m->vocab * sizeof(float));
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
		if (layer_forward(en, p, layer, e) < 0)
			return -1;
		forward_account(en, CAUSE_COMPUTE, NULL);
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
	const int64_t begun = en->mark = clock_ns();
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
	if (b->host_memory)
		forward_account(en, CAUSE_COMPUTE, NULL);
	else
		forward_device_times(en);
	if (rc < 0)
		stream_rewind(en->stream);
	else
		moe_end(en, p, clock_ns() - begun);
	trace_pass_end(en->trace, rc == 0);
	return rc;
}
