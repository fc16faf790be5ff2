/* Pre-tokenizers: cut text into pre-tokens, step by step. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_PRETOKENIZER_H
#define AIRLCHAT_TOKENIZER_PRETOKENIZER_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum split_behavior { SPLIT_ISOLATED, SPLIT_REMOVED, SPLIT_MERGED_PREVIOUS, SPLIT_MERGED_NEXT,
	SPLIT_CONTIGUOUS };

struct split {
	pcre2_code *code;
	enum split_behavior behavior;
	bool invert;
};

struct pretokenizer {
	struct split splits[16];
	size_t n;
	bool prefix_space; /* put a space in front of a text that has none */
};

struct piece {
	size_t start, len;
};

struct pieces {
	struct piece *p;
	size_t n, cap;
};

/* `\s` in these patterns means the 25 code points of Unicode White_Space. literal: no pattern, but
 * text to be found. */
int pretokenizer_add(struct pretokenizer *t, const char *pattern, size_t len, bool literal,
	enum split_behavior b, bool invert, struct err *e);
void pretokenizer_clear(struct pretokenizer *t);

/* Append the pieces of text[0..len), which must be valid UTF-8. */
int pretokenizer_run(const struct pretokenizer *t, const char *text, size_t len, struct pieces *out,
	struct err *e);
void pieces_clear(struct pieces *p);

#define PATTERN_GPT2                                                                                       \
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

#endif
