/* Decoders: tokens to text, step by step. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_DECODER_H
#define AIRLCHAT_TOKENIZER_DECODER_H

#include "base/buf.h"
#include "base/err.h"
#include "tokenizer/regex.h"

#define DEC_STEPS 32

enum dec_kind {
	DEC_BYTE_LEVEL,
	DEC_METASPACE,
	DEC_BYTE_FALLBACK,
	DEC_FUSE,
	DEC_STRIP,
	DEC_REPLACE,
	DEC_BPE,
	DEC_WORDPIECE,
	DEC_CTC
};

struct dec_step {
	enum dec_kind kind;
	struct regex *re; /* REPLACE */
	char *text;       /* REPLACE: with; BPE: suffix; WORDPIECE: prefix; CTC: padding */
	size_t len;
	char *delimiter;    /* CTC */
	uint32_t ch;        /* METASPACE, STRIP */
	size_t start, stop; /* STRIP */
	bool flag;          /* METASPACE: drops leading ones; WORDPIECE, CTC: cleans up */
};

struct decoder {
	struct dec_step steps[DEC_STEPS];
	size_t n;
	bool none; /* no decoder: tokens are joined by spaces */
};

struct tokens { /* a list of strings */
	struct buf bytes;
	size_t *end; /* [n] into bytes */
	size_t n, cap;
};

void decoder_clear(struct decoder *d);
struct dec_step *decoder_add(struct decoder *d, enum dec_kind kind, struct err *e);
struct dec_step *decoder_add_text(
	struct decoder *d, enum dec_kind kind, const char *text, size_t len, struct err *e);
/* Replace one text by another. */
int decoder_add_replace(struct decoder *d, const char *from, const char *to, struct err *e);

void tokens_clear(struct tokens *t);
int tokens_end(struct tokens *t, struct err *e); /* what was added to bytes is one more token */

/* Append the text of the tokens, which are used up. */
int decoder_run(const struct decoder *d, struct tokens *t, struct buf *out, struct err *e);

#endif
