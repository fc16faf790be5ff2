/* The vocabulary: contents by id and ids by content. Contents are kept as the file writes them
 * (byte-level ones in GPT-2's stand-in characters). Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_VOCAB_H
#define AIRLCHAT_TOKENIZER_VOCAB_H

#include "base/buf.h"
#include "base/err.h"

#define NO_ID UINT32_MAX
#define VOCAB_ID_LIMIT 4000000u
#define VOCAB_AT_ONCE 48

enum vocab_flags {
	VOCAB_MODEL = 1,   /* an entry of the model: text may become it by merging or look-up */
	VOCAB_ADDED = 2,   /* an added token */
	VOCAB_SPECIAL = 4, /* special: a user's text never becomes it */
	VOCAB_SKIP = 8,    /* left out when special tokens are skipped in decoding */
};

struct vocab {
	const char *path; /* borrowed, for messages */
	struct buf arena; /* contents, each behind its length */
	uint32_t *offset; /* [n] into arena, NO_ID if there is no such id */
	uint8_t *flags;   /* [n] enum vocab_flags */
	size_t n, cap_offset, cap_flags;
	uint32_t *hash; /* [hash_size] ids by content and some bits of its hash; NO_ID when empty */
	size_t hash_size;
	size_t count;   /* entries of the model */
	size_t longest; /* bytes of the longest entry of the model */
};

void vocab_clear(struct vocab *v);
int vocab_set(
	struct vocab *v, uint32_t id, const char *p, size_t len, unsigned flags, struct err *e);
/* After the entries of the model; vocab_set with VOCAB_ADDED may follow, then vocab_index again. Of
 * equal contents the highest id is found. */
int vocab_index(struct vocab *v, struct err *e);
void vocab_shrink(struct vocab *v); /* give back what growing left over */

uint32_t vocab_find(const struct vocab *v, const char *p, size_t len); /* any entry, or NO_ID */
uint32_t vocab_find_model(
	const struct vocab *v, const char *p, size_t len); /* of the model, or NO_ID */
/* The same for n <= VOCAB_AT_ONCE contents, their misses of the cache side by side. After
 * vocab_index.
 */
void vocab_find_models(
	const struct vocab *v, const char *const *p, const size_t *len, uint32_t *id, size_t n);
/* NULL if there is none. Borrowed. */
const char *vocab_get(const struct vocab *v, uint32_t id, size_t *len);
size_t vocab_memory(const struct vocab *v);

#endif
