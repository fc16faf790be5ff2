/* The engine thread's side of a session: what each command does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/session_private.h"
#include "chat/session_store.h"

static void on_text(void *arg, bool reasoning, const char *p, size_t len)
{
	session_save_partial(arg, reasoning, p, len);
	session_emit(arg, SESSION_TEXT, reasoning, 0, p, len);
}

static void count(void *arg, const char *p, size_t len)
{
	struct session *s = arg;
	(void)p;
	(void)len;
	atomic_fetch_add(&s->tokens, 1);
}

static void on_prefill(void *arg, size_t done, size_t total)
{
	struct session *s = arg;
	atomic_store(&s->prefill_done, done);
	atomic_store(&s->prefill_total, total);
	session_emit(s, SESSION_PROGRESS, done, total, "", 0);
}

/* --- answers --- */

static void take_settings(struct session *s)
{
	struct settings copy;
	struct err ignored = ERR_INIT;
	pthread_mutex_lock(&s->lock);
	int rc = settings_copy(&copy, &s->settings, &ignored);
	pthread_mutex_unlock(&s->lock);
	if (rc == 0) {
		settings_clear(chat_settings(s->chat));
		*chat_settings(s->chat) = copy;
	}
}

static void ended(struct session *s, const struct chat_result *r, size_t index)
{
	pthread_mutex_lock(&s->lock);
	buf_reset(&s->stats);
	chat_stats_json(s->chat, &r->stats, &s->stats);
	buf_reset(&s->result);
	chat_result_json(s->chat, r, &s->result);
	pthread_mutex_unlock(&s->lock);
	const char *how = chat_finish_name(r->finish);
	session_emit(s, SESSION_DONE, r->ids.len, index, how, strlen(how));
	const struct plan *p = chat_plan(s->chat);
	struct buf b = BUF_INIT;
	if (r->finish == FINISH_LENGTH && r->prompt_ids.len + r->ids.len >= p->ctx) {
		buf_printf(&b, "the context of %u tokens is full; /drop forgets the oldest exchange, /clear everything, "
			       "and a larger --ctx holds more", p->ctx);
		session_emit_text(s, SESSION_NOTE, buf_str(&b));
	}
	buf_clear(&b);
}

/* Answer or continue; 0, or -1 with e. */
static int answer(struct session *s, bool go_on, struct err *e)
{
	struct chat_result r = {0};
	const struct chat_sink sink = {.text = count, .part = on_text, .prefill = on_prefill, .arg = s};
	const struct conversation *c = chat_conversation(s->chat);
	size_t index = go_on && c->n ? c->n - 1 : c->n;
	atomic_store(&s->busy, true);
	atomic_store(&s->tokens_before, atomic_load(&s->tokens));
	atomic_store(&s->prefill_done, 0);
	atomic_store(&s->prefill_total, 0);
	if (!atomic_exchange(&s->stopping, false))
		chat_uncancel(s->chat);
	take_settings(s);
	session_kv_restore(s);
	session_begin_partial(s, go_on);
	chat_set_attempt(s->chat, s->attempt);
	session_emit(s, SESSION_PROMPT, index, go_on, "", 0);
	int rc = go_on ? chat_continue(s->chat, &sink, &r, e) : chat_answer(s->chat, &sink, &r, e);
	if (rc == 0)
		session_kv_measure(s, &r);
	if (rc == 0 || r.finish == FINISH_ERROR)
		ended(s, &r, index);
	if (rc < 0)
		session_emit_text(s, SESSION_ERROR, e->msg);
	if (rc < 0 && e->code == ERR_LIMIT)
		session_emit_text(s, SESSION_NOTE, "/drop forgets the oldest exchange, /clear everything; a larger --ctx holds more");
	chat_result_clear(&r);
	session_publish(s);
	atomic_store(&s->busy, false);
	return rc;
}

static void changed(struct session *s)
{
	session_publish(s);
	session_emit(s, SESSION_CHANGED, chat_conversation(s->chat)->n, 0, "", 0);
}

/* Add the user's message and answer it; without any answer the message is given back. */
static int ask(struct session *s, const char *text, size_t len, struct err *e)
{
	struct conversation *c = chat_conversation(s->chat);
	size_t n = c->n;
	s->attempt = 0;
	if (conversation_add(c, "user", text, len, e) < 0) {
		session_emit_text(s, SESSION_ERROR, e->msg);
		return -1;
	}
	session_emit(s, SESSION_USER, n, 0, text, len);
	session_publish(s);
	if (answer(s, false, e) == 0 || c->n > n + 1)
		return 0;
	conversation_cut(c, n);
	session_emit(s, SESSION_REFUSED, n, 0, text, len);
	changed(s);
	return 0;
}

static int retry(struct session *s, struct err *e)
{
	struct conversation *c = chat_conversation(s->chat), old;
	size_t user = conversation_last(c, "user");
	if (user == c->n)
		return err_set(e, ERR_USAGE, "there is nothing to answer again");
	if (conversation_copy(&old, c, e) < 0)
		return -1;
	conversation_cut(c, user + 1);
	s->attempt++;
	changed(s);
	if (answer(s, false, e) < 0 && c->n == user + 1) { /* the old answer is better than none */
		conversation_clear(c);
		*c = old;
		changed(s);
		return 0;
	}
	conversation_clear(&old);
	return 0;
}

static int undo(struct session *s, struct err *e)
{
	struct conversation *c = chat_conversation(s->chat);
	size_t user = conversation_last(c, "user");
	if (user == c->n)
		return err_set(e, ERR_USAGE, "there is nothing to undo");
	conversation_cut(c, user);
	changed(s);
	return 0;
}

static int edit(struct session *s, const struct command *cmd, struct err *e)
{
	struct conversation *c = chat_conversation(s->chat);
	if (cmd->n >= c->n)
		return err_set(e, ERR_USAGE, "there is no message %zu", cmd->n + 1);
	const char *role = c->m[cmd->n].role;
	bool user = !strcmp(role, "user");
	if (!strcmp(role, "system")) {
		if (conversation_set_system(c, cmd->text, cmd->len, e) < 0)
			return -1;
	} else if (user) {
		conversation_cut(c, cmd->n);
	} else {
		if (conversation_replace_text(&c->m[cmd->n], cmd->text, cmd->len, e) < 0)
			return -1;
		c->m[cmd->n].finish = FINISH_CANCELLED; /* may be continued */
		conversation_cut(c, cmd->n + 1);
	}
	changed(s);
	return user ? ask(s, cmd->text, cmd->len, e) : 0;
}

/* Forget the n oldest exchanges: each a message of the user and what follows up to the next. */
static int drop(struct session *s, size_t n, struct err *e)
{
	struct conversation *c = chat_conversation(s->chat);
	size_t from = conversation_has_system(c), to = from;
	for (; n && to < c->n; n--)
		for (to++; to < c->n && strcmp(c->m[to].role, "user");)
			to++;
	if (to == from)
		return err_set(e, ERR_USAGE, "there is nothing to forget");
	conversation_remove(c, from, to - from);
	changed(s);
	return 0;
}

static int system_prompt(struct session *s, const struct command *c, struct err *e)
{
	if (conversation_set_system(chat_conversation(s->chat), c->text, c->len, e) < 0)
		return -1;
	changed(s);
	return 0;
}

static void forget(struct session *s)
{
	struct conversation *c = chat_conversation(s->chat);
	size_t keep = conversation_has_system(c);
	conversation_cut(c, keep);
}

/* The present session is left for another one. */
static void leave(struct session *s)
{
	char *note = session_kv_leave(s);
	if (note)
		session_emit_text(s, SESSION_NOTE, note);
	free(note);
}

/* No session of that name is overwritten. */
static int check_free(const char *name, struct err *e)
{
	struct session_stamp there = name && *name ? session_file_stamp(name) : (struct session_stamp){0};
	return there.inode ? err_set(e, ERR_USAGE, "there is a session \"%.60s\" already", name) : 0;
}

static int fresh(struct session *s, const char *name, struct err *e)
{
	if (check_free(name, e) < 0)
		return -1;
	leave(s);
	if (session_rename(s, name, e) < 0)
		return -1;
	forget(s);
	changed(s);
	return 0;
}

static int load(struct session *s, const char *name, struct err *e)
{
	leave(s);
	if (session_load_file(s, name, e) < 0)
		return -1;
	changed(s);
	return 0;
}

static int fork_session(struct session *s, const char *name, struct err *e)
{
	if (check_free(name, e) < 0 || session_rename(s, name, e) < 0)
		return -1;
	session_publish(s);
	return 0;
}

static int delete_session(struct session *s, const char *name, struct err *e)
{
	bool present = s->name && !strcmp(s->name, name);
	if (session_file_delete(name, e) < 0)
		return -1;
	session_emit_text(s, SESSION_NOTE, "deleted");
	return present ? fresh(s, NULL, e) : 0;
}

void session_do(struct session *s, const struct command *c)
{
	struct err e = ERR_INIT;
	int rc = 0;
	switch (c->kind) {
	case CMD_SEND:
		atomic_fetch_sub(&s->queued, 1);
		ask(s, c->text, c->len, &e);
		break;
	case CMD_RETRY:
		rc = retry(s, &e);
		break;
	case CMD_CONTINUE:
		answer(s, true, &e);
		break;
	case CMD_UNDO:
		rc = undo(s, &e);
		break;
	case CMD_EDIT:
		rc = edit(s, c, &e);
		break;
	case CMD_DROP:
		rc = drop(s, c->n, &e);
		break;
	case CMD_CLEAR: /* what was kept stays under its name */
		if (s->on_disk)
			rc = fresh(s, NULL, &e);
		else
			forget(s), changed(s);
		break;
	case CMD_SYSTEM:
		rc = system_prompt(s, c, &e);
		break;
	case CMD_NEW:
		rc = fresh(s, c->text, &e);
		break;
	case CMD_LOAD:
		rc = load(s, c->text, &e);
		break;
	case CMD_FORK:
		rc = fork_session(s, c->text, &e);
		break;
	case CMD_DELETE:
		rc = delete_session(s, c->text, &e);
		break;
	case CMD_KEEP_KV:
		rc = session_kv_keep(s, &e);
		break;
	}
	if (rc < 0)
		session_emit_text(s, SESSION_ERROR, e.msg);
}
