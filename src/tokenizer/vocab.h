/* The tables of a tokenizer: contents, merges, added tokens. Private to tokenizer/.
 * Vocabulary entries of byte-level tokenizers are kept as the raw bytes they stand for. */
#ifndef AIRLCHAT_TOKENIZER_VOCAB_H
#define AIRLCHAT_TOKENIZER_VOCAB_H

#include "tokenizer/pretokenizer.h"
#include "tokenizer/tokenizer.h"

#define NO_ID UINT32_MAX

struct merge {
	uint64_t pair; /* left id << 32 | right id; UINT64_MAX: empty */
	uint32_t rank, id;
};

struct added {
	uint32_t id;
	char *content;
	size_t len;
	bool special, lstrip, rstrip, single_word;
};

struct tokenizer {
	char *path;	   /* for messages */
	struct buf arena;  /* contents, one behind the other */
	uint32_t *offset;  /* [n_ids] into arena, NO_ID if there is no such token */
	uint32_t *length;  /* [n_ids] */
	size_t n_ids, cap_offset, cap_length;
	uint32_t *hash;	   /* [hash_size] ids by content, NO_ID when empty */
	size_t hash_size;
	struct merge *merges; /* [merges_size], open addressing */
	size_t merges_size;
	uint32_t byte_id[256]; /* of the one-byte tokens */
	bool ignore_merges, nfc;
	struct added *added; /* longest content first */
	size_t n_added, cap_added;
	bool added_first[256]; /* does an added token begin with this byte? */
	uint8_t *special;      /* [n_ids] */
	struct pretokenizer pre;
	uint32_t prefix[8], suffix[8]; /* what the post-processor adds */
	size_t n_prefix, n_suffix;
	char *roles[6]; /* bos, eos, unk, pad, sep, cls */
};

extern const char *const tokenizer_role_names[6];

int vocab_set(struct tokenizer *t, uint32_t id, const char *p, size_t len, struct err *e);
int vocab_index(struct tokenizer *t, struct err *e); /* after the last vocab_set */
uint32_t vocab_find(const struct tokenizer *t, const char *p, size_t len); /* NO_ID */
int merges_init(struct tokenizer *t, size_t n, struct err *e);
/* By raw bytes; a merge of unknown tokens is an error. */
int merges_add(struct tokenizer *t, const char *a, size_t na, const char *b, size_t nb, uint32_t rank,
	struct err *e);
const struct merge *merges_find(const struct tokenizer *t, uint32_t a, uint32_t b);
int added_add(struct tokenizer *t, const struct added *a, struct err *e); /* content is copied */
int added_index(struct tokenizer *t, struct err *e);
int special_mark(struct tokenizer *t, struct err *e);

/* GPT-2's printable stand-ins for bytes -> the bytes. False if a character is none of them. */
bool bytelevel_to_bytes(const char *p, size_t len, struct buf *out);

int tokenizer_read_json(struct tokenizer *t, const char *text, size_t len, struct err *e);
int tokenizer_read_gguf(struct tokenizer *t, const struct gguf *g, struct err *e);
int tokenizer_read_roles(struct tokenizer *t, const char *dir, struct err *e);

/* Append the ids of one pre-token (raw bytes). */
int bpe_word(const struct tokenizer *t, const char *p, size_t len, struct ids *out, struct err *e);

#endif
