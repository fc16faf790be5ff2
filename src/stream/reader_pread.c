/* Reads by threads that call pread: works everywhere. */
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "stream/reader_private.h"

#define MAX_THREADS 16
#define STACK ((size_t)64 << 10)

struct pread_reader {
	struct reader base;
	struct read_files files;
	pthread_t threads[MAX_THREADS];
	unsigned n_threads;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work, done;
	struct read_req *queue;	   /* [depth] waiting, a ring */
	struct read_req *finished; /* [depth] */
	unsigned q_head, q_len, n_finished, in_flight;
	bool woken, quit;
};

static void *worker(void *arg)
{
	struct pread_reader *r = arg;
	pthread_mutex_lock(&r->lock);
	while (true) {
		while (!r->q_len && !r->quit)
			pthread_cond_wait(&r->work, &r->lock);
		if (r->quit)
			break;
		struct read_req req = r->queue[r->q_head];
		r->q_head = (r->q_head + 1) % r->base.depth;
		r->q_len--;
		pthread_mutex_unlock(&r->lock);
		req.result = (int)read_file_at(&r->files, &req);
		if (!atomic_load(&r->files.p[req.file].direct))
			atomic_store(&r->base.name, "pread+buffered");
		pthread_mutex_lock(&r->lock);
		r->finished[r->n_finished++] = req;
		pthread_cond_signal(&r->done);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static bool pread_submit(struct reader *base, const struct read_req *req)
{
	struct pread_reader *r = (struct pread_reader *)base;
	pthread_mutex_lock(&r->lock);
	bool ok = r->in_flight < base->depth;
	if (ok) {
		r->queue[(r->q_head + r->q_len++) % base->depth] = *req;
		r->in_flight++;
		pthread_cond_signal(&r->work);
	}
	pthread_mutex_unlock(&r->lock);
	return ok;
}

static size_t pread_reap(struct reader *base, struct read_req *done, size_t max, bool wait)
{
	struct pread_reader *r = (struct pread_reader *)base;
	pthread_mutex_lock(&r->lock);
	while (wait && !r->n_finished && !r->woken)
		pthread_cond_wait(&r->done, &r->lock);
	r->woken = false;
	size_t n = 0;
	while (n < max && r->n_finished) {
		done[n++] = r->finished[--r->n_finished];
		r->in_flight--;
	}
	pthread_mutex_unlock(&r->lock);
	return n;
}

static void pread_wake(struct reader *base)
{
	struct pread_reader *r = (struct pread_reader *)base;
	pthread_mutex_lock(&r->lock);
	r->woken = true;
	pthread_cond_signal(&r->done);
	pthread_mutex_unlock(&r->lock);
}

static void pread_close(struct reader *base)
{
	struct pread_reader *r = (struct pread_reader *)base;
	pthread_mutex_lock(&r->lock);
	r->quit = true;
	pthread_cond_broadcast(&r->work);
	pthread_mutex_unlock(&r->lock);
	while (r->n_threads)
		pthread_join(r->threads[--r->n_threads], NULL);
	pthread_cond_destroy(&r->work);
	pthread_cond_destroy(&r->done);
	pthread_mutex_destroy(&r->lock);
	read_files_close(&r->files);
	free(r->queue);
	free(r->finished);
	free(r);
}

static const struct reader_ops pread_ops = {pread_close, pread_submit, NULL, pread_reap, pread_wake, NULL};

static int start_threads(struct pread_reader *r, struct err *e)
{
	pthread_attr_t attr;
	unsigned n = r->base.depth < MAX_THREADS ? r->base.depth : MAX_THREADS;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	int rc = 0;
	while (r->n_threads < n && rc == 0) {
		rc = pthread_create(&r->threads[r->n_threads], &attr, worker, r);
		r->n_threads += rc == 0;
	}
	pthread_attr_destroy(&attr);
	return r->n_threads ? 0 : err_sys(e, rc, "can't start a reader thread");
}

int pread_reader_open(struct reader **out, const struct read_files *f, unsigned depth, struct err *e)
{
	struct pread_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return err_nomem(e);
	r->base.ops = &pread_ops;
	r->base.depth = depth;
	atomic_init(&r->base.name, f->direct ? "pread+direct" : "pread+buffered");
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->work, NULL);
	pthread_cond_init(&r->done, NULL);
	r->queue = mem_array(depth, sizeof(*r->queue));
	r->finished = mem_array(depth, sizeof(*r->finished));
	r->files = *f; /* before the threads start */
	if (!r->queue || !r->finished || start_threads(r, e) < 0) {
		if (!r->queue || !r->finished)
			err_nomem(e);
		r->files = (struct read_files){0}; /* the caller's still */
		pread_close(&r->base);
		return -1;
	}
	*out = &r->base;
	return 0;
}
