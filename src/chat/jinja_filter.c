/* Filters and tests, as jinja2/filters.py and tests.py define them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chat/jinja.h"

typedef struct value (*filter_fn)(struct eval *ev, struct value in, const struct args *a);

static struct value call_method(struct eval *ev, struct value in, const char *name, const struct args *a)
{
	const struct method m = {in, name};
	return eval_method(ev, &m, a);
}

static struct value as_string(struct eval *ev, struct value v)
{
	return v_str(ev->j, &v);
}

static struct value f_tojson(struct eval *ev, struct value in, const struct args *a)
{
	struct sbuf b = {0};
	value_tojson(ev->j, &b, &in, a, 0);
	return sbuf_value(ev->j, &b);
}

static struct value f_length(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	return v_int((int64_t)v_length(ev->j, &in));
}

static struct value f_string(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	return as_string(ev, in);
}

static struct value f_trim(struct eval *ev, struct value in, const struct args *a)
{
	return call_method(ev, as_string(ev, in), "strip", a);
}

static struct value f_lower(struct eval *ev, struct value in, const struct args *a)
{
	return call_method(ev, as_string(ev, in), "lower", a);
}

static struct value f_upper(struct eval *ev, struct value in, const struct args *a)
{
	return call_method(ev, as_string(ev, in), "upper", a);
}

static struct value f_title(struct eval *ev, struct value in, const struct args *a)
{
	return call_method(ev, as_string(ev, in), "title", a);
}

static struct value f_capitalize(struct eval *ev, struct value in, const struct args *a)
{
	return call_method(ev, as_string(ev, in), "capitalize", a);
}

static struct value f_replace(struct eval *ev, struct value in, const struct args *a)
{
	return call_method(ev, as_string(ev, in), "replace", a);
}

static struct value f_list(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	struct value items = v_iter(ev->j, &in), out = v_list(ev->j, V_LIST);
	for (size_t i = 0; i < items.list->n; i++)
		list_add(ev->j, &out, items.list->p[i]);
	return out;
}

static struct value f_join(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *sep = arg(a, 0, "d"), *by = arg(a, 1, "attribute");
	struct value items = v_iter(ev->j, &in);
	struct sbuf b = {0};
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = items.list->p[i];
		if (by)
			x = eval_attr(ev->j, &x, by, false);
		if (i && sep)
			sbuf_str(ev->j, &b, v_str(ev->j, sep).s);
		sbuf_str(ev->j, &b, v_str(ev->j, &x).s);
	}
	return sbuf_value(ev->j, &b);
}

static struct value f_same(struct eval *ev, struct value in, const struct args *a)
{
	(void)ev;
	(void)a;
	return in;
}

static struct value f_default(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *d = arg(a, 0, "default_value"), *falsy = arg(a, 1, "boolean");
	if (in.type == V_UNDEFINED || (falsy && v_truth(falsy) && !v_truth(&in)))
		return d ? *d : v_literal(ev->j, "");
	return in;
}

static struct value f_items(struct eval *ev, struct value in, const struct args *a)
{
	struct value none = v_list(ev->j, V_LIST);
	(void)a;
	if (in.type == V_UNDEFINED)
		return none;
	if (in.type != V_DICT)
		jinja_fail(ev->j, ERR_FORMAT, "items wants a mapping, not a %s", v_type_name(&in));
	return call_method(ev, in, "items", &(struct args){0});
}

/* An attribute path such as "function.name". */
static struct value path_of(struct eval *ev, struct value x, const struct value *path)
{
	if (path->type != V_STR)
		return eval_attr(ev->j, &x, path, false);
	const char *p = path->s.p, *end = p + path->s.len;
	while (p <= end) {
		const char *dot = p < end ? memchr(p, '.', (size_t)(end - p)) : NULL;
		size_t n = (size_t)((dot ? dot : end) - p);
		struct value key = v_bytes(ev->j, p, n, false);
		if (n && strspn(key.s.p, "0123456789") >= n)
			key = v_int(strtoll(key.s.p, NULL, 10));
		x = eval_attr(ev->j, &x, &key, false);
		p += n + 1;
	}
	return x;
}

/* select, reject, selectattr, rejectattr: skip is how many arguments stand before the test's name. */
static struct value choose(struct eval *ev, struct value in, const struct args *a, size_t skip, bool keep)
{
	struct value out = v_list(ev->j, V_LIST);
	if (!v_truth(&in)) /* as jinja2: none and the like give nothing */
		return out;
	struct value items = v_iter(ev->j, &in);
	if (skip && a->n < 1)
		jinja_fail(ev->j, ERR_FORMAT, "an attribute's name is missing");
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = skip ? path_of(ev, items.list->p[i], &a->p[0]) : items.list->p[i];
		bool ok = v_truth(&x);
		if (a->n > skip) {
			const struct args rest = {a->p + skip + 1, a->n - skip - 1, NULL};
			struct value name = v_str(ev->j, &a->p[skip]);
			char *s = jinja_alloc(ev->j, name.s.len + 1);
			memcpy(s, name.s.p, name.s.len);
			ok = eval_test(ev, s, &x, &rest);
		}
		if (ok == keep)
			list_add(ev->j, &out, items.list->p[i]);
	}
	return out;
}

static struct value f_select(struct eval *ev, struct value in, const struct args *a)
{
	return choose(ev, in, a, 0, true);
}

static struct value f_reject(struct eval *ev, struct value in, const struct args *a)
{
	return choose(ev, in, a, 0, false);
}

static struct value f_selectattr(struct eval *ev, struct value in, const struct args *a)
{
	return choose(ev, in, a, 1, true);
}

static struct value f_rejectattr(struct eval *ev, struct value in, const struct args *a)
{
	return choose(ev, in, a, 1, false);
}

static struct value f_map(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *by = dict_get_str(a->kw, "attribute"), *def = dict_get_str(a->kw, "default");
	struct value out = v_list(ev->j, V_LIST);
	if (!v_truth(&in))
		return out;
	struct value items = v_iter(ev->j, &in);
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = items.list->p[i];
		if (by) {
			x = path_of(ev, x, by);
			if (x.type == V_UNDEFINED && def)
				x = *def;
		} else if (a->n && a->p[0].type == V_STR) {
			const struct args rest = {a->p + 1, a->n - 1, a->kw};
			char *s = jinja_alloc(ev->j, a->p[0].s.len + 1);
			memcpy(s, a->p[0].s.p, a->p[0].s.len);
			x = eval_filter(ev, s, x, &rest);
		} else {
			jinja_fail(ev->j, ERR_FORMAT, "map wants a filter or an attribute");
		}
		list_add(ev->j, &out, x);
	}
	return out;
}

/* Strings are compared without regard to case unless case_sensitive is set. */
static int order(struct eval *ev, const struct value *a, const struct value *b, bool exact)
{
	struct value x = *a, y = *b;
	if (!exact && x.type == V_STR)
		x = call_method(ev, x, "lower", &(struct args){0});
	if (!exact && y.type == V_STR)
		y = call_method(ev, y, "lower", &(struct args){0});
	return v_compare(ev->j, &x, &y);
}

static struct value sorted(struct eval *ev, struct value in, const struct value *by, bool exact, bool reverse)
{
	struct value out = f_list(ev, in, NULL);
	struct value *p = out.list->p;
	for (size_t i = 1; i < out.list->n; i++) { /* stable insertion; bounded by the step limit */
		struct value x = p[i], key = by ? path_of(ev, x, by) : x;
		size_t k = i;
		for (; k > 0; k--) {
			struct value other = by ? path_of(ev, p[k - 1], by) : p[k - 1];
			int d = order(ev, &key, &other, exact);
			if (reverse ? d <= 0 : d >= 0)
				break;
			if (++ev->j->steps > 20000000u)
				jinja_fail(ev->j, ERR_LIMIT, "the template runs too long");
			p[k] = p[k - 1];
		}
		p[k] = x;
	}
	return out;
}

static bool flag(const struct args *a, size_t i, const char *name)
{
	const struct value *v = arg(a, i, name);
	return v && v_truth(v);
}

static struct value f_sort(struct eval *ev, struct value in, const struct args *a)
{
	return sorted(ev, in, arg(a, 2, "attribute"), flag(a, 1, "case_sensitive"), flag(a, 0, "reverse"));
}

static struct value f_dictsort(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *by = arg(a, 1, "by");
	struct value index = v_int(by && str_is(by, "value") ? 1 : 0);
	return sorted(ev, f_items(ev, in, a), &index, flag(a, 0, "case_sensitive"), flag(a, 2, "reverse"));
}

static struct value f_unique(struct eval *ev, struct value in, const struct args *a)
{
	struct value items = v_iter(ev->j, &in), out = v_list(ev->j, V_LIST);
	const struct value *by = arg(a, 1, "attribute");
	bool exact = flag(a, 0, "case_sensitive");
	for (size_t i = 0; i < items.list->n; i++) {
		bool seen = false;
		struct value x = by ? path_of(ev, items.list->p[i], by) : items.list->p[i];
		if (!exact && x.type == V_STR)
			x = call_method(ev, x, "lower", &(struct args){0});
		for (size_t k = 0; k < out.list->n && !seen; k++) {
			struct value y = by ? path_of(ev, out.list->p[k], by) : out.list->p[k];
			if (!exact && y.type == V_STR)
				y = call_method(ev, y, "lower", &(struct args){0});
			seen = v_equal(&x, &y);
		}
		if (!seen)
			list_add(ev->j, &out, items.list->p[i]);
	}
	return out;
}

static struct value extreme(struct eval *ev, struct value in, const struct args *a, int sign)
{
	struct value items = v_iter(ev->j, &in), best = v_undefined();
	const struct value *by = arg(a, 1, "attribute");
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = by ? path_of(ev, items.list->p[i], by) : items.list->p[i];
		struct value y = by && i ? path_of(ev, best, by) : best;
		if (i == 0 || sign * order(ev, &x, &y, flag(a, 0, "case_sensitive")) > 0)
			best = items.list->p[i];
	}
	return best;
}

static struct value f_max(struct eval *ev, struct value in, const struct args *a)
{
	return extreme(ev, in, a, 1);
}

static struct value f_min(struct eval *ev, struct value in, const struct args *a)
{
	return extreme(ev, in, a, -1);
}

static struct value f_first(struct eval *ev, struct value in, const struct args *a)
{
	struct value items = v_iter(ev->j, &in);
	(void)a;
	return items.list->n ? items.list->p[0] : v_undefined();
}

static struct value f_last(struct eval *ev, struct value in, const struct args *a)
{
	struct value items = v_iter(ev->j, &in);
	(void)a;
	return items.list->n ? items.list->p[items.list->n - 1] : v_undefined();
}

static struct value f_reverse(struct eval *ev, struct value in, const struct args *a)
{
	struct value items = v_iter(ev->j, &in), out = v_list(ev->j, V_LIST);
	struct sbuf b = {0};
	(void)a;
	for (size_t i = items.list->n; i > 0; i--) {
		list_add(ev->j, &out, items.list->p[i - 1]);
		if (in.type == V_STR)
			sbuf_str(ev->j, &b, items.list->p[i - 1].s);
	}
	return in.type == V_STR ? sbuf_value(ev->j, &b) : out;
}

static double number_of(struct eval *ev, const struct value *v, bool *ok)
{
	*ok = true;
	if (is_number(v))
		return to_double(v);
	if (v->type != V_STR) {
		*ok = false;
		return 0;
	}
	struct value s = call_method(ev, *v, "strip", &(struct args){0});
	char *text = jinja_alloc(ev->j, s.s.len + 1), *end;
	memcpy(text, s.s.p, s.s.len);
	double d = strtod(text, &end);
	*ok = end != text && *end == '\0';
	return d;
}

static struct value f_int(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *d = arg(a, 0, "default");
	bool ok;
	if (in.type == V_INT)
		return in;
	double x = number_of(ev, &in, &ok);
	return ok && fabs(x) < 9e18 ? v_int((int64_t)x) : d ? *d : v_int(0);
}

static struct value f_float(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *d = arg(a, 0, "default");
	bool ok;
	double x = number_of(ev, &in, &ok);
	return ok ? v_float(x) : d ? *d : v_float(0);
}

static struct value f_abs(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	if (!is_number(&in))
		jinja_fail(ev->j, ERR_FORMAT, "abs wants a number");
	return in.type == V_FLOAT ? v_float(fabs(in.f)) : v_int(in.i < 0 ? -in.i : in.i);
}

static struct value f_round(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *digits = arg(a, 0, "precision");
	if (!is_number(&in))
		jinja_fail(ev->j, ERR_FORMAT, "round wants a number");
	double unit = pow(10, digits && digits->type == V_INT ? (double)digits->i : 0);
	return v_float(rint(to_double(&in) * unit) / unit);
}

static struct value f_sum(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *by = arg(a, 0, "attribute");
	struct value items = v_iter(ev->j, &in);
	double sum = 0;
	bool whole = true;
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = by ? path_of(ev, items.list->p[i], by) : items.list->p[i];
		if (!is_number(&x))
			jinja_fail(ev->j, ERR_FORMAT, "sum wants numbers");
		whole &= x.type != V_FLOAT;
		sum += to_double(&x);
	}
	return whole ? v_int((int64_t)sum) : v_float(sum);
}

/* indent(width=4, first=False, blank=False) */
static struct value f_indent(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *width = arg(a, 0, "width");
	struct value text = as_string(ev, in), pad = v_literal(ev->j, "");
	struct sbuf b = {0};
	bool first = flag(a, 1, "first"), blank = flag(a, 2, "blank");
	int64_t n = width && width->type == V_INT ? width->i : 4;
	if (width && width->type == V_STR)
		pad = *width;
	else {
		struct sbuf spaces = {0};
		for (int64_t i = 0; i < n && i < 1000; i++)
			sbuf_puts(ev->j, &spaces, " ");
		pad = sbuf_value(ev->j, &spaces);
	}
	bool line_start = first;
	for (size_t i = 0; i < text.s.len; i++) {
		char c = text.s.p[i];
		if (line_start && (c != '\n' || blank))
			sbuf_str(ev->j, &b, pad.s);
		line_start = c == '\n';
		sbuf_add(ev->j, &b, &c, text.s.m + i, 1, false);
	}
	return sbuf_value(ev->j, &b);
}

static const struct {
	const char *name;
	filter_fn f;
} filters[] = {{"tojson", f_tojson}, {"length", f_length}, {"count", f_length}, {"string", f_string},
	{"trim", f_trim}, {"lower", f_lower}, {"upper", f_upper}, {"title", f_title},
	{"capitalize", f_capitalize}, {"replace", f_replace}, {"list", f_list}, {"join", f_join},
	{"safe", f_same}, {"default", f_default}, {"d", f_default}, {"items", f_items},
	{"select", f_select}, {"reject", f_reject}, {"selectattr", f_selectattr},
	{"rejectattr", f_rejectattr}, {"map", f_map}, {"sort", f_sort}, {"dictsort", f_dictsort},
	{"unique", f_unique}, {"max", f_max}, {"min", f_min}, {"first", f_first}, {"last", f_last},
	{"reverse", f_reverse}, {"int", f_int}, {"float", f_float}, {"abs", f_abs}, {"round", f_round},
	{"sum", f_sum}, {"indent", f_indent}};

struct value eval_filter(struct eval *ev, const char *name, struct value in, const struct args *a)
{
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		if (!strcmp(filters[i].name, name))
			return filters[i].f(ev, in, a);
	jinja_fail(ev->j, ERR_UNSUPPORTED, "the filter \"%.60s\" is not supported", name);
}

static bool is_iterable(const struct value *v)
{
	return v->type == V_STR || v->type == V_LIST || v->type == V_TUPLE || v->type == V_DICT ||
		v->type == V_UNDEFINED;
}

static bool case_is(struct eval *ev, const struct value *v, const char *how)
{
	struct value s = v_str(ev->j, v), t = call_method(ev, s, how, &(struct args){0});
	return v_equal(&s, &t);
}

static bool test_by_type(const char *name, const struct value *v, bool *known)
{
	static const struct {
		const char *name;
		unsigned types;
	} table[] = {{"none", 1u << V_NONE}, {"string", 1u << V_STR}, {"boolean", 1u << V_BOOL},
		{"integer", 1u << V_INT}, {"float", 1u << V_FLOAT},
		{"number", 1u << V_INT | 1u << V_FLOAT | 1u << V_BOOL}, {"mapping", 1u << V_DICT},
		{"undefined", 1u << V_UNDEFINED},
		{"callable", 1u << V_MACRO | 1u << V_FUNCTION | 1u << V_METHOD},
		{"sequence", 1u << V_STR | 1u << V_LIST | 1u << V_TUPLE | 1u << V_DICT | 1u << V_UNDEFINED}};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (!strcmp(table[i].name, name))
			return (table[i].types >> v->type & 1) != 0;
	*known = false;
	return false;
}

bool eval_test(struct eval *ev, const char *name, const struct value *in, const struct args *a)
{
	static const struct {
		const char *name;
		int sign; /* of the comparison that holds */
		bool equal;
	} orders[] = {{"lt", -1, false}, {"lessthan", -1, false}, {"gt", 1, false}, {"greaterthan", 1, false},
		{"le", -1, true}, {"ge", 1, true}};
	bool known = true, yes = test_by_type(name, in, &known);
	if (known)
		return yes;
	if (!strcmp(name, "defined"))
		return in->type != V_UNDEFINED;
	if (!strcmp(name, "iterable"))
		return is_iterable(in);
	if (!strcmp(name, "true") || !strcmp(name, "false"))
		return in->type == V_BOOL && in->b == (name[0] == 't');
	if (!strcmp(name, "lower") || !strcmp(name, "upper"))
		return case_is(ev, in, name);
	if (in->type == V_INT && (!strcmp(name, "odd") || !strcmp(name, "even")))
		return (in->i % 2 != 0) == (name[0] == 'o');
	const struct value *x = arg(a, 0, NULL);
	if (x && (!strcmp(name, "equalto") || !strcmp(name, "eq") || !strcmp(name, "==") || !strcmp(name, "sameas")))
		return v_equal(in, x);
	if (x && (!strcmp(name, "ne") || !strcmp(name, "!=")))
		return !v_equal(in, x);
	if (x && !strcmp(name, "in"))
		return v_contains(ev->j, x, in);
	if (x && x->type == V_INT && x->i && in->type == V_INT && !strcmp(name, "divisibleby"))
		return in->i % x->i == 0;
	for (size_t i = 0; x && i < sizeof(orders) / sizeof(*orders); i++)
		if (!strcmp(orders[i].name, name)) {
			int d = v_compare(ev->j, in, x);
			return (orders[i].equal && d == 0) || (d < 0 ? -1 : d > 0) == orders[i].sign;
		}
	jinja_fail(ev->j, ERR_UNSUPPORTED, "the test \"%.60s\" is not supported here", name);
}
