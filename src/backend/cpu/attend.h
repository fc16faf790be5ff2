/* Attention of the variants that go through cells with many queries together: what is a part, and who does it. */
#ifndef AIRLCHAT_BACKEND_CPU_ATTEND_H
#define AIRLCHAT_BACKEND_CPU_ATTEND_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/pool.h"

/* scratch: CPU_SCRATCH_BYTES for each thread of the pool, one behind the other. */
void attend_run(struct pool *pool, int threads, const struct cpu_kernels *kernels, unsigned char *scratch,
	const struct attention *a);

#endif
