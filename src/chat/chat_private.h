/* The chat's inside; private to chat/. */
#ifndef AIRLCHAT_CHAT_CHAT_PRIVATE_H
#define AIRLCHAT_CHAT_CHAT_PRIVATE_H

#include <stdatomic.h>

#include "chat/chat.h"
#include "chat/template.h"

struct chat {
	struct chat_config cfg;
	struct checkpoint *checkpoint;
	struct model *model;
	struct tokenizer *tokenizer;
	struct template *template; /* NULL: raw */
	uint32_t *stop_ids;
	size_t n_stop_ids;
	struct chat_message *messages;
	size_t n_messages, cap_messages;
	struct plan plan;
	struct reader *reader;
	_Atomic(struct engine *) engine; /* set once by chat_start */
	atomic_bool cancelled;
};

void chat_messages_json(const struct chat *c, struct buf *out);

/* The model's chat template: `file` if given, else chat_template.jinja, tokenizer_config.json or GGUF
 * metadata. *out is NULL without an error when the model has none. */
int chat_load_template(struct template **out, const struct checkpoint *c, const char *file,
	struct err *e);

#endif
