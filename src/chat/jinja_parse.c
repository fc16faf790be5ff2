/* Tokens to a syntax tree, by recursive descent in the order of jinja2/parser.py. */
#include <string.h>

#include "chat/jinja.h"

#define DEPTH 200

struct parser {
	struct jinja *j;
	struct token *t;
};

static struct node *expression(struct parser *p);
static struct node *statements(struct parser *p, const char *const *ends);

static struct node *node(struct parser *p, enum node_kind kind)
{
	struct node *n = jinja_alloc(p->j, sizeof(*n));
	n->kind = kind;
	n->line = p->t->line;
	return n;
}

_Noreturn static void unexpected(struct parser *p, const char *wanted)
{
	p->j->line = p->t->line;
	if (p->t->kind == T_NAME)
		jinja_fail(p->j, ERR_FORMAT, "unexpected \"%.60s\" (wanted %s)", p->t->name, wanted);
	jinja_fail(p->j, ERR_FORMAT, "syntax error (wanted %s)", wanted);
}

static bool at_name(const struct parser *p, const char *name)
{
	return p->t->kind == T_NAME && !strcmp(p->t->name, name);
}

static bool accept(struct parser *p, enum token_kind kind)
{
	if (p->t->kind != kind)
		return false;
	p->t++;
	return true;
}

static bool accept_name(struct parser *p, const char *name)
{
	if (!at_name(p, name))
		return false;
	p->t++;
	return true;
}

static void expect(struct parser *p, enum token_kind kind, const char *wanted)
{
	if (!accept(p, kind))
		unexpected(p, wanted);
}

static const char *expect_name(struct parser *p)
{
	if (p->t->kind != T_NAME)
		unexpected(p, "a name");
	return (p->t++)->name;
}

static void enter(struct parser *p)
{
	p->j->line = p->t->line;
	if (++p->j->depth > DEPTH)
		jinja_fail(p->j, ERR_LIMIT, "nested too deeply");
}

static struct node **append(struct node **tail, struct node *n)
{
	*tail = n;
	return &n->next;
}

/* Arguments up to ")": expressions and name=expression. */
static struct node *arguments(struct parser *p)
{
	struct node *first = NULL, **tail = &first;
	while (!accept(p, T_RPAREN)) {
		if (first)
			expect(p, T_COMMA, "a comma");
		if (accept(p, T_RPAREN))
			break;
		if (p->t->kind == T_MUL || p->t->kind == T_POW)
			unexpected(p, "an argument; * and ** are not supported");
		if (p->t->kind == T_NAME && p->t[1].kind == T_ASSIGN) {
			struct node *k = node(p, N_KEYWORD);
			k->name = p->t->name;
			p->t += 2;
			k->a = expression(p);
			tail = append(tail, k);
		} else {
			tail = append(tail, expression(p));
		}
	}
	return first;
}

/* "a, b" up to `close`, as list or tuple. */
static struct node *elements(struct parser *p, enum node_kind kind, enum token_kind close)
{
	struct node *n = node(p, kind), **tail = &n->list;
	while (!accept(p, close)) {
		if (n->list)
			expect(p, T_COMMA, "a comma");
		if (accept(p, close))
			break;
		tail = append(tail, expression(p));
	}
	return n;
}

static struct node *parenthesis(struct parser *p)
{
	struct node *t = node(p, N_TUPLE), **tail = &t->list;
	if (accept(p, T_RPAREN))
		return t;
	struct node *first = expression(p);
	if (accept(p, T_RPAREN))
		return first;
	tail = append(tail, first);
	while (accept(p, T_COMMA) && p->t->kind != T_RPAREN)
		tail = append(tail, expression(p));
	expect(p, T_RPAREN, "')'");
	return t;
}

static struct node *dictionary(struct parser *p)
{
	struct node *n = node(p, N_DICT), **tail = &n->list;
	while (!accept(p, T_RBRACE)) {
		if (n->list)
			expect(p, T_COMMA, "a comma");
		if (accept(p, T_RBRACE))
			break;
		struct node *pair = node(p, N_KEYWORD);
		pair->a = expression(p);
		expect(p, T_COLON, "':'");
		pair->b = expression(p);
		tail = append(tail, pair);
	}
	return n;
}

static struct node *name_or_constant(struct parser *p)
{
	struct node *n = node(p, N_CONST);
	const char *s = (p->t++)->name;
	if (!strcmp(s, "true") || !strcmp(s, "True"))
		n->value = v_bool(true);
	else if (!strcmp(s, "false") || !strcmp(s, "False"))
		n->value = v_bool(false);
	else if (!strcmp(s, "none") || !strcmp(s, "None"))
		n->value = v_none();
	else {
		n->kind = N_NAME;
		n->name = s;
	}
	return n;
}

static struct node *primary(struct parser *p)
{
	struct node *n;
	switch (p->t->kind) {
	case T_NAME:
		return name_or_constant(p);
	case T_STRING: {
		n = node(p, N_CONST);
		struct sbuf b = {0};
		do /* strings side by side are one */
			sbuf_str(p->j, &b, (p->t++)->value.s);
		while (p->t->kind == T_STRING);
		n->value = sbuf_value(p->j, &b);
		return n;
	}
	case T_INT:
	case T_FLOAT:
		n = node(p, N_CONST);
		n->value = (p->t++)->value;
		return n;
	case T_LPAREN:
		p->t++;
		return parenthesis(p);
	case T_LBRACKET:
		p->t++;
		return elements(p, N_LIST, T_RBRACKET);
	case T_LBRACE:
		p->t++;
		return dictionary(p);
	default:
		unexpected(p, "an expression");
	}
}

static struct node *subscript(struct parser *p, struct node *of)
{
	struct node *n = node(p, N_ITEM);
	n->a = of;
	if (p->t->kind != T_COLON)
		n->b = expression(p);
	if (p->t->kind == T_COLON) {
		n->kind = N_SLICE;
		struct node **part[] = {&n->c, &n->other};
		for (int i = 0; i < 2 && accept(p, T_COLON); i++)
			if (p->t->kind != T_COLON && p->t->kind != T_RBRACKET)
				*part[i] = expression(p);
	}
	expect(p, T_RBRACKET, "']'");
	return n;
}

static struct node *filter(struct parser *p, struct node *of)
{
	struct node *n = node(p, N_FILTER);
	n->a = of;
	n->name = expect_name(p);
	if (accept(p, T_LPAREN))
		n->list = arguments(p);
	return n;
}

static struct node *postfix(struct parser *p, struct node *n);
static struct node *unary(struct parser *p, bool with_filter);

static bool starts_test_argument(const struct parser *p)
{
	switch (p->t->kind) {
	case T_STRING:
	case T_INT:
	case T_FLOAT:
	case T_LBRACKET:
	case T_LBRACE:
		return true;
	case T_NAME:
		return !at_name(p, "else") && !at_name(p, "or") && !at_name(p, "and") && !at_name(p, "if") &&
			!at_name(p, "is") && !at_name(p, "in") && !at_name(p, "not") && !at_name(p, "recursive");
	default:
		return false;
	}
}

static struct node *test(struct parser *p, struct node *of)
{
	struct node *n = node(p, N_TEST);
	n->a = of;
	n->op = accept_name(p, "not");
	n->name = expect_name(p);
	if (accept(p, T_LPAREN))
		n->list = arguments(p);
	else if (starts_test_argument(p))
		n->list = postfix(p, primary(p));
	return n;
}

static struct node *postfix(struct parser *p, struct node *n)
{
	while (true) {
		struct node *m;
		if (accept(p, T_DOT)) {
			m = node(p, N_ATTR);
			m->a = n;
			if (p->t->kind == T_INT) {
				m->kind = N_ITEM;
				m->b = primary(p);
			} else {
				m->name = expect_name(p);
			}
		} else if (accept(p, T_LBRACKET)) {
			m = subscript(p, n);
		} else if (accept(p, T_LPAREN)) {
			m = node(p, N_CALL);
			m->a = n;
			m->list = arguments(p);
		} else {
			return n;
		}
		n = m;
	}
}

static struct node *filters(struct parser *p, struct node *n)
{
	while (true) {
		if (accept(p, T_PIPE))
			n = filter(p, n);
		else if (accept_name(p, "is"))
			n = test(p, n);
		else if (p->t->kind == T_LPAREN) /* a call of what a filter gave */
			n = postfix(p, n);
		else
			return n;
	}
}

static struct node *unary(struct parser *p, bool with_filter)
{
	struct node *n;
	enter(p);
	if (p->t->kind == T_SUB || p->t->kind == T_ADD) {
		n = node(p, p->t->kind == T_SUB ? N_NEG : N_POS);
		p->t++;
		n->a = unary(p, false);
	} else {
		n = postfix(p, primary(p));
	}
	p->j->depth--;
	return with_filter ? filters(p, n) : n;
}

static struct node *binary(struct parser *p, int op, struct node *a, struct node *b)
{
	struct node *n = node(p, N_BINARY);
	n->op = op;
	n->a = a;
	n->b = b;
	return n;
}

static struct node *power(struct parser *p)
{
	struct node *n = unary(p, true);
	while (accept(p, T_POW))
		n = binary(p, T_POW, n, unary(p, true));
	return n;
}

static struct node *product(struct parser *p)
{
	struct node *n = power(p);
	while (p->t->kind == T_MUL || p->t->kind == T_DIV || p->t->kind == T_FLOORDIV || p->t->kind == T_MOD) {
		int op = (int)(p->t++)->kind;
		n = binary(p, op, n, power(p));
	}
	return n;
}

static struct node *concatenation(struct parser *p)
{
	struct node *n = product(p);
	while (accept(p, T_TILDE))
		n = binary(p, T_TILDE, n, product(p));
	return n;
}

static struct node *sum(struct parser *p)
{
	struct node *n = concatenation(p);
	while (p->t->kind == T_ADD || p->t->kind == T_SUB) {
		int op = (int)(p->t++)->kind;
		n = binary(p, op, n, concatenation(p));
	}
	return n;
}

static int comparison(struct parser *p)
{
	if (p->t->kind >= T_EQ && p->t->kind <= T_GE)
		return (int)(p->t++)->kind;
	if (accept_name(p, "in"))
		return T_IN;
	if (at_name(p, "not") && p->t[1].kind == T_NAME && !strcmp(p->t[1].name, "in")) {
		p->t += 2;
		return T_NOTIN;
	}
	return 0;
}

/* a < b < c: each N_COMPARE holds one operator and right side, in a list. */
static struct node *compare(struct parser *p)
{
	struct node *first = sum(p), *n = NULL, **tail = NULL;
	for (int op; (op = comparison(p));) {
		if (!n) {
			n = node(p, N_COMPARE);
			n->a = first;
			tail = &n->list;
		}
		struct node *part = node(p, N_COMPARE);
		part->op = op;
		part->a = sum(p);
		tail = append(tail, part);
	}
	return n ? n : first;
}

static struct node *negation(struct parser *p)
{
	if (!at_name(p, "not"))
		return compare(p);
	enter(p);
	struct node *n = node(p, N_NOT);
	p->t++;
	n->a = negation(p);
	p->j->depth--;
	return n;
}

static struct node *conjunction(struct parser *p)
{
	struct node *n = negation(p);
	while (at_name(p, "and")) {
		struct node *m = node(p, N_AND);
		p->t++;
		m->a = n;
		m->b = negation(p);
		n = m;
	}
	return n;
}

static struct node *disjunction(struct parser *p)
{
	struct node *n = conjunction(p);
	while (at_name(p, "or")) {
		struct node *m = node(p, N_OR);
		p->t++;
		m->a = n;
		m->b = conjunction(p);
		n = m;
	}
	return n;
}

static struct node *expression(struct parser *p)
{
	enter(p);
	struct node *n = disjunction(p);
	while (at_name(p, "if")) {
		struct node *m = node(p, N_TERNARY);
		p->t++;
		m->b = n;
		m->a = disjunction(p);
		if (accept_name(p, "else"))
			m->c = expression(p);
		n = m;
	}
	p->j->depth--;
	return n;
}

/* "a, b" without parentheses, as after `for ... in` and `set x =`. */
static struct node *tuple_expression(struct parser *p)
{
	struct node *n = expression(p);
	if (p->t->kind != T_COMMA)
		return n;
	struct node *t = node(p, N_TUPLE), **tail = append(&t->list, n);
	while (accept(p, T_COMMA) && p->t->kind != T_BLOCK_END && p->t->kind != T_VAR_END)
		tail = append(tail, expression(p));
	return t;
}

/* --- statements --- */

/* Assignment targets: names, ns.attribute, and tuples of names; in a list. */
static struct node *targets(struct parser *p)
{
	struct node *first = NULL, **tail = &first;
	bool paren = accept(p, T_LPAREN);
	do {
		struct node *n = node(p, N_NAME);
		n->name = expect_name(p);
		if (accept(p, T_DOT)) {
			struct node *attr = node(p, N_ATTR);
			attr->a = n;
			attr->name = expect_name(p);
			n = attr;
		}
		tail = append(tail, n);
	} while (accept(p, T_COMMA) && p->t->kind == T_NAME && !at_name(p, "in"));
	if (paren)
		expect(p, T_RPAREN, "')'");
	return first;
}

static void end_block(struct parser *p)
{
	expect(p, T_BLOCK_END, "the end of the tag");
}

static struct node *body_until(struct parser *p, const char *end)
{
	const char *const ends[] = {end, NULL};
	end_block(p);
	struct node *n = statements(p, ends);
	p->t++; /* the end's name */
	return n;
}

static struct node *parse_if(struct parser *p)
{
	static const char *const ends[] = {"elif", "else", "endif", NULL};
	struct node *n = node(p, N_IF);
	n->a = tuple_expression(p);
	end_block(p);
	n->body = statements(p, ends);
	if (accept_name(p, "elif"))
		n->other = parse_if(p);
	else if (accept_name(p, "else"))
		n->other = body_until(p, "endif");
	else
		p->t++;
	return n;
}

static struct node *parse_for(struct parser *p)
{
	static const char *const ends[] = {"else", "endfor", NULL};
	struct node *n = node(p, N_FOR);
	n->list = targets(p);
	if (!accept_name(p, "in"))
		unexpected(p, "in");
	n->a = disjunction(p);
	if (p->t->kind == T_COMMA) {
		struct node *t = node(p, N_TUPLE), **tail = append(&t->list, n->a);
		while (accept(p, T_COMMA))
			tail = append(tail, disjunction(p));
		n->a = t;
	}
	if (accept_name(p, "if"))
		n->b = expression(p);
	if (at_name(p, "recursive"))
		unexpected(p, "the end of the tag; recursive loops are not supported");
	end_block(p);
	n->body = statements(p, ends);
	if (accept_name(p, "else"))
		n->other = body_until(p, "endfor");
	else
		p->t++;
	return n;
}

static struct node *parse_set(struct parser *p)
{
	struct node *n = node(p, N_SET);
	n->list = targets(p);
	if (accept(p, T_ASSIGN)) {
		n->a = tuple_expression(p);
		return n;
	}
	n->kind = N_SET_BLOCK;
	if (accept(p, T_PIPE)) {
		n->a = filter(p, NULL);
		while (accept(p, T_PIPE))
			n->a = filter(p, n->a);
	}
	n->body = body_until(p, "endset");
	return n;
}

/* Parameters of a macro: names with defaults (N_KEYWORD). */
static struct node *parameters(struct parser *p)
{
	struct node *first = NULL, **tail = &first;
	expect(p, T_LPAREN, "'('");
	while (!accept(p, T_RPAREN)) {
		if (first)
			expect(p, T_COMMA, "a comma");
		struct node *k = node(p, N_KEYWORD);
		k->name = expect_name(p);
		if (accept(p, T_ASSIGN))
			k->a = expression(p);
		tail = append(tail, k);
	}
	return first;
}

static struct node *parse_macro(struct parser *p)
{
	struct node *n = node(p, N_MACRO);
	n->name = expect_name(p);
	n->list = parameters(p);
	n->body = body_until(p, "endmacro");
	return n;
}

static struct node *parse_call(struct parser *p)
{
	struct node *n = node(p, N_CALL_BLOCK);
	if (p->t->kind == T_LPAREN)
		n->list = parameters(p);
	n->a = expression(p);
	if (n->a->kind != N_CALL)
		unexpected(p, "a call");
	n->body = body_until(p, "endcall");
	return n;
}

static struct node *parse_filter_block(struct parser *p)
{
	struct node *n = node(p, N_FILTER_BLOCK);
	n->a = filter(p, NULL);
	while (accept(p, T_PIPE))
		n->a = filter(p, n->a);
	n->body = body_until(p, "endfilter");
	return n;
}

static struct node *statement(struct parser *p)
{
	struct node *n;
	if (accept_name(p, "if"))
		return parse_if(p);
	if (accept_name(p, "for"))
		return parse_for(p);
	if (accept_name(p, "set"))
		return parse_set(p);
	if (accept_name(p, "macro"))
		return parse_macro(p);
	if (accept_name(p, "call"))
		return parse_call(p);
	if (accept_name(p, "filter"))
		return parse_filter_block(p);
	if (accept_name(p, "generation")) {
		n = node(p, N_BLOCK);
		n->body = body_until(p, "endgeneration");
		return n;
	}
	if (accept_name(p, "break"))
		return node(p, N_BREAK);
	if (accept_name(p, "continue"))
		return node(p, N_CONTINUE);
	if (p->t->kind == T_NAME) {
		p->j->line = p->t->line;
		jinja_fail(p->j, ERR_UNSUPPORTED, "the statement \"%.60s\" is not supported here", p->t->name);
	}
	unexpected(p, "a statement");
}

/* Statements up to a tag that begins with one of `ends` (not consumed beyond "{%"), or to the end. */
static struct node *statements(struct parser *p, const char *const *ends)
{
	struct node *first = NULL, **tail = &first;
	enter(p);
	while (true) {
		p->j->line = p->t->line;
		if (p->t->kind == T_END) {
			if (ends)
				jinja_fail(p->j, ERR_FORMAT, "the template ends, but {%% %s %%} is missing", ends[0]);
			break;
		}
		if (p->t->kind == T_TEXT) {
			struct node *n = node(p, N_TEXT);
			n->value = (p->t++)->value;
			tail = append(tail, n);
		} else if (p->t->kind == T_VAR_BEGIN) {
			struct node *n = node(p, N_PRINT);
			p->t++;
			n->a = tuple_expression(p);
			expect(p, T_VAR_END, "'}}'");
			tail = append(tail, n);
		} else {
			expect(p, T_BLOCK_BEGIN, "a tag");
			for (const char *const *e = ends; e && *e; e++)
				if (at_name(p, *e)) {
					p->j->depth--;
					return first;
				}
			tail = append(tail, statement(p));
			end_block(p);
		}
	}
	p->j->depth--;
	return first;
}

struct node *jinja_parse(struct jinja *j, struct token *t)
{
	struct parser p = {j, t};
	return statements(&p, NULL);
}
