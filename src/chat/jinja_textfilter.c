/* Filters of strings. */
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "chat/jinja_run.h"

static struct value call(struct eval *ev, struct value in, const char *name, const struct args *a)
{
	struct value s = v_str(ev->j, &in);
	return string_method(ev, s.s, name, a);
}

static struct value f_trim(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *chars = arg(a, 0, "chars");
	struct value set = chars ? *chars : v_none();
	return call(ev, in, "strip", &(struct args){&set, 1, NULL});
}

static struct value f_lower(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	return call(ev, in, "lower", &(struct args){0});
}

static struct value f_upper(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	return call(ev, in, "upper", &(struct args){0});
}

static struct value f_capitalize(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	return call(ev, in, "capitalize", &(struct args){0});
}

/* A capital behind white space and -({[<, small letters elsewhere. */
static struct value f_title(struct eval *ev, struct value in, const struct args *a)
{
	struct value s = v_plain(ev->j, &in);
	struct sbuf b = {0};
	bool start = true;
	(void)a;
	for (size_t i = 0, n; i < s.s.len; i += n) {
		uint32_t cp;
		n = utf8_decode(s.s.p + i, s.s.len - i, &cp, NULL);
		struct value c = v_of(str_piece(s.s, i, i + n));
		bool between = py_is_space(cp) || (cp < 128 && cp && strchr("-({[<", (int)cp));
		sbuf_str(ev->j, &b, between ? c.s : string_call(ev, c, start ? "upper" : "lower").s);
		start = between;
	}
	return sbuf_value(ev->j, &b);
}

static struct value f_replace(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *from = arg(a, 0, "old"), *to = arg(a, 1, "new"), *count = arg(a, 2, "count");
	if (!from || !to)
		jinja_fail(ev->j, ERR_FORMAT, "replace wants two strings");
	struct value s = v_plain(ev->j, &in);
	struct value parts[3] = {v_plain(ev->j, from), v_plain(ev->j, to), v_int(-1)};
	if (count && count->type != V_NONE)
		parts[2] = *count;
	return string_method(ev, s.s, "replace", &(struct args){parts, 3, NULL});
}

static struct value f_string(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	return v_str(ev->j, &in);
}

static struct value f_safe(struct eval *ev, struct value in, const struct args *a)
{
	struct value s = v_str(ev->j, &in);
	(void)a;
	s.s.safe = true;
	return s;
}

static struct value escaped(struct eval *ev, struct value s)
{
	struct sbuf b = {0};
	sbuf_escaped(ev->j, &b, s.s);
	s = sbuf_value(ev->j, &b);
	s.s.safe = true;
	return s;
}

static struct value f_escape(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	return escaped(ev, v_str(ev->j, &in));
}

static struct value f_forceescape(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	return escaped(ev, v_plain(ev->j, &in));
}

/* indent(width=4, first=False, blank=False) */
static struct value f_indent(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *width = arg(a, 0, "width");
	bool first = arg_flag(a, 1, "first"), blank = arg_flag(a, 2, "blank");
	struct sbuf b = {0}, pad = {0};
	if (in.type != V_STR)
		jinja_fail(ev->j, ERR_FORMAT, "indent wants a string, not a %s", v_type_name(&in));
	if (width && width->type == V_STR) {
		sbuf_str(ev->j, &pad, width->s);
	} else {
		int64_t n = width ? to_int(ev->j, width, "indent") : 4;
		sbuf_fill(ev->j, &pad, " ", n > 0 ? (size_t)n : 0);
	}
	struct value with = v_of(in.s), nl = v_literal(ev->j, "\n"), indent = sbuf_value(ev->j, &pad);
	with = eval_binary(ev, T_ADD, &with, &nl);
	with.s.safe = in.s.safe;
	struct value lines = string_iter_lines(ev->j, with.s, false);
	for (size_t i = 0; i < lines.list->n; i++) {
		struct str line = lines.list->p[i].s;
		if (i)
			sbuf_puts(ev->j, &b, "\n");
		if (i == 0 ? first : blank || line.len)
			sbuf_str(ev->j, &b, indent.s);
		sbuf_str(ev->j, &b, line);
	}
	struct value out = sbuf_value(ev->j, &b);
	out.s.safe = in.s.safe;
	return out;
}

/* Byte position of character n. */
static size_t byte_of(struct str s, int64_t n)
{
	size_t i = 0;
	for (; n > 0 && i < s.len; n--)
		for (i++; i < s.len && ((uint8_t)s.p[i] & 0xC0) == 0x80;)
			i++;
	return i;
}

/* truncate(length=255, killwords=False, end="...", leeway=5) */
static struct value f_truncate(struct eval *ev, struct value in, const struct args *a)
{
	struct jinja *j = ev->j;
	const struct value *end = arg(a, 2, "end");
	int64_t length = arg_int(j, a, 0, "length", 255), leeway = arg_int(j, a, 3, "leeway", 5);
	struct value tail = end ? v_str(j, end) : v_literal(j, "...");
	if (in.type == V_UNDEFINED)
		return in;
	int64_t room = length - (int64_t)str_chars(tail.s);
	if (room < 0 || leeway < 0)
		jinja_fail(j, ERR_FORMAT, "truncate: the length is too small");
	if ((int64_t)v_length(j, &in) <= length + leeway)
		return in;
	if (in.type != V_STR)
		jinja_fail(j, ERR_FORMAT, "truncate wants a string");
	size_t cut = byte_of(in.s, room);
	if (!arg_flag(a, 1, "killwords")) {
		const char *space = cut ? memrchr(in.s.p, ' ', cut) : NULL;
		cut = space ? (size_t)(space - in.s.p) : cut;
	}
	struct value head = v_of(str_piece(in.s, 0, cut));
	head.s.safe = in.s.safe;
	return eval_binary(ev, T_ADD, &head, &tail);
}

static struct value f_center(struct eval *ev, struct value in, const struct args *a)
{
	struct value width = v_int(arg_int(ev->j, a, 0, "width", 80));
	return call(ev, in, "center", &(struct args){&width, 1, NULL});
}

static struct value f_format(struct eval *ev, struct value in, const struct args *a)
{
	struct value s = v_str(ev->j, &in), x;
	if (a->n && a->kw && a->kw->n)
		jinja_fail(ev->j, ERR_FORMAT, "format takes arguments or names, not both");
	if (a->kw && a->kw->n) {
		x = (struct value){.type = V_DICT, .dict = a->kw};
	} else {
		x = v_list(ev->j, V_TUPLE);
		for (size_t i = 0; i < a->n; i++)
			list_add(ev->j, &x, a->p[i]);
	}
	return format_percent(ev, &s, &x);
}

static struct value f_wordcount(struct eval *ev, struct value in, const struct args *a)
{
	struct value s = v_str(ev->j, &in);
	int64_t words = 0;
	bool inside = false;
	(void)a;
	for (size_t i = 0, n; i < s.s.len; i += n) {
		uint32_t cp;
		n = utf8_decode(s.s.p + i, s.s.len - i, &cp, NULL);
		utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
		bool word = cp == '_' || (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) ||
			(c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO);
		words += word && !inside;
		inside = word;
	}
	return v_int(words);
}

static void quote(struct eval *ev, struct sbuf *b, const struct value *v, bool query)
{
	struct value s = v_plain(ev->j, v);
	for (size_t i = 0; i < s.s.len; i++) {
		unsigned char c = (unsigned char)s.s.p[i];
		char hex[4];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			(c && strchr("_.-~", c)) || (c == '/' && !query);
		snprintf(hex, sizeof(hex), query && c == ' ' ? "+" : "%%%02X", c);
		if (plain)
			sbuf_add(ev->j, b, s.s.p + i, s.s.m + i, 1, false);
		else
			sbuf_add(ev->j, b, hex, NULL, strlen(hex), s.s.m[i]);
	}
}

static struct value f_urlencode(struct eval *ev, struct value in, const struct args *a)
{
	struct sbuf b = {0};
	(void)a;
	if (in.type == V_STR || !is_iterable(&in)) {
		quote(ev, &b, &in, false);
		return sbuf_value(ev->j, &b);
	}
	struct value pairs = in.type == V_DICT ? eval_filter(ev, "items", in, &(struct args){0}) : in;
	pairs = v_iter(ev->j, &pairs);
	for (size_t i = 0; i < pairs.list->n; i++) {
		struct value pair = v_iter(ev->j, &pairs.list->p[i]);
		if (pair.list->n != 2)
			jinja_fail(ev->j, ERR_FORMAT, "urlencode wants pairs");
		sbuf_puts(ev->j, &b, i ? "&" : "");
		quote(ev, &b, &pair.list->p[0], true);
		sbuf_puts(ev->j, &b, "=");
		quote(ev, &b, &pair.list->p[1], true);
	}
	return sbuf_value(ev->j, &b);
}

static struct value f_xmlattr(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *space = arg(a, 0, "autospace");
	struct sbuf b = {0};
	if (in.type != V_DICT)
		jinja_fail(ev->j, ERR_FORMAT, "xmlattr wants a mapping");
	for (size_t i = 0; i < in.dict->n; i++) {
		const struct value *x = &in.dict->p[i].value;
		if (x->type == V_NONE || x->type == V_UNDEFINED)
			continue;
		const char *key = v_name(ev->j, &in.dict->p[i].key);
		if (key[strcspn(key, " \t\n\r\v\f/>=")])
			jinja_fail(ev->j, ERR_FORMAT, "an attribute's name holds a character that can't be in it");
		if (b.len || !space || v_truth(space))
			sbuf_puts(ev->j, &b, " ");
		sbuf_escaped(ev->j, &b, in.dict->p[i].key.s);
		sbuf_puts(ev->j, &b, "=\"");
		sbuf_escaped(ev->j, &b, v_str(ev->j, x).s);
		sbuf_puts(ev->j, &b, "\"");
	}
	return sbuf_value(ev->j, &b);
}

/* The five entities that escaping makes, back to what they were. */
static struct value unescaped(struct eval *ev, struct str s)
{
	static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;", "&quot;", "&#x27;"};
	static const char chars[] = "&<>'\"\"'";
	struct sbuf b = {0};
	for (size_t i = 0; i < s.len;) {
		size_t n = 1, k = 0;
		for (; s.p[i] == '&' && k < sizeof(names) / sizeof(*names); k++)
			if (s.len - i >= strlen(names[k]) && !memcmp(s.p + i, names[k], strlen(names[k]))) {
				n = strlen(names[k]);
				break;
			}
		if (n > 1)
			sbuf_add(ev->j, &b, &chars[k], s.m + i, 1, false);
		else
			sbuf_add(ev->j, &b, s.p + i, s.m + i, 1, false);
		i += n;
	}
	return sbuf_value(ev->j, &b);
}

static struct value f_striptags(struct eval *ev, struct value in, const struct args *a)
{
	struct str s = v_plain(ev->j, &in).s;
	struct sbuf b = {0};
	size_t pos = 0;
	(void)a;
	for (const char *open; pos < s.len && (open = memchr(s.p + pos, '<', s.len - pos));) {
		size_t at = (size_t)(open - s.p);
		bool comment = s.len - at >= 4 && !memcmp(open, "<!--", 4);
		const char *close = comment ? memmem(open + 4, s.len - at - 4, "-->", 3) : memchr(open, '>', s.len - at);
		if (!close)
			break;
		sbuf_str(ev->j, &b, str_piece(s, pos, at));
		pos = (size_t)(close - s.p) + (comment ? 3 : 1);
	}
	sbuf_str(ev->j, &b, str_piece(s, pos, s.len));
	struct value words = string_call(ev, sbuf_value(ev->j, &b), "split"), sep = v_literal(ev->j, " ");
	struct value joined = string_method(ev, sep.s, "join", &(struct args){&words, 1, NULL});
	return unescaped(ev, joined.s);
}

const struct filter text_filters[] = {{"trim", f_trim}, {"lower", f_lower}, {"upper", f_upper},
	{"capitalize", f_capitalize}, {"title", f_title}, {"replace", f_replace}, {"string", f_string},
	{"safe", f_safe}, {"escape", f_escape}, {"e", f_escape}, {"forceescape", f_forceescape},
	{"indent", f_indent}, {"truncate", f_truncate}, {"center", f_center}, {"format", f_format},
	{"wordcount", f_wordcount}, {"urlencode", f_urlencode}, {"xmlattr", f_xmlattr},
	{"striptags", f_striptags}, {NULL, NULL}};
