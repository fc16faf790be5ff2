#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/chars.h"

#define PATTERN_LIMIT 65536
#define MATCH_LIMIT 50000000
#define DEPTH_LIMIT 1000000
#define HEAP_LIMIT_KIB (64 << 10)
#define JIT_STACK_MAX (64 << 20) /* address space; taken only by long runs of odd patterns */

struct regex {
	pcre2_code *code; /* NULL: a literal */
	bool jit;
	char *literal;
	size_t len;
};

struct regex_work {
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
};

static int compile(struct regex *re, const char *pattern, size_t len, struct err *e)
{
	struct buf text = BUF_INIT;
	int code;
	PCRE2_SIZE at;
	if (regex_translate(pattern, len, &text, e) < 0) {
		buf_clear(&text);
		return -1;
	}
	pcre2_compile_context *cc = pcre2_compile_context_create(NULL);
	if (cc) {
		pcre2_set_newline(cc, PCRE2_NEWLINE_LF);
		pcre2_set_parens_nest_limit(cc, 100);
		re->code = pcre2_compile((PCRE2_SPTR)buf_str(&text), text.len,
			PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code,
			&at, cc);
	}
	pcre2_compile_context_free(cc);
	buf_clear(&text);
	if (!cc)
		return err_nomem(e);
	if (!re->code) {
		char why[128];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
		return err_set(e, ERR_FORMAT, "the pattern \"%.*s\" is not valid: %s",
			(int)(len < 60 ? len : 60), pattern, why);
	}
	re->jit = pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0;
	return 0;
}

struct regex *regex_new(const char *pattern, size_t len, bool literal, struct err *e)
{
	if (len > PATTERN_LIMIT) {
		err_set(e, ERR_LIMIT, "a pattern of %zu bytes is too long", len);
		return NULL;
	}
	if (!utf8_valid(pattern, len)) {
		err_set(e, ERR_FORMAT, "a pattern is not valid UTF-8");
		return NULL;
	}
	struct regex *re = calloc(1, sizeof(*re));
	if (re && literal && len) {
		re->len = len;
		re->literal = malloc(len);
		if (re->literal)
			memcpy(re->literal, pattern, len);
	}
	if (!re || (literal && len && !re->literal)) {
		regex_free(re);
		err_nomem(e);
		return NULL;
	}
	if (!re->literal && compile(re, pattern, len, e) < 0) {
		regex_free(re);
		return NULL;
	}
	return re;
}

void regex_free(struct regex *re)
{
	if (!re)
		return;
	pcre2_code_free(re->code);
	free(re->literal);
	free(re);
}

struct regex_work *regex_work_new(struct err *e)
{
	struct regex_work *w = calloc(1, sizeof(*w));
	if (w) {
		w->context = pcre2_match_context_create(NULL);
		w->data = pcre2_match_data_create(16, NULL);
	}
	if (!w || !w->context || !w->data) {
		regex_work_free(w);
		err_nomem(e);
		return NULL;
	}
	pcre2_set_match_limit(w->context, MATCH_LIMIT);
	pcre2_set_depth_limit(w->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(w->context, HEAP_LIMIT_KIB);
	return w;
}

void regex_work_free(struct regex_work *w)
{
	if (!w)
		return;
	pcre2_jit_stack_free(w->stack);
	pcre2_match_data_free(w->data);
	pcre2_match_context_free(w->context);
	free(w);
}

void regex_begin(struct regex_iter *it, const struct regex *re, const char *text, size_t len)
{
	*it = (struct regex_iter){.re = re, .text = text, .len = len};
}

/* Compiled code first; where its small stack is too small, a larger one, then the interpreter,
 * whose memory is on the heap. */
static int match(
	const struct regex *re, struct regex_work *w, const char *text, size_t len, size_t pos)
{
	PCRE2_SPTR s = (PCRE2_SPTR)text;
	int n = PCRE2_ERROR_JIT_STACKLIMIT;
	if (re->jit)
		n = pcre2_jit_match(re->code, s, len, pos, PCRE2_NO_UTF_CHECK, w->data, w->context);
	if (re->jit && n == PCRE2_ERROR_JIT_STACKLIMIT && !w->stack) {
		w->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_MAX, NULL);
		if (w->stack)
			pcre2_jit_stack_assign(w->context, NULL, w->stack);
		n = pcre2_jit_match(re->code, s, len, pos, PCRE2_NO_UTF_CHECK, w->data, w->context);
	}
	if (n == PCRE2_ERROR_JIT_STACKLIMIT)
		n = pcre2_match(re->code, s, len, pos, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, w->data,
			w->context);
	return n;
}

static int next_literal(struct regex_iter *it, size_t *start, size_t *end)
{
	const struct regex *re = it->re;
	const char *from = it->text + it->pos, *hit;
	size_t left = it->len - it->pos;
	hit = re->len == 1 ? memchr(from, *re->literal, left)
			   : memmem(from, left, re->literal, re->len);
	if (!hit)
		return 0;
	*start = (size_t)(hit - it->text);
	*end = it->pos = *start + re->len;
	return 1;
}

int regex_next(
	struct regex_iter *it, struct regex_work *w, size_t *start, size_t *end, struct err *e)
{
	if (it->re->literal)
		return next_literal(it, start, end);
	while (it->pos <= it->len) {
		int n = match(it->re, w, it->text, it->len, it->pos);
		if (n == PCRE2_ERROR_NOMATCH)
			return 0;
		if (n < 0) {
			char why[128];
			pcre2_get_error_message(n, (PCRE2_UCHAR *)why, sizeof(why));
			return err_set(e, ERR_LIMIT,
				"a pattern of the tokenizer is too expensive on this text: %s",
				why);
		}
		const PCRE2_SIZE *o = pcre2_get_ovector_pointer(w->data);
		*start = o[0] < o[1] ? o[0] : o[1];
		*end = o[1];
		if (*start == *end && it->has_last && it->last_end == *end) {
			it->pos += it->pos < it->len ? char_len(it->text + it->pos) : 1;
			continue;
		}
		it->pos = it->last_end = *end;
		it->has_last = true;
		return 1;
	}
	return 0;
}
