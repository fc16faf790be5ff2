/* Walks the syntax tree. Scopes: a loop body, a macro and a call block open one; `if` does not. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "chat/jinja.h"

#define STEPS 20000000u
#define DEPTH 120
#define ARENA ((size_t)256 << 20)
#define OUTPUT ((size_t)64 << 20)

struct var {
	const char *name;
	struct value value;
	struct var *next;
};

struct frame {
	struct var *vars;
	struct frame *up;
};

struct macro {
	const struct node *node; /* N_MACRO or N_CALL_BLOCK (a caller) */
	struct frame *defined_in;
};

struct loop {
	struct value items;
	size_t index; /* from 0 */
};

struct template {
	struct arena arena;
	struct node *body;
	char *src; /* a copy */
};

static struct value eval(struct eval *ev, const struct node *n);
static void run(struct eval *ev, const struct node *n);

static void set_var(struct eval *ev, const char *name, struct value x)
{
	for (struct var *v = ev->frame->vars; v; v = v->next)
		if (!strcmp(v->name, name)) {
			v->value = x;
			return;
		}
	struct var *v = jinja_alloc(ev->j, sizeof(*v));
	*v = (struct var){name, x, ev->frame->vars};
	ev->frame->vars = v;
}

static struct value get_var(struct eval *ev, const char *name)
{
	static const struct {
		const char *name;
		enum global_function f;
	} globals[] = {{"raise_exception", FN_RAISE}, {"namespace", FN_NAMESPACE}, {"range", FN_RANGE},
		{"strftime_now", FN_STRFTIME}, {"dict", FN_DICT}};
	for (const struct frame *f = ev->frame; f; f = f->up)
		for (const struct var *v = f->vars; v; v = v->next)
			if (!strcmp(v->name, name))
				return v->value;
	for (size_t i = 0; i < sizeof(globals) / sizeof(*globals); i++)
		if (!strcmp(globals[i].name, name))
			return (struct value){.type = V_FUNCTION, .function = globals[i].f};
	return v_undefined();
}

static void push_frame(struct eval *ev, struct frame *f, struct frame *up)
{
	*f = (struct frame){.up = up};
	ev->frame = f;
}

static void step(struct eval *ev, const struct node *n)
{
	ev->j->line = n->line;
	if (++ev->j->steps > STEPS)
		jinja_fail(ev->j, ERR_LIMIT, "the template runs too long");
}

static void enter(struct eval *ev)
{
	if (++ev->j->depth > DEPTH)
		jinja_fail(ev->j, ERR_LIMIT, "the template nests too deeply");
}

const struct value *arg(const struct args *a, size_t i, const char *name)
{
	if (i < a->n)
		return &a->p[i];
	return name ? dict_get_str(a->kw, name) : NULL;
}

static struct args eval_args(struct eval *ev, const struct node *list)
{
	struct value pos = v_list(ev->j, V_LIST), kw = {0};
	for (const struct node *n = list; n; n = n->next) {
		if (n->kind != N_KEYWORD) {
			list_add(ev->j, &pos, eval(ev, n));
			continue;
		}
		if (kw.type != V_DICT)
			kw = v_dict(ev->j);
		dict_set(ev->j, kw.dict, v_literal(ev->j, n->name), eval(ev, n->a));
	}
	return (struct args){pos.list->p, pos.list->n, kw.type == V_DICT ? kw.dict : NULL};
}

/* Run a body into a string. */
static struct value capture(struct eval *ev, const struct node *body)
{
	struct sbuf b = {0}, *outer = ev->out;
	ev->out = &b;
	run(ev, body);
	ev->out = outer;
	return sbuf_value(ev->j, &b);
}

static struct value call_macro(struct eval *ev, const struct macro *m, const struct args *a)
{
	struct frame f, *outer = ev->frame;
	size_t i = 0;
	enter(ev);
	push_frame(ev, &f, m->defined_in);
	struct value *caller = dict_get_str(a->kw, "caller");
	if (caller)
		set_var(ev, "caller", *caller);
	for (const struct node *p = m->node->list; p; p = p->next, i++) {
		const struct value *x = arg(a, i, p->name);
		set_var(ev, p->name, x ? *x : p->a ? eval(ev, p->a) : v_undefined());
	}
	if (a->n > i)
		jinja_fail(ev->j, ERR_FORMAT, "macro %s takes %zu arguments, not %zu",
			m->node->name ? m->node->name : "caller", i, a->n);
	struct value out = capture(ev, m->node->body);
	ev->frame = outer;
	ev->flow = 0;
	ev->j->depth--;
	return out;
}

/* --- global functions --- */

static struct value do_range(struct eval *ev, const struct args *a)
{
	int64_t v[3] = {0, 0, 1};
	for (size_t i = 0; i < a->n && i < 3; i++) {
		if (a->p[i].type != V_INT)
			jinja_fail(ev->j, ERR_FORMAT, "range wants whole numbers");
		v[i] = a->p[i].i;
	}
	if (a->n == 1) {
		v[1] = v[0];
		v[0] = 0;
	}
	double count = v[2] ? ceil(((double)v[1] - (double)v[0]) / (double)v[2]) : -1;
	if (a->n < 1 || a->n > 3 || v[2] == 0 || count > 100000) /* the sandbox's own limit */
		jinja_fail(ev->j, ERR_LIMIT, "range is too big or has wrong arguments");
	struct value out = v_list(ev->j, V_LIST);
	for (int64_t i = 0; i < (int64_t)count; i++)
		list_add(ev->j, &out, v_int(v[0] + i * v[2]));
	return out;
}

static struct value do_strftime(struct eval *ev, const struct args *a)
{
	char format[128], out[256];
	time_t now = ev->now ? (time_t)ev->now : time(NULL);
	struct tm tm;
	const struct value *f = arg(a, 0, "format");
	if (!f || f->type != V_STR || f->s.len >= sizeof(format))
		jinja_fail(ev->j, ERR_FORMAT, "strftime_now wants a format");
	memcpy(format, f->s.p, f->s.len);
	format[f->s.len] = '\0';
	if (ev->now)
		gmtime_r(&now, &tm);
	else
		localtime_r(&now, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	size_t n = strftime(out, sizeof(out), format, &tm);
#pragma GCC diagnostic pop
	return v_bytes(ev->j, out, n, false);
}

static struct value call_function(struct eval *ev, int f, const struct args *a)
{
	struct value d, text;
	switch (f) {
	case FN_RAISE:
		text = a->n ? v_str(ev->j, &a->p[0]) : v_literal(ev->j, "");
		jinja_fail(ev->j, ERR_FORMAT, "%.*s", (int)(text.s.len < 300 ? text.s.len : 300), text.s.p);
	case FN_RANGE:
		return do_range(ev, a);
	case FN_STRFTIME:
		return do_strftime(ev, a);
	default: /* namespace(...), dict(...) */
		d = v_dict(ev->j);
		if (a->n && a->p[0].type == V_DICT)
			for (size_t i = 0; i < a->p[0].dict->n; i++)
				dict_set(ev->j, d.dict, a->p[0].dict->p[i].key, a->p[0].dict->p[i].value);
		for (size_t i = 0; a->kw && i < a->kw->n; i++)
			dict_set(ev->j, d.dict, a->kw->p[i].key, a->kw->p[i].value);
		if (f == FN_NAMESPACE)
			d.type = V_NAMESPACE;
		return d;
	}
}

static struct value call(struct eval *ev, const struct value *f, const struct args *a)
{
	switch (f->type) {
	case V_MACRO:
		return call_macro(ev, f->macro, a);
	case V_FUNCTION:
		return call_function(ev, f->function, a);
	case V_METHOD:
		return eval_method(ev, f->method, a);
	default:
		jinja_fail(ev->j, ERR_FORMAT, "a %s can't be called", v_type_name(f));
	}
}

/* --- expressions --- */

static struct value loop_attr(struct eval *ev, const struct loop *l, const char *name)
{
	size_t n = l->items.list->n, i = l->index;
	if (!strcmp(name, "index"))
		return v_int((int64_t)i + 1);
	if (!strcmp(name, "index0"))
		return v_int((int64_t)i);
	if (!strcmp(name, "revindex"))
		return v_int((int64_t)(n - i));
	if (!strcmp(name, "revindex0"))
		return v_int((int64_t)(n - i) - 1);
	if (!strcmp(name, "first"))
		return v_bool(i == 0);
	if (!strcmp(name, "last"))
		return v_bool(i + 1 == n);
	if (!strcmp(name, "length"))
		return v_int((int64_t)n);
	if (!strcmp(name, "previtem"))
		return i ? l->items.list->p[i - 1] : v_undefined();
	if (!strcmp(name, "nextitem"))
		return i + 1 < n ? l->items.list->p[i + 1] : v_undefined();
	jinja_fail(ev->j, ERR_UNSUPPORTED, "loop.%.40s is not supported", name);
}

/* Python's methods by type; names that are none of them are undefined attributes. */
static bool has_method(const struct value *v, const struct value *key)
{
	static const char *const dict[] = {"items", "keys", "values", "get", "update", "pop", "setdefault",
		"clear", "copy", "popitem", NULL};
	static const char *const list[] = {"append", "extend", "insert", "pop", "remove", "reverse", "sort",
		"clear", "copy", "count", "index", NULL};
	static const char *const string[] = {"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines",
		"replace", "startswith", "endswith", "lower", "upper", "title", "capitalize", "casefold",
		"format", "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace", "find",
		"index", "count", "join", "removeprefix", "removesuffix", "rfind", "rindex", "partition",
		"rpartition", "zfill", "ljust", "rjust", "center", "encode", "swapcase", "islower",
		"isupper", "istitle", "translate", "expandtabs", "format_map", NULL};
	static const char *const tuple[] = {"count", "index", NULL};
	const char *const *names = v->type == V_DICT  ? dict
				   : v->type == V_LIST  ? list
				   : v->type == V_TUPLE ? tuple
				   : v->type == V_STR   ? string
							: NULL;
	for (; names && *names; names++)
		if (str_is(key, *names))
			return true;
	return false;
}

struct value eval_attr(struct jinja *j, const struct value *v, const struct value *key, bool attr_first)
{
	if (v->type == V_UNDEFINED)
		jinja_fail(j, ERR_FORMAT, "an undefined value has no attributes or items");
	if (v->type == V_DICT || v->type == V_NAMESPACE) {
		struct value *x = dict_get(v->dict, key);
		bool method = has_method(v, key);
		if (x && !(method && attr_first))
			return *x;
		if (!method)
			return x ? *x : v_undefined();
	}
	if (key->type == V_INT && (v->type == V_LIST || v->type == V_TUPLE)) {
		int64_t i = key->i < 0 ? key->i + (int64_t)v->list->n : key->i;
		return i >= 0 && i < (int64_t)v->list->n ? v->list->p[i] : v_undefined();
	}
	if (key->type == V_INT && v->type == V_STR) {
		struct value chars = v_iter(j, v);
		return eval_attr(j, &chars, key, false);
	}
	if (key->type == V_STR && has_method(v, key)) {
		char *name = jinja_alloc(j, key->s.len + 1);
		memcpy(name, key->s.p, key->s.len);
		struct method *m = jinja_alloc(j, sizeof(*m));
		*m = (struct method){*v, name};
		return (struct value){.type = V_METHOD, .method = m};
	}
	return v_undefined();
}

static int64_t slice_bound(struct eval *ev, const struct node *n, int64_t fallback)
{
	struct value v = n ? eval(ev, n) : v_none();
	if (v.type == V_NONE)
		return fallback;
	if (v.type != V_INT)
		jinja_fail(ev->j, ERR_FORMAT, "a slice wants whole numbers");
	return v.i;
}

static struct value slice(struct eval *ev, const struct node *n)
{
	struct value v = eval(ev, n->a);
	bool text = v.type == V_STR;
	struct value items = v_iter(ev->j, &v), out = v_list(ev->j, v.type == V_TUPLE ? V_TUPLE : V_LIST);
	if (v.type == V_UNDEFINED || v.type == V_DICT)
		jinja_fail(ev->j, ERR_FORMAT, "a %s can't be sliced", v_type_name(&v));
	int64_t len = (int64_t)items.list->n, by = slice_bound(ev, n->other, 1);
	if (by == 0)
		jinja_fail(ev->j, ERR_FORMAT, "a slice's step is zero");
	int64_t lo = by > 0 ? 0 : -1, hi = by > 0 ? len : len - 1;
	int64_t from = slice_bound(ev, n->b, INT64_MIN), to = slice_bound(ev, n->c, INT64_MIN);
	int64_t *bounds[] = {&from, &to};
	for (int i = 0; i < 2; i++) {
		if (*bounds[i] == INT64_MIN) {
			*bounds[i] = i == 0 ? (by > 0 ? 0 : len - 1) : (by > 0 ? len : -1);
			continue;
		}
		if (*bounds[i] < 0)
			*bounds[i] += len;
		*bounds[i] = *bounds[i] < lo ? lo : *bounds[i] > hi ? hi : *bounds[i];
	}
	for (int64_t i = from; by > 0 ? i < to : i > to; i += by)
		list_add(ev->j, &out, items.list->p[i]);
	if (!text)
		return out;
	struct sbuf b = {0};
	for (size_t i = 0; i < out.list->n; i++)
		sbuf_str(ev->j, &b, out.list->p[i].s);
	return sbuf_value(ev->j, &b);
}

static struct value repeat(struct eval *ev, const struct value *v, int64_t times)
{
	struct sbuf b = {0};
	struct value out = v_list(ev->j, v->type);
	for (int64_t i = 0; i < times; i++) {
		ev->j->steps++;
		if (ev->j->steps > STEPS)
			jinja_fail(ev->j, ERR_LIMIT, "the template runs too long");
		if (v->type == V_STR)
			sbuf_str(ev->j, &b, v->s);
		else
			for (size_t k = 0; k < v->list->n; k++)
				list_add(ev->j, &out, v->list->p[k]);
	}
	return v->type == V_STR ? sbuf_value(ev->j, &b) : out;
}

static struct value percent(struct eval *ev, const struct value *a, const struct value *b);

static struct value arithmetic(struct eval *ev, int op, const struct value *a, const struct value *b)
{
	static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**"};
	if (!is_number(a) || !is_number(b))
		jinja_fail(ev->j, ERR_FORMAT, "%s %s %s is not possible", v_type_name(a), signs[op - T_ADD],
			v_type_name(b));
	double x = to_double(a), y = to_double(b);
	if ((op == T_DIV || op == T_FLOORDIV || op == T_MOD) && y == 0)
		jinja_fail(ev->j, ERR_FORMAT, "division by zero");
	bool whole = a->type != V_FLOAT && b->type != V_FLOAT;
	int64_t i = a->type == V_BOOL ? a->b : a->i, k = b->type == V_BOOL ? b->b : b->i, r = 0;
	bool over = false;
	switch (op) {
	case T_ADD:
		over = whole && __builtin_add_overflow(i, k, &r);
		x = x + y;
		break;
	case T_SUB:
		over = whole && __builtin_sub_overflow(i, k, &r);
		x = x - y;
		break;
	case T_MUL:
		over = whole && __builtin_mul_overflow(i, k, &r);
		x = x * y;
		break;
	case T_DIV:
		return v_float(x / y);
	case T_FLOORDIV:
	case T_MOD:
		if (!whole)
			return v_float(op == T_MOD ? x - floor(x / y) * y : floor(x / y));
		if (k == -1)
			return op == T_MOD ? v_int(0) : v_int(i == INT64_MIN ? i : -i);
		r = i / k - (i % k != 0 && (i < 0) != (k < 0));
		return v_int(op == T_MOD ? i - r * k : r);
	default:
		x = pow(x, y);
		over = fabs(x) > 9e18 || y < 0;
		if (whole && !over)
			r = (int64_t)x;
	}
	return whole && !over ? v_int(r) : v_float(x);
}

static struct value binary(struct eval *ev, const struct node *n)
{
	struct value a = eval(ev, n->a), b = eval(ev, n->b);
	struct sbuf s = {0};
	if (n->op == T_TILDE) {
		sbuf_str(ev->j, &s, v_str(ev->j, &a).s);
		sbuf_str(ev->j, &s, v_str(ev->j, &b).s);
		return sbuf_value(ev->j, &s);
	}
	ev->j->line = n->line;
	if (n->op == T_ADD && a.type == V_STR && b.type == V_STR) {
		sbuf_str(ev->j, &s, a.s);
		sbuf_str(ev->j, &s, b.s);
		return sbuf_value(ev->j, &s);
	}
	if (n->op == T_ADD && a.type == b.type && (a.type == V_LIST || a.type == V_TUPLE)) {
		struct value out = v_list(ev->j, a.type);
		const struct list *parts[] = {a.list, b.list};
		for (int i = 0; i < 2; i++)
			for (size_t k = 0; k < parts[i]->n; k++)
				list_add(ev->j, &out, parts[i]->p[k]);
		return out;
	}
	if (n->op == T_MUL && b.type == V_INT && (a.type == V_STR || a.type == V_LIST || a.type == V_TUPLE))
		return repeat(ev, &a, b.i);
	if (n->op == T_MUL && a.type == V_INT && (b.type == V_STR || b.type == V_LIST || b.type == V_TUPLE))
		return repeat(ev, &b, a.i);
	if (n->op == T_MOD && a.type == V_STR)
		return percent(ev, &a, &b);
	return arithmetic(ev, n->op, &a, &b);
}

/* "..." % values: %s and %d. */
static struct value percent(struct eval *ev, const struct value *a, const struct value *b)
{
	struct sbuf out = {0};
	size_t used = 0;
	for (size_t i = 0; i < a->s.len; i++) {
		if (a->s.p[i] != '%' || i + 1 == a->s.len) {
			sbuf_add(ev->j, &out, a->s.p + i, a->s.m + i, 1, false);
			continue;
		}
		char c = a->s.p[++i];
		if (c == '%') {
			sbuf_puts(ev->j, &out, "%");
			continue;
		}
		const struct value *x = b->type == V_TUPLE ? used < b->list->n ? &b->list->p[used] : NULL
							  : used == 0 ? b : NULL;
		used++;
		if (!x || (c != 's' && c != 'd'))
			jinja_fail(ev->j, ERR_UNSUPPORTED, "this use of the %% operator on a string is not supported");
		sbuf_str(ev->j, &out, v_str(ev->j, x).s);
	}
	return sbuf_value(ev->j, &out);
}

static bool compare_once(struct eval *ev, int op, const struct value *a, const struct value *b)
{
	switch (op) {
	case T_EQ:
		return v_equal(a, b);
	case T_NE:
		return !v_equal(a, b);
	case T_IN:
		return v_contains(ev->j, b, a);
	case T_NOTIN:
		return !v_contains(ev->j, b, a);
	case T_LT:
		return v_compare(ev->j, a, b) < 0;
	case T_GT:
		return v_compare(ev->j, a, b) > 0;
	case T_LE:
		return v_compare(ev->j, a, b) <= 0;
	default:
		return v_compare(ev->j, a, b) >= 0;
	}
}

static struct value compare(struct eval *ev, const struct node *n)
{
	struct value a = eval(ev, n->a);
	for (const struct node *part = n->list; part; part = part->next) {
		struct value b = eval(ev, part->a);
		ev->j->line = n->line;
		if (!compare_once(ev, part->op, &a, &b))
			return v_bool(false);
		a = b;
	}
	return v_bool(true);
}

static struct value collect(struct eval *ev, const struct node *n)
{
	if (n->kind == N_DICT) {
		struct value d = v_dict(ev->j);
		for (const struct node *p = n->list; p; p = p->next) {
			struct value key = eval(ev, p->a);
			dict_set(ev->j, d.dict, key, eval(ev, p->b));
		}
		return d;
	}
	struct value l = v_list(ev->j, n->kind == N_LIST ? V_LIST : V_TUPLE);
	for (const struct node *p = n->list; p; p = p->next)
		list_add(ev->j, &l, eval(ev, p));
	return l;
}

static struct value attribute(struct eval *ev, const struct node *n)
{
	struct value v = eval(ev, n->a);
	ev->j->line = n->line;
	if (v.type == V_LOOP)
		return loop_attr(ev, v.loop, n->name);
	struct value key = v_literal(ev->j, n->name);
	return eval_attr(ev->j, &v, &key, true);
}

static struct value operand(struct eval *ev, const struct node *n)
{
	struct value v, key;
	struct args a;
	switch (n->kind) {
	case N_CALL:
		v = eval(ev, n->a);
		a = eval_args(ev, n->list);
		ev->j->line = n->line;
		return call(ev, &v, &a);
	case N_FILTER:
		v = eval(ev, n->a);
		a = eval_args(ev, n->list);
		ev->j->line = n->line;
		return eval_filter(ev, n->name, v, &a);
	case N_TEST:
		v = eval(ev, n->a);
		a = eval_args(ev, n->list);
		ev->j->line = n->line;
		return v_bool(eval_test(ev, n->name, &v, &a) != (n->op != 0));
	case N_ITEM:
		v = eval(ev, n->a);
		key = eval(ev, n->b);
		ev->j->line = n->line;
		return eval_attr(ev->j, &v, &key, false);
	case N_NEG:
	case N_POS:
		v = eval(ev, n->a);
		if (!is_number(&v))
			jinja_fail(ev->j, ERR_FORMAT, "a %s has no sign", v_type_name(&v));
		key = v_int(0);
		return n->kind == N_POS ? arithmetic(ev, T_ADD, &key, &v) : arithmetic(ev, T_SUB, &key, &v);
	default:
		return v_undefined();
	}
}

static struct value eval(struct eval *ev, const struct node *n)
{
	struct value v;
	step(ev, n);
	enter(ev);
	switch (n->kind) {
	case N_CONST:
		v = n->value;
		break;
	case N_NAME:
		v = get_var(ev, n->name);
		break;
	case N_LIST:
	case N_TUPLE:
	case N_DICT:
		v = collect(ev, n);
		break;
	case N_ATTR:
		v = attribute(ev, n);
		break;
	case N_SLICE:
		v = slice(ev, n);
		break;
	case N_NOT:
		v = eval(ev, n->a);
		v = v_bool(!v_truth(&v));
		break;
	case N_AND:
	case N_OR:
		v = eval(ev, n->a);
		if (v_truth(&v) == (n->kind == N_AND))
			v = eval(ev, n->b);
		break;
	case N_TERNARY:
		v = eval(ev, n->a);
		v = v_truth(&v) ? eval(ev, n->b) : n->c ? eval(ev, n->c) : v_undefined();
		break;
	case N_BINARY:
		v = binary(ev, n);
		break;
	case N_COMPARE:
		v = compare(ev, n);
		break;
	default:
		v = operand(ev, n);
	}
	ev->j->depth--;
	return v;
}

/* --- statements --- */

static void assign(struct eval *ev, const struct node *target, struct value x)
{
	if (target->kind == N_NAME) {
		set_var(ev, target->name, x);
		return;
	}
	struct value ns = get_var(ev, target->a->name);
	if (ns.type != V_NAMESPACE)
		jinja_fail(ev->j, ERR_FORMAT, "%s is no namespace", target->a->name);
	dict_set(ev->j, ns.dict, v_literal(ev->j, target->name), x);
}

static void unpack(struct eval *ev, const struct node *targets, struct value x)
{
	if (!targets->next) {
		assign(ev, targets, x);
		return;
	}
	struct value items = v_iter(ev->j, &x);
	size_t i = 0;
	for (const struct node *t = targets; t; t = t->next, i++)
		if (i < items.list->n)
			assign(ev, t, items.list->p[i]);
	if (i != items.list->n)
		jinja_fail(ev->j, ERR_FORMAT, "%zu values can't be unpacked into %zu names", items.list->n, i);
}

static void run_for(struct eval *ev, const struct node *n)
{
	struct value in = eval(ev, n->a), all = v_iter(ev->j, &in), items = v_list(ev->j, V_LIST);
	struct frame f, *outer = ev->frame;
	for (size_t i = 0; i < all.list->n; i++) {
		if (n->b) {
			push_frame(ev, &f, outer);
			unpack(ev, n->list, all.list->p[i]);
			struct value keep = eval(ev, n->b);
			ev->frame = outer;
			if (!v_truth(&keep))
				continue;
		}
		list_add(ev->j, &items, all.list->p[i]);
	}
	struct loop *loop = jinja_alloc(ev->j, sizeof(*loop));
	*loop = (struct loop){.items = items};
	for (size_t i = 0; i < items.list->n; i++) {
		loop->index = i;
		push_frame(ev, &f, outer);
		set_var(ev, "loop", (struct value){.type = V_LOOP, .loop = loop});
		unpack(ev, n->list, items.list->p[i]);
		run(ev, n->body);
		int flow = ev->flow;
		ev->flow = 0;
		if (flow == N_BREAK)
			break;
	}
	ev->frame = outer;
	if (items.list->n == 0 && n->other)
		run(ev, n->other);
}

static struct value filtered(struct eval *ev, const struct node *f, struct value in)
{
	if (!f)
		return in;
	if (f->a)
		in = filtered(ev, f->a, in);
	struct args a = eval_args(ev, f->list);
	return eval_filter(ev, f->name, in, &a);
}

static struct value make_macro(struct eval *ev, const struct node *n)
{
	struct macro *m = jinja_alloc(ev->j, sizeof(*m));
	*m = (struct macro){n, ev->frame};
	return (struct value){.type = V_MACRO, .macro = m};
}

static void print(struct eval *ev, const struct value *v)
{
	sbuf_str(ev->j, ev->out, v_str(ev->j, v).s);
	if (ev->out->len > OUTPUT)
		jinja_fail(ev->j, ERR_LIMIT, "the output is longer than %zu MiB", OUTPUT >> 20);
}

static void run_one(struct eval *ev, const struct node *n)
{
	struct value v;
	struct args a;
	switch (n->kind) {
	case N_TEXT:
		print(ev, &n->value);
		break;
	case N_PRINT:
		v = eval(ev, n->a);
		print(ev, &v);
		break;
	case N_IF:
		v = eval(ev, n->a);
		run(ev, v_truth(&v) ? n->body : n->other);
		break;
	case N_FOR:
		run_for(ev, n);
		break;
	case N_SET:
		unpack(ev, n->list, eval(ev, n->a));
		break;
	case N_SET_BLOCK:
	case N_FILTER_BLOCK: {
		struct frame f, *outer = ev->frame;
		push_frame(ev, &f, outer);
		v = capture(ev, n->body);
		ev->frame = outer;
		v = filtered(ev, n->a, v);
		if (n->kind == N_SET_BLOCK)
			unpack(ev, n->list, v);
		else
			print(ev, &v);
		break;
	}
	case N_MACRO:
		set_var(ev, n->name, make_macro(ev, n));
		break;
	case N_CALL_BLOCK:
		v = eval(ev, n->a->a);
		a = eval_args(ev, n->a->list);
		if (!a.kw)
			a.kw = v_dict(ev->j).dict;
		dict_set(ev->j, a.kw, v_literal(ev->j, "caller"), make_macro(ev, n));
		v = call(ev, &v, &a);
		print(ev, &v);
		break;
	case N_BLOCK:
		run(ev, n->body);
		break;
	default:
		ev->flow = (int)n->kind; /* break, continue */
	}
}

static void run(struct eval *ev, const struct node *n)
{
	enter(ev);
	for (; n && !ev->flow; n = n->next) {
		step(ev, n);
		run_one(ev, n);
	}
	ev->j->depth--;
}

/* --- the public side --- */

int template_new(struct template **out, const char *src, size_t len, struct err *e)
{
	*out = NULL;
	struct template *t = calloc(1, sizeof(*t));
	struct jinja *j = calloc(1, sizeof(*j));
	if (!t || !j) {
		free(t);
		free(j);
		return err_nomem(e);
	}
	j->e = e;
	j->arena.limit = ARENA;
	int failed = setjmp(j->fail);
	if (!failed)
		t->body = jinja_parse(j, jinja_lex(j, src, len));
	t->arena = j->arena;
	free(j);
	t->src = strndup(src, len);
	if (!t->src && !failed)
		failed = 1 + err_nomem(e) + 1;
	if (failed) {
		template_free(t);
		return -1;
	}
	*out = t;
	return 0;
}

void template_free(struct template *t)
{
	if (!t)
		return;
	arena_clear(&t->arena);
	free(t->src);
	free(t);
}

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool template_mentions(const struct template *t, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = t->src; n && (p = strstr(p, name)); p++)
		if ((p == t->src || !word_char(p[-1])) && !word_char(p[n]))
			return true;
	return false;
}

bool template_contains(const struct template *t, const char *text)
{
	return strstr(t->src, text) != NULL;
}

static struct value parse_json(struct jinja *j, const char *text, size_t len, const char *what, bool user)
{
	struct json_reader r;
	json_reader_init(&r, text, len, what, j->e);
	struct value v = json_value(j, &r, user);
	bool ok = json_end(&r) == 0;
	json_reader_clear(&r);
	if (!ok)
		longjmp(j->fail, 1);
	return v;
}

static void fill(struct eval *ev, const struct template_input *in)
{
	struct jinja *j = ev->j;
	set_var(ev, "messages", parse_json(j, in->messages_json, in->messages_len, "messages", true));
	set_var(ev, "add_generation_prompt", v_bool(in->add_generation_prompt));
	set_var(ev, "tools", in->tools_json ? parse_json(j, in->tools_json, strlen(in->tools_json), "tools", false)
					   : v_none());
	set_var(ev, "documents", v_none());
	if (in->bos_token)
		set_var(ev, "bos_token", v_literal(j, in->bos_token));
	if (in->eos_token)
		set_var(ev, "eos_token", v_literal(j, in->eos_token));
	if (!in->kwargs_json)
		return;
	struct value kw = parse_json(j, in->kwargs_json, strlen(in->kwargs_json), "template variables", false);
	for (size_t i = 0; kw.type == V_DICT && i < kw.dict->n; i++) {
		const struct str *k = &kw.dict->p[i].key.s;
		char *name = jinja_alloc(j, k->len + 1);
		memcpy(name, k->p, k->len);
		set_var(ev, name, kw.dict->p[i].value);
	}
}

int template_render(const struct template *t, const struct template_input *in, struct text *out,
	struct err *e)
{
	struct jinja *j = calloc(1, sizeof(*j));
	*out = (struct text){0};
	if (!j)
		return err_nomem(e);
	j->e = e;
	j->arena.limit = ARENA;
	int failed = setjmp(j->fail);
	if (!failed) {
		struct sbuf text = {0};
		struct frame top = {0};
		struct eval ev = {.j = j, .frame = &top, .out = &text, .now = in->now};
		fill(&ev, in);
		run(&ev, t->body);
		buf_add(&out->bytes, text.p, text.len);
		buf_add(&out->user, text.m, text.len);
	}
	arena_clear(&j->arena);
	free(j);
	if (failed || buf_ok(&out->bytes, e) < 0 || buf_ok(&out->user, e) < 0) {
		text_clear(out);
		return -1;
	}
	return 0;
}

void text_clear(struct text *t)
{
	buf_clear(&t->bytes);
	buf_clear(&t->user);
}

int text_spans(const struct text *t, struct tok_span **spans, size_t *n, struct err *e)
{
	size_t len = t->bytes.len, runs = 0;
	for (size_t i = 0; i < len; i++)
		runs += i == 0 || t->user.p[i] != t->user.p[i - 1];
	*spans = calloc(runs + 1, sizeof(**spans));
	*n = 0;
	if (!*spans)
		return err_nomem(e);
	for (size_t i = 0; i < len; i++) {
		if (i == 0 || t->user.p[i] != t->user.p[i - 1])
			(*spans)[(*n)++] = (struct tok_span){t->bytes.p + i, 0, t->user.p[i] != 0};
		(*spans)[*n - 1].len++;
	}
	return 0;
}
