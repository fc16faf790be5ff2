#include "tui/paint.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <curses.h>
#include <term.h>

#include "base/utf8.h"

static SCREEN *screen;
static char leave[128];
static struct grid shown; /* what curses was given by now, to give it only what differs */
static bool forgotten;

/* Append a terminfo string without its delays, "$<5>", which no terminal of today needs. */
static void keep(char *to, size_t cap, const char *name)
{
	const char *s = tigetstr(name);
	size_t n = strlen(to);
	if (s == (char *)-1)
		return;
	while (s && *s && n + 1 < cap) {
		const char *end = s[0] == '$' && s[1] == '<' ? strchr(s, '>') : NULL;
		if (end)
			s = end + 1;
		else
			to[n++] = *s++;
	}
	to[n] = '\0';
}

int paint_open(const char **out, struct err *e)
{
	int rc;
	if (setupterm(NULL, 1, &rc) != 0)
		return err_set(e, ERR_UNSUPPORTED, "the terminal type in TERM is not known; --plain needs none");
	bool moves = tigetstr("cup") && tigetstr("clear");
	del_curterm(cur_term);
	if (!moves || !(screen = newterm(NULL, stdout, stdin)))
		return err_set(e, ERR_UNSUPPORTED, "this terminal (TERM) can't move its cursor; --plain needs none that can");
	raw();
	noecho();
	nonl();
	intrflush(stdscr, FALSE);
	if (has_colors()) {
		start_color();
		use_default_colors();
	}
	*leave = '\0';
	keep(leave, sizeof(leave), "sgr0");
	keep(leave, sizeof(leave), "rmcup");
	keep(leave, sizeof(leave), "cnorm");
	*out = leave;
	return 0;
}

void paint_close(void)
{
	if (!screen)
		return;
	if (!isendwin())
		endwin();
	delscreen(screen);
	screen = NULL;
	grid_free(&shown);
}

void paint_leave(void)
{
	endwin();
}

void paint_return(void)
{
	def_prog_mode();
	paint_forget();
}

/* True colours only where the terminal's description has them (xterm-direct and the like): curses
 * knows no others, and changing the palette would outlive the program. */
enum theme_depth paint_depth(void)
{
	if (!has_colors() || COLORS < 8)
		return DEPTH_MONO;
	return COLORS >= COLOR_RGB ? DEPTH_TRUE : COLORS >= 256 ? DEPTH_256 : DEPTH_16;
}

void paint_forget(void)
{
	forgotten = true;
	clearok(curscr, TRUE);
}

static int color(int32_t c)
{
	if (c == COLOR_NONE)
		return -1;
	c &= COLOR_RGB - 1;
	return c >= COLORS ? c & 7 : c;
}

/* Attributes of a look, and in *pair its colours. */
static attr_t attributes(const struct look *l, int *pair)
{
	static const struct {
		uint32_t style;
		attr_t attr;
	} map[] = {{STYLE_BOLD, A_BOLD}, {STYLE_DIM, A_DIM}, {STYLE_ITALIC, A_ITALIC},
		{STYLE_UNDERLINE, A_UNDERLINE}, {STYLE_REVERSE, A_REVERSE}};
	attr_t a = 0;
	for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
		if (l->attrs & map[i].style)
			a |= map[i].attr;
	*pair = 0;
	if (!has_colors())
		return a;
	if (l->fg >= 8 && l->fg < 16 && COLORS < 16)
		a |= A_BOLD; /* how eight colours become bright */
	*pair = alloc_pair(color(l->fg), color(l->bg));
	if (*pair < 0)
		*pair = 0;
	return a;
}

/* For terminals of another character set: the nearest ASCII. */
static wchar_t plain(uint32_t cp)
{
	static const char map[][2] = {{0x10, '-'}, {0x11, '-'}, {0x12, '-'}, {0x13, '-'}, {0x14, '-'},
		{0x18, '\''}, {0x19, '\''}, {0x1a, ','}, {0x1c, '"'}, {0x1d, '"'}, {0x22, '*'}, {0x26, '.'}};
	if (cp >= 0x2000 && cp < 0x2070)
		for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
			if ((char)(cp & 0xff) == map[i][0])
				return (wchar_t)map[i][1];
	return cp == 0xa0 ? L' ' : L'?';
}

/* The locale's character set has it. */
static bool has(uint32_t cp)
{
	char b[64]; /* >= MB_LEN_MAX */
	mbstate_t state;
	memset(&state, 0, sizeof(state));
	return wcrtomb(b, (wchar_t)cp, &state) != (size_t)-1;
}

/* The characters of a cell as curses takes them: one that has width, then marks without. A sequence of
 * several with width (a family of emoji) shows its first. False if curses and the grid differ on the
 * width, which would shift the row. */
static bool characters(const struct grid *g, const struct cell *c, int w, bool utf8,
	wchar_t out[CCHARW_MAX + 1])
{
	char s[72];
	size_t len = grid_cell_text(g, c, s, sizeof(s)), n = 0;
	for (size_t i = 0; i < len && n < CCHARW_MAX;) {
		uint32_t cp;
		i += utf8_decode(s + i, len - i, &cp, NULL);
		if (n > 0 && wcwidth((wchar_t)cp) != 0)
			break;
		out[n++] = utf8 || cp < 0x7f || has(cp) ? (wchar_t)cp : plain(cp);
	}
	while (n > 1 && out[n - 1] == 0x200d) /* curses takes one wide character a cell: nothing is joined to it */
		n--;
	out[n] = L'\0';
	return n > 0 && wcwidth(out[0]) == w;
}

static void paint_cell(const struct grid *g, const struct cell *c, int x, int y, int w, bool utf8,
	const struct look *l)
{
	wchar_t s[CCHARW_MAX + 1];
	cchar_t cc;
	int pair;
	attr_t a = attributes(l, &pair);
	if (!characters(g, c, w, utf8, s)) {
		wchar_t first = s[0] && wcwidth(s[0]) == 1 ? s[0] : L'?';
		s[0] = first;
		s[1] = L'\0';
		if (w == 2 && setcchar(&cc, L" ", a, 0, &pair) == OK)
			mvadd_wch(y, x + 1, &cc);
	}
	if (setcchar(&cc, s, a, 0, &pair) == OK)
		mvadd_wch(y, x, &cc);
}

static bool same(const struct grid *g, int x, int y)
{
	const size_t at = (size_t)y * (size_t)g->w + (size_t)x;
	return grid_cell_same(g, g->c + at, &shown, shown.c + at);
}

static void paint_row(const struct grid *g, const struct theme *t, int y, bool all, bool utf8)
{
	const struct cell *row = g->c + (size_t)y * (size_t)g->w;
	for (int x = 0, w; x < g->w; x += w) {
		struct look l;
		w = x + 1 < g->w && row[x + 1].cp == 0 ? 2 : 1;
		if (!all && same(g, x, y) && (w == 1 || same(g, x + 1, y)))
			continue;
		theme_look(t, row[x].style, &l);
		paint_cell(g, row + x, x, y, w, utf8, &l);
	}
}

void paint(const struct grid *g, const struct theme *t, int cx, int cy, bool utf8)
{
	bool all = forgotten || shown.w != g->w || shown.h != g->h;
	if (g->w != COLS || g->h != LINES)
		resizeterm(g->h, g->w);
	for (int y = 0; y < g->h; y++)
		paint_row(g, t, y, all, utf8);
	forgotten = grid_copy(&shown, g) < 0;
	curs_set(cx >= 0);
	if (cx >= 0)
		move(cy < g->h ? cy : g->h - 1, cx < g->w ? cx : g->w - 1);
	refresh();
}
