/* Memory, and values as Python compares and iterates them. */
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

void jinja_work(struct jinja *j, uint64_t steps)
{
	j->steps += steps;
	if (j->steps > JINJA_STEPS)
		jinja_fail(j, ERR_LIMIT, "the template runs too long");
}

/* --- making --- */

struct value v_none(void)
{
	return (struct value){.type = V_NONE};
}

struct value v_undefined(const char *name)
{
	return (struct value){.type = V_UNDEFINED, .name = name};
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

struct value v_of(struct str s)
{
	return (struct value){.type = V_STR, .s = s};
}

struct value v_bytes(struct jinja *j, const char *p, size_t len, bool user)
{
	char *copy = jinja_alloc(j, 2 * len + 1);
	if (len)
		memcpy(copy, p, len);
	memset(copy + len, user, len);
	return v_of((struct str){copy, (uint8_t *)copy + len, len, false});
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
	size_t want = *cap ? *cap * 2 : 4;
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
	if (!v_hashable(&key))
		jinja_fail(j, ERR_FORMAT, "a %s can't be a key", v_type_name(&key));
	struct value *at = dict_get(d, &key);
	if (at) {
		*at = x;
		return;
	}
	jinja_work(j, d->n / 64);
	d->p = grow(j, d->p, &d->cap, d->n, sizeof(*d->p));
	d->p[d->n++] = (struct pair){key, x};
}

/* --- asking --- */

bool str_is(const struct value *v, const char *s)
{
	return v->type == V_STR && v->s.len == strlen(s) && (v->s.len == 0 || !memcmp(v->s.p, s, v->s.len));
}

char *v_name(struct jinja *j, const struct value *v)
{
	if (v->type != V_STR)
		jinja_fail(j, ERR_FORMAT, "a name is a string, not a %s", v_type_name(v));
	char *s = jinja_alloc(j, v->s.len + 1);
	if (v->s.len)
		memcpy(s, v->s.p, v->s.len);
	return s;
}

bool is_int(const struct value *v)
{
	return v->type == V_INT || v->type == V_BOOL || v->type == V_BIG;
}

bool is_number(const struct value *v)
{
	return is_int(v) || v->type == V_FLOAT;
}

bool is_sequence(const struct value *v)
{
	return v->type == V_LIST || v->type == V_TUPLE || v->type == V_RANGE;
}

bool is_iterable(const struct value *v)
{
	return v->type == V_STR || (v->type >= V_LIST && v->type <= V_DICT) || v->type == V_UNDEFINED ||
		v->type == V_LOOP;
}

bool v_hashable(const struct value *v)
{
	if (v->type == V_LIST || v->type == V_DICT || v->type == V_VIEW)
		return false;
	for (size_t i = 0; v->type == V_TUPLE && i < v->list->n; i++)
		if (v->list->p[i].type == V_TUPLE ? v->list == v->list->p[i].list : !v_hashable(&v->list->p[i]))
			return false;
	return true;
}

double to_double(const struct value *v)
{
	return v->type == V_FLOAT  ? v->f
		: v->type == V_BOOL ? v->b
		: v->type == V_BIG  ? big_to_double(v->big)
				    : (double)v->i;
}

int64_t to_int(struct jinja *j, const struct value *v, const char *what)
{
	if (v->type == V_BOOL)
		return v->b;
	if (v->type != V_INT)
		jinja_fail(j, ERR_FORMAT, "%s wants a whole number, not a %s", what, v_type_name(v));
	return v->i;
}

const char *v_type_name(const struct value *v)
{
	static const char *const names[] = {"undefined", "NoneType", "bool", "int", "int", "float", "str",
		"list", "tuple", "generator", "view", "range", "dict", "Namespace", "macro", "function",
		"method", "loop", "Cycler", "Joiner"};
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
	case V_VIEW:
	case V_RANGE:
		return v->list->n > 0;
	case V_DICT:
		return v->dict->n > 0;
	default:
		return true;
	}
}

static bool equal(const struct value *a, const struct value *b, int depth);

static bool equal_lists(const struct list *a, const struct list *b, int depth)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!equal(&a->p[i], &b->p[i], depth + 1))
			return false;
	return true;
}

static bool equal_dicts(const struct dict *a, const struct dict *b, int depth)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		struct value *x = dict_get(b, &a->p[i].key);
		if (!x || !equal(x, &a->p[i].value, depth + 1))
			return false;
	}
	return true;
}

static bool equal(const struct value *a, const struct value *b, int depth)
{
	if (depth > DEPTH)
		return false;
	if (is_number(a) && is_number(b))
		return number_compare(a, b) == 0;
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case V_UNDEFINED:
	case V_NONE:
		return true;
	case V_STR:
		return a->s.len == b->s.len && (a->s.len == 0 || !memcmp(a->s.p, b->s.p, a->s.len));
	case V_LIST:
	case V_TUPLE:
	case V_RANGE:
		return equal_lists(a->list, b->list, depth);
	case V_DICT:
		return equal_dicts(a->dict, b->dict, depth);
	case V_METHOD:
		return !strcmp(a->method->name, b->method->name) && equal(&a->method->self, &b->method->self, depth + 1);
	case V_FUNCTION:
		return a->function == b->function;
	default:
		return a->list == b->list;
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
	return d ? (d < 0 ? -1 : 1) : a->len < b->len ? -1 : a->len > b->len;
}

static int compare(struct jinja *j, const struct value *a, const struct value *b, int depth)
{
	if (is_number(a) && is_number(b))
		return number_compare(a, b);
	if (a->type == V_STR && b->type == V_STR)
		return compare_str(&a->s, &b->s);
	if ((a->type == V_LIST || a->type == V_TUPLE) && a->type == b->type && depth < DEPTH) {
		for (size_t i = 0; i < a->list->n && i < b->list->n; i++)
			if (!v_equal(&a->list->p[i], &b->list->p[i]))
				return compare(j, &a->list->p[i], &b->list->p[i], depth + 1);
		return a->list->n < b->list->n ? -1 : a->list->n > b->list->n;
	}
	const struct value *u = a->type == V_UNDEFINED ? a : b;
	if (u->type == V_UNDEFINED)
		jinja_fail(j, ERR_FORMAT, "'%.60s' is undefined", u->name ? u->name : "a value");
	jinja_fail(j, ERR_FORMAT, "%s and %s can't be ordered", v_type_name(a), v_type_name(b));
}

int v_compare(struct jinja *j, const struct value *a, const struct value *b)
{
	return compare(j, a, b, 0);
}

bool v_contains(struct jinja *j, const struct value *in, const struct value *x)
{
	struct value items;
	switch (in->type) {
	case V_STR:
		if (x->type != V_STR)
			jinja_fail(j, ERR_FORMAT, "a string can't contain a %s", v_type_name(x));
		return x->s.len == 0 ||
			(in->s.len >= x->s.len && memmem(in->s.p, in->s.len, x->s.p, x->s.len));
	case V_LIST:
	case V_TUPLE:
	case V_RANGE:
	case V_VIEW:
	case V_GENERATOR:
		items = v_iter(j, in);
		jinja_work(j, items.list->n / 16);
		for (size_t i = 0; i < items.list->n; i++)
			if (v_equal(&items.list->p[i], x))
				return true;
		return false;
	case V_DICT:
		if (!v_hashable(x))
			jinja_fail(j, ERR_FORMAT, "a %s can't be a key", v_type_name(x));
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
	case V_RANGE:
	case V_VIEW:
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
	struct value out;
	switch (v->type) {
	case V_LIST:
	case V_TUPLE:
	case V_RANGE:
	case V_VIEW:
		return *v;
	case V_GENERATOR:
		if (v->list->broken)
			jinja_fail(j, ERR_FORMAT, "a filter of sequences was given none");
		out = v_list(j, V_LIST);
		out.list->p = v->list->p + v->list->taken;
		out.list->n = v->list->n - v->list->taken;
		out.list->cap = out.list->n; /* full: adding copies */
		v->list->taken = v->list->n;
		return out;
	case V_UNDEFINED:
		return v_list(j, V_LIST);
	case V_DICT:
		out = v_list(j, V_LIST);
		for (size_t i = 0; i < v->dict->n; i++)
			list_add(j, &out, v->dict->p[i].key);
		return out;
	case V_STR:
		out = v_list(j, V_LIST);
		jinja_work(j, v->s.len / 8);
		for (size_t i = 0, n; i < v->s.len; i += n) {
			uint32_t cp;
			n = utf8_decode(v->s.p + i, v->s.len - i, &cp, NULL);
			list_add(j, &out, v_of((struct str){v->s.p + i, v->s.m + i, n, false}));
		}
		return out;
	default:
		jinja_fail(j, ERR_FORMAT, "a %s can't be iterated", v_type_name(v));
	}
}
