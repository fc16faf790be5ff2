/* Searching the conversation. Each answer is searched as running text: where its rows were broken by the
 * width does not matter. Places are byte offsets in that text. */
#include <string.h>

#include <utf8proc.h>

#include "base/utf8.h"
#include "tui/convview.h"

/* Row r of an item, reasoning first, which is unfolded while something is searched for. */
static const struct row *nth_row(const struct item *it, size_t r, const struct rows **of, size_t *at)
{
	bool think = r < it->think_rows.n;
	*of = think ? &it->think_rows : &it->rows;
	*at = think ? r : r - it->think_rows.n;
	return (*of)->rows + *at;
}

static size_t all_rows(const struct item *it)
{
	return it->think_rows.n + it->rows.n;
}

static size_t row_bytes(const struct rows *of, const struct row *row)
{
	size_t n = 0;
	for (uint32_t i = row->decor; i < row->n; i++)
		n += of->spans[row->first + i].len;
	return n;
}

/* The text of an item as it is shown, row after row. */
static const struct buf *running_text(struct convview *c, size_t item)
{
	const struct item *it = c->items + item;
	struct buf *out = &c->flat;
	item_rows(c, item); /* laid out */
	size_t len = it->text.len + it->think.len;
	if (out->len && c->flat_item == item && c->flat_width == it->width && c->flat_len == len)
		return out;
	buf_reset(out);
	c->flat_item = item;
	c->flat_width = it->width;
	c->flat_len = len;
	for (size_t r = 0, at; r < all_rows(it); r++) {
		const struct rows *of;
		const struct row *row = nth_row(it, r, &of, &at);
		rows_text(of, at, out);
		if (!row->soft || row->space)
			buf_addc(out, row->soft ? ' ' : '\n');
	}
	return out;
}

/* Bytes of s that match the whole query, or 0. Any white space matches any other. */
static size_t match(const char *s, size_t len, const struct buf *query)
{
	size_t i = 0;
	for (size_t q = 0; q < query->len;) {
		uint32_t a, b;
		if (i >= len)
			return 0;
		i += utf8_decode(s + i, len - i, &a, NULL);
		q += utf8_decode(query->p + q, query->len - q, &b, NULL);
		a = a == '\n' ? ' ' : (uint32_t)utf8proc_tolower((utf8proc_int32_t)a);
		b = (uint32_t)utf8proc_tolower((utf8proc_int32_t)b);
		if (a != b)
			return 0;
	}
	return i;
}

/* The first match at or behind `from`; its length, or 0. */
static size_t next_match(const struct buf *text, size_t from, const struct buf *query, size_t *at)
{
	uint32_t first;
	utf8_decode(query->p, query->len, &first, NULL);
	first = (uint32_t)utf8proc_tolower((utf8proc_int32_t)first);
	for (size_t i = from; i < text->len; i++) {
		unsigned char b = (unsigned char)text->p[i];
		if ((b & 0xc0) == 0x80)
			continue;
		b = b >= 'A' && b <= 'Z' ? b | 0x20 : b == '\n' ? ' ' : b;
		if (b < 0x80 && b != first) /* soon seen for most */
			continue;
		size_t n = match(text->p + i, text->len - i, query);
		if (n) {
			*at = i;
			return n;
		}
	}
	return 0;
}

/* The row of the item in which the running text's byte `at` lies. */
static size_t row_at(const struct item *it, size_t at)
{
	size_t n = 0, r = 0, in;
	for (; r < all_rows(it); r++) {
		const struct rows *of;
		const struct row *row = nth_row(it, r, &of, &in);
		n += row_bytes(of, row) + (!row->soft || row->space);
		if (at < n)
			break;
	}
	return r;
}

/* The nearest match in an item before (direction < 0) or behind `limit`. */
static bool search_item(struct convview *c, size_t item, size_t limit, int direction, size_t *at)
{
	const struct buf *text = running_text(c, item);
	bool found = false;
	size_t from = direction > 0 ? limit : 0, hit, n;
	while ((n = next_match(text, from, &c->query, &hit))) {
		if (direction < 0 && hit >= limit)
			break;
		*at = hit;
		found = true;
		if (direction > 0)
			break;
		from = hit + n;
	}
	return found;
}

static bool search(struct convview *c, size_t item, size_t limit, int direction)
{
	size_t at;
	for (size_t i = item; i < c->n; i += (size_t)(direction > 0 ? 1 : -1)) {
		if (search_item(c, i, limit, direction, &at)) {
			c->found = true;
			c->count.known = false;
			c->found_item = i;
			c->found_at = at;
			const struct item *it = c->items + i;
			size_t count = item_rows(c, i);
			convview_show(c, i, count - all_rows(it) + row_at(it, at));
			return true;
		}
		limit = direction > 0 ? 0 : SIZE_MAX;
	}
	return false;
}

/* Where nothing is searched for any more, the reasoning stays unfolded if the last place lies in it. */
static void set_query(struct convview *c, const char *query, size_t len)
{
	bool was = c->query.len != 0;
	const struct item *it = c->found && c->found_item < c->n ? c->items + c->found_item : NULL;
	if (was && !len && it && row_at(it, c->found_at) < it->think_rows.n)
		c->fold = -1;
	c->count.known = false;
	buf_reset(&c->query);
	utf8_append_printable(&c->query, query, len);
	if (was != (c->query.len != 0))
		convview_fold_changed(c);
}

bool convview_find(struct convview *c, const char *query, size_t len)
{
	set_query(c, query, len);
	size_t item = c->found ? c->found_item : c->n - 1, at = c->found ? c->found_at + 1 : SIZE_MAX;
	if (!c->query.len || !c->n) {
		c->found = false;
		return false;
	}
	if (search(c, item, at, -1) || search(c, item, c->found ? at : 0, 1))
		return true;
	c->found = false;
	return false;
}

bool convview_find_next(struct convview *c, int direction)
{
	if (!c->query.len || !c->n)
		return false;
	if (!c->found)
		return search(c, c->n - 1, SIZE_MAX, -1);
	return search(c, c->found_item, c->found_at + (direction > 0 ? 1 : 0), direction) ||
		search(c, direction > 0 ? 0 : c->n - 1, direction > 0 ? 0 : SIZE_MAX, direction); /* around */
}

/* Each frame asks: counted anew only when something is different. */
void convview_find_count(struct convview *c, size_t *which, size_t *of)
{
	size_t bytes = 0;
	for (size_t i = 0; i < c->n; i++)
		bytes += c->items[i].text.len + c->items[i].think.len;
	*which = c->count.which;
	*of = c->count.of;
	if (c->count.known && c->count.n == c->n && c->count.bytes == bytes)
		return;
	*which = *of = 0;
	for (size_t i = 0; i < c->n && c->query.len; i++) {
		const struct buf *text = running_text(c, i);
		size_t at, n;
		for (size_t from = 0; (n = next_match(text, from, &c->query, &at)); from = at + n) {
			++*of;
			if (c->found && i == c->found_item && at == c->found_at)
				*which = *of;
		}
	}
	c->count = (struct found_count){true, c->n, bytes, *which, *of};
}

/* Columns in front of byte `at` of the text of a row. */
static int column(const struct rows *r, size_t row, size_t at)
{
	const struct row *it = r->rows + row;
	int x = 0;
	for (uint32_t i = 0; i < it->n; i++) {
		const struct span *s = r->spans + it->first + i;
		size_t n = i < it->decor ? s->len : at < s->len ? at : s->len;
		x += grid_width(r->text.p + s->at, n);
		at -= i < it->decor ? 0 : n;
	}
	return x;
}

void convview_mark_found(struct convview *c, size_t item, size_t row, struct grid *g, int x, int y)
{
	const struct item *it = c->items + item;
	const struct buf *text = running_text(c, item);
	const struct rows *of = &it->rows;
	size_t begin = 0, own = 0, at, n, from, in = 0;
	for (size_t r = 0; r <= row; r++) {
		const struct row *w = nth_row(it, r, &of, &in);
		begin += own;
		own = row_bytes(of, w);
		begin += r < row && (!w->soft || w->space);
	}
	size_t end = begin + own;
	from = begin > 4 * c->query.len + 4 ? begin - 4 * c->query.len - 4 : 0; /* it may begin above */
	for (; (n = next_match(text, from, &c->query, &at)) && at < end; from = at + n) {
		size_t a = at > begin ? at - begin : 0, b = at + n < end ? at + n - begin : own;
		if (at + n <= begin)
			continue;
		bool current = c->found && c->found_item == item && c->found_at == at;
		int x0 = column(of, in, a), x1 = column(of, in, b);
		grid_restyle(g, (struct rect){x + x0, y, x1 - x0, 1}, current ? 0xffffu : 0,
			current ? (style_t)ST_SELECTED | STYLE_BOLD : STYLE_REVERSE);
	}
}
