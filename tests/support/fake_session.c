/* A session without an engine: answers every message with "echo: ..." at once. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chat/session.h"

static struct session_event *head;
static int fds[2] = {-1, -1};

static void emit(enum session_event_kind kind, const char *s, size_t n)
{
	struct session_event *ev = calloc(1, sizeof(*ev) + n + 1), **p = &head;
	if (!ev)
		return;
	ev->kind = kind;
	ev->len = n;
	memcpy(ev->text, s, n);
	while (*p)
		p = &(*p)->next;
	*p = ev;
	if (write(fds[1], "", 1) != 1)
		abort();
}

int session_fd(const struct session *s)
{
	(void)s;
	if (fds[0] < 0 && pipe(fds))
		abort();
	return fds[0];
}

struct session_event *session_next(struct session *s)
{
	struct session_event *ev = head;
	char c;
	(void)s;
	if (ev && read(fds[0], &c, 1) == 1)
		head = ev->next;
	return ev;
}

void session_send(struct session *s, const char *text, size_t len)
{
	(void)session_fd(s);
	emit(SESSION_PROMPT, "", 0);
	emit(SESSION_TEXT, "echo: ", 6);
	emit(SESSION_TEXT, text, len);
	emit(SESSION_DONE, "stop", 4);
}

void session_stop(struct session *s) { (void)s; }
void session_clear(struct session *s) { (void)s; }
void session_set_system(struct session *s, const char *t, size_t n) { (void)s, (void)t, (void)n; }
int session_set(struct session *s, const char *n, const char *v, struct err *e)
{
	(void)s, (void)n, (void)v;
	return err_set(e, ERR_USAGE, "no such parameter");
}
char *session_settings(struct session *s) { (void)s; return strdup("temp = 0.7"); }
int session_save(struct session *s, const char *p, struct err *e)
{
	(void)s, (void)p;
	return err_set(e, ERR_IO, "not saved");
}
char *session_stats_json(struct session *s) { (void)s; return NULL; }
int session_view(struct session *s, struct session_view *v)
{
	(void)s;
	v->model = "fake";
	v->why = (struct why_view){.disk_now = -1, .disk_limit = -1, .token_s = -1, .token_p95_s = -1,
		.now = {-1, -1, -1, -1}};
	return 0;
}
struct trace *session_trace(struct session *s) { (void)s; return NULL; }
void session_view_clear(struct session_view *v) { (void)v; }
