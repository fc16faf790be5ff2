#include "tui/paint.h"

#include <curses.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>

#include "base/utf8.h"

static struct {
	const char *cup, *setaf, *setab, *sgr0, *el, *bold, *dim, *italic, *underline, *reverse, *civis,
		*cnorm, *clear;
	int colors, ncv;
	bool bce, am, xenl, truecolor;
} cap;

static char enter[128], leave[128];
static struct grid shown; /* what the terminal shows, if !forgotten */
static bool forgotten = true;
static int at_x, at_y; /* the cursor; at_x < 0: not known */
static struct look now;
static bool now_known, hidden;

static const char *string(const char *name)
{
	const char *s = tigetstr(name);
	return s == (char *)-1 ? NULL : s;
}

/* Terminfo strings may hold delays, "$<5>", which no terminal of today needs. */
static void add(struct buf *out, const char *s)
{
	while (s && *s) {
		const char *end = s[0] == '$' && s[1] == '<' ? strchr(s, '>') : NULL;
		if (end)
			s = end + 1;
		else
			buf_addc(out, *s++);
	}
}

static void keep(char *to, size_t n, const char *a, const char *b)
{
	struct buf s = BUF_INIT;
	add(&s, a);
	add(&s, b);
	if (s.len < n)
		memcpy(to, buf_str(&s), s.len + 1);
	buf_clear(&s);
}

int paint_open(const char **in, const char **out, struct err *e)
{
	int rc;
	if (setupterm(NULL, 1, &rc) != 0)
		return err_set(e, ERR_UNSUPPORTED, "the terminal type in TERM is not known");
	cap.cup = string("cup");
	cap.clear = string("clear");
	if (!cap.cup || !cap.clear)
		return err_set(e, ERR_UNSUPPORTED, "this terminal can't move its cursor (TERM)");
	cap.setaf = string("setaf");
	cap.setab = string("setab");
	cap.sgr0 = string("sgr0");
	cap.el = string("el");
	cap.bold = string("bold");
	cap.dim = string("dim");
	cap.italic = string("sitm");
	cap.underline = string("smul");
	cap.reverse = string("rev");
	cap.civis = string("civis");
	cap.cnorm = string("cnorm");
	cap.colors = cap.setaf && cap.setab && cap.sgr0 ? tigetnum("colors") : 0;
	cap.ncv = tigetnum("ncv") > 0 ? tigetnum("ncv") : 0;
	cap.bce = tigetflag("bce") > 0;
	cap.am = tigetflag("am") > 0;
	cap.xenl = tigetflag("xenl") > 0;
	const char *ct = getenv("COLORTERM");
	cap.truecolor = tigetflag("RGB") > 0 || tigetflag("Tc") > 0 ||
		(ct && (!strcmp(ct, "truecolor") || !strcmp(ct, "24bit")));
	*enter = *leave = 0;
	keep(enter, sizeof(enter), string("smcup"), cap.clear);
	/* Without an alternate screen the last line is left for the shell's prompt. */
	struct buf last = BUF_INIT;
	if (!string("rmcup")) {
		add(&last, tiparm(cap.cup, 998, 0));
		add(&last, "\r\n");
	}
	add(&last, string("rmcup"));
	keep(leave, sizeof(leave), cap.sgr0, buf_str(&last));
	size_t n = strlen(leave);
	keep(leave + n, sizeof(leave) - n, cap.cnorm, NULL);
	buf_clear(&last);
	*in = enter;
	*out = leave;
	paint_forget();
	return 0;
}

void paint_close(void)
{
	grid_free(&shown);
	if (cur_term)
		del_curterm(cur_term);
	forgotten = true;
}

enum theme_depth paint_depth(void)
{
	if (cap.colors < 8)
		return DEPTH_MONO;
	if (cap.truecolor && cap.colors >= 256)
		return DEPTH_TRUE;
	return cap.colors >= 256 ? DEPTH_256 : DEPTH_16;
}

void paint_forget(void)
{
	forgotten = true;
	at_x = -1;
	now_known = hidden = false;
}

/* --- one look --- */

static void color(struct buf *out, int32_t c, bool back)
{
	if (c == COLOR_NONE)
		return;
	if (c & COLOR_RGB)
		buf_printf(out, "\x1b[%d;2;%d;%d;%dm", back ? 48 : 38, c >> 16 & 255, c >> 8 & 255, c & 255);
	else
		add(out, tiparm(back ? cap.setab : cap.setaf, c >= cap.colors ? c & 7 : c));
}

static bool same_look(const struct look *a, const struct look *b)
{
	return a->fg == b->fg && a->bg == b->bg && a->attrs == b->attrs;
}

static void set_look(struct buf *out, const struct look *l)
{
	/* terminfo(5): the bits of no_color_video, in the order of sgr's parameters */
	static const struct {
		uint32_t style;
		int ncv;
		const char **seq;
	} attrs[] = {{STYLE_BOLD, 32, &cap.bold}, {STYLE_DIM, 16, &cap.dim}, {STYLE_ITALIC, 0, &cap.italic},
		{STYLE_UNDERLINE, 2, &cap.underline}, {STYLE_REVERSE, 4, &cap.reverse}};
	bool colored = l->fg != COLOR_NONE || l->bg != COLOR_NONE;
	if (now_known && same_look(l, &now))
		return;
	add(out, cap.sgr0);
	for (size_t i = 0; i < sizeof(attrs) / sizeof(*attrs); i++)
		if (l->attrs & attrs[i].style && !(colored && cap.ncv & attrs[i].ncv))
			add(out, *attrs[i].seq);
	if (l->attrs & STYLE_STRIKE && cap.colors >= 256)
		add(out, "\x1b[9m");
	if (cap.colors >= 8) {
		if (l->fg >= 8 && l->fg < 16 && cap.colors < 16 && !(l->attrs & STYLE_BOLD))
			add(out, cap.bold); /* how eight colours become bright */
		color(out, l->fg, false);
		color(out, l->bg, true);
	}
	now = *l;
	now_known = true;
}

/* --- cells --- */

/* For terminals of another character set: the nearest ASCII. */
static char plain(uint32_t cp)
{
	static const char map[][2] = {{0x10, '-'}, {0x11, '-'}, {0x12, '-'}, {0x13, '-'}, {0x14, '-'},
		{0x18, '\''}, {0x19, '\''}, {0x1a, ','}, {0x1c, '"'}, {0x1d, '"'}, {0x22, '*'}, {0x26, '.'}};
	if (cp >= 0x2000 && cp < 0x2070)
		for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
			if ((char)(cp & 0xff) == map[i][0])
				return map[i][1];
	return cp == 0xa0 ? ' ' : '?';
}

static void go(struct buf *out, int x, int y)
{
	if (at_x == x && at_y == y)
		return;
	add(out, tiparm(cap.cup, y, x));
	at_x = x;
	at_y = y;
}

static int put_cell(struct buf *out, const struct grid *g, int x, int y, bool utf8)
{
	const struct cell *c = g->c + (size_t)y * (size_t)g->w + x;
	int w = x + 1 < g->w && c[1].cp == 0 ? 2 : 1;
	char s[72];
	if (!utf8 && (c->cp >= 0x7f || c->cp & CELL_CLUSTER)) {
		buf_addc(out, c->cp & CELL_CLUSTER ? '?' : plain(c->cp));
		if (w == 2)
			buf_addc(out, ' ');
	} else {
		size_t n = grid_cell_text(g, c, s, sizeof(s));
		if (w == 2 && c->cp & CELL_CLUSTER) {
			/* Terminals differ in how wide these are: clear both columns first. */
			buf_puts(out, "  ");
			at_x = -1;
			go(out, x, y);
		}
		buf_add(out, s, n);
	}
	at_x += w;
	if (at_x >= g->w || (utf8 && (w == 2 || c->cp & CELL_CLUSTER)))
		at_x = -1; /* a pending wrap, or a width the terminal may see otherwise */
	return w;
}

/* From here on the row is blank in one look without a drawing of its own. */
static int blank_from(const struct grid *g, const struct theme *t, int y, struct look *l)
{
	const struct cell *row = g->c + (size_t)y * (size_t)g->w;
	int x = g->w;
	theme_look(t, row[x - 1].style, l);
	if (!cap.el || l->attrs & (STYLE_REVERSE | STYLE_UNDERLINE | STYLE_STRIKE) ||
		(l->bg != COLOR_NONE && !cap.bce))
		return x;
	while (x > 0 && row[x - 1].cp == ' ' && row[x - 1].style == row[g->w - 1].style)
		x--;
	return x;
}

static void paint_row(const struct grid *g, const struct theme *t, int y, bool utf8, struct buf *out)
{
	struct look l, rest;
	int blank = -1;
	for (int x = 0, w; x < g->w; x += w) {
		size_t i = (size_t)y * (size_t)g->w + (size_t)x;
		w = x + 1 < g->w && g->c[i + 1].cp == 0 ? 2 : 1;
		if (!forgotten && grid_cell_same(g, g->c + i, &shown, shown.c + i) &&
			(w == 1 || shown.c[i + 1].cp == 0))
			continue;
		if (y == g->h - 1 && x + w == g->w && cap.am && !cap.xenl)
			continue; /* it would scroll */
		if (blank < 0)
			blank = blank_from(g, t, y, &rest);
		go(out, x, y);
		if (x >= blank) {
			set_look(out, &rest);
			add(out, cap.el);
			return;
		}
		theme_look(t, g->c[i].style, &l);
		set_look(out, &l);
		put_cell(out, g, x, y, utf8);
	}
}

static void remember(const struct grid *g)
{
	if (grid_resize(&shown, g->w, g->h)) {
		forgotten = true;
		return;
	}
	memcpy(shown.c, g->c, (size_t)g->w * (size_t)g->h * sizeof(*g->c));
	buf_add(&shown.clusters, g->clusters.p, g->clusters.len);
	forgotten = shown.clusters.failed;
}

void paint(const struct grid *g, const struct theme *t, int cx, int cy, bool utf8, struct buf *out)
{
	size_t before = out->len;
	if (g->w != shown.w || g->h != shown.h)
		paint_forget();
	if (forgotten) {
		struct look l;
		theme_look(t, ST_TEXT, &l);
		set_look(out, &l);
		add(out, cap.clear);
		at_x = -1;
	}
	if (!hidden && cap.civis)
		add(out, cap.civis);
	size_t hide = out->len;
	for (int y = 0; y < g->h; y++)
		paint_row(g, t, y, utf8, out);
	bool nothing = out->len == hide && !forgotten;
	if (nothing && !hidden)
		buf_cut(out, before);
	if (cx >= 0)
		go(out, cx < g->w ? cx : g->w - 1, cy < g->h ? cy : g->h - 1);
	if (cx >= 0 && (hidden || !nothing))
		add(out, cap.cnorm);
	hidden = cx < 0;
	remember(g);
}
