/* The meters and panels on a grid, fed by a recorded trace under a virtual clock, compared with screens
 * that were looked at. UPDATE_GOLDEN=1 writes tests/tui/golden anew: look at the difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "support/replay.h"
#include "tui/format.h"
#include "tui/meters.h"
#include "tui/panel.h"

enum scene { IDLE, PROMPT, TOKEN, SCENES };

struct stage {
	struct replay replay;
	struct session_view v;
	struct plan plan;
	uint8_t kept[31];
};

static void path_of(char *out, size_t cap, const char *name)
{
	const char *dir = getenv("srcdir");
	snprintf(out, cap, "%s/tests/%s", dir ? dir : ".", name);
}

/* A plan whose schedule is what the recording's last pass went through. */
static void make_plan(struct stage *st)
{
	struct trace_log l = {0};
	uint64_t resident[31] = {0}, all[31] = {0};
	struct plan *p = &st->plan;
	assert_int_equal(trace_log(st->replay.trace, 0, &l), 0);
	p->schedule.chunks = mem_array(l.n, sizeof(*p->schedule.chunks));
	p->tiers = mem_array(l.n, 1);
	p->schedule.n = l.n;
	for (uint32_t i = 0; i < l.n; i++) {
		p->schedule.chunks[i] = (struct chunk){.layer = l.chunks[i].layer, .bytes = l.chunks[i].bytes};
		p->schedule.bytes += l.chunks[i].bytes;
		p->tiers[i] = l.chunks[i].tier;
		*(p->tiers[i] ? &p->resident_bytes : &p->streamed_bytes) += l.chunks[i].bytes;
		resident[l.chunks[i].layer] += p->tiers[i] ? l.chunks[i].bytes : 0;
		all[l.chunks[i].layer] += l.chunks[i].bytes;
	}
	for (int i = 0; i < 31; i++)
		st->kept[i] = (uint8_t)(resident[i] * 100 / all[i]);
	p->ram_bytes = 60 << 20;
	p->ring_bytes = 8 << 20;
	p->kv_bytes = 6 << 20;
	p->activation_bytes = 5 << 20;
	p->base_bytes = 19 << 20;
	trace_log_clear(&l);
}

static void stage_open(struct stage *st, enum scene scene)
{
	char path[512];
	*st = (struct stage){0};
	path_of(path, sizeof(path), "trace/smollm2.trace");
	assert_int_equal(replay_open(&st->replay, path), 0);
	struct session_view *v = &st->v;
	*v = (struct session_view){.model = "SmolLM2-135M", .dtype = "q4_1", .model_bytes = 96576768, .n_layers = 30,
		.ram_used = 22 << 20, .reader = "uring+direct", .device = "cpu/avx2 2 threads",
		.why = {.disk_now = -1, .disk_limit = 1.09e9, .token_s = -1, .token_p95_s = -1, .now = {-1, -1, -1, -1}}};
	if (scene != IDLE) {
		struct stage all = {0};
		stage_open(&all, IDLE);
		while (replay_pass(&all.replay, -1))
			;
		make_plan(&all);
		st->plan = all.plan;
		memcpy(st->kept, all.kept, sizeof(st->kept));
		trace_view_clear(&all.v.trace);
		replay_close(&all.replay);
		v->busy = true;
		v->ctx = 512;
		v->ram_budget = st->plan.ram_bytes;
		v->resident_bytes = st->plan.resident_bytes;
		v->streamed_bytes = st->plan.streamed_bytes;
		v->layer_resident = st->kept;
		v->chunks_ahead = 3;
		v->reads_in_flight = 9;
		v->why.plan = &st->plan;
		v->why.disk_now = 0.91e9;
		v->why.stream.cursor = st->plan.schedule.n / 2;
		v->why.stream.ahead = 3;
		v->why.stream.issued = st->plan.schedule.n / 2 + 9;
		for (v->why.n_rates = 0; v->why.n_rates < 10; v->why.n_rates++)
			v->why.rates[v->why.n_rates] = 0.7e9 + 3e7 * (double)v->why.n_rates;
	}
	if (scene == PROMPT) {
		trace_reset_sums(st->replay.trace);
		assert_true(replay_pass(&st->replay, 86000));
		v->prefill_total = 36;
	} else if (scene == TOKEN) {
		for (int i = 0; i < 3; i++)
			assert_true(replay_pass(&st->replay, -1));
		assert_true(replay_pass(&st->replay, 30000));
		v->ctx_used = 40;
		v->answer_tokens = 4;
		v->answer_max = 100;
		v->why.token_s = 0.0672;
		v->why.token_p95_s = 0.081;
		v->why.now = (struct predicted){0.0661, 0.0628, 0.0628, 0.0201};
		v->why.help[0] = (struct predict_option){"--ram 132M", 132 << 20, 0.0204};
		v->why.help[1] = (struct predict_option){"--ram 96M", 96 << 20, 0.0409};
		v->why.n_help = 2;
	}
	assert_int_equal(trace_view(st->replay.trace, &v->trace), 0);
}

static void stage_close(struct stage *st)
{
	trace_view_clear(&st->v.trace);
	replay_close(&st->replay);
	free(st->plan.schedule.chunks);
	free(st->plan.tiers);
}

static void compare(const struct grid *g, const char *name)
{
	char path[512], file[128], row[2048];
	struct buf seen = BUF_INIT, want = BUF_INIT;
	struct err e = ERR_INIT;
	snprintf(file, sizeof(file), "tui/golden/%s.txt", name);
	path_of(path, sizeof(path), file);
	for (int y = 0; y < g->h; y++) {
		size_t n = grid_row(g, y, row, sizeof(row));
		while (n && row[n - 1] == ' ')
			n--;
		buf_printf(&seen, "%.*s\n", (int)n, row);
	}
	if (getenv("UPDATE_GOLDEN"))
		assert_int_equal(file_write(path, buf_str(&seen), seen.len, 0644, &e), 0);
	assert_int_equal(file_read(path, 1 << 20, &want, &e), 0);
	if (strcmp(buf_str(&seen), buf_str(&want)) != 0)
		print_message("# %s differs:\n%s", path, buf_str(&seen));
	assert_string_equal(buf_str(&seen), buf_str(&want));
	buf_clear(&seen);
	buf_clear(&want);
}

static void golden_meters(void **state)
{
	static const char *const names[SCENES] = {"idle", "prompt", "token"};
	static const int sizes[][2] = {{40, 8}, {60, 20}, {80, 24}, {100, 30}, {200, 60}};
	(void)state;
	for (int scene = 0; scene < SCENES; scene++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			for (int ascii = 0; ascii < 2; ascii++) {
				struct stage st;
				struct grid g = {.glyphs = ascii ? &glyphs_ascii : &glyphs_unicode, .mono = ascii};
				char name[64];
				stage_open(&st, (enum scene)scene);
				assert_int_equal(grid_resize(&g, sizes[i][0], sizes[i][1]), 0);
				struct layout l = screen_layout(g.w, g.h, 1, false);
				meters_draw(&g, &l, &st.v);
				snprintf(name, sizeof(name), "meters-%s-%dx%d%s", names[scene], g.w, g.h,
					ascii ? "-ascii" : "");
				compare(&g, name);
				grid_free(&g);
				stage_close(&st);
			}
}

static void golden_panels(void **state)
{
	static const char *const names[PANELS] = {"", "layers", "timeline", "gauges"};
	static const int sizes[][2] = {{40, 8}, {60, 20}, {100, 40}};
	(void)state;
	for (int kind = PANEL_LAYERS; kind < PANELS; kind++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			struct stage st;
			struct panel p = {0};
			struct grid g = {.glyphs = &glyphs_unicode};
			char name[64];
			stage_open(&st, TOKEN);
			panel_open(&p, (enum panel_kind)kind);
			if (kind == PANEL_LAYERS && i == 1)
				p.sort = 8; /* last */
			assert_int_equal(grid_resize(&g, sizes[i][0], sizes[i][1]), 0);
			panel_draw(&p, &g, (struct rect){0, 0, g.w, g.h}, st.replay.trace,
				&st.v);
			snprintf(name, sizeof(name), "panel-%s-%dx%d", names[kind], g.w, g.h);
			compare(&g, name);
			panel_clear(&p);
			grid_free(&g);
			stage_close(&st);
		}
}

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
		cmocka_unit_test(golden_meters), cmocka_unit_test(golden_panels), cmocka_unit_test(stays_inside),
		cmocka_unit_test(letters_differ), cmocka_unit_test(timeline_keys), cmocka_unit_test(numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
