#include "tui/markdown.h"

#include <stdio.h>
#include <string.h>

#include <cmark-gfm-core-extensions.h>

#include "tui/markdown_private.h"

#define DEEPEST 16 /* of nested quotes and lists that are drawn as such */

/* --- inlines --- */

struct inline_state {
	int strong, emph, strike, link;
	size_t link_from; /* where the text of the link begins */
};

static style_t inline_style(const struct inline_state *s, style_t base)
{
	style_t st = s->link ? (style_t)ST_KEY | STYLE_UNDERLINE : base;
	return st | (s->strong ? STYLE_BOLD : 0) | (s->emph ? STYLE_ITALIC : 0) |
		(s->strike ? STYLE_STRIKE : 0);
}

static void link_target(const struct inline_state *s, cmark_node *n, struct para *p, style_t base)
{
	const char *url = cmark_node_get_url(n);
	size_t len = url ? strlen(url) : 0, text = p->text.len - s->link_from;
	const char *shown = buf_str(&p->text) + s->link_from;
	if (!len || (text == len && !memcmp(shown, url, len)) ||
		(len == text + 7 && !strncmp(url, "mailto:", 7)) ||
		(len == text + 7 && !strncmp(url, "http://", 7)))
		return;
	para_add(p, ST_DIM, " (", 2);
	para_add(p, (style_t)ST_DIM | (base & STYLE_ATTRS), url, len);
	para_add(p, ST_DIM, ")", 1);
}

static void literal(struct para *p, style_t st, cmark_node *n)
{
	const char *s = cmark_node_get_literal(n);
	if (s)
		para_add(p, st, s, strlen(s));
}

static void inline_event(cmark_node *n, bool enter, struct inline_state *s, struct para *p, style_t base)
{
	cmark_node_type t = cmark_node_get_type(n);
	int d = enter ? 1 : -1;
	if (t == CMARK_NODE_TEXT) {
		literal(p, inline_style(s, base), n);
	} else if (t == CMARK_NODE_SOFTBREAK || t == CMARK_NODE_LINEBREAK) {
		para_add(p, base, "\n", 1); /* models break lines where they mean it */
	} else if (t == CMARK_NODE_CODE) {
		literal(p, (style_t)ST_CODE | (inline_style(s, base) & STYLE_ATTRS), n);
	} else if (t == CMARK_NODE_HTML_INLINE) {
		literal(p, ST_DIM, n);
	} else if (t == CMARK_NODE_STRONG) {
		s->strong += d;
	} else if (t == CMARK_NODE_EMPH) {
		s->emph += d;
	} else if (!strcmp(cmark_node_get_type_string(n), "strikethrough")) {
		s->strike += d;
	} else if (t == CMARK_NODE_LINK || t == CMARK_NODE_IMAGE) {
		if (enter && t == CMARK_NODE_IMAGE)
			para_add(p, ST_DIM, "[image] ", 8);
		if (enter)
			s->link_from = p->text.len;
		else
			link_target(s, n, p, base);
		s->link += d;
	}
}

void md_inlines(struct md *m, cmark_node *node, struct para *p, style_t base)
{
	struct inline_state s = {0};
	cmark_iter *it = cmark_iter_new(node);
	cmark_event_type ev;
	(void)m;
	while ((ev = cmark_iter_next(it)) != CMARK_EVENT_DONE)
		if (cmark_iter_get_node(it) != node)
			inline_event(cmark_iter_get_node(it), ev == CMARK_EVENT_ENTER, &s, p, base);
	cmark_iter_free(it);
}

/* --- blocks --- */

static void md_repeat(struct para *p, style_t st, const char *glyph, int n)
{
	for (int i = 0; i < n; i++)
		para_add(p, st, glyph, strlen(glyph));
}

int md_columns(const struct md *m)
{
	int n = m->width - grid_width(buf_str(&m->rest.text), m->rest.text.len);
	return n > 4 ? n : 4;
}

static void first_is_rest(struct md *m)
{
	para_reset(&m->first);
	for (size_t i = 0; i < m->rest.n; i++)
		para_add(&m->first, m->rest.spans[i].style, m->rest.text.p + m->rest.spans[i].at,
			m->rest.spans[i].len);
}

/* Wrap p with the indents that apply now. */
static void md_wrap(struct md *m, const struct para *p, bool code, style_t fill)
{
	const struct indent in = {&m->first, &m->rest};
	rows_wrap(m->out, p, m->width, &in, code, fill);
	first_is_rest(m);
}

static void gap(struct md *m, cmark_node *n)
{
	cmark_node *parent = cmark_node_parent(n), *list = parent;
	if (parent && cmark_node_get_type(parent) == CMARK_NODE_ITEM)
		list = cmark_node_parent(parent);
	bool tight = list && cmark_node_get_type(list) == CMARK_NODE_LIST && cmark_node_get_list_tight(list);
	bool top = parent && cmark_node_get_type(parent) == CMARK_NODE_DOCUMENT;
	if (!(top ? m->out->n > 0 : cmark_node_previous(n) && !tight))
		return;
	const struct indent in = {&m->rest, &m->rest};
	static const struct para empty;
	rows_wrap(m->out, &empty, m->width, &in, true, ST_TEXT);
}

static void code_block(struct md *m, cmark_node *n, unsigned number)
{
	const char *text = cmark_node_get_literal(n), *info = cmark_node_get_fence_info(n);
	char tag[64], copy[32] = "";
	int lang = info ? (int)strcspn(info, " \t") : 0, columns = md_columns(m);
	snprintf(tag, sizeof(tag), " %.*s ", lang > 30 ? 30 : lang, info ? info : "");
	if (number)
		snprintf(copy, sizeof(copy), " /copy %u ", number);
	if (lang == 0)
		*tag = 0;
	int line = columns - 4 - grid_width(tag, strlen(tag)) - (int)strlen(copy);
	para_reset(&m->p);
	md_repeat(&m->p, ST_LINE, m->k->hline, 2);
	para_add(&m->p, ST_TITLE, tag, strlen(tag));
	if (line >= 0) {
		md_repeat(&m->p, ST_LINE, m->k->hline, line);
		para_add(&m->p, ST_DIM, copy, strlen(copy));
		md_repeat(&m->p, ST_LINE, m->k->hline, 2);
	}
	md_wrap(m, &m->p, true, ST_TEXT);
	if (m->out->n)
		rows_decor(m->out);
	size_t len = text ? strlen(text) : 0;
	size_t first = m->first.text.len, rest = m->rest.text.len;
	para_add(&m->first, ST_CODE, "  ", columns > 20 ? 2 : 0);
	para_add(&m->rest, ST_CODE, "  ", columns > 20 ? 2 : 0);
	para_reset(&m->p);
	para_add(&m->p, ST_CODE, text, len);
	if (len)
		md_wrap(m, &m->p, true, ST_CODE);
	para_cut(&m->first, first);
	para_cut(&m->rest, rest);
}

static void heading(struct md *m, cmark_node *n)
{
	int level = cmark_node_get_heading_level(n);
	para_reset(&m->p);
	md_inlines(m, n, &m->p, (style_t)ST_TITLE | STYLE_BOLD | (level == 1 ? STYLE_UNDERLINE : 0) |
		(level > 2 ? STYLE_ITALIC : 0));
	md_wrap(m, &m->p, false, ST_TEXT);
}

static void leaf(struct md *m, cmark_node *n, unsigned first_code)
{
	cmark_node_type t = cmark_node_get_type(n);
	gap(m, n);
	if (t == CMARK_NODE_HEADING) {
		heading(m, n);
	} else if (t == CMARK_NODE_CODE_BLOCK) {
		code_block(m, n, first_code ? first_code + m->codes : 0);
		m->codes++;
	} else if (!strcmp(cmark_node_get_type_string(n), "table")) {
		md_table(m, n);
	} else if (t == CMARK_NODE_THEMATIC_BREAK) {
		para_reset(&m->p);
		md_repeat(&m->p, ST_LINE, m->k->hline, md_columns(m));
		md_wrap(m, &m->p, true, ST_TEXT);
	} else if (t == CMARK_NODE_HTML_BLOCK) {
		para_reset(&m->p);
		literal(&m->p, ST_DIM, n);
		md_wrap(m, &m->p, false, ST_TEXT);
	} else {
		para_reset(&m->p);
		md_inlines(m, n, &m->p, ST_TEXT);
		md_wrap(m, &m->p, false, ST_TEXT);
	}
}

/* --- containers: what they put left of their content --- */

struct level {
	size_t rest; /* length of the indent outside */
	int number;  /* of the next item of a list */
	bool drawn;
};

static void item_mark(struct md *m, cmark_node *n, struct level *list, char *out, size_t cap)
{
	cmark_node *parent = cmark_node_parent(n);
	if (!strcmp(cmark_node_get_type_string(n), "tasklist"))
		snprintf(out, cap, "[%s] ", cmark_gfm_extensions_get_tasklist_item_checked(n) ? m->k->check : " ");
	else if (cmark_node_get_list_type(parent) == CMARK_ORDERED_LIST)
		snprintf(out, cap, "%d%s ", list ? list->number++ : 1,
			cmark_node_get_list_delim(parent) == CMARK_PAREN_DELIM ? ")" : ".");
	else
		snprintf(out, cap, "%s ", m->k->bullet);
}

static void enter(struct md *m, cmark_node *n, struct level *stack, int depth)
{
	cmark_node_type t = cmark_node_get_type(n);
	struct level *l = depth < DEEPEST ? stack + depth : NULL;
	char mark[32];
	if (l)
		*l = (struct level){.rest = m->rest.text.len, .number = 1};
	if (t == CMARK_NODE_LIST && l)
		l->number = cmark_node_get_list_start(n);
	gap(m, n);
	if (!l || md_columns(m) < 16)
		return;
	if (t == CMARK_NODE_BLOCK_QUOTE) {
		l->drawn = true;
		snprintf(mark, sizeof(mark), "%s ", m->k->vline);
		para_add(&m->first, ST_LINE, mark, strlen(mark));
		para_add(&m->rest, ST_LINE, mark, strlen(mark));
	} else if (t == CMARK_NODE_ITEM) {
		l->drawn = true;
		item_mark(m, n, depth > 0 ? l - 1 : NULL, mark, sizeof(mark));
		para_add(&m->first, ST_KEY, mark, strlen(mark));
		md_repeat(&m->rest, ST_TEXT, " ", grid_width(mark, strlen(mark)));
	}
}

static void leave(struct md *m, cmark_node *n, const struct level *l)
{
	if (!l)
		return;
	if (cmark_node_get_type(n) == CMARK_NODE_ITEM && !cmark_node_first_child(n)) {
		static const struct para empty;
		md_wrap(m, &empty, false, ST_TEXT); /* an item with nothing in it yet */
	}
	para_cut(&m->rest, l->rest);
	first_is_rest(m);
}

static bool container(cmark_node_type t)
{
	return t == CMARK_NODE_BLOCK_QUOTE || t == CMARK_NODE_LIST || t == CMARK_NODE_ITEM;
}

/* --- a whole text --- */

/* The document lies in cmark's arena, which halves the time of a long one, until parse_done; one at a time, so in the
 * screen's thread only. */
static cmark_node *parse(const char *text, size_t len)
{
	static const char *const names[] = {"table", "strikethrough", "autolink", "tasklist"};
	cmark_gfm_core_extensions_ensure_registered();
	cmark_parser *parser = cmark_parser_new_with_mem(CMARK_OPT_DEFAULT, cmark_get_arena_mem_allocator());
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		cmark_syntax_extension *x = cmark_find_syntax_extension(names[i]);
		if (x)
			cmark_parser_attach_syntax_extension(parser, x);
	}
	cmark_parser_feed(parser, text, len);
	return cmark_parser_finish(parser);
}

static void parse_done(void)
{
	cmark_arena_reset();
}

/* Lines of the text, counted forward: where line n (from 1) begins. */
struct lines {
	const char *text;
	size_t len, at;
	int line;
};

static size_t line_start(struct lines *l, int line)
{
	while (l->line < line && l->at < l->len) {
		const char *nl = memchr(l->text + l->at, '\n', l->len - l->at);
		l->at = nl ? (size_t)(nl - l->text) + 1 : l->len;
		l->line++;
	}
	return l->at;
}

static void walk(struct md *m, cmark_node *doc, struct markdown_mark *mark, const char *text, size_t len,
	unsigned first_code)
{
	struct level stack[DEEPEST];
	struct lines lines = {text, len, 0, 1};
	size_t last_line = len, from = mark->bytes;
	int depth = 0;
	cmark_iter *it = cmark_iter_new(doc);
	cmark_event_type ev;
	while (last_line && text[last_line - 1] != '\n')
		last_line--;
	while ((ev = cmark_iter_next(it)) != CMARK_EVENT_DONE) {
		cmark_node *n = cmark_iter_get_node(it);
		cmark_node_type t = cmark_node_get_type(n);
		if (n == doc)
			continue;
		if (ev == CMARK_EVENT_ENTER && cmark_node_parent(n) == doc) {
			size_t at = line_start(&lines, cmark_node_get_start_line(n));
			if (at < last_line)
				*mark = (struct markdown_mark){from + at, m->out->n, m->codes};
		}
		if (!container(t)) {
			leaf(m, n, first_code);
			cmark_iter_reset(it, n, CMARK_EVENT_EXIT);
		} else if (ev == CMARK_EVENT_ENTER) {
			enter(m, n, stack, depth++);
		} else {
			depth--;
			leave(m, n, depth < DEEPEST ? stack + depth : NULL);
		}
	}
	cmark_iter_free(it);
}

unsigned markdown_render(struct rows *out, struct markdown_mark *mark, const char *text, size_t len,
	int width, const struct glyphs *k, unsigned first_code)
{
	struct md m = {.out = out, .k = k, .width = width < 4 ? 4 : width, .codes = mark->codes};
	rows_cut(out, mark->rows);
	cmark_node *doc = parse(text + mark->bytes, len - mark->bytes);
	if (doc)
		walk(&m, doc, mark, text + mark->bytes, len - mark->bytes, first_code);
	parse_done();
	para_clear(&m.first);
	para_clear(&m.rest);
	para_clear(&m.p);
	return m.codes;
}

bool markdown_code(const char *text, size_t len, unsigned n, struct buf *out)
{
	cmark_node *doc = parse(text, len);
	cmark_iter *it = doc ? cmark_iter_new(doc) : NULL;
	bool found = false;
	while (it && !found && cmark_iter_next(it) != CMARK_EVENT_DONE) {
		cmark_node *at = cmark_iter_get_node(it);
		if (cmark_node_get_type(at) != CMARK_NODE_CODE_BLOCK || n-- > 0)
			continue;
		const char *s = cmark_node_get_literal(at);
		buf_puts(out, s ? s : "");
		found = true;
	}
	if (it)
		cmark_iter_free(it);
	parse_done();
	return found;
}
