/* Statements. Scopes: a loop body, a macro, `with`, and the blocks of set, filter and call open one; `if`
 * does not. */
#include <string.h>

#include "chat/jinja_run.h"

#define OUTPUT ((size_t)64 << 20)

struct frame *push_frame(struct eval *ev, struct frame *up)
{
	struct frame *f = jinja_alloc(ev->j, sizeof(*f));
	f->up = up;
	ev->frame = f;
	return f;
}

/* f: of the last one, or NULL */
static struct frame *next_round(struct eval *ev, struct frame *f, struct frame *up)
{
	if (!f || f->captured)
		return push_frame(ev, up);
	struct var **tail = &f->vars;
	while (*tail)
		tail = &(*tail)->next;
	*tail = f->spare;
	f->spare = f->vars;
	f->vars = NULL;
	ev->frame = f;
	return f;
}

void set_var(struct eval *ev, const char *name, struct value x)
{
	for (struct var *v = ev->frame->vars; v; v = v->next)
		if (!strcmp(v->name, name)) {
			v->value = x;
			return;
		}
	struct var *v = ev->frame->spare;
	if (v)
		ev->frame->spare = v->next;
	else
		v = jinja_alloc(ev->j, sizeof(*v));
	*v = (struct var){name, x, ev->frame->vars};
	ev->frame->vars = v;
}

struct value capture(struct eval *ev, const struct node *body)
{
	struct sbuf b = {0}, *outer = ev->out;
	ev->out = &b;
	run(ev, body);
	ev->out = outer;
	return sbuf_value(ev->j, &b);
}

static void assign(struct eval *ev, const struct node *target, struct value x)
{
	if (target->kind == N_NAME) {
		set_var(ev, target->name, x);
	} else if (target->kind == N_ATTR) {
		struct value ns = eval(ev, target->a);
		if (ns.type != V_NAMESPACE || target->name[0] == '_')
			jinja_fail(ev->j, ERR_FORMAT, "%s.%s can't be set", target->a->name, target->name);
		dict_set(ev->j, ns.dict, v_literal(ev->j, target->name), x);
	} else { /* N_TUPLE */
		struct value items = v_iter(ev->j, &x);
		size_t i = 0;
		for (const struct node *t = target->list; t; t = t->next, i++)
			if (i < items.list->n)
				assign(ev, t, items.list->p[i]);
		if (i != items.list->n)
			jinja_fail(ev->j, ERR_FORMAT, "%zu values can't be unpacked into %zu names", items.list->n, i);
	}
}

/* The items that the loop's own condition lets through. */
static struct value chosen(struct eval *ev, const struct node *n, const struct value *in, struct frame *outer)
{
	struct value all = v_iter(ev->j, in), items;
	struct frame *f = NULL;
	if (!n->b)
		return all;
	items = v_list(ev->j, V_LIST);
	for (size_t i = 0; i < all.list->n; i++) {
		struct value x = all.list->p[i];
		f = next_round(ev, f, outer);
		assign(ev, n->list, x);
		struct value keep = eval(ev, n->b);
		ev->frame = outer;
		if (v_truth(&keep))
			list_add(ev->j, &items, x);
	}
	return items;
}

void run_for(struct eval *ev, const struct node *n, const struct value *in, struct frame *outer, int depth)
{
	struct value items = chosen(ev, n, in, outer);
	struct loop *loop = jinja_alloc(ev->j, sizeof(*loop));
	*loop = (struct loop){.items = items, .depth = depth, .node = n, .outer = outer};
	struct frame *f = NULL;
	bool completed = false; /* a round: without one, also after break and continue, else is due */
	for (size_t i = 0; i < items.list->n; i++) {
		loop->index = i;
		jinja_work(ev->j, 1);
		f = next_round(ev, f, outer);
		set_var(ev, "loop", (struct value){.type = V_LOOP, .loop = loop});
		assign(ev, n->list, items.list->p[i]);
		run(ev, n->body);
		int flow = ev->flow;
		ev->flow = 0;
		completed |= flow == 0;
		if (flow == N_BREAK)
			break;
	}
	if (!completed && n->other) {
		push_frame(ev, outer);
		run(ev, n->other);
	}
	ev->frame = outer;
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
	for (struct frame *f = ev->frame; f && !f->captured; f = f->up)
		f->captured = true;
	return (struct value){.type = V_MACRO, .macro = m};
}

static void print(struct eval *ev, const struct value *v)
{
	sbuf_str(ev->j, ev->out, v_str(ev->j, v).s);
	if (ev->out->len > OUTPUT)
		jinja_fail(ev->j, ERR_LIMIT, "the output is longer than %zu MiB", OUTPUT >> 20);
}

/* {% set x %}, {% filter f %}: the body as a string, through filters. */
static void run_block(struct eval *ev, const struct node *n)
{
	struct frame *outer = ev->frame;
	push_frame(ev, outer);
	struct value v = filtered(ev, n->a, capture(ev, n->body));
	ev->frame = outer;
	if (n->kind == N_SET_BLOCK)
		assign(ev, n->list, v);
	else if (v.type == V_STR)
		print(ev, &v);
	else
		jinja_fail(ev->j, ERR_FORMAT, "the filters of a block gave a %s, not a string", v_type_name(&v));
}

static void run_with(struct eval *ev, const struct node *n)
{
	struct frame *outer = ev->frame, *inner = push_frame(ev, outer);
	for (const struct node *k = n->list; k; k = k->next) {
		ev->frame = outer;
		struct value x = eval(ev, k->a);
		ev->frame = inner;
		assign(ev, k->b, x);
	}
	ev->frame = inner;
	run(ev, n->body);
	ev->frame = outer;
}

static void run_call(struct eval *ev, const struct node *n)
{
	struct value f = eval(ev, n->a->a);
	struct args a = eval_args(ev, n->a->list);
	struct value kw = v_dict(ev->j);
	for (size_t i = 0; a.kw && i < a.kw->n; i++)
		dict_set(ev->j, kw.dict, a.kw->p[i].key, a.kw->p[i].value);
	dict_set(ev->j, kw.dict, v_literal(ev->j, "caller"), make_macro(ev, n));
	a.kw = kw.dict;
	struct value v = eval_call(ev, &f, &a);
	print(ev, &v);
}

static void run_scope(struct eval *ev, const struct node *n)
{
	struct frame *outer = ev->frame;
	if (n->op) { /* a named block sees the top level only */
		push_frame(ev, ev->top);
		run(ev, n->body);
	} else {
		push_frame(ev, outer);
		run(ev, n->body);
	}
	ev->frame = outer;
}

static void run_one(struct eval *ev, const struct node *n)
{
	struct value v;
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
		v = eval(ev, n->a);
		run_for(ev, n, &v, ev->frame, 0);
		break;
	case N_SET:
		assign(ev, n->list, eval(ev, n->a));
		break;
	case N_SET_BLOCK:
	case N_FILTER_BLOCK:
		run_block(ev, n);
		break;
	case N_MACRO:
		set_var(ev, n->name, make_macro(ev, n));
		break;
	case N_CALL_BLOCK:
		run_call(ev, n);
		break;
	case N_WITH:
		run_with(ev, n);
		break;
	case N_SCOPE:
		run_scope(ev, n);
		break;
	case N_REFUSED:
		jinja_fail(ev->j, ERR_UNSUPPORTED, "\"%s\" is not supported here", n->name);
	default:
		ev->flow = (int)n->kind; /* break, continue */
	}
}

void run(struct eval *ev, const struct node *n)
{
	eval_enter(ev);
	for (; n && !ev->flow; n = n->next) {
		ev->j->line = n->line;
		jinja_work(ev->j, 1);
		run_one(ev, n);
	}
	ev->j->depth--;
}
