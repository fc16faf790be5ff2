/* How long the kernels take for the model's matrices, on memory without a model in it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/probe.h"

#define SCRATCH ((size_t)24 << 20) /* weights to walk through: more than the caches next to a core */
#define SHAPES 24		   /* different shapes that are timed; the rest by bytes */
#define SHAPE_NS 8000000	   /* time for each */
#define REPEATS 5		   /* timings of which the median counts */

struct shape {
	enum dtype dtype;
	uint32_t k, rows;
	const struct weight *weight;
	double seconds;
};

struct bench {
	struct backend *b;
	char *w;	/* device, SCRATCH */
	float *x, *y;	/* device */
	char *scales;	/* device */
	size_t w_bytes, scale_bytes, x_bytes, y_bytes;
	struct event *event;
};

static int bench_open(struct bench *t, struct backend *b, const struct model *m, size_t max_bytes,
	size_t max_rows)
{
	size_t wide = m->ffn > m->hidden ? m->ffn : m->hidden, q = (size_t)m->heads * m->head_dim;
	wide = wide > q ? wide : q;
	*t = (struct bench){.b = b, .x_bytes = wide * 4, .y_bytes = 4 * (wide + max_rows),
		.w_bytes = SCRATCH + max_bytes, .scale_bytes = max_bytes + MEM_PAGE};
	t->w = b->ops->alloc(b, t->w_bytes);
	t->x = b->ops->alloc(b, t->x_bytes);
	t->y = b->ops->alloc(b, t->y_bytes);
	t->scales = b->ops->alloc(b, t->scale_bytes);
	t->event = b->ops->event_new(b);
	if (!t->w || !t->x || !t->y || !t->scales || !t->event)
		return -1;
	memset(t->w, 0x11, t->w_bytes); /* touch it; a number of every format, not tiny */
	memset(t->scales, 0x11, t->scale_bytes);
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
	if (t->event)
		b->ops->event_free(b, t->event);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* Walks through the scratch, so that weights come from memory as they do behind a reader. */
static void time_shape(struct bench *t, struct shape *s)
{
	size_t bytes = (size_t)dtype_bytes(s->dtype, s->k) * s->rows, at = 0;
	double v[REPEATS];
	struct matmul mm = {.y = t->y, .ldy = s->rows, .x = t->x, .ldx = s->k, .dtype = s->dtype, .n = 1,
		.k = s->k, .rows = s->rows};
	if (s->weight && s->weight->has_scaling)
		mm.scales = (struct scales){.how = &s->weight->scaling, .p = t->scales,
			.nested = (const float *)(const void *)t->scales};
	for (int i = 0; i < REPEATS; i++) {
		int64_t start = clock_ns(), now = start;
		int calls = 0;
		while (now - start < SHAPE_NS / REPEATS) {
			mm.w = t->w + at;
			t->b->ops->matmul(t->b, &mm);
			at = at + bytes < SCRATCH ? at + bytes : 0;
			calls++;
			now = clock_ns();
		}
		v[i] = (double)(now - start) / 1e9 / calls;
	}
	qsort(v, REPEATS, sizeof(*v), by_size);
	s->seconds = v[REPEATS / 2];
}

/* The operations between the products: norms, rotations, cache, attention over ctx cells. */
static double time_rest(struct bench *t, const struct model *m, uint32_t ctx)
{
	struct backend *b = t->b;
	const uint32_t kv = m->kv_heads * m->head_dim, q = m->heads * m->head_dim;
	size_t cache_bytes = ((size_t)ctx + 1) * kv * 2, scratch = (size_t)ctx * 4 + sizeof(struct attn_row) + 64;
	char *cache = b->ops->alloc(b, 2 * cache_bytes), *small = b->ops->alloc(b, scratch);
	double v[REPEATS];
	for (int i = 0; cache && small && i < REPEATS; i++) {
		struct attn_row *row = (struct attn_row *)(void *)small;
		uint32_t *cells = (uint32_t *)(void *)(row + 1);
		memset(cache, 0, 2 * cache_bytes);
		*row = (struct attn_row){.count = ctx};
		for (uint32_t c = 0; c < ctx; c++)
			cells[c] = c;
		const struct head_map map = {.group = m->heads}, kv_map = {.group = m->kv_heads};
		const struct attention a = {.out = t->y, .ldo = q, .q = t->x, .ldq = q, .q_map = map,
			.k = cache, .v = cache + cache_bytes, .kv_type = DTYPE_F16, .cells = cells, .rows = row,
			.n = 1, .heads = m->heads, .kv_heads = m->kv_heads, .head_dim = m->head_dim,
			.max_count = ctx, .scale = 1.0f / sqrtf((float)m->head_dim)};
		int64_t start = clock_ns();
		for (int j = 0; j < 4; j++) {
			b->ops->rmsnorm(b, t->y, t->x, t->x, 1, m->hidden, m->hidden, 1e-5f);
			b->ops->kv_store(b, cache, DTYPE_F16, t->x, kv, kv_map, m->kv_heads, m->head_dim, cells, 1);
			b->ops->kv_store(b, cache, DTYPE_F16, t->x, kv, kv_map, m->kv_heads, m->head_dim, cells, 1);
			b->ops->attention(b, &a);
			b->ops->add(b, t->y, t->x, 1.0f, 1, m->hidden, m->hidden);
			b->ops->rmsnorm(b, t->y, t->x, t->x, 1, m->hidden, m->hidden, 1e-5f);
			b->ops->act_mul(b, m->act, t->y, t->x, t->x, 1, m->ffn, m->ffn);
			b->ops->add(b, t->y, t->x, 1.0f, 1, m->hidden, m->hidden);
		}
		v[i] = (double)(clock_ns() - start) / 4e9;
	}
	bool known = cache && small;
	b->ops->free(b, cache, 2 * cache_bytes);
	b->ops->free(b, small, scratch);
	if (!known)
		return -1;
	qsort(v, REPEATS, sizeof(*v), by_size);
	return v[REPEATS / 2] * m->n_layers;
}

/* The time of a chunk: its shape's, measured once. Shapes beyond the table: by bytes of the first. */
static double chunk_seconds(struct bench *t, struct shape *shapes, size_t *n, const struct shape *want)
{
	for (size_t i = 0; i < *n; i++)
		if (shapes[i].dtype == want->dtype && shapes[i].k == want->k && shapes[i].rows == want->rows)
			return shapes[i].seconds;
	if (*n == SHAPES) {
		double bytes = (double)dtype_bytes(want->dtype, want->k) * want->rows;
		return shapes[0].seconds * bytes / ((double)dtype_bytes(shapes[0].dtype, shapes[0].k) * shapes[0].rows);
	}
	shapes[*n] = *want;
	time_shape(t, &shapes[*n]);
	return shapes[(*n)++].seconds;
}

/* The largest chunk; false if a row can't be held in dtype `as`. */
static bool measure_chunks(const struct model *m, const struct schedule *s, enum dtype as, size_t *bytes,
	size_t *rows)
{
	*bytes = *rows = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct weight *w = &m->weights[s->chunks[i].weight];
		uint64_t row = dtype_bytes(as != DTYPE_UNKNOWN ? as : w->dtype, w->cols);
		size_t n = (size_t)row * s->chunks[i].rows;
		if (row == 0 || w->transposed)
			return false;
		*bytes = n > *bytes ? n : *bytes;
		*rows = s->chunks[i].rows > *rows ? s->chunks[i].rows : *rows;
	}
	return s->n > 0;
}

double probe_compute(struct backend *b, const struct model *m, const struct schedule *s, enum dtype as,
	uint32_t ctx, double *chunk_s, double *rest_s)
{
	struct shape shapes[SHAPES];
	struct bench t;
	size_t n = 0, bytes, rows;
	double sum = 0;
	*rest_s = -1;
	if (!b->host_memory || !measure_chunks(m, s, as, &bytes, &rows))
		return -1;
	if (bench_open(&t, b, m, bytes, rows) == 0) {
		for (size_t i = 0; i < s->n; i++) {
			const struct weight *w = &m->weights[s->chunks[i].weight];
			const struct shape want = {.dtype = as != DTYPE_UNKNOWN ? as : w->dtype,
				.k = w->cols, .rows = s->chunks[i].rows, .weight = as != DTYPE_UNKNOWN ? NULL : w};
			chunk_s[i] = chunk_seconds(&t, shapes, &n, &want);
			sum += chunk_s[i];
		}
		*rest_s = time_rest(&t, m, ctx ? ctx : 1);
	}
	bench_close(&t);
	return *rest_s < 0 ? -1 : sum + *rest_s;
}
