#include "tui/convview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define LABEL 6 /* columns of "you ▸ " */

void convview_init(struct convview *c)
{
	*c = (struct convview){.following = true};
}

static void item_clear(struct item *it)
{
	buf_clear(&it->text);
	buf_clear(&it->think);
	rows_clear(&it->rows);
	rows_clear(&it->think_rows);
}

void convview_clear(struct convview *c)
{
	int fold = c->fold;
	for (size_t i = 0; i < c->n; i++)
		item_clear(c->items + i);
	free(c->items);
	buf_clear(&c->query);
	buf_clear(&c->flat);
	convview_init(c);
	c->fold = fold;
}

static struct item *add_item(struct convview *c, enum item_kind kind)
{
	if (mem_grow(&c->items, &c->cap, c->n + 1, sizeof(*c->items)))
		return NULL;
	c->items[c->n] = (struct item){.kind = kind, .think_seconds = -1};
	return c->items + c->n++;
}

void convview_add(struct convview *c, enum item_kind kind, const char *s, size_t len)
{
	struct item *it = add_item(c, kind);
	while (len && s[len - 1] == '\n')
		len--;
	if (it)
		utf8_append_printable(&it->text, s, len);
}

void convview_note(struct convview *c, enum item_kind kind, const char *s)
{
	convview_add(c, kind, s, strlen(s));
}

/* Item i is to be laid out again, or goes. */
static void undone(struct convview *c, size_t i)
{
	while (c->done > i) {
		const struct item *it = c->items + --c->done;
		c->done_codes -= it->kind == ITEM_ANSWER ? it->codes : 0;
	}
}

void convview_remark(struct convview *c, const char *s)
{
	struct item *it = add_item(c, ITEM_NOTE);
	if (!it)
		return;
	it->remark = true;
	utf8_append_printable(&it->text, s, strlen(s));
}

static void remove_item(struct convview *c, size_t i);

/* Of the answer that changes, the remarks behind it. */
static void remove_remarks(struct convview *c)
{
	for (size_t i = c->n; i-- > 0 && c->items[i].kind >= ITEM_NOTE;)
		if (c->items[i].remark)
			remove_item(c, i);
}

/* The answer that grows, or else the last one. */
static struct item *answer(const struct convview *c)
{
	for (size_t i = c->n; i-- > 0;)
		if (c->items[i].kind == ITEM_ANSWER)
			return c->items + i;
	return NULL;
}

void convview_begin(struct convview *c, bool extends)
{
	if (extends)
		remove_remarks(c);
	struct item *it = extends ? answer(c) : NULL;
	if (!it)
		it = add_item(c, ITEM_ANSWER);
	if (it)
		it->growing = true;
}

void convview_grow(struct convview *c, bool think, const char *s, size_t len)
{
	struct item *it = answer(c);
	if (!it)
		return;
	struct buf *b = think ? &it->think : &it->text;
	while (len && !b->len && *s == '\n') { /* no empty rows in front */
		s++;
		len--;
	}
	utf8_append_printable(b, s, len);
	it->width = it->width > 0 ? -it->width : it->width;
	it->guess_width = 0;
	undone(c, (size_t)(it - c->items));
}

void convview_end(struct convview *c, uint64_t think_tokens, double think_seconds)
{
	struct item *it = answer(c);
	if (!it)
		return;
	it->growing = false;
	it->width = 0;
	undone(c, (size_t)(it - c->items));
	it->think_tokens = think_tokens;
	it->think_seconds = think_seconds;
}

static void remove_item(struct convview *c, size_t i)
{
	undone(c, i);
	item_clear(c->items + i);
	memmove(c->items + i, c->items + i + 1, (c->n - i - 1) * sizeof(*c->items));
	c->n--;
	c->found = false;
}

void convview_unsend(struct convview *c)
{
	for (size_t i = c->n; i-- > 0;) {
		struct item *it = c->items + i;
		bool user = it->kind == ITEM_USER;
		if (it->kind == ITEM_ANSWER && it->text.len)
			return;
		if (it->kind == ITEM_ANSWER || user)
			remove_item(c, i);
		if (user)
			return;
	}
}

void convview_restart(struct convview *c)
{
	size_t notes = 0;
	remove_remarks(c);
	while (notes < c->n && c->items[c->n - 1 - notes].kind >= ITEM_NOTE)
		notes++;
	while (c->n > notes)
		remove_item(c, 0);
	c->notes = notes;
	c->following = true;
}

void convview_restarted(struct convview *c)
{
	size_t n = c->notes, rest = c->n - n;
	struct item *kept = n ? mem_array(n, sizeof(*kept)) : NULL;
	c->notes = 0;
	undone(c, 0);
	if (!kept)
		return;
	memcpy(kept, c->items, n * sizeof(*kept));
	memmove(c->items, c->items + n, rest * sizeof(*kept));
	memcpy(c->items + rest, kept, n * sizeof(*kept));
	free(kept);
}

/* --- layout --- */

/* Unformatted text; what is in front of the last newline is laid out for good. */
static void plain(struct rows *out, struct markdown_mark *mark, const struct buf *b, int width, style_t st)
{
	struct para p = {0};
	rows_cut(out, mark->rows);
	size_t from = mark->bytes, end = b->len;
	while (end > from && b->p[end - 1] != '\n')
		end--;
	if (end > from) {
		para_add(&p, st, b->p + from, end - from);
		rows_wrap(out, &p, width, NULL, false, ST_TEXT);
		*mark = (struct markdown_mark){end, out->n, 0};
		para_reset(&p);
	}
	if (b->len > end) {
		para_add(&p, st, b->p + end, b->len - end);
		rows_wrap(out, &p, width, NULL, false, ST_TEXT);
	}
	para_clear(&p);
}

static bool is_folded(const struct convview *c, const struct item *it)
{
	return !c->query.len && (c->fold > 0 || (c->fold == 0 && (it->text.len || !it->growing)));
}

static void duration(char *out, size_t cap, double s)
{
	if (s >= 5400)
		snprintf(out, cap, ", %.1f h", s / 3600);
	else if (s >= 90)
		snprintf(out, cap, ", %.0f m", s / 60);
	else if (s >= 0)
		snprintf(out, cap, ", %.0f s", s);
	else
		*out = 0;
}

static void layout_think(const struct convview *c, struct item *it, int width, const struct glyphs *k)
{
	bool folded = is_folded(c, it);
	if (folded != it->folded || !it->width) {
		rows_cut(&it->think_rows, 0);
		it->think_mark = (struct markdown_mark){0};
	}
	it->folded = folded;
	if (!it->think.len)
		return;
	if (!folded) {
		plain(&it->think_rows, &it->think_mark, &it->think, width, ST_THINK);
		return;
	}
	char s[120], time[24], tok[32] = "";
	struct para p = {0};
	duration(time, sizeof(time), it->think_seconds);
	if (it->think_tokens)
		snprintf(tok, sizeof(tok), " %llu tok", (unsigned long long)it->think_tokens);
	int n = snprintf(s, sizeof(s), "[thought%s%s %s Alt-T unfolds]", tok, time, k->who);
	para_add(&p, ST_THINK, s, (size_t)n);
	rows_cut(&it->think_rows, 0);
	rows_wrap(&it->think_rows, &p, width, NULL, false, ST_TEXT);
	para_clear(&p);
}

static int indent(int width)
{
	return width >= 40 ? LABEL : width >= 12 ? 2 : 0;
}

static int text_width(int width)
{
	int n = width - indent(width) - (width >= 12); /* the scroll bar's column */
	return n > 4 ? n : 4;
}

static bool laid_out(const struct convview *c, const struct item *it)
{
	return it->width == text_width(c->width) && (it->kind != ITEM_ANSWER || is_folded(c, it) == it->folded);
}

static void layout(struct convview *c, size_t i)
{
	struct item *it = c->items + i;
	const int width = text_width(c->width);
	if (it->width != -width) { /* not just its end */
		it->width = 0;
		rows_cut(&it->rows, 0);
		it->mark = (struct markdown_mark){0};
	}
	if (it->kind == ITEM_ANSWER) {
		layout_think(c, it, width, c->k);
		it->codes = markdown_render(&it->rows, &it->mark, buf_str(&it->text), it->text.len, width, c->k,
			it->first_code);
		it->counted = true;
	} else {
		plain(&it->rows, &it->mark, &it->text, width,
			it->kind == ITEM_NOTE ? ST_DIM : it->kind == ITEM_ERROR ? ST_ERROR : ST_TEXT);
	}
	it->width = width;
}

/* The number of its first code block, as far as it is known. */
static unsigned first_code(const struct convview *c, size_t item)
{
	size_t i = c->done <= item ? c->done : 0;
	unsigned n = i ? c->done_codes : 0;
	for (; i < item; i++) {
		const struct item *it = c->items + i;
		if (it->kind != ITEM_ANSWER)
			continue;
		if (!it->counted)
			return 0;
		n += it->codes;
	}
	return n + 1;
}

/* Lay out what is not, or what has code blocks whose numbers were others. */
static void ensure(struct convview *c, size_t i)
{
	struct item *it = c->items + i;
	if (!c->width || i < c->done)
		return;
	if (it->kind == ITEM_ANSWER) {
		unsigned first = first_code(c, i);
		if (first != it->first_code && (it->codes || !it->counted))
			it->width = 0;
		it->first_code = first;
	}
	if (!laid_out(c, it))
		layout(c, i);
}

bool convview_step(struct convview *c)
{
	if (!c->width || c->done >= c->n || c->items[c->done].growing)
		return false;
	ensure(c, c->done);
	c->done_codes += c->items[c->done].kind == ITEM_ANSWER ? c->items[c->done].codes : 0;
	c->done++;
	return true;
}

static void set_size(struct convview *c, struct rect r, const struct glyphs *k)
{
	if (c->width != r.w || c->k != k)
		undone(c, 0);
	c->width = r.w;
	c->height = r.h;
	c->k = k;
}

static size_t gap(const struct convview *c, size_t i)
{
	if (i == 0)
		return 0;
	bool note = c->items[i].kind >= ITEM_NOTE, before = c->items[i - 1].kind >= ITEM_NOTE;
	return note && before ? 0 : 1;
}

static size_t row_count(const struct convview *c, size_t i)
{
	size_t n = c->items[i].think_rows.n + c->items[i].rows.n;
	return gap(c, i) + (n ? n : 1);
}

size_t item_rows(struct convview *c, size_t i)
{
	ensure(c, i);
	return row_count(c, i);
}

size_t item_guess(struct convview *c, size_t i)
{
	struct item *it = c->items + i;
	int width = text_width(c->width);
	if (laid_out(c, it))
		return row_count(c, i);
	if (it->guess_width != width) {
		const char *at = it->text.p, *end = at + it->text.len;
		it->guess = it->text.len / (size_t)width + 1;
		for (; at && at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
			it->guess++;
		it->guess_width = width;
	}
	return gap(c, i) + it->guess;
}

/* Row `row` of an item that is laid out: where it is in the rows returned. NULL: blank. */
static const struct rows *item_row(const struct convview *c, size_t i, size_t row, size_t *at)
{
	const struct item *it = c->items + i;
	size_t g = gap(c, i);
	if (row < g)
		return NULL;
	row -= g;
	*at = row < it->think_rows.n ? row : row - it->think_rows.n;
	const struct rows *r = row < it->think_rows.n ? &it->think_rows : &it->rows;
	return *at < r->n ? r : NULL;
}

void convview_toggle_fold(struct convview *c)
{
	struct item *it = answer(c);
	bool folded = it ? is_folded(c, it) : c->fold >= 0;
	c->fold = folded ? -1 : 1;
	undone(c, 0);
}

void convview_fold_changed(struct convview *c)
{
	undone(c, 0);
}

void convview_relayout(struct convview *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->items[i].width = 0;
	undone(c, 0);
}

/* --- drawing --- */

static void label(struct grid *g, int x, int y, int w, enum item_kind kind)
{
	static const char *const names[] = {"you", "ai ", "", ""};
	static const enum style styles[] = {ST_USER, ST_ASSISTANT, ST_DIM, ST_ERROR};
	if (kind >= ITEM_NOTE) {
		grid_puts(g, x + (w > 2 ? w - 2 : 0), y, 1, styles[kind], kind == ITEM_NOTE ? g->glyphs->dot : "!");
	} else if (w >= LABEL) {
		grid_puts(g, x, y, 3, styles[kind], names[kind]);
		grid_puts(g, x + 4, y, 1, styles[kind], g->glyphs->who);
	} else if (w > 0) {
		grid_puts(g, x, y, 1, styles[kind], kind == ITEM_USER ? g->glyphs->who : g->glyphs->bullet);
	}
}

void convview_draw(struct convview *c, struct grid *g, struct rect r)
{
	set_size(c, r, g->glyphs);
	struct conv_pos top = convview_top(c), at = top;
	int in = indent(r.w);
	for (int y = 0; y < r.h && at.item < c->n; y++) {
		struct item *it = c->items + at.item;
		size_t row = 0, count = item_rows(c, at.item);
		const struct rows *rows = item_row(c, at.item, at.row, &row);
		if (at.row == gap(c, at.item))
			label(g, r.x, r.y + y, in, it->kind);
		if (rows)
			rows_draw(rows, row, g, r.x + in, r.y + y, text_width(r.w));
		if (rows && c->query.len)
			convview_mark_found(c, at.item, at.row - gap(c, at.item), g, r.x + in, r.y + y);
		if (it->growing && at.row + 1 == count)
			grid_puts(g, r.x + in + (rows ? rows_width(rows, row) : 0), r.y + y, 1, ST_DIM,
				g->glyphs->cursor);
		if (++at.row >= count)
			at = (struct conv_pos){at.item + 1, 0};
	}
	convview_scroll_bar(c, g, r, top);
	convview_below(c, g, r, top);
}

/* --- what can be copied --- */

const struct buf *convview_answer(const struct convview *c, size_t n)
{
	for (size_t i = c->n; i-- > 0;)
		if (c->items[i].kind == ITEM_ANSWER && c->items[i].text.len && n-- == 0)
			return &c->items[i].text;
	return NULL;
}

unsigned convview_codes(struct convview *c)
{
	unsigned n = 0;
	for (size_t i = 0; i < c->n; i++) {
		ensure(c, i);
		n += c->items[i].kind == ITEM_ANSWER ? c->items[i].codes : 0;
	}
	return n;
}

bool convview_code(struct convview *c, unsigned number, struct buf *out)
{
	unsigned first = 1;
	convview_codes(c);
	for (size_t i = 0; i < c->n; i++) {
		const struct item *it = c->items + i;
		if (it->kind != ITEM_ANSWER)
			continue;
		if (number >= first && number < first + it->codes)
			return markdown_code(buf_str(&it->text), it->text.len, number - first, out);
		first += it->codes;
	}
	return false;
}
