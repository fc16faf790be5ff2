/* Statements to a syntax tree, in the order of jinja2/parser.py. */
#include <string.h>

#include "chat/jinja_run.h"

static struct node *statements(struct parser *p, const char *const *ends);

/* A list of targets: names, ns.attribute, and tuples of them (N_TUPLE). */
static struct node *one_target(struct parser *p)
{
	static const char *const reserved[] = {"true", "false", "none", "True", "False", "None"};
	struct node *n = parse_node(p, N_NAME);
	if (parse_accept(p, T_LPAREN)) {
		struct node **tail = &n->list;
		n->kind = N_TUPLE;
		parse_enter(p);
		while (!parse_accept(p, T_RPAREN)) {
			if (n->list)
				parse_expect(p, T_COMMA, "a comma");
			if (n->list && parse_accept(p, T_RPAREN))
				break;
			tail = parse_append(tail, one_target(p));
		}
		p->j->depth--;
		return n;
	}
	n->name = parse_name(p);
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (!strcmp(n->name, reserved[i]))
			jinja_fail(p->j, ERR_FORMAT, "%s can't be assigned to", n->name);
	if (p->t->kind == T_DOT && p->t[1].kind == T_NAME) {
		struct node *attr = parse_node(p, N_ATTR);
		p->t++;
		attr->a = n;
		attr->name = parse_name(p);
		return attr;
	}
	if (p->fors && !strcmp(n->name, "loop"))
		jinja_fail(p->j, ERR_FORMAT, "loop can't be assigned to inside of a for");
	return n;
}

/* "a", or "a, b" (also "a,") as N_TUPLE. */
static struct node *targets(struct parser *p)
{
	struct node *first = one_target(p);
	if (p->t->kind != T_COMMA)
		return first;
	struct node *t = parse_node(p, N_TUPLE), **tail = parse_append(&t->list, first);
	while (parse_accept(p, T_COMMA) && !parse_at(p, "in"))
		tail = parse_append(tail, one_target(p));
	return t;
}

static void end_block(struct parser *p)
{
	parse_expect(p, T_BLOCK_END, "the end of the tag");
}

/* The rest of the tag, a body, and the name of the tag that ends it. */
static struct node *body_until(struct parser *p, const char *end)
{
	const char *const ends[] = {end, NULL};
	int soft = p->soft;
	end_block(p);
	p->soft = 0; /* a scope of its own */
	struct node *n = statements(p, ends);
	p->soft = soft;
	p->t++; /* the end's name */
	return n;
}

static struct node *parse_if(struct parser *p)
{
	static const char *const ends[] = {"elif", "else", "endif", NULL}, *const last[] = {"endif", NULL};
	struct node *n = parse_node(p, N_IF);
	parse_enter(p);
	p->soft++;
	n->a = parse_tuple(p, false);
	end_block(p);
	n->body = statements(p, ends);
	if (parse_accept_name(p, "elif")) {
		n->other = parse_if(p);
	} else if (parse_accept_name(p, "else")) {
		end_block(p);
		n->other = statements(p, last);
		p->t++;
	} else {
		p->t++;
	}
	p->soft--;
	p->j->depth--;
	return n;
}

static struct node *parse_for(struct parser *p)
{
	static const char *const ends[] = {"else", "endfor", NULL};
	struct node *n = parse_node(p, N_FOR);
	int soft = p->soft;
	p->fors++;
	n->list = targets(p);
	if (!parse_accept_name(p, "in"))
		parse_unexpected(p, "in");
	n->a = parse_tuple(p, false);
	if (parse_accept_name(p, "if"))
		n->b = parse_expression(p);
	n->op = parse_accept_name(p, "recursive");
	end_block(p);
	p->soft = 0;
	p->loops++;
	n->body = statements(p, ends);
	p->loops--;
	p->soft = soft;
	if (parse_accept_name(p, "else"))
		n->other = body_until(p, "endfor");
	else
		p->t++;
	p->fors--;
	return n;
}

static struct node *filter_chain(struct parser *p)
{
	struct node *n = parse_filter(p, NULL);
	while (parse_accept(p, T_PIPE))
		n = parse_filter(p, n);
	return n;
}

static struct node *parse_set(struct parser *p)
{
	struct node *n = parse_node(p, N_SET);
	n->list = targets(p);
	if (parse_accept(p, T_ASSIGN)) {
		n->a = parse_tuple(p, true);
		return n;
	}
	n->kind = N_SET_BLOCK;
	if (parse_accept(p, T_PIPE))
		n->a = filter_chain(p);
	n->body = body_until(p, "endset");
	return n;
}

/* Parameters of a macro: names with defaults (N_KEYWORD). */
static struct node *parameters(struct parser *p)
{
	struct node *first = NULL, **tail = &first;
	bool defaults = false;
	parse_expect(p, T_LPAREN, "'('");
	while (!parse_accept(p, T_RPAREN)) {
		if (first)
			parse_expect(p, T_COMMA, "a comma");
		struct node *k = parse_node(p, N_KEYWORD);
		k->name = parse_name(p);
		if (parse_accept(p, T_ASSIGN)) {
			k->a = parse_expression(p);
			defaults = true;
		} else if (defaults) {
			jinja_fail(p->j, ERR_FORMAT, "a parameter without a default stands behind one with it");
		}
		tail = parse_append(tail, k);
	}
	return first;
}

/* The body of a macro or call block: which special names it uses counts. */
static void macro_body(struct parser *p, struct node *n, const char *end)
{
	int flags = p->flags, loops = p->loops;
	p->flags = p->loops = 0;
	n->body = body_until(p, end);
	n->op = p->flags;
	p->flags |= flags;
	p->loops = loops;
	for (const struct node *k = n->list; k; k = k->next) /* a parameter of that name is nothing special */
		n->op &= ~(!strcmp(k->name, "varargs") ? USES_VARARGS : !strcmp(k->name, "kwargs") ? USES_KWARGS
			   : !strcmp(k->name, "caller") ? USES_CALLER : 0);
}

static struct node *parse_macro(struct parser *p)
{
	struct node *n = parse_node(p, N_MACRO);
	n->name = parse_name(p);
	n->list = parameters(p);
	macro_body(p, n, "endmacro");
	return n;
}

static struct node *parse_call(struct parser *p)
{
	struct node *n = parse_node(p, N_CALL_BLOCK);
	if (p->t->kind == T_LPAREN)
		n->list = parameters(p);
	n->a = parse_expression(p);
	if (n->a->kind != N_CALL)
		parse_unexpected(p, "a call");
	macro_body(p, n, "endcall");
	return n;
}

static struct node *parse_filter_block(struct parser *p)
{
	struct node *n = parse_node(p, N_FILTER_BLOCK);
	n->a = filter_chain(p);
	n->body = body_until(p, "endfilter");
	return n;
}

static struct node *parse_with(struct parser *p)
{
	struct node *n = parse_node(p, N_WITH), **tail = &n->list;
	while (p->t->kind != T_BLOCK_END) {
		if (n->list)
			parse_expect(p, T_COMMA, "a comma");
		struct node *k = parse_node(p, N_KEYWORD);
		k->b = one_target(p);
		parse_expect(p, T_ASSIGN, "'='");
		k->a = parse_expression(p);
		tail = parse_append(tail, k);
	}
	n->body = body_until(p, "endwith");
	return n;
}

/* Escaping is off, as the tag's default; a template that turns it on is refused when it gets there. */
static struct node *parse_autoescape(struct parser *p)
{
	struct node *n = parse_node(p, N_IF);
	n->a = parse_expression(p);
	struct node *no = parse_node(p, N_REFUSED), *scope = parse_node(p, N_SCOPE);
	no->name = "autoescape true";
	scope->body = body_until(p, "endautoescape");
	n->body = no;
	n->other = scope;
	return n;
}

static struct node *parse_print(struct parser *p)
{
	struct node *first = NULL, **tail = &first;
	do {
		struct node *n = parse_node(p, N_PRINT);
		n->a = parse_expression(p);
		tail = parse_append(tail, n);
	} while (parse_accept(p, T_COMMA));
	struct node *all = parse_node(p, N_SCOPE);
	all->body = first;
	return all;
}

static struct node *parse_block(struct parser *p)
{
	struct node *n = parse_node(p, N_SCOPE);
	int loops = p->loops;
	n->op = 1;
	n->name = parse_name(p);
	p->loops = 0;
	while (parse_at(p, "scoped") || parse_at(p, "required"))
		p->t++;
	n->body = body_until(p, "endblock");
	p->loops = loops;
	if (p->t->kind == T_NAME && !strcmp(p->t->name, n->name))
		p->t++;
	return n;
}

/* Other templates are out of reach: an error when it is met, as there. */
static struct node *refused(struct parser *p, const char *name)
{
	struct node *n = parse_node(p, N_REFUSED);
	n->name = name;
	while (p->t->kind != T_BLOCK_END && p->t->kind != T_END)
		p->t++;
	return n;
}

static struct node *jump(struct parser *p, enum node_kind kind)
{
	if (!p->loops)
		jinja_fail(p->j, ERR_FORMAT, "break or continue outside of a loop");
	return parse_node(p, kind);
}

static const struct {
	const char *name;
	struct node *(*f)(struct parser *p);
} table[] = {{"if", parse_if}, {"for", parse_for}, {"set", parse_set}, {"macro", parse_macro},
	{"call", parse_call}, {"filter", parse_filter_block}, {"with", parse_with}, {"print", parse_print},
	{"block", parse_block}, {"autoescape", parse_autoescape}};

static struct node *statement(struct parser *p)
{
	static const char *const others[] = {"include", "import", "from", "extends"};
	struct node *n;
	p->j->line = p->t->line;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (parse_accept_name(p, table[i].name))
			return table[i].f(p);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (parse_accept_name(p, others[i]))
			return refused(p, others[i]);
	if (parse_accept_name(p, "generation")) { /* a call block around its body */
		int loops = p->loops;
		n = parse_node(p, N_SCOPE);
		p->loops = 0;
		n->body = body_until(p, "endgeneration");
		p->loops = loops;
		return n;
	}
	if (parse_accept_name(p, "break"))
		return jump(p, N_BREAK);
	if (parse_accept_name(p, "continue"))
		return jump(p, N_CONTINUE);
	if (p->t->kind == T_NAME)
		jinja_fail(p->j, ERR_UNSUPPORTED, "there is no statement \"%.60s\" here", p->t->name);
	parse_unexpected(p, "a statement");
}

static struct node *print(struct parser *p)
{
	struct node *n = parse_node(p, N_PRINT);
	p->t++;
	n->a = parse_tuple(p, true);
	parse_expect(p, T_VAR_END, "'}}'");
	return n;
}

/* Statements up to a tag that begins with one of `ends` (not consumed beyond "{%"), or to the end. */
static struct node *statements(struct parser *p, const char *const *ends)
{
	struct node *first = NULL, **tail = &first;
	parse_enter(p);
	while (true) {
		p->j->line = p->t->line;
		if (p->t->kind == T_END) {
			if (ends)
				jinja_fail(p->j, ERR_FORMAT, "the template ends, but {%% %s %%} is missing", ends[0]);
			break;
		}
		if (p->t->kind == T_TEXT) {
			struct node *n = parse_node(p, N_TEXT);
			n->value = (p->t++)->value;
			tail = parse_append(tail, n);
		} else if (p->t->kind == T_VAR_BEGIN) {
			tail = parse_append(tail, print(p));
		} else {
			parse_expect(p, T_BLOCK_BEGIN, "a tag");
			for (const char *const *e = ends; e && *e; e++)
				if (parse_at(p, *e)) {
					p->j->depth--;
					return first;
				}
			tail = parse_append(tail, statement(p));
			end_block(p);
		}
	}
	p->j->depth--;
	return first;
}

struct node *jinja_parse(struct jinja *j, struct token *t)
{
	struct parser p = {.j = j, .t = t};
	struct node *n = statements(&p, NULL);
	if (p.unknown) {
		j->line = p.unknown->line;
		jinja_fail(j, ERR_UNSUPPORTED, "there is no %s \"%.60s\"",
			p.unknown->kind == N_FILTER ? "filter" : "test", p.unknown->name);
	}
	return n;
}
