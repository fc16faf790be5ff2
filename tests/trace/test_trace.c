/* trace/: shares sum to the wall time, on invented and on recorded passes; overlap; export. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "support/replay.h"

static int64_t now_ns;

static int64_t now(void *arg)
{
	(void)arg;
	return now_ns;
}

static void sums_to_wall(const struct trace_pass *p)
{
	int64_t sum = 0;
	for (int c = 0; c < CAUSES; c++) {
		assert_true(p->ns[c] >= 0);
		sum += p->ns[c];
	}
	assert_true(sum == p->wall);
}

static void layers_sum_to_pass(const struct trace_view *v)
{
	int64_t sum[CAUSES] = {0};
	uint64_t bytes = 0;
	for (uint32_t l = 0; l <= v->n_layers; l++) {
		for (int c = 0; c < CAUSES; c++)
			sum[c] += v->layers[l].ns[c];
		bytes += v->layers[l].bytes_disk;
	}
	for (int c = 0; c < CAUSES; c++)
		assert_true(sum[c] == v->last.ns[c]);
	assert_true(bytes == v->last.bytes_disk);
}

/* Random passes, with gaps, overlapping and backward spans: still every nanosecond has one cause. */
static void shares_sum_to_wall(void **state)
{
	(void)state;
	struct trace *t = trace_new(5);
	struct trace_view v = {0};
	int64_t total = 0, begun = 0;
	assert_non_null(t);
	trace_set_clock(t, now, NULL);
	now_ns = 1000;
	srand(7);
	trace_reset_sums(t);
	for (int pass = 0; pass < 100; pass++) {
		bool keep = rand() % 5 != 0, prefill = pass == 0;
		if (!keep || pass == 0)
			begun = now_ns += rand() % 50;
		else
			now_ns += rand() % 50;
		trace_pass_begin(t, prefill, 1);
		for (int i = 0; i < 40; i++) {
			int64_t t0 = now_ns + rand() % 9 - 4;
			now_ns += rand() % 100;
			if (rand() % 3 == 0)
				trace_layer(t, (uint32_t)(rand() % 6));
			trace_span(t, (enum cause)(rand() % 3), NULL, t0, now_ns);
			if (rand() % 2)
				trace_use(t, &(struct trace_chunk){.layer = (uint32_t)(rand() % 6),
					.bytes = 10, .issued = t0 - 50, .in_ram = t0, .from = t0,
					.start = now_ns});
			if (rand() % 8 == 0) {
				assert_int_equal(trace_view(t, &v), 0);
				sums_to_wall(&v.now);
			}
		}
		now_ns += rand() % 50;
		trace_pass_end(t, keep);
		assert_int_equal(trace_view(t, &v), 0);
		if (!keep)
			continue;
		sums_to_wall(&v.last);
		layers_sum_to_pass(&v);
		assert_true(v.last.read_busy <= v.last.wall);
		total += v.last.wall;
	}
	sums_to_wall(&v.decode);
	assert_true(v.decode.wall + v.prefills.wall == total);
	assert_true(begun > 0);
	trace_view_clear(&v);
	trace_free(t);
}

/* The time between two decode passes is the second one's; before an answer it is nobody's. */
static void gap_is_other(void **state)
{
	(void)state;
	struct trace *t = trace_new(1);
	struct trace_view v = {0};
	trace_set_clock(t, now, NULL);
	now_ns = 100;
	trace_reset_sums(t);
	trace_pass_begin(t, true, 9);
	now_ns = 200;
	trace_pass_end(t, true);
	now_ns = 230;
	trace_pass_begin(t, false, 1);
	trace_span(t, CAUSE_COMPUTE, NULL, 230, 300);
	now_ns = 300;
	trace_pass_end(t, true);
	trace_view(t, &v);
	assert_int_equal(v.last.wall, 100);
	assert_int_equal(v.last.ns[CAUSE_OTHER], 30);
	assert_int_equal(v.layers[1].ns[CAUSE_OTHER], 30);
	now_ns = 5000;
	trace_reset_sums(t);
	trace_pass_begin(t, false, 1);
	now_ns = 5100;
	trace_pass_end(t, true);
	trace_view(t, &v);
	assert_int_equal(v.last.wall, 100);
	trace_view_clear(&v);
	trace_free(t);
}

/* A read that goes on across the end of a pass makes both passes' disk busy. */
static void busy_across_passes(void **state)
{
	(void)state;
	struct trace *t = trace_new(1);
	struct trace_view v = {0};
	trace_set_clock(t, now, NULL);
	now_ns = 1000;
	trace_pass_begin(t, false, 1);
	trace_use(t, &(struct trace_chunk){.bytes = 5, .issued = 900, .in_ram = 1100, .from = 1000, .start = 1100});
	trace_use(t, &(struct trace_chunk){.bytes = 5, .issued = 950, .in_ram = 1150, .from = 1200, .start = 1200});
	now_ns = 2000;
	trace_pass_end(t, true);
	trace_view(t, &v);
	assert_int_equal(v.last.read_busy, 150);
	assert_int_equal(v.last.late, 1);
	assert_int_equal(v.last.reads, 2);
	assert_int_equal(v.last.read_sum, 400);
	assert_int_equal(v.last.bytes_copy, 0);
	trace_pass_begin(t, false, 1);
	trace_use(t, &(struct trace_chunk){.bytes = 5, .issued = 1900, .in_ram = 2500, .from = 2000, .start = 2500});
	trace_view(t, &v);
	assert_int_equal(v.last.read_busy, 250);
	assert_int_equal(v.decode.read_busy, 250);
	assert_int_equal(v.now.read_busy, 500);
	trace_view_clear(&v);
	trace_free(t);
}

static void replayed_passes(void **state)
{
	(void)state;
	struct replay r;
	struct trace_view v = {0};
	struct trace_log l = {0};
	char path[512];
	const char *dir = getenv("srcdir");
	snprintf(path, sizeof(path), "%s/tests/trace/smollm2.trace", dir ? dir : ".");
	assert_int_equal(replay_open(&r, path), 0);
	int passes = 0;
	for (; replay_pass(&r, -1); passes++) {
		assert_int_equal(trace_view(r.trace, &v), 0);
		sums_to_wall(&v.last);
		layers_sum_to_pass(&v);
		assert_int_equal(trace_log(r.trace, 0, &l), 0);
		uint64_t disk = 0, ram = 0;
		for (uint32_t i = 0; i < l.n; i++)
			*(l.chunks[i].issued ? &disk : &ram) += l.chunks[i].bytes;
		assert_true(disk == v.last.bytes_disk && ram == v.last.bytes_ram);
		assert_true(v.last.ns[CAUSE_DISK] > 0 && v.last.ns[CAUSE_COMPUTE] > 0);
	}
	assert_int_equal(passes, 4);
	assert_int_equal(v.n_decode, 3);
	assert_int_equal(trace_log(r.trace, 4, &l), -1);
	struct trace_layer_stats s[31];
	trace_layers(r.trace, s);
	for (int i = 0; i < 31; i++)
		assert_true(s[i].last > 0 && s[i].p95 >= s[i].last && s[i].p95 >= s[i].mean);
	trace_log_clear(&l);
	trace_view_clear(&v);
	replay_close(&r);
}

/* Lanes: compute and waits sum to the exposed time, whatever the number of cells. */
static void lanes_keep_time(void **state)
{
	(void)state;
	struct trace_chunk c[] = {
		{.bytes = 1, .issued = 10, .in_ram = 40, .from = 20, .start = 40, .end = 60, .wait = {20, 0}},
		{.bytes = 1, .issued = 30, .in_ram = 70, .from = 60, .start = 70, .end = 100, .wait = {10, 0}}};
	struct trace_log l = {.start = 0, .n = 2, .chunks = c, .pass = {.wall = 100}};
	for (uint32_t n = 1; n <= 100; n++) {
		float out[LANES * 100];
		double sum[LANES] = {0};
		trace_lanes(&l, 0, 100, n, out);
		for (int k = 0; k < LANES; k++)
			for (uint32_t i = 0; i < n; i++) {
				assert_true(out[(uint32_t)k * n + i] >= 0 && out[(uint32_t)k * n + i] <= 1);
				sum[k] += (double)out[(uint32_t)k * n + i] * 100 / n;
			}
		assert_true(sum[LANE_DISK] > 59.99 && sum[LANE_DISK] < 60.01);
		assert_true(sum[LANE_COMPUTE] > 49.99 && sum[LANE_COMPUTE] < 50.01);
		assert_true(sum[LANE_WAIT_DISK] > 29.99 && sum[LANE_WAIT_DISK] < 30.01);
	}
}

/* More chunks than records: merged, nothing lost. */
static void many_chunks(void **state)
{
	(void)state;
	struct trace *t = trace_new(9);
	struct trace_log l = {0};
	trace_set_clock(t, now, NULL);
	now_ns = 0;
	trace_pass_begin(t, false, 1);
	for (int i = 0; i < 20000; i++) {
		trace_layer(t, (uint32_t)i / 2000);
		trace_span(t, CAUSE_DISK, NULL, now_ns, now_ns + 3);
		trace_use(t, &(struct trace_chunk){.layer = (uint32_t)i / 2000, .bytes = 7, .issued = now_ns + 1,
			.in_ram = now_ns + 3, .from = now_ns, .start = now_ns + 3});
		now_ns += 10;
		trace_span(t, CAUSE_COMPUTE, NULL, now_ns - 7, now_ns);
	}
	trace_pass_end(t, true);
	assert_int_equal(trace_log(t, 0, &l), 0);
	assert_in_range(l.n, TRACE_CHUNKS / 4, TRACE_CHUNKS);
	uint64_t bytes = 0, chunks = 0;
	int64_t wait = 0;
	for (uint32_t i = 0; i < l.n; i++) {
		bytes += l.chunks[i].bytes;
		chunks += l.chunks[i].merged + 1;
		wait += l.chunks[i].wait[CAUSE_DISK];
	}
	assert_int_equal(bytes, 140000);
	assert_int_equal(chunks, 20000);
	assert_int_equal(wait, 60000);
	trace_log_clear(&l);
	trace_free(t);
}

static void check_json(const char *path, size_t least)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct json_reader r;
	size_t n = 0;
	assert_int_equal(file_read(path, 1 << 24, &b, &e), 0);
	json_reader_init(&r, b.p, b.len, path, &e);
	for (json_array(&r); json_next(&r); n++)
		json_skip(&r);
	assert_int_equal(json_end(&r), 0);
	assert_true(n >= least);
	json_reader_clear(&r);
	buf_clear(&b);
}

static void export_is_json(void **state)
{
	(void)state;
	struct replay r;
	struct err e = ERR_INIT;
	char path[512], out[] = "/tmp/airlchat-trace-XXXXXX";
	uint32_t passes;
	const char *dir = getenv("srcdir");
	int fd = mkstemp(out);
	assert_true(fd >= 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/tests/trace/smollm2.trace", dir ? dir : ".");
	assert_int_equal(replay_open(&r, path), 0);
	assert_int_equal(trace_export(r.trace, out, &e), 0);
	while (replay_pass(&r, -1))
		;
	char copy[] = "/tmp/airlchat-trace-XXXXXX";
	fd = mkstemp(copy);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(trace_dump(r.trace, copy, &passes, &e), 0);
	assert_int_equal(passes, 4);
	replay_close(&r); /* ends the export */
	check_json(out, 1000);
	check_json(copy, 1000);
	unlink(out);
	unlink(copy);
	r = (struct replay){.trace = trace_new(1)};
	assert_int_equal(trace_dump(r.trace, "/nonexistent/x", &passes, &e), -1);
	assert_int_equal(trace_export(r.trace, "/nonexistent/x", &e), -1);
	trace_free(r.trace);
}

/* At 300 chunks a pass, what the trace itself takes: 100 us would be 1% of a pass of 10 ms. */
static void is_cheap(void **state)
{
	(void)state;
	struct trace *t = trace_new(30);
	int64_t best = INT64_MAX;
	for (int pass = 0; pass < 20; pass++) {
		int64_t start = clock_ns();
		trace_pass_begin(t, false, 1);
		for (int i = 0; i < 300; i++) {
			trace_span(t, CAUSE_DISK, NULL, start + i, start + i);
			trace_use(t, &(struct trace_chunk){.layer = (uint32_t)i / 10, .bytes = 7, .issued = start,
				.in_ram = start + i, .from = start + i, .start = start + i});
			trace_span(t, CAUSE_COMPUTE, NULL, start + i, start + i + 1);
		}
		trace_pass_end(t, true);
		int64_t took = clock_ns() - start;
		best = took < best ? took : best;
	}
	print_message("# 300 chunks: %.1f us\n", (double)best / 1e3);
	assert_true(best < 1000000); /* sanitizers are slow; the point is not to be off by orders */
	trace_free(t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_sum_to_wall),
		cmocka_unit_test(gap_is_other),
		cmocka_unit_test(busy_across_passes),
		cmocka_unit_test(replayed_passes),
		cmocka_unit_test(lanes_keep_time),
		cmocka_unit_test(many_chunks),
		cmocka_unit_test(export_is_json),
		cmocka_unit_test(is_cheap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
