/* tui/: the layout at every size, split key sequences, the token bar's sum, scrolling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tui/layout.h"
#include "tui/meters.h"

/* Every row has one owner, none is lost, and the conversation keeps a row of its own. */
static void layout_fits_every_size(void **state)
{
	(void)state;
	for (int h = 1; h <= 100; h++)
		for (int w = 1; w <= 300; w++)
			for (int more = 0; more < 6; more++) {
				struct layout l = screen_layout(w, h, more < 3 ? more : 3 * more, more & 1);
				const int rows[] = {l.title, l.verdict, l.help, l.token, l.legend, l.cost, l.where,
					l.run, l.run_legend, l.gauges, l.vram, l.ram, l.disk, l.rule, l.hints};
				char owned[100] = {0};
				for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
					if (rows[i] >= 0) {
						assert_in_range(rows[i], 0, h - 1);
						owned[rows[i]]++;
					}
				for (int i = 0; i < l.conv_rows; i++)
					owned[l.conv + i]++;
				for (int i = 0; i < l.input_rows; i++)
					owned[l.input + i]++;
				for (int y = 0; y < h; y++)
					assert_int_equal(owned[y], 1);
				assert_true(l.input_rows >= 1 && (h == 1 || l.conv_rows >= 1));
			}
}

/* What is there at the sizes that people use, and what goes first. */
static void layout_shrinks_in_order(void **state)
{
	(void)state;
	int legend = 0, where = 0, cost = 0, disk = 0;
	for (int h = 60; h >= 1; h--) {
		struct layout l = screen_layout(100, h, 1, false);
		assert_true(l.where < 0 || l.legend >= 0);
		assert_true(l.legend < 0 || l.cost >= 0);
		assert_true(l.cost < 0 || l.disk >= 0);
		where += l.where >= 0, legend += l.legend >= 0, cost += l.cost >= 0, disk += l.disk >= 0;
	}
	assert_true(where > 0 && where < legend && legend < cost && cost < disk);
	struct layout l = screen_layout(80, 24, 1, false);
	assert_true(l.where >= 0 && l.help >= 0 && l.conv_rows >= 7);
	l = screen_layout(60, 20, 1, false);
	assert_true(l.cost >= 0 && l.gauges >= 0 && l.disk < 0 && l.where < 0 && l.conv_rows >= 7);
	l = screen_layout(40, 8, 1, false);
	assert_true(l.verdict >= 0 && l.token >= 0 && l.conv_rows >= 2);
	assert_true(screen_layout(100, 30, 1, true).vram >= 0);
}

static void shares_sum_to_width(void **state)
{
	(void)state;
	struct trace_pass p = {.wall = 1000, .ns = {333, 333, 333, 1}};
	for (int w = 1; w < 300; w++) {
		int n[CAUSES];
		meters_shares(&p, w, n);
		assert_int_equal(n[0] + n[1] + n[2] + n[3], w);
	}
}

static void unknown_is_not_zero(void **state)
{
	(void)state;
	struct session_view v = {.why = {.disk_now = -1, .disk_limit = -1, .token_s = -1, .token_p95_s = -1,
					 .now = {-1, -1, -1, -1}}};
	struct grid g = {0};
	struct buf b = BUF_INIT;
	char s[512];
	struct layout l = screen_layout(80, 24, 1, false);
	verdict_text(&v, &glyphs_unicode, 40, &b);
	assert_string_equal(buf_str(&b), "nothing measured yet");
	assert_int_equal(grid_resize(&g, 80, 24), 0);
	meters_draw(&g, &l, &v);
	grid_row(&g, l.disk, s, sizeof(s));
	assert_non_null(strstr(s, "-/- GB/s"));
	assert_null(strstr(s, "0.00"));
	for (int y = 0; y < 24; y++) { /* no number but counts of what did not happen */
		grid_row(&g, y, s, sizeof(s));
		assert_null(strstr(s, "nan"));
		assert_null(strstr(s, "0.00"));
	}
	v.trace.passes = 1;
	v.trace.last = (struct trace_pass){.wall = 1000000000, .ns = {700000000, 0, 300000000, 0},
					   .bytes_disk = 500000000};
	v.why.disk_now = 0.5e9;
	v.why.disk_limit = 1e9;
	v.why.now.floor_s = 0.5;
	buf_reset(&b);
	verdict_text(&v, &glyphs_unicode, 100, &b);
	assert_string_equal(buf_str(&b), "DISK-BOUND: 70% of this token was waiting for the disk \xC2\xB7 "
			       "disk at 50% of its limit \xC2\xB7 at best 500ms");
	buf_reset(&b);
	verdict_text(&v, &glyphs_ascii, 36, &b);
	assert_string_equal(buf_str(&b), "DISK-BOUND 70% - 50% of disk limit");
	buf_clear(&b);
	grid_free(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_fits_every_size),
		cmocka_unit_test(layout_shrinks_in_order),
		cmocka_unit_test(shares_sum_to_width),
		cmocka_unit_test(unknown_is_not_zero),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
