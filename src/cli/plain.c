/* Plain mode: one line of stdin is one message, or a slash command. Answers go to stdout, everything
 * else to stderr. Also -p in a chat that goes on: its prompt is the only message. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "chat/command.h"
#include "chat/session_open.h"
#include "cli/commands.h"

struct plain {
	const struct options *o;
	struct session *s;
	struct printer out;
	struct progress *progress;
	struct buf in; /* read and not yet taken */
	bool eof;
	int status; /* of the last line */
	bool asked, failed; /* an answer was begun for this line; one has failed */
};

static void tell(const char *text, size_t len)
{
	struct buf safe = BUF_INIT;
	utf8_append_printable(&safe, text, len);
	fwrite(buf_str(&safe), 1, safe.len, stderr);
	buf_clear(&safe);
}

static void tell_line(const char *text)
{
	tell(text, strlen(text));
	fputc('\n', stderr);
}

static void done(struct plain *p)
{
	char *stats = session_stats_json(p->s), *result = p->o->json ? session_result_json(p->s) : NULL;
	if (result)
		puts(result);
	else
		printer_end(&p->out);
	fflush(stdout);
	if (stats && (p->o->stats || (!p->o->prompt && !isatty(STDIN_FILENO))))
		fprintf(stderr, "%s\n", stats);
	free(stats);
	free(result);
}

static void take(struct plain *p, const struct session_event *ev)
{
	switch (ev->kind) {
	case SESSION_PROMPT:
		printer_begin(&p->out);
		progress_begin(p->progress);
		p->status = 0;
		p->asked = true;
		break;
	case SESSION_PROGRESS:
		progress_prefill(p->progress, ev->a, ev->b);
		break;
	case SESSION_TEXT:
		progress_text(p->progress);
		print_part(&p->out, ev->a != 0, ev->text, ev->len);
		break;
	case SESSION_DONE:
		progress_end(p->progress);
		done(p);
		break;
	case SESSION_ERROR:
		progress_end(p->progress);
		fputs("airlchat: ", stderr);
		tell_line(ev->text);
		p->status = 1;
		p->failed |= p->asked;
		break;
	case SESSION_NOTE:
		fputs("airlchat: ", stderr);
		tell_line(ev->text);
		break;
	default:
		break;
	}
}

/* Events until the session is idle. It may be so already: a command that fails at once has queued its
 * events before this is called. */
static void pump(struct plain *p)
{
	struct pollfd fd = {session_fd(p->s), POLLIN, 0};
	while (true) {
		bool idle = session_pending(p->s) == 0; /* what was queued until now is all there is */
		for (struct session_event *ev; (ev = session_next(p->s));) {
			take(p, ev);
			free(ev);
		}
		if (idle)
			return;
		if (session_pending(p->s)) /* else the event that tells so may have been taken just now */
			poll(&fd, 1, -1);
	}
}

/* The next line without its end; NULL at the end of input or after a signal. To be freed. */
static char *next_line(struct plain *p, size_t *len)
{
	char block[65536];
	while (true) {
		const char *nl = p->in.len ? memchr(p->in.p, '\n', p->in.len) : NULL;
		size_t n = nl ? (size_t)(nl - p->in.p) : p->in.len, used = n + (nl != NULL);
		if (nl || (p->eof && n)) {
			while (n && p->in.p[n - 1] == '\r')
				n--;
			char *q = mem_text(p->in.p, n);
			buf_drop(&p->in, used);
			*len = n;
			return q;
		}
		if (p->eof || interrupted())
			return NULL;
		struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {interrupt_fd(), POLLIN, 0}};
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (!(fds[0].revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		ssize_t got = read(STDIN_FILENO, block, sizeof(block));
		if (got > 0)
			buf_add(&p->in, block, (size_t)got);
		else if (got == 0 || (errno != EINTR && errno != EAGAIN))
			p->eof = true;
	}
}

/* False when the program is to end. */
static bool one_line(struct plain *p, const char *line, size_t len)
{
	struct buf say = BUF_INIT;
	enum command_result r = COMMAND_DONE;
	p->asked = false;
	if (command_is(line))
		r = command_do(p->s, line, &say);
	else
		session_send(p->s, line, len);
	if (r == COMMAND_UNKNOWN)
		buf_printf(&say, "unknown command %.40s (/help lists them; a space in front makes it a message)\n", line);
	tell(buf_str(&say), say.len);
	buf_clear(&say);
	if (r == COMMAND_DONE)
		pump(p);
	return r != COMMAND_QUIT;
}

static int loop(struct plain *p)
{
	bool go_on = true;
	while (go_on) {
		size_t len;
		if (isatty(STDIN_FILENO))
			fputs("> ", stderr);
		char *line = next_line(p, &len);
		if (!line)
			break;
		if (len)
			go_on = one_line(p, line, len);
		free(line);
		if (interrupted() && interrupted() != SIGINT)
			break;
		interrupt_reset();
	}
	/* whoever pipes messages in learns that one of them has no answer; who types has seen it */
	return interrupted() ? 128 + interrupted() : p->failed && !isatty(STDIN_FILENO) ? 1 : p->status;
}

static int one_prompt(struct plain *p, const struct buf *prompt)
{
	session_send(p->s, buf_str(prompt), prompt->len);
	pump(p);
	return interrupted() ? 128 + interrupted() : p->status;
}

int cmd_plain(const struct options *o, struct backend *b)
{
	struct buf prompt = BUF_INIT;
	struct err e = ERR_INIT;
	struct chat *c = NULL;
	struct plain p = {.o = o, .out = {.quiet = o->json, .terminal = isatty(STDOUT_FILENO)}};
	int status;
	if ((o->prompt && read_prompt(o, &prompt, &e) < 0) || chat_open_with(&c, o, b, &e) < 0 ||
	    session_open_with(&p.s, c, o, false, &e) < 0) {
		status = report(&e);
	} else {
		interrupt_watch(c);
		p.progress = progress_new(c, o->progress);
		status = o->prompt ? one_prompt(&p, &prompt) : loop(&p);
		if (o->save && session_save(p.s, o->save, &e) < 0)
			status = report(&e);
	}
	interrupt_watch(NULL);
	progress_free(p.progress);
	char *note = session_end(p.s);
	if (note)
		fprintf(stderr, "airlchat: %s\n", note);
	free(note);
	session_close(p.s);
	chat_close(c);
	buf_clear(&p.in);
	buf_clear(&prompt);
	buf_clear(&p.out.safe);
	return status;
}
