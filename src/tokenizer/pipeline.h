/* A tokenizer is a pipeline. What a loader fills, and encode and decode walk through:
 *
 *   text -> added tokens are cut out -> normalizer -> added tokens of normalized text are cut out
 *        -> pre-tokenizer -> model -> ids -> post-processor
 *   ids  -> tokens -> decoder -> text
 *
 * Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_PIPELINE_H
#define AIRLCHAT_TOKENIZER_PIPELINE_H

#include "tokenizer/added.h"
#include "tokenizer/decoder.h"
#include "tokenizer/model.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/postprocessor.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/tokenizer.h"

#define N_ROLES 6

struct tokenizer {
	char *path; /* of the file it was read from, for messages */
	struct vocab vocab;
	struct added_list added;
	struct normalizer normalizer;
	struct pretokenizer pre;
	struct model model;
	struct postprocessor post;
	struct decoder decoder;
	char *roles[N_ROLES]; /* texts of bos, eos, unk, pad, sep, cls */
};

extern const char *const tokenizer_role_names[N_ROLES];

/* The last steps of every loader: index the vocabulary, give the added tokens their ids (those the
 * model has, else new ones behind it) and finish the model's tables. by_id: they have their ids. */
int pipeline_finish(struct tokenizer *t, bool by_id, struct err *e);

#endif
