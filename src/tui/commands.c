/* The slash commands: those that need the screen, in front of those that don't (chat/command.h). */
#include <stdlib.h>
#include <string.h>

#include "chat/command.h"
#include "chat/session_store.h"
#include "tui/input.h"
#include "tui/ui.h"

enum arg { ARG_NONE, ARG_FILE, ARG_SESSION, ARG_THEME, ARG_SETTING, ARG_GLYPHS };

struct screen_command {
	const char *name, *args, *help;
	void (*run)(struct ui *u, const char *args);
};

static const struct screen_command screen_commands[] = {
	{"/find", "[TEXT]", "search the conversation (Ctrl-S)", cmd_find},
	{"/copy", "[N]", "copy the last answer (F5), or code block N; /copy code: the last one (F6)", cmd_copy},
	{"/edit", "[N [TEXT]]", "change your message N (without N: choose one) and answer it anew", cmd_edit},
	{"/open", "[NAME]", "go on with a saved session; without a name: choose one", cmd_open},
	{"/resume", "[NAME]", "the same as /open", cmd_open},
	{"/sessions", "", "choose among the saved sessions", cmd_sessions},
	{"/delete", "[NAME]", "delete a saved session", cmd_delete},
	{"/save", "FILE", "write the conversation (Markdown; .json or .html by name); /save! replaces", cmd_save},
	{"/export", "FILE", "the same as /save", cmd_save},
	{"/trace", "FILE", "write the last passes as a Chrome trace (Perfetto shows it)", cmd_trace},
	{"/plot", "FILE", "write a picture (SVG) of the last pass: each layer's time by cause", cmd_plot},
	{"/theme", "[NAME]", "change the colours; without a name: look at each", cmd_theme},
	{"/glyphs", "ascii|unicode", "the characters that meters are drawn with", cmd_glyphs},
	{"/fold", "", "fold or unfold the reasoning (Alt-T)", cmd_fold},
	{"/mouse", "", "leave the mouse to the terminal, for selecting text, or take it (F10)", cmd_mouse},
	{"/help", "", "keys and commands (F1)", cmd_keys},
	{NULL, NULL, NULL, NULL},
};

static const struct screen_command *find_screen(const char *name, size_t len)
{
	for (const struct screen_command *c = screen_commands; c->name; c++)
		if (strlen(c->name) == len && !strncmp(c->name, name, len))
			return c;
	return NULL;
}

static void run_shared(struct ui *u, const char *line)
{
	struct buf say = BUF_INIT;
	enum command_result r = command_do(u->s, line, &say);
	if (r == COMMAND_QUIT) {
		u->quit = true;
	} else if (r == COMMAND_UNKNOWN) {
		buf_printf(&say, "unknown command %.*s; /help lists them, a space in front makes it a message", (int)strcspn(line, " \n"), line);
		ui_say(u, ITEM_ERROR, buf_str(&say));
	} else {
		ui_say(u, ITEM_NOTE, buf_str(&say));
	}
	buf_clear(&say);
	ui_refresh_status(u);
}

static enum arg argument(const char *line)
{
	static const struct {
		const char *name;
		enum arg arg;
	} table[] = {{"/read", ARG_FILE}, {"/save", ARG_FILE}, {"/export", ARG_FILE}, {"/trace", ARG_FILE},
		{"/plot", ARG_FILE}, {"/open", ARG_SESSION}, {"/resume", ARG_SESSION}, {"/delete", ARG_SESSION},
		{"/theme", ARG_THEME}, {"/set", ARG_SETTING}, {"/glyphs", ARG_GLYPHS}};
	size_t n = strcspn(line, " !");
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (strlen(table[i].name) == n && !strncmp(table[i].name, line, n))
			return table[i].arg;
	return ARG_NONE;
}

void command_run(struct ui *u, const char *typed)
{
	const char *name;
	size_t n = command_name(typed, &name), skip = n + strspn(typed + n, " \n");
	char *line = strdup(typed);
	if (!line)
		return;
	size_t len = strlen(line);
	while (len > n && strchr(" \n", line[len - 1])) /* completion leaves a space behind a word */
		line[--len] = 0;
	const struct screen_command *c = find_screen(name, strcspn(name, " \n!"));
	char *args = strdup(len > skip ? line + skip : "");
	if (c && args)
		c->run(u, args);
	else
		run_shared(u, line);
	free(args);
	free(line);
}

/* --- lists of what there is --- */

const char *command_hint(const char *name)
{
	const struct screen_command *s = find_screen(name, strlen(name));
	for (const struct chat_command *c = chat_commands; !s && c->name; c++)
		if (!strcmp(c->name, name))
			return c->help;
	return s ? s->help : NULL;
}

bool command_nth(size_t i, const char **name, const char **args, const char **help)
{
	for (const struct chat_command *c = chat_commands; c->name; c++)
		if (!find_screen(c->name, strlen(c->name)) && i-- == 0) {
			*name = c->name;
			*args = c->args;
			*help = c->help;
			return true;
		}
	if (i >= sizeof(screen_commands) / sizeof(*screen_commands) - 1)
		return false;
	*name = screen_commands[i].name;
	*args = screen_commands[i].args;
	*help = screen_commands[i].help;
	return true;
}

/* --- completion --- */

static void offer_lines(struct buf *lines, const char *end)
{
	char *rest = lines->len ? lines->p : NULL;
	for (char *line; (line = strsep(&rest, "\n"));) {
		line[strcspn(line, end)] = 0;
		if (*line)
			input_offer(line);
	}
}

static void offer_sessions(void)
{
	struct session_info *list;
	struct err e = ERR_INIT;
	size_t n;
	if (session_list(&list, &n, &e) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		input_offer(list[i].name);
	session_list_free(list, n);
}

static void offer_settings(struct ui *u)
{
	struct buf b = BUF_INIT;
	char *all = session_settings(u->s);
	buf_puts(&b, all ? all : "");
	offer_lines(&b, " =");
	buf_clear(&b);
	free(all);
}

int command_file_argument(const char *line)
{
	size_t n = strcspn(line, " ");
	return argument(line) == ARG_FILE && line[n] ? (int)(n + strspn(line + n, " ")) : -1;
}

void command_complete(struct ui *u, const char *line, int start)
{
	struct buf names = BUF_INIT;
	if (*line != '/')
		return;
	const char *name, *args, *help;
	for (size_t i = 0; start == 0 && command_nth(i, &name, &args, &help); i++)
		input_offer(name);
	if (start == 0)
		return;
	switch (argument(line)) {
	case ARG_SESSION:
		offer_sessions();
		break;
	case ARG_THEME:
		theme_names(&names);
		offer_lines(&names, "");
		break;
	case ARG_SETTING:
		if (!strchr(line + strcspn(line, " ") + 1, ' '))
			offer_settings(u);
		break;
	case ARG_GLYPHS:
		input_offer("ascii");
		input_offer("unicode");
		break;
	case ARG_FILE: /* command_file_argument */
	case ARG_NONE:
		break;
	}
	buf_clear(&names);
}
