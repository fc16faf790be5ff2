/* Evaluation. Private to chat/. */
#ifndef AIRLCHAT_CHAT_JINJA_RUN_H
#define AIRLCHAT_CHAT_JINJA_RUN_H

#include "chat/jinja_syntax.h"

struct args {
	struct value *p;
	size_t n;
	struct dict *kw; /* may be NULL */
};

struct var {
	const char *name;
	struct value value;
	struct var *next;
};

struct frame { /* in the arena: macros outlive the scope that made them */
	struct var *vars;
	struct frame *up;
	struct var *spare; /* memory of variables of earlier rounds of a loop */
	bool captured;	   /* a macro refers to it: no round may use it again */
};

struct macro {
	const struct node *node; /* N_MACRO or N_CALL_BLOCK (a caller) */
	struct frame *defined_in;
};

struct loop {
	struct value items;
	size_t index; /* from 0 */
	int depth;
	const struct node *node; /* of a recursive loop */
	struct frame *outer;
	struct value *changed;	 /* what loop.changed saw last */
};

struct eval {
	struct jinja *j;
	struct frame *frame, *top;
	struct sbuf *out;
	int64_t now;
	int flow; /* 0, or N_BREAK / N_CONTINUE on its way to the loop */
};

/* Expressions and statements. */
struct value eval(struct eval *ev, const struct node *n);
void run(struct eval *ev, const struct node *n);
void run_for(struct eval *ev, const struct node *n, const struct value *in, struct frame *outer, int depth);
struct args eval_args(struct eval *ev, const struct node *list);
struct value eval_call(struct eval *ev, const struct value *f, const struct args *a);
struct value eval_binary(struct eval *ev, int op, const struct value *a, const struct value *b);
struct value eval_attr(struct jinja *j, const struct value *v, const struct value *key, bool attr_first);
struct value capture(struct eval *ev, const struct node *body);
void eval_enter(struct eval *ev);
void set_var(struct eval *ev, const char *name, struct value x);
struct frame *push_frame(struct eval *ev, struct frame *up);
bool global_function(const char *name, enum global_function *f);

/* Argument i, or keyword `name`; NULL if absent. */
const struct value *arg(const struct args *a, size_t i, const char *name);
bool arg_flag(const struct args *a, size_t i, const char *name);
int64_t arg_int(struct jinja *j, const struct args *a, size_t i, const char *name, int64_t fallback);

/* Filters and tests; *_known also serves the parser. */
typedef struct value (*filter_fn)(struct eval *ev, struct value in, const struct args *a);
struct filter {
	const char *name;
	filter_fn f;
};
extern const struct filter sequence_filters[], text_filters[], value_filters[]; /* end with NULL */
bool filter_known(const char *name);
bool test_known(const char *name);
struct value eval_filter(struct eval *ev, const char *name, struct value in, const struct args *a);
bool eval_test(struct eval *ev, const char *name, const struct value *in, const struct args *a);

/* Methods of Python's types. */
bool method_known(const struct value *v, const char *name, bool *allowed);
struct value eval_method(struct eval *ev, const struct method *m, const struct args *a);
struct value string_method(struct eval *ev, struct str s, const char *name, const struct args *a);
struct value string_call(struct eval *ev, struct value s, const char *name); /* without arguments */
struct value string_pad(struct jinja *j, struct str s, size_t width, struct str fill, char align); /* < > ^ c */
struct value string_iter_lines(struct jinja *j, struct str s, bool keep_ends);
bool py_is_space(uint32_t cp);
bool py_is_printable(uint32_t cp);
size_t str_chars(struct str s);
struct str str_piece(struct str s, size_t from, size_t to);

/* Formatting: "..." % x, "...".format(), and numbers by a specification. */
struct value format_percent(struct eval *ev, const struct value *s, const struct value *x);
struct value format_braces(struct eval *ev, struct str s, const struct args *a);
struct value format_time(struct eval *ev, const struct value *format);

void value_tojson(struct jinja *j, struct sbuf *out, const struct value *v, const struct args *a);
struct value json_value(struct jinja *j, struct json_reader *r, bool user);

#endif
