#include "tokenizer/pretokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define SPACES                                                                                             \
	"\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"

/* Rewrite \s and \S, which PCRE2 defines with U+180E and these regexes without. */
static int rewrite_spaces(const char *p, size_t len, struct buf *out, struct err *e)
{
	bool in_class = false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\\' && i + 1 < len) {
			char c = p[++i];
			if (c == 's')
				buf_puts(out, in_class ? SPACES : "[" SPACES "]");
			else if (c == 'S' && in_class)
				return err_set(e, ERR_UNSUPPORTED, "a pattern with \\S inside brackets is not supported");
			else if (c == 'S')
				buf_puts(out, "[^" SPACES "]");
			else
				buf_printf(out, "\\%c", c);
			continue;
		}
		if (p[i] == '[' && !in_class)
			in_class = true;
		else if (p[i] == '[')
			return err_set(e, ERR_UNSUPPORTED, "a pattern with nested brackets is not supported");
		else if (p[i] == ']')
			in_class = false;
		buf_addc(out, p[i]);
	}
	return buf_ok(out, e);
}

int pretokenizer_add(struct pretokenizer *t, const char *pattern, size_t len, bool literal,
	enum split_behavior b, bool invert, struct err *e)
{
	struct buf text = BUF_INIT;
	int code, rc = 0;
	PCRE2_SIZE at;
	if (t->n == sizeof(t->splits) / sizeof(*t->splits))
		return err_set(e, ERR_LIMIT, "more than %zu pre-tokenizers", t->n);
	if (len > 65536)
		return err_set(e, ERR_LIMIT, "a pre-tokenizer pattern of %zu bytes", len);
	if (literal)
		buf_add(&text, pattern, len);
	else
		rc = rewrite_spaces(pattern, len, &text, e);
	uint32_t flags = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | (literal ? PCRE2_LITERAL : 0);
	if (literal)
		flags &= ~(uint32_t)(PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C);
	pcre2_code *re = rc == 0 ? pcre2_compile((PCRE2_SPTR)buf_str(&text), text.len, flags, &code, &at, NULL)
				 : NULL;
	buf_clear(&text);
	if (rc == 0 && !re) {
		char why[128];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
		return err_set(e, ERR_FORMAT, "a pre-tokenizer pattern is not valid: %s", why);
	}
	if (rc < 0)
		return -1;
	pcre2_jit_compile(re, PCRE2_JIT_COMPLETE);
	t->splits[t->n++] = (struct split){re, b, invert};
	return 0;
}

void pretokenizer_clear(struct pretokenizer *t)
{
	while (t->n)
		pcre2_code_free(t->splits[--t->n].code);
}

void pieces_clear(struct pieces *p)
{
	free(p->p);
	*p = (struct pieces){0};
}

static int add(struct pieces *out, size_t start, size_t len, struct err *e)
{
	if (len == 0)
		return 0;
	if (mem_grow(&out->p, &out->cap, out->n + 1, sizeof(*out->p)) < 0)
		return err_nomem(e);
	out->p[out->n++] = (struct piece){start, len};
	return 0;
}

struct cutter { /* one split over one piece */
	const struct split *s;
	struct pieces *out;
	size_t first; /* pieces of this run start here in out */
	bool last_matched;
};

/* A stretch of text, matching or not, in order. */
static int give(struct cutter *c, size_t start, size_t len, bool match, struct err *e)
{
	if (len == 0)
		return 0;
	if (c->s->invert)
		match = !match;
	bool can_join = c->out->n > c->first;
	struct piece *last = can_join ? &c->out->p[c->out->n - 1] : NULL;
	bool was = c->last_matched;
	c->last_matched = match;
	switch (c->s->behavior) {
	case SPLIT_REMOVED:
		return match ? 0 : add(c->out, start, len, e);
	case SPLIT_MERGED_PREVIOUS:
		if (match && last && !was) {
			last->len += len;
			return 0;
		}
		break;
	case SPLIT_MERGED_NEXT:
		if (!match && last && was) {
			last->len += len;
			return 0;
		}
		break;
	case SPLIT_CONTIGUOUS:
		if (last && was == match) {
			last->len += len;
			return 0;
		}
		break;
	case SPLIT_ISOLATED:
		break;
	}
	return add(c->out, start, len, e);
}

static int cut(const struct split *s, pcre2_match_data *md, pcre2_match_context *mc, const char *text,
	struct piece in, struct pieces *out, struct err *e)
{
	struct cutter c = {.s = s, .out = out, .first = out->n};
	const char *p = text + in.start;
	size_t pos = 0, done = 0;
	while (pos < in.len) {
		int n = pcre2_match(s->code, (PCRE2_SPTR)p, in.len, pos, PCRE2_NO_UTF_CHECK, md, mc);
		if (n == PCRE2_ERROR_NOMATCH)
			break;
		if (n < 0)
			return err_set(e, ERR_LIMIT, "a pre-tokenizer pattern is too expensive on this text (PCRE2 error %d)", n);
		const PCRE2_SIZE *o = pcre2_get_ovector_pointer(md);
		if (o[1] <= o[0]) { /* an empty match: step over one character */
			pos = o[1] + 1;
			while (pos < in.len && ((uint8_t)p[pos] & 0xC0) == 0x80)
				pos++;
			continue;
		}
		if (give(&c, in.start + done, o[0] - done, false, e) < 0 ||
			give(&c, in.start + o[0], o[1] - o[0], true, e) < 0)
			return -1;
		pos = done = o[1];
	}
	return give(&c, in.start + done, in.len - done, false, e);
}

int pretokenizer_run(const struct pretokenizer *t, const char *text, size_t len, struct pieces *out,
	struct err *e)
{
	struct pieces now = {0}, next = {0};
	pcre2_match_context *mc = pcre2_match_context_create(NULL);
	pcre2_match_data *md = pcre2_match_data_create(8, NULL);
	int rc = mc && md ? add(&now, 0, len, e) : err_nomem(e);
	if (mc) {
		pcre2_set_match_limit(mc, 50000000);
		pcre2_set_depth_limit(mc, 100000);
		pcre2_set_heap_limit(mc, 64 << 10);
	}
	for (size_t i = 0; rc == 0 && i < t->n; i++) {
		next.n = 0;
		for (size_t j = 0; rc == 0 && j < now.n; j++)
			rc = cut(&t->splits[i], md, mc, text, now.p[j], &next, e);
		struct pieces swap = now;
		now = next;
		next = swap;
	}
	for (size_t j = 0; rc == 0 && j < now.n; j++)
		rc = add(out, now.p[j].start, now.p[j].len, e);
	pieces_clear(&now);
	pieces_clear(&next);
	pcre2_match_data_free(md);
	pcre2_match_context_free(mc);
	return rc;
}
