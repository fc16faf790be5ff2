/* How fast the matrix products of each variant are: `make tests/bin/bench_ops`, then
 * tests/bin/bench_ops [THREADS]. Weights of one row: Gweights/s; 512 rows: GFLOP/s. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "base/mem.h"

enum { MAX_ROWS = 512 };

/* Seconds of one product, the best of runs that take 0.2 s together. */
static double seconds(struct backend *b, const struct matmul *m)
{
	double best = 1e9;
	int64_t start = clock_ns();
	do {
		int64_t t = clock_ns();
		b->ops->matmul(b, m);
		double s = (double)(clock_ns() - t) * 1e-9;
		best = s < best ? s : best;
	} while (clock_ns() - start < 200000000);
	return best;
}

static void bench(struct backend *b, enum dtype t, uint32_t k, uint32_t rows, void *w, float *x, float *y)
{
	struct matmul m = {.y = y, .ldy = rows, .x = x, .ldx = k, .w = w, .dtype = t, .k = k, .rows = rows};
	double weights = (double)k * rows, bytes = (double)dtype_bytes(t, (uint64_t)k * rows);
	printf("%-7s %-5s %5u x %5u:", b->variant, dtype_info(t)->name, rows, k);
	m.n = 1;
	double s = seconds(b, &m);
	printf("  n=1 %7.2f Gweights/s %6.2f GB/s ", weights / s * 1e-9, bytes / s * 1e-9);
	for (m.n = 2; m.n <= MAX_ROWS; m.n = m.n < 4 ? m.n + 1 : m.n * (m.n < 64 ? 4 : 8))
		printf(" n=%u %.1f", m.n, 2e-9 * weights * m.n / seconds(b, &m));
	printf(" GFLOP/s\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct {
		uint32_t k, rows;
	} sizes[] = {{576, 576}, {1536, 576}, {4096, 1024}};
	struct err e = ERR_INIT;
	size_t most = (size_t)4096 * 1024;
	void *w = mem_pages(most * sizeof(float));
	float *x = mem_pages((size_t)MAX_ROWS * 4096 * sizeof(float));
	float *y = mem_pages((size_t)MAX_ROWS * 1024 * sizeof(float));
	if (!w || !x || !y)
		return 1;
	memset(w, 0x11, most * sizeof(float));
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b;
		if (!strcmp(*v, "ref"))
			continue;
		if (cpu_backend_open(&b, *v, argc > 1 ? atoi(argv[1]) : 0, &e)) {
			fprintf(stderr, "%s\n", e.msg);
			return 1;
		}
		for (enum dtype t = DTYPE_F32; t < DTYPE_COUNT; t++)
			for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
				if (sizes[s].k % dtype_info(t)->block == 0)
					bench(b, t, sizes[s].k, sizes[s].rows, w, x, y);
		b->ops->close(b);
	}
	return 0;
}
