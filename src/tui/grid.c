#include "tui/grid.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/mem.h"
#include "base/utf8.h"

#define CLUSTERS_MAX ((size_t)1 << 20)

int grid_resize(struct grid *g, int w, int h)
{
	if (g->w != w || g->h != h || !g->c) {
		struct cell *c = mem_array((size_t)w * (size_t)h, sizeof(*c));
		if (!c)
			return -1;
		free(g->c);
		g->c = c;
		g->w = w;
		g->h = h;
	}
	if (!g->glyphs)
		g->glyphs = &glyphs_unicode;
	buf_reset(&g->clusters);
	for (int i = 0; i < w * h; i++)
		g->c[i] = (struct cell){' ', ST_TEXT};
	return 0;
}

int grid_copy(struct grid *to, const struct grid *g)
{
	if (to->w != g->w || to->h != g->h || !to->c) {
		struct cell *c = mem_array((size_t)g->w * (size_t)g->h, sizeof(*c));
		if (!c)
			return -1;
		free(to->c);
		to->c = c;
		to->w = g->w;
		to->h = g->h;
	}
	memcpy(to->c, g->c, (size_t)g->w * (size_t)g->h * sizeof(*g->c));
	buf_reset(&to->clusters);
	buf_add(&to->clusters, g->clusters.p, g->clusters.len);
	return to->clusters.failed ? -1 : 0;
}

void grid_free(struct grid *g)
{
	free(g->c);
	buf_clear(&g->clusters);
	*g = (struct grid){0};
}

/* Of a code point: 0, 1 or 2. */
static int grid_columns(uint32_t cp)
{
	if (cp >= ' ' && cp < 0x7f)
		return 1;
	int n = utf8proc_charwidth((utf8proc_int32_t)cp);
	return n < 0 ? 0 : n > 2 ? 2 : n;
}

/* An emoji made of several code points, or with the emoji selector, is two columns wide. */
size_t grid_cluster(const char *s, size_t len, int *w)
{
	uint32_t cp, next;
	utf8proc_int32_t state = 0;
	size_t at = utf8_decode(s, len, &cp, NULL);
	int width = grid_columns(cp);
	while (at < len) {
		unsigned char b = (unsigned char)s[at];
		if (cp >= 0x20 && cp < 0x7f && b < 0x80)
			break;
		size_t n = utf8_decode(s + at, len - at, &next, NULL);
		if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)cp, (utf8proc_int32_t)next, &state))
			break;
		int more = grid_columns(next);
		width = next == 0xfe0f ? 2 : more > width ? more : width;
		cp = next;
		at += n;
		if (at > 64)
			break; /* no character is longer: a heap of combining marks */
	}
	*w = width;
	return at;
}

int grid_width(const char *s, size_t len)
{
	int n = 0, w;
	for (size_t i = 0; i < len;) {
		i += grid_cluster(s + i, len - i, &w);
		n += w;
	}
	return n;
}

static struct cell *cell_at(const struct grid *g, int x, int y)
{
	return g->c + (size_t)y * (size_t)g->w + x;
}

/* What overwrites half of a wide character blanks the other half. */
static void break_wide(struct grid *g, int x, int y)
{
	struct cell *c = cell_at(g, x, y);
	if (c->cp == 0 && x > 0)
		c[-1].cp = ' ';
	if (x + 1 < g->w && c[1].cp == 0)
		c[1].cp = ' ';
}

static uint32_t cluster_add(struct grid *g, const char *s, size_t n)
{
	size_t at = g->clusters.len;
	if (at + n + 1 > CLUSTERS_MAX)
		return UTF8_REPLACEMENT;
	buf_add(&g->clusters, s, n);
	buf_addc(&g->clusters, 0);
	return g->clusters.failed ? UTF8_REPLACEMENT : CELL_CLUSTER | (uint32_t)at;
}

int grid_put(struct grid *g, int x, int y, int max, style_t st, const char *s, size_t len)
{
	int used = 0, n;
	if (y < 0 || y >= g->h || x < 0)
		return 0;
	for (size_t i = 0, k; i < len; i += k) {
		uint32_t cp;
		k = grid_cluster(s + i, len - i, &n);
		size_t first = utf8_decode(s + i, len - i, &cp, NULL);
		if (n == 0)
			continue; /* a control, or a mark with nothing to stand on */
		if (used + n > max || x + used + n > g->w)
			break;
		struct cell *c = cell_at(g, x + used, y);
		break_wide(g, x + used, y);
		if (n == 2)
			break_wide(g, x + used + 1, y);
		c[0] = (struct cell){k > first ? cluster_add(g, s + i, k) : cp, st};
		if (n == 2)
			c[1] = (struct cell){0, st};
		used += n;
	}
	return used;
}

int grid_puts(struct grid *g, int x, int y, int max, style_t st, const char *s)
{
	return grid_put(g, x, y, max, st, s, strlen(s));
}

void grid_fill(struct grid *g, struct rect r, style_t st, const char *glyph)
{
	for (int y = r.y; y < r.y + r.h; y++)
		for (int x = r.x; x < r.x + r.w; x++)
			grid_puts(g, x, y, 1, st, glyph);
}

void grid_frame(struct grid *g, struct rect r, style_t st, const char *title)
{
	const struct glyphs *k = g->glyphs;
	if (r.w < 2 || r.h < 2)
		return;
	grid_fill(g, (struct rect){r.x + 1, r.y, r.w - 2, 1}, st, k->hline);
	grid_fill(g, (struct rect){r.x + 1, r.y + r.h - 1, r.w - 2, 1}, st, k->hline);
	grid_fill(g, (struct rect){r.x, r.y + 1, 1, r.h - 2}, st, k->vline);
	grid_fill(g, (struct rect){r.x + r.w - 1, r.y + 1, 1, r.h - 2}, st, k->vline);
	for (int i = 0; i < 4; i++)
		grid_puts(g, i % 2 ? r.x + r.w - 1 : r.x, i / 2 ? r.y + r.h - 1 : r.y, 1, st, k->corner[i]);
	if (title && r.w > 6) {
		int n = grid_puts(g, r.x + 3, r.y, r.w - 6, ST_TITLE, title);
		grid_puts(g, r.x + 2, r.y, 1, st, " ");
		grid_puts(g, r.x + 3 + n, r.y, 1, st, " ");
	}
}

void grid_restyle(struct grid *g, struct rect r, style_t clear, style_t set)
{
	for (int y = r.y < 0 ? 0 : r.y; y < r.y + r.h && y < g->h; y++)
		for (int x = r.x < 0 ? 0 : r.x; x < r.x + r.w && x < g->w; x++) {
			struct cell *c = cell_at(g, x, y);
			c->style = (c->style & ~clear) | set;
		}
}

size_t grid_cell_text(const struct grid *g, const struct cell *c, char *out, size_t cap)
{
	size_t n;
	if (!c->cp || cap < 5)
		return 0;
	if (!(c->cp & CELL_CLUSTER))
		return utf8_encode(c->cp, out);
	const char *s = g->clusters.p + (c->cp & ~CELL_CLUSTER);
	n = strlen(s);
	if (n > cap)
		return utf8_encode(UTF8_REPLACEMENT, out);
	memcpy(out, s, n);
	return n;
}

bool grid_cell_same(const struct grid *a, const struct cell *x, const struct grid *b,
	const struct cell *y)
{
	if (x->style != y->style || (x->cp & CELL_CLUSTER) != (y->cp & CELL_CLUSTER))
		return false;
	if (!(x->cp & CELL_CLUSTER))
		return x->cp == y->cp;
	return !strcmp(a->clusters.p + (x->cp & ~CELL_CLUSTER), b->clusters.p + (y->cp & ~CELL_CLUSTER));
}

size_t grid_row(const struct grid *g, int y, char *out, size_t cap)
{
	size_t n = 0;
	for (int x = 0; x < g->w && n + 72 < cap; x++)
		n += grid_cell_text(g, cell_at(g, x, y), out + n, cap - n - 1);
	out[n] = 0;
	return n;
}
