/* The readers' side of the trace: pictures of it, and what is derived from them. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "trace/trace_private.h"

#define LATEST 16 /* decode passes that make the present pace */

int trace_view(struct trace *t, struct trace_view *v)
{
	size_t n = (size_t)t->view.n_layers + 1;
	struct trace_layer *layers = v->layers;
	if (!layers && !(layers = mem_array(n, sizeof(*layers))))
		return -1;
	pthread_mutex_lock(&t->lock);
	*v = t->view;
	memcpy(layers, t->layers, n * sizeof(*layers));
	pthread_mutex_unlock(&t->lock);
	v->layers = layers;
	return 0;
}

void trace_view_clear(struct trace_view *v)
{
	free(v->layers);
	*v = (struct trace_view){0};
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

int64_t trace_percentile(const int64_t *v, size_t n, double p)
{
	int64_t s[TRACE_HISTORY];
	n = n < TRACE_HISTORY ? n : TRACE_HISTORY;
	if (n == 0)
		return -1;
	memcpy(s, v, n * sizeof(*s));
	qsort(s, n, sizeof(*s), by_size);
	size_t i = (size_t)(p * (double)(n - 1) + 0.5); /* nearest rank */
	return s[i < n ? i : n - 1];
}

double trace_pace(const struct trace_view *v)
{
	uint32_t n = v->n_history < LATEST ? v->n_history : LATEST;
	int64_t sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += v->history[v->n_history - 1 - i];
	return n ? (double)sum / 1e9 / n : -1;
}

void trace_layers(struct trace *t, struct trace_layer_stats *out)
{
	pthread_mutex_lock(&t->lock);
	const size_t n = (size_t)t->view.n_layers + 1;
	size_t k = t->n_layer_us < TRACE_HISTORY ? (size_t)t->n_layer_us : TRACE_HISTORY;
	for (size_t i = 0; i < n; i++) {
		int64_t v[TRACE_HISTORY], sum = 0;
		for (size_t j = 0; j < k; j++)
			sum += v[j] = (int64_t)t->layer_us[j * n + i] * 1000;
		out[i] = (struct trace_layer_stats){-1, -1, -1};
		if (k == 0)
			continue;
		out[i].last = v[(t->n_layer_us - 1) % TRACE_HISTORY];
		out[i].mean = sum / (int64_t)k;
		out[i].p95 = trace_percentile(v, k, 0.95);
	}
	pthread_mutex_unlock(&t->lock);
}

int trace_log(struct trace *t, uint32_t back, struct trace_log *l)
{
	int rc = -1;
	pthread_mutex_lock(&t->lock);
	if (back < t->view.n_logs) {
		const struct trace_log *s = &t->logs[(t->view.passes - 1 - back) % TRACE_LOGS];
		if (mem_grow(&l->chunks, &l->cap, s->n, sizeof(*l->chunks)) == 0) {
			l->pass = s->pass;
			l->number = s->number;
			l->start = s->start;
			l->n = s->n;
			if (s->n)
				memcpy(l->chunks, s->chunks, s->n * sizeof(*l->chunks));
			rc = 0;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void trace_log_clear(struct trace_log *l)
{
	free(l->chunks);
	*l = (struct trace_log){0};
}

/* --- overlap ------------------------------------------------------------------------------------- */

struct lanes {
	int64_t t0, t1;
	uint32_t n;
	float *out;
};

/* [a, b) is busy to the degree `share` in one lane. */
static void add(const struct lanes *w, enum lane lane, int64_t a, int64_t b, double share)
{
	a = a > w->t0 ? a : w->t0;
	b = b < w->t1 ? b : w->t1;
	if (a >= b)
		return;
	const double cell = (double)(w->t1 - w->t0) / w->n;
	float *out = w->out + (size_t)lane * w->n;
	uint32_t i = (uint32_t)((double)(a - w->t0) / cell);
	for (; i < w->n; i++) {
		double lo = (double)w->t0 + cell * i, hi = lo + cell;
		double from = (double)a > lo ? (double)a : lo, to = (double)b < hi ? (double)b : hi;
		if (from >= to && lo >= (double)b)
			return;
		if (to > from)
			out[i] += (float)((to - from) / cell * share);
	}
}

/* Disjoint parts of spans that come with rising beginnings. */
static void add_union(const struct lanes *w, enum lane lane, int64_t *mark, int64_t a, int64_t b)
{
	a = a > *mark ? a : *mark;
	if (b <= a)
		return;
	add(w, lane, a, b, 1);
	*mark = b;
}

void trace_lanes(const struct trace_log *l, int64_t t0, int64_t t1, uint32_t n, float *out)
{
	const struct lanes w = {t0, t1, n, out};
	int64_t disk = INT64_MIN, copy = INT64_MIN;
	for (size_t i = 0; i < (size_t)LANES * n; i++)
		out[i] = 0;
	if (n == 0 || t1 <= t0)
		return;
	for (uint32_t i = 0; i < l->n; i++) {
		const struct trace_chunk *c = &l->chunks[i];
		int64_t wait = c->wait[CAUSE_DISK] + c->wait[CAUSE_COPY], all = c->end - c->from;
		if (c->issued)
			add_union(&w, LANE_DISK, &disk, c->issued, c->in_ram);
		if (c->in_vram)
			add_union(&w, LANE_COPY, &copy, c->in_ram, c->in_vram);
		if (all <= 0)
			continue;
		if (c->merged) { /* where in the record it waited is not known: spread */
			double share[2] = {(double)c->wait[0] / (double)all, (double)c->wait[1] / (double)all};
			add(&w, LANE_WAIT_DISK, c->from, c->end, share[0]);
			add(&w, LANE_WAIT_COPY, c->from, c->end, share[1]);
			add(&w, LANE_COMPUTE, c->from, c->end, 1 - share[0] - share[1]);
		} else {
			int64_t copied = c->start - c->wait[CAUSE_COPY];
			add(&w, LANE_WAIT_DISK, c->start - wait, copied, 1);
			add(&w, LANE_WAIT_COPY, copied, c->start, 1);
			add(&w, LANE_COMPUTE, c->start, c->end, 1);
		}
	}
	for (size_t i = 0; i < (size_t)LANES * n; i++) /* rounding */
		out[i] = out[i] > 1 ? 1 : out[i];
}
