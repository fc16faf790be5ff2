#include "support/fault_reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define HELD 256

struct fault_reader {
	struct reader base;
	struct reader *wrapped;
	pthread_mutex_t lock; /* guards all below */
	struct {
		struct fault f;
		bool on;
	} rules[FAULTS];
	int n_changed;
	uint64_t random;
	struct read_req failed[HELD]; /* completed without a read */
	size_t n_failed;
	unsigned in_flight;
};

static struct fault_reader *of(struct reader *r)
{
	return (struct fault_reader *)r;
}

/* The first rule for this request, used up by one; false without one. */
static bool rule_for(struct fault_reader *r, const struct read_req *q, bool completed, struct fault *out)
{
	bool found = false;
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < FAULTS && !found; i++) {
		struct fault *f = &r->rules[i].f;
		if (!r->rules[i].on || f->times == 0 || f->file != q->file || q->offset >= f->to ||
			q->offset + q->bytes <= f->from || completed != (f->kind != FAULT_ERROR))
			continue;
		f->times -= f->times > 0;
		r->n_changed++;
		*out = *f;
		found = true;
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

static bool fault_submit(struct reader *base, const struct read_req *req)
{
	struct fault_reader *r = of(base);
	struct fault f;
	bool fails = rule_for(r, req, false, &f);
	pthread_mutex_lock(&r->lock);
	bool ok = r->n_failed < HELD && r->in_flight < base->depth && (fails || r->wrapped->ops->submit(r->wrapped, req));
	r->in_flight += ok;
	if (ok && fails) {
		r->failed[r->n_failed] = *req;
		r->failed[r->n_failed++].result = -f.value;
		r->wrapped->ops->wake(r->wrapped);
	}
	pthread_mutex_unlock(&r->lock);
	return ok;
}

static void fault_start(struct reader *base)
{
	struct reader *w = of(base)->wrapped;
	if (w->ops->start)
		w->ops->start(w);
}

static void change(struct fault_reader *r, struct read_req *q)
{
	struct fault f;
	if (!rule_for(r, q, true, &f))
		return;
	if (f.kind == FAULT_SLOW) {
		nanosleep(&(struct timespec){f.value / 1000000, f.value % 1000000 * 1000L}, NULL);
	} else if (q->result > 1) {
		r->random = r->random * 6364136223846793005u + 1442695040888963407u;
		q->result = 1 + (int)((r->random >> 33) % (uint64_t)(q->result - 1));
	}
}

static size_t take_failed(struct fault_reader *r, struct read_req *done, size_t max)
{
	size_t n = 0;
	pthread_mutex_lock(&r->lock);
	while (r->n_failed && n < max)
		done[n++] = r->failed[--r->n_failed];
	r->in_flight -= (unsigned)n;
	pthread_mutex_unlock(&r->lock);
	return n;
}

static size_t fault_reap(struct reader *base, struct read_req *done, size_t max, bool wait)
{
	struct fault_reader *r = of(base);
	size_t n = take_failed(r, done, max);
	if (n == max)
		return n;
	size_t more = r->wrapped->ops->reap(r->wrapped, done + n, max - n, wait && n == 0);
	for (size_t i = 0; i < more; i++)
		change(r, &done[n + i]);
	pthread_mutex_lock(&r->lock);
	r->in_flight -= (unsigned)more;
	pthread_mutex_unlock(&r->lock);
	return n + more;
}

static void fault_wake(struct reader *base)
{
	of(base)->wrapped->ops->wake(of(base)->wrapped);
}

static void fault_use_buffer(struct reader *base, void *p, size_t bytes)
{
	struct reader *w = of(base)->wrapped;
	if (w->ops->use_buffer)
		w->ops->use_buffer(w, p, bytes);
}

static void fault_close(struct reader *base)
{
	struct fault_reader *r = of(base);
	r->wrapped->ops->close(r->wrapped);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static const struct reader_ops fault_ops = {fault_close, fault_submit, fault_start, fault_reap, fault_wake,
	fault_use_buffer};

int fault_reader_open(struct reader **out, struct reader *wrapped, struct err *e)
{
	struct fault_reader *r = calloc(1, sizeof(*r));
	*out = NULL;
	if (!r)
		return err_nomem(e);
	r->base.ops = &fault_ops;
	r->base.name = "faults";
	r->base.depth = wrapped->depth;
	r->wrapped = wrapped;
	r->random = 1;
	pthread_mutex_init(&r->lock, NULL);
	*out = &r->base;
	return 0;
}

void fault_set(struct reader *base, size_t i, const struct fault *f)
{
	struct fault_reader *r = of(base);
	pthread_mutex_lock(&r->lock);
	r->rules[i].on = f != NULL;
	if (f)
		r->rules[i].f = *f;
	pthread_mutex_unlock(&r->lock);
}

int fault_count(struct reader *base)
{
	struct fault_reader *r = of(base);
	pthread_mutex_lock(&r->lock);
	int n = r->n_changed;
	pthread_mutex_unlock(&r->lock);
	return n;
}
