/* The UI's side of a session, and its thread. */
#include "chat/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "chat/session_private.h"
#include "chat/session_store.h"

#define ATTACH_LIMIT ((size_t)4 << 20)

void session_emit(struct session *s, enum session_event_kind kind, uint64_t a, uint64_t b, const char *p,
	size_t len)
{
	struct event_item *it = calloc(1, sizeof(*it));
	struct session_event *ev = calloc(1, sizeof(*ev) + len + 1);
	if (!it || !ev) {
		free(it);
		free(ev);
		return;
	}
	*ev = (struct session_event){.kind = kind, .a = a, .b = b, .len = len};
	if (len)
		memcpy(ev->text, p, len);
	it->event = ev;
	queue_push(&s->events, &it->item);
}

void session_emit_text(struct session *s, enum session_event_kind kind, const char *text)
{
	session_emit(s, kind, 0, 0, text, strlen(text));
}

/* Reads begin while the user types. An answer starts what failed here again, and tells what is wrong. */
static void start_early(struct session *s)
{
	struct err ignored = ERR_INIT;
	struct buf b = BUF_INIT;
	if (chat_start(s->chat, 0, &ignored) < 0 || !chat_reader_note(s->chat))
		return;
	buf_printf(&b, "reads by %s: %s", chat_reader_name(s->chat), chat_reader_note(s->chat));
	session_emit_text(s, SESSION_NOTE, buf_str(&b));
	buf_clear(&b);
}

static void *engine_thread(void *arg)
{
	struct session *s = arg;
	if (s->watched)
		why_probe(s->why, s->chat);
	start_early(s);
	for (struct command *c; (c = (struct command *)queue_wait(&s->commands));) {
		session_do(s, c);
		free(c);
		if (atomic_fetch_sub(&s->pending, 1) == 1)
			session_emit(s, SESSION_IDLE, 0, 0, "", 0);
	}
	return NULL;
}

static int start(struct session *s, const struct session_options *o, struct err *e)
{
	struct err why = ERR_INIT;
	if (settings_copy(&s->settings, chat_settings(s->chat), e) < 0)
		return -1;
	if (o->resume && session_load_file(s, o->resume, e) < 0)
		return -1;
	if (!o->resume && s->keep && session_rename(s, NULL, &why) < 0) {
		s->keep = false;
		err_prefix(&why, "the conversation is not kept");
		session_emit_text(s, SESSION_NOTE, why.msg);
	}
	const char *system = chat_system(s->chat); /* of the command line: stronger than the saved one */
	if (o->resume && system &&
		conversation_set_system(chat_conversation(s->chat), system, strlen(system), e) < 0)
		return -1;
	if (conversation_copy(&s->shown, chat_conversation(s->chat), e) < 0)
		return -1;
	char *note = chat_recommended_note(s->chat);
	if (note)
		session_emit_text(s, SESSION_NOTE, note);
	free(note);
	if (!chat_has_template(s->chat))
		session_emit_text(s, SESSION_NOTE, "there is no chat template: messages go in as they are, one after the other");
	int rc = pthread_create(&s->thread, NULL, engine_thread, s);
	s->started = rc == 0;
	return rc ? err_sys(e, rc, "can't start the engine thread") : 0;
}

/* The dtype of most bytes. */
static enum dtype most_frequent(const struct model *m)
{
	uint64_t bytes[DTYPE_COUNT] = {0};
	enum dtype best = DTYPE_F32;
	for (size_t i = 0; i < m->n_weights; i++)
		bytes[m->weights[i].dtype] += m->weights[i].rows * m->weights[i].row_bytes;
	for (int t = DTYPE_F32; t < DTYPE_COUNT; t++)
		best = bytes[t] > bytes[best] ? (enum dtype)t : best;
	return best;
}

int session_open(struct session **out, struct chat *chat, const struct session_options *o, struct err *e)
{
	*out = NULL;
	struct session *s = calloc(1, sizeof(*s));
	if (!s || !(s->why = why_new())) {
		free(s);
		return err_nomem(e);
	}
	s->chat = chat;
	s->keep = o->keep;
	s->watched = o->watched;
	s->kv_worth_s = o->kv_worth_s;
	s->autosave_s = o->autosave_s;
	s->commands.fd = s->events.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	const struct backend *b = chat_backend(chat);
	struct buf text = BUF_INIT;
	buf_printf(&text, "%s/%s %d threads", b->name, b->variant, b->threads);
	strncpy(s->device, buf_str(&text), sizeof(s->device) - 1);
	buf_clear(&text);
	strncpy(s->dtype, dtype_info(most_frequent(chat_model(chat)))->name, sizeof(s->dtype) - 1);
	if (queue_init(&s->commands, e) < 0 || queue_init(&s->events, e) < 0 || start(s, o, e) < 0) {
		session_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

static void stop_thread(struct session *s)
{
	struct queue_item *c;
	if (!s->started)
		return;
	s->started = false;
	while ((c = queue_pop(&s->commands)))
		free(c);
	atomic_store(&s->stopping, true);
	chat_cancel(s->chat);
	queue_close(&s->commands);
	pthread_join(s->thread, NULL);
}

char *session_end(struct session *s)
{
	if (!s || !s->started)
		return NULL;
	stop_thread(s);
	return session_kv_leave(s);
}

void session_close(struct session *s)
{
	if (!s)
		return;
	stop_thread(s);
	if (s->events.fd >= 0)
		for (struct session_event *ev; (ev = session_next(s));)
			free(ev);
	if (s->commands.fd >= 0)
		queue_clear(&s->commands);
	if (s->events.fd >= 0)
		queue_clear(&s->events);
	pthread_mutex_destroy(&s->lock);
	settings_clear(&s->settings);
	buf_clear(&s->stats);
	buf_clear(&s->result);
	buf_clear(&s->attached);
	buf_clear(&s->partial[0]);
	buf_clear(&s->partial[1]);
	conversation_clear(&s->shown);
	free(s->name);
	why_free(s->why);
	free(s);
}

int session_fd(const struct session *s)
{
	return s->events.fd;
}

struct session_event *session_next(struct session *s)
{
	struct event_item *it = (struct event_item *)queue_pop(&s->events);
	struct session_event *ev = it ? it->event : NULL;
	free(it);
	return ev;
}

/* --- commands --- */

static void post(struct session *s, enum command_kind kind, size_t n, const char *text, size_t len)
{
	struct command *c = calloc(1, sizeof(*c) + len + 1);
	if (!c) {
		session_emit_text(s, SESSION_ERROR, "out of memory");
		return;
	}
	c->kind = kind;
	c->n = n;
	c->len = len;
	if (len)
		memcpy(c->text, text, len);
	if (kind == CMD_SEND)
		atomic_fetch_add(&s->queued, 1);
	atomic_fetch_add(&s->pending, 1);
	queue_push(&s->commands, &c->item);
}

void session_send(struct session *s, const char *text, size_t len)
{
	if (s->attached.len == 0) {
		post(s, CMD_SEND, 0, text, len);
		return;
	}
	buf_add(&s->attached, text, len);
	if (s->attached.failed)
		session_emit_text(s, SESSION_ERROR, "out of memory");
	else
		post(s, CMD_SEND, 0, s->attached.p, s->attached.len);
	buf_clear(&s->attached);
}

size_t session_queued(struct session *s)
{
	return atomic_load(&s->queued);
}

size_t session_pending(struct session *s)
{
	return atomic_load(&s->pending);
}

void session_stop(struct session *s)
{
	if (atomic_load(&s->busy))
		chat_cancel(s->chat);
}

void session_retry(struct session *s)
{
	post(s, CMD_RETRY, 0, "", 0);
}

void session_continue(struct session *s)
{
	post(s, CMD_CONTINUE, 0, "", 0);
}

void session_undo(struct session *s)
{
	post(s, CMD_UNDO, 0, "", 0);
}

void session_edit(struct session *s, size_t index, const char *text, size_t len)
{
	post(s, CMD_EDIT, index, text, len);
}

void session_drop(struct session *s, size_t n)
{
	post(s, CMD_DROP, n, "", 0);
}

void session_clear(struct session *s)
{
	post(s, CMD_CLEAR, 0, "", 0);
}

void session_set_system(struct session *s, const char *text, size_t len)
{
	post(s, CMD_SYSTEM, 0, text, len);
}

static void post_name(struct session *s, enum command_kind kind, const char *name)
{
	post(s, kind, 0, name ? name : "", name ? strlen(name) : 0);
}

void session_new(struct session *s, const char *name)
{
	post_name(s, CMD_NEW, name);
}

void session_load(struct session *s, const char *name)
{
	post_name(s, CMD_LOAD, name);
}

void session_fork(struct session *s, const char *name)
{
	post_name(s, CMD_FORK, name);
}

void session_delete(struct session *s, const char *name)
{
	post_name(s, CMD_DELETE, name);
}

void session_keep_kv(struct session *s)
{
	post(s, CMD_KEEP_KV, 0, "", 0);
}

char *session_name(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	char *name = s->name ? strdup(s->name) : NULL;
	pthread_mutex_unlock(&s->lock);
	return name;
}

/* --- attached files --- */

static size_t longest_run(const struct buf *b, char c)
{
	size_t longest = 0, n = 0;
	for (size_t i = 0; i < b->len; i++) {
		n = b->p[i] == c ? n + 1 : 0;
		longest = n > longest ? n : longest;
	}
	return longest;
}

int session_attach(struct session *s, const char *path, struct err *e)
{
	struct buf text = BUF_INIT;
	size_t room = ATTACH_LIMIT > s->attached.len ? ATTACH_LIMIT - s->attached.len : 0;
	int rc = file_read(path, room, &text, e);
	if (rc == 0 && (!utf8_valid(buf_str(&text), text.len) || memchr(buf_str(&text), 0, text.len)))
		rc = err_set(e, ERR_FORMAT, "%s is not a text in UTF-8", path);
	if (rc == 0) {
		const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
		size_t ticks = longest_run(&text, '`') + 1;
		buf_printf(&s->attached, "File %s:\n\n", name);
		for (size_t i = 0; i < (ticks < 3 ? 3 : ticks); i++)
			buf_addc(&s->attached, '`');
		buf_addc(&s->attached, '\n');
		buf_add(&s->attached, buf_str(&text), text.len);
		if (text.len && text.p[text.len - 1] != '\n')
			buf_addc(&s->attached, '\n');
		for (size_t i = 0; i < (ticks < 3 ? 3 : ticks); i++)
			buf_addc(&s->attached, '`');
		buf_puts(&s->attached, "\n\n");
		rc = buf_ok(&s->attached, e);
	}
	buf_clear(&text);
	return rc;
}

size_t session_attached(struct session *s)
{
	return s->attached.len;
}

void session_detach(struct session *s)
{
	buf_clear(&s->attached);
}

/* --- settings and copies --- */

int session_set(struct session *s, const char *name, const char *value, struct err *e)
{
	enum setting id = setting_find(name);
	int rc;
	if (!strcmp(name, "system")) {
		session_set_system(s, value, strlen(value));
		return 0;
	}
	if (id == SETTINGS && !chat_template_uses(s->chat, name))
		return err_set(e, ERR_USAGE, "there is no parameter %.60s (/set lists them), and the chat template has no such variable",
			name);
	pthread_mutex_lock(&s->lock);
	rc = id < SETTINGS ? settings_set(&s->settings, id, value, FROM_USER, e)
			   : settings_set_var(&s->settings, name, value, FROM_USER, e);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

char *session_get(struct session *s, const char *name)
{
	enum setting id = setting_find(name);
	char *out = NULL;
	pthread_mutex_lock(&s->lock);
	const struct setting_var *v = settings_var(&s->settings, name);
	if (id < SETTINGS)
		out = settings_get(&s->settings, id);
	else if (v)
		out = strdup(v->json);
	else if (!strcmp(name, "system"))
		out = strdup(conversation_has_system(&s->shown) ? s->shown.m[0].text : "");
	pthread_mutex_unlock(&s->lock);
	return out;
}

char *session_settings(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	char *out = settings_list(&s->settings);
	pthread_mutex_unlock(&s->lock);
	return out;
}

int session_messages(struct session *s, struct conversation *out, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	int rc = conversation_copy(out, &s->shown, e);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int session_save(struct session *s, const char *path, struct err *e)
{
	struct conversation c;
	if (session_messages(s, &c, e) < 0)
		return -1;
	int rc = c.n ? conversation_save(&c, chat_model(s->chat)->name, path, e)
		     : err_set(e, ERR_USAGE, "there is nothing to save yet");
	conversation_clear(&c);
	return rc;
}

char *session_stats_json(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	char *out = s->stats.len ? strdup(s->stats.p) : NULL;
	pthread_mutex_unlock(&s->lock);
	return out;
}

char *session_result_json(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	char *out = s->result.len ? strdup(s->result.p) : NULL;
	pthread_mutex_unlock(&s->lock);
	return out;
}
