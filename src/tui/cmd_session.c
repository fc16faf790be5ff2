/* Commands about sessions and messages that choose from a list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chat/command.h"
#include "chat/session_store.h"
#include "tui/input.h"
#include "tui/ui.h"

static void shared(struct ui *u, const char *name, const char *args)
{
	struct buf line = BUF_INIT, say = BUF_INIT;
	buf_printf(&line, "%s %s", name, args);
	command_do(u->s, buf_str(&line), &say);
	ui_say(u, ITEM_NOTE, buf_str(&say));
	buf_clear(&line);
	buf_clear(&say);
}

static void session_chosen(void *user, const struct popup_item *it)
{
	struct ui *u = user;
	session_load(u->s, it->text);
}

static void delete_chosen(void *user, const struct popup_item *it)
{
	shared(user, "/delete", it->text);
}

static void list_sessions(struct ui *u, const char *title, void (*chosen)(void *, const struct popup_item *))
{
	struct session_info *list;
	struct err e = ERR_INIT;
	size_t n;
	if (session_list(&list, &n, &e) < 0) {
		ui_say(u, ITEM_ERROR, e.msg);
		return;
	}
	popup_begin(&u->popup, title, u);
	for (size_t i = 0; i < n && i < 1000; i++) {
		char when[32] = "", hint[256];
		time_t t = (time_t)list[i].changed;
		struct tm tm;
		if (localtime_r(&t, &tm))
			strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
		snprintf(hint, sizeof(hint), "%s%s  %2zu messages  %.120s", when, list[i].kv_bytes ? " kv" : "",
			list[i].n_messages, list[i].title);
		popup_add(&u->popup, list[i].name, hint, 0);
	}
	session_list_free(list, n);
	u->popup.chosen = chosen;
	if (n == 0)
		ui_flash(u, "no session was saved yet");
	popup_show(&u->popup, 0);
}

void cmd_sessions(struct ui *u, const char *args)
{
	(void)args;
	list_sessions(u, "sessions: Enter goes on with one", session_chosen);
}

void cmd_open(struct ui *u, const char *args)
{
	if (*args)
		session_load(u->s, args);
	else
		cmd_sessions(u, args);
}

void cmd_delete(struct ui *u, const char *args)
{
	if (*args)
		shared(u, "/delete", args);
	else
		list_sessions(u, "delete which session?", delete_chosen);
}

void cmd_save(struct ui *u, const char *args)
{
	struct err e = ERR_INIT;
	char *path = command_target("/save", args, &e);
	if (!path || session_save(u->s, path, &e) < 0)
		ui_say(u, ITEM_ERROR, e.msg);
	else
		ui_flash(u, "saved %s", path);
	free(path);
}

/* --- editing a message of the past --- */

/* Into the input line: what is entered next replaces it. */
static void edit_message(struct ui *u, size_t index)
{
	struct conversation c = {0};
	struct err e = ERR_INIT;
	if (session_messages(u->s, &c, &e) < 0) {
		ui_say(u, ITEM_ERROR, e.msg);
	} else if (index < c.n) {
		input_set(c.m[index].text, c.m[index].len);
		u->editing = index + 1;
		ui_flash(u, "Enter answers the changed message; what followed it goes. Esc leaves it");
	}
	conversation_clear(&c);
}

static void message_chosen(void *user, const struct popup_item *it)
{
	edit_message(user, (size_t)it->value);
}

void cmd_edit(struct ui *u, const char *args)
{
	struct conversation c = {0};
	struct err e = ERR_INIT;
	size_t n = 0, want = strtoul(args, NULL, 10);
	if (*args && args[strspn(args, "0123456789")]) { /* with a text: at once */
		shared(u, "/edit", args);
		return;
	}
	if (session_messages(u->s, &c, &e) < 0)
		ui_say(u, ITEM_ERROR, e.msg);
	popup_begin(&u->popup, "edit which message?", u);
	for (size_t i = 0; i < c.n; i++) {
		char number[24];
		if (strcmp(c.m[i].role, "user"))
			continue;
		snprintf(number, sizeof(number), "%zu", ++n);
		popup_add(&u->popup, number, c.m[i].text, (long)i);
		if (n == want)
			edit_message(u, i);
	}
	conversation_clear(&c);
	u->popup.chosen = message_chosen;
	if (n == 0 || want > n)
		ui_flash(u, "there is no such message");
	else if (!want)
		popup_show(&u->popup, n - 1);
}
