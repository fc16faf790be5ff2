/* Drawing the line being typed: broken into rows at the width and at its newlines. */
#include <string.h>

#include "tui/input.h"

#define TAB_COLUMNS 4

/* Columns of one character of n columns in the grid's terms: controls (Ctrl-V lets them in) are ^X. */
static int shown_width(char c, int n)
{
	return c == '\t' ? TAB_COLUMNS : (unsigned char)c < ' ' ? 2 : n;
}

/* One row: bytes [at, end) of the line; the next begins at *next. left: columns in front of it. */
static int row_end(const struct input_line *l, int at, int width, int left, int *next)
{
	const char *s = l->text;
	int i = at, used = 0, room = width - left - 1, n; /* a column for the cursor behind the text */
	room = room > 1 ? room : 1;
	while (i < l->len && s[i] != '\n') {
		int k = (int)grid_cluster(s + i, (size_t)(l->len - i), &n);
		n = shown_width(s[i], n);
		if (used + n > room && i > at)
			break;
		used += n;
		i += k;
	}
	*next = i < l->len && s[i] == '\n' ? i + 1 : i;
	return i;
}

static int prompt_width(const char *p, int width)
{
	int n = grid_width(p, strlen(p));
	return n < width / 2 ? n : width / 2;
}

static int left_of(int row, const char *prompt, int width)
{
	return row == 0 ? prompt_width(prompt, width) : width > 4 ? 2 : 0;
}

/* Rows in all; *cursor is the row of the cursor. */
static int count_rows(const struct input_line *l, int width, int *cursor)
{
	int next;
	*cursor = 0;
	for (int row = 0, at = 0;; row++, at = next) {
		int end = row_end(l, at, width, left_of(row, l->prompt, width), &next);
		if (l->point >= at && l->point <= end)
			*cursor = row; /* where a row was broken, the next one has it */
		if (end >= l->len)
			return row + 1;
	}
}

int input_rows(const struct input_line *l, int width)
{
	int cursor;
	return count_rows(l, width, &cursor);
}

static void draw_text(struct grid *g, int x, int y, const char *s, int len)
{
	for (int i = 0, k, n; i < len; i += k, x += n) {
		k = (int)grid_cluster(s + i, (size_t)(len - i), &n);
		if (s[i] == '\t') {
			n = TAB_COLUMNS;
		} else if ((unsigned char)s[i] < ' ') {
			char c[3] = {'^', (char)(s[i] + '@'), 0};
			n = grid_puts(g, x, y, 2, ST_DIM, c);
		} else {
			grid_put(g, x, y, 2, ST_TEXT, s + i, (size_t)k);
		}
	}
}

static int columns(const char *s, int len)
{
	int x = 0;
	for (int i = 0, n; i < len;) {
		int k = (int)grid_cluster(s + i, (size_t)(len - i), &n);
		x += shown_width(s[i], n);
		i += k;
	}
	return x;
}

void input_draw(const struct input_line *l, struct grid *g, int y, int rows, int *cx, int *cy)
{
	int cursor, n = count_rows(l, g->w, &cursor), next = 0;
	int first = cursor >= rows ? cursor - rows + 1 : 0;
	*cx = 0;
	*cy = y;
	for (int row = 0, at = 0; row < n && row < first + rows; row++, at = next) {
		int left = left_of(row, l->prompt, g->w), end = row_end(l, at, g->w, left, &next);
		bool newline = at > 0 && l->text[at - 1] == '\n';
		if (row < first)
			continue;
		if (row == 0)
			grid_puts(g, 0, y + row - first, left, ST_USER, l->prompt);
		else if (newline && left)
			grid_puts(g, 0, y + row - first, left, ST_DIM, ".");
		draw_text(g, left, y + row - first, l->text + at, end - at);
		if (row == cursor) {
			*cx = left + columns(l->text + at, l->point - at);
			*cy = y + row - first;
		}
	}
}
