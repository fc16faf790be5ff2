#include "trace/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

struct trace {
	pthread_mutex_t lock; /* guards view, layers and pass */
	struct trace_view view;
	struct trace_layer *layers; /* [n_layers + 1]: the last finished pass */
	struct trace_layer *now;    /* [n_layers + 1]: the running pass */
	struct trace_pass pass;
	int64_t read_end; /* up to here reads of this pass are counted as busy */
	FILE *out;	  /* Chrome trace, or NULL; the engine thread alone writes */
	bool comma;
};

static const char *const cause_name[CAUSES] = {"disk wait", "copy wait", "compute", "other"};

struct trace *trace_new(uint32_t n_layers)
{
	struct trace *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->view.n_layers = n_layers;
	t->layers = mem_array((size_t)n_layers + 1, sizeof(*t->layers));
	t->now = mem_array((size_t)n_layers + 1, sizeof(*t->now));
	pthread_mutex_init(&t->lock, NULL);
	if (!t->layers || !t->now) {
		trace_free(t);
		return NULL;
	}
	return t;
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	if (t->out) {
		fputs("\n]\n", t->out);
		fclose(t->out);
	}
	pthread_mutex_destroy(&t->lock);
	free(t->layers);
	free(t->now);
	free(t);
}

int trace_export(struct trace *t, const char *path, struct err *e)
{
	t->out = fopen(path, "we");
	if (!t->out)
		return err_sys(e, errno, "can't write the trace to %s", path);
	fputs("[\n", t->out);
	return 0;
}

static void export_event(struct trace *t, const char *name, int lane, uint32_t layer, uint64_t bytes,
	int64_t t0, int64_t t1)
{
	if (!t->out || t1 <= t0)
		return;
	fprintf(t->out,
		"%s{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,"
		"\"args\":{\"layer\":%u,\"pass\":%llu,\"bytes\":%llu}}",
		t->comma ? ",\n" : "", name, lane, (double)t0 / 1e3, (double)(t1 - t0) / 1e3, layer,
		(unsigned long long)t->view.passes, (unsigned long long)bytes);
	t->comma = true;
}

void trace_pass_begin(struct trace *t, bool prefill, uint32_t rows)
{
	pthread_mutex_lock(&t->lock);
	t->pass = (struct trace_pass){.prefill = prefill, .rows = rows};
	memset(t->now, 0, ((size_t)t->view.n_layers + 1) * sizeof(*t->now));
	t->view.in_pass = true;
	t->view.prefill = prefill;
	t->view.layer = 0;
	t->view.pass_start = clock_ns();
	if (t->read_end < t->view.pass_start)
		t->read_end = t->view.pass_start;
	pthread_mutex_unlock(&t->lock);
}

void trace_layer(struct trace *t, uint32_t layer)
{
	pthread_mutex_lock(&t->lock);
	t->view.layer = layer;
	pthread_mutex_unlock(&t->lock);
}

void trace_span(struct trace *t, enum cause cause, const char *what, int64_t t0, int64_t t1)
{
	pthread_mutex_lock(&t->lock);
	t->pass.ns[cause] += t1 - t0;
	t->now[t->view.layer].ns[cause] += t1 - t0;
	export_event(t, what ? what : cause_name[cause], 1, t->view.layer, 0, t0, t1);
	pthread_mutex_unlock(&t->lock);
}

/* Reads are reported in the order in which their chunks are used; their union within the pass is the
 * time that the disk was busy. Issue times rise with that order, so one end mark is enough. */
void trace_read(struct trace *t, uint32_t layer, uint64_t bytes, int64_t t0, int64_t t1)
{
	pthread_mutex_lock(&t->lock);
	t->pass.bytes_disk += bytes;
	if (layer <= t->view.n_layers)
		t->now[layer].bytes_disk += bytes;
	int64_t from = t0 > t->read_end ? t0 : t->read_end;
	if (t1 > from) {
		t->pass.read_busy += t1 - from;
		t->read_end = t1;
	}
	export_event(t, "read", 2, layer, bytes, t0, t1);
	pthread_mutex_unlock(&t->lock);
}

void trace_ram(struct trace *t, uint64_t bytes)
{
	pthread_mutex_lock(&t->lock);
	t->pass.bytes_ram += bytes;
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
}

static void push_history(struct trace_view *v, int64_t wall)
{
	if (v->n_history == TRACE_HISTORY) {
		memmove(v->history, v->history + 1, (TRACE_HISTORY - 1) * sizeof(*v->history));
		v->n_history--;
	}
	v->history[v->n_history++] = wall;
}

void trace_pass_end(struct trace *t, bool keep)
{
	pthread_mutex_lock(&t->lock);
	struct trace_view *v = &t->view;
	struct trace_pass *p = &t->pass;
	p->wall = clock_ns() - v->pass_start;
	int64_t known = p->ns[CAUSE_DISK] + p->ns[CAUSE_COPY] + p->ns[CAUSE_COMPUTE];
	p->ns[CAUSE_OTHER] = p->wall - known;
	v->in_pass = false;
	v->pass_start = 0;
	if (keep) {
		v->passes++;
		v->last = *p;
		add_pass(p->prefill ? &v->prefills : &v->decode, p);
		*(p->prefill ? &v->n_prefill : &v->n_decode) += 1;
		if (!p->prefill)
			push_history(v, p->wall);
		memcpy(t->layers, t->now, ((size_t)v->n_layers + 1) * sizeof(*t->now));
	}
	pthread_mutex_unlock(&t->lock);
}

void trace_reset_sums(struct trace *t)
{
	pthread_mutex_lock(&t->lock);
	t->view.decode = t->view.prefills = (struct trace_pass){0};
	t->view.n_decode = t->view.n_prefill = 0;
	pthread_mutex_unlock(&t->lock);
}

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
