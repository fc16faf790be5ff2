/* What the session says, into the conversation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/input.h"
#include "tui/ui.h"

static void add_message(struct ui *u, const struct chat_message *m)
{
	if (!strcmp(m->role, "user")) {
		convview_add(&u->conv, ITEM_USER, m->text, m->len);
	} else if (!strcmp(m->role, "assistant")) {
		convview_begin(&u->conv, false);
		convview_grow(&u->conv, true, m->reasoning ? m->reasoning : "", m->reasoning_len);
		convview_grow(&u->conv, false, m->text, m->len);
		convview_end(&u->conv, m->reasoning_tokens, m->seconds);
	}
}

void ui_rebuild(struct ui *u, size_t n)
{
	struct conversation c = {0};
	struct err e = ERR_INIT;
	if (session_messages(u->s, &c, &e) < 0) {
		ui_say(u, ITEM_ERROR, e.msg);
		return;
	}
	convview_restart(&u->conv);
	for (size_t i = 0; i < c.n && i < n; i++)
		add_message(u, c.m + i);
	convview_restarted(&u->conv);
	conversation_clear(&c);
	u->editing = 0;
}

static void answer_done(struct ui *u, const struct session_event *ev)
{
	struct conversation c = {0};
	struct err e = ERR_INIT;
	uint64_t tokens = 0;
	double seconds = -1;
	if (session_messages(u->s, &c, &e) == 0 && ev->b < c.n) {
		tokens = c.m[ev->b].reasoning_tokens;
		seconds = c.m[ev->b].seconds;
	}
	conversation_clear(&c);
	convview_end(&u->conv, tokens, seconds);
	if (!strcmp(ev->text, "cancelled"))
		convview_remark(&u->conv, "stopped; /continue goes on");
	else if (!strcmp(ev->text, "length"))
		convview_remark(&u->conv, "cut at the limit of tokens; /continue goes on");
}

static void refused(struct ui *u, const struct session_event *ev)
{
	if (input_empty())
		input_set(ev->text, ev->len);
	else
		convview_add(&u->conv, ITEM_NOTE, ev->text, ev->len);
}

static void take(struct ui *u, const struct session_event *ev)
{
	switch (ev->kind) {
	case SESSION_USER:
		u->saved = false;
		convview_add(&u->conv, ITEM_USER, ev->text, ev->len);
		break;
	case SESSION_PROMPT:
		u->saved = false;
		convview_begin(&u->conv, ev->b == 1);
		break;
	case SESSION_TEXT:
		convview_grow(&u->conv, ev->a == 1, ev->text, ev->len);
		break;
	case SESSION_DONE:
		answer_done(u, ev);
		break;
	case SESSION_REFUSED:
		convview_unsend(&u->conv);
		refused(u, ev);
		break;
	case SESSION_CHANGED:
		ui_rebuild(u, ev->a);
		ui_refresh_status(u);
		break;
	case SESSION_NAMED:
		free(u->name);
		u->name = *ev->text ? strdup(ev->text) : NULL;
		break;
	case SESSION_SAVED:
		u->saved = true;
		break;
	case SESSION_ERROR:
	case SESSION_NOTE:
		ui_say(u, ev->kind == SESSION_ERROR ? ITEM_ERROR : ITEM_NOTE, ev->text);
		break;
	case SESSION_PROGRESS:
	case SESSION_IDLE:
		break;
	}
}

void ui_events(struct ui *u)
{
	struct session_event *ev;
	while ((ev = session_next(u->s))) {
		u->dirty = true;
		take(u, ev);
		free(ev);
	}
}

/* "think:on T=0.7": what the last line tells of the settings. */
void ui_refresh_status(struct ui *u)
{
	char *think = session_get(u->s, "enable_thinking"), *temp = session_get(u->s, "temp");
	int n = 0;
	u->status[0] = 0;
	if (think && *think)
		n = snprintf(u->status, sizeof(u->status), "think:%s ",
			!strcmp(think, "true") ? "on" : !strcmp(think, "false") ? "off" : think);
	if (n >= 0 && n < (int)sizeof(u->status) && temp)
		snprintf(u->status + n, sizeof(u->status) - (size_t)n, "T=%s ", temp);
	free(think);
	free(temp);
}
