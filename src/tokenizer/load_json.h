/* Reading tokenizer.json: what its two halves share. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_LOAD_JSON_H
#define AIRLCHAT_TOKENIZER_LOAD_JSON_H

#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/load.h"

struct json_loader {
	struct tokenizer *t;
	struct err *e;
	struct json_reader r;
	char *type;                      /* of the model */
	const char *merges, *merges_end; /* their text, read after the vocabulary */
	const char *read;                /* text before it is read and its memory given back */
	bool keep;                       /* nothing is given back */
	bool has_vocab, has_scores, has_max;
	size_t n_scores, n_merges;
	int64_t unk_id; /* -1: none */
};

/* Fail with "the WHAT "NAME" is not supported"; returns false. */
bool json_unsupported(struct json_loader *l, const char *what, const char *name, size_t len);

/* Hand the next value, a small one, to one of the readers below. */
bool json_part(struct json_loader *l, bool (*read)(struct json_loader *, const cJSON *, int depth));
bool json_normalizer(struct json_loader *l, const cJSON *j, int depth);
bool json_pretokenizer(struct json_loader *l, const cJSON *j, int depth);
bool json_postprocessor(struct json_loader *l, const cJSON *j, int depth);
bool json_decoder(struct json_loader *l, const cJSON *j, int depth);

#endif
