#include "trace/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "trace/trace_private.h"

static int64_t real_clock(void *arg)
{
	(void)arg;
	return clock_ns();
}

struct trace *trace_new(uint32_t n_layers)
{
	struct trace *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	const size_t n = (size_t)n_layers + 1;
	t->clock = real_clock;
	t->view.n_layers = n_layers;
	t->layers = mem_array(n, sizeof(*t->layers));
	t->now = mem_array(n, sizeof(*t->now));
	t->layer_us = mem_array(n * TRACE_HISTORY, sizeof(*t->layer_us));
	pthread_mutex_init(&t->lock, NULL);
	if (!t->layers || !t->now || !t->layer_us) {
		trace_free(t);
		return NULL;
	}
	return t;
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	trace_file_close(&t->file, "", NULL);
	pthread_mutex_destroy(&t->lock);
	trace_log_clear(&t->run);
	for (int i = 0; i < TRACE_LOGS; i++)
		trace_log_clear(&t->logs[i]);
	free(t->layers);
	free(t->now);
	free(t->layer_us);
	free(t);
}

void trace_set_clock(struct trace *t, int64_t (*now)(void *arg), void *arg)
{
	t->clock = now;
	t->clock_arg = arg;
}

/* --- the running pass; the lock is held ---------------------------------------------------------- */

/* [at, t1) belongs to `cause` of the present layer. */
static void give(struct trace *t, enum cause cause, int64_t t1)
{
	if (t1 <= t->at)
		return;
	t->view.now.ns[cause] += t1 - t->at;
	t->view.now.wall += t1 - t->at;
	t->now[t->view.layer].ns[cause] += t1 - t->at;
	t->at = t1;
}

/* The union of what a channel has in flight. Its spans come with rising t0, so one mark is enough. What
 * lies before this pass is credited to the pass before, which did not know of it yet. */
static void busy(struct trace *t, size_t field, int64_t *mark, int64_t t0, int64_t t1)
{
#define FIELD(p) (*(int64_t *)((char *)(p) + field))
	struct trace_view *v = &t->view;
	int64_t from = t0 > *mark ? t0 : *mark;
	if (t1 <= from)
		return;
	*mark = t1;
	int64_t split = v->pass_start > from ? v->pass_start : from;
	if (t->last_kept && t->last_end == v->pass_start && from < v->pass_start) {
		int64_t early = (t1 < v->pass_start ? t1 : v->pass_start) - from;
		FIELD(&v->last) += early;
		FIELD(&t->logs[(v->passes - 1) % TRACE_LOGS].pass) += early;
		FIELD(v->last.prefill ? &v->prefills : &v->decode) += early;
	}
	if (t1 > split)
		FIELD(&v->now) += t1 - split;
#undef FIELD
}

static void merge(struct trace_chunk *a, const struct trace_chunk *b)
{
	a->merged += b->merged + 1;
	a->tier = a->tier < b->tier ? a->tier : b->tier;
	a->bytes += b->bytes;
	if (b->issued && (!a->issued || b->issued < a->issued))
		a->issued = b->issued;
	a->in_ram = a->in_ram > b->in_ram ? a->in_ram : b->in_ram;
	a->in_vram = a->in_vram > b->in_vram ? a->in_vram : b->in_vram;
	a->end = b->end;
	a->wait[0] += b->wait[0];
	a->wait[1] += b->wait[1];
}

static struct trace_chunk *add_record(struct trace *t, const struct trace_chunk *c)
{
	struct trace_log *l = &t->run;
	struct trace_chunk *last = l->n ? &l->chunks[l->n - 1] : NULL;
	if (last && last->merged + 1 < t->stride && last->layer == c->layer) {
		merge(last, c);
		return last;
	}
	if (l->n == TRACE_CHUNKS) {
		uint32_t n = 0;
		t->stride *= 2;
		for (uint32_t i = 1; i < l->n; i++) {
			struct trace_chunk *a = &l->chunks[n];
			if (a->layer == l->chunks[i].layer && a->merged + 1 < t->stride)
				merge(a, &l->chunks[i]);
			else
				l->chunks[++n] = l->chunks[i];
		}
		if (n + 1 == TRACE_CHUNKS)
			return NULL; /* more layers than records: the rest is not kept */
		l->n = n + 1;
	}
	if (mem_grow(&l->chunks, &l->cap, l->n + 1, sizeof(*l->chunks)) < 0)
		return NULL;
	l->chunks[l->n] = *c;
	return &l->chunks[l->n++];
}

/* --- the engine's side --------------------------------------------------------------------------- */

void trace_pass_begin(struct trace *t, bool prefill, uint32_t rows)
{
	pthread_mutex_lock(&t->lock);
	struct trace_view *v = &t->view;
	int64_t now = t->clock(t->clock_arg);
	memset(t->now, 0, ((size_t)v->n_layers + 1) * sizeof(*t->now));
	v->now = (struct trace_pass){.prefill = prefill, .rows = rows};
	v->in_pass = true;
	v->prefill = prefill;
	v->pass_start = t->at = !prefill && t->last_end ? t->last_end : now;
	v->layer = v->n_layers;
	give(t, CAUSE_OTHER, now); /* the sampler and whatever followed the head */
	v->layer = 0;
	t->run.n = 0;
	t->stride = 1;
	t->waited[0] = t->waited[1] = 0;
	pthread_mutex_unlock(&t->lock);
}

void trace_layer(struct trace *t, uint32_t layer)
{
	pthread_mutex_lock(&t->lock);
	if (layer <= t->view.n_layers)
		t->view.layer = layer;
	pthread_mutex_unlock(&t->lock);
}

void trace_span(struct trace *t, enum cause cause, const char *what, int64_t t0, int64_t t1)
{
	static const char *const names[CAUSES] = {"disk wait", "copy wait", "compute", "other"};
	pthread_mutex_lock(&t->lock);
	give(t, CAUSE_OTHER, t0);
	if (t1 > t->at && cause <= CAUSE_COPY)
		t->waited[cause] += t1 - t->at;
	if (cause == CAUSE_COMPUTE && t->run.n && t1 > t->run.chunks[t->run.n - 1].end)
		t->run.chunks[t->run.n - 1].end = t1;
	give(t, cause, t1);
	if (t->file.out)
		trace_file_span(&t->file, what ? what : names[cause], t->view.layer, t->view.passes, t0, t1);
	pthread_mutex_unlock(&t->lock);
}

void trace_use(struct trace *t, const struct trace_chunk *c)
{
	struct trace_chunk r = *c;
	pthread_mutex_lock(&t->lock);
	struct trace_pass *p = &t->view.now;
	r.wait[CAUSE_DISK] = t->waited[CAUSE_DISK];
	r.wait[CAUSE_COPY] = t->waited[CAUSE_COPY];
	r.end = r.start;
	r.merged = 0;
	t->waited[0] = t->waited[1] = 0;
	add_record(t, &r);
	bool read = r.issued != 0;
	*(read ? &p->bytes_disk : &p->bytes_ram) += r.bytes;
	if (r.layer <= t->view.n_layers)
		*(read ? &t->now[r.layer].bytes_disk : &t->now[r.layer].bytes_ram) += r.bytes;
	if (read) {
		busy(t, offsetof(struct trace_pass, read_busy), &t->read_mark, r.issued, r.in_ram);
		p->late += r.in_ram > r.from;
		p->reads++;
		p->read_sum += r.in_ram - r.issued;
	}
	p->bytes_copy += r.in_vram ? r.bytes : 0;
	if (r.in_vram)
		busy(t, offsetof(struct trace_pass, copy_busy), &t->copy_mark, r.in_ram, r.in_vram);
	if (t->file.out)
		trace_file_chunk(&t->file, &r, t->view.passes);
	pthread_mutex_unlock(&t->lock);
}

void trace_experts(struct trace *t, const struct trace_experts *x)
{
	pthread_mutex_lock(&t->lock);
	struct trace_pass *p = &t->view.now;
	struct trace_layer *l = &t->now[t->view.layer];
	p->experts = true;
	p->expert_hits += x->hits;
	p->expert_misses += x->misses;
	p->expert_right += x->right;
	p->expert_wrong += x->wrong;
	p->bytes_disk += x->wrong_bytes;
	l->expert_hits += x->hits;
	l->expert_misses += x->misses;
	l->expert_wrong += x->wrong;
	l->bytes_disk += x->wrong_bytes;
	if (t->file.out)
		trace_file_experts(&t->file, x, t->view.layer, t->view.passes, t->at);
	pthread_mutex_unlock(&t->lock);
}

static void add_pass(struct trace_pass *sum, const struct trace_pass *p)
{
	sum->rows += p->rows;
	sum->wall += p->wall;
	for (int c = 0; c < CAUSES; c++)
		sum->ns[c] += p->ns[c];
	sum->bytes_disk += p->bytes_disk;
	sum->bytes_ram += p->bytes_ram;
	sum->read_busy += p->read_busy;
	sum->copy_busy += p->copy_busy;
	sum->reads += p->reads;
	sum->read_sum += p->read_sum;
	sum->bytes_copy += p->bytes_copy;
	sum->late += p->late;
	sum->experts |= p->experts;
	sum->expert_hits += p->expert_hits;
	sum->expert_misses += p->expert_misses;
	sum->expert_right += p->expert_right;
	sum->expert_wrong += p->expert_wrong;
}

/* A decode pass goes into the histories. */
static void remember(struct trace *t)
{
	struct trace_view *v = &t->view;
	if (v->n_history == TRACE_HISTORY) {
		memmove(v->history, v->history + 1, (TRACE_HISTORY - 1) * sizeof(*v->history));
		v->n_history--;
	}
	v->history[v->n_history++] = v->now.wall;
	const size_t n = (size_t)v->n_layers + 1;
	uint32_t *row = t->layer_us + t->n_layer_us++ % TRACE_HISTORY * n;
	for (size_t i = 0; i < n; i++) {
		int64_t sum = 0;
		for (int c = 0; c < CAUSES; c++)
			sum += t->now[i].ns[c];
		row[i] = sum / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(sum / 1000);
	}
}

static void keep_pass(struct trace *t)
{
	struct trace_view *v = &t->view;
	struct trace_layer *layers = t->layers;
	struct trace_log *slot = &t->logs[v->passes % TRACE_LOGS], old = *slot;
	t->run.pass = v->now;
	t->run.number = v->passes;
	t->run.start = v->pass_start;
	*slot = t->run;
	t->run = old;
	v->n_logs += v->n_logs < TRACE_LOGS;
	v->passes++;
	v->last = v->now;
	add_pass(v->now.prefill ? &v->prefills : &v->decode, &v->now);
	*(v->now.prefill ? &v->n_prefill : &v->n_decode) += 1;
	if (!v->now.prefill)
		remember(t);
	t->layers = t->now;
	t->now = layers;
}

void trace_pass_end(struct trace *t, bool keep)
{
	pthread_mutex_lock(&t->lock);
	struct trace_view *v = &t->view;
	give(t, CAUSE_OTHER, t->clock(t->clock_arg));
	if (keep)
		keep_pass(t);
	v->in_pass = false;
	v->pass_start = 0;
	t->last_end = keep ? t->at : 0;
	t->last_kept = keep;
	pthread_mutex_unlock(&t->lock);
}

void trace_reset_sums(struct trace *t)
{
	pthread_mutex_lock(&t->lock);
	t->view.decode = t->view.prefills = (struct trace_pass){0};
	t->view.n_decode = t->view.n_prefill = 0;
	t->last_end = 0;
	pthread_mutex_unlock(&t->lock);
}

int trace_export(struct trace *t, const char *path, struct err *e)
{
	pthread_mutex_lock(&t->lock);
	trace_file_close(&t->file, path, NULL);
	int rc = trace_file_open(&t->file, path, e);
	pthread_mutex_unlock(&t->lock);
	return rc;
}
