/* How long the kernels take for the model's matrices, on memory without a model in it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/predict.h"
#include "engine/probe.h"
#include "engine/sampler.h"
#include "trace/trace.h"

#define SCRATCH_LEAST ((size_t)8 << 20) /* weights to walk through */
#define SCRATCH_MOST ((size_t)96 << 20) /* more than the caches hold */
#define LAYER_NS 12000000	    /* time for one measurement of a layer */
#define REPEATS 5		    /* measurements of which the median counts; one of what takes long */
#define LAYER_BYTES 268435456.0	    /* of a layer larger than this a part stands for all; a quarter when quick */
#define LIKES 12		    /* sorts of layers that are told apart */

struct bench {
	const struct probe_work *q;
	struct backend *b;
	const struct model *m;
	uint32_t ctx, kv_heads, cell, v_dim; /* of the cache: heads, elements of a head */
	char *w;	/* device, w_bytes */
	float *x, *y;	/* device */
	char *scales;	/* device */
	char *cache;	/* device: keys and values of ctx + 1 cells */
	uint32_t *cells; /* device */
	struct attn_row *row; /* device */
	size_t scratch, w_bytes, scale_bytes, x_bytes, y_bytes, cache_bytes, cells_bytes, at;
	struct trace *trace; /* what telling it of each chunk takes is part of the time */
	struct alike { /* layers whose matrices are alike */
		uint64_t what;
		double per_byte;
	} sorts[LIKES];
	size_t n_sorts;
};

static size_t most(size_t a, size_t b)
{
	return a > b ? a : b;
}

static int bench_open(struct bench *t, size_t max_bytes, size_t max_rows, size_t max_cols)
{
	struct backend *b = t->b;
	const struct model *m = t->m;
	const bool latent = m->mla.kv_rank;
	t->kv_heads = latent ? 1 : m->kv_heads;
	t->cell = latent ? m->mla.kv_rank + m->mla.rope : m->head_dim;
	t->v_dim = latent ? m->mla.kv_rank : m->head_dim;
	size_t wide = most(most(m->ffn, m->hidden), most((size_t)m->heads * t->cell, most(max_cols, max_rows)));
	t->x_bytes = wide * 4;
	t->y_bytes = 8 * wide;
	t->w_bytes = t->scratch + max_bytes;
	t->scale_bytes = max_bytes + MEM_PAGE; /* a scale a byte of weights is more than any format has */
	t->cache_bytes = ((size_t)t->ctx + 1) * t->kv_heads * t->cell * 2;
	t->cells_bytes = (size_t)t->ctx * sizeof(uint32_t);
	t->w = b->ops->alloc(b, t->w_bytes);
	t->x = b->ops->alloc(b, t->x_bytes);
	t->y = b->ops->alloc(b, t->y_bytes);
	t->scales = b->ops->alloc(b, t->scale_bytes);
	t->cache = b->ops->alloc(b, 2 * t->cache_bytes);
	t->cells = b->ops->alloc(b, t->cells_bytes);
	t->row = b->ops->alloc(b, sizeof(*t->row));
	t->trace = trace_new(m->n_layers);
	if (!t->w || !t->x || !t->y || !t->scales || !t->cache || !t->cells || !t->row || !t->trace)
		return -1;
	trace_pass_begin(t->trace, false, 1);
	memset(t->w, 0x11, t->w_bytes); /* touch it; a number of every format, not tiny */
	memset(t->scales, 0x11, t->scale_bytes);
	memset(t->cache, 0, 2 * t->cache_bytes);
	*t->row = (struct attn_row){.count = t->ctx};
	for (uint32_t i = 0; i < t->ctx; i++)
		t->cells[i] = i;
	for (size_t i = 0; i < wide; i++)
		t->x[i] = (float)(i % 7) - 3.0f;
	return 0;
}

static void bench_close(struct bench *t)
{
	struct backend *b = t->b;
	b->ops->free(b, t->w, t->w_bytes);
	b->ops->free(b, t->x, t->x_bytes);
	b->ops->free(b, t->y, t->y_bytes);
	b->ops->free(b, t->scales, t->scale_bytes);
	b->ops->free(b, t->cache, 2 * t->cache_bytes);
	b->ops->free(b, t->cells, t->cells_bytes);
	b->ops->free(b, t->row, sizeof(*t->row));
	trace_free(t->trace);
}

int probe_by_seconds(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static enum dtype chunk_dtype(const struct bench *t, const struct chunk *c)
{
	return predict_weight_dtype(t->m, &t->m->weights[c->weight], t->q->as);
}

static uint64_t chunk_bytes(const struct bench *t, const struct chunk *c)
{
	return dtype_bytes(chunk_dtype(t, c), t->m->weights[c->weight].cols) * c->rows;
}

/* The scales as the model or `prepare` has them. */
static struct scales chunk_scales(const struct bench *t, const struct weight *w, enum dtype dtype,
	struct scaling *how)
{
	static const float map[256];
	*how = w->scaling;
	if (dtype != w->dtype && dtype == DTYPE_NF4)
		*how = (struct scaling){.kind = SCALE_NESTED, .flat = 64, .factor = 1, .nested_group = 256, .map = map};
	else if (dtype != w->dtype && dtype == DTYPE_I8)
		*how = (struct scaling){.kind = SCALE_F32, .group_rows = 1, .group_cols = w->cols, .factor = 1.0f / 127};
	else if (dtype != w->dtype || !w->has_scaling)
		return (struct scales){0};
	return (struct scales){.how = how, .p = t->scales, .nested = (const float *)(const void *)t->scales};
}

/* As engine/forward.c: the chunk is taken, told to the trace, multiplied. Walks through the scratch, so that
 * weights come from memory as they do behind a reader. */
static void multiply(struct bench *t, const struct chunk *c)
{
	const struct weight *w = &t->m->weights[c->weight];
	const enum dtype dtype = chunk_dtype(t, c);
	struct scaling how;
	int64_t now = clock_ns();
	trace_span(t->trace, CAUSE_COMPUTE, NULL, now, now);
	now = clock_ns();
	trace_span(t->trace, CAUSE_DISK, NULL, now, now);
	trace_use(t->trace, &(struct trace_chunk){.layer = c->layer, .tier = 1, .bytes = c->bytes, .start = now});
	const struct matmul mm = {.y = t->y, .ldy = c->rows, .x = t->x, .ldx = w->cols, .w = t->w + t->at,
		.dtype = dtype, .n = 1, .k = w->cols, .rows = c->rows, .transposed = w->transposed,
		.scales = chunk_scales(t, w, dtype, &how)};
	t->b->ops->matmul(t->b, &mm);
	t->at += (size_t)chunk_bytes(t, c);
	t->at = t->at < t->scratch ? t->at : 0;
}

static void attend(struct bench *t)
{
	const struct model *m = t->m;
	const struct head_map map = {0, 0, m->heads};
	const struct attention a = {.out = t->y, .ldo = (size_t)m->heads * t->v_dim, .q = t->x,
		.ldq = (size_t)m->heads * t->cell, .q_map = map, .k = t->cache,
		.v = m->mla.kv_rank ? t->cache : t->cache + t->cache_bytes, .kv_type = DTYPE_F16, .cells = t->cells,
		.rows = t->row, .n = 1, .heads = m->heads, .kv_heads = t->kv_heads, .head_dim = t->cell,
		.v_dim = t->v_dim, .k_stride = t->kv_heads * t->cell,
		.v_stride = m->mla.kv_rank ? t->cell : t->kv_heads * t->v_dim, .max_count = t->ctx,
		.scale = 1.0f / sqrtf((float)t->cell)};
	t->b->ops->attention(t->b, &a);
}

/* The operations between a layer's products, one by one. */
static void between(struct bench *t, int step)
{
	struct backend *b = t->b;
	const struct model *m = t->m;
	const uint32_t kv = t->kv_heads * t->cell;
	const struct head_map map = {.group = m->heads}, kv_map = {.group = t->kv_heads};
	const struct norm norm = {.y = t->y, .x = t->x, .ld = m->hidden, .map = {.group = 1}, .n = 1,
		.heads = 1, .dim = m->hidden, .w = t->x, .eps = 1e-5f};
	struct rope rope = {.x = t->y, .ldx = (size_t)m->heads * m->head_dim, .map = map, .cos = t->x, .sin = t->x,
		.n = 1, .heads = m->heads, .head_dim = m->head_dim, .rot = m->n_ropes ? m->rope[0].rot : 0,
		.style = m->rope_style};
	switch (step) {
	case 0:
	case 4:
		b->ops->norm(b, &norm);
		break;
	case 1:
		if (m->n_ropes && rope.rot <= rope.head_dim) {
			b->ops->rope(b, &rope);
			rope.map = kv_map;
			rope.heads = t->kv_heads;
			b->ops->rope(b, &rope);
		}
		b->ops->kv_store(b, t->cache, DTYPE_F16, t->x, kv, kv_map, t->kv_heads, t->cell, t->cells, 1);
		b->ops->kv_store(b, t->cache, DTYPE_F16, t->x, kv, kv_map, t->kv_heads, t->cell, t->cells, 1);
		break;
	case 2:
		attend(t);
		break;
	case 5:
		b->ops->act_mul(b, m->act, t->y, t->x, t->x, 1, m->ffn, m->ffn);
		break;
	default:
		b->ops->add(b, t->y, t->x, 1.0f, 1, m->hidden, m->hidden);
	}
}

#define BETWEEN 7

/* The chunks of a layer that a token needs: [from, to) of every pass, then experts, as many as are chosen. */
struct layer_chunks {
	const struct chunk *all, *experts;
	size_t n, n_experts;
	bool head;
};

/* The k-th of them. */
static const struct chunk *layer_chunk(const struct layer_chunks *l, size_t k)
{
	return k < l->n ? &l->all[k] : &l->experts[k - l->n];
}

/* Seconds of the first n chunks in order, with what lies between them. */
static double time_layer(struct bench *t, const struct layer_chunks *l, size_t n)
{
	const int64_t span = t->q->quick ? LAYER_NS / 2 : LAYER_NS;
	double v[REPEATS];
	int repeats = t->q->quick ? REPEATS / 2 : REPEATS;
	for (int i = 0; i < repeats; i++) {
		int64_t start = clock_ns(), now = start;
		int calls = 0;
		while (now - start < span) {
			int done = 0;
			for (size_t c = 0; c < n; c++) {
				int due = l->head ? 1 : (int)((c + 1) * BETWEEN / n);
				for (; done < due; done++)
					between(t, done);
				multiply(t, layer_chunk(l, c));
			}
			calls++;
			now = clock_ns();
		}
		v[i] = (double)(now - start) / 1e9 / calls;
		if (now - start > 8 * span)
			repeats = i + 1;
	}
	qsort(v, (size_t)repeats, sizeof(*v), probe_by_seconds);
	return v[repeats / 2];
}

static struct layer_chunks find_layer(const struct bench *t, const struct schedule *s, uint32_t layer)
{
	struct layer_chunks l = {.head = layer == t->m->n_layers};
	size_t from = l.head ? s->n : 0, to = s->n;
	if (l.head) { /* what comes last; a projection of the embedding stands in front */
		while (from > 0 && s->chunks[from - 1].layer == layer)
			from--;
	} else {
		while (from < s->n && s->chunks[from].layer != layer)
			from++;
		for (to = from; to < s->n && s->chunks[to].layer == layer;)
			to++;
	}
	l.all = s->chunks + from;
	l.n = to - from;
	if (!l.head && s->n_experts) {
		const uint32_t *first = s->expert_first + (size_t)layer * s->n_experts;
		l.experts = s->expert_chunks + first[0];
		l.n_experts = first[t->m->moe.top_k] - first[0];
	}
	return l;
}

/* The same for layers whose matrices are of the same formats and sizes. */
static uint64_t kind_of(const struct bench *t, const struct layer_chunks *l)
{
	uint64_t h = 14695981039346656037u;
	for (size_t i = 0; i < l->n + l->n_experts; i++) {
		const struct chunk *c = layer_chunk(l, i);
		const struct weight *w = &t->m->weights[c->weight];
		const uint64_t parts[] = {(uint64_t)w->role, (uint64_t)w->dtype, w->cols, c->rows};
		for (size_t k = 0; k < sizeof(parts) / sizeof(*parts); k++)
			h = (h ^ parts[k]) * 1099511628211u;
	}
	return h;
}

static double seconds_per_byte(struct bench *t, const struct layer_chunks *l)
{
	const uint64_t what = kind_of(t, l);
	for (size_t i = 0; i < t->n_sorts; i++)
		if (t->sorts[i].what == what || i + 1 == LIKES)
			return t->sorts[i].per_byte;
	double bytes = 0;
	size_t n = 0;
	while (n < l->n + l->n_experts && bytes < (t->q->quick ? LAYER_BYTES / 4 : LAYER_BYTES))
		bytes += (double)chunk_bytes(t, layer_chunk(l, n++));
	struct alike *like = &t->sorts[t->n_sorts++];
	*like = (struct alike){what, bytes > 0 ? time_layer(t, l, n) / bytes : 0};
	return like->per_byte;
}

/* Of each sort of layers one is timed; within it times differ as bytes do. */
static double time_pass(struct bench *t, const struct schedule *s, double *weight_s)
{
	double sum = 0, chosen = s->n_experts ? (double)t->m->moe.top_k / s->n_experts : 0;
	for (uint32_t layer = 0; layer <= t->m->n_layers; layer++) {
		const struct layer_chunks l = find_layer(t, s, layer);
		double per_byte = seconds_per_byte(t, &l);
		for (size_t i = 0; i < l.n; i++) {
			double seconds = per_byte * (double)chunk_bytes(t, &l.all[i]);
			if (weight_s)
				weight_s[l.all[i].weight] += seconds;
			sum += seconds;
		}
		if (l.head || !s->n_experts)
			continue;
		const uint32_t *first = s->expert_first + (size_t)layer * s->n_experts;
		for (uint32_t i = first[0]; i < first[s->n_experts]; i++) {
			double seconds = per_byte * (double)chunk_bytes(t, &s->expert_chunks[i]);
			if (weight_s)
				weight_s[s->expert_chunks[i].weight] += seconds;
			sum += seconds * chosen;
		}
	}
	return sum;
}

/* The largest chunk; false if a row can't be held in dtype `as`. */
static bool measure_chunks(const struct bench *t, const struct schedule *s, size_t *bytes, size_t *rows, size_t *cols)
{
	*bytes = *rows = *cols = 0;
	for (size_t i = 0; i < s->n + s->n_expert_chunks; i++) {
		const struct chunk *c = i < s->n ? &s->chunks[i] : &s->expert_chunks[i - s->n];
		size_t n = (size_t)chunk_bytes(t, c);
		if (n == 0)
			return false;
		*bytes = most(*bytes, n);
		*rows = most(*rows, c->rows);
		*cols = most(*cols, t->m->weights[c->weight].cols);
	}
	return s->n > 0;
}

double probe_compute(const struct probe_work *q, double *weight_s)
{
	struct bench t = {.q = q, .b = q->backend, .m = q->model, .ctx = q->ctx ? q->ctx : 1,
		.scratch = q->scratch};
	size_t bytes, rows, cols;
	double sum = -1;
	if (!t.b->host_memory || !measure_chunks(&t, q->schedule, &bytes, &rows, &cols))
		return -1;
	for (size_t i = 0; weight_s && i < t.m->n_weights; i++)
		weight_s[i] = 0;
	if (bench_open(&t, bytes, rows, cols) == 0)
		sum = time_pass(&t, q->schedule, weight_s);
	bench_close(&t);
	return sum;
}

size_t probe_scratch(uint64_t room)
{
	return room < SCRATCH_LEAST ? SCRATCH_LEAST : room > SCRATCH_MOST ? SCRATCH_MOST : (size_t)room / MEM_PAGE * MEM_PAGE;
}

double probe_sampler(const struct model *m, const struct sampler_params *p)
{
	struct err ignored = ERR_INIT;
	struct sampler *s = sampler_new(p, m->vocab);
	float *logits = mem_array(m->vocab, sizeof(*logits));
	const uint32_t seen[] = {0, 1};
	double best = -1;
	for (int i = 0; s && logits && i < REPEATS; i++) {
		uint32_t token, x = 1;
		for (uint32_t k = 0; k < m->vocab; k++) {
			x = x * 1664525u + 1013904223u;
			logits[k] = (float)(x >> 8) / 0x1p22f - 2.0f;
		}
		int64_t start = clock_ns();
		if (sampler_pick(s, logits, seen, 2, 1, &token, &ignored) < 0)
			break;
		double seconds = (double)(clock_ns() - start) / 1e9;
		best = best < 0 || seconds < best ? seconds : best;
	}
	sampler_free(s);
	free(logits);
	return best;
}
