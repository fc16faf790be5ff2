/* Post-processors: what is put around the ids of a text. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_POSTPROCESSOR_H
#define AIRLCHAT_TOKENIZER_POSTPROCESSOR_H

#include "tokenizer/tokenizer.h"

#define POST_STEPS 8
#define POST_TEXT UINT32_MAX /* in a template: here comes the text */

struct postprocessor {
	struct ids steps[POST_STEPS]; /* each a template: ids, and POST_TEXT */
	size_t n;
};

void postprocessor_clear(struct postprocessor *p);
/* Append a template, to be filled; NULL when there are too many. */
struct ids *postprocessor_add(struct postprocessor *p, struct err *e);
/* A template of one id before or behind the text (or both); NO_ID leaves it out. */
int postprocessor_around(struct postprocessor *p, uint32_t before, uint32_t behind, struct err *e);

/* Rewrite ids[from..]. special: with the ids of the templates, else only what they do to the text.
 */
int postprocessor_run(
	const struct postprocessor *p, struct ids *ids, size_t from, bool special, struct err *e);

#endif
