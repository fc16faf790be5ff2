#include "backend/cpu/pool.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define SPIN_NS 30000
#define CLOSED 0xFFFFFFFFu /* as the piece number: the job is being exchanged */
#define STACK_BYTES ((size_t)256 << 10)

struct worker {
	struct pool *pool;
	pthread_t thread;
	int index;
};

/* `claim` holds the job's number (upper half) and the next piece (lower half), so that a compare and
 * exchange takes a piece only of the job whose fields were read. The caller sets the lower half to
 * CLOSED, writes the fields, then opens the new job; all fields are atomics. */
struct pool {
	_Alignas(64) _Atomic uint64_t claim;
	_Alignas(64) _Atomic uint32_t done; /* pieces finished; the caller's futex */
	_Atomic bool waiting;		    /* the caller sleeps, or is about to */
	_Alignas(64) _Atomic uint32_t epoch; /* rises with every job; the workers' futex */
	_Atomic uint32_t sleepers;
	_Atomic bool stop;
	_Atomic(pool_fn *) fn;
	_Atomic(void *) arg;
	_Atomic size_t items, grain;
	_Atomic uint32_t pieces;
	int threads; /* the caller included */
	struct worker *workers;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* True when *word is no longer `seen` within SPIN_NS. */
static bool spin_while(_Atomic uint32_t *word, uint32_t seen)
{
	int64_t end = clock_ns() + SPIN_NS;
	do {
		for (int i = 0; i < 32; i++) {
			if (atomic_load_explicit(word, memory_order_acquire) != seen)
				return true;
			cpu_relax();
		}
	} while (clock_ns() < end);
	return false;
}

/* Take pieces of the present job until none is left. */
static void work(struct pool *p, int thread)
{
	for (;;) {
		uint64_t c = atomic_load(&p->claim);
		uint32_t piece = (uint32_t)c;
		pool_fn *fn = atomic_load(&p->fn);
		void *arg = atomic_load(&p->arg);
		size_t items = atomic_load(&p->items), grain = atomic_load(&p->grain);
		uint32_t pieces = atomic_load(&p->pieces);
		if (piece == CLOSED || piece >= pieces)
			return;
		if (!atomic_compare_exchange_strong(&p->claim, &c, c + 1))
			continue;
		size_t begin = piece * grain;
		size_t end = items - begin < grain ? items : begin + grain;
		fn(arg, begin, end, thread);
		if (atomic_fetch_add(&p->done, 1) + 1 == pieces && atomic_load(&p->waiting))
			futex_wake(&p->done);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	for (;;) {
		uint32_t seen = atomic_load(&p->epoch);
		work(p, w->index);
		if (atomic_load(&p->stop))
			return NULL;
		if (spin_while(&p->epoch, seen))
			continue;
		atomic_fetch_add(&p->sleepers, 1);
		while (atomic_load(&p->epoch) == seen)
			futex_wait(&p->epoch, seen);
		atomic_fetch_sub(&p->sleepers, 1);
	}
}

static void wake_workers(struct pool *p)
{
	atomic_fetch_add(&p->epoch, 1);
	if (atomic_load(&p->sleepers))
		futex_wake(&p->epoch);
}

static void wait_done(struct pool *p, uint32_t pieces)
{
	int64_t end = clock_ns() + SPIN_NS;
	uint32_t seen;
	while ((seen = atomic_load(&p->done)) != pieces) {
		cpu_relax();
		if (clock_ns() < end)
			continue;
		atomic_store(&p->waiting, true);
		seen = atomic_load(&p->done);
		if (seen != pieces)
			futex_wait(&p->done, seen);
		atomic_store(&p->waiting, false);
	}
}

void pool_run(struct pool *p, pool_fn *fn, void *arg, size_t items, size_t grain)
{
	if (!items)
		return;
	if (!grain)
		grain = 1;
	while (items / grain >= CLOSED / 2)
		grain *= 2;
	uint32_t pieces = (uint32_t)((items - 1) / grain + 1);
	if (p->threads == 1 || pieces == 1) {
		fn(arg, 0, items, 0);
		return;
	}
	uint64_t job = (atomic_load(&p->claim) >> 32) + 1;
	atomic_store(&p->claim, job << 32 | CLOSED);
	atomic_store(&p->fn, fn);
	atomic_store(&p->arg, arg);
	atomic_store(&p->items, items);
	atomic_store(&p->grain, grain);
	atomic_store(&p->pieces, pieces);
	atomic_store(&p->done, 0);
	atomic_store(&p->claim, job << 32);
	wake_workers(p);
	work(p, 0);
	wait_done(p, pieces);
}

static void stop_workers(struct pool *p, int count)
{
	atomic_store(&p->stop, true);
	wake_workers(p);
	for (int i = 1; i < count; i++)
		pthread_join(p->workers[i].thread, NULL);
}

int pool_new(struct pool **out, int threads, struct err *e)
{
	*out = NULL;
	struct pool *p = aligned_alloc(64, sizeof(*p));
	if (!p)
		return err_nomem(e);
	*p = (struct pool){.claim = CLOSED, .threads = threads};
	p->workers = calloc((size_t)threads, sizeof(*p->workers));
	if (!p->workers) {
		free(p);
		return err_nomem(e);
	}
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (int i = 1; i < threads; i++) {
		p->workers[i] = (struct worker){.pool = p, .index = i};
		int rc = pthread_create(&p->workers[i].thread, &attr, worker_main, &p->workers[i]);
		if (rc) {
			stop_workers(p, i);
			pthread_attr_destroy(&attr);
			free(p->workers);
			free(p);
			return err_sys(e, rc, "can't start compute thread %d of %d", i + 1, threads);
		}
	}
	pthread_attr_destroy(&attr);
	*out = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	stop_workers(p, p->threads);
	free(p->workers);
	free(p);
}
