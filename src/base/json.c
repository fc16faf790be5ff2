#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void json_reader_init(struct json_reader *r, const char *text, size_t len, const char *what,
	struct err *e)
{
	*r = (struct json_reader){.start = text, .p = text, .end = text + len, .what = what, .e = e};
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		r->p += 3;
}

void json_reader_clear(struct json_reader *r)
{
	buf_clear(&r->key);
	buf_clear(&r->value);
}

bool json_fail(struct json_reader *r, const char *fmt, ...)
{
	if (r->failed)
		return false;
	r->failed = true;
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(r->e, ERR_FORMAT, "%s: %s at byte %zu", r->what, text, (size_t)(r->p - r->start));
	return false;
}

static void skip_space(struct json_reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
		r->p++;
}

enum json_kind json_peek(struct json_reader *r)
{
	if (r->failed)
		return JSON_ERROR;
	skip_space(r);
	if (r->p == r->end)
		return JSON_ERROR;
	switch (*r->p) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return *r->p == '-' || (*r->p >= '0' && *r->p <= '9') ? JSON_NUMBER : JSON_ERROR;
	}
}

static bool expect(struct json_reader *r, enum json_kind kind, const char *name)
{
	if (r->failed)
		return false;
	enum json_kind got = json_peek(r);
	if (got == kind)
		return true;
	return r->p == r->end ? json_fail(r, "unexpected end of JSON")
			      : json_fail(r, "expected %s", name);
}

static bool enter(struct json_reader *r)
{
	if (r->depth == JSON_DEPTH)
		return json_fail(r, "JSON nested deeper than %d", JSON_DEPTH);
	r->p++;
	r->first[++r->depth] = true;
	return true;
}

bool json_object(struct json_reader *r)
{
	return expect(r, JSON_OBJECT, "an object") && enter(r);
}

bool json_array(struct json_reader *r)
{
	return expect(r, JSON_ARRAY, "an array") && enter(r);
}

/* Step to the next element of the innermost container; false at its end, which is consumed. */
static bool step(struct json_reader *r, char close)
{
	if (r->failed)
		return false;
	skip_space(r);
	if (r->p == r->end)
		return json_fail(r, "unexpected end of JSON");
	if (*r->p == close) {
		r->p++;
		r->depth--;
		return false;
	}
	if (!r->first[r->depth]) {
		if (*r->p != ',')
			return json_fail(r, "expected ',' or '%c'", close);
		r->p++;
		skip_space(r);
	}
	r->first[r->depth] = false;
	return true;
}

static int hex4(const char *p, const char *end)
{
	if (end - p < 4)
		return -1;
	int v = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* r->p stands behind "\u". */
static bool read_unicode_escape(struct json_reader *r, struct buf *out)
{
	int hi = hex4(r->p, r->end);
	if (hi < 0)
		return json_fail(r, "bad \\u escape");
	r->p += 4;
	uint32_t cp = (uint32_t)hi;
	if (hi >= 0xD800 && hi < 0xDC00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
		int lo = hex4(r->p + 2, r->end);
		if (lo >= 0xDC00 && lo < 0xE000) {
			cp = 0x10000 + (((uint32_t)hi - 0xD800) << 10) + ((uint32_t)lo - 0xDC00);
			r->p += 6;
		}
	}
	char s[4];
	buf_add(out, s, utf8_encode(cp, s));
	return true;
}

static bool read_escape(struct json_reader *r, struct buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	r->p++;
	if (r->p == r->end)
		return json_fail(r, "unexpected end of JSON");
	char c = *r->p++;
	if (c == 'u')
		return read_unicode_escape(r, out);
	const char *at = c ? strchr(from, c) : NULL;
	if (!at)
		return json_fail(r, "bad escape in a string");
	buf_addc(out, to[at - from]);
	return true;
}

static bool read_string(struct json_reader *r, struct buf *scratch, struct json_str *out)
{
	const char *s = ++r->p;
	bool ascii = true;
	while (r->p < r->end && *r->p != '"' && *r->p != '\\' && (unsigned char)*r->p >= 0x20) {
		ascii &= !(*r->p & 0x80);
		r->p++;
	}
	if (r->p < r->end && *r->p == '"' && (ascii || utf8_valid(s, (size_t)(r->p - s)))) {
		*out = (struct json_str){s, (size_t)(r->p - s)};
		r->p++;
		return true;
	}
	buf_reset(scratch);
	utf8_append_valid(scratch, s, (size_t)(r->p - s));
	while (r->p < r->end && *r->p != '"') {
		if (*r->p == '\\') {
			if (!read_escape(r, scratch))
				return false;
			continue;
		}
		if ((unsigned char)*r->p < 0x20)
			return json_fail(r, "control byte in a string");
		const char *from = r->p;
		while (r->p < r->end && *r->p != '"' && *r->p != '\\' && (unsigned char)*r->p >= 0x20)
			r->p++;
		utf8_append_valid(scratch, from, (size_t)(r->p - from));
	}
	if (r->p == r->end)
		return json_fail(r, "unexpected end of JSON");
	r->p++;
	if (scratch->failed)
		return json_fail(r, "out of memory");
	*out = (struct json_str){buf_str(scratch), scratch->len};
	return true;
}

bool json_key(struct json_reader *r, struct json_str *key)
{
	*key = (struct json_str){"", 0};
	if (!step(r, '}') || !expect(r, JSON_STRING, "a key") || !read_string(r, &r->key, key))
		return false;
	skip_space(r);
	if (r->p == r->end || *r->p != ':')
		return json_fail(r, "expected ':'");
	r->p++;
	return true;
}

bool json_next(struct json_reader *r)
{
	return step(r, ']');
}

bool json_string(struct json_reader *r, struct json_str *out)
{
	*out = (struct json_str){"", 0};
	return expect(r, JSON_STRING, "a string") && read_string(r, &r->value, out);
}

static size_t digits(const char *p, const char *end)
{
	size_t n = 0;
	while (p + n < end && p[n] >= '0' && p[n] <= '9')
		n++;
	return n;
}

bool json_number(struct json_reader *r, struct json_num *out)
{
	*out = (struct json_num){0};
	if (!expect(r, JSON_NUMBER, "a number"))
		return false;
	const char *p = r->p + (*r->p == '-');
	size_t n = digits(p, r->end);
	bool ok = n > 0 && !(n > 1 && *p == '0');
	bool whole = true;
	p += n;
	if (ok && p < r->end && *p == '.') {
		whole = false;
		n = digits(++p, r->end);
		ok = n > 0;
		p += n;
	}
	if (ok && p < r->end && (*p == 'e' || *p == 'E')) {
		whole = false;
		p++;
		if (p < r->end && (*p == '+' || *p == '-'))
			p++;
		n = digits(p, r->end);
		ok = n > 0;
		p += n;
	}
	size_t len = (size_t)(p - r->p);
	if (!ok || len > 400)
		return json_fail(r, "bad number");
	char text[401];
	memcpy(text, r->p, len);
	text[len] = '\0';
	out->d = strtod(text, NULL);
	if (whole) {
		errno = 0;
		out->i = strtoll(text, NULL, 10);
		out->is_int = errno == 0;
	}
	r->p = p;
	return true;
}

static bool literal(struct json_reader *r, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return json_fail(r, "expected %s", word);
	r->p += n;
	return true;
}

bool json_bool(struct json_reader *r, bool *out)
{
	*out = false;
	if (!expect(r, JSON_BOOL, "true or false"))
		return false;
	*out = *r->p == 't';
	return literal(r, *out ? "true" : "false");
}

bool json_null(struct json_reader *r)
{
	return expect(r, JSON_NULL, "null") && literal(r, "null");
}

bool json_skip(struct json_reader *r)
{
	struct json_str s;
	struct json_num n;
	bool b;
	switch (json_peek(r)) {
	case JSON_NULL:
		return json_null(r);
	case JSON_BOOL:
		return json_bool(r, &b);
	case JSON_NUMBER:
		return json_number(r, &n);
	case JSON_STRING:
		return json_string(r, &s);
	case JSON_ARRAY:
		for (json_array(r); json_next(r);)
			json_skip(r);
		return !r->failed;
	case JSON_OBJECT:
		for (json_object(r); json_key(r, &s);)
			json_skip(r);
		return !r->failed;
	default:
		return json_fail(r, r->p == r->end ? "unexpected end of JSON" : "expected a value");
	}
}

int json_end(struct json_reader *r)
{
	if (r->failed)
		return -1;
	skip_space(r);
	if (r->p != r->end) {
		json_fail(r, "text behind the JSON value");
		return -1;
	}
	return 0;
}

bool json_str_is(const struct json_str *s, const char *lit)
{
	size_t n = strlen(lit);
	return s->len == n && memcmp(s->p, lit, n) == 0;
}

char *json_str_dup(const struct json_str *s)
{
	char *p = malloc(s->len + 1);
	if (p) {
		memcpy(p, s->p, s->len);
		p[s->len] = '\0';
	}
	return p;
}

void json_write_str(struct buf *out, const char *s, size_t len)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)s[i];
		if (c < 0x80) {
			static const char esc[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
			const char *at = c ? strchr(esc, c) : NULL;
			if (at)
				buf_printf(out, "\\%c", letter[at - esc]);
			else if (c < 0x20 || c == 0x7F)
				buf_printf(out, "\\u%04x", c);
			else
				buf_addc(out, (char)c);
			i++;
			continue;
		}
		uint32_t cp;
		size_t n = utf8_decode(s + i, len - i, &cp, NULL);
		utf8_append_valid(out, s + i, n);
		i += n;
	}
	buf_addc(out, '"');
}

void json_write_num(struct buf *out, double d)
{
	if (!isfinite(d)) {
		buf_puts(out, "null");
		return;
	}
	char s[32];
	for (int digits_needed = 6; digits_needed <= 17; digits_needed++) {
		snprintf(s, sizeof(s), "%.*g", digits_needed, d);
		if (strtod(s, NULL) == d)
			break;
	}
	buf_puts(out, s);
}
