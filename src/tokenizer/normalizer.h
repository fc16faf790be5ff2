/* Normalizers: rewrite text before it is cut. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_NORMALIZER_H
#define AIRLCHAT_TOKENIZER_NORMALIZER_H

#include "base/err.h"
#include "tokenizer/ntext.h"
#include "tokenizer/regex.h"

#define NORM_STEPS 32

enum norm_kind {
	NORM_NFC,
	NORM_NFD,
	NORM_NFKC,
	NORM_NFKD,
	NORM_LOWERCASE,
	NORM_REPLACE,
	NORM_PREPEND,
	NORM_STRIP,
	NORM_STRIP_ACCENTS,
	NORM_NMT,
	NORM_CHARSMAP,
	NORM_BYTE_LEVEL,
	NORM_CLEAN,
	NORM_CJK_SPACES,
	NORM_STRIP_NONSPACING /* the parts of BertNormalizer */
};

struct charsmap { /* SentencePiece's precompiled map: a double array of units, then texts */
	uint32_t *units;
	size_t n_units;
	char *texts; /* each ends with a NUL; so does the whole */
	size_t texts_len;
};

struct norm_step {
	enum norm_kind kind;
	struct regex *re; /* REPLACE */
	char *text;       /* REPLACE, PREPEND */
	size_t len;
	bool left, right;    /* STRIP */
	struct charsmap map; /* CHARSMAP */
};

struct normalizer {
	struct norm_step steps[NORM_STEPS];
	size_t n;
};

void normalizer_clear(struct normalizer *n);
/* Append a step and return it, zeroed but for its kind; NULL when there are too many. */
struct norm_step *normalizer_add(struct normalizer *n, enum norm_kind kind, struct err *e);
/* The same with a copy of text. */
struct norm_step *normalizer_add_text(
	struct normalizer *n, enum norm_kind kind, const char *text, size_t len, struct err *e);
/* blob: trie size, trie, texts. Checked. */
int normalizer_add_charsmap(struct normalizer *n, const uint8_t *blob, size_t len, struct err *e);

/* Rewrite t; tmp is scratch. */
int normalizer_run(const struct normalizer *n, struct ntext *t, struct ntext *tmp,
	struct regex_work *work, struct err *e);
size_t normalizer_memory(const struct normalizer *n);

/* normalizer_unicode.c, charsmap.c: out is empty. */
int normalize_unicode(
	enum norm_kind kind, const struct ntext *in, struct ntext *out, struct err *e);
void charsmap_run(const struct charsmap *m, const struct ntext *in, struct ntext *out);

#endif
