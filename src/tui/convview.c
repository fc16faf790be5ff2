#include "tui/convview.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

void convview_add(struct convview *c, const char *s, size_t len)
{
	utf8_append_printable(&c->text, s, len);
}

void convview_line(struct convview *c, const char *s)
{
	if (c->text.len && c->text.p[c->text.len - 1] != '\n')
		buf_addc(&c->text, '\n');
	convview_add(c, s, strlen(s));
	buf_addc(&c->text, '\n');
}

void convview_scroll(struct convview *c, int rows)
{
	int last = c->rows > c->height ? c->rows - c->height : 0;
	int top = (c->scrolled ? (int)c->top : last) + rows;
	c->scrolled = top < last;
	c->top = top > 0 ? (size_t)top : 0;
}

void convview_end(struct convview *c)
{
	c->scrolled = false;
}

/* Bytes of the next row: up to a newline or the width, broken behind a space if there is one. */
static size_t row_len(const char *s, size_t len, int width)
{
	size_t i = 0, space = 0;
	int used = 0;
	while (i < len && s[i] != '\n') {
		uint32_t cp;
		size_t n = utf8_decode(s + i, len - i, &cp, NULL);
		used += grid_columns(cp);
		if (used > width && i > 0)
			return space ? space : i;
		i += n;
		if (cp == ' ')
			space = i;
	}
	return i < len ? i + 1 : i;
}

void convview_draw(struct convview *c, struct grid *g, int y, int rows, bool ascii)
{
	size_t at = 0, len = c->text.len;
	int n = 0;
	for (; at < len; n++)
		at += row_len(c->text.p + at, len - at, g->w);
	c->rows = n;
	c->height = rows;
	int last = n > rows ? n - rows : 0;
	if (c->scrolled && (int)c->top >= last)
		c->scrolled = false;
	int top = c->scrolled ? (int)c->top : last, r = 0;
	for (at = 0; at < len && r < top + rows; r++) {
		size_t k = row_len(c->text.p + at, len - at, g->w);
		if (r >= top)
			grid_put(g, 0, y + r - top, g->w, ST_TEXT, c->text.p + at, k);
		at += k;
	}
	if (c->scrolled && rows > 0) {
		char s[48];
		int m = snprintf(s, sizeof(s), "%s %d more (End)", ascii ? "v" : "\xE2\x86\x93",
				 last - top);
		int x = g->w - 20 > 0 ? g->w - 20 : 0;
		grid_put(g, x, y + rows - 1, g->w - x, ST_TITLE, s, (size_t)m);
	}
}
