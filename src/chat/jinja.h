/* The inside of the template engine: tokens, syntax tree, values. Private to chat/. */
#ifndef AIRLCHAT_CHAT_JINJA_H
#define AIRLCHAT_CHAT_JINJA_H

#include <setjmp.h>

#include "base/json.h"
#include "chat/template.h"

/* --- memory: everything of a template or a rendering lives in one arena --- */

struct block;
struct arena {
	struct block *blocks;
	size_t used, limit; /* bytes */
};

/* A failure anywhere leaves through `fail`: the only exit besides success, so that the evaluator reads
 * like its grammar. Nothing but arena memory is held between setjmp and longjmp. */
struct jinja {
	struct arena arena;
	struct err *e;
	jmp_buf fail;
	int line;
	uint64_t steps;
	int depth;
};

void *jinja_alloc(struct jinja *j, size_t bytes); /* zeroed; never NULL */
_Noreturn void jinja_fail(struct jinja *j, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void arena_clear(struct arena *a);

/* --- values --- */

enum vtype { V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_FLOAT, V_STR, V_LIST, V_TUPLE, V_DICT, V_NAMESPACE,
	V_MACRO, V_FUNCTION, V_METHOD, V_LOOP };

struct str { /* bytes and their origins, side by side */
	const char *p;
	const uint8_t *m;
	size_t len;
};

struct value {
	enum vtype type;
	union {
		bool b;
		int64_t i;
		double f;
		struct str s;
		struct list *list;
		struct dict *dict; /* dict, namespace */
		struct macro *macro;
		int function;	   /* enum global_function */
		struct method *method;
		struct loop *loop;
	};
};

struct list {
	struct value *p;
	size_t n, cap;
};

struct pair {
	struct value key, value;
};

struct dict { /* in order of insertion */
	struct pair *p;
	size_t n, cap;
};

struct method { /* obj.name, waiting for its call */
	struct value self;
	const char *name;
};

enum global_function { FN_RAISE, FN_NAMESPACE, FN_RANGE, FN_STRFTIME, FN_DICT };

struct value v_none(void);
struct value v_bool(bool b);
struct value v_int(int64_t i);
struct value v_float(double f);
struct value v_undefined(void);
struct value v_literal(struct jinja *j, const char *s); /* template text */
struct value v_bytes(struct jinja *j, const char *p, size_t len, bool user); /* copied */
struct value v_list(struct jinja *j, enum vtype list_or_tuple);
struct value v_dict(struct jinja *j);
void list_add(struct jinja *j, struct value *l, struct value x);
void dict_set(struct jinja *j, struct dict *d, struct value key, struct value x);
struct value *dict_get(const struct dict *d, const struct value *key);
struct value *dict_get_str(const struct dict *d, const char *key);

bool v_truth(const struct value *v);
bool v_equal(const struct value *a, const struct value *b);
int v_compare(struct jinja *j, const struct value *a, const struct value *b);
bool v_contains(struct jinja *j, const struct value *in, const struct value *x);
struct value v_str(struct jinja *j, const struct value *v); /* str(v); a string is itself */
struct value v_iter(struct jinja *j, const struct value *v); /* a list of what it yields */
size_t v_length(struct jinja *j, const struct value *v);
bool is_number(const struct value *v);
double to_double(const struct value *v);
const char *v_type_name(const struct value *v);
bool str_is(const struct value *v, const char *s);

/* Growing strings with origins. */
struct sbuf {
	char *p;
	uint8_t *m;
	size_t len, cap;
};
void sbuf_add(struct jinja *j, struct sbuf *b, const char *p, const uint8_t *m, size_t len, bool user);
void sbuf_str(struct jinja *j, struct sbuf *b, struct str s);
void sbuf_puts(struct jinja *j, struct sbuf *b, const char *s);
struct value sbuf_value(struct jinja *j, struct sbuf *b);

/* --- syntax tree --- */

enum node_kind {
	N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT, N_ATTR, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, N_NOT,
	N_NEG, N_POS, N_BINARY, N_COMPARE, N_AND, N_OR, N_TERNARY, N_KEYWORD,
	N_TEXT, N_PRINT, N_IF, N_FOR, N_SET, N_SET_BLOCK, N_MACRO, N_CALL_BLOCK, N_FILTER_BLOCK, N_BLOCK,
	N_BREAK, N_CONTINUE
};

struct node {
	enum node_kind kind;
	int line;
	int op;			/* N_BINARY, N_COMPARE: a token kind; N_TEST: 1 when negated */
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

struct token *jinja_lex(struct jinja *j, const char *src, size_t len); /* ends with T_END */
struct node *jinja_parse(struct jinja *j, struct token *t);

/* --- evaluation --- */

struct args {
	struct value *p;
	size_t n;
	struct dict *kw; /* may be NULL */
};

/* Argument i, or keyword `name`; NULL if absent. */
const struct value *arg(const struct args *a, size_t i, const char *name);

struct eval;
struct value eval_filter(struct eval *ev, const char *name, struct value in, const struct args *a);
bool eval_test(struct eval *ev, const char *name, const struct value *in, const struct args *a);
struct value eval_method(struct eval *ev, const struct method *m, const struct args *a);
struct value eval_attr(struct jinja *j, const struct value *v, const struct value *key, bool attr_first);
void value_tojson(struct jinja *j, struct sbuf *out, const struct value *v, const struct args *a, int depth);
struct value json_value(struct jinja *j, struct json_reader *r, bool user);

struct eval {
	struct jinja *j;
	struct frame *frame;
	struct sbuf *out;
	int64_t now;
	int flow; /* 0, or N_BREAK / N_CONTINUE on its way to the loop */
};

#endif
