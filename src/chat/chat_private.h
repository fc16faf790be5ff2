/* The chat's inside; private to chat/. */
#ifndef AIRLCHAT_CHAT_CHAT_PRIVATE_H
#define AIRLCHAT_CHAT_CHAT_PRIVATE_H

#include <stdatomic.h>

#include "chat/chat.h"
#include "chat/reasoning.h"
#include "chat/template.h"

struct chat {
	struct chat_config cfg;
	struct checkpoint *checkpoint;
	struct model *model;
	struct tokenizer *tokenizer;
	struct template *template; /* NULL: raw */
	uint32_t *stop_ids;
	size_t n_stop_ids;
	struct conversation conv;
	struct settings settings;
	int64_t harmony[HARMONY_TOKENS]; /* ids, or -1 */
	uint32_t attempt;
	struct plan plan;
	struct reader *reader;
	struct probe_disk drive; /* what is known of it; set before the engine */
	_Atomic(struct engine *) engine; /* set once by chat_start */
	atomic_bool cancelled;
};

/* The ids of the first n messages, rendered with a generation prompt (raw: as they are). tail gets the
 * last bytes of the rendered text. */
int chat_encode(const struct chat *c, size_t n, struct ids *ids, struct buf *tail, struct err *e);

/* The model's chat template: `file` if given, else chat_template.jinja, tokenizer_config.json,
 * chat_template.json or GGUF metadata, with the one called tool_use beside it. *out is NULL without an
 * error when the model has none. */
int chat_load_template(struct template **out, const struct checkpoint *c, const char *file,
	struct err *e);

/* What the model's generation_config.json (or GGUF metadata) recommends, where nothing stronger is set. */
int chat_recommended(struct settings *s, const struct checkpoint *c, struct err *e);

#endif
