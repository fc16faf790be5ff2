/* The inside of the template engine: memory, failure, values. Private to chat/. */
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
#define JINJA_STEPS 20000000u /* of one rendering */

void *jinja_alloc(struct jinja *j, size_t bytes); /* zeroed; never NULL */
_Noreturn void jinja_fail(struct jinja *j, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void jinja_work(struct jinja *j, uint64_t steps); /* counts, and fails when it was too much */
void arena_clear(struct arena *a);

/* --- values, as Python has them --- */

enum vtype { V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_BIG, V_FLOAT, V_STR, V_LIST, V_TUPLE, V_GENERATOR, V_VIEW,
	V_RANGE, V_DICT, V_NAMESPACE, V_MACRO, V_FUNCTION, V_METHOD, V_LOOP, V_CYCLER, V_JOINER };

struct str { /* bytes and their origins, side by side */
	const char *p;
	const uint8_t *m;
	size_t len;
	bool safe; /* a Markup: what is joined with it gets escaped */
};

struct value {
	enum vtype type;
	union {
		bool b;
		int64_t i;
		double f;
		const char *name;  /* V_UNDEFINED: of what, or NULL */
		const struct big *big;
		struct str s;
		struct list *list; /* V_LIST to V_RANGE; V_CYCLER, V_JOINER: what they give */
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
	size_t taken;	  /* of a generator: gone; of a cycler: position; of a joiner: used */
	bool broken;	  /* a generator that fails when it is used: it is over no sequence */
	const char *what; /* how Python prints it: "dict_items", "range(0, 3)"; a group of groupby: "group" */
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

enum global_function { FN_RAISE, FN_NAMESPACE, FN_RANGE, FN_STRFTIME, FN_DICT, FN_CYCLER, FN_JOINER, FN_LIPSUM };

struct value v_none(void);
struct value v_bool(bool b);
struct value v_int(int64_t i);
struct value v_float(double f);
struct value v_undefined(const char *name);
struct value v_literal(struct jinja *j, const char *s); /* template text */
struct value v_bytes(struct jinja *j, const char *p, size_t len, bool user); /* copied */
struct value v_of(struct str s);
struct value v_list(struct jinja *j, enum vtype type);
struct value v_dict(struct jinja *j);
void list_add(struct jinja *j, struct value *l, struct value x);
void dict_set(struct jinja *j, struct dict *d, struct value key, struct value x);
struct value *dict_get(const struct dict *d, const struct value *key);
struct value *dict_get_str(const struct dict *d, const char *key);

bool v_truth(const struct value *v);
bool v_equal(const struct value *a, const struct value *b);
int v_compare(struct jinja *j, const struct value *a, const struct value *b); /* NaN: 2 */
bool v_contains(struct jinja *j, const struct value *in, const struct value *x);
struct value v_iter(struct jinja *j, const struct value *v); /* a list of what it yields; uses up generators */
size_t v_length(struct jinja *j, const struct value *v);
bool v_hashable(const struct value *v);
bool is_number(const struct value *v);
bool is_int(const struct value *v); /* bool, int of any size */
bool is_sequence(const struct value *v); /* list, tuple, range: has items by number */
bool is_iterable(const struct value *v);
double to_double(const struct value *v);
int64_t to_int(struct jinja *j, const struct value *v, const char *what); /* fails unless an int that fits */
const char *v_type_name(const struct value *v);
bool str_is(const struct value *v, const char *s);
char *v_name(struct jinja *j, const struct value *v); /* a string as a terminated name */

/* --- numbers of any size --- */

struct value number_parse(struct jinja *j, const char *digits, size_t len, int base); /* an int */
struct value number_op(struct jinja *j, int op, const struct value *a, const struct value *b); /* T_ADD ... */
int number_compare(const struct value *a, const struct value *b); /* -1, 0, 1; 2: a NaN */
const char *number_text(struct jinja *j, const struct value *v); /* an int, in decimal */
double big_to_double(const struct big *b);
struct value number_from_double(struct jinja *j, double whole);

/* --- strings with origins --- */

struct sbuf {
	char *p;
	uint8_t *m;
	size_t len, cap;
};
void sbuf_add(struct jinja *j, struct sbuf *b, const char *p, const uint8_t *m, size_t len, bool user);
void sbuf_str(struct jinja *j, struct sbuf *b, struct str s);
void sbuf_puts(struct jinja *j, struct sbuf *b, const char *s);
void sbuf_fill(struct jinja *j, struct sbuf *b, const char *c, size_t n); /* n times */
void sbuf_escaped(struct jinja *j, struct sbuf *b, struct str s); /* HTML, unless it is safe */
struct value sbuf_value(struct jinja *j, struct sbuf *b);

struct value v_str(struct jinja *j, const struct value *v); /* str(v); a string is itself */
struct value v_plain(struct jinja *j, const struct value *v); /* the same, never a Markup */
struct value v_repr(struct jinja *j, const struct value *v, bool ascii);
void float_repr(char out[40], double f);

#endif
