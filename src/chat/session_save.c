/* The engine thread's side of keeping a session: its file, its name, going on with one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "base/clock.h"
#include "base/json.h"
#include "chat/session_private.h"
#include "chat/session_store.h"

static char *settings_json(const struct settings *s)
{
	struct buf b = BUF_INIT;
	buf_puts(&b, "{");
	for (int i = 0; i < SETTINGS; i++) {
		if (i == SETTING_STOP || s->from[i] < FROM_SESSION)
			continue;
		char *v = settings_get(s, (enum setting)i);
		buf_printf(&b, "%s\"%s\": ", b.len > 1 ? ", " : "", setting_name((enum setting)i));
		json_write_str(&b, v ? v : "", v ? strlen(v) : 0);
		free(v);
	}
	buf_printf(&b, "%s\"stop\": [", b.len > 1 ? ", " : "");
	for (size_t i = 0; i < s->n_stops; i++) {
		buf_puts(&b, i ? ", " : "");
		json_write_str(&b, s->stops[i], strlen(s->stops[i]));
	}
	char *vars = settings_vars_json(s);
	buf_printf(&b, "], \"template\": %s}", vars ? vars : "{}");
	free(vars);
	return buf_take(&b);
}

/* Values that a session's file holds; what no longer fits is left out. */
static void apply_settings(struct settings *s, const char *json)
{
	struct err ignored = ERR_INIT;
	cJSON *j = json ? cJSON_Parse(json) : NULL;
	const cJSON *v, *item;
	cJSON_ArrayForEach(v, j) {
		enum setting id = setting_find(v->string);
		if (id == SETTING_STOP)
			cJSON_ArrayForEach(item, v)
				settings_set(s, id, cJSON_IsString(item) ? item->valuestring : "", FROM_SESSION, &ignored);
		else if (id < SETTINGS && id != SETTING_SEED && cJSON_IsString(v))
			settings_set(s, id, v->valuestring, FROM_SESSION, &ignored);
		else if (id == SETTINGS && !strcmp(v->string, "template"))
			cJSON_ArrayForEach(item, v) {
				char *text = cJSON_PrintUnformatted(item);
				if (text)
					settings_set_var(s, item->string, text, FROM_SESSION, &ignored);
				free(text);
			}
	}
	cJSON_Delete(j);
}

static int write_file(struct session *s, const struct conversation *c, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	char *settings = settings_json(&s->settings), *name = s->name ? strdup(s->name) : NULL;
	pthread_mutex_unlock(&s->lock);
	struct session_file f = {.model = session_model(chat_model_path(s->chat)), .settings = settings,
		.messages = *c};
	int rc = name && settings && f.model ? session_file_write(name, &f, e) : err_nomem(e);
	if (rc == 0)
		session_emit_text(s, SESSION_SAVED, name);
	free(f.model);
	free(settings);
	free(name);
	return rc;
}

/* Another program goes on with the same session: what it wrote stays, ours goes under a name of its own. */
static int step_aside(struct session *s, struct err *e)
{
	struct session_stamp now = session_file_stamp(s->name);
	struct buf note = BUF_INIT;
	if (!s->on_disk || now.inode == 0 || session_stamp_same(&now, &s->stamp))
		return 0;
	buf_printf(&note, "the session %s was changed by another program; this one goes on under a new name", s->name);
	int rc = session_rename(s, NULL, e);
	if (rc == 0)
		session_emit_text(s, SESSION_NOTE, buf_str(&note));
	buf_clear(&note);
	return rc;
}

static void save(struct session *s, const struct conversation *c)
{
	struct err e = ERR_INIT;
	if (step_aside(s, &e) == 0 && write_file(s, c, &e) == 0) {
		s->save_failed = false;
		s->on_disk = true;
		s->stamp = session_file_stamp(s->name);
	} else if (!s->save_failed) {
		s->save_failed = true;
		err_prefix(&e, "the conversation could not be saved");
		session_emit_text(s, SESSION_ERROR, e.msg);
	}
}

void session_begin_partial(struct session *s, bool extends)
{
	buf_reset(&s->partial[0]);
	buf_reset(&s->partial[1]);
	s->partial_extends = extends;
	s->partial_saved = clock_ns();
}

static int extend(char **text, size_t *len, const struct buf *more)
{
	char *p = more->len ? realloc(*text, *len + more->len + 1) : NULL;
	if (!p)
		return more->len ? -1 : 0;
	memcpy(p + *len, more->p, more->len);
	*text = p;
	*len += more->len;
	p[*len] = '\0';
	return 0;
}

/* An answer may take hours: what there is of it survives a crash, as one that was stopped. */
void session_save_partial(struct session *s, bool reasoning, const char *p, size_t len)
{
	struct err e = ERR_INIT;
	struct conversation c;
	buf_add(&s->partial[reasoning], p, len);
	if (!s->keep || !s->name || (double)(clock_ns() - s->partial_saved) < s->autosave_s * 1e9)
		return;
	if (conversation_copy(&c, chat_conversation(s->chat), &e) < 0)
		return;
	if (s->partial_extends || conversation_add(&c, "assistant", "", 0, &e) == 0) {
		struct chat_message *m = &c.m[c.n - 1];
		m->finish = FINISH_CANCELLED;
		ids_clear(&m->ids);
		if (extend(&m->text, &m->len, &s->partial[0]) == 0 &&
			extend(&m->reasoning, &m->reasoning_len, &s->partial[1]) == 0)
			save(s, &c);
	}
	conversation_clear(&c);
	s->partial_saved = clock_ns();
}

void session_publish(struct session *s)
{
	struct err e = ERR_INIT;
	struct conversation copy;
	const struct conversation *c = chat_conversation(s->chat);
	if (conversation_copy(&copy, c, &e) == 0) {
		pthread_mutex_lock(&s->lock);
		conversation_clear(&s->shown);
		s->shown = copy;
		pthread_mutex_unlock(&s->lock);
	}
	/* an empty conversation needs no file */
	bool some = c->n > (size_t)conversation_has_system(c);
	if (!s->keep || !s->name || !(some || s->on_disk))
		return;
	save(s, c);
}

static void name_from_time(char *out, size_t cap)
{
	struct timespec t;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &t);
	localtime_r(&t.tv_sec, &tm);
	size_t n = strftime(out, cap, "%Y-%m-%d-%H%M%S", &tm);
	snprintf(out + n, cap - n, "-%03ld", t.tv_nsec / 1000000);
}

int session_rename(struct session *s, const char *name, struct err *e)
{
	char made[64], *probe;
	if (!name || !*name) {
		name_from_time(made, sizeof(made));
		name = made;
	}
	if (session_name_check(name, e) < 0)
		return -1;
	if (s->keep) { /* the folder can be made */
		if (!(probe = session_kv_path(name, e)))
			return -1;
		free(probe);
	}
	char *copy = strdup(name);
	if (!copy)
		return err_nomem(e);
	pthread_mutex_lock(&s->lock);
	free(s->name);
	s->name = copy;
	s->on_disk = s->kv_wanted = false;
	s->kv_kept = 0;
	pthread_mutex_unlock(&s->lock);
	session_emit_text(s, SESSION_NAMED, name);
	return 0;
}

int session_load_file(struct session *s, const char *name, struct err *e)
{
	struct session_file f;
	struct session_stamp stamp = session_file_stamp(name); /* before: what is written meanwhile counts */
	if (session_file_read(name, &f, e) < 0)
		return -1;
	if (session_rename(s, name, e) < 0) {
		session_file_clear(&f);
		return -1;
	}
	struct conversation *c = chat_conversation(s->chat);
	char *model = session_model(chat_model_path(s->chat));
	if (f.model && model && strcmp(f.model, model)) {
		struct buf b = BUF_INIT;
		buf_printf(&b, "this session was made with the model %s", f.model);
		session_emit_text(s, SESSION_NOTE, buf_str(&b));
		for (size_t i = 0; i < f.messages.n; i++) /* its tokens are of another vocabulary */
			ids_clear(&f.messages.m[i].ids);
		buf_clear(&b);
	}
	free(model);
	conversation_clear(c);
	if (f.messages.n && !strcmp(f.messages.m[f.messages.n - 1].role, "user"))
		session_emit_text(s, SESSION_NOTE, "the last message has no answer: /retry answers it, /undo takes it back");
	s->on_disk = s->kv_wanted = true;
	s->stamp = stamp;
	*c = f.messages;
	f.messages = (struct conversation){0};
	pthread_mutex_lock(&s->lock);
	apply_settings(&s->settings, f.settings);
	pthread_mutex_unlock(&s->lock);
	session_file_clear(&f);
	return 0;
}
