/* Text on its way through the normalizers, and what is remembered of where it comes from: which
 * bytes a user wrote (special tokens must not come from there) and which stem from the first
 * character of the whole input (Metaspace's "first" asks for that). Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_NTEXT_H
#define AIRLCHAT_TOKENIZER_NTEXT_H

#include "base/buf.h"

struct ntext {
	struct buf s;    /* valid UTF-8 */
	struct buf user; /* when track: one byte for each of s, not 0 where a user wrote it */
	bool track;
	size_t zero; /* the first `zero` bytes of s stem from the first character of the input */
};

void ntext_clear(struct ntext *t);
/* Make `to` empty, to be filled from `from`. */
void ntext_begin(struct ntext *to, const struct ntext *from);
void ntext_swap(struct ntext *a, struct ntext *b);

/* Append in[from..to) as it is. */
void ntext_copy(struct ntext *out, const struct ntext *in, size_t from, size_t to);
/* Append p[0..n), which stands for in[from..to). */
void ntext_put(
	struct ntext *out, const struct ntext *in, size_t from, size_t to, const char *p, size_t n);
void ntext_put_char(struct ntext *out, const struct ntext *in, size_t from, size_t to, uint32_t cp);

#endif
