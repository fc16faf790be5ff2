#include "tui/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/session.h"
#include "tui/convview.h"

static void set(struct session *s, struct convview *c, char *arg)
{
	struct err e = ERR_INIT;
	char *value = strchr(arg, ' ');
	if (!value) {
		char *all = session_settings(s);
		convview_line(c, all ? all : "no settings");
		free(all);
		return;
	}
	*value++ = 0;
	convview_line(c, session_set(s, arg, value, &e) ? e.msg : "set");
}

bool command_run(struct session *s, struct convview *c, const char *line)
{
	struct err e = ERR_INIT;
	char *copy = strdup(line), *arg;
	bool quit = false;
	if (!copy)
		return false;
	arg = strchr(copy, ' ');
	if (arg)
		*arg++ = 0;
	else
		arg = copy + strlen(copy);
	if (!strcmp(copy, "/quit")) {
		quit = true;
	} else if (!strcmp(copy, "/help")) {
		convview_line(c, "/help /quit /save FILE /system TEXT /set NAME VALUE /stats /clear\n"
				 "Ctrl-C stop  Alt-Enter newline  PgUp PgDn End scroll  Ctrl-D quit");
	} else if (!strcmp(copy, "/clear")) {
		session_clear(s);
		buf_reset(&c->text);
	} else if (!strcmp(copy, "/system")) {
		session_set_system(s, arg, strlen(arg));
		convview_line(c, "system prompt set");
	} else if (!strcmp(copy, "/save")) {
		if (!*arg)
			convview_line(c, "/save needs a file name");
		else
			convview_line(c, session_save(s, arg, &e) ? e.msg : "saved");
	} else if (!strcmp(copy, "/stats")) {
		char *j = session_stats_json(s);
		convview_line(c, j ? j : "no answer has been measured yet");
		free(j);
	} else if (!strcmp(copy, "/set")) {
		set(s, c, arg);
	} else {
		convview_line(c, "unknown command; /help lists them");
	}
	free(copy);
	return quit;
}
