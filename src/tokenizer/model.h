/* Models: the ids of one piece of text. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_MODEL_H
#define AIRLCHAT_TOKENIZER_MODEL_H

#include "base/err.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocab.h"

enum model_kind { MODEL_BPE, MODEL_UNIGRAM, MODEL_WORDPIECE, MODEL_WORDLEVEL };

struct merge {
	uint64_t pair; /* left id << 32 | right id; UINT64_MAX: empty */
	uint32_t rank, id;
};

struct bpe {
	/* How two neighbours merge: by a table of pairs, or (ranks set) whenever both together are
	 * an entry; the lowest rank first. */
	struct merge *merges; /* [size], open addressing */
	size_t merges_size, n_merges;
	struct merge_batch *batch; /* merges on their way into the table */
	uint32_t *ranks; /* [vocab.n]; NO_ID: never the result of a merge */
	bool ignore_merges, fuse_unk;
	bool cut_at_marks; /* no merge reaches over a "▁" behind something else: bpe_cut */
	char *prefix, *suffix;  /* of pieces inside a word, of the last one; NULL: none */
	uint32_t char_id[1024]; /* of the entries that are one low character */
};

struct trie { /* the entries, byte by byte: the children of node i are first[i] .. first[i + 1] */
	uint32_t *first, *id;
	uint8_t *label; /* of the edge that leads to the node */
	size_t n;
};

struct unigram {
	struct trie trie;
	double *score; /* [vocab.n] */
	double min_score;
};

struct model {
	enum model_kind kind;
	bool byte_fallback, has_bytes;
	char *unk;             /* content of the unknown token; NULL: none */
	uint32_t unk_id;       /* NO_ID if unk is NULL or no entry */
	uint32_t byte_id[256]; /* of "<0x00>" ...; NO_ID */
	struct bpe bpe;
	struct unigram unigram;
	size_t max_chars; /* WORDPIECE: longer words are unknown; its prefix is bpe.prefix */
};

/* Scratch of one encode. */
struct model_work {
	struct symbol *symbols;
	struct heap_entry *heap;
	struct node *nodes;
	size_t cap_symbols, n_heap, cap_heap, cap_nodes;
	struct buf text;
};

void model_clear(struct model *m);
void model_work_clear(struct model_work *w);
/* After vocab_index: ids of bytes, characters, the unknown token; tables of the kind. */
int model_finish(struct model *m, const struct vocab *v, struct err *e);
size_t model_memory(const struct model *m, const struct vocab *v);

/* Append the ids of p[0..len), valid UTF-8. user: a user's text, which never becomes a special
 * token. */
int model_encode(const struct model *m, const struct vocab *v, const char *p, size_t len, bool user,
	struct model_work *w, struct ids *out, struct err *e);

/* bpe_merges.c: the table of merges, for at most n of them. A merge of unknown entries is an error, of
 * this call or a later one; bpe_merges_end completes the table. */
int bpe_merges_init(struct bpe *b, size_t n, struct err *e);
int bpe_merges_add(struct bpe *b, const struct vocab *v, const char *l, size_t nl, const char *r,
	size_t nr, uint32_t rank, struct err *e);
int bpe_merges_end(struct bpe *b, const struct vocab *v, struct err *e);

static inline size_t bpe_merge_begin(const struct bpe *b, uint64_t pair)
{
	uint64_t h = pair * 0x9E3779B97F4A7C15u;
	h ^= h >> 32;
	h *= 0xD6E8FEB86659FD93u;
	return (size_t)((h >> 32) * b->merges_size >> 32);
}

/* Where the pair is, or would be. */
static inline size_t bpe_merge_slot(const struct bpe *b, uint64_t pair)
{
	size_t i = bpe_merge_begin(b, pair);
	while (b->merges[i].pair != UINT64_MAX && b->merges[i].pair != pair)
		i = i + 1 == b->merges_size ? 0 : i + 1;
	return i;
}

/* bpe.c */
/* After the merges or ranks are there. */
void bpe_finish(struct model *m, const struct vocab *v);
/* The bytes of p[0..len) that can be encoded by themselves: the first word, where words begin with
 * "▁" and nothing merges across. */
size_t bpe_cut(const struct bpe *b, const char *p, size_t len);
int bpe_encode(const struct model *m, const struct vocab *v, const char *p, size_t len, bool user,
	struct model_work *w, struct ids *out, struct err *e);

/* unigram.c, wordpiece.c */
int unigram_finish(struct unigram *u, const struct vocab *v, struct err *e);
int unigram_encode(const struct model *m, const struct vocab *v, const char *p, size_t len,
	bool user, struct model_work *w, struct ids *out, struct err *e);
int wordpiece_encode(const struct model *m, const struct vocab *v, const char *p, size_t len,
	bool user, struct model_work *w, struct ids *out, struct err *e);

/* May the text of a user (or of a template) become token id? */
static inline bool model_may(const struct vocab *v, uint32_t id, bool user)
{
	return !user || !(v->flags[id] & VOCAB_SPECIAL);
}

int model_unknown(
	const struct model *m, const struct vocab *v, struct err *e); /* no unknown token */

#endif
