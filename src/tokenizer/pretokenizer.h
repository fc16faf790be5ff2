/* Pre-tokenizers: cut text into pieces, step by step; some rewrite it too. Private to tokenizer/.
 */
#ifndef AIRLCHAT_TOKENIZER_PRETOKENIZER_H
#define AIRLCHAT_TOKENIZER_PRETOKENIZER_H

#include "base/err.h"
#include "tokenizer/ntext.h"
#include "tokenizer/regex.h"

#define PRE_STEPS 32

enum split_behavior {
	SPLIT_ISOLATED,
	SPLIT_REMOVED,
	SPLIT_MERGED_PREVIOUS,
	SPLIT_MERGED_NEXT,
	SPLIT_CONTIGUOUS
};

enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

enum pre_kind {
	PRE_SPLIT,
	PRE_BYTE_LEVEL,
	PRE_METASPACE,
	PRE_DIGITS,
	PRE_PUNCTUATION,
	PRE_WHITESPACE,
	PRE_WHITESPACE_SPLIT,
	PRE_DELIMITER,
	PRE_FIXED
};

struct pre_step {
	enum pre_kind kind;
	struct regex *re; /* SPLIT; BYTE_LEVEL with use_regex */
	enum split_behavior behavior;
	bool invert;
	bool prefix_space;           /* BYTE_LEVEL */
	enum prepend_scheme prepend; /* METASPACE */
	bool split;                  /* METASPACE */
	uint32_t ch;                 /* METASPACE: the replacement; DELIMITER */
	size_t length;               /* FIXED */
};

struct pretokenizer {
	struct pre_step steps[PRE_STEPS];
	size_t n;
};

struct pieces {
	struct piece {
		size_t start, len;
	} * p;
	size_t n, cap;
};

/* GPT-2's pattern, the one of ByteLevel. */
extern const char pattern_gpt2[];

void pretokenizer_clear(struct pretokenizer *t);
/* Append a step and return it, zeroed but for its kind; NULL when there are too many. */
struct pre_step *pretokenizer_add(struct pretokenizer *t, enum pre_kind kind, struct err *e);
/* Append a Split, isolated. */
int pretokenizer_add_split(struct pretokenizer *t, const char *pattern, struct err *e);
int pretokenizer_add_byte_level(
	struct pretokenizer *t, bool prefix_space, bool use_regex, struct err *e);
/* Append a cut wherever the script changes. */
int pretokenizer_add_scripts(struct pretokenizer *t, struct err *e);

/* Cut t, which the steps may rewrite (tmp and spare are scratch), into pieces of its text. */
int pretokenizer_run(const struct pretokenizer *t, struct ntext *text, struct ntext *tmp,
	struct pieces *pieces, struct pieces *spare, struct regex_work *work, struct err *e);
void pieces_clear(struct pieces *p);

#endif
