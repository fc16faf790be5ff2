/* Tokens and the syntax tree of a template. Private to chat/. */
#ifndef AIRLCHAT_CHAT_JINJA_SYNTAX_H
#define AIRLCHAT_CHAT_JINJA_SYNTAX_H

#include "chat/jinja.h"

enum node_kind {
	N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT, N_ATTR, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, N_NOT,
	N_NEG, N_POS, N_BINARY, N_COMPARE, N_AND, N_OR, N_TERNARY, N_KEYWORD, N_STAR, N_STARSTAR,
	N_TEXT, N_PRINT, N_IF, N_FOR, N_SET, N_SET_BLOCK, N_MACRO, N_CALL_BLOCK, N_FILTER_BLOCK, N_SCOPE,
	N_WITH, N_REFUSED, N_BREAK, N_CONTINUE
};

enum macro_flags { USES_CALLER = 1, USES_VARARGS = 2, USES_KWARGS = 4 };

struct node {
	enum node_kind kind;
	int line;
	int op;			/* N_BINARY, N_COMPARE: a token kind; N_TEST: 1 when negated; N_FOR: 1 when
				 * recursive; N_MACRO, N_CALL_BLOCK: enum macro_flags; N_SCOPE: 1 when a block */
	const char *name;	/* names, attributes, filters, keywords */
	struct value value;	/* constants, text */
	struct node *a, *b, *c; /* operands */
	struct node *body, *other; /* statement lists */
	struct node *list;	/* first of elements, arguments, targets */
	struct node *next;	/* in a list */
};

enum token_kind {
	T_END, T_TEXT, T_VAR_BEGIN, T_VAR_END, T_BLOCK_BEGIN, T_BLOCK_END, T_NAME, T_INT, T_FLOAT, T_STRING,
	T_ADD, T_SUB, T_MUL, T_DIV, T_FLOORDIV, T_MOD, T_POW, T_TILDE, T_EQ, T_NE, T_LT, T_GT, T_LE, T_GE,
	T_ASSIGN, T_PIPE, T_DOT, T_COMMA, T_COLON, T_LPAREN, T_RPAREN, T_LBRACKET, T_RBRACKET, T_LBRACE,
	T_RBRACE, T_IN, T_NOTIN
};

struct token {
	enum token_kind kind;
	int line;
	struct value value; /* numbers, strings, text */
	const char *name;
};

struct parser {
	struct jinja *j;
	struct token *t;
	int flags; /* enum macro_flags, of the names read so far */
	int soft;  /* inside a condition: an unknown filter fails only when it is met */
	const struct node *unknown; /* the first unknown filter or test that is not guarded */
	int loops; /* around the present statement */
	int fors;  /* the same, across macros and blocks: there "loop" is no target */
};

struct token *jinja_lex(struct jinja *j, const char *src, size_t len); /* ends with T_END */
struct node *jinja_parse(struct jinja *j, struct token *t);

/* Shared by the two halves of the parser. */
struct node *parse_expression(struct parser *p);
struct node *parse_tuple(struct parser *p, bool conditions); /* "a, b" without parentheses */
struct node *parse_filter(struct parser *p, struct node *of);
struct node *parse_node(struct parser *p, enum node_kind kind);
struct node **parse_append(struct node **tail, struct node *n);
_Noreturn void parse_unexpected(struct parser *p, const char *wanted);
bool parse_at(const struct parser *p, const char *name);
bool parse_accept(struct parser *p, enum token_kind kind);
bool parse_accept_name(struct parser *p, const char *name);
void parse_expect(struct parser *p, enum token_kind kind, const char *wanted);
const char *parse_name(struct parser *p);
void parse_enter(struct parser *p);

#endif
