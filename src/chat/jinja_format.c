/* Python's formatting: "..." % x, "...".format(), format specifications, strftime. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "chat/jinja_run.h"

#define WIDTH 100000 /* of one field */

struct spec {
	struct str fill;
	char align; /* < > ^ =, or 0 */
	char sign;  /* + - or space */
	bool alt, zero;
	int64_t width, precision; /* -1: none */
	char group; /* , _ or 0 */
	char type;  /* 0: none */
};

static const char *type_text(char c)
{
	static const char all[] = "bcdeEfFgGinorsuxXa%";
	const char *at = c ? strchr(all, c) : NULL;
	return at ? at : "?";
}

static void put_padded(struct jinja *j, struct sbuf *b, const struct spec *s, struct str text, char align)
{
	struct value pad = v_literal(j, " ");
	struct str fill = s->fill.len ? s->fill : pad.s;
	if (s->width < 0) {
		sbuf_str(j, b, text);
		return;
	}
	sbuf_str(j, b, string_pad(j, text, (size_t)s->width, fill, s->align && s->align != '=' ? s->align : align).s);
}

/* Digits with a mark every three (four with _ in other bases). */
static void group_digits(char *out, size_t cap, const char *digits, char mark, int every)
{
	size_t n = strcspn(digits, ".e%"), o = 0;
	for (size_t i = 0; digits[i] && o + 2 < cap; i++) {
		if (i && i < n && (n - i) % (size_t)every == 0)
			out[o++] = mark;
		out[o++] = digits[i];
	}
	out[o] = '\0';
}

/* A number as sign, prefix and digits, filled to the width. */
static void put_number(struct jinja *j, struct sbuf *b, const struct spec *s, bool neg, const char *prefix,
	const char *digits, int every)
{
	char lead[8];
	size_t cap = 2 * strlen(digits) + 8;
	char *grouped = jinja_alloc(j, cap);
	if (s->group)
		group_digits(grouped, cap, digits, s->group, every);
	else
		snprintf(grouped, cap, "%s", digits);
	snprintf(lead, sizeof(lead), "%s%s", neg ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "", prefix);
	size_t used = strlen(lead) + strlen(grouped);
	struct sbuf text = {0};
	sbuf_puts(j, &text, lead);
	if ((s->align == '=' || (s->zero && !s->align)) && s->width > (int64_t)used)
		for (int64_t i = s->width - (int64_t)used; i > 0; i--) {
			if (s->fill.len)
				sbuf_str(j, &text, s->fill);
			else
				sbuf_puts(j, &text, s->zero ? "0" : " ");
		}
	sbuf_puts(j, &text, grouped);
	put_padded(j, b, s, sbuf_value(j, &text).s, '>');
}

static char *in_base(struct jinja *j, const struct value *v, int base, bool upper)
{
	char *out = jinja_alloc(j, 72), *p = out + 71;
	if (v->type == V_BIG)
		jinja_fail(j, ERR_UNSUPPORTED, "so big a number in base %d", base);
	int64_t i = v->type == V_BOOL ? v->b : v->i;
	uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
	do
		*--p = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[u % (unsigned)base];
	while (u /= (unsigned)base);
	return p;
}

static void put_int(struct jinja *j, struct sbuf *b, const struct spec *s, const struct value *v)
{
	const struct value zero = v_int(0);
	bool neg = number_compare(v, &zero) < 0;
	int base = s->type == 'x' || s->type == 'X' ? 16 : s->type == 'o' ? 8 : s->type == 'b' ? 2 : 10;
	const char *digits = base == 10 ? number_text(j, v) + neg : in_base(j, v, base, s->type == 'X');
	const char *prefix = !s->alt ? "" : s->type == 'x' ? "0x" : s->type == 'X' ? "0X" : base == 8 ? "0o" : base == 2 ? "0b" : "";
	put_number(j, b, s, neg, prefix, digits, base == 10 ? 3 : 4);
}

static void put_float(struct jinja *j, struct sbuf *b, const struct spec *s, double f)
{
	char form[16], *text = jinja_alloc(j, 1024);
	char type = s->type == '%' ? 'f' : s->type == 'n' || !s->type ? 'g' : s->type;
	int digits = s->precision < 0 ? 6 : (int)s->precision;
	bool neg = signbit(f) && !isnan(f), upper = type == 'E' || type == 'F' || type == 'G';
	if (s->precision > 600)
		jinja_fail(j, ERR_LIMIT, "a precision of %lld", (long long)s->precision);
	if (s->type == '%')
		f *= 100;
	if (!isfinite(f)) {
		snprintf(text, 1024, "%s", isnan(f) ? upper ? "NAN" : "nan" : upper ? "INF" : "inf");
	} else if (!s->type && s->precision < 0) {
		float_repr(text, fabs(f));
	} else {
		snprintf(form, sizeof(form), "%%%s.*%c", s->alt ? "#" : "", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, 1024, form, digits, fabs(f));
#pragma GCC diagnostic pop
		if (!s->type && !strpbrk(text, ".e"))
			strcat(text, ".0");
	}
	if (s->type == '%')
		strcat(text, "%");
	put_number(j, b, s, neg, "", text, 3);
}

static void put_text(struct jinja *j, struct sbuf *b, const struct spec *s, struct str text)
{
	if (s->precision >= 0) {
		size_t i = 0;
		for (int64_t n = s->precision; n > 0 && i < text.len; n--)
			for (i++; i < text.len && ((uint8_t)text.p[i] & 0xC0) == 0x80;)
				i++;
		text = str_piece(text, 0, i);
	}
	struct spec t = *s;
	put_padded(j, b, &t, text, '<');
}

/* --- format specifications --- */

static int64_t spec_number(struct jinja *j, const char *p, size_t *i, size_t len)
{
	int64_t n = -1;
	for (; *i < len && p[*i] >= '0' && p[*i] <= '9'; ++*i) {
		n = (n < 0 ? 0 : n) * 10 + (p[*i] - '0');
		if (n > WIDTH)
			jinja_fail(j, ERR_LIMIT, "a format's width is too big");
	}
	return n;
}

/* [[fill]align][sign][#][0][width][,][.precision][type] */
static struct spec parse_spec(struct jinja *j, struct str t)
{
	struct spec s = {.width = -1, .precision = -1};
	size_t i = 0, n = 0;
	uint32_t cp;
	if (t.len)
		n = utf8_decode(t.p, t.len, &cp, NULL);
	if (n && n < t.len && strchr("<>^=", t.p[n]) && t.p[n]) {
		s.fill = str_piece(t, 0, n);
		s.align = t.p[n];
		i = n + 1;
	} else if (t.len && t.p[0] && strchr("<>^=", t.p[0])) {
		s.align = t.p[0];
		i = 1;
	}
	if (i < t.len && t.p[i] && strchr("+- ", t.p[i]))
		s.sign = t.p[i++];
	if (i < t.len && t.p[i] == '#')
		s.alt = ++i;
	if (i < t.len && t.p[i] == '0')
		s.zero = ++i;
	s.width = spec_number(j, t.p, &i, t.len);
	if (i < t.len && (t.p[i] == ',' || t.p[i] == '_'))
		s.group = t.p[i++];
	if (i < t.len && t.p[i] == '.') {
		i++;
		s.precision = spec_number(j, t.p, &i, t.len);
		if (s.precision < 0)
			jinja_fail(j, ERR_FORMAT, "a format's precision is missing");
	}
	if (i < t.len)
		s.type = t.p[i++];
	if (i < t.len || (s.type && *type_text(s.type) == '?'))
		jinja_fail(j, ERR_FORMAT, "a wrong format specification");
	return s;
}

static bool one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static struct value format_spec(struct eval *ev, const struct value *v, struct str text)
{
	struct jinja *j = ev->j;
	struct sbuf b = {0};
	if (text.len == 0)
		return v_str(j, v);
	struct spec s = parse_spec(j, text);
	if (is_number(v) && v->type != V_FLOAT && s.type == 'c') {
		char c[4];
		struct value one = v_bytes(j, c, utf8_encode((uint32_t)to_int(j, v, "format c"), c), false);
		put_text(j, &b, &s, one.s);
	} else if (is_int(v) && !one_of(s.type, "eEfFgG%") && (!s.type || one_of(s.type, "bdnoxX"))) {
		if (s.precision >= 0)
			jinja_fail(j, ERR_FORMAT, "a precision is not allowed for whole numbers");
		put_int(j, &b, &s, v);
	} else if (is_number(v) && (!s.type || one_of(s.type, "eEfFgGn%"))) {
		put_float(j, &b, &s, to_double(v));
	} else if (v->type == V_STR && (!s.type || s.type == 's') && !s.sign && !s.group && !s.alt && s.align != '=') {
		struct value zero = v_literal(j, "0");
		if (s.zero && !s.fill.len)
			s.fill = zero.s;
		put_text(j, &b, &s, v->s);
	} else {
		jinja_fail(j, ERR_FORMAT, "this format does not go with a %s", v_type_name(v));
	}
	return sbuf_value(j, &b);
}

/* --- "{} {0} {name.attr[key]!r:>8}".format(...) --- */

struct braces {
	struct eval *ev;
	const struct args *a;
	size_t next;
	bool automatic, manual, safe;
};

static struct value field_value(struct braces *f, struct str name)
{
	struct jinja *j = f->ev->j;
	size_t i = 0;
	while (i < name.len && name.p[i] != '.' && name.p[i] != '[')
		i++;
	struct value key = v_of(str_piece(name, 0, i));
	const struct value *x;
	bool digits = i > 0;
	for (size_t k = 0; k < i; k++)
		digits &= name.p[k] >= '0' && name.p[k] <= '9';
	f->automatic |= i == 0;
	f->manual |= digits;
	if (f->automatic && f->manual)
		jinja_fail(j, ERR_FORMAT, "format: numbered and unnumbered fields don't mix");
	if (i == 0)
		x = arg(f->a, f->next++, NULL);
	else if (digits)
		x = i < 9 ? arg(f->a, (size_t)strtoul(v_name(j, &key), NULL, 10), NULL) : NULL;
	else
		x = f->a->kw ? dict_get(f->a->kw, &key) : NULL;
	if (!x)
		jinja_fail(j, ERR_FORMAT, "format: there is no argument for a field");
	struct value v = *x;
	while (i < name.len) {
		bool item = name.p[i] == '[';
		size_t from = ++i;
		while (i < name.len && (item ? name.p[i] != ']' : name.p[i] != '.' && name.p[i] != '['))
			i++;
		struct value part = v_of(str_piece(name, from, i));
		bool number = item && i > from && i - from < 18;
		for (size_t k = from; k < i; k++)
			number &= name.p[k] >= '0' && name.p[k] <= '9';
		if (number)
			part = number_parse(j, name.p + from, i - from, 10);
		if (item && i++ >= name.len)
			jinja_fail(j, ERR_FORMAT, "format: ']' is missing");
		v = eval_attr(j, &v, &part, !item);
	}
	return v;
}

static struct value fill_braces(struct braces *f, struct str s, int depth);

static void put_field(struct braces *f, struct sbuf *b, struct str field, int depth)
{
	struct jinja *j = f->ev->j;
	size_t i = 0;
	for (int open = 0; i < field.len && (open || (field.p[i] != ':' && field.p[i] != '!')); i++)
		open += (field.p[i] == '[') - (field.p[i] == ']');
	struct value v = field_value(f, str_piece(field, 0, i));
	if (i < field.len && field.p[i] == '!') {
		char how = i + 1 < field.len ? field.p[i + 1] : 0;
		if (how != 'r' && how != 's' && how != 'a')
			jinja_fail(j, ERR_FORMAT, "format: a wrong conversion");
		v = how == 's' ? v_str(j, &v) : v_repr(j, &v, how == 'a');
		i += 2;
	}
	struct value spec = v_literal(j, "");
	if (i < field.len && field.p[i] == ':')
		spec = fill_braces(f, str_piece(field, i + 1, field.len), depth + 1);
	else if (i < field.len)
		jinja_fail(j, ERR_FORMAT, "format: a wrong field");
	struct value text = format_spec(f->ev, &v, spec.s);
	if (f->safe && depth == 0)
		sbuf_escaped(j, b, text.s);
	else
		sbuf_str(j, b, text.s);
}

static struct value fill_braces(struct braces *f, struct str s, int depth)
{
	struct jinja *j = f->ev->j;
	struct sbuf b = {0};
	if (depth > 2)
		jinja_fail(j, ERR_FORMAT, "format: too deeply nested");
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if ((c == '{' || c == '}') && depth == 0 && i + 1 < s.len && s.p[i + 1] == c) {
			sbuf_add(j, &b, &c, s.m + i++, 1, false);
			continue;
		}
		if (c == '}')
			jinja_fail(j, ERR_FORMAT, "format: a single '}'");
		if (c != '{') {
			sbuf_add(j, &b, &c, s.m + i, 1, false);
			continue;
		}
		size_t from = ++i;
		for (int open = 1; i < s.len; i++) {
			open += (s.p[i] == '{') - (s.p[i] == '}');
			if (open == 0)
				break;
		}
		if (i >= s.len)
			jinja_fail(j, ERR_FORMAT, "format: '}' is missing");
		jinja_work(j, 1);
		put_field(f, &b, str_piece(s, from, i), depth);
	}
	return sbuf_value(j, &b);
}

struct value format_braces(struct eval *ev, struct str s, const struct args *a)
{
	struct braces f = {.ev = ev, .a = a, .safe = s.safe};
	return fill_braces(&f, s, 0);
}

/* --- "..." % x --- */

struct percent {
	struct eval *ev;
	const struct value *x;
	size_t used;
};

static struct value next_argument(struct percent *p)
{
	bool tuple = p->x->type == V_TUPLE;
	size_t n = tuple ? p->x->list->n : 1;
	if (p->used >= n)
		jinja_fail(p->ev->j, ERR_FORMAT, "%%: there are not enough arguments");
	p->used++;
	return tuple ? p->x->list->p[p->used - 1] : *p->x;
}

static int64_t star_or_number(struct percent *p, struct str s, size_t *i)
{
	if (*i < s.len && s.p[*i] == '*') {
		++*i;
		struct value v = next_argument(p);
		int64_t n = to_int(p->ev->j, &v, "%*");
		return n > WIDTH || n < -WIDTH ? WIDTH : n;
	}
	return spec_number(p->ev->j, s.p, i, s.len);
}

static struct value whole_argument(struct jinja *j, struct value v, char type)
{
	if (v.type == V_FLOAT && one_of(type, "diu") && isfinite(v.f))
		return number_from_double(j, trunc(v.f));
	if (!is_int(&v))
		jinja_fail(j, ERR_FORMAT, "%%%s wants a whole number, not a %s", (char[]){type, 0}, v_type_name(&v));
	return v;
}

static void put_percent(struct percent *p, struct sbuf *b, struct spec *s, struct value v, bool escape)
{
	struct jinja *j = p->ev->j;
	char type = s->type;
	if (one_of(type, "sra")) {
		struct value t = type == 's' ? v_str(j, &v) : v_repr(j, &v, type == 'a');
		struct sbuf e = {0};
		if (escape) {
			sbuf_escaped(j, &e, t.s);
			t = sbuf_value(j, &e);
		}
		s->align = s->align == '<' ? '<' : '>';
		put_text(j, b, s, t.s);
	} else if (type == 'c') {
		char c[4];
		struct value t = v.type == V_STR ? v : v_bytes(j, c, utf8_encode((uint32_t)to_int(j, &v, "%c"), c), false);
		s->align = s->align == '<' ? '<' : '>';
		put_text(j, b, s, t.s);
	} else if (one_of(type, "diuoxX")) {
		v = whole_argument(j, v, type);
		if (one_of(type, "diu"))
			s->type = 'd';
		if (s->precision > 0) { /* at least so many digits */
			struct spec t = {.width = s->precision, .precision = -1, .zero = true, .type = s->type};
			struct sbuf d = {0};
			put_int(j, &d, &t, &v);
			put_text(j, b, &(struct spec){.width = s->width, .precision = -1, .align = s->align ? s->align : '>'},
				sbuf_value(j, &d).s);
			return;
		}
		put_int(j, b, s, &v);
	} else if (one_of(type, "eEfFgG")) {
		if (!is_number(&v))
			jinja_fail(j, ERR_FORMAT, "%%%c wants a number, not a %s", type, v_type_name(&v));
		if (s->precision < 0)
			s->precision = 6;
		put_float(j, b, s, to_double(&v));
	} else {
		jinja_fail(j, ERR_FORMAT, "%%: an unknown conversion");
	}
}

/* One conversion behind the '%' at i; returns the place behind it. */
static size_t one_percent(struct percent *p, struct sbuf *b, struct str s, size_t i)
{
	struct spec sp = {.width = -1, .precision = -1};
	struct value v = v_none();
	bool keyed = false;
	if (i < s.len && s.p[i] == '(') {
		const char *close = memchr(s.p + i, ')', s.len - i);
		if (!close || p->x->type != V_DICT)
			jinja_fail(p->ev->j, ERR_FORMAT, "%%: a mapping is wanted");
		struct value key = v_of(str_piece(s, i + 1, (size_t)(close - s.p)));
		const struct value *x = dict_get(p->x->dict, &key);
		if (!x)
			jinja_fail(p->ev->j, ERR_FORMAT, "%%: the mapping lacks %.40s", v_name(p->ev->j, &key));
		v = *x;
		keyed = true;
		i = (size_t)(close - s.p) + 1;
	}
	for (; i < s.len && one_of(s.p[i], "-+ #0"); i++) {
		sp.align = s.p[i] == '-' ? '<' : sp.align;
		sp.sign = s.p[i] == '+' ? '+' : s.p[i] == ' ' && !sp.sign ? ' ' : sp.sign;
		sp.alt |= s.p[i] == '#';
		sp.zero |= s.p[i] == '0';
	}
	sp.width = star_or_number(p, s, &i);
	if (sp.width < -1) {
		sp.align = '<';
		sp.width = -sp.width;
	}
	if (i < s.len && s.p[i] == '.') {
		i++;
		sp.precision = star_or_number(p, s, &i);
		sp.precision = sp.precision < 0 ? 0 : sp.precision;
	}
	while (i < s.len && one_of(s.p[i], "hlL"))
		i++;
	if (i >= s.len)
		jinja_fail(p->ev->j, ERR_FORMAT, "%%: the format is not complete");
	sp.type = s.p[i];
	if (sp.type == '%') {
		sbuf_puts(p->ev->j, b, "%");
		return i + 1;
	}
	put_percent(p, b, &sp, keyed ? v : next_argument(p), s.safe);
	return i + 1;
}

struct value format_percent(struct eval *ev, const struct value *s, const struct value *x)
{
	struct percent p = {.ev = ev, .x = x};
	struct sbuf out = {0};
	for (size_t i = 0; i < s->s.len;) {
		const char *at = memchr(s->s.p + i, '%', s->s.len - i);
		size_t to = at ? (size_t)(at - s->s.p) : s->s.len;
		sbuf_str(ev->j, &out, str_piece(s->s, i, to));
		jinja_work(ev->j, 1);
		i = at ? one_percent(&p, &out, s->s, to + 1) : to;
	}
	bool by_key = x->type == V_DICT || x->type == V_LIST || x->type == V_RANGE || x->type == V_UNDEFINED;
	if (x->type == V_TUPLE ? p.used < x->list->n : !by_key && p.used == 0)
		jinja_fail(ev->j, ERR_FORMAT, "%%: not all arguments were used");
	struct value v = sbuf_value(ev->j, &out);
	v.s.safe = s->s.safe;
	return v;
}

/* --- strftime_now --- */

/* As datetime.strftime does: %f are microseconds, a time without a zone has no %z and %Z. */
struct value format_time(struct eval *ev, const struct value *format)
{
	char out[4096] = "";
	struct timespec t = {.tv_sec = (time_t)ev->now};
	struct tm tm;
	struct sbuf f = {0};
	if (format->type != V_STR)
		jinja_fail(ev->j, ERR_FORMAT, "strftime_now wants a string");
	if (!ev->now)
		clock_gettime(CLOCK_REALTIME, &t);
	if (ev->now)
		gmtime_r(&t.tv_sec, &tm);
	else
		localtime_r(&t.tv_sec, &tm);
	for (size_t i = 0; i < format->s.len; i++) {
		char c = format->s.p[i], next = i + 1 < format->s.len ? format->s.p[i + 1] : 0;
		if (c == '%' && (next == 'f' || next == 'z' || next == 'Z')) {
			snprintf(out, sizeof(out), "%06ld", t.tv_nsec / 1000);
			sbuf_puts(ev->j, &f, next == 'f' ? out : "");
			i++;
		} else {
			sbuf_add(ev->j, &f, &c, NULL, 1, false);
			if (c == '%' && next)
				sbuf_add(ev->j, &f, &format->s.p[++i], NULL, 1, false);
		}
	}
	struct value text = sbuf_value(ev->j, &f);
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	size_t n = plain ? strftime_l(out, sizeof(out), v_name(ev->j, &text), &tm, plain) : 0;
#pragma GCC diagnostic pop
	if (plain)
		freelocale(plain);
	return v_bytes(ev->j, out, n, false);
}
