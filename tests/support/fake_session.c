/* A session without an engine, for tests of the screen. It answers a message with "echo: MESSAGE", but
 *   lines N   with N numbered lines
 *   think     with reasoning before the answer
 *   slow      with one word every 10 ms until it is stopped
 *   fail      with an error: the message is given back
 *   noise     with output on stderr, as a library would
 *   crash     by a crash */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chat/command.h"
#include "chat/session.h"
#include "fake_session.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list, the messages, slow */
static struct session_event *head;
static int fds[2] = {-1, -1};
static struct conversation messages;
static pthread_t thread;
static bool threaded;
static atomic_bool busy, stop;
static size_t attached;

int session_fd(const struct session *s)
{
	(void)s;
	if (fds[0] < 0 && pipe(fds))
		abort();
	return fds[0];
}

static void emit(enum session_event_kind kind, uint64_t a, uint64_t b, const char *s, size_t n)
{
	struct session_event *ev = calloc(1, sizeof(*ev) + n + 1), **p = &head;
	if (!ev)
		abort();
	ev->kind = kind;
	ev->a = a;
	ev->b = b;
	ev->len = n;
	memcpy(ev->text, s, n);
	session_fd(NULL);
	pthread_mutex_lock(&lock);
	while (*p)
		p = &(*p)->next;
	*p = ev;
	pthread_mutex_unlock(&lock);
	if (write(fds[1], "", 1) != 1)
		abort();
}

struct session_event *session_next(struct session *s)
{
	char c;
	(void)s;
	pthread_mutex_lock(&lock);
	struct session_event *ev = head;
	if (ev && read(fds[0], &c, 1) == 1)
		head = ev->next;
	pthread_mutex_unlock(&lock);
	return ev;
}

static struct chat_message *add(const char *role, const char *text, size_t len)
{
	struct err e = ERR_INIT;
	if (conversation_add(&messages, role, text, len, &e))
		abort();
	return messages.m + messages.n - 1;
}

void fake_session_load(const char *role, const char *text, size_t len)
{
	add(role, text, len);
}

static void done(const char *how, const char *text, size_t len)
{
	pthread_mutex_lock(&lock);
	add("assistant", text, len);
	size_t n = messages.n;
	pthread_mutex_unlock(&lock);
	emit(SESSION_DONE, 3, n - 1, how, strlen(how));
	emit(SESSION_SAVED, 0, 0, "fake", 4);
}

static void *slowly(void *arg)
{
	struct buf all = BUF_INIT;
	(void)arg;
	for (int i = 0; !stop && i < 3000; i++) {
		char s[32];
		int n = snprintf(s, sizeof(s), "word%d%s", i, i % 8 == 7 ? "\n" : " ");
		buf_add(&all, s, (size_t)n);
		emit(SESSION_TEXT, 0, 0, s, (size_t)n);
		usleep(10000);
	}
	busy = false;
	done("cancelled", buf_str(&all), all.len);
	buf_clear(&all);
	return NULL;
}

static void answer(const char *text, size_t len)
{
	struct buf b = BUF_INIT;
	if (!strncmp(text, "lines ", 6)) {
		for (int i = 1; i <= atoi(text + 6); i++)
			buf_printf(&b, "line %d\n", i);
	} else if (!strcmp(text, "think")) {
		emit(SESSION_TEXT, 1, 0, "deep thoughts", 13);
		buf_puts(&b, "surface");
	} else {
		buf_puts(&b, "echo: ");
		buf_add(&b, text, len);
	}
	emit(SESSION_TEXT, 0, 0, buf_str(&b), b.len);
	done("stop", buf_str(&b), b.len);
	buf_clear(&b);
}

void session_send(struct session *s, const char *text, size_t len)
{
	session_stop(s);
	if (!strcmp(text, "crash"))
		raise(SIGSEGV);
	if (!strcmp(text, "noise"))
		fprintf(stderr, "noise of a \033[31mlibrary\n");
	if (!strcmp(text, "fail")) {
		emit(SESSION_USER, messages.n, 0, text, len);
		emit(SESSION_PROMPT, messages.n, 0, "", 0);
		emit(SESSION_ERROR, 0, 0, "it can't be done", 16);
		emit(SESSION_REFUSED, 0, 0, text, len);
		return;
	}
	pthread_mutex_lock(&lock);
	add("user", text, len);
	pthread_mutex_unlock(&lock);
	emit(SESSION_USER, messages.n - 1, 0, text, len);
	emit(SESSION_PROMPT, messages.n, 0, "", 0);
	if (strcmp(text, "slow")) {
		answer(text, len);
		return;
	}
	busy = true;
	stop = false;
	threaded = pthread_create(&thread, NULL, slowly, NULL) == 0;
}

void session_stop(struct session *s)
{
	(void)s;
	stop = true;
	if (threaded)
		pthread_join(thread, NULL);
	threaded = false;
}

static void changed(void)
{
	emit(SESSION_CHANGED, messages.n, 0, "", 0);
}

void session_clear(struct session *s)
{
	(void)s;
	conversation_cut(&messages, 0);
	changed();
}

void session_undo(struct session *s)
{
	(void)s;
	conversation_cut(&messages, messages.n >= 2 ? messages.n - 2 : 0);
	changed();
}

void session_edit(struct session *s, size_t index, const char *text, size_t len)
{
	conversation_cut(&messages, index);
	changed();
	session_send(s, text, len);
}

void session_continue(struct session *s)
{
	(void)s;
	emit(SESSION_PROMPT, messages.n - 1, 1, "", 0);
	emit(SESSION_TEXT, 0, 0, " and on", 7);
	emit(SESSION_DONE, 1, messages.n - 1, "stop", 4);
}

int session_messages(struct session *s, struct conversation *out, struct err *e)
{
	(void)s;
	pthread_mutex_lock(&lock);
	int rc = conversation_copy(out, &messages, e);
	pthread_mutex_unlock(&lock);
	return rc;
}

size_t session_queued(struct session *s) { (void)s; return 0; }
size_t session_pending(struct session *s) { (void)s; return busy; }
void session_retry(struct session *s) { (void)s; }
void session_drop(struct session *s, size_t n) { (void)s, (void)n; }
void session_set_system(struct session *s, const char *t, size_t n) { (void)s, (void)t, (void)n; }
void session_new(struct session *s, const char *n) { (void)n; session_clear(s); }
void session_load(struct session *s, const char *n) { (void)s; emit(SESSION_NAMED, 0, 0, n, strlen(n)); }
void session_fork(struct session *s, const char *n) { (void)s, (void)n; }
void session_delete(struct session *s, const char *n) { (void)s, (void)n; }
void session_keep_kv(struct session *s) { (void)s; }
char *session_name(struct session *s) { (void)s; return strdup("fake"); }
int session_attach(struct session *s, const char *path, struct err *e)
{
	(void)s, (void)e;
	attached += strlen(path);
	return 0;
}
size_t session_attached(struct session *s) { (void)s; return attached; }
void session_detach(struct session *s) { (void)s; attached = 0; }
int session_set(struct session *s, const char *n, const char *v, struct err *e)
{
	(void)s, (void)n, (void)v;
	return err_set(e, ERR_USAGE, "no such parameter");
}
char *session_get(struct session *s, const char *n) { (void)s; return strcmp(n, "temp") ? NULL : strdup("0.7"); }
char *session_settings(struct session *s) { (void)s; return strdup("temp = 0.7 (fake)\ntop-k = 40 (fake)\n"); }
int session_save(struct session *s, const char *p, struct err *e)
{
	(void)s, (void)p;
	return err_set(e, ERR_IO, "not saved");
}
char *session_stats_json(struct session *s) { (void)s; return NULL; }
char *session_result_json(struct session *s) { (void)s; return NULL; }
int session_view(struct session *s, struct session_view *v)
{
	(void)s;
	v->model = "fake";
	v->busy = busy;
	v->why = (struct why_view){.disk_now = -1, .disk_limit = -1, .token_s = -1, .token_p95_s = -1,
		.now = {-1, -1, -1, -1}};
	return 0;
}
struct trace *session_trace(struct session *s) { (void)s; return NULL; }
void session_view_clear(struct session_view *v) { (void)v; }
