/* The meters and panels on a grid, fed by a recorded trace under a virtual clock: no size is too small.
 * What they look like is compared in test_screen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tui/stage.h"
#include "tui/format.h"
#include "tui/meters.h"
#include "tui/panel.h"

/* Every size, glyph set, scene and panel: nothing is written outside its rectangle. */
static void stays_inside(void **state)
{
	(void)state;
	for (int scene = 0; scene < SCENES; scene++) {
		struct stage st;
		stage_open(&st, (enum scene)scene);
		for (int w = 1; w <= 300; w += w < 130 ? 1 : 17)
			for (int h = 1; h <= 60; h += h < 20 ? 1 : 13) {
				struct grid g = {.glyphs = w & 1 ? &glyphs_ascii : &glyphs_unicode};
				assert_int_equal(grid_resize(&g, w, h), 0);
				struct layout l = screen_layout(w, h, 1, w & 2);
				meters_draw(&g, &l, &st.v);
				for (int y = l.conv; y < l.conv + l.conv_rows; y++)
					for (int x = 0; x < w; x++)
						assert_int_equal(g.c[y * w + x].cp, ' ');
				for (int kind = PANEL_LAYERS; kind < PANELS && w > 2 && h > 2; kind++) {
					struct panel p = {.kind = (enum panel_kind)kind};
					assert_int_equal(grid_resize(&g, w, h), 0);
					panel_draw(&p, &g, (struct rect){1, 1, w - 2, h - 2},
						st.replay.trace, &st.v);
					for (int x = 0; x < w; x++) {
						assert_int_equal(g.c[x].cp, ' ');
						assert_int_equal(g.c[(h - 1) * w + x].cp, ' ');
					}
					for (int y = 0; y < h; y++) {
						assert_int_equal(g.c[y * w].cp, ' ');
						assert_int_equal(g.c[y * w + w - 1].cp, ' ');
					}
					panel_clear(&p);
				}
				grid_free(&g);
			}
		stage_close(&st);
	}
}

static bool shows(const struct grid *g, const char *text)
{
	for (int y = 0; y < g->h; y++) {
		char row[400];
		for (int x = 0; x < g->w; x++)
			row[x] = g->c[y * g->w + x].cp < 128 ? (char)g->c[y * g->w + x].cp : '?';
		row[g->w] = 0;
		if (strstr(row, text))
			return true;
	}
	return false;
}

/* Under the run bar for the pass, in F2 for each layer, in F4; and only in models that have experts. */
static void experts_are_told(void **state)
{
	(void)state;
	for (int has = 0; has < 2; has++) {
		struct stage st;
		struct grid g = {.glyphs = &glyphs_ascii};
		stage_open(&st, TOKEN);
		struct trace_view *t = &st.v.trace;
		t->last.experts = has;
		t->last.expert_hits = 201;
		t->last.expert_misses = 39;
		t->last.expert_wrong = 7;
		t->layers[2].expert_hits = has ? 5 : 0;
		t->layers[2].expert_misses = has ? 3 : 0;
		struct layout l = screen_layout(160, 40, 1, false);
		assert_int_equal(grid_resize(&g, 160, 40), 0);
		meters_draw(&g, &l, &st.v);
		assert_int_equal(shows(&g, "experts 201 hit 39 missed 7 wrong"), has);
		for (int kind = PANEL_LAYERS; kind < PANELS; kind++) {
			struct panel p = {.kind = (enum panel_kind)kind};
			assert_int_equal(grid_resize(&g, 160, 40), 0);
			panel_draw(&p, &g, (struct rect){0, 0, 160, 40}, st.replay.trace, &st.v);
			if (kind == PANEL_LAYERS) {
				assert_int_equal(shows(&g, "  hits  misses  wrong"), has);
				assert_int_equal(shows(&g, "     5       3      0"), has);
				assert_int_equal(shows(&g, "     -       -      -"), has); /* dense layers */
			}
			panel_clear(&p);
		}
		grid_free(&g);
		stage_close(&st);
	}
}

/* In ASCII each part of a bar has a letter of its own. */
static void letters_differ(void **state)
{
	(void)state;
	struct grid g = {.glyphs = &glyphs_ascii, .mono = true};
	for (int a = 0; a < CAUSES; a++)
		for (int b = a + 1; b < CAUSES; b++)
			assert_string_not_equal(meters_letter(&g, (enum cause)a), meters_letter(&g, (enum cause)b));
	const char *run[] = {glyphs_ascii.full, glyphs_ascii.dark, glyphs_ascii.medium, glyphs_ascii.light,
		glyphs_ascii.empty};
	for (int a = 0; a < 5; a++)
		for (int b = a + 1; b < 5; b++)
			assert_string_not_equal(run[a], run[b]);
}

static void timeline_keys(void **state)
{
	(void)state;
	struct stage st;
	struct panel p = {0};
	struct grid g = {.glyphs = &glyphs_unicode};
	char row[1024];
	stage_open(&st, TOKEN);
	struct trace *s = st.replay.trace;
	assert_int_equal(grid_resize(&g, 80, 12), 0);
	panel_open(&p, PANEL_TIMELINE);
	panel_draw(&p, &g, (struct rect){0, 0, 80, 12}, s, &st.v);
	assert_int_equal(p.pass, 2);
	for (int i = 0; i < 20; i++) {
		assert_true(panel_key(&p, '+'));
		assert_true(panel_key(&p, PANEL_RIGHT));
		panel_draw(&p, &g, (struct rect){0, 0, 80, 12}, s, &st.v);
		assert_true(p.at >= 0 && p.at + 1 / p.zoom <= 1.0000001);
	}
	assert_true(panel_key(&p, PANEL_DOWN));
	panel_draw(&p, &g, (struct rect){0, 0, 80, 12}, s, &st.v);
	assert_int_equal(p.pass, 1);
	for (int i = 0; i < 5; i++) {
		panel_key(&p, PANEL_DOWN);
		panel_draw(&p, &g, (struct rect){0, 0, 80, 12}, s, &st.v);
	}
	assert_int_equal(p.pass, 0);
	assert_int_equal(grid_resize(&g, 80, 12), 0);
	panel_draw(&p, &g, (struct rect){0, 0, 80, 12}, s, &st.v);
	grid_row(&g, 0, row, sizeof(row));
	assert_non_null(strstr(row, "pass 1 prompt (held)"));
	assert_true(panel_key(&p, PANEL_END));
	panel_draw(&p, &g, (struct rect){0, 0, 80, 12}, s, &st.v);
	assert_int_equal(p.pass, 2);
	assert_true(panel_key(&p, 'q'));
	assert_int_equal(p.kind, PANEL_NONE);
	assert_false(panel_key(&p, '+'));
	panel_clear(&p);
	grid_free(&g);
	stage_close(&st);
}

static void numbers(void **state)
{
	(void)state;
	static const struct {
		double s;
		const char *want;
	} seconds[] = {{-1, "-"}, {0, "0.0ms"}, {0.0042, "4.2ms"}, {0.0673, "67ms"}, {0.9996, "1.00s"}, {4.312, "4.31s"},
		{43.21, "43.2s"}, {432, "7m12s"}, {7380, "2h03m"}, {900000, "10d"}, {1e300, "-"}};
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++)
		assert_string_equal(fmt_seconds(FMT, seconds[i].s), seconds[i].want);
	assert_string_equal(fmt_bytes(FMT, 0), "0B");
	assert_string_equal(fmt_bytes(FMT, 6442450944), "6.0G");
	assert_string_equal(fmt_bytes(FMT, UINT64_MAX), "16384P");
	assert_string_equal(fmt_pair(FMT, 22 << 20, 60 << 20), "22/60M");
	assert_string_equal(fmt_pair(FMT, 0, 0), "0/0B");
	assert_string_equal(fmt_percent(FMT, 1, 0), "-");
	assert_string_equal(fmt_count(FMT, 3100), "3.1k");
	assert_string_equal(fmt_rate(FMT, -1), "-");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(stays_inside),
		cmocka_unit_test(experts_are_told),
		cmocka_unit_test(letters_differ), cmocka_unit_test(timeline_keys), cmocka_unit_test(numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
