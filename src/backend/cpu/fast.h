/* --math fast: products whose activations are rounded, to 8 bits or to bf16. One row of functions per kind;
 * what a rounded row of x looks like is its own affair. */
#ifndef AIRLCHAT_BACKEND_CPU_FAST_H
#define AIRLCHAT_BACKEND_CPU_FAST_H

#include "backend/cpu/kernels.h"

struct cpu_fast {
	bool (*takes)(const struct matmul *m); /* else another kind, or the exact kernels do it */
	size_t (*row_bytes)(uint32_t k);       /* of a rounded row; a multiple of 64 */
	uint32_t rows_round;		       /* that are rounded together */
	/* Row i of x, a multiple of rows_round, and up to so many from there on. */
	void (*round)(const struct matmul *m, uint8_t *to, uint32_t i);
	/* Weight rows [r0, r1) for all n rows. x: the rounded rows; kernels: of the same variant. */
	void (*matmul)(const struct matmul *m, const uint8_t *x, uint32_t r0, uint32_t r1, float *scratch,
		const struct cpu_kernels *kernels);
};

/* NULL when this build or machine can't run it. */
const struct cpu_fast *cpu_fast_few_avx2(void);   /* 8 bits, few rows of x */
const struct cpu_fast *cpu_fast_few_avx512(void); /* likewise, VNNI */
const struct cpu_fast *cpu_fast_avx2(void);   /* 8 bits, any number of rows */
const struct cpu_fast *cpu_fast_avx512(void); /* likewise, VNNI */
const struct cpu_fast *cpu_fast_bf16(void);   /* bf16, AVX512_BF16 */
const struct cpu_fast *cpu_fast_amx(void);    /* bf16, AMX */

#endif
