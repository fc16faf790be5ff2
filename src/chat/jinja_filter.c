/* Finding filters, those of single values, and the tests, as jinja2/filters.py and tests.py define them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "chat/jinja_run.h"

static filter_fn find_filter(const char *name)
{
	const struct filter *const tables[] = {value_filters, text_filters, sequence_filters};
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (const struct filter *f = tables[i]; f->name; f++)
			if (!strcmp(f->name, name))
				return f->f;
	return NULL;
}

bool filter_known(const char *name)
{
	return find_filter(name) != NULL;
}

struct value eval_filter(struct eval *ev, const char *name, struct value in, const struct args *a)
{
	filter_fn f = find_filter(name);
	if (!f)
		jinja_fail(ev->j, ERR_UNSUPPORTED, "there is no filter \"%.60s\"", name);
	eval_enter(ev);
	struct value v = f(ev, in, a);
	ev->j->depth--;
	return v;
}

static struct value f_tojson(struct eval *ev, struct value in, const struct args *a)
{
	struct sbuf b = {0};
	value_tojson(ev->j, &b, &in, a);
	return sbuf_value(ev->j, &b);
}

static struct value f_length(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	return v_int((int64_t)v_length(ev->j, &in));
}

static struct value f_default(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *d = arg(a, 0, "default_value");
	if (in.type == V_UNDEFINED || (arg_flag(a, 1, "boolean") && !v_truth(&in)))
		return d ? *d : v_literal(ev->j, "");
	return in;
}

static struct value f_attr(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *name = arg(a, 0, "name");
	if (!name || name->type != V_STR)
		jinja_fail(ev->j, ERR_FORMAT, "attr wants a name");
	if (in.type == V_DICT) { /* attributes alone: no items */
		bool allowed;
		if (!method_known(&in, v_name(ev->j, name), &allowed))
			return v_undefined(v_name(ev->j, name));
	}
	return eval_attr(ev->j, &in, name, true);
}

/* --- numbers --- */

static void fail_undefined(struct eval *ev, const struct value *v)
{
	if (v->type == V_UNDEFINED)
		jinja_fail(ev->j, ERR_FORMAT, "'%.60s' is undefined", v->name ? v->name : "a value");
}

/* A string as Python's float() takes it. */
static bool parse_float(struct eval *ev, const struct value *v, double *out)
{
	struct value s = string_call(ev, *v, "strip");
	char *text = jinja_alloc(ev->j, s.s.len + 1), *end;
	size_t n = 0;
	for (size_t i = 0; i < s.s.len; i++) {
		char c = s.s.p[i];
		bool digit = c >= '0' && c <= '9';
		bool joined = c == '_' && i && i + 1 < s.s.len && s.s.p[i - 1] >= '0' && s.s.p[i - 1] <= '9' &&
			s.s.p[i + 1] >= '0' && s.s.p[i + 1] <= '9';
		if (!digit && !joined && (!c || !strchr("+-.eEinfatyINFATY", c)))
			return false;
		if (!joined)
			text[n++] = c;
	}
	*out = strtod(text, &end);
	return n && *end == '\0';
}

/* A string as Python's int() takes it. */
static bool parse_int(struct eval *ev, const struct value *v, int base, struct value *out)
{
	struct value s = string_call(ev, *v, "strip");
	const char *p = s.s.p, *end = p + s.s.len;
	bool neg = p < end && *p == '-';
	p += p < end && (*p == '-' || *p == '+');
	int prefix = end - p > 2 && p[0] == '0' ? p[1] | 32 : 0;
	int said = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
	if (said && (base == said || base == 0)) {
		p += 2 + (p[2] == '_');
		base = said;
	}
	base = base ? base : 10;
	if (p == end || *p == '_' || end[-1] == '_')
		return false;
	for (const char *q = p; q < end; q++) {
		int c = *q | 32, d = *q >= '0' && *q <= '9' ? *q - '0' : c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
		if (*q == '_' ? q[1] == '_' : d >= base)
			return false;
	}
	*out = number_parse(ev->j, p, (size_t)(end - p), base);
	struct value zero = v_int(0);
	if (neg)
		*out = number_op(ev->j, T_SUB, &zero, out);
	return true;
}

static struct value f_int(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *d = arg(a, 0, "default");
	struct value fallback = d ? *d : v_int(0), v;
	double x;
	fail_undefined(ev, &in);
	if (in.type == V_BOOL)
		return v_int(in.b);
	if (is_int(&in))
		return in;
	if (in.type == V_FLOAT) {
		if (isinf(in.f))
			jinja_fail(ev->j, ERR_FORMAT, "infinity is no whole number");
		return isnan(in.f) ? fallback : number_from_double(ev->j, trunc(in.f));
	}
	if (in.type != V_STR)
		return fallback;
	if (parse_int(ev, &in, (int)arg_int(ev->j, a, 1, "base", 10), &v))
		return v;
	return parse_float(ev, &in, &x) && isfinite(x) ? number_from_double(ev->j, trunc(x)) : fallback;
}

static struct value f_float(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *d = arg(a, 0, "default");
	double x;
	fail_undefined(ev, &in);
	if (is_number(&in))
		return v_float(to_double(&in));
	return in.type == V_STR && parse_float(ev, &in, &x) ? v_float(x) : d ? *d : v_float(0);
}

static struct value f_abs(struct eval *ev, struct value in, const struct args *a)
{
	const struct value zero = v_int(0);
	(void)a;
	fail_undefined(ev, &in);
	if (!is_number(&in))
		jinja_fail(ev->j, ERR_FORMAT, "abs wants a number");
	if (in.type == V_FLOAT)
		return v_float(fabs(in.f));
	return number_compare(&in, &zero) < 0 ? number_op(ev->j, T_SUB, &zero, &in) : number_op(ev->j, T_ADD, &zero, &in);
}

/* Python's round: to even, of the exact binary value. */
static double round_digits(double x, int digits)
{
	char s[400];
	if (!isfinite(x) || digits > 60)
		return x;
	if (digits >= 0) {
		snprintf(s, sizeof(s), "%.*f", digits, x);
		return strtod(s, NULL);
	}
	double unit = pow(10, -digits);
	return rint(x / unit) * unit;
}

static struct value round_whole(struct eval *ev, struct value in, int64_t digits)
{
	const struct value zero = v_int(0), ten = v_int(10), two = v_int(2);
	in = number_op(ev->j, T_ADD, &in, &zero);
	if (digits >= 0)
		return in;
	struct value power = v_int(-digits), unit = number_op(ev->j, T_POW, &ten, &power);
	struct value rest = number_op(ev->j, T_MOD, &in, &unit), down = number_op(ev->j, T_SUB, &in, &rest);
	struct value twice = number_op(ev->j, T_MUL, &rest, &two), q = number_op(ev->j, T_FLOORDIV, &down, &unit);
	struct value odd = number_op(ev->j, T_MOD, &q, &two);
	int d = number_compare(&twice, &unit);
	return d > 0 || (d == 0 && v_truth(&odd)) ? number_op(ev->j, T_ADD, &down, &unit) : down;
}

static struct value f_round(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *how = arg(a, 1, "method");
	int64_t digits = arg_int(ev->j, a, 0, "precision", 0);
	fail_undefined(ev, &in);
	if (!is_number(&in))
		jinja_fail(ev->j, ERR_FORMAT, "round wants a number");
	if (digits < -300 || digits > 300)
		jinja_fail(ev->j, ERR_LIMIT, "round to %lld digits", (long long)digits);
	if (!how || str_is(how, "common"))
		return in.type == V_FLOAT ? v_float(round_digits(in.f, (int)digits)) : round_whole(ev, in, digits);
	bool up = str_is(how, "ceil");
	if (!up && !str_is(how, "floor"))
		jinja_fail(ev->j, ERR_FORMAT, "round: method must be common, ceil or floor");
	double unit = pow(10, (double)digits), x = to_double(&in) * unit;
	return v_float((up ? ceil(x) : floor(x)) / unit);
}

static struct value f_filesizeformat(struct eval *ev, struct value in, const struct args *a)
{
	static const char units[] = "kMGTPEZY";
	bool binary = arg_flag(a, 0, "binary");
	double base = binary ? 1024 : 1000, unit = base;
	char s[64];
	fail_undefined(ev, &in);
	double x;
	struct value v = f_float(ev, in, &(struct args){0});
	if (!is_number(&in) && !(in.type == V_STR && parse_float(ev, &in, &x)))
		jinja_fail(ev->j, ERR_FORMAT, "filesizeformat wants a number");
	if (v.f == 1)
		return v_literal(ev->j, "1 Byte");
	if (v.f < base) {
		snprintf(s, sizeof(s), "%lld Bytes", (long long)v.f);
		return v_literal(ev->j, s);
	}
	for (int i = 0; i < 8; i++) {
		unit *= base;
		if (v.f < unit || i == 7) {
			snprintf(s, sizeof(s), "%.1f %c%s", base * v.f / unit,
				binary && i == 0 ? 'K' : units[i], binary ? "iB" : "B");
			break;
		}
	}
	return v_literal(ev->j, s);
}

static struct value f_refused(struct eval *ev, struct value in, const struct args *a)
{
	(void)in;
	(void)a;
	jinja_fail(ev->j, ERR_UNSUPPORTED, "the filters pprint, random, urlize and wordwrap are not supported");
}

const struct filter value_filters[] = {{"tojson", f_tojson}, {"length", f_length}, {"count", f_length},
	{"default", f_default}, {"d", f_default}, {"attr", f_attr}, {"int", f_int}, {"float", f_float},
	{"abs", f_abs}, {"round", f_round}, {"filesizeformat", f_filesizeformat}, {"pprint", f_refused},
	{"random", f_refused}, {"urlize", f_refused}, {"wordwrap", f_refused}, {NULL, NULL}};

/* --- tests --- */

static const struct {
	const char *name;
	unsigned types;
} type_tests[] = {{"none", 1u << V_NONE}, {"string", 1u << V_STR}, {"boolean", 1u << V_BOOL},
	{"integer", 1u << V_INT | 1u << V_BIG}, {"float", 1u << V_FLOAT},
	{"number", 1u << V_INT | 1u << V_BIG | 1u << V_FLOAT | 1u << V_BOOL}, {"mapping", 1u << V_DICT},
	{"undefined", 1u << V_UNDEFINED},
	{"callable", 1u << V_MACRO | 1u << V_FUNCTION | 1u << V_METHOD | 1u << V_LOOP | 1u << V_JOINER |
			     1u << V_UNDEFINED},
	{"sequence", 1u << V_STR | 1u << V_LIST | 1u << V_TUPLE | 1u << V_RANGE | 1u << V_DICT | 1u << V_UNDEFINED}};

static const struct {
	const char *name;
	bool less, equal, more; /* outcomes of the comparison that hold */
} order_tests[] = {{"lt", true, false, false}, {"lessthan", true, false, false}, {"<", true, false, false},
	{"gt", false, false, true}, {"greaterthan", false, false, true}, {">", false, false, true},
	{"le", true, true, false}, {"<=", true, true, false}, {"ge", false, true, true}, {">=", false, true, true}};

#define COUNT(table) (sizeof(table) / sizeof(*table))

bool test_known(const char *name)
{
	static const char *const others[] = {"defined", "iterable", "true", "false", "lower", "upper", "odd", "even",
		"escaped", "filter", "test", "equalto", "eq", "==", "ne", "!=", "sameas", "in", "divisibleby"};
	for (size_t i = 0; i < COUNT(type_tests); i++)
		if (!strcmp(type_tests[i].name, name))
			return true;
	for (size_t i = 0; i < COUNT(order_tests); i++)
		if (!strcmp(order_tests[i].name, name))
			return true;
	for (size_t i = 0; i < COUNT(others); i++)
		if (!strcmp(others[i], name))
			return true;
	return false;
}

static bool same_object(const struct value *a, const struct value *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == V_UNDEFINED) /* each use makes a new one */
		return false;
	return is_number(a) || a->type == V_STR || a->type == V_NONE ? v_equal(a, b) : a->list == b->list;
}

/* Tests without an argument. *known is false for others. */
static bool simple_test(struct eval *ev, const char *name, const struct value *in, bool *known)
{
	for (size_t i = 0; i < COUNT(type_tests); i++)
		if (!strcmp(type_tests[i].name, name))
			return (type_tests[i].types >> in->type & 1) != 0;
	if (!strcmp(name, "defined"))
		return in->type != V_UNDEFINED;
	if (!strcmp(name, "iterable"))
		return is_iterable(in);
	if (!strcmp(name, "true") || !strcmp(name, "false"))
		return in->type == V_BOOL && in->b == (name[0] == 't');
	if (!strcmp(name, "escaped"))
		return in->type == V_STR && in->s.safe;
	if (!strcmp(name, "lower") || !strcmp(name, "upper")) {
		struct value s = v_plain(ev->j, in), yes = string_call(ev, s, name[0] == 'l' ? "islower" : "isupper");
		return yes.b;
	}
	if (!strcmp(name, "filter") || !strcmp(name, "test")) {
		if (in->type != V_STR)
			return false;
		const char *s = v_name(ev->j, in);
		return name[0] == 'f' ? filter_known(s) : test_known(s);
	}
	*known = false;
	return false;
}

static bool divisible(struct eval *ev, const struct value *in, const struct value *by)
{
	fail_undefined(ev, in);
	if (!is_number(in) || !is_number(by))
		jinja_fail(ev->j, ERR_FORMAT, "a %s can't be divided", v_type_name(in));
	struct value rest = number_op(ev->j, T_MOD, in, by);
	return !v_truth(&rest);
}

bool eval_test(struct eval *ev, const char *name, const struct value *in, const struct args *a)
{
	bool known = true, yes = simple_test(ev, name, in, &known);
	const struct value two = v_int(2), one = v_int(1);
	if (known && a->n)
		jinja_fail(ev->j, ERR_FORMAT, "the test \"%.60s\" takes no argument", name);
	if (known)
		return yes;
	if (!strcmp(name, "odd") || !strcmp(name, "even")) {
		fail_undefined(ev, in);
		if (!is_number(in))
			jinja_fail(ev->j, ERR_FORMAT, "a %s is neither odd nor even", v_type_name(in));
		struct value rest = number_op(ev->j, T_MOD, in, &two);
		return name[0] == 'o' ? v_equal(&rest, &one) : !v_truth(&rest);
	}
	const struct value *x = arg(a, 0, NULL);
	if (!test_known(name))
		jinja_fail(ev->j, ERR_UNSUPPORTED, "there is no test \"%.60s\"", name);
	if (!x)
		jinja_fail(ev->j, ERR_FORMAT, "the test \"%.60s\" wants an argument", name);
	if (!strcmp(name, "equalto") || !strcmp(name, "eq") || !strcmp(name, "=="))
		return v_equal(in, x);
	if (!strcmp(name, "ne") || !strcmp(name, "!="))
		return !v_equal(in, x);
	if (!strcmp(name, "sameas"))
		return same_object(in, x);
	if (!strcmp(name, "in"))
		return v_contains(ev->j, x, in);
	if (!strcmp(name, "divisibleby"))
		return divisible(ev, in, x);
	int d = v_compare(ev->j, in, x);
	for (size_t i = 0; i < COUNT(order_tests); i++)
		if (!strcmp(order_tests[i].name, name))
			return d == -1 ? order_tests[i].less : d == 0 ? order_tests[i].equal : d == 1 && order_tests[i].more;
	return false;
}
