/* quant/ against other implementations: golden.bin, written by make_golden.py (the layout is there). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "quant/encode.h"
#include "quant/half.h"
#include "quant/scaling.h"

#define ARRAYS 7

struct array {
	void *p; /* a copy, aligned; NULL if empty */
	uint32_t bytes;
};

struct record {
	char kind[16], name[16];
	enum dtype t;
	struct array a[ARRAYS];
};

static uint8_t *file;
static size_t file_bytes, at;
static int seen[DTYPE_COUNT];

static int load(void **state)
{
	(void)state;
	char path[4096];
	const char *src = getenv("srcdir");
	snprintf(path, sizeof(path), "%s/tests/quant/golden.bin", src ? src : "..");
	FILE *f = fopen(path, "rb");
	if (!f)
		return -1;
	file = malloc(1 << 20);
	file_bytes = fread(file, 1, 1 << 20, f);
	fclose(f);
	return file_bytes > 32 ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	free(file);
	return 0;
}

static void clear(struct record *r)
{
	for (int i = 0; i < ARRAYS; i++)
		free(r->a[i].p);
	memset(r, 0, sizeof(*r));
}

/* The next record of a kind; false at the end. */
static bool next(struct record *r, const char *kind)
{
	clear(r);
	while (at < file_bytes) {
		memcpy(r->kind, file + at, 32);
		at += 32;
		int n = !strcmp(r->kind, "scaled") ? 7 : !strcmp(r->kind, "quantize") ? 4 : 2;
		for (int i = 0; i < n; i++) {
			memcpy(&r->a[i].bytes, file + at, 4);
			if (r->a[i].bytes) {
				r->a[i].p = malloc(r->a[i].bytes);
				memcpy(r->a[i].p, file + at + 4, r->a[i].bytes);
			}
			at += 4 + r->a[i].bytes;
		}
		r->t = DTYPE_UNKNOWN;
		for (int t = 1; t < DTYPE_COUNT; t++)
			if (!strcmp(dtype_info((enum dtype)t)->name, r->name))
				r->t = (enum dtype)t;
		assert_int_not_equal(r->t, DTYPE_UNKNOWN);
		if (!strcmp(r->kind, kind)) {
			seen[r->t]++;
			return true;
		}
		clear(r);
	}
	at = 0;
	return false;
}

static void same_values(const struct record *r, const float *got, const float *want, size_t n, float tolerance)
{
	for (size_t i = 0; i < n; i++)
		if (!(fabsf(got[i] - want[i]) <= tolerance * fabsf(want[i])) && !(got[i] == want[i]) &&
			!(isnan(got[i]) && isnan(want[i])))
			fail_msg("%s %s [%zu]: %.9g, not %.9g", r->kind, r->name, i, (double)got[i],
				(double)want[i]);
}

static void blocks_decode(void **state)
{
	(void)state;
	struct record r = {0};
	while (next(&r, "decode")) {
		size_t n = r.a[1].bytes / sizeof(float);
		float *got = malloc(r.a[1].bytes);
		assert_int_equal(dtype_bytes(r.t, n), r.a[0].bytes);
		dtype_info(r.t)->decode(r.a[0].p, got, n);
		same_values(&r, got, r.a[1].p, n, 0);
		free(got);
	}
}

static void blocks_encode(void **state)
{
	(void)state;
	struct record r = {0};
	while (next(&r, "encode")) {
		size_t n = r.a[0].bytes / sizeof(float);
		uint8_t *got = malloc(r.a[1].bytes);
		assert_int_equal(dtype_bytes(r.t, n), r.a[1].bytes);
		dtype_info(r.t)->encode(r.a[0].p, got, n);
		assert_memory_equal(got, r.a[1].p, r.a[1].bytes);
		free(got);
	}
}

struct parameters {
	uint32_t kind, flat, group_rows, group_cols, inverse, nested_group, cols, row0;
	float factor, offset, tolerance;
};

/* Whole rows, and rows in two parts. */
static void scaled_weights_decode(void **state)
{
	(void)state;
	struct record r = {0};
	while (next(&r, "scaled")) {
		struct parameters p;
		assert_int_equal(r.a[2].bytes, sizeof(p));
		memcpy(&p, r.a[2].p, sizeof(p));
		struct scaling how = {.kind = (enum scale_kind)p.kind, .flat = p.flat,
			.group_rows = p.group_rows, .group_cols = p.group_cols, .inverse = p.inverse,
			.factor = p.factor, .nested_group = p.nested_group, .offset = p.offset,
			.map = r.a[5].p, .code = r.a[6].p};
		struct scales s = {&how, r.a[3].p, scale_index(&how, p.row0, 0, p.cols), r.a[4].p};
		size_t n = r.a[1].bytes / sizeof(float), rows = n / p.cols;
		float *got = malloc(r.a[1].bytes);
		const uint8_t *src = r.a[0].p;
		assert_int_equal(dtype_bytes(r.t, n), r.a[0].bytes);
		for (size_t cut = 0; cut <= 14; cut += 14) {
			for (size_t i = 0; i < rows; i++) {
				const uint8_t *row = src + dtype_bytes(r.t, i * p.cols);
				decode_scaled(r.t, &s, row, p.row0 + i, 0, p.cols, got + i * p.cols, cut);
				decode_scaled(r.t, &s, row + dtype_bytes(r.t, cut), p.row0 + i, cut,
					p.cols, got + i * p.cols + cut, p.cols - cut);
			}
			same_values(&r, got, r.a[1].p, n, p.tolerance);
		}
		free(got);
	}
}

static void weights_quantize(void **state)
{
	(void)state;
	struct record r = {0};
	while (next(&r, "quantize")) {
		uint32_t p[3];
		memcpy(p, r.a[1].p, sizeof(p));
		const size_t n = (size_t)p[0] * p[1];
		uint8_t *codes = calloc(r.a[2].bytes, 1);
		float *scales = calloc(r.a[3].bytes, 1);
		if (r.t == DTYPE_NF4)
			encode_nf4(r.a[0].p, n, p[2], codes, scales);
		else if (r.t == DTYPE_I8_MAP)
			encode_i8_map(r.a[0].p, n, p[2], 0, codes, scales);
		else if (r.t == DTYPE_I8)
			encode_i8_rows(r.a[0].p, p[0], p[1], (int8_t *)codes, scales);
		if (r.t != DTYPE_FP4) { /* only read */
			same_values(&r, scales, r.a[3].p, r.a[3].bytes / sizeof(float), 0);
			assert_memory_equal(codes, r.a[2].p, r.a[2].bytes);
		}
		free(codes);
		free(scales);
	}
}

/* 600 scales, encoded and read back: off by half a step of the map at most. */
static void nested_scales_come_back(void **state)
{
	(void)state;
	enum { N = 600, GROUP = 256 };
	float x[N], nested[3], offset, sum = 0;
	uint8_t codes[N];
	for (int i = 0; i < N; i++)
		sum += x[i] = 0.01f + 0.003f * sinf((float)(i * i));
	encode_nested(x, N, GROUP, codes, nested, &offset);
	assert_true(fabsf(offset - sum / N) < 1e-6f);
	struct scaling how = {.kind = SCALE_NESTED, .flat = 64, .factor = 1, .nested_group = GROUP,
		.offset = offset, .map = dtype_info(DTYPE_I8_MAP)->levels};
	struct scales s = {&how, codes, 0, nested};
	for (uint64_t i = 0; i < N; i++)
		assert_true(fabsf(scale_get(&s, i) - x[i]) <= 0.0071f * nested[i / GROUP] + 1e-8f);
}

/* Runs last: no format without golden values, but f32. */
static void every_format_was_seen(void **state)
{
	(void)state;
	for (int t = DTYPE_F32 + 1; t < DTYPE_COUNT; t++)
		if (!seen[t])
			fail_msg("nothing about %s", dtype_info((enum dtype)t)->name);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_decode),
		cmocka_unit_test(blocks_encode),
		cmocka_unit_test(scaled_weights_decode),
		cmocka_unit_test(weights_quantize),
		cmocka_unit_test(nested_scales_come_back),
		cmocka_unit_test(every_format_was_seen),
	};
	return cmocka_run_group_tests(tests, load, unload);
}
