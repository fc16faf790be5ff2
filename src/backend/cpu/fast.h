/* --math fast: products of low-bit weights with activations rounded to 8 bits. */
#ifndef AIRLCHAT_BACKEND_CPU_FAST_H
#define AIRLCHAT_BACKEND_CPU_FAST_H

#include "backend/cpu/kernels.h"

/* Rows of x, rounded: in each group of 32, x = d * q; s = d * (the sum of the q). */
struct fast_x {
	int8_t *q; /* [n, ldq] */
	size_t ldq;
	float *d, *s; /* [n, ldd] */
	size_t ldd;
};

struct cpu_fast {
	const char *name; /* of the variant */
	bool (*takes)(const struct matmul *m); /* else the exact kernels do it */
	void (*round)(const struct matmul *m, const struct fast_x *to, uint32_t i); /* row i of x */
	/* Weight rows [r0, r1) for all n rows. */
	void (*matmul)(const struct matmul *m, const struct fast_x *x, uint32_t r0, uint32_t r1,
		float *scratch);
};

/* NULL when this build or machine can't run it. */
const struct cpu_fast *cpu_fast_avx512(void);

#endif
