/* SentencePiece models, from whichever file they come: pieces with scores and types. Private to
 * tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_SPM_H
#define AIRLCHAT_TOKENIZER_SPM_H

#include "tokenizer/pipeline.h"

enum spm_type {
	SPM_NORMAL = 1,
	SPM_UNKNOWN = 2,
	SPM_CONTROL = 3,
	SPM_USER_DEFINED = 4,
	SPM_UNUSED = 5,
	SPM_BYTE = 6
};

struct spm_options {
	bool unigram;            /* else BPE */
	bool prefix_space;       /* a space is put before the text */
	bool prefix_everywhere;  /* ... and behind every special token (Llama's "legacy") */
	bool trim;               /* runs of spaces become one, those at the ends go */
	const uint8_t *charsmap; /* NULL: none */
	size_t charsmap_len;
};

/* One piece: into the vocabulary, and to the added tokens if its type says so. scores: [cap] grows.
 */
int spm_piece(struct tokenizer *t, uint32_t id, const char *p, size_t len, int type, double score,
	size_t *cap, struct err *e);
/* After the last piece: the steps around the model. */
int spm_pipeline(struct tokenizer *t, const struct spm_options *o, struct err *e);
/* After pipeline_finish: BPE's ranks from the scores. */
int spm_ranks(struct tokenizer *t, struct err *e);

#endif
