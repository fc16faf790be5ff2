/* Calls: macros, loops, and the global functions. */
#include <math.h>
#include <string.h>

#include "chat/jinja_run.h"

static const struct {
	const char *name;
	enum global_function f;
} globals[] = {{"raise_exception", FN_RAISE}, {"namespace", FN_NAMESPACE}, {"range", FN_RANGE},
	{"strftime_now", FN_STRFTIME}, {"dict", FN_DICT}, {"cycler", FN_CYCLER}, {"joiner", FN_JOINER},
	{"lipsum", FN_LIPSUM}};

bool global_function(const char *name, enum global_function *f)
{
	for (size_t i = 0; i < sizeof(globals) / sizeof(*globals); i++)
		if (!strcmp(globals[i].name, name)) {
			*f = globals[i].f;
			return true;
		}
	return false;
}

/* Parameters that were not given by position: by name, by default, or undefined. */
static size_t bind(struct eval *ev, const struct node *params, const struct args *a, size_t *used, bool *caller)
{
	size_t i = 0;
	for (const struct node *p = params; p; p = p->next, i++) {
		const struct value *x = i < a->n ? &a->p[i] : dict_get_str(a->kw, p->name);
		if (i >= a->n && x)
			++*used;
		*caller |= !strcmp(p->name, "caller");
		set_var(ev, p->name, x ? *x : p->a ? eval(ev, p->a) : v_undefined(p->name));
	}
	return i;
}

static bool is_parameter(const struct node *params, const struct value *key, size_t from)
{
	size_t i = 0;
	for (const struct node *p = params; p; p = p->next, i++)
		if (i >= from && str_is(key, p->name))
			return true;
	return false;
}

/* Keywords that no parameter takes: all of them are `kwargs`, or an error. */
static struct value rest_of(struct eval *ev, const struct node *n, const struct args *a, bool takes_caller)
{
	struct value rest = v_dict(ev->j);
	for (size_t i = 0; a->kw && i < a->kw->n; i++) {
		const struct value *key = &a->kw->p[i].key;
		if (is_parameter(n->list, key, a->n) || (takes_caller && str_is(key, "caller")))
			continue;
		if (!(n->op & USES_KWARGS))
			jinja_fail(ev->j, ERR_FORMAT, "macro %s takes no keyword argument %.40s",
				n->name ? n->name : "caller", v_name(ev->j, key));
		dict_set(ev->j, rest.dict, *key, a->kw->p[i].value);
	}
	return rest;
}

static struct value call_macro(struct eval *ev, const struct macro *m, const struct args *a)
{
	const struct node *n = m->node;
	struct frame *outer = ev->frame;
	size_t used = 0;
	bool caller = false;
	eval_enter(ev);
	push_frame(ev, m->defined_in);
	push_frame(ev, ev->frame);
	size_t count = bind(ev, n->list, a, &used, &caller);
	bool takes_caller = (n->op & USES_CALLER) && !caller;
	if (takes_caller) {
		const struct value *c = dict_get_str(a->kw, "caller");
		set_var(ev, "caller", c ? *c : v_undefined("caller"));
	}
	struct value rest = rest_of(ev, n, a, takes_caller);
	if (n->op & USES_KWARGS)
		set_var(ev, "kwargs", rest);
	if (a->n > count && !(n->op & USES_VARARGS))
		jinja_fail(ev->j, ERR_FORMAT, "macro %s takes not more than %zu arguments", n->name ? n->name : "caller", count);
	if (n->op & USES_VARARGS) {
		struct value more = v_list(ev->j, V_TUPLE);
		for (size_t i = count; i < a->n; i++)
			list_add(ev->j, &more, a->p[i]);
		set_var(ev, "varargs", more);
	}
	struct value out = capture(ev, n->body);
	ev->frame = outer;
	ev->j->depth--;
	return out;
}

static struct value do_range(struct eval *ev, const struct args *a)
{
	int64_t v[3] = {0, 0, 1};
	struct sbuf name = {0};
	for (size_t i = 0; i < a->n && i < 3; i++)
		v[i] = to_int(ev->j, &a->p[i], "range");
	if (a->n == 1) {
		v[1] = v[0];
		v[0] = 0;
	}
	double count = v[2] ? ceil(((double)v[1] - (double)v[0]) / (double)v[2]) : -1;
	if (a->n < 1 || a->n > 3 || v[2] == 0 || count > 100000) /* the sandbox's own limit */
		jinja_fail(ev->j, ERR_LIMIT, "range is too big or has wrong arguments");
	struct value out = v_list(ev->j, V_RANGE);
	jinja_work(ev->j, count > 0 ? (uint64_t)count : 0);
	if (count > 0) {
		out.list->cap = (size_t)count;
		out.list->p = jinja_alloc(ev->j, (size_t)count * sizeof(*out.list->p));
	}
	for (int64_t i = 0; i < (int64_t)count; i++)
		list_add(ev->j, &out, v_int(v[0] + i * v[2]));
	sbuf_puts(ev->j, &name, "range(");
	for (int i = 0; i < (v[2] == 1 ? 2 : 3); i++) {
		struct value x = v_int(v[i]);
		sbuf_puts(ev->j, &name, i ? ", " : "");
		sbuf_puts(ev->j, &name, number_text(ev->j, &x));
	}
	sbuf_puts(ev->j, &name, ")");
	struct value text = sbuf_value(ev->j, &name);
	out.list->what = v_name(ev->j, &text);
	return out;
}

/* dict(mapping or pairs, name=value ...) */
static struct value do_dict(struct eval *ev, const struct args *a, bool namespace)
{
	struct jinja *j = ev->j;
	struct value d = v_dict(j);
	if (a->n > 1)
		jinja_fail(j, ERR_FORMAT, "dict takes one argument and names");
	if (a->n && a->p[0].type == V_DICT) {
		for (size_t i = 0; i < a->p[0].dict->n; i++)
			dict_set(j, d.dict, a->p[0].dict->p[i].key, a->p[0].dict->p[i].value);
	} else if (a->n) {
		struct value items = v_iter(j, &a->p[0]);
		for (size_t i = 0; i < items.list->n; i++) {
			struct value pair = v_iter(j, &items.list->p[i]);
			if (pair.list->n != 2)
				jinja_fail(j, ERR_FORMAT, "dict wants pairs");
			dict_set(j, d.dict, pair.list->p[0], pair.list->p[1]);
		}
	}
	for (size_t i = 0; a->kw && i < a->kw->n; i++)
		dict_set(j, d.dict, a->kw->p[i].key, a->kw->p[i].value);
	for (size_t i = 0; namespace && i < d.dict->n; i++)
		if (d.dict->p[i].key.type == V_STR && d.dict->p[i].key.s.len && d.dict->p[i].key.s.p[0] == '_')
			jinja_fail(j, ERR_FORMAT, "a namespace can't hold names that begin with _");
	if (namespace)
		d.type = V_NAMESPACE;
	return d;
}

static struct value list_of(struct eval *ev, enum vtype type, const struct args *a)
{
	struct value l = v_list(ev->j, type);
	for (size_t i = 0; i < a->n; i++)
		list_add(ev->j, &l, a->p[i]);
	return l;
}

static struct value call_function(struct eval *ev, int f, const struct args *a)
{
	struct value v;
	switch ((enum global_function)f) {
	case FN_RAISE:
		v = a->n ? v_str(ev->j, &a->p[0]) : v_literal(ev->j, "");
		jinja_fail(ev->j, ERR_FORMAT, "%.*s", (int)(v.s.len < 300 ? v.s.len : 300), v.s.p);
	case FN_RANGE:
		return do_range(ev, a);
	case FN_STRFTIME:
		if (!arg(a, 0, "format"))
			jinja_fail(ev->j, ERR_FORMAT, "strftime_now wants a format");
		return format_time(ev, arg(a, 0, "format"));
	case FN_CYCLER:
		if (a->n == 0)
			jinja_fail(ev->j, ERR_FORMAT, "cycler wants items");
		return list_of(ev, V_CYCLER, a);
	case FN_JOINER:
		v = v_list(ev->j, V_JOINER);
		list_add(ev->j, &v, arg(a, 0, "sep") ? *arg(a, 0, "sep") : v_literal(ev->j, ", "));
		return v;
	case FN_LIPSUM:
		jinja_fail(ev->j, ERR_UNSUPPORTED, "lipsum is not supported: it is random");
	default:
		return do_dict(ev, a, f == FN_NAMESPACE);
	}
}

/* loop(items): the body of a recursive loop again. */
static struct value recurse(struct eval *ev, const struct loop *l, const struct args *a)
{
	struct sbuf b = {0}, *out = ev->out;
	struct frame *frame = ev->frame;
	if (!l->node || !l->node->op)
		jinja_fail(ev->j, ERR_FORMAT, "this loop is not recursive");
	if (a->n != 1)
		jinja_fail(ev->j, ERR_FORMAT, "loop(...) takes one argument");
	eval_enter(ev);
	ev->out = &b;
	run_for(ev, l->node, &a->p[0], l->outer, l->depth + 1);
	ev->out = out;
	ev->frame = frame;
	ev->j->depth--;
	return sbuf_value(ev->j, &b);
}

struct value eval_call(struct eval *ev, const struct value *f, const struct args *a)
{
	struct list *l;
	switch (f->type) {
	case V_MACRO:
		return call_macro(ev, f->macro, a);
	case V_FUNCTION:
		return call_function(ev, f->function, a);
	case V_METHOD:
		return eval_method(ev, f->method, a);
	case V_LOOP:
		return recurse(ev, f->loop, a);
	case V_JOINER: /* nothing at first, the separator from then on */
		l = f->list;
		return l->taken++ ? l->p[0] : v_literal(ev->j, "");
	case V_UNDEFINED:
		jinja_fail(ev->j, ERR_FORMAT, "'%.60s' is undefined", f->name ? f->name : "a value");
	default:
		jinja_fail(ev->j, ERR_FORMAT, "a %s can't be called", v_type_name(f));
	}
}
