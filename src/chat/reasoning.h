/* Tells reasoning from answer in the stream of a model's tokens.
 *
 * Known marks: <think>, <thinking>, <thought>, <reasoning>, <seed:think>, [THINK], <|START_THINKING|> with
 * their ends, at the beginning of an answer (or opened by the prompt already); and harmony's channels
 * (<|channel|>analysis<|message|> ... <|end|>). Marks and the white space around them are in neither
 * part. One thread. */
#ifndef AIRLCHAT_CHAT_REASONING_H
#define AIRLCHAT_CHAT_REASONING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct tokenizer;

enum harmony { HARMONY_CHANNEL, HARMONY_MESSAGE, HARMONY_END, HARMONY_START, HARMONY_TOKENS };

struct reasoning {
	int state;
	int mark;	  /* which pair of marks is open */
	bool harmony;
	struct buf held;  /* may be the beginning of a mark, or white space before one */
	struct buf header; /* harmony: name of the channel */
	bool some_reasoning; /* any of it was given out */
	bool marked; /* harmony: a mark has come; without one, what is said is the answer */
	void (*part)(void *arg, bool reasoning, const char *p, size_t len);
	void *arg;
};

/* prompt: the end of what stands before the answer; a mark that it opened counts. */
void reasoning_init(struct reasoning *r, bool harmony, const char *prompt, size_t len);
void reasoning_text(struct reasoning *r, const char *p, size_t len);
/* A token that is no text: a harmony mark, or another mark that decoding leaves out. */
void reasoning_mark(struct reasoning *r, const char *content, size_t len);
void reasoning_end(struct reasoning *r); /* gives out what was held back; clears */

bool reasoning_open(const struct reasoning *r); /* inside the reasoning now */
const char *reasoning_token(int i); /* marks that a tokenizer may have as tokens; NULL behind the last */

#endif
