/* tui/: the layout at every size, split key sequences, the token bar's sum, scrolling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tui/convview.h"
#include "tui/keys.h"
#include "tui/layout.h"
#include "tui/meters.h"

static void layout_fits_every_size(void **state)
{
	(void)state;
	for (int h = 1; h <= 100; h++)
		for (int w = 1; w <= 300; w++) {
			struct layout l = layout_make(w, h, 3);
			assert_true(l.input >= 0 && l.input_rows >= 1 && l.input + l.input_rows == h);
			int n = l.conv_rows + l.input_rows + (l.title >= 0) + (l.verdict >= 0) +
				(l.token >= 0) + (l.run >= 0) + (l.gauges >= 0);
			assert_int_equal(n, h);
			assert_true(h == 1 || l.conv_rows >= 1);
		}
}

static struct buf seen = BUF_INIT;

static void note(void *user, enum key k, const char *s, size_t len)
{
	(void)user;
	buf_printf(&seen, "%d:%.*s;", (int)k, (int)len, s);
}

static void keys_split_anywhere(void **state)
{
	(void)state;
	static const char in[] = "a\x1b[5~\x1b[200~x\ny\x1b[201~\x1b[<64;3;4M\x1b[A\x1b\r";
	size_t n = sizeof(in) - 1;
	for (size_t cut = 0; cut <= n; cut++) {
		struct keys k = {.on_key = note};
		buf_reset(&seen);
		keys_feed(&k, in, cut);
		keys_feed(&k, in + cut, n - cut);
		assert_string_equal(buf_str(&seen), "0:a;2:;1:x\ny;5:;0:\x1b[A;7:;");
		keys_clear(&k);
	}
	buf_clear(&seen);
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
	struct session_view v = {.disk_gb_s = -1, .disk_limit_gb_s = -1};
	struct grid g = {0};
	char s[512];
	verdict_text(&v, s, sizeof(s));
	assert_string_equal(s, "nothing measured yet");
	assert_int_equal(grid_resize(&g, 80, 1), 0);
	meters_gauges(&g, 0, &v);
	grid_row(&g, 0, s, sizeof(s));
	assert_non_null(strstr(s, "DISK -/- GB/s"));
	grid_free(&g);
	v.trace.passes = 1;
	v.trace.last = (struct trace_pass){.wall = 1000000000, .ns = {700000000, 0, 300000000, 0},
					   .bytes_disk = 500000000};
	v.disk_limit_gb_s = 1;
	verdict_text(&v, s, sizeof(s));
	assert_string_equal(s, "70% of the last pass was waiting for the disk \xC2\xB7 "
			       "disk floor 0.50 s of 1.00 s");
}

static void streaming_keeps_a_scrolled_view(void **state)
{
	(void)state;
	struct convview c = {0};
	struct grid g = {0};
	char a[128], b[128];
	for (int i = 0; i < 20; i++) {
		char s[] = "row A";
		s[4] = (char)('A' + i);
		convview_line(&c, s);
	}
	assert_int_equal(grid_resize(&g, 30, 5), 0);
	convview_draw(&c, &g, 0, 5, true);
	grid_row(&g, 4, a, sizeof(a));
	assert_memory_equal(a, "row T", 5);
	convview_scroll(&c, -4);
	assert_int_equal(grid_resize(&g, 30, 5), 0);
	convview_draw(&c, &g, 0, 5, true);
	grid_row(&g, 0, a, sizeof(a));
	convview_line(&c, "new\x1b[31m");
	assert_int_equal(grid_resize(&g, 30, 5), 0);
	convview_draw(&c, &g, 0, 5, true);
	grid_row(&g, 0, b, sizeof(b));
	assert_string_equal(a, b);
	grid_row(&g, 4, b, sizeof(b));
	assert_non_null(strstr(b, "v 5 more (End)"));
	grid_free(&g);
	buf_clear(&c.text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_fits_every_size),
		cmocka_unit_test(keys_split_anywhere),
		cmocka_unit_test(shares_sum_to_width),
		cmocka_unit_test(unknown_is_not_zero),
		cmocka_unit_test(streaming_keeps_a_scrolled_view),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
