/* Slash commands that need no screen: those of plain mode, and most of the screen's. */
#ifndef AIRLCHAT_CHAT_COMMAND_H
#define AIRLCHAT_CHAT_COMMAND_H

#include "base/buf.h"

struct session;

struct chat_command { /* for help and completion */
	const char *name; /* with its slash */
	const char *args; /* "FILE", "[NAME]", "" */
	const char *help;
};

extern const struct chat_command chat_commands[]; /* ends with a NULL name */

enum command_result { COMMAND_DONE, COMMAND_UNKNOWN, COMMAND_QUIT };

/* Do what `line` (it begins with '/') says. What there is to say at once is appended to out, as lines
 * (not yet made printable); what is asked of the engine answers by events. An unknown command leaves
 * out alone. */
enum command_result command_do(struct session *s, const char *line, struct buf *out);

#endif
