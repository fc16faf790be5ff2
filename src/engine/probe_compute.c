/* How long the kernels take for the model's matrices, on memory without a model in it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/probe.h"

#define SCRATCH ((size_t)64 << 20) /* weights to walk through: more than the caches */
#define LAYER_NS 12000000	    /* time for one measurement of a layer */
#define REPEATS 5		    /* measurements of which the median counts; one of what takes long */
#define LAYER_BYTES 268435456.0	    /* of a layer larger than this a part stands for all */

struct bench {
	struct backend *b;
	const struct model *m;
	enum dtype as;
	uint32_t ctx;
	char *w;	/* device, w_bytes */
	float *x, *y;	/* device */
	char *scales;	/* device */
	char *cache;	/* device: keys and values of ctx + 1 cells */
	uint32_t *cells; /* device */
	struct attn_row *row; /* device */
	size_t scratch, w_bytes, scale_bytes, x_bytes, y_bytes, cache_bytes, cells_bytes, at;
};

static int bench_open(struct bench *t, size_t max_bytes, size_t max_rows, size_t max_cols)
{
	struct backend *b = t->b;
	const struct model *m = t->m;
	size_t wide = m->ffn > m->hidden ? m->ffn : m->hidden, q = (size_t)m->heads * m->head_dim;
	wide = wide > q ? wide : q;
	wide = wide > max_cols ? wide : max_cols;
	t->x_bytes = wide * 4;
	t->y_bytes = 4 * (wide + max_rows);
	t->w_bytes = t->scratch + max_bytes;
	t->scale_bytes = max_bytes + MEM_PAGE; /* a scale a byte of weights is more than any format has */
	t->cache_bytes = ((size_t)t->ctx + 1) * m->kv_heads * m->head_dim * 2;
	t->cells_bytes = (size_t)t->ctx * sizeof(uint32_t);
	t->w = b->ops->alloc(b, t->w_bytes);
	t->x = b->ops->alloc(b, t->x_bytes);
	t->y = b->ops->alloc(b, t->y_bytes);
	t->scales = b->ops->alloc(b, t->scale_bytes);
	t->cache = b->ops->alloc(b, 2 * t->cache_bytes);
	t->cells = b->ops->alloc(b, t->cells_bytes);
	t->row = b->ops->alloc(b, sizeof(*t->row));
	if (!t->w || !t->x || !t->y || !t->scales || !t->cache || !t->cells || !t->row)
		return -1;
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
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static enum dtype chunk_dtype(const struct bench *t, const struct chunk *c)
{
	return t->as != DTYPE_UNKNOWN && c->layer < t->m->n_layers ? t->as : t->m->weights[c->weight].dtype;
}

static uint64_t chunk_bytes(const struct bench *t, const struct chunk *c)
{
	return dtype_bytes(chunk_dtype(t, c), t->m->weights[c->weight].cols) * c->rows;
}

/* Walks through the scratch, so that weights come from memory as they do behind a reader. */
static void multiply(struct bench *t, const struct chunk *c)
{
	static const float map[256];
	static const struct scaling nf4 = {.kind = SCALE_NESTED, .flat = 64, .factor = 1, .nested_group = 256,
		.map = map}; /* as prepare writes it */
	const struct weight *w = &t->m->weights[c->weight];
	const enum dtype dtype = chunk_dtype(t, c);
	const struct scaling *how = dtype == DTYPE_NF4 && t->as == DTYPE_NF4 ? &nf4
				    : dtype == w->dtype && w->has_scaling    ? &w->scaling
									     : NULL;
	struct matmul mm = {.y = t->y, .ldy = c->rows, .x = t->x, .ldx = w->cols, .w = t->w + t->at,
		.dtype = dtype, .n = 1, .k = w->cols, .rows = c->rows};
	if (how)
		mm.scales = (struct scales){.how = how, .p = t->scales,
			.nested = (const float *)(const void *)t->scales};
	t->b->ops->matmul(t->b, &mm);
	t->at += (size_t)chunk_bytes(t, c);
	t->at = t->at < t->scratch ? t->at : 0;
}

/* The operations between a layer's products, one by one. */
static void between(struct bench *t, int step)
{
	struct backend *b = t->b;
	const struct model *m = t->m;
	const uint32_t kv = m->kv_heads * m->head_dim, q = m->heads * m->head_dim;
	const struct head_map map = {.group = m->heads}, kv_map = {.group = m->kv_heads};
	const struct norm norm = {.y = t->y, .x = t->x, .ld = m->hidden, .map = {.group = 1}, .n = 1,
		.heads = 1, .dim = m->hidden, .w = t->x, .eps = 1e-5f};
	const struct attention a = {.out = t->y, .ldo = q, .q = t->x, .ldq = q, .q_map = map, .k = t->cache,
		.v = t->cache + t->cache_bytes, .kv_type = DTYPE_F16, .cells = t->cells, .rows = t->row, .n = 1,
		.heads = m->heads, .kv_heads = m->kv_heads, .head_dim = m->head_dim, .max_count = t->ctx,
		.scale = 1.0f / sqrtf((float)m->head_dim)};
	const struct rope rope = {.x = t->y, .ldx = q, .map = map, .cos = t->x, .sin = t->x, .n = 1,
		.heads = m->heads, .head_dim = m->head_dim, .rot = m->n_ropes ? m->rope[0].rot : 0, .style = m->rope_style};
	switch (step) {
	case 0:
	case 4:
		b->ops->norm(b, &norm);
		break;
	case 1:
		b->ops->rope(b, &rope);
		b->ops->kv_store(b, t->cache, DTYPE_F16, t->x, kv, kv_map, m->kv_heads, m->head_dim, t->cells, 1);
		b->ops->kv_store(b, t->cache, DTYPE_F16, t->x, kv, kv_map, m->kv_heads, m->head_dim, t->cells, 1);
		break;
	case 2:
		b->ops->attention(b, &a);
		break;
	case 5:
		b->ops->act_mul(b, m->act, t->y, t->x, t->x, 1, m->ffn, m->ffn);
		break;
	default:
		b->ops->add(b, t->y, t->x, 1.0f, 1, m->hidden, m->hidden);
	}
}

#define BETWEEN 7

/* Seconds of the chunks [from, to) of a layer in order, with what lies between them. */
static double time_layer(struct bench *t, const struct schedule *s, size_t from, size_t to, bool head)
{
	double v[REPEATS];
	int repeats = REPEATS;
	for (int i = 0; i < repeats; i++) {
		int64_t start = clock_ns(), now = start;
		int calls = 0;
		while (now - start < LAYER_NS) {
			int done = 0;
			for (size_t c = from; c < to; c++) {
				int due = head ? 1 : (int)((c - from + 1) * BETWEEN / (to - from));
				for (; done < due; done++)
					between(t, done);
				multiply(t, &s->chunks[c]);
			}
			calls++;
			now = clock_ns();
		}
		v[i] = (double)(now - start) / 1e9 / calls;
		if (now - start > 8 * LAYER_NS)
			repeats = i + 1;
	}
	qsort(v, (size_t)repeats, sizeof(*v), by_size);
	return v[repeats / 2];
}

/* A layer stands for all: their times differ as their bytes do. */
static double time_pass(struct bench *t, const struct schedule *s, double *weight_s)
{
	const uint32_t n = t->m->n_layers, middle = n / 2;
	double per_byte[2] = {0, 0}, sum = 0;
	for (int head = 0; head < 2; head++) {
		uint32_t layer = head ? n : middle;
		size_t from = 0, to;
		while (from < s->n && s->chunks[from].layer != layer)
			from++;
		double bytes = 0;
		for (to = from; to < s->n && s->chunks[to].layer == layer && bytes < LAYER_BYTES; to++)
			bytes += (double)chunk_bytes(t, &s->chunks[to]);
		if (to > from)
			per_byte[head] = time_layer(t, s, from, to, head) / bytes;
	}
	for (size_t i = 0; i < s->n; i++) {
		double seconds = per_byte[s->chunks[i].layer == n] * (double)chunk_bytes(t, &s->chunks[i]);
		if (weight_s)
			weight_s[s->chunks[i].weight] += seconds;
		sum += seconds;
	}
	return sum;
}

/* The largest chunk; false if a row can't be held in dtype `as`. */
static bool measure_chunks(const struct model *m, const struct schedule *s, enum dtype as, size_t *bytes,
	size_t *rows, size_t *cols)
{
	*bytes = *rows = *cols = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct weight *w = &m->weights[s->chunks[i].weight];
		bool other = as != DTYPE_UNKNOWN && s->chunks[i].layer < m->n_layers;
		uint64_t row = dtype_bytes(other ? as : w->dtype, w->cols);
		size_t n = (size_t)row * s->chunks[i].rows;
		if (row == 0 || w->transposed)
			return false;
		*bytes = n > *bytes ? n : *bytes;
		*rows = s->chunks[i].rows > *rows ? s->chunks[i].rows : *rows;
		*cols = w->cols > *cols ? w->cols : *cols;
	}
	return s->n > 0;
}

double probe_compute(struct backend *b, const struct model *m, const struct schedule *s, enum dtype as,
	uint32_t ctx, size_t scratch, double *weight_s)
{
	struct bench t = {.b = b, .m = m, .as = as, .ctx = ctx ? ctx : 1,
		.scratch = scratch ? scratch : SCRATCH};
	size_t bytes, rows, cols;
	double sum = -1;
	if (!b->host_memory || s->n_expert_chunks || !measure_chunks(m, s, as, &bytes, &rows, &cols))
		return -1;
	for (size_t i = 0; weight_s && i < m->n_weights; i++)
		weight_s[i] = 0;
	if (bench_open(&t, bytes, rows, cols) == 0)
		sum = time_pass(&t, s, weight_s);
	bench_close(&t);
	return sum;
}
