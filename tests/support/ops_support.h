/* What the tests of the operations share: numbers, and backends of a variant. */
#ifndef AIRLCHAT_TESTS_OPS_SUPPORT_H
#define AIRLCHAT_TESTS_OPS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "backend/cpu/cpu.h"
#include "quant/half.h"

static uint32_t seed = 1;

static inline uint32_t rnd(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static inline float rnd_float(void)
{
	return (float)rnd() / (float)(1 << 23) - 1.0f;
}

static inline void fill(float *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = rnd_float();
}

static inline struct backend *open_cpu(const char *ops, int threads)
{
	struct err e = ERR_INIT;
	struct backend *b;
	if (cpu_backend_open(&b, ops, threads, &e))
		fail_msg("%s", e.msg);
	return b;
}

#endif
