#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "chat/jinja.h"

#define DEPTH 100 /* of nested values */

struct block {
	struct block *next;
	size_t used, cap;
	_Alignas(16) char p[];
};

void *jinja_alloc(struct jinja *j, size_t bytes)
{
	struct arena *a = &j->arena;
	bytes = (bytes + 15) & ~(size_t)15;
	if (bytes > a->limit || a->used > a->limit - bytes)
		jinja_fail(j, ERR_LIMIT, "the template needs more than %zu MiB", a->limit >> 20);
	if (!a->blocks || a->blocks->cap - a->blocks->used < bytes) {
		size_t cap = bytes > 65536 ? bytes : 65536;
		struct block *b = calloc(1, sizeof(*b) + cap);
		if (!b)
			jinja_fail(j, ERR_NOMEM, "out of memory");
		b->cap = cap;
		b->next = a->blocks;
		a->blocks = b;
	}
	void *p = a->blocks->p + a->blocks->used;
	a->blocks->used += bytes;
	a->used += bytes;
	return p;
}

void arena_clear(struct arena *a)
{
	for (struct block *b = a->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	*a = (struct arena){0};
}

void jinja_fail(struct jinja *j, enum err_code code, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(j->e, code, "template line %d: %s", j->line, text);
	longjmp(j->fail, 1);
}

struct value v_none(void)
{
	return (struct value){.type = V_NONE};
}

struct value v_undefined(void)
{
	return (struct value){.type = V_UNDEFINED};
}

struct value v_bool(bool b)
{
	return (struct value){.type = V_BOOL, .b = b};
}

struct value v_int(int64_t i)
{
	return (struct value){.type = V_INT, .i = i};
}

struct value v_float(double f)
{
	return (struct value){.type = V_FLOAT, .f = f};
}

struct value v_bytes(struct jinja *j, const char *p, size_t len, bool user)
{
	char *copy = jinja_alloc(j, 2 * len + 1);
	memcpy(copy, p, len);
	memset(copy + len, user, len);
	return (struct value){.type = V_STR, .s = {copy, (uint8_t *)copy + len, len}};
}

struct value v_literal(struct jinja *j, const char *s)
{
	return v_bytes(j, s, strlen(s), false);
}

struct value v_list(struct jinja *j, enum vtype type)
{
	return (struct value){.type = type, .list = jinja_alloc(j, sizeof(struct list))};
}

struct value v_dict(struct jinja *j)
{
	return (struct value){.type = V_DICT, .dict = jinja_alloc(j, sizeof(struct dict))};
}

static void *grow(struct jinja *j, void *p, size_t *cap, size_t n, size_t size)
{
	if (n < *cap)
		return p;
	size_t want = *cap ? *cap * 2 : 8;
	void *q = jinja_alloc(j, want * size);
	if (n)
		memcpy(q, p, n * size);
	*cap = want;
	return q;
}

void list_add(struct jinja *j, struct value *l, struct value x)
{
	l->list->p = grow(j, l->list->p, &l->list->cap, l->list->n, sizeof(x));
	l->list->p[l->list->n++] = x;
}

struct value *dict_get(const struct dict *d, const struct value *key)
{
	for (size_t i = 0; i < d->n; i++)
		if (v_equal(&d->p[i].key, key))
			return &d->p[i].value;
	return NULL;
}

struct value *dict_get_str(const struct dict *d, const char *key)
{
	for (size_t i = 0; d && i < d->n; i++)
		if (str_is(&d->p[i].key, key))
			return &d->p[i].value;
	return NULL;
}

void dict_set(struct jinja *j, struct dict *d, struct value key, struct value x)
{
	struct value *at = dict_get(d, &key);
	if (at) {
		*at = x;
		return;
	}
	d->p = grow(j, d->p, &d->cap, d->n, sizeof(*d->p));
	d->p[d->n++] = (struct pair){key, x};
}

bool str_is(const struct value *v, const char *s)
{
	return v->type == V_STR && v->s.len == strlen(s) && !memcmp(v->s.p, s, v->s.len);
}

bool is_number(const struct value *v)
{
	return v->type == V_INT || v->type == V_FLOAT || v->type == V_BOOL;
}

double to_double(const struct value *v)
{
	return v->type == V_FLOAT ? v->f : v->type == V_BOOL ? v->b : (double)v->i;
}

const char *v_type_name(const struct value *v)
{
	static const char *const names[] = {"undefined", "NoneType", "bool", "int", "float", "str", "list",
		"tuple", "dict", "namespace", "macro", "function", "method", "loop"};
	return names[v->type];
}

bool v_truth(const struct value *v)
{
	switch (v->type) {
	case V_UNDEFINED:
	case V_NONE:
		return false;
	case V_BOOL:
		return v->b;
	case V_INT:
		return v->i != 0;
	case V_FLOAT:
		return v->f != 0;
	case V_STR:
		return v->s.len > 0;
	case V_LIST:
	case V_TUPLE:
		return v->list->n > 0;
	case V_DICT:
		return v->dict->n > 0;
	default:
		return true;
	}
}

static bool equal(const struct value *a, const struct value *b, int depth)
{
	if (depth > DEPTH)
		return false;
	if (is_number(a) && is_number(b))
		return a->type != V_FLOAT && b->type != V_FLOAT
			? (a->type == V_BOOL ? a->b : a->i) == (b->type == V_BOOL ? b->b : b->i)
			: to_double(a) == to_double(b);
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case V_UNDEFINED:
	case V_NONE:
		return true;
	case V_STR:
		return a->s.len == b->s.len && !memcmp(a->s.p, b->s.p, a->s.len);
	case V_LIST:
	case V_TUPLE:
		if (a->list->n != b->list->n)
			return false;
		for (size_t i = 0; i < a->list->n; i++)
			if (!equal(&a->list->p[i], &b->list->p[i], depth + 1))
				return false;
		return true;
	case V_DICT:
		if (a->dict->n != b->dict->n)
			return false;
		for (size_t i = 0; i < a->dict->n; i++) {
			struct value *x = dict_get(b->dict, &a->dict->p[i].key);
			if (!x || !equal(x, &a->dict->p[i].value, depth + 1))
				return false;
		}
		return true;
	default:
		return a->dict == b->dict;
	}
}

bool v_equal(const struct value *a, const struct value *b)
{
	return equal(a, b, 0);
}

static int compare_str(const struct str *a, const struct str *b)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int d = n ? memcmp(a->p, b->p, n) : 0; /* UTF-8 sorts as its code points do */
	return d ? d : a->len < b->len ? -1 : a->len > b->len;
}

int v_compare(struct jinja *j, const struct value *a, const struct value *b)
{
	if (is_number(a) && is_number(b)) {
		double x = to_double(a), y = to_double(b);
		return x < y ? -1 : x > y;
	}
	if (a->type == V_STR && b->type == V_STR)
		return compare_str(&a->s, &b->s);
	if ((a->type == V_LIST || a->type == V_TUPLE) && a->type == b->type) {
		for (size_t i = 0; i < a->list->n && i < b->list->n; i++)
			if (!v_equal(&a->list->p[i], &b->list->p[i]))
				return v_compare(j, &a->list->p[i], &b->list->p[i]);
		return a->list->n < b->list->n ? -1 : a->list->n > b->list->n;
	}
	jinja_fail(j, ERR_FORMAT, "%s and %s can't be ordered", v_type_name(a), v_type_name(b));
}

bool v_contains(struct jinja *j, const struct value *in, const struct value *x)
{
	switch (in->type) {
	case V_STR:
		if (x->type != V_STR)
			jinja_fail(j, ERR_FORMAT, "a string can't contain a %s", v_type_name(x));
		return x->s.len == 0 ||
			(in->s.len >= x->s.len && memmem(in->s.p, in->s.len, x->s.p, x->s.len));
	case V_LIST:
	case V_TUPLE:
		for (size_t i = 0; i < in->list->n; i++)
			if (v_equal(&in->list->p[i], x))
				return true;
		return false;
	case V_DICT:
		return dict_get(in->dict, x) != NULL;
	case V_UNDEFINED:
		return false;
	default:
		jinja_fail(j, ERR_FORMAT, "a %s contains nothing", v_type_name(in));
	}
}

size_t v_length(struct jinja *j, const struct value *v)
{
	size_t n = 0;
	switch (v->type) {
	case V_STR:
		for (size_t i = 0; i < v->s.len; i++)
			n += ((uint8_t)v->s.p[i] & 0xC0) != 0x80;
		return n;
	case V_LIST:
	case V_TUPLE:
		return v->list->n;
	case V_DICT:
		return v->dict->n;
	case V_UNDEFINED:
		return 0;
	default:
		jinja_fail(j, ERR_FORMAT, "a %s has no length", v_type_name(v));
	}
}

struct value v_iter(struct jinja *j, const struct value *v)
{
	struct value out = v_list(j, V_LIST);
	switch (v->type) {
	case V_LIST:
	case V_TUPLE:
		return *v;
	case V_UNDEFINED:
		return out;
	case V_DICT:
		for (size_t i = 0; i < v->dict->n; i++)
			list_add(j, &out, v->dict->p[i].key);
		return out;
	case V_STR:
		for (size_t i = 0, n; i < v->s.len; i += n) {
			uint32_t cp;
			n = utf8_decode(v->s.p + i, v->s.len - i, &cp, NULL);
			list_add(j, &out, (struct value){.type = V_STR, .s = {v->s.p + i, v->s.m + i, n}});
		}
		return out;
	default:
		jinja_fail(j, ERR_FORMAT, "a %s can't be iterated", v_type_name(v));
	}
}

/* --- strings --- */

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

struct value sbuf_value(struct jinja *j, struct sbuf *b)
{
	sbuf_add(j, b, "", NULL, 0, false);
	return (struct value){.type = V_STR, .s = {b->p ? b->p : "", b->m, b->len}};
}

static void float_repr(struct jinja *j, struct sbuf *b, double f)
{
	char s[40];
	if (isnan(f) || isinf(f)) {
		sbuf_puts(j, b, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(s, sizeof(s), "%.*g", digits, f);
		if (strtod(s, NULL) == f)
			break;
	}
	double mag = fabs(f);
	if (strchr(s, 'e') && mag >= 1e-4 && mag < 1e16) { /* Python writes these out */
		snprintf(s, sizeof(s), "%.0f", f);
	}
	sbuf_puts(j, b, s);
	if (!strpbrk(s, ".e"))
		sbuf_puts(j, b, ".0");
}

static void repr_str(struct jinja *j, struct sbuf *b, struct str s)
{
	bool single = s.len && memchr(s.p, '\'', s.len), dbl = s.len && memchr(s.p, '"', s.len);
	char q = single && !dbl ? '"' : '\'';
	sbuf_add(j, b, &q, NULL, 1, false);
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i], hex[8];
		if (c == q || c == '\\') {
			sbuf_add(j, b, "\\", s.m + i, 1, false);
			sbuf_add(j, b, &c, s.m + i, 1, false);
		} else if (c == '\n' || c == '\r' || c == '\t') {
			sbuf_puts(j, b, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
		} else if ((uint8_t)c < 32 || c == 127) {
			snprintf(hex, sizeof(hex), "\\x%02x", (uint8_t)c);
			sbuf_puts(j, b, hex);
		} else {
			sbuf_add(j, b, &c, s.m + i, 1, false);
		}
	}
	sbuf_add(j, b, &q, NULL, 1, false);
}

static void repr(struct jinja *j, struct sbuf *b, const struct value *v, int depth)
{
	char s[32];
	if (depth > DEPTH)
		jinja_fail(j, ERR_LIMIT, "values are nested too deeply");
	switch (v->type) {
	case V_UNDEFINED:
		sbuf_puts(j, b, depth ? "Undefined" : "");
		break;
	case V_NONE:
		sbuf_puts(j, b, "None");
		break;
	case V_BOOL:
		sbuf_puts(j, b, v->b ? "True" : "False");
		break;
	case V_INT:
		snprintf(s, sizeof(s), "%lld", (long long)v->i);
		sbuf_puts(j, b, s);
		break;
	case V_FLOAT:
		float_repr(j, b, v->f);
		break;
	case V_STR:
		repr_str(j, b, v->s);
		break;
	case V_LIST:
	case V_TUPLE:
		sbuf_puts(j, b, v->type == V_LIST ? "[" : "(");
		for (size_t i = 0; i < v->list->n; i++) {
			sbuf_puts(j, b, i ? ", " : "");
			repr(j, b, &v->list->p[i], depth + 1);
		}
		sbuf_puts(j, b, v->type == V_LIST ? "]" : v->list->n == 1 ? ",)" : ")");
		break;
	case V_DICT:
		sbuf_puts(j, b, "{");
		for (size_t i = 0; i < v->dict->n; i++) {
			sbuf_puts(j, b, i ? ", " : "");
			repr(j, b, &v->dict->p[i].key, depth + 1);
			sbuf_puts(j, b, ": ");
			repr(j, b, &v->dict->p[i].value, depth + 1);
		}
		sbuf_puts(j, b, "}");
		break;
	default:
		jinja_fail(j, ERR_UNSUPPORTED, "a %s can't be printed", v_type_name(v));
	}
}

struct value v_str(struct jinja *j, const struct value *v)
{
	if (v->type == V_STR)
		return *v;
	struct sbuf b = {0};
	repr(j, &b, v, 0);
	return sbuf_value(j, &b);
}
