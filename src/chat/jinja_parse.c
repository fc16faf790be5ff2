/* Expressions to a syntax tree, by recursive descent in the order of jinja2/parser.py. */
#include <string.h>

#include "chat/jinja_run.h"

#define DEPTH 200

struct node *parse_node(struct parser *p, enum node_kind kind)
{
	struct node *n = jinja_alloc(p->j, sizeof(*n));
	n->kind = kind;
	n->line = p->t->line;
	return n;
}

void parse_unexpected(struct parser *p, const char *wanted)
{
	p->j->line = p->t->line;
	if (p->t->kind == T_NAME)
		jinja_fail(p->j, ERR_FORMAT, "unexpected \"%.60s\" (wanted %s)", p->t->name, wanted);
	jinja_fail(p->j, ERR_FORMAT, "syntax error (wanted %s)", wanted);
}

bool parse_at(const struct parser *p, const char *name)
{
	return p->t->kind == T_NAME && !strcmp(p->t->name, name);
}

bool parse_accept(struct parser *p, enum token_kind kind)
{
	if (p->t->kind != kind)
		return false;
	p->t++;
	return true;
}

bool parse_accept_name(struct parser *p, const char *name)
{
	if (!parse_at(p, name))
		return false;
	p->t++;
	return true;
}

void parse_expect(struct parser *p, enum token_kind kind, const char *wanted)
{
	if (!parse_accept(p, kind))
		parse_unexpected(p, wanted);
}

const char *parse_name(struct parser *p)
{
	if (p->t->kind != T_NAME)
		parse_unexpected(p, "a name");
	return (p->t++)->name;
}

void parse_enter(struct parser *p)
{
	p->j->line = p->t->line;
	if (++p->j->depth > DEPTH)
		jinja_fail(p->j, ERR_LIMIT, "nested too deeply");
}

struct node **parse_append(struct node **tail, struct node *n)
{
	*tail = n;
	return &n->next;
}

/* Arguments up to ")": expressions, then name=expression, *list and **mapping. */
static struct node *arguments(struct parser *p)
{
	struct node *first = NULL, **tail = &first;
	bool named = false;
	while (!parse_accept(p, T_RPAREN)) {
		if (first)
			parse_expect(p, T_COMMA, "a comma");
		if (first && parse_accept(p, T_RPAREN))
			break;
		struct node *k = NULL;
		if (p->t->kind == T_MUL || p->t->kind == T_POW) {
			k = parse_node(p, p->t->kind == T_MUL ? N_STAR : N_STARSTAR);
			p->t++;
			k->a = parse_expression(p);
		} else if (p->t->kind == T_NAME && p->t[1].kind == T_ASSIGN) {
			k = parse_node(p, N_KEYWORD);
			k->name = p->t->name;
			p->t += 2;
			k->a = parse_expression(p);
			named = true;
		} else if (named) {
			parse_unexpected(p, "a named argument");
		} else {
			k = parse_expression(p);
		}
		tail = parse_append(tail, k);
	}
	return first;
}

/* "a, b" up to `close`, as list or tuple. */
static struct node *elements(struct parser *p, enum node_kind kind, enum token_kind close)
{
	struct node *n = parse_node(p, kind), **tail = &n->list;
	while (!parse_accept(p, close)) {
		if (n->list)
			parse_expect(p, T_COMMA, "a comma");
		if (n->list && parse_accept(p, close))
			break;
		tail = parse_append(tail, parse_expression(p));
	}
	return n;
}

static struct node *parenthesis(struct parser *p)
{
	struct node *t = parse_node(p, N_TUPLE), **tail = &t->list;
	if (parse_accept(p, T_RPAREN))
		return t;
	struct node *first = parse_expression(p);
	if (parse_accept(p, T_RPAREN))
		return first;
	tail = parse_append(tail, first);
	while (parse_accept(p, T_COMMA) && p->t->kind != T_RPAREN)
		tail = parse_append(tail, parse_expression(p));
	parse_expect(p, T_RPAREN, "')'");
	return t;
}

static struct node *dictionary(struct parser *p)
{
	struct node *n = parse_node(p, N_DICT), **tail = &n->list;
	while (!parse_accept(p, T_RBRACE)) {
		if (n->list)
			parse_expect(p, T_COMMA, "a comma");
		if (n->list && parse_accept(p, T_RBRACE))
			break;
		struct node *pair = parse_node(p, N_KEYWORD);
		pair->a = parse_expression(p);
		parse_expect(p, T_COLON, "':'");
		pair->b = parse_expression(p);
		tail = parse_append(tail, pair);
	}
	return n;
}

static struct node *name_or_constant(struct parser *p)
{
	struct node *n = parse_node(p, N_CONST);
	const char *s = (p->t++)->name;
	if (!strcmp(s, "true") || !strcmp(s, "True")) {
		n->value = v_bool(true);
	} else if (!strcmp(s, "false") || !strcmp(s, "False")) {
		n->value = v_bool(false);
	} else if (!strcmp(s, "none") || !strcmp(s, "None")) {
		n->value = v_none();
	} else {
		n->kind = N_NAME;
		n->name = s;
		p->flags |= !strcmp(s, "caller")  ? USES_CALLER
			: !strcmp(s, "varargs") ? USES_VARARGS
			: !strcmp(s, "kwargs")  ? USES_KWARGS
						: 0;
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
		n = parse_node(p, N_CONST);
		struct sbuf b = {0};
		do /* strings side by side are one */
			sbuf_str(p->j, &b, (p->t++)->value.s);
		while (p->t->kind == T_STRING);
		n->value = sbuf_value(p->j, &b);
		return n;
	}
	case T_INT:
	case T_FLOAT:
		n = parse_node(p, N_CONST);
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
		parse_unexpected(p, "an expression");
	}
}

static struct node *one_subscript(struct parser *p, struct node *of)
{
	struct node *n = parse_node(p, N_ITEM);
	n->a = of;
	if (p->t->kind != T_COLON)
		n->b = parse_expression(p);
	if (p->t->kind != T_COLON)
		return n;
	n->kind = N_SLICE;
	struct node **part[] = {&n->c, &n->other};
	for (int i = 0; i < 2 && parse_accept(p, T_COLON); i++)
		if (p->t->kind != T_COLON && p->t->kind != T_RBRACKET && p->t->kind != T_COMMA)
			*part[i] = parse_expression(p);
	return n;
}

static struct node *subscript(struct parser *p, struct node *of)
{
	if (p->t->kind == T_RBRACKET) { /* x[]: the key is an empty tuple */
		struct node *none = parse_node(p, N_ITEM);
		none->a = of;
		none->b = parse_node(p, N_TUPLE);
		p->t++;
		return none;
	}
	struct node *n = one_subscript(p, of);
	if (p->t->kind == T_COMMA && n->kind == N_ITEM) { /* x[a, b]: the key is a tuple */
		struct node *t = parse_node(p, N_TUPLE), **tail = parse_append(&t->list, n->b);
		while (parse_accept(p, T_COMMA))
			tail = parse_append(tail, parse_expression(p));
		n->b = t;
	}
	parse_expect(p, T_RBRACKET, "']'");
	return n;
}

/* a.b.c as a name: filters and tests may have dots, none that is known has. */
static const char *dotted_name(struct parser *p)
{
	struct sbuf b = {0};
	sbuf_puts(p->j, &b, parse_name(p));
	while (parse_accept(p, T_DOT)) {
		sbuf_puts(p->j, &b, ".");
		sbuf_puts(p->j, &b, parse_name(p));
	}
	struct value name = sbuf_value(p->j, &b);
	return v_name(p->j, &name);
}

struct node *parse_filter(struct parser *p, struct node *of)
{
	struct node *n = parse_node(p, N_FILTER);
	n->a = of;
	n->name = dotted_name(p);
	if (!p->soft && !p->unknown && !filter_known(n->name))
		p->unknown = n;
	if (parse_accept(p, T_LPAREN))
		n->list = arguments(p);
	return n;
}

static struct node *postfix(struct parser *p, struct node *n);

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
		return !parse_at(p, "else") && !parse_at(p, "or") && !parse_at(p, "and");
	default:
		return false;
	}
}

static struct node *test(struct parser *p, struct node *of)
{
	struct node *n = parse_node(p, N_TEST);
	n->a = of;
	n->op = parse_accept_name(p, "not");
	n->name = dotted_name(p);
	if (!p->soft && !p->unknown && !test_known(n->name))
		p->unknown = n;
	if (parse_accept(p, T_LPAREN)) {
		n->list = arguments(p);
	} else if (starts_test_argument(p)) {
		if (parse_at(p, "is"))
			parse_unexpected(p, "one test only");
		n->list = postfix(p, primary(p));
	}
	return n;
}

static struct node *call(struct parser *p, struct node *n)
{
	struct node *m = parse_node(p, N_CALL);
	p->t++;
	m->a = n;
	m->list = arguments(p);
	return m;
}

static struct node *postfix(struct parser *p, struct node *n)
{
	while (true) {
		struct node *m;
		if (parse_accept(p, T_DOT)) {
			m = parse_node(p, N_ATTR);
			m->a = n;
			if (p->t->kind == T_INT) {
				m->kind = N_ITEM;
				m->b = primary(p);
			} else {
				m->name = parse_name(p);
			}
		} else if (parse_accept(p, T_LBRACKET)) {
			m = subscript(p, n);
		} else if (p->t->kind == T_LPAREN) {
			m = call(p, n);
		} else {
			return n;
		}
		n = m;
	}
}

static struct node *filters(struct parser *p, struct node *n)
{
	while (true) {
		if (parse_accept(p, T_PIPE))
			n = parse_filter(p, n);
		else if (parse_accept_name(p, "is"))
			n = test(p, n);
		else if (p->t->kind == T_LPAREN) /* a call of what a filter gave */
			n = call(p, n);
		else
			return n;
	}
}

static struct node *unary(struct parser *p, bool with_filter)
{
	struct node *n;
	parse_enter(p);
	if (p->t->kind == T_SUB || p->t->kind == T_ADD) {
		n = parse_node(p, p->t->kind == T_SUB ? N_NEG : N_POS);
		p->t++;
		n->a = unary(p, false);
	} else {
		n = primary(p);
	}
	n = postfix(p, n);
	p->j->depth--;
	return with_filter ? filters(p, n) : n;
}

static struct node *binary(struct parser *p, int op, struct node *a, struct node *b)
{
	struct node *n = parse_node(p, N_BINARY);
	n->op = op;
	n->a = a;
	n->b = b;
	return n;
}

static struct node *power(struct parser *p)
{
	struct node *n = unary(p, true);
	while (parse_accept(p, T_POW))
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
	while (parse_accept(p, T_TILDE))
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
	if (parse_accept_name(p, "in"))
		return T_IN;
	if (parse_at(p, "not") && p->t[1].kind == T_NAME && !strcmp(p->t[1].name, "in")) {
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
			n = parse_node(p, N_COMPARE);
			n->a = first;
			tail = &n->list;
		}
		struct node *part = parse_node(p, N_COMPARE);
		part->op = op;
		part->a = sum(p);
		tail = parse_append(tail, part);
	}
	return n ? n : first;
}

static struct node *negation(struct parser *p)
{
	if (!parse_at(p, "not"))
		return compare(p);
	parse_enter(p);
	struct node *n = parse_node(p, N_NOT);
	p->t++;
	n->a = negation(p);
	p->j->depth--;
	return n;
}

static struct node *conjunction(struct parser *p)
{
	struct node *n = negation(p);
	while (parse_at(p, "and")) {
		struct node *m = parse_node(p, N_AND);
		p->t++;
		m->a = n;
		m->b = negation(p);
		n = m;
	}
	return n;
}

/* no "a if b" */
static struct node *parse_disjunction(struct parser *p)
{
	struct node *n = conjunction(p);
	while (parse_at(p, "or")) {
		struct node *m = parse_node(p, N_OR);
		p->t++;
		m->a = n;
		m->b = conjunction(p);
		n = m;
	}
	return n;
}

struct node *parse_expression(struct parser *p)
{
	parse_enter(p);
	struct token *begin = p->t;
	const struct node *unknown = p->unknown;
	struct node *n = parse_disjunction(p);
	if (parse_at(p, "if") && !p->soft) { /* read again: what a condition guards may be unknown */
		p->t = begin;
		p->unknown = unknown;
		p->soft++;
		n = parse_expression(p);
		p->soft--;
		p->j->depth--;
		return n;
	}
	while (parse_at(p, "if")) {
		struct node *m = parse_node(p, N_TERNARY);
		p->t++;
		m->b = n;
		m->a = parse_disjunction(p);
		if (parse_accept_name(p, "else"))
			m->c = parse_expression(p);
		n = m;
	}
	p->j->depth--;
	return n;
}

struct node *parse_tuple(struct parser *p, bool conditions)
{
	struct node *n = conditions ? parse_expression(p) : parse_disjunction(p);
	if (p->t->kind != T_COMMA)
		return n;
	struct node *t = parse_node(p, N_TUPLE), **tail = parse_append(&t->list, n);
	while (parse_accept(p, T_COMMA) && p->t->kind != T_BLOCK_END && p->t->kind != T_VAR_END &&
		!parse_at(p, "recursive"))
		tail = parse_append(tail, conditions ? parse_expression(p) : parse_disjunction(p));
	return t;
}
