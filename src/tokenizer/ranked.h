/* Vocabularies in which the rank of a token is its place (tiktoken, tekken.json): byte-level, and
 * neighbours merge whenever both together are a token. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_RANKED_H
#define AIRLCHAT_TOKENIZER_RANKED_H

#include "tokenizer/pipeline.h"

int ranked_token(struct tokenizer *t, uint32_t id, const char *bytes, size_t len, struct err *e);
int ranked_special(
	struct tokenizer *t, uint32_t id, const char *content, bool special, struct err *e);
/* The steps around the model: text is cut by pattern. */
int ranked_pipeline(struct tokenizer *t, const char *pattern, struct err *e);
int ranked_finish(struct tokenizer *t, struct err *e); /* after the last token */

#endif
