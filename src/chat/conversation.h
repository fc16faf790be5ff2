/* The messages of a conversation. One thread, or copies. */
#ifndef AIRLCHAT_CHAT_CONVERSATION_H
#define AIRLCHAT_CHAT_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tokenizer/tokenizer.h"

enum chat_finish { FINISH_STOP, FINISH_LENGTH, FINISH_CANCELLED, FINISH_ERROR };

struct chat_message { /* strings are terminated; they may hold NUL before len */
	char *role;	  /* "system", "user", "assistant" */
	char *text;	  /* what was typed, or the answer without its reasoning */
	size_t len;
	char *reasoning; /* NULL: none */
	size_t reasoning_len;
	enum chat_finish finish; /* of an answer */
	struct ids ids;		 /* the tokens of an answer, for continuing it; may be empty */
	uint32_t reasoning_tokens;
	double seconds; /* that the answer took; negative: unknown */
};

struct conversation {
	struct chat_message *m;
	size_t n, cap;
};

/* Append a message with this role and text; everything else of it is zero. */
int conversation_add(struct conversation *c, const char *role, const char *text, size_t len, struct err *e);
int conversation_replace_text(struct chat_message *m, const char *text, size_t len, struct err *e);
void conversation_cut(struct conversation *c, size_t n); /* keep the first n messages */
void conversation_remove(struct conversation *c, size_t from, size_t n);
/* Set, replace or (len 0) remove the system prompt, which is the first message. */
int conversation_set_system(struct conversation *c, const char *text, size_t len, struct err *e);
bool conversation_has_system(const struct conversation *c);
/* Index of the last message with this role; n if there is none. */
size_t conversation_last(const struct conversation *c, const char *role);
int conversation_copy(struct conversation *to, const struct conversation *from, struct err *e);
void conversation_clear(struct conversation *c);

const char *chat_finish_name(enum chat_finish f);	       /* "stop", "length", "cancelled", "error" */
bool chat_finish_parse(const char *name, enum chat_finish *f);

#endif
