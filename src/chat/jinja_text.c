/* Strings with origins, and values as Python prints them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "chat/jinja_run.h"

#define DEPTH 100 /* of nested values */

void sbuf_add(struct jinja *j, struct sbuf *b, const char *p, const uint8_t *m, size_t len, bool user)
{
	if (b->cap - b->len < len) {
		size_t cap = b->cap * 2 > b->len + len ? b->cap * 2 : b->len + len + 64;
		char *q = jinja_alloc(j, 2 * cap);
		if (b->len) {
			memcpy(q, b->p, b->len);
			memcpy(q + cap, b->m, b->len);
		}
		b->p = q;
		b->m = (uint8_t *)q + cap;
		b->cap = cap;
	}
	if (len == 0)
		return;
	memcpy(b->p + b->len, p, len);
	if (m)
		memcpy(b->m + b->len, m, len);
	else
		memset(b->m + b->len, user, len);
	b->len += len;
}

void sbuf_str(struct jinja *j, struct sbuf *b, struct str s)
{
	sbuf_add(j, b, s.p, s.m, s.len, false);
}

void sbuf_puts(struct jinja *j, struct sbuf *b, const char *s)
{
	sbuf_add(j, b, s, NULL, strlen(s), false);
}

void sbuf_fill(struct jinja *j, struct sbuf *b, const char *c, size_t n)
{
	jinja_work(j, n / 64);
	for (size_t k = strlen(c); n > 0; n--)
		sbuf_add(j, b, c, NULL, k, false);
}

void sbuf_escaped(struct jinja *j, struct sbuf *b, struct str s)
{
	static const char special[] = "&<>'\"";
	static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
	if (s.safe) {
		sbuf_str(j, b, s);
		return;
	}
	size_t from = 0;
	for (size_t i = 0; i < s.len; i++) {
		const char *at = s.p[i] ? strchr(special, s.p[i]) : NULL;
		if (!at)
			continue;
		const char *name = names[at - special];
		sbuf_add(j, b, s.p + from, s.m + from, i - from, false);
		sbuf_add(j, b, name, NULL, strlen(name), s.m[i]);
		from = i + 1;
	}
	sbuf_add(j, b, s.p + from, s.m + from, s.len - from, false);
}

struct value sbuf_value(struct jinja *j, struct sbuf *b)
{
	sbuf_add(j, b, "", NULL, 0, false);
	return v_of((struct str){b->p ? b->p : "", b->m, b->len, false});
}

/* --- repr --- */

void float_repr(char s[40], double f)
{
	if (isnan(f) || isinf(f)) {
		strcpy(s, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(s, 40, "%.*g", digits, f);
		if (strtod(s, NULL) == f)
			break;
	}
	double mag = fabs(f);
	if (strchr(s, 'e') && mag >= 1e-4 && mag < 1e16) /* Python writes these out */
		snprintf(s, 40, "%.0f", f);
	if (!strpbrk(s, ".e"))
		strcat(s, ".0");
}

bool py_is_printable(uint32_t cp)
{
	if (cp == ' ')
		return true;
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
	case UTF8PROC_CATEGORY_ZS:
		return false;
	default:
		return true;
	}
}

static void repr_char(struct jinja *j, struct sbuf *b, const char *p, size_t n, uint8_t user, bool ascii)
{
	char hex[12];
	uint32_t cp;
	utf8_decode(p, n, &cp, NULL);
	if (cp == '\n' || cp == '\r' || cp == '\t')
		snprintf(hex, sizeof(hex), "\\%c", cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
	else if (py_is_printable(cp) && !(ascii && cp > 126)) {
		sbuf_add(j, b, p, NULL, n, user);
		return;
	} else if (cp < 0x100)
		snprintf(hex, sizeof(hex), "\\x%02x", cp);
	else if (cp < 0x10000)
		snprintf(hex, sizeof(hex), "\\u%04x", cp);
	else
		snprintf(hex, sizeof(hex), "\\U%08x", cp);
	sbuf_add(j, b, hex, NULL, strlen(hex), user);
}

static void repr_str(struct jinja *j, struct sbuf *b, struct str s, bool ascii)
{
	bool single = s.len && memchr(s.p, '\'', s.len), dbl = s.len && memchr(s.p, '"', s.len);
	char q = single && !dbl ? '"' : '\'';
	if (s.safe)
		sbuf_puts(j, b, "Markup(");
	sbuf_add(j, b, &q, NULL, 1, false);
	for (size_t i = 0, n; i < s.len; i += n) {
		uint32_t cp;
		n = utf8_decode(s.p + i, s.len - i, &cp, NULL);
		if (cp == (uint32_t)q || cp == '\\') {
			sbuf_add(j, b, "\\", NULL, 1, s.m[i]);
			sbuf_add(j, b, s.p + i, s.m + i, 1, false);
		} else {
			repr_char(j, b, s.p + i, n, s.m[i], ascii);
		}
	}
	sbuf_add(j, b, &q, NULL, 1, false);
	if (s.safe)
		sbuf_puts(j, b, ")");
}

static void repr(struct jinja *j, struct sbuf *b, const struct value *v, bool ascii, int depth);

static void repr_items(struct jinja *j, struct sbuf *b, const struct value *v, bool ascii, int depth)
{
	for (size_t i = 0; i < v->list->n; i++) {
		sbuf_puts(j, b, i ? ", " : "");
		repr(j, b, &v->list->p[i], ascii, depth + 1);
	}
}

static void repr_list(struct jinja *j, struct sbuf *b, const struct value *v, bool ascii, int depth)
{
	switch (v->type) {
	case V_LIST:
		sbuf_puts(j, b, "[");
		repr_items(j, b, v, ascii, depth);
		sbuf_puts(j, b, "]");
		break;
	case V_TUPLE:
		sbuf_puts(j, b, "(");
		repr_items(j, b, v, ascii, depth);
		sbuf_puts(j, b, v->list->n == 1 ? ",)" : ")");
		break;
	case V_VIEW:
		sbuf_puts(j, b, v->list->what);
		sbuf_puts(j, b, "([");
		repr_items(j, b, v, ascii, depth);
		sbuf_puts(j, b, "])");
		break;
	default:
		sbuf_puts(j, b, v->list->what ? v->list->what : "<generator object>");
	}
}

static void repr_dict(struct jinja *j, struct sbuf *b, const struct value *v, bool ascii, int depth)
{
	sbuf_puts(j, b, v->type == V_NAMESPACE ? "<Namespace {" : "{");
	for (size_t i = 0; i < v->dict->n; i++) {
		sbuf_puts(j, b, i ? ", " : "");
		repr(j, b, &v->dict->p[i].key, ascii, depth + 1);
		sbuf_puts(j, b, ": ");
		repr(j, b, &v->dict->p[i].value, ascii, depth + 1);
	}
	sbuf_puts(j, b, v->type == V_NAMESPACE ? "}>" : "}");
}

static void repr_other(struct jinja *j, struct sbuf *b, const struct value *v)
{
	char s[80];
	const char *name = v->type == V_MACRO ? v->macro->node->name : NULL;
	if (v->type == V_LOOP)
		snprintf(s, sizeof(s), "<LoopContext %zu/%zu>", v->loop->index + 1, v->loop->items.list->n);
	else if (v->type == V_MACRO) /* a call block's has no name */
		snprintf(s, sizeof(s), name ? "<Macro '%.60s'>" : "<Macro anonymous>", name);
	else /* Python would print an address */
		snprintf(s, sizeof(s), "<%s object>", v_type_name(v));
	sbuf_puts(j, b, s);
}

static void repr(struct jinja *j, struct sbuf *b, const struct value *v, bool ascii, int depth)
{
	char s[40];
	jinja_work(j, 1);
	if (depth > DEPTH)
		jinja_fail(j, ERR_LIMIT, "values are nested too deeply");
	switch (v->type) {
	case V_UNDEFINED:
		sbuf_puts(j, b, "Undefined");
		break;
	case V_NONE:
		sbuf_puts(j, b, "None");
		break;
	case V_BOOL:
		sbuf_puts(j, b, v->b ? "True" : "False");
		break;
	case V_INT:
	case V_BIG:
		sbuf_puts(j, b, number_text(j, v));
		break;
	case V_FLOAT:
		float_repr(s, v->f);
		sbuf_puts(j, b, s);
		break;
	case V_STR:
		repr_str(j, b, v->s, ascii);
		break;
	case V_LIST:
	case V_TUPLE:
	case V_VIEW:
	case V_RANGE:
	case V_GENERATOR:
		repr_list(j, b, v, ascii, depth);
		break;
	case V_DICT:
	case V_NAMESPACE:
		repr_dict(j, b, v, ascii, depth);
		break;
	default:
		repr_other(j, b, v);
	}
}

struct value v_repr(struct jinja *j, const struct value *v, bool ascii)
{
	struct sbuf b = {0};
	repr(j, &b, v, ascii, 0);
	return sbuf_value(j, &b);
}

struct value v_str(struct jinja *j, const struct value *v)
{
	if (v->type == V_STR)
		return *v;
	if (v->type == V_UNDEFINED)
		return v_literal(j, "");
	return v_repr(j, v, false);
}

struct value v_plain(struct jinja *j, const struct value *v)
{
	struct value s = v_str(j, v);
	s.s.safe = false;
	return s;
}
