/* How fast the matrix products of each variant are: `make tests/bin/bench_ops`, then
 * tests/bin/bench_ops [THREADS [VARIANT [DTYPE [fast]]]]. Weights of one row: Gweights/s and GB/s; several rows:
 * GFLOP/s. The last size is larger than caches. One thread is measured in CPU time, so that other programs
 * disturb little. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "base/mem.h"

enum { MAX_ROWS = 512, MAX_K = 4096, MAX_OUT = 4096, LARGE = 16384 };

static double now(const struct backend *b)
{
	struct timespec t;
	clock_gettime(b->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds of one product, the best of runs that take 0.15 s together. */
static double seconds(struct backend *b, const struct matmul *m)
{
	double best = 1e9;
	int64_t start = clock_ns();
	do {
		double t = now(b);
		b->ops->matmul(b, m);
		double s = now(b) - t;
		best = s < best ? s : best;
	} while (clock_ns() - start < 150000000);
	return best;
}

/* Scales as each format has them in published models. */
static struct scales scales_for(enum dtype t, const float *p)
{
	static const struct scaling block = {SCALE_F32, .group_rows = 128, .group_cols = 128, .factor = 1};
	static const struct scaling row = {SCALE_F32, .group_rows = 1, .group_cols = 1 << 20, .factor = 1 / 127.0f};
	static const struct scaling flat = {SCALE_F32, .flat = 64, .factor = 1};
	static const struct scaling wide = {SCALE_F32, .flat = 4096, .factor = 1};
	static const struct scaling mx = {SCALE_E8M0, .group_rows = 1, .group_cols = 32, .factor = 1};
	struct scales s = {NULL, p, 0, NULL};
	if (t == DTYPE_F8_E4M3 || t == DTYPE_F8_E5M2)
		s.how = &block;
	else if (t == DTYPE_I8)
		s.how = &row;
	else if (t == DTYPE_I8_MAP)
		s.how = &wide;
	else if (t == DTYPE_NF4 || t == DTYPE_FP4)
		s.how = &flat;
	else if (t == DTYPE_E2M1)
		s.how = &mx;
	return s;
}

static void bench(struct backend *b, enum dtype t, uint32_t k, uint32_t rows, void *w, float *x, float *y)
{
	struct matmul m = {.y = y, .ldy = rows, .x = x, .ldx = k, .w = w, .dtype = t, .k = k, .rows = rows,
		.scales = scales_for(t, x)};
	double weights = (double)k * rows, bytes = (double)dtype_bytes(t, (uint64_t)k * rows);
	printf("%-7s %-7s %5u x %5u:", b->variant, dtype_info(t)->name, rows, k);
	m.n = 1;
	double s = seconds(b, &m);
	printf("  n=1 %6.2f Gw/s %6.2f GB/s ", weights / s * 1e-9, bytes / s * 1e-9);
	static const uint32_t ns[] = {2, 3, 4, 8, 64, 512};
	for (size_t i = 0; i < sizeof(ns) / sizeof(*ns) && (rows < LARGE || ns[i] <= 8); i++) {
		m.n = ns[i];
		printf(" n=%u %.1f", m.n, 2e-9 * weights * m.n / seconds(b, &m));
	}
	printf(" GFLOP/s\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct {
		uint32_t k, rows;
	} sizes[] = {{576, 576}, {1536, 576}, {4096, 4096}, {MAX_K, LARGE}};
	struct err e = ERR_INIT;
	size_t most = (size_t)MAX_K * LARGE;
	void *w = mem_pages(most * sizeof(float));
	float *x = mem_pages((size_t)MAX_ROWS * MAX_K * sizeof(float));
	float *y = mem_pages((size_t)MAX_ROWS * MAX_OUT * sizeof(float));
	if (!w || !x || !y)
		return 1;
	memset(w, 0x11, most * sizeof(float));
	for (size_t i = 0; i < (size_t)MAX_ROWS * MAX_K; i++)
		x[i] = (float)(i % 13) - 6;
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b;
		if (argc > 2 ? strcmp(*v, argv[2]) : !strcmp(*v, "ref"))
			continue;
		if (cpu_backend_open(&b, *v, argc > 1 ? atoi(argv[1]) : 0, &e)) {
			fprintf(stderr, "%s\n", e.msg);
			return 1;
		}
		if (argc > 4)
			cpu_backend_fast(b);
		for (enum dtype t = DTYPE_F32; t < DTYPE_COUNT; t++)
			for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
				if (sizes[s].k % dtype_info(t)->block == 0 &&
					(argc < 4 || !strcmp(dtype_info(t)->name, argv[3])))
					bench(b, t, sizes[s].k, sizes[s].rows, w, x, y);
		b->ops->close(b);
	}
	return 0;
}
