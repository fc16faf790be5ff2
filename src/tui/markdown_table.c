/* Tables: columns as wide as their text, or shrunk and broken within the cells. */
#include <stdlib.h>
#include <string.h>

#include <cmark-gfm-core-extensions.h>

#include "base/mem.h"
#include "tui/markdown_private.h"

#define COLUMNS 64 /* more are not drawn */

struct table {
	struct para *cells; /* [rows * n] */
	size_t rows;
	int n;		     /* columns */
	int width[COLUMNS];
	const uint8_t *align; /* 'l', 'c', 'r' or 0 */
};

static int count(cmark_node *parent)
{
	int n = 0;
	for (cmark_node *c = cmark_node_first_child(parent); c; c = cmark_node_next(c))
		n++;
	return n;
}

/* Each column gets what it needs up to a share that all can have; 1 column at least. */
static void fit(struct table *t, const int *need, int room)
{
	int share = room, total = 0;
	for (int c = 0; c < t->n; c++)
		total += need[c];
	for (int level = 1; total > room && level <= room; level++) {
		int sum = 0;
		for (int c = 0; c < t->n; c++)
			sum += need[c] < level ? need[c] : level;
		if (sum > room)
			break;
		share = level;
	}
	for (int c = 0, left = room; c < t->n; c++) {
		t->width[c] = need[c] < share ? need[c] : share;
		t->width[c] = t->width[c] > 0 ? t->width[c] : 1;
		left -= t->width[c];
		if (c == t->n - 1 && left > 0 && need[c] > t->width[c])
			t->width[c] += left < need[c] - t->width[c] ? left : need[c] - t->width[c];
	}
}

static void pad(struct rows *out, style_t st, int n)
{
	for (; n > 0; n -= 8)
		rows_add(out, st, "        ", n > 8 ? 8 : (size_t)n);
}

/* Row `line` of a cell that was broken into rows, aligned in its column. */
static void cell_line(struct md *m, const struct table *t, int c, const struct rows *cell, size_t line)
{
	int used = line < cell->n ? rows_width(cell, line) : 0, room = t->width[c] - used;
	int left = t->align && t->align[c] == 'r' ? room : t->align && t->align[c] == 'c' ? room / 2 : 0;
	pad(m->out, ST_TEXT, left);
	if (line < cell->n)
		for (uint32_t i = 0; i < cell->rows[line].n; i++) {
			const struct span *s = cell->spans + cell->rows[line].first + i;
			rows_add(m->out, s->style, cell->text.p + s->at, s->len);
		}
	if (c < t->n - 1)
		pad(m->out, ST_TEXT, room - left);
}

static void begin_row(struct md *m)
{
	rows_begin(m->out);
	for (size_t i = 0; i < m->rest.n; i++)
		rows_add(m->out, m->rest.spans[i].style, m->rest.text.p + m->rest.spans[i].at,
			m->rest.spans[i].len);
	rows_decor(m->out);
}

static void table_row(struct md *m, const struct table *t, size_t r)
{
	struct rows cells[COLUMNS];
	size_t lines = 1;
	memset(cells, 0, sizeof(cells));
	for (int c = 0; c < t->n; c++) {
		rows_wrap(cells + c, t->cells + r * (size_t)t->n + (size_t)c, t->width[c], NULL, false, ST_TEXT);
		lines = cells[c].n > lines ? cells[c].n : lines;
	}
	for (size_t line = 0; line < lines; line++) {
		begin_row(m);
		for (int c = 0; c < t->n; c++) {
			cell_line(m, t, c, cells + c, line);
			if (c == t->n - 1)
				break;
			rows_add(m->out, ST_LINE, " ", 1);
			rows_add(m->out, ST_LINE, m->k->vline, strlen(m->k->vline));
			rows_add(m->out, ST_LINE, " ", 1);
		}
	}
	for (int c = 0; c < t->n; c++)
		rows_clear(cells + c);
}

static void rule(struct md *m, const struct table *t)
{
	begin_row(m);
	for (int c = 0; c < t->n; c++) {
		int n = t->width[c] + (c > 0) + (c < t->n - 1);
		for (int i = 0; i < n; i++)
			rows_add(m->out, ST_LINE, m->k->hline, strlen(m->k->hline));
		if (c < t->n - 1)
			rows_add(m->out, ST_LINE, m->k->cross, strlen(m->k->cross));
	}
	rows_decor(m->out);
}

static void collect(struct md *m, cmark_node *table, struct table *t)
{
	size_t r = 0;
	for (cmark_node *row = cmark_node_first_child(table); row; row = cmark_node_next(row), r++) {
		int c = 0;
		style_t st = r == 0 ? (style_t)ST_TEXT | STYLE_BOLD : (style_t)ST_TEXT;
		for (cmark_node *x = cmark_node_first_child(row); x && c < t->n; x = cmark_node_next(x))
			md_inlines(m, x, t->cells + r * (size_t)t->n + (size_t)c++, st);
	}
}

void md_table(struct md *m, cmark_node *node)
{
	struct table t = {.rows = (size_t)count(node)};
	int columns = cmark_gfm_extensions_get_table_columns(node), need[COLUMNS] = {0};
	t.n = columns < COLUMNS ? columns : COLUMNS;
	int room = md_columns(m) - 3 * (t.n - 1);
	while (t.n > 1 && room < t.n) { /* far too many columns: the last ones are left out */
		t.n--;
		room += 3;
	}
	t.cells = t.n > 0 ? mem_array(t.rows * (size_t)t.n, sizeof(*t.cells)) : NULL;
	if (!t.cells)
		return;
	t.align = cmark_gfm_extensions_get_table_alignments(node);
	collect(m, node, &t);
	for (size_t i = 0; i < t.rows * (size_t)t.n; i++) {
		int line, word, c = (int)(i % (size_t)t.n);
		para_measure(t.cells + i, &line, &word);
		need[c] = line > need[c] ? line : need[c];
	}
	fit(&t, need, room);
	for (size_t r = 0; r < t.rows; r++) {
		table_row(m, &t, r);
		if (r == 0)
			rule(m, &t);
	}
	for (size_t i = 0; i < t.rows * (size_t)t.n; i++)
		para_clear(t.cells + i);
	free(t.cells);
}
