#include "chat/command.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "chat/session.h"
#include "chat/session_store.h"

const struct chat_command chat_commands[] = {
	{"/help", "", "this list"},
	{"/system", "[TEXT]", "set the system prompt; without text: none"},
	{"/set", "[NAME [VALUE]]", "show or set a parameter: temp, top-k, max-tokens, stop ... or a template variable"},
	{"/read", "FILE", "put a text file into the next message"},
	{"/unread", "", "put no file into the next message after all"},
	{"/retry", "", "make the last answer anew"},
	{"/continue", "", "go on with an answer that was stopped or cut"},
	{"/undo", "", "forget the last question and its answer"},
	{"/edit", "[N] TEXT", "replace your message N (without N: the last) and answer it"},
	{"/drop", "[N]", "forget the N oldest questions and answers (default 1)"},
	{"/clear", "", "forget the conversation"},
	{"/save", "FILE", "write the conversation (Markdown; .json or .html by name); /save! replaces"},
	{"/new", "[NAME]", "begin a new session"},
	{"/open", "NAME", "go on with a saved session"},
	{"/sessions", "", "list the saved sessions"},
	{"/fork", "[NAME]", "go on in a copy of this session"},
	{"/delete", "NAME", "delete a saved session"},
	{"/keep", "", "write the KV cache beside the session, so that going on needs no computing"},
	{"/stats", "", "numbers of the last answer"},
	{"/quit", "", "end"},
	{NULL, NULL, NULL},
};

typedef void (*command_fn)(struct session *s, const char *arg, struct buf *out);

static void say(struct buf *out, const char *text)
{
	buf_puts(out, text);
	buf_addc(out, '\n');
}

static void do_help(struct session *s, const char *arg, struct buf *out)
{
	(void)s;
	(void)arg;
	for (const struct chat_command *c = chat_commands; c->name; c++) {
		struct buf left = BUF_INIT;
		buf_printf(&left, "%s %s", c->name, c->args);
		buf_printf(out, "%-22s %s\n", buf_str(&left), c->help);
		buf_clear(&left);
	}
}

static void do_system(struct session *s, const char *arg, struct buf *out)
{
	session_set_system(s, arg, strlen(arg));
	say(out, *arg ? "system prompt set" : "no system prompt");
}

static void do_set(struct session *s, const char *arg, struct buf *out)
{
	struct err e = ERR_INIT;
	size_t n = strcspn(arg, " =");
	char *name = strndup(arg, n), *value = NULL;
	const char *rest = arg + n + strspn(arg + n, " =");
	if (!name) {
		say(out, "out of memory");
	} else if (n == 0) {
		value = session_settings(s);
		buf_puts(out, value ? value : "out of memory\n");
	} else if (!arg[n]) {
		value = session_get(s, name);
		if (value)
			buf_printf(out, "%s = %s\n", name, value);
		else
			buf_printf(out, "there is no parameter %s\n", name);
	} else if (session_set(s, name, rest, &e) < 0) {
		say(out, e.msg);
	} else {
		buf_printf(out, "%s = %s\n", name, rest);
	}
	free(value);
	free(name);
}

/* A file name as people type it: without quotes around it, "~/" expanded. To be freed. */
static char *command_path(const char *arg)
{
	size_t n = strlen(arg);
	while (n && arg[n - 1] == ' ')
		n--;
	if (n > 1 && (*arg == '"' || *arg == '\'') && arg[n - 1] == *arg) {
		arg++;
		n -= 2;
	}
	const char *home = getenv("HOME");
	struct buf b = BUF_INIT;
	if (n > 1 && arg[0] == '~' && arg[1] == '/' && home) {
		buf_puts(&b, home);
		arg++;
		n--;
	}
	buf_add(&b, arg, n);
	return b.p ? buf_take(&b) : strdup("");
}

char *command_target(const char *name, const char *arg, struct err *e)
{
	const bool replace = *arg == '!';
	char *path = command_path(arg + replace + strspn(arg + replace, " "));
	if (!path)
		err_nomem(e);
	else if (!*path)
		err_set(e, ERR_USAGE, "%s needs a file name", name);
	else if (!replace && file_exists(path))
		err_set(e, ERR_USAGE, "%s exists; %s! %s replaces it", path, name, path);
	else
		return path;
	free(path);
	return NULL;
}

static void do_read(struct session *s, const char *arg, struct buf *out)
{
	struct err e = ERR_INIT;
	char *path = command_path(arg);
	if (!path || !*path)
		say(out, "/read needs a file name");
	else if (session_attach(s, path, &e) < 0)
		say(out, e.msg);
	else
		buf_printf(out, "%zu bytes go with the next message\n", session_attached(s));
	free(path);
}

static void do_unread(struct session *s, const char *arg, struct buf *out)
{
	(void)arg;
	say(out, session_attached(s) ? "no file goes with the next message" : "no file was going with the next message");
	session_detach(s);
}

static void do_retry(struct session *s, const char *arg, struct buf *out)
{
	(void)arg;
	(void)out;
	session_retry(s);
}

static void do_continue(struct session *s, const char *arg, struct buf *out)
{
	(void)arg;
	(void)out;
	session_continue(s);
}

static void do_undo(struct session *s, const char *arg, struct buf *out)
{
	(void)arg;
	(void)out;
	session_undo(s);
}

/* Index of the user's message number n, from 1; 0: the last one. SIZE_MAX: there is none. */
static size_t user_message(const struct conversation *c, size_t n)
{
	size_t count = 0, at = SIZE_MAX;
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->m[i].role, "user"))
			continue;
		at = i;
		if (++count == n)
			return i;
	}
	return n ? SIZE_MAX : at;
}

static void do_edit(struct session *s, const char *arg, struct buf *out)
{
	struct conversation c;
	struct err e = ERR_INIT;
	char *end;
	size_t n = strtoul(arg, &end, 10);
	bool numbered = end != arg && *end == ' ' && n > 0;
	const char *text = numbered ? end + strspn(end, " ") : arg;
	if (!*text) {
		say(out, "/edit needs the new text");
		return;
	}
	if (session_messages(s, &c, &e) < 0) {
		say(out, e.msg);
		return;
	}
	size_t index = user_message(&c, numbered ? n : 0);
	if (index == SIZE_MAX)
		say(out, "there is no such message");
	else
		session_edit(s, index, text, strlen(text));
	conversation_clear(&c);
}

static void do_drop(struct session *s, const char *arg, struct buf *out)
{
	char *end;
	size_t n = *arg ? strtoul(arg, &end, 10) : 1;
	if (n == 0 || n > 1000000 || (*arg && *end))
		say(out, "/drop needs a number");
	else
		session_drop(s, n);
}

static void do_clear(struct session *s, const char *arg, struct buf *out)
{
	(void)arg;
	session_clear(s);
	say(out, "the conversation is forgotten");
}

static void do_save(struct session *s, const char *arg, struct buf *out)
{
	struct err e = ERR_INIT;
	char *path = command_target("/save", arg, &e);
	if (!path || session_save(s, path, &e) < 0)
		say(out, e.msg);
	else
		buf_printf(out, "saved %s\n", path);
	free(path);
}

static void do_new(struct session *s, const char *arg, struct buf *out)
{
	(void)out;
	session_new(s, *arg ? arg : NULL);
}

static void do_open(struct session *s, const char *arg, struct buf *out)
{
	if (*arg)
		session_load(s, arg);
	else
		say(out, "/open needs the name of a session (/sessions lists them)");
}

static void do_fork(struct session *s, const char *arg, struct buf *out)
{
	(void)out;
	session_fork(s, *arg ? arg : NULL);
}

static void do_delete(struct session *s, const char *arg, struct buf *out)
{
	if (*arg)
		session_delete(s, arg);
	else
		say(out, "/delete needs the name of a session (/sessions lists them)");
}

static void do_sessions(struct session *s, const char *arg, struct buf *out)
{
	struct session_info *list;
	struct err e = ERR_INIT;
	size_t n;
	char *present = session_name(s), when[32];
	(void)arg;
	if (session_list(&list, &n, &e) < 0) {
		say(out, e.msg);
		free(present);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct tm tm;
		time_t t = (time_t)list[i].changed;
		localtime_r(&t, &tm);
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
		buf_printf(out, "%s %s  %s  %zu messages  %s\n", present && !strcmp(present, list[i].name) ? "*" : " ",
			list[i].name, when, list[i].n_messages, list[i].title);
	}
	if (n == 0)
		say(out, "no sessions are saved");
	session_list_free(list, n);
	free(present);
}

static void do_keep(struct session *s, const char *arg, struct buf *out)
{
	(void)arg;
	(void)out;
	session_keep_kv(s);
}

static void do_stats(struct session *s, const char *arg, struct buf *out)
{
	char *j = session_stats_json(s);
	(void)arg;
	say(out, j ? j : "no answer has been measured yet");
	free(j);
}

static const struct {
	const char *name;
	command_fn f;
} table[] = {{"/help", do_help}, {"/system", do_system}, {"/set", do_set}, {"/read", do_read}, {"/unread", do_unread},
	{"/retry", do_retry}, {"/continue", do_continue}, {"/undo", do_undo}, {"/edit", do_edit},
	{"/drop", do_drop}, {"/clear", do_clear}, {"/save", do_save}, {"/new", do_new}, {"/open", do_open},
	{"/sessions", do_sessions}, {"/fork", do_fork}, {"/delete", do_delete}, {"/keep", do_keep}, {"/stats", do_stats}};

/* What other programs call them. */
static const struct {
	const char *other, *name;
} aliases[] = {{"/exit", "/quit"}, {"/bye", "/quit"}, {"/q", "/quit"}, {"/?", "/help"}, {"/regen", "/retry"},
	{"/resume", "/open"}, {"/export", "/save"}};

/* Only what writes a file may be followed by a "!", for replacing one. */
static bool writes(const char *name, size_t len)
{
	static const char *const writers[] = {"/save", "/export", "/trace", "/plot"};
	for (size_t i = 0; i < sizeof(writers) / sizeof(*writers); i++)
		if (strlen(writers[i]) == len && !strncmp(writers[i], name, len))
			return true;
	return false;
}

bool command_is(const char *line)
{
	size_t n = 1;
	if (*line != '/')
		return false;
	while (isalnum((unsigned char)line[n]) || line[n] == '-' || line[n] == '?')
		n++;
	if (line[n] == '!' && writes(line, n))
		n++;
	return line[n] == '\0' || (n > 1 && strchr(" \n\t", line[n]));
}

size_t command_name(const char *line, const char **name)
{
	size_t n = strcspn(line, " \n\t!");
	*name = line;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
		if (strlen(aliases[i].other) == n && !strncmp(aliases[i].other, line, n))
			*name = aliases[i].name;
	return n;
}

enum command_result command_do(struct session *s, const char *line, struct buf *out)
{
	const char *name;
	size_t n = command_name(line, &name);
	const char *rest = line + n + strspn(line + n, " \n\t");
	n = strcspn(name, " \n\t!");
	if (n == 5 && !strncmp(name, "/quit", n))
		return COMMAND_QUIT;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (strlen(table[i].name) == n && !strncmp(table[i].name, name, n)) {
			table[i].f(s, rest, out);
			return COMMAND_DONE;
		}
	return COMMAND_UNKNOWN;
}
