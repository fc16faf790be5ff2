/* Slash commands that need no screen: those of plain mode, and most of the screen's. */
#ifndef AIRLCHAT_CHAT_COMMAND_H
#define AIRLCHAT_CHAT_COMMAND_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct session;

struct chat_command { /* for help and completion */
	const char *name; /* with its slash */
	const char *args; /* "FILE", "[NAME]", "" */
	const char *help;
};

extern const struct chat_command chat_commands[]; /* ends with a NULL name */

enum command_result { COMMAND_DONE, COMMAND_UNKNOWN, COMMAND_QUIT };

/* A slash and a word: "/read x", "/save! x". Other lines that begin with a slash (paths, comments of C) are messages. */
bool command_is(const char *line);
/* The length of the command's name in line; *name is the name itself, also for one that other programs
 * have ("/bye"). */
size_t command_name(const char *line, const char **name);
/* The file that the command `name` is to write, from what follows the name: "FILE" must not exist yet, "! FILE"
 * may. To be freed; NULL with e set. */
char *command_target(const char *name, const char *arg, struct err *e);

/* Do what `line` (it begins with '/') says. What there is to say at once is appended to out, as lines
 * (not yet made printable); what is asked of the engine answers by events. An unknown command leaves
 * out alone. */
enum command_result command_do(struct session *s, const char *line, struct buf *out);

#endif
