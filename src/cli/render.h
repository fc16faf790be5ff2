/* Lines of {"messages": ...} through the chat template: for `render` and `tokenize`. */
#ifndef AIRLCHAT_CLI_RENDER_H
#define AIRLCHAT_CLI_RENDER_H

#include "chat/template.h"

struct renderer {
	struct template *template;
	const struct tokenizer
		*tokenizer; /* for bos and eos that a line does not give; may be NULL */
};

/* The text of one line, a JSON object with "messages" and the keys of `render`. out is empty, and
 * to be cleared in any case. */
int render_messages(
	const struct renderer *r, const char *line, size_t len, struct text *out, struct err *e);

#endif
