/* The screen: runs a session in a terminal until the user quits. */
#ifndef AIRLCHAT_TUI_TUI_H
#define AIRLCHAT_TUI_TUI_H

#include <stdbool.h>

#include "base/err.h"

struct session;

struct tui_options {
	const char *theme; /* name, or NULL: the 16 ANSI colours */
	bool no_color;	   /* the environment's NO_COLOR counts too */
	bool ascii;	   /* no characters beyond ASCII in the meters */
	int exit_status;   /* out: 0, 130 after Ctrl-C twice, 143 SIGTERM, 129 SIGHUP */
};

/* Returns 0 when the user or a signal ended it, -1 when there is no usable terminal. */
int tui_run(struct session *s, struct tui_options *o, struct err *e);

#endif
