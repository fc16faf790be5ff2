#include "chat/session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/queue.h"
#include "chat/chat.h"
#include "chat/session_open.h"

enum command_kind { CMD_SEND, CMD_CLEAR, CMD_SYSTEM };

struct command {
	struct queue_item item;
	enum command_kind kind;
	size_t len;
	char text[];
};

struct event_item { /* queue_item, then the event that the caller gets and frees */
	struct queue_item item;
	struct session_event *event;
};

struct session {
	struct chat *chat; /* the engine thread's, but for what takes any thread */
	pthread_t thread;
	bool started;
	struct queue commands, events;
	atomic_size_t queued;
	atomic_bool busy, stopping;
	atomic_uint_fast64_t tokens, prefill_done, prefill_total;
	pthread_mutex_t lock;	/* guards all below */
	struct sampler_params sampler;
	struct buf stats, transcript[2]; /* of the last answer; Markdown and JSON after each message */
	char device[64], dtype[16];
	double disk_limit;
	int64_t rate_time;
	uint64_t rate_bytes;
	int64_t rate_busy;
	double rate;
};

static void emit(struct session *s, enum session_event_kind kind, uint64_t a, uint64_t b, const char *p,
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

static void emit_text(struct session *s, enum session_event_kind kind, const char *text)
{
	emit(s, kind, 0, 0, text, strlen(text));
}

/* --- the engine thread --- */

static void on_text(void *arg, const char *p, size_t len)
{
	struct session *s = arg;
	atomic_fetch_add(&s->tokens, 1);
	emit(s, SESSION_TEXT, 0, 0, p, len);
}

static void on_prefill(void *arg, size_t done, size_t total)
{
	struct session *s = arg;
	atomic_store(&s->prefill_done, done);
	atomic_store(&s->prefill_total, total);
	emit(s, SESSION_PROGRESS, done, total, "", 0);
}

static void keep_transcript(struct session *s)
{
	struct err ignored = ERR_INIT;
	pthread_mutex_lock(&s->lock);
	for (int json = 0; json < 2; json++) {
		buf_reset(&s->transcript[json]);
		chat_transcript(s->chat, json, &s->transcript[json], &ignored);
	}
	pthread_mutex_unlock(&s->lock);
}

static void answer(struct session *s, const struct command *c)
{
	struct err e = ERR_INIT;
	struct chat_result r = {0};
	const struct chat_sink sink = {.text = on_text, .prefill = on_prefill, .arg = s};
	atomic_store(&s->busy, true);
	atomic_store(&s->prefill_done, 0);
	atomic_store(&s->prefill_total, 0);
	if (!atomic_exchange(&s->stopping, false))
		chat_uncancel(s->chat);
	pthread_mutex_lock(&s->lock);
	*chat_sampler(s->chat) = s->sampler;
	pthread_mutex_unlock(&s->lock);
	emit(s, SESSION_PROMPT, 0, 0, "", 0);
	int rc = chat_add(s->chat, "user", c->text, c->len, &e);
	if (rc == 0)
		rc = chat_answer(s->chat, &sink, &r, &e);
	if (rc < 0) {
		emit_text(s, SESSION_ERROR, e.msg);
	} else {
		pthread_mutex_lock(&s->lock);
		buf_reset(&s->stats);
		chat_stats_json(s->chat, &r.stats, &s->stats);
		pthread_mutex_unlock(&s->lock);
		const char *how = chat_finish_name(r.finish);
		emit(s, SESSION_DONE, r.ids.len, 0, how, strlen(how));
	}
	chat_result_clear(&r);
	keep_transcript(s);
	atomic_store(&s->busy, false);
}

static void *engine_thread(void *arg)
{
	struct session *s = arg;
	struct err e = ERR_INIT;
	for (struct command *c; (c = (struct command *)queue_wait(&s->commands));) {
		switch (c->kind) {
		case CMD_SEND:
			atomic_fetch_sub(&s->queued, 1);
			answer(s, c);
			break;
		case CMD_CLEAR:
			chat_clear(s->chat);
			keep_transcript(s);
			break;
		case CMD_SYSTEM:
			if (chat_set_system(s->chat, c->text, c->len, &e) < 0)
				emit_text(s, SESSION_ERROR, e.msg);
			break;
		}
		free(c);
	}
	return NULL;
}

/* --- the UI's side --- */

int session_open(struct session **out, struct chat *chat, struct err *e)
{
	*out = NULL;
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		return err_nomem(e);
	s->chat = chat;
	s->sampler = *chat_sampler(chat);
	pthread_mutex_init(&s->lock, NULL);
	const struct backend *b = chat_backend(chat);
	struct buf text = BUF_INIT;
	buf_printf(&text, "%s/%s %d threads", b->name, b->variant, b->threads);
	strncpy(s->device, buf_str(&text), sizeof(s->device) - 1);
	buf_clear(&text);
	strncpy(s->dtype, dtype_info(chat_model(chat)->weights[1].tensor->dtype)->name, sizeof(s->dtype) - 1);
	if (queue_init(&s->commands, e) < 0 || queue_init(&s->events, e) < 0) {
		session_close(s);
		return -1;
	}
	int rc = pthread_create(&s->thread, NULL, engine_thread, s);
	s->started = rc == 0;
	if (rc) {
		session_close(s);
		return err_sys(e, rc, "can't start the engine thread");
	}
	*out = s;
	return 0;
}

void session_close(struct session *s)
{
	if (!s)
		return;
	if (s->started) {
		struct queue_item *c;
		while ((c = queue_pop(&s->commands)))
			free(c);
		chat_cancel(s->chat);
		atomic_store(&s->stopping, true);
		queue_close(&s->commands);
		pthread_join(s->thread, NULL);
	}
	for (struct session_event *ev; (ev = session_next(s));)
		free(ev);
	queue_clear(&s->commands);
	queue_clear(&s->events);
	pthread_mutex_destroy(&s->lock);
	buf_clear(&s->stats);
	buf_clear(&s->transcript[0]);
	buf_clear(&s->transcript[1]);
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

static void post(struct session *s, enum command_kind kind, const char *text, size_t len)
{
	struct command *c = calloc(1, sizeof(*c) + len + 1);
	if (!c) {
		emit_text(s, SESSION_ERROR, "out of memory");
		return;
	}
	c->kind = kind;
	c->len = len;
	if (len)
		memcpy(c->text, text, len);
	if (kind == CMD_SEND)
		atomic_fetch_add(&s->queued, 1);
	queue_push(&s->commands, &c->item);
}

void session_send(struct session *s, const char *text, size_t len)
{
	post(s, CMD_SEND, text, len);
}

size_t session_queued(struct session *s)
{
	return atomic_load(&s->queued);
}

void session_stop(struct session *s)
{
	if (atomic_load(&s->busy))
		chat_cancel(s->chat);
}

void session_clear(struct session *s)
{
	post(s, CMD_CLEAR, "", 0);
}

void session_set_system(struct session *s, const char *text, size_t len)
{
	post(s, CMD_SYSTEM, text, len);
}

static float *parameter(struct sampler_params *p, const char *name)
{
	static const struct {
		const char *name;
		size_t offset;
	} table[] = {{"temp", offsetof(struct sampler_params, temp)},
		{"top-p", offsetof(struct sampler_params, top_p)},
		{"min-p", offsetof(struct sampler_params, min_p)},
		{"repeat-penalty", offsetof(struct sampler_params, repeat_penalty)},
		{"presence-penalty", offsetof(struct sampler_params, presence_penalty)},
		{"frequency-penalty", offsetof(struct sampler_params, frequency_penalty)}};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (!strcmp(table[i].name, name))
			return (float *)((char *)p + table[i].offset);
	return NULL;
}

int session_set(struct session *s, const char *name, const char *value, struct err *e)
{
	char *end;
	double v = strtod(value, &end);
	if (end == value || *end)
		return err_set(e, ERR_USAGE, "\"%.60s\" is not a number", value);
	pthread_mutex_lock(&s->lock);
	struct sampler_params p = s->sampler;
	float *at = parameter(&p, name);
	int rc = 0;
	if (at)
		*at = (float)v;
	else if (!strcmp(name, "top-k") && v >= 0 && v < 1e9)
		p.top_k = (uint32_t)v;
	else if (!strcmp(name, "seed") && v >= 0 && v < 1e15)
		p.seed = (uint64_t)v;
	else
		rc = err_set(e, ERR_USAGE, "there is no parameter %.60s, or not with this value", name);
	if (rc == 0)
		rc = sampler_check(&p, e);
	if (rc == 0)
		s->sampler = p;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

char *session_settings(struct session *s)
{
	struct buf b = BUF_INIT;
	pthread_mutex_lock(&s->lock);
	const struct sampler_params *p = &s->sampler;
	buf_printf(&b, "temp = %g\ntop-k = %u\ntop-p = %g\nmin-p = %g\nrepeat-penalty = %g\n"
		"presence-penalty = %g\nfrequency-penalty = %g\nseed = %llu\n", (double)p->temp, p->top_k,
		(double)p->top_p, (double)p->min_p, (double)p->repeat_penalty, (double)p->presence_penalty,
		(double)p->frequency_penalty, (unsigned long long)p->seed);
	pthread_mutex_unlock(&s->lock);
	return buf_take(&b);
}

int session_save(struct session *s, const char *path, struct err *e)
{
	size_t n = strlen(path);
	bool json = n > 5 && !strcmp(path + n - 5, ".json");
	pthread_mutex_lock(&s->lock);
	const struct buf *t = &s->transcript[json];
	int rc = t->len ? file_write(path, buf_str(t), t->len, 0600, e)
			: err_set(e, ERR_USAGE, "there is nothing to save yet");
	pthread_mutex_unlock(&s->lock);
	return rc;
}

char *session_stats_json(struct session *s)
{
	pthread_mutex_lock(&s->lock);
	char *out = s->stats.len ? strdup(s->stats.p) : NULL;
	pthread_mutex_unlock(&s->lock);
	return out;
}

/* Bytes over the time with a read in flight: of the last second, and the best such second. */
static void measure_disk(struct session *s, struct session_view *v, const struct stream_view *sv)
{
	int64_t now = clock_ns();
	pthread_mutex_lock(&s->lock);
	if (now - s->rate_time > 500000000) {
		int64_t busy = sv->busy_ns - s->rate_busy;
		if (busy > 50000000) {
			s->rate = (double)(sv->bytes_read - s->rate_bytes) / (double)busy;
			s->disk_limit = s->rate > s->disk_limit ? s->rate : s->disk_limit;
		}
		s->rate_time = now;
		s->rate_bytes = sv->bytes_read;
		s->rate_busy = sv->busy_ns;
	}
	v->disk_gb_s = s->rate > 0 ? s->rate : -1;
	v->disk_limit_gb_s = s->disk_limit > 0 ? s->disk_limit : -1;
	pthread_mutex_unlock(&s->lock);
}

int session_view(struct session *s, struct session_view *v)
{
	struct trace_view trace = v->trace;
	const struct model *m = chat_model(s->chat);
	struct engine *en = chat_engine(s->chat);
	*v = (struct session_view){.model = m->name, .dtype = s->dtype, .model_bytes = m->bytes,
		.n_layers = m->n_layers, .tokens = atomic_load(&s->tokens), .busy = atomic_load(&s->busy),
		.prefill_done = atomic_load(&s->prefill_done), .prefill_total = atomic_load(&s->prefill_total),
		.ram_used = plan_process_ram(), .disk_gb_s = -1, .disk_limit_gb_s = -1, .device = s->device,
		.reader = "-", .trace = trace};
	if (!en)
		return 0;
	const struct plan *p = chat_plan(s->chat);
	struct stream_view sv;
	engine_stream_view(en, &sv);
	v->ctx = p->ctx;
	v->ctx_used = (uint32_t)engine_cached(en);
	v->ram_budget = p->ram_bytes;
	v->resident_bytes = p->resident_bytes;
	v->streamed_bytes = p->streamed_bytes;
	v->layer_resident = p->layers;
	v->disk_bytes = sv.bytes_read;
	v->reads_in_flight = (uint32_t)sv.in_flight;
	v->chunks_ahead = (uint32_t)sv.ahead;
	v->read_layer = p->schedule.chunks[sv.issued].layer;
	v->reader = chat_reader_name(s->chat);
	measure_disk(s, v, &sv);
	return trace_view(engine_trace(en), &v->trace);
}

void session_view_clear(struct session_view *v)
{
	trace_view_clear(&v->trace);
	*v = (struct session_view){0};
}
