#include "tui/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define TAB 4

void rows_clear(struct rows *r)
{
	buf_clear(&r->text);
	free(r->spans);
	free(r->rows);
	*r = (struct rows){0};
}

void rows_cut(struct rows *r, size_t n)
{
	if (n >= r->n)
		return;
	r->n_spans = r->rows[n].first;
	buf_cut(&r->text, r->n_spans ? r->spans[r->n_spans - 1].at + r->spans[r->n_spans - 1].len : 0);
	r->n = n;
}

void rows_begin(struct rows *r)
{
	if (r->failed || mem_grow(&r->rows, &r->cap, r->n + 1, sizeof(*r->rows))) {
		r->failed = true;
		return;
	}
	r->rows[r->n++] = (struct row){.first = (uint32_t)r->n_spans};
}

void rows_add(struct rows *r, style_t st, const char *s, size_t len)
{
	if (!len || r->failed || !r->n)
		return;
	if (r->text.len + len > UINT32_MAX / 2 ||
		mem_grow(&r->spans, &r->cap_spans, r->n_spans + 1, sizeof(*r->spans))) {
		r->failed = true;
		return;
	}
	struct row *row = r->rows + r->n - 1;
	r->spans[r->n_spans++] = (struct span){(uint32_t)r->text.len, (uint32_t)len, st};
	row->n++;
	buf_add(&r->text, s, len);
	r->failed |= r->text.failed;
}

void rows_decor(struct rows *r)
{
	if (r->n)
		r->rows[r->n - 1].decor = r->rows[r->n - 1].n;
}

void rows_draw(const struct rows *r, size_t row, struct grid *g, int x, int y, int w)
{
	const struct row *it = r->rows + row;
	int used = 0;
	for (uint32_t i = 0; i < it->n; i++) {
		const struct span *s = r->spans + it->first + i;
		used += grid_put(g, x + used, y, w - used, s->style, r->text.p + s->at, s->len);
	}
	if (it->fill)
		grid_fill(g, (struct rect){x + used, y, w - used, 1}, it->fill, " ");
}

int rows_width(const struct rows *r, size_t row)
{
	const struct row *it = r->rows + row;
	int n = 0;
	for (uint32_t i = 0; i < it->n; i++)
		n += grid_width(r->text.p + r->spans[it->first + i].at, r->spans[it->first + i].len);
	return n;
}

void rows_text(const struct rows *r, size_t row, struct buf *out)
{
	const struct row *it = r->rows + row;
	for (uint32_t i = it->decor; i < it->n; i++)
		buf_add(out, r->text.p + r->spans[it->first + i].at, r->spans[it->first + i].len);
}

/* --- paragraphs --- */

void para_clear(struct para *p)
{
	buf_clear(&p->text);
	free(p->spans);
	*p = (struct para){0};
}

void para_reset(struct para *p)
{
	buf_reset(&p->text);
	p->n = 0;
}

void para_cut(struct para *p, size_t len)
{
	buf_cut(&p->text, len);
	while (p->n && p->spans[p->n - 1].at >= len)
		p->n--;
	if (p->n)
		p->spans[p->n - 1].len = (uint32_t)len - p->spans[p->n - 1].at;
}

void para_add(struct para *p, style_t st, const char *s, size_t len)
{
	if (!len || p->failed)
		return;
	struct span *last = p->n ? p->spans + p->n - 1 : NULL;
	if (last && last->style == st) {
		last->len += (uint32_t)len;
	} else if (mem_grow(&p->spans, &p->cap, p->n + 1, sizeof(*p->spans))) {
		p->failed = true;
		return;
	} else {
		p->spans[p->n++] = (struct span){(uint32_t)p->text.len, (uint32_t)len, st};
	}
	buf_add(&p->text, s, len);
	p->failed |= p->text.failed;
}

void para_measure(const struct para *p, int *line, int *word)
{
	int l = 0, w = 0, n;
	*line = *word = 0;
	for (size_t i = 0; i < p->text.len;) {
		char c = p->text.p[i];
		i += grid_cluster(p->text.p + i, p->text.len - i, &n);
		l = c == '\n' ? 0 : l + n;
		w = c == '\n' || c == ' ' ? 0 : w + n;
		*line = l > *line ? l : *line;
		*word = w > *word ? w : *word;
	}
}

/* --- breaking --- */

struct wrap {
	struct rows *out;
	const struct para *p;
	const struct indent *in;
	int width, used; /* columns for text in this row, and taken */
	size_t span;	 /* the span that `at` lies in, for emit */
	bool code;
	style_t fill;
};

static int begin(struct wrap *w, bool first)
{
	const struct para *in = first ? w->in->first : w->in->rest;
	int n = in ? grid_width(buf_str(&in->text), in->text.len) : 0;
	rows_begin(w->out);
	if (w->out->failed)
		return 1;
	w->out->rows[w->out->n - 1].fill = w->fill;
	for (size_t i = 0; in && i < in->n; i++)
		rows_add(w->out, in->spans[i].style, in->text.p + in->spans[i].at, in->spans[i].len);
	rows_decor(w->out);
	return w->width - n > 4 ? w->width - n : 4;
}

/* Add text[from..to) to the row, span by span; tabs become spaces. */
static void emit(struct wrap *w, size_t from, size_t to)
{
	const struct para *p = w->p;
	while (w->span + 1 < p->n && p->spans[w->span + 1].at <= from)
		w->span++;
	for (size_t i = w->span; i < p->n && p->spans[i].at < to; i++) {
		size_t a = p->spans[i].at > from ? p->spans[i].at : from;
		size_t b = p->spans[i].at + p->spans[i].len < to ? p->spans[i].at + p->spans[i].len : to;
		for (size_t k; a < b; a = k) {
			for (k = a; k < b && p->text.p[k] != '\t';)
				k++;
			rows_add(w->out, p->spans[i].style, p->text.p + a, k - a);
			if (k < b) {
				rows_add(w->out, p->spans[i].style, "        ", TAB);
				k++;
			}
		}
	}
}

/* The end of the row that begins at `at`; *next is where the one after it begins. */
static size_t row_end(const struct wrap *w, size_t at, int width, size_t *next)
{
	const char *s = w->p->text.p;
	size_t len = w->p->text.len, brk = 0, brk_next = 0, i = at;
	int used = 0, n;
	while (i < len && s[i] != '\n') {
		size_t k = grid_cluster(s + i, len - i, &n);
		if (s[i] == '\t')
			n = TAB;
		if (used + n > width && i > at) {
			if (s[i] == ' ' && !w->code) { /* the space itself hangs over */
				*next = i + 1;
				return i;
			}
			*next = brk && !w->code ? brk_next : i;
			return brk && !w->code ? brk : i;
		}
		used += n;
		if (s[i] == ' ') {
			brk = i;
			brk_next = i + 1;
		} else if (n == 2 || (s[i] == '-' && i + 1 < len && i > at && s[i - 1] != ' ')) {
			brk = brk_next = i + k; /* behind a hyphen or an ideograph */
		}
		i += k;
	}
	*next = i < len ? i + 1 : i;
	return i;
}

void rows_wrap(struct rows *out, const struct para *p, int width, const struct indent *in, bool code,
	style_t fill)
{
	static const struct indent none;
	struct wrap w = {.out = out, .p = p, .in = in ? in : &none, .width = width, .code = code, .fill = fill};
	size_t at = 0, next;
	bool first = true;
	do {
		int columns = begin(&w, first);
		size_t end = row_end(&w, at, columns, &next);
		if (out->failed)
			return;
		emit(&w, at, end);
		if (end < p->text.len && p->text.p[end] != '\n') {
			out->rows[out->n - 1].soft = true;
			out->rows[out->n - 1].space = next > end;
		}
		first = false;
		at = next;
	} while (at < p->text.len);
}
