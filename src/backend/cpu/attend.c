/* A softmax over many cells is made in spans of fixed borders, joined in rising order: neither the rows that
 * share keys and values nor the threads that share a row's cells change a bit.
 *
 * Many rows: a part goes through all its cells in one thread. Few rows of many cells: threads take spans, whose
 * states wait in the scratch memory until they are joined. */
#include "backend/cpu/attend.h"

#include <math.h>
#include <string.h>

#define SPAN 512       /* cells */
#define TURN 128       /* cells */
#define PART_WORK 65536 /* multiplications that are worth waking another thread for */
#define STATES_FLOATS ((CPU_SCRATCH_BYTES - ATTN_SCRATCH_BYTES) / sizeof(float))

_Static_assert(SPAN % TURN == 0 && TURN % ATTN_BLOCK == 0, "whole blocks");

struct attend {
	const struct attention *a;
	const struct cpu_kernels *kernels;
	unsigned char *scratch;
	uint32_t group, heads, pieces, across; /* query heads of a kv head; of a part; parts of a kv head, of a row */
	uint32_t rows;			       /* of a part */
	/* Spans shared among threads, of parts whose rows begin at `row`: those from cell `begin` on. Place 0 for
	 * states holds what is joined, the others a span each. */
	uint32_t row, first, begin, end, places;
	size_t place_floats;
};

static float *scratch_of(const struct attend *t, int thread)
{
	return (float *)(void *)(t->scratch + (size_t)thread * CPU_SCRATCH_BYTES);
}

static float *states_of(const struct attend *t, int thread)
{
	return scratch_of(t, thread) + ATTN_SCRATCH_BYTES / sizeof(float);
}

/* sinks: those of the part's heads, or NULL */
static void states_begin(const struct attn_part *p, float *states, const float *sinks)
{
	const size_t dim = attn_state_dim(p->a), floats = attn_state_floats(p->a);
	for (uint32_t i = 0; i < p->rows; i++)
		for (uint32_t h = 0; h < p->heads; h++, states += floats) {
			memset(states, 0, dim * sizeof(float));
			states[dim] = sinks ? sinks[p->head + h] : -INFINITY;
			states[dim + 1] = sinks ? 1 : 0;
		}
}

/* to: cells before those of `from` */
static void states_join(const struct cpu_kernels *k, const struct attn_part *p, float *to, const float *from)
{
	const size_t dim = attn_state_dim(p->a), floats = attn_state_floats(p->a);
	for (uint32_t i = 0; i < p->rows * p->heads; i++, to += floats, from += floats) {
		if (from[dim] == -INFINITY)
			continue;
		const float top = to[dim] > from[dim] ? to[dim] : from[dim];
		const float keep = expf(to[dim] - top), add = expf(from[dim] - top);
		k->scale(to, keep, dim);
		k->add(to, from, add, dim);
		to[dim] = top;
		to[dim + 1] = to[dim + 1] * keep + from[dim + 1] * add;
	}
}

static void states_end(const struct cpu_kernels *k, const struct attn_part *p, const float *states)
{
	const struct attention *a = p->a;
	const size_t v_dim = attn_v_dim(a), dim = attn_state_dim(a);
	for (uint32_t i = 0; i < p->rows; i++)
		for (uint32_t h = 0; h < p->heads; h++, states += attn_state_floats(a)) {
			float *out = a->out + (p->row + i) * a->ldo + (p->head + h) * v_dim, sum = states[dim + 1];
			memcpy(out, states, v_dim * sizeof(float));
			k->scale(out, sum != 0 ? 1.0f / sum : 0.0f, v_dim);
		}
}

/* The cells that any of the part's rows sees. */
static void part_range(const struct attn_part *p, uint32_t *first, uint32_t *end)
{
	*first = UINT32_MAX, *end = 0;
	for (uint32_t i = p->row; i < p->row + p->rows; i++) {
		const struct attn_row *r = &p->a->rows[i];
		if (r->count && r->first < *first)
			*first = r->first;
		if (r->count && r->first + r->count > *end)
			*end = r->first + r->count;
	}
}

/* c's span or block begins here. */
static uint32_t border(uint32_t c, uint32_t base, uint32_t step)
{
	return c - (c - base) % step;
}

static void part_whole(const struct attend *t, const struct attn_part *p, int thread)
{
	float *all = states_of(t, thread), *span = all + p->rows * p->heads * attn_state_floats(t->a);
	uint32_t base = t->a->rows[p->row].base, first, end, next;
	part_range(p, &first, &end);
	states_begin(p, all, t->a->sinks);
	for (uint32_t c = first; c < end; c = next) {
		next = border(c, base, SPAN) + SPAN;
		states_begin(p, span, NULL);
		t->kernels->attend(p, border(c, base, ATTN_BLOCK), next < end ? next : end, span, scratch_of(t, thread));
		states_join(t->kernels, p, all, span);
	}
	states_end(t->kernels, p, all);
}

/* Part `at` of the parts of a row. */
static struct attn_part part_of(const struct attend *t, uint32_t row, uint32_t rows, uint32_t at)
{
	const uint32_t skip = at % t->pieces * t->heads, left = t->group - skip;
	return (struct attn_part){t->a, row, rows, at / t->pieces * t->group + skip, left < t->heads ? left : t->heads};
}

/* Rows from `row` on, at most t->rows, that have the same base. */
static uint32_t rows_together(const struct attend *t, uint32_t row, uint32_t stop)
{
	uint32_t rows = 1;
	while (rows < t->rows && row + rows < stop && t->a->rows[row + rows].base == t->a->rows[row].base)
		rows++;
	return rows;
}

/* Items: groups of rows, and for each the parts of a row. The last rows, which see most, come first. */
static void whole_part(void *arg, size_t begin, size_t end, int thread)
{
	const struct attend *t = arg;
	const uint32_t groups = (t->a->n + t->rows - 1) / t->rows;
	for (size_t i = begin; i < end; i++) {
		const uint32_t start = (groups - 1 - (uint32_t)(i / t->across)) * t->rows;
		const uint32_t stop = start + t->rows < t->a->n ? start + t->rows : t->a->n;
		for (uint32_t row = start, rows; row < stop; row += rows) {
			rows = rows_together(t, row, stop);
			struct attn_part p = part_of(t, row, rows, (uint32_t)(i % t->across));
			part_whole(t, &p, thread);
		}
	}
}

/* --- few rows: threads share the cells ------------------------------------------- */

static float *place_of(const struct attend *t, uint32_t place, const struct attn_part *p)
{
	const uint32_t each = (uint32_t)(STATES_FLOATS / t->place_floats);
	float *states = states_of(t, (int)(place / each)) + place % each * t->place_floats;
	return states + (size_t)p->head * p->rows * attn_state_floats(t->a);
}

/* Items: spans, and for each the parts of a row. Those of one span take turns, so that what lies side by side in
 * memory is read at about the same time. */
static void span_part(void *arg, size_t begin, size_t end, int thread)
{
	const struct attend *t = arg;
	const uint32_t base = t->a->rows[t->row].base;
	for (size_t i = begin, stop; i < end; i = stop) {
		const uint32_t span = (uint32_t)(i / t->across), from = t->begin + span * SPAN;
		const uint32_t last = from + SPAN < t->end ? from + SPAN : t->end;
		const uint32_t start = from > t->first ? from : border(t->first, base, ATTN_BLOCK);
		stop = (size_t)(span + 1) * t->across < end ? (size_t)(span + 1) * t->across : end;
		for (uint32_t c = start; c < last; c += TURN)
			for (size_t at = i; at < stop; at++) {
				struct attn_part p = part_of(t, t->row, t->rows, (uint32_t)(at % t->across));
				float *states = place_of(t, span + 1, &p);
				if (c == start)
					states_begin(&p, states, NULL);
				t->kernels->attend(&p, c, c + TURN < last ? c + TURN : last, states,
					scratch_of(t, thread));
			}
	}
}

/* Items: the parts of a row. */
static void join_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct attend *t = arg;
	for (size_t at = begin; at < end; at++) {
		struct attn_part p = part_of(t, t->row, t->rows, (uint32_t)at);
		float *all = place_of(t, 0, &p);
		uint32_t c = t->begin;
		if (c <= t->first)
			states_begin(&p, all, t->a->sinks);
		for (uint32_t place = 1; place < t->places && c < t->end; place++, c += SPAN)
			states_join(t->kernels, &p, all, place_of(t, place, &p));
		if (c >= t->end)
			states_end(t->kernels, &p, all);
	}
}

/* Rows [t->row, + t->rows): as many spans at a time as there are places. */
static void run_spans(struct attend *t, struct pool *pool, int threads)
{
	part_range(&(struct attn_part){t->a, t->row, t->rows, 0, 0}, &t->first, &t->end);
	if (t->first >= t->end)
		t->first = t->end = t->a->rows[t->row].base;
	t->begin = border(t->first, t->a->rows[t->row].base, SPAN);
	do {
		const uint32_t left = (t->end - t->begin + SPAN - 1) / SPAN;
		const size_t items = (size_t)(left < t->places - 1 ? left : t->places - 1) * t->across;
		pool_run(pool, span_part, t, items, items / ((size_t)threads * 4) + 1);
		pool_run(pool, join_part, t, t->across, t->across / (size_t)threads + 1);
		t->begin += (t->places - 1) * SPAN;
	} while (t->begin < t->end);
}

void attend_run(struct pool *pool, int threads, const struct cpu_kernels *kernels, unsigned char *scratch,
	const struct attention *a)
{
	const size_t floats = attn_state_floats(a), work = (size_t)a->n * a->heads * a->head_dim * a->max_count;
	uint32_t most = (uint32_t)(STATES_FLOATS / floats / 2);
	struct attend t = {.a = a, .kernels = kernels, .scratch = scratch, .group = a->heads / a->kv_heads};
	most = most < ATTN_QUERIES ? most : ATTN_QUERIES;
	t.heads = t.group < most ? t.group : most;
	t.pieces = (t.group + t.heads - 1) / t.heads;
	t.across = a->kv_heads * t.pieces;
	t.rows = most / t.heads < a->n ? most / t.heads : a->n;
	t.place_floats = t.rows * a->heads * floats;
	t.places = (uint32_t)(STATES_FLOATS / t.place_floats) * (uint32_t)threads;
	size_t items = (size_t)((a->n + t.rows - 1) / t.rows) * t.across;
	if ((a->n <= t.rows || items < (size_t)threads * 2) && a->max_count > SPAN && t.places > 1) {
		const uint32_t rows = t.rows;
		for (; t.row < a->n; t.row += t.rows) {
			t.rows = rows;
			t.rows = rows_together(&t, t.row, a->n);
			run_spans(&t, pool, threads);
		}
		return;
	}
	while (items < (size_t)threads * 4 && t.rows * t.heads > 16 && t.rows > 1) {
		t.rows = (t.rows + 1) / 2;
		items = (size_t)((a->n + t.rows - 1) / t.rows) * t.across;
	}
	pool_run(pool, whole_part, &t, items, work < PART_WORK ? items : 1);
}
