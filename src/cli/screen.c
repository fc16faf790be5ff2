/* airlchat MODEL in a terminal: the screen. */
#include <stdio.h>
#include <stdlib.h>

#include "chat/session_open.h"
#include "cli/commands.h"
#include "tui/tui.h"

int cmd_screen(const struct options *o, struct backend *b)
{
	struct err e = ERR_INIT;
	struct chat *c = NULL;
	struct session *s = NULL;
	struct tui_options t = {.theme = o->theme, .ascii = o->ascii, .no_color = o->no_color};
	int status = 0;
	if (chat_open_with(&c, o, b, &e) < 0 || session_open_with(&s, c, o, true, &e) < 0 ||
		tui_run(s, &t, &e) < 0)
		status = report(&e);
	else
		status = t.exit_status;
	if (s && o->save && session_save(s, o->save, &e) < 0)
		status = report(&e);
	char *note = session_end(s);
	if (note)
		fprintf(stderr, "airlchat: %s\n", note);
	free(note);
	session_close(s);
	chat_close(c);
	return status;
}
