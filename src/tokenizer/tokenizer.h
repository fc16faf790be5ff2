/* Tokenizers as models publish them: tokenizer.json of Hugging Face `tokenizers`, or the
 * tokenizer.ggml.* metadata of a GGUF file. The oracle for ids is `tokenizers` to the letter.
 *
 * A tokenizer is read-only after opening and may be used by several threads at once, each encode or
 * decode with buffers of its own. */
#ifndef AIRLCHAT_TOKENIZER_TOKENIZER_H
#define AIRLCHAT_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/checkpoint.h"

struct tokenizer;

struct ids { /* a growing array of token ids; clear with ids_clear */
	uint32_t *p;
	size_t len, cap;
};

void ids_clear(struct ids *ids);
int ids_add(struct ids *ids, uint32_t id, struct err *e);

/* A piece of text and where it came from. In text from a user, special tokens ("<|im_end|>") are
 * plain text; in text from a template they are tokens. An added token matches only if every byte of
 * it is template text. (Normal added tokens, special = false, match in both.) */
struct tok_span {
	const char *p;
	size_t len;
	bool user;
};

enum tok_flags {
	TOK_ADD_SPECIAL = 1, /* what the post-processor adds: BOS, EOS ... */
};

/* From tokenizer.json (+ tokenizer_config.json if it is there) in c->dir, or from c->gguf.
 * On failure *out is NULL and e names the file and what is missing or not supported. */
int tokenizer_open(struct tokenizer **out, const struct checkpoint *c, struct err *e);
void tokenizer_close(struct tokenizer *t); /* NULL is fine */

/* Append the ids of the spans, which are one text. Ill-formed UTF-8 counts as U+FFFD. */
int tokenizer_encode(const struct tokenizer *t, const struct tok_span *spans, size_t n_spans,
	unsigned flags, struct ids *out, struct err *e);

/* Append the text of ids (the decoder of tokenizer.json; always valid UTF-8). Ids without a token have
 * no text, as in `tokenizers`: a model may have more rows than its tokenizer has tokens. */
int tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, bool skip_special,
	struct buf *out, struct err *e);

/* Streaming decode: text comes as soon as it can't change any more; half a character is held back.
 * The concatenation of all pieces, with the flush at the end, equals tokenizer_decode, but where a bad
 * byte takes back good ones before it: there the good ones were shown. */
struct tok_stream {
	const struct tokenizer *t; /* borrowed */
	bool skip_special;
	struct ids ids;    /* the last ids: those given out last and those held back */
	size_t known;      /* how many of them are given out */
	struct buf prefix; /* the text of those */
};

void tok_stream_init(struct tok_stream *s, const struct tokenizer *t, bool skip_special);
void tok_stream_clear(struct tok_stream *s);
int tok_stream_push(struct tok_stream *s, uint32_t id, struct buf *out, struct err *e);
int tok_stream_flush(struct tok_stream *s, struct buf *out, struct err *e); /* what was held back */

size_t tokenizer_vocab_size(const struct tokenizer *t); /* highest id + 1, added tokens included */
/* The content of token id (an added token's text, else the vocabulary entry); *len its bytes. NULL
 * if there is none. Borrowed. */
const char *tokenizer_token(const struct tokenizer *t, uint32_t id, size_t *len);
bool tokenizer_is_special(const struct tokenizer *t, uint32_t id);
/* Id of the token with exactly this content, or -1. */
int64_t tokenizer_id(const struct tokenizer *t, const char *content, size_t len);

/* The text of a role ("bos_token", "eos_token", "unk_token", "pad_token" ...) from
 * tokenizer_config.json or GGUF; NULL if it is not defined. Chat templates use them. */
const char *tokenizer_role_token(const struct tokenizer *t, const char *role);
int64_t tokenizer_role_id(const struct tokenizer *t, const char *role); /* or -1 */

/* The tokenizer's own size in memory, for the planner. */
size_t tokenizer_memory(const struct tokenizer *t);

#endif
