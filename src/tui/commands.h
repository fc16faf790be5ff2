/* Slash commands. */
#ifndef AIRLCHAT_TUI_COMMANDS_H
#define AIRLCHAT_TUI_COMMANDS_H

#include <stdbool.h>

struct session;
struct convview;

/* Do what `line` (which begins with '/') says; true when the user wants to quit. */
bool command_run(struct session *s, struct convview *c, const char *line);

#endif
