/* The subcommands. Each returns the exit status: 0, 1 failure, 130 interrupted. Private to cli/. */
#ifndef AIRLCHAT_CLI_COMMANDS_H
#define AIRLCHAT_CLI_COMMANDS_H

#include "backend/backend.h"
#include "chat/chat.h"
#include "cli/options.h"

int report(const struct err *e); /* the sentence on stderr; returns the exit status */

/* Open the chat that the options name. *kwargs must outlive it; free() it, also after a failure. */
int chat_open_with(struct chat **c, const struct options *o, struct backend *b, char **kwargs,
	struct err *e);

int cmd_prompt(const struct options *o, struct backend *b); /* -p */
int cmd_plain(const struct options *o, struct backend *b);
int cmd_screen(const struct options *o, struct backend *b);
int cmd_plan(const struct options *o, struct backend *b);
int cmd_tokenize(const struct options *o);
int cmd_render(const struct options *o);
int cmd_logits(const struct options *o, struct backend *b);

/* Call line for each line of stdin; it appends one JSON object to out, or fails, which answers
 * {"error"}. Returns 0, or 1 if any line failed. */
int json_lines(int (*line)(void *arg, const char *text, size_t len, struct buf *out, struct err *e),
	void *arg);

/* SIGINT, SIGTERM and SIGHUP: blocked in every thread from here on, but one of ours that waits for
 * them. It cancels the chat that is watched; while there is none, the program ends. Call it first. */
int interrupt_start(struct err *e);
void interrupt_watch(struct chat *c); /* NULL: none */
int interrupted(void);		      /* the last signal, or 0 */
void interrupt_reset(void);

#endif
