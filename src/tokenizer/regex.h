/* Regular expressions of tokenizer.json. They are written for Oniguruma; PCRE2 runs them after a
 * translation of what the two understand differently. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_REGEX_H
#define AIRLCHAT_TOKENIZER_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct regex; /* a pattern, compiled; read-only once made */

/* literal: text to be found, no pattern. NULL with e set when it is not valid or not supported. */
struct regex *regex_new(const char *pattern, size_t len, bool literal, struct err *e);
void regex_free(struct regex *re); /* NULL is fine */

/* All matches of one text, in order. Empty ones count, but not directly behind another match. */
struct regex_iter {
	const struct regex *re;
	const char *text;
	size_t len, pos, last_end;
	bool has_last;
};

/* Memory for matching, for one thread; reused from text to text. */
struct regex_work;
struct regex_work *regex_work_new(struct err *e);
void regex_work_free(struct regex_work *w);

void regex_begin(struct regex_iter *it, const struct regex *re, const char *text, size_t len);
/* 1 and the match, 0 at the end, -1 with e set when the pattern is too expensive on this text. */
int regex_next(
	struct regex_iter *it, struct regex_work *w, size_t *start, size_t *end, struct err *e);

/* Oniguruma's syntax (p[0..len)) in PCRE2's, appended to out. */
int regex_translate(const char *p, size_t len, struct buf *out, struct err *e);

#endif
