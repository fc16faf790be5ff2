/* Ctrl-S: what is typed is searched at once; Enter goes further back, Esc leaves. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "tui/ui.h"

void find_enter(struct ui *u)
{
	u->mode = MODE_FIND;
	buf_reset(&u->query);
}

static void leave(struct ui *u)
{
	u->mode = MODE_LINE;
	convview_find(&u->conv, "", 0);
}

static void search(struct ui *u)
{
	convview_find(&u->conv, buf_str(&u->query), u->query.len);
}

static void rub_out(struct ui *u)
{
	size_t n = u->query.len;
	while (n && ((unsigned char)u->query.p[--n] & 0xc0) == 0x80)
		continue;
	buf_cut(&u->query, n);
	search(u);
}

bool find_key(struct ui *u, enum key k, const char *s, size_t len)
{
	bool plain = k == KEY_BYTES && (unsigned char)*s >= ' ' && *s != 0x7f;
	switch (k) {
	case KEY_ENTER:
	case KEY_UP:
	case KEY_BACKTAB:
		convview_find_next(&u->conv, -1);
		return true;
	case KEY_DOWN:
	case KEY_TAB:
		convview_find_next(&u->conv, 1);
		return true;
	case KEY_ESC:
		leave(u);
		return true;
	case KEY_PASTE:
		utf8_append_printable(&u->query, s, strcspn(s, "\r\n"));
		search(u);
		return true;
	case KEY_NEWLINE:
		return true;
	case KEY_BYTES:
		if (plain) {
			buf_add(&u->query, s, len);
			search(u);
		} else if (*s == 0x7f || *s == 8) {
			rub_out(u);
		} else if (*s == 0x15) { /* Ctrl-U */
			buf_reset(&u->query);
			search(u);
		} else if (*s == 0x13) { /* Ctrl-S again */
			convview_find_next(&u->conv, -1);
		} else if (*s == 0x12) { /* Ctrl-R */
			convview_find_next(&u->conv, 1);
		} else if (*s == 7) {
			leave(u);
		}
		return true;
	default:
		return false; /* scrolling and function keys work as ever */
	}
}

void find_draw(struct ui *u, int y, int *cx)
{
	struct grid *g = &u->grid;
	char s[64] = "";
	size_t which, of;
	int x = grid_puts(g, 0, y, g->w, ST_USER, "find: ");
	int room = g->w - x - 16 > 8 ? g->w - x - 16 : g->w - x - 1;
	const char *q = buf_str(&u->query);
	size_t from = 0, len = u->query.len;
	while (grid_width(q + from, len - from) > room && from < len) {
		int w;
		from += grid_cluster(q + from, len - from, &w);
	}
	x += grid_put(g, x, y, room, ST_TEXT, q + from, len - from);
	*cx = x;
	if (!len)
		return;
	convview_find_count(&u->conv, &which, &of);
	int n = of ? snprintf(s, sizeof(s), "%zu of %zu", which, of)
		: snprintf(s, sizeof(s), "not found");
	if (x + n + 2 < g->w)
		grid_put(g, g->w - n, y, n, ST_DIM, s, (size_t)n);
}
