#include "tui/popup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

static char *printable(const char *s)
{
	struct buf b = BUF_INIT;
	if (!s)
		return NULL;
	utf8_append_printable(&b, s, strcspn(s, "\n"));
	buf_add(&b, "", 0);
	return b.p ? buf_take(&b) : strdup("");
}

static void drop_items(struct popup *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->items[i].text);
		free(p->items[i].hint);
	}
	p->n = 0;
}

void popup_begin(struct popup *p, const char *title, void *user)
{
	drop_items(p);
	p->open = false;
	p->at = p->top = 0;
	p->moved = p->chosen = NULL;
	p->left = NULL;
	p->user = user;
	snprintf(p->title, sizeof(p->title), "%s", title);
}

void popup_add(struct popup *p, const char *text, const char *hint, long value)
{
	char *t = printable(text);
	if (!t || mem_grow(&p->items, &p->cap, p->n + 1, sizeof(*p->items))) {
		free(t);
		return;
	}
	p->items[p->n++] = (struct popup_item){t, printable(hint), value};
}

void popup_show(struct popup *p, size_t at)
{
	p->open = p->n > 0;
	p->at = at < p->n ? at : 0;
}

void popup_clear(struct popup *p)
{
	drop_items(p);
	free(p->items);
	*p = (struct popup){0};
}

static void leave(struct popup *p)
{
	p->open = false;
	if (p->left)
		p->left(p->user);
}

static void move(struct popup *p, long by, bool around)
{
	long at = (long)p->at + by, n = (long)p->n;
	if (around)
		at = (at + n) % n;
	p->at = at < 0 ? 0 : at >= n ? p->n - 1 : (size_t)at;
	if (p->moved)
		p->moved(p->user, p->items + p->at);
}

bool popup_key(struct popup *p, enum key k)
{
	switch (k) {
	case KEY_UP:
	case KEY_BACKTAB:
		move(p, -1, true);
		return true;
	case KEY_DOWN:
	case KEY_TAB:
		move(p, 1, true);
		return true;
	case KEY_WHEEL_UP:
	case KEY_WHEEL_DOWN:
		move(p, k == KEY_WHEEL_UP ? -1 : 1, false);
		return true;
	case KEY_PAGE_UP:
	case KEY_PAGE_DOWN:
		move(p, k == KEY_PAGE_UP ? -8 : 8, false);
		return true;
	case KEY_HOME:
	case KEY_END:
		move(p, k == KEY_HOME ? -(long)p->n : (long)p->n, false);
		return true;
	case KEY_ENTER:
		p->open = false;
		if (p->chosen)
			p->chosen(p->user, p->items + p->at);
		return true;
	case KEY_ESC:
	case KEY_STOP:
		leave(p);
		return true;
	default:
		leave(p);
		return false;
	}
}

/* Text that does not fit ends with an ellipsis. */
static void put_cut(struct grid *g, int x, int y, int width, enum style st, const char *s)
{
	if (grid_width(s, strlen(s)) <= width) {
		grid_puts(g, x, y, width, st, s);
	} else if (width > 1) {
		int n = grid_puts(g, x, y, width - 1, st, s);
		grid_puts(g, x + n, y, 1, st, g->glyphs->ellipsis);
	}
}

void popup_draw(struct popup *p, struct grid *g, int top, int bottom)
{
	int room = bottom - top + 1, framed = room >= 4 && g->w >= 16 ? 2 : 0;
	int rows = (int)(p->n < 500 ? p->n : 500), text = 0, hint = 0;
	rows = rows > room - framed ? room - framed : rows;
	rows = rows > 12 ? 12 : rows;
	if (!p->open || rows < 1)
		return;
	if (p->at < p->top)
		p->top = p->at;
	if (p->at >= p->top + (size_t)rows)
		p->top = p->at - (size_t)rows + 1;
	if (p->top + (size_t)rows > p->n)
		p->top = p->n - (size_t)rows;
	for (size_t i = 0; i < p->n; i++) {
		int t = grid_width(p->items[i].text, strlen(p->items[i].text));
		int h = p->items[i].hint ? grid_width(p->items[i].hint, strlen(p->items[i].hint)) : 0;
		text = t > text ? t : text;
		hint = h > hint ? h : hint;
	}
	int w = text + (hint ? hint + 2 : 0) + 2 + framed, least = grid_width(p->title, strlen(p->title)) + 8;
	w = w < least ? least : w;
	w = w > g->w ? g->w : w;
	struct rect r = {0, bottom - rows - framed + 1, w, rows + framed};
	grid_fill(g, r, ST_TEXT, " ");
	if (framed)
		grid_frame(g, r, ST_LINE, p->title);
	for (int i = 0; i < rows; i++) {
		const struct popup_item *it = p->items + p->top + (size_t)i;
		bool here = p->top + (size_t)i == p->at;
		int x = r.x + framed / 2, y = r.y + framed / 2 + i, inner = w - framed;
		grid_fill(g, (struct rect){x, y, inner, 1}, here ? ST_SELECTED : ST_TEXT, " ");
		put_cut(g, x + 1, y, inner - 1, here ? ST_SELECTED : ST_TEXT, it->text);
		if (it->hint && inner > text + 4)
			put_cut(g, x + text + 3, y, inner - text - 4, here ? ST_SELECTED : ST_DIM, it->hint);
	}
}
