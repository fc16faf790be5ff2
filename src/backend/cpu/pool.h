/* The threads of the CPU backend. The caller works too, so a pool of 1 has no threads at all.
 *
 * One job runs at a time; a worker that comes late finds nothing left and harms nothing. Workers
 * that find no job spin for some microseconds (operations follow one another closely) and then sleep
 * in a futex, so that a wait for the disk costs no processor time. */
#ifndef AIRLCHAT_BACKEND_CPU_POOL_H
#define AIRLCHAT_BACKEND_CPU_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pool;

/* Does items [begin, end); thread: 0 (the caller) .. threads - 1. */
typedef void pool_fn(void *arg, size_t begin, size_t end, int thread);

int pool_new(struct pool **out, int threads, struct err *e);
void pool_free(struct pool *p);

/* Run fn over [0, items) in pieces of `grain` items (the last may be shorter); returns when all is
 * done. Only one thread may call this on a pool. */
void pool_run(struct pool *p, pool_fn *fn, void *arg, size_t items, size_t grain);

#endif
