/* Expressions. */
#include <string.h>

#include "base/utf8.h"
#include "chat/jinja_run.h"

#define DEPTH 120

void eval_enter(struct eval *ev)
{
	if (++ev->j->depth > DEPTH)
		jinja_fail(ev->j, ERR_LIMIT, "the template nests too deeply");
}

static struct value get_var(struct eval *ev, const char *name)
{
	enum global_function g;
	for (const struct frame *f = ev->frame; f; f = f->up)
		for (const struct var *v = f->vars; v; v = v->next)
			if (!strcmp(v->name, name))
				return v->value;
	return global_function(name, &g) ? (struct value){.type = V_FUNCTION, .function = (int)g}
					 : v_undefined(name);
}

const struct value *arg(const struct args *a, size_t i, const char *name)
{
	if (i < a->n)
		return &a->p[i];
	return name ? dict_get_str(a->kw, name) : NULL;
}

bool arg_flag(const struct args *a, size_t i, const char *name)
{
	const struct value *v = arg(a, i, name);
	return v && v_truth(v);
}

int64_t arg_int(struct jinja *j, const struct args *a, size_t i, const char *name, int64_t fallback)
{
	const struct value *v = arg(a, i, name);
	return v ? to_int(j, v, name) : fallback;
}

static void add_keywords(struct eval *ev, struct value *kw, const struct value *from)
{
	if (from->type != V_DICT)
		jinja_fail(ev->j, ERR_FORMAT, "** wants a mapping, not a %s", v_type_name(from));
	for (size_t i = 0; i < from->dict->n; i++)
		dict_set(ev->j, kw->dict, from->dict->p[i].key, from->dict->p[i].value);
}

struct args eval_args(struct eval *ev, const struct node *list)
{
	struct value pos = v_list(ev->j, V_LIST), kw = {0};
	for (const struct node *n = list; n; n = n->next) {
		struct value x = eval(ev, n->kind >= N_KEYWORD && n->kind <= N_STARSTAR ? n->a : n);
		if (n->kind == N_STAR) {
			struct value items = v_iter(ev->j, &x);
			for (size_t i = 0; i < items.list->n; i++)
				list_add(ev->j, &pos, items.list->p[i]);
			continue;
		}
		if (n->kind != N_KEYWORD && n->kind != N_STARSTAR) {
			list_add(ev->j, &pos, x);
			continue;
		}
		if (kw.type != V_DICT)
			kw = v_dict(ev->j);
		if (n->kind == N_KEYWORD)
			dict_set(ev->j, kw.dict, v_literal(ev->j, n->name), x);
		else
			add_keywords(ev, &kw, &x);
	}
	return (struct args){pos.list->p, pos.list->n, kw.type == V_DICT ? kw.dict : NULL};
}

/* --- attributes, items, slices --- */

_Noreturn static void undefined_used(struct jinja *j, const struct value *v)
{
	jinja_fail(j, ERR_FORMAT, "'%.60s' is undefined", v->name ? v->name : "a value");
}

static struct value loop_attr(const struct value *v, const char *name, bool *known)
{
	const struct loop *l = v->loop;
	size_t n = l->items.list->n, i = l->index;
	const struct {
		const char *name;
		struct value value;
	} table[] = {{"index", v_int((int64_t)i + 1)}, {"index0", v_int((int64_t)i)},
		{"revindex", v_int((int64_t)(n - i))}, {"revindex0", v_int((int64_t)(n - i) - 1)},
		{"first", v_bool(i == 0)}, {"last", v_bool(i + 1 == n)}, {"length", v_int((int64_t)n)},
		{"depth", v_int(l->depth + 1)}, {"depth0", v_int(l->depth)},
		{"previtem", i ? l->items.list->p[i - 1] : v_undefined("loop.previtem")},
		{"nextitem", i + 1 < n ? l->items.list->p[i + 1] : v_undefined("loop.nextitem")}};
	for (size_t k = 0; k < sizeof(table) / sizeof(*table); k++)
		if (!strcmp(table[k].name, name))
			return table[k].value;
	*known = false;
	return v_undefined(NULL);
}

static struct value macro_attr(struct jinja *j, const struct macro *m, const char *name, bool *known)
{
	const struct node *n = m->node;
	struct value list = v_list(j, V_TUPLE);
	if (!strcmp(name, "name"))
		return n->name ? v_literal(j, n->name) : v_literal(j, "caller");
	if (!strcmp(name, "caller") || !strcmp(name, "catch_kwargs") || !strcmp(name, "catch_varargs"))
		return v_bool((n->op & (name[0] == 'c' && name[1] == 'a' && name[2] == 'l' ? USES_CALLER
					: name[6] == 'k' ? USES_KWARGS : USES_VARARGS)) != 0);
	if (!strcmp(name, "arguments")) {
		for (const struct node *p = n->list; p; p = p->next)
			list_add(j, &list, v_literal(j, p->name));
		return list;
	}
	*known = false;
	return v_undefined(NULL);
}

/* What Python's getattr finds; *known is false where there is no such attribute. */
static struct value python_attr(struct jinja *j, const struct value *v, const char *name, bool *known)
{
	bool allowed;
	*known = true;
	if (v->type == V_LOOP || v->type == V_MACRO) {
		struct value x = v->type == V_LOOP ? loop_attr(v, name, known) : macro_attr(j, v->macro, name, known);
		if (*known)
			return x;
		*known = true;
	}
	if (v->type == V_NAMESPACE) {
		struct value *x = dict_get_str(v->dict, name);
		*known = x != NULL;
		return x ? *x : v_undefined(name);
	}
	if (v->type == V_TUPLE && v->list->what && (!strcmp(name, "grouper") || !strcmp(name, "list")))
		return v->list->p[name[0] == 'l'];
	if (v->type == V_CYCLER && !strcmp(name, "current"))
		return v->list->p[v->list->taken];
	if (!method_known(v, name, &allowed)) {
		*known = false;
		return v_undefined(name);
	}
	if (!allowed) /* the sandbox gives something undefined, which fails when used */
		return v_undefined(name);
	struct method *m = jinja_alloc(j, sizeof(*m));
	*m = (struct method){*v, name};
	return (struct value){.type = V_METHOD, .method = m};
}

static struct value python_item(struct jinja *j, const struct value *v, const struct value *key, bool *known)
{
	struct value *x, chars;
	*known = false;
	if (v->type == V_DICT && v_hashable(key) && (x = dict_get(v->dict, key))) {
		*known = true;
		return *x;
	}
	bool number = key->type == V_INT || key->type == V_BOOL;
	int64_t at = key->type == V_INT ? key->i : key->type == V_BOOL ? key->b : 0;
	if (v->type == V_STR && number) {
		int64_t n = (int64_t)str_chars(v->s);
		at += at < 0 ? n : 0;
		if (at < 0 || at >= n)
			return v_undefined(NULL);
		*known = true;
		if (n == (int64_t)v->s.len) {
			struct str s = str_piece(v->s, (size_t)at, (size_t)at + 1);
			return v_of(s);
		}
		chars = v_iter(j, v);
		chars.list->p[at].s.safe = v->s.safe;
		return chars.list->p[at];
	}
	if (is_sequence(v) && number) {
		at += at < 0 ? (int64_t)v->list->n : 0;
		*known = at >= 0 && at < (int64_t)v->list->n;
		return *known ? v->list->p[at] : v_undefined(NULL);
	}
	return v_undefined(NULL);
}

struct value eval_attr(struct jinja *j, const struct value *v, const struct value *key, bool attr_first)
{
	bool known = false;
	if (v->type == V_UNDEFINED)
		undefined_used(j, v);
	struct value x = v_undefined(NULL);
	const char *name = NULL;
	for (int i = 0; i < 2 && !known; i++)
		if ((i == 0) != attr_first) {
			x = python_item(j, v, key, &known);
		} else if (key->type == V_STR) { /* without origins: a name of the template's own, terminated */
			name = key->s.m ? v_name(j, key) : key->s.p;
			x = python_attr(j, v, name, &known);
		}
	return known ? x : v_undefined(name);
}

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
	return x < lo ? lo : x > hi ? hi : x;
}

static struct value eval_slice(struct jinja *j, const struct value *v, const struct value bounds[3])
{
	if (!is_sequence(v) && v->type != V_STR) {
		if (v->type == V_UNDEFINED)
			undefined_used(j, v);
		jinja_fail(j, ERR_FORMAT, "a %s can't be sliced", v_type_name(v));
	}
	struct value items = v_iter(j, v), out = v_list(j, v->type == V_TUPLE ? V_TUPLE : V_LIST);
	int64_t len = (int64_t)items.list->n, at[3] = {0, 0, 1};
	for (int i = 2; i >= 0; i--) {
		bool none = bounds[i].type == V_NONE;
		if (!none)
			at[i] = to_int(j, &bounds[i], "a slice");
		if (i == 2 && at[2] == 0)
			jinja_fail(j, ERR_FORMAT, "a slice's step is zero");
		int64_t by = at[2], lo = by > 0 ? 0 : -1, hi = by > 0 ? len : len - 1;
		if (i < 2 && none)
			at[i] = (i == 0) == (by > 0) ? lo : hi;
		else if (i < 2)
			at[i] = clamp(at[i] < 0 ? at[i] < -len ? -len - 1 + len : at[i] + len : at[i], lo, hi);
	}
	at[2] = clamp(at[2], -len - 1, len + 1);
	for (int64_t i = at[0]; at[2] > 0 ? i < at[1] : i > at[1]; i += at[2])
		list_add(j, &out, items.list->p[i]);
	jinja_work(j, out.list->n / 8);
	if (v->type != V_STR)
		return out;
	struct sbuf b = {0};
	for (size_t i = 0; i < out.list->n; i++)
		sbuf_str(j, &b, out.list->p[i].s);
	out = sbuf_value(j, &b);
	out.s.safe = v->s.safe;
	return out;
}

/* --- operators --- */

static struct value repeat(struct jinja *j, const struct value *v, const struct value *by)
{
	struct sbuf b = {0};
	struct value out = v_list(j, v->type);
	int64_t times = to_int(j, by, "a repetition");
	for (int64_t i = 0; i < times; i++) {
		jinja_work(j, 1);
		if (v->type == V_STR)
			sbuf_str(j, &b, v->s);
		else
			for (size_t k = 0; k < v->list->n; k++)
				list_add(j, &out, v->list->p[k]);
	}
	if (v->type != V_STR)
		return out;
	out = sbuf_value(j, &b);
	out.s.safe = v->s.safe;
	return out;
}

static bool repeats(const struct value *v)
{
	return v->type == V_STR || v->type == V_LIST || v->type == V_TUPLE;
}

static struct value add_strings(struct jinja *j, const struct value *a, const struct value *b)
{
	struct sbuf s = {0};
	bool safe = a->s.safe || b->s.safe;
	const struct value *parts[] = {a, b};
	for (int i = 0; i < 2; i++)
		if (safe)
			sbuf_escaped(j, &s, parts[i]->s);
		else
			sbuf_str(j, &s, parts[i]->s);
	struct value out = sbuf_value(j, &s);
	out.s.safe = safe;
	return out;
}

static struct value add_lists(struct jinja *j, const struct value *a, const struct value *b)
{
	struct value out = v_list(j, a->type);
	const struct list *parts[] = {a->list, b->list};
	jinja_work(j, (a->list->n + b->list->n) / 8);
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < parts[i]->n; k++)
			list_add(j, &out, parts[i]->p[k]);
	return out;
}

struct value eval_binary(struct eval *ev, int op, const struct value *a, const struct value *b)
{
	static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**"};
	struct jinja *j = ev->j;
	if (op == T_TILDE) {
		struct sbuf s = {0};
		sbuf_str(j, &s, v_str(j, a).s);
		sbuf_str(j, &s, v_str(j, b).s);
		return sbuf_value(j, &s);
	}
	if (is_number(a) && is_number(b))
		return number_op(j, op, a, b);
	if (op == T_ADD && a->type == V_STR && b->type == V_STR)
		return add_strings(j, a, b);
	if (op == T_ADD && a->type == b->type && (a->type == V_LIST || a->type == V_TUPLE))
		return add_lists(j, a, b);
	if (op == T_MUL && repeats(a) && is_int(b))
		return repeat(j, a, b);
	if (op == T_MUL && repeats(b) && is_int(a))
		return repeat(j, b, a);
	if (op == T_MOD && a->type == V_STR)
		return format_percent(ev, a, b);
	if (a->type == V_UNDEFINED || b->type == V_UNDEFINED)
		undefined_used(j, a->type == V_UNDEFINED ? a : b);
	jinja_fail(j, ERR_FORMAT, "%s %s %s is not possible", v_type_name(a), signs[op - T_ADD], v_type_name(b));
}

static bool compare_once(struct eval *ev, int op, const struct value *a, const struct value *b)
{
	int d;
	switch (op) {
	case T_EQ:
		return v_equal(a, b);
	case T_NE:
		return !v_equal(a, b);
	case T_IN:
		return v_contains(ev->j, b, a);
	case T_NOTIN:
		return !v_contains(ev->j, b, a);
	default:
		d = v_compare(ev->j, a, b);
		return op == T_LT ? d == -1 : op == T_GT ? d == 1 : op == T_LE ? d == -1 || d == 0 : d == 1 || d == 0;
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

/* --- nodes --- */

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

static struct value slice(struct eval *ev, const struct node *n)
{
	const struct node *parts[] = {n->b, n->c, n->other};
	struct value v = eval(ev, n->a), bounds[3];
	for (int i = 0; i < 3; i++)
		bounds[i] = parts[i] ? eval(ev, parts[i]) : v_none();
	ev->j->line = n->line;
	if (n->a->kind == N_CONST && v.type != V_STR) /* jinja2 folds constants, and then has no error */
		return v_undefined(NULL);
	return eval_slice(ev->j, &v, bounds);
}

static struct value sign(struct eval *ev, const struct node *n)
{
	struct value v = eval(ev, n->a), zero = v_int(0);
	if (v.type == V_UNDEFINED)
		undefined_used(ev->j, &v);
	if (!is_number(&v))
		jinja_fail(ev->j, ERR_FORMAT, "a %s has no sign", v_type_name(&v));
	if (v.type == V_FLOAT)
		return v_float(n->kind == N_NEG ? -v.f : v.f);
	return number_op(ev->j, n->kind == N_POS ? T_ADD : T_SUB, &zero, &v);
}

static struct value operand(struct eval *ev, const struct node *n)
{
	struct value v = eval(ev, n->a), key;
	struct args a;
	switch (n->kind) {
	case N_ATTR:
		key = v_of((struct str){n->name, NULL, strlen(n->name), false});
		ev->j->line = n->line;
		return eval_attr(ev->j, &v, &key, true);
	case N_ITEM:
		key = eval(ev, n->b);
		ev->j->line = n->line;
		return eval_attr(ev->j, &v, &key, false);
	default:
		a = eval_args(ev, n->list);
		ev->j->line = n->line;
		return n->kind == N_CALL   ? eval_call(ev, &v, &a)
			: n->kind == N_FILTER ? eval_filter(ev, n->name, v, &a)
					      : v_bool(eval_test(ev, n->name, &v, &a) != (n->op != 0));
	}
}

static struct value eval_node(struct eval *ev, const struct node *n)
{
	struct value v, w;
	switch (n->kind) {
	case N_CONST:
		return n->value;
	case N_NAME:
		return get_var(ev, n->name);
	case N_LIST:
	case N_TUPLE:
	case N_DICT:
		return collect(ev, n);
	case N_SLICE:
		return slice(ev, n);
	case N_NOT:
		v = eval(ev, n->a);
		return v_bool(!v_truth(&v));
	case N_AND:
	case N_OR:
		v = eval(ev, n->a);
		return v_truth(&v) == (n->kind == N_AND) ? eval(ev, n->b) : v;
	case N_TERNARY:
		v = eval(ev, n->a);
		return v_truth(&v) ? eval(ev, n->b) : n->c ? eval(ev, n->c) : v_undefined(NULL);
	case N_BINARY:
		v = eval(ev, n->a);
		w = eval(ev, n->b);
		ev->j->line = n->line;
		return eval_binary(ev, n->op, &v, &w);
	case N_COMPARE:
		return compare(ev, n);
	case N_NEG:
	case N_POS:
		return sign(ev, n);
	default:
		return operand(ev, n);
	}
}

struct value eval(struct eval *ev, const struct node *n)
{
	ev->j->line = n->line;
	jinja_work(ev->j, 1);
	eval_enter(ev);
	struct value v = eval_node(ev, n);
	ev->j->depth--;
	return v;
}
