/* A device for tests that is as asynchronous as a GPU: it wraps the CPU backend, has memory of its
 * own, and each of its two queues is a thread that waits a random 0 to 200 us before every task. A
 * missing queue_wait, or host memory that is used again too early, gives wrong numbers.
 *
 * Device memory is filled with NaN when it is allocated and can't be touched (PROT_NONE) once it is
 * freed, so freeing what a queued task still needs crashes. close works the queues off. */
#ifndef AIRLCHAT_TESTS_DELAY_BACKEND_H
#define AIRLCHAT_TESTS_DELAY_BACKEND_H

#include "backend/backend.h"

/* ops and threads as in cpu_backend_open; seed chooses the delays. */
int delay_backend_open(struct backend **out, const char *ops, int threads, uint64_t seed,
	struct err *e);

#endif
