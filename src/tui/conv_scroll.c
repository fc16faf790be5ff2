/* Where the view of the conversation is. Places are an item and a row in it, and moving goes from item to
 * item, so that nothing far away needs to be laid out. */
#include <stdio.h>

#include "tui/convview.h"

static bool before(struct conv_pos a, struct conv_pos b)
{
	return a.item < b.item || (a.item == b.item && a.row < b.row);
}

static struct conv_pos end(const struct convview *c)
{
	return (struct conv_pos){c->n, 0};
}

static struct conv_pos up(struct convview *c, struct conv_pos p, size_t rows)
{
	while (rows > p.row && p.item > 0) {
		rows -= p.row;
		p.item--;
		p.row = item_rows(c, p.item);
	}
	p.row = rows < p.row ? p.row - rows : 0;
	return p;
}

static struct conv_pos down(struct convview *c, struct conv_pos p, size_t rows)
{
	for (p.row += rows; p.item < c->n; p.item++) {
		size_t n = item_rows(c, p.item);
		if (p.row < n)
			return p;
		p.row -= n;
	}
	return end(c);
}

/* The top of the view that shows the end. */
static struct conv_pos last_top(struct convview *c)
{
	return up(c, end(c), c->height > 0 ? (size_t)c->height : 0);
}

struct conv_pos convview_top(struct convview *c)
{
	struct conv_pos last = last_top(c), top = c->top;
	if (!c->following && top.item < c->n) {
		size_t n = item_rows(c, top.item);
		top.row = top.row < n ? top.row : n - 1;
	}
	if (c->following || !before(top, last)) {
		c->following = true;
		return last;
	}
	return top;
}

static void set_top(struct convview *c, struct conv_pos top)
{
	if (!before(top, last_top(c))) {
		c->following = true;
		return;
	}
	if (c->following) {
		c->seen = (struct conv_pos){c->n - 1, item_rows(c, c->n - 1)};
		c->seen_width = c->width;
	}
	c->following = false;
	c->top = top;
}

void convview_scroll(struct convview *c, int rows)
{
	struct conv_pos top = convview_top(c);
	set_top(c, rows < 0 ? up(c, top, (size_t)-rows) : down(c, top, (size_t)rows));
}

void convview_home(struct convview *c)
{
	set_top(c, (struct conv_pos){0, 0});
}

void convview_follow(struct convview *c)
{
	c->following = true;
}

void convview_show(struct convview *c, size_t item, size_t row)
{
	struct conv_pos at = {item, row}, top = convview_top(c);
	size_t h = c->height > 0 ? (size_t)c->height : 0;
	if (before(at, top) || !before(at, down(c, top, h > 1 ? h - 1 : 1)))
		set_top(c, up(c, at, h / 3));
}

/* --- what tells of it --- */

void convview_scroll_bar(struct convview *c, struct grid *g, struct rect r, struct conv_pos top)
{
	size_t n = 0, above = 0, h = (size_t)r.h;
	if (r.w < 12 || r.h < 2)
		return;
	for (size_t i = 0; i < c->n; i++) {
		above += i == top.item ? n + top.row : 0;
		n += item_guess(c, i);
	}
	if (n <= h)
		return;
	size_t size = h * h / n > 0 ? h * h / n : 1, most = n - h;
	size_t at = c->following || above > most ? h - size : (h - size) * above / most;
	grid_fill(g, (struct rect){r.x + r.w - 1, r.y, 1, r.h}, ST_LINE, g->glyphs->vline);
	grid_fill(g, (struct rect){r.x + r.w - 1, r.y + (int)at, 1, (int)size}, ST_DIM, g->glyphs->thumb);
}

/* Rows that came since the view was scrolled away. */
static size_t fresh(struct convview *c)
{
	size_t n = 0;
	if (c->seen_width != c->width && c->n) { /* rows are others now: new is what comes from here on */
		c->seen = (struct conv_pos){c->n - 1, item_rows(c, c->n - 1)};
		c->seen_width = c->width;
	}
	for (size_t i = c->seen.item; i < c->n; i++)
		n += item_rows(c, i);
	return n > c->seen.row ? n - c->seen.row : 0;
}

void convview_below(struct convview *c, struct grid *g, struct rect r, struct conv_pos top)
{
	char s[64];
	if (c->following || r.w < 8)
		return;
	size_t more = fresh(c);
	bool is_new = more > 0;
	if (!is_new) {
		struct conv_pos at = down(c, top, (size_t)r.h);
		for (size_t i = at.item; i < c->n; i++)
			more += item_guess(c, i);
		more -= at.row < more ? at.row : more;
	}
	int m = snprintf(s, sizeof(s), " %s %zu %s (End) ", g->glyphs->down, more, is_new ? "new" : "more");
	int w = grid_width(s, (size_t)m), x = r.x + r.w - w - 2;
	grid_put(g, x > r.x ? x : r.x, r.y + r.h - 1, r.w, ST_SELECTED, s, (size_t)m);
}
