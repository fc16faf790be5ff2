/* Whole screens in memory: each state at five sizes, with Unicode and ASCII glyphs and without colours,
 * compared with tests/tui/golden/STATE.txt; and what every style looks like in every theme, at each depth
 * of colour, with golden/themes.txt: a cell names its style, so both together are every screen in every
 * theme. UPDATE_GOLDEN=1 writes them anew: look at the difference.
 *
 * STATE.txt holds, for each size, the text, then the styles of each row in runs ("12k 3D80 t": twelve cells
 * of k, three of D at shade 80, the rest t; "=": as the row above); for ASCII and mono the rows that
 * differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "tui/stage.h"
#include "tui/ui.h"

static const int sizes[][2] = {{40, 8}, {60, 20}, {80, 24}, {100, 30}, {200, 60}};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

struct state {
	const char *name;
	enum scene scene;
	void (*make)(struct ui *u);
};

/* --- what is said --- */

static const char essay[] =
	"The Moon pulls the near ocean **more strongly** than the Earth, and the Earth more strongly than the far "
	"ocean.\n\n- one bulge faces the Moon,\n- the other faces away;\n- the Earth turns under *both*.\n\n"
	"```python\ndef tides(hours):\n    return hours / 12.42\n```\n\n"
	"| body | pull |\n|------|-----:|\n| Moon | 1.00 |\n| Sun  | 0.46 |\n\nSo there are two tides a day, \xE6\xBD\xAE "
	"in Japanese.";

static void say(struct ui *u, const char *s)
{
	convview_add(&u->conv, ITEM_USER, s, strlen(s));
}

static void grow(struct ui *u, bool think, const char *s)
{
	convview_grow(&u->conv, think, s, strlen(s));
}

static void type(struct ui *u, const char *s)
{
	u->line = (struct input_line){"> ", s, (int)strlen(s), (int)strlen(s)};
}

static void asked(struct ui *u)
{
	say(u, "Why does the tide come twice a day?");
	convview_begin(&u->conv, false);
	u->saved = false;
}

static void streaming(struct ui *u)
{
	asked(u);
	grow(u, false, "The Moon pulls the near ocean **more strongly** than the Earth, and the Earth more");
}

static void answered(struct ui *u)
{
	asked(u);
	grow(u, true, "First the Moon.\nThen the Sun.");
	grow(u, false, essay);
	convview_end(&u->conv, 412, 1860);
	u->view.busy = false;
	u->saved = true;
}

static void unfolded(struct ui *u)
{
	answered(u);
	u->conv.fold = -1;
}

/* Scrolled away while an answer grows. */
static void scrolled(struct ui *u)
{
	char s[64];
	asked(u);
	for (int i = 1; i <= 90; i++) {
		snprintf(s, sizeof(s), "%d. reason number %d\n", i, i);
		grow(u, false, s);
	}
	assert_int_equal(compose(u, u->grid.w, u->grid.h), 0);
	convview_scroll(&u->conv, -20);
	assert_int_equal(compose(u, u->grid.w, u->grid.h), 0);
	grow(u, false, "91. one more\n92. and another\n");
}

static void help(struct ui *u)
{
	answered(u);
	help_enter(u);
}

static void layers(struct ui *u)
{
	streaming(u);
	panel_open(&u->panel, PANEL_LAYERS);
	u->panel.sort = 4; /* disk wait */
}

static void timeline(struct ui *u)
{
	streaming(u);
	panel_open(&u->panel, PANEL_TIMELINE);
}

static void gauges(struct ui *u)
{
	streaming(u);
	panel_open(&u->panel, PANEL_GAUGES);
}

static void popup(struct ui *u)
{
	const char *name, *args, *what;
	answered(u);
	type(u, "/");
	popup_begin(&u->popup, "Tab", u);
	for (size_t i = 0; command_nth(i, &name, &args, &what); i++)
		popup_add(&u->popup, name, command_hint(name), 0);
	popup_show(&u->popup, 2);
}

static void failed(struct ui *u)
{
	say(u, "Why?");
	convview_note(&u->conv, ITEM_ERROR, "model.layers.12.mlp.down_proj.weight: 4096 bytes at offset 88211456 of "
		"model-00002-of-00004.safetensors can't be read: Input/output error");
	convview_note(&u->conv, ITEM_NOTE, "the message is back in the line");
	type(u, "Why?");
	u->view.busy = false;
}

static void ahead(struct ui *u)
{
	streaming(u);
	type(u, "And the next question,\nin two lines, of which the second is long enough to be broken at most sizes that "
		"people use\nor three");
	u->queued = 2;
	u->attached = 12345;
}

static void found(struct ui *u)
{
	answered(u);
	assert_int_equal(compose(u, u->grid.w, u->grid.h), 0);
	u->mode = MODE_FIND;
	buf_puts(&u->query, "the");
	convview_find(&u->conv, "the", 3);
	convview_find_next(&u->conv, -1);
}

static void edited(struct ui *u)
{
	answered(u);
	type(u, "Why does the tide come once a day?");
	u->line.prompt = "edit> ";
	u->editing = 1;
	strcpy(u->flash, "Esc leaves the message as it was");
}

static const struct state states[] = {{"idle", IDLE, NULL}, {"prompt", PROMPT, asked}, {"disk-bound", TOKEN, streaming},
	{"compute-bound", RESIDENT, streaming}, {"device", COPIES, streaming}, {"scrolled", TOKEN, scrolled},
	{"answered", TOKEN, answered}, {"unfolded", TOKEN, unfolded}, {"help", TOKEN, help}, {"layers", TOKEN, layers},
	{"timeline", TOKEN, timeline}, {"gauges", TOKEN, gauges}, {"device-gauges", COPIES, gauges},
	{"popup", TOKEN, popup}, {"error", TOKEN, failed}, {"ahead", TOKEN, ahead}, {"find", TOKEN, found},
	{"edit", TOKEN, edited}};

/* --- a screen as text --- */

static void put_style(struct buf *out, int run, style_t st)
{
	static const char items[] = "tTkdmlsuahceDRVCPSO", attrs[] = "*-/_!~";
	if (run != 1)
		buf_printf(out, "%d", run);
	buf_addc(out, items[STYLE_ITEM(st)]);
	if (STYLE_SHADE(st))
		buf_printf(out, "%02x", STYLE_SHADE(st));
	for (int i = 0; i < 6; i++)
		if (st & STYLE_BOLD << i)
			buf_addc(out, attrs[i]);
}

static void put_styles(struct buf *out, const struct grid *g, int y)
{
	const struct cell *c = g->c + (size_t)y * (size_t)g->w;
	for (int x = 0, n; x < g->w; x += n) {
		bool blank = true;
		for (n = 1; x + n < g->w && c[x + n].style == c[x].style;)
			n++;
		for (int i = x; i < g->w; i++)
			blank &= c[i].cp == ' ' && c[i].style == ST_TEXT;
		if (blank)
			return;
		if (x)
			buf_addc(out, ' ');
		put_style(out, x + n < g->w ? n : 1, c[x].style);
	}
}

static void row_text(const struct grid *g, int y, struct buf *out)
{
	char row[4096];
	size_t n = grid_row(g, y, row, sizeof(row));
	while (n && row[n - 1] == ' ')
		n--;
	buf_add(out, row, n);
}

/* All of it; or, against what another variant was drawn as, the rows that differ. */
static void put_screen(struct buf *out, const struct grid *g, const char *name, const struct grid *than)
{
	struct buf last = BUF_INIT, now = BUF_INIT;
	buf_printf(out, "\n== %dx%d %s\n", g->w, g->h, name);
	for (int y = 0; y < g->h; y++) {
		bool same = than != NULL;
		for (int x = 0; same && x < g->w; x++)
			same = grid_cell_same(g, g->c + y * g->w + x, than, than->c + y * g->w + x);
		if (same)
			continue;
		if (than)
			buf_printf(out, "%d ", y);
		row_text(g, y, out);
		buf_addc(out, '\n');
	}
	for (int y = 0; y < g->h && !than; y++) {
		buf_reset(&now);
		put_styles(&now, g, y);
		buf_puts(out, y && !strcmp(buf_str(&now), buf_str(&last)) ? "=" : buf_str(&now));
		buf_addc(out, '\n');
		buf_reset(&last);
		buf_add(&last, buf_str(&now), now.len);
	}
	buf_clear(&last);
	buf_clear(&now);
}

static void draw(const struct state *s, const int size[2], const struct glyphs *k, bool mono, struct grid *out)
{
	struct stage st;
	char name[] = "tide";
	struct ui u = {.grid = {.glyphs = k, .mono = mono}, .saved = true, .name = name, .status = "think:on T=0.7 "};
	stage_open(&st, s->scene);
	convview_init(&u.conv);
	u.view = st.v;
	u.trace = st.replay.trace;
	type(&u, "");
	u.grid.w = size[0];
	u.grid.h = size[1];
	if (s->make)
		s->make(&u);
	assert_int_equal(compose(&u, size[0], size[1]), 0);
	assert_true(u.cx < size[0] && u.cy < size[1]);
	*out = u.grid;
	convview_clear(&u.conv);
	popup_clear(&u.popup);
	panel_clear(&u.panel);
	rows_clear(&u.help);
	buf_clear(&u.query);
	stage_close(&st);
}

/* --- comparing --- */

static void compare(const struct buf *seen, const char *name)
{
	char path[512], file[128];
	struct buf want = BUF_INIT;
	struct err e = ERR_INIT;
	snprintf(file, sizeof(file), "tui/golden/%s.txt", name);
	test_path(path, sizeof(path), file);
	if (getenv("UPDATE_GOLDEN"))
		assert_int_equal(file_write(path, seen->p, seen->len, 0644, &e), 0);
	assert_int_equal(file_read(path, 1 << 20, &want, &e), 0);
	const char *a = seen->p, *b = buf_str(&want);
	for (int line = 1; strcmp(a, b) != 0; line++) {
		size_t m = strcspn(a, "\n"), n = strcspn(b, "\n");
		if (m != n || memcmp(a, b, n) != 0)
			fail_msg("%s:%d\nwant: %.*s\nseen: %.*s", path, line, (int)n, b, (int)m, a);
		a += m + (a[m] != 0);
		b += n + (b[n] != 0);
	}
	buf_clear(&want);
}

static void screens(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		struct buf out = BUF_INIT;
		buf_printf(&out, "tests/tui/test_screen.c: %s\n", states[i].name);
		for (size_t k = 0; k < SIZES; k++) {
			struct grid g, ascii, mono;
			draw(states + i, sizes[k], &glyphs_unicode, false, &g);
			draw(states + i, sizes[k], &glyphs_ascii, true, &ascii);
			draw(states + i, sizes[k], &glyphs_unicode, true, &mono);
			put_screen(&out, &g, "Unicode", NULL);
			put_screen(&out, &mono, "mono", &g);
			put_screen(&out, &ascii, "ASCII", &g);
			for (int c = 0; c < ascii.w * ascii.h; c++) /* but for what is in the conversation */
				if (!(ascii.c[c].cp < 0x7f || ascii.c[c].cp == 0x6f6e))
					fail_msg("%s: U+%04X among ASCII glyphs", states[i].name, ascii.c[c].cp);
			grid_free(&g);
			grid_free(&ascii);
			grid_free(&mono);
		}
		compare(&out, states[i].name);
		buf_clear(&out);
	}
}

/* --- themes --- */

static void put_color(struct buf *out, int32_t c)
{
	if (c == COLOR_NONE)
		buf_puts(out, "-");
	else if (c & COLOR_RGB)
		buf_printf(out, "#%06x", (unsigned)c & 0xffffff);
	else
		buf_printf(out, "%d", (int)c);
}

static void put_look(struct buf *out, const struct theme *t, style_t st)
{
	static const char attrs[] = "*-/_!~";
	struct look l;
	theme_look(t, st, &l);
	buf_addc(out, ' ');
	put_color(out, l.fg);
	if (l.bg != COLOR_NONE) {
		buf_addc(out, '/');
		put_color(out, l.bg);
	}
	for (int i = 0; i < 6; i++)
		if (l.attrs & STYLE_BOLD << i)
			buf_addc(out, attrs[i]);
}

static void themes(void **state)
{
	static const char *const names[] = {"default", "dark", "light", "high-contrast", "colour-blind", "mono"};
	static const char *const depths[] = {"no colours", "16", "256", "true"};
	static const char items[] = "tTkdmlsuahceDRVCPSO";
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	(void)state;
	buf_puts(&out, "tests/tui/test_screen.c: styles (gradients at 0, 1/4, 1/2, 3/4, 1) in each theme and depth\n");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		for (int depth = DEPTH_MONO; depth <= DEPTH_TRUE; depth++) {
			struct theme *t = theme_load(names[i], (enum theme_depth)depth, NULL, &e);
			assert_non_null(t);
			buf_printf(&out, "\n== %s, %s\n", names[i], depths[depth]);
			for (int s = 0; s < STYLES; s++) {
				buf_addc(&out, items[s]);
				for (int q = 0; q <= (s >= ST_DISK ? 4 : 0); q++)
					put_look(&out, t, style_at((enum style)s, q / 4.0));
				buf_addc(&out, '\n');
			}
			theme_free(t);
		}
	compare(&out, "themes");
	buf_clear(&out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(screens), cmocka_unit_test(themes)};
	setenv("XDG_CONFIG_HOME", "/nonexistent", 1); /* the user's themes are not tested */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
