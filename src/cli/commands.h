/* The subcommands. Each returns the exit status: 0, 1 failure, 130 interrupted. Private to cli/. */
#ifndef AIRLCHAT_CLI_COMMANDS_H
#define AIRLCHAT_CLI_COMMANDS_H

#include "backend/backend.h"
#include "chat/chat.h"
#include "chat/session.h"
#include "cli/options.h"

int report(const struct err *e); /* the sentence on stderr; returns the exit status */

/* Open the chat that the options name, and the session on it. watched: by the screen. */
int chat_open_with(struct chat **c, const struct options *o, struct backend *b, struct err *e);
int session_open_with(struct session **s, struct chat *c, const struct options *o, bool watched,
	struct err *e);

struct printer { /* of answers, to stdout */
	bool quiet;    /* prints nothing */
	bool terminal; /* control characters are dropped */
	bool newline, reasoning; /* state */
	struct buf safe;
};
void printer_begin(struct printer *out);
void print_text(void *printer, const char *p, size_t len);
/* The reasoning between <think> and </think>. */
void print_part(void *printer, bool reasoning, const char *p, size_t len);
void printer_end(struct printer *out); /* the line is ended */

/* Tells on stderr how far an answer is when it has shown nothing for some seconds. */
struct progress;
struct progress *progress_new(struct chat *c, double seconds); /* NULL: never, or no thread; fine below */
void progress_begin(struct progress *p); /* an answer */
void progress_prefill(struct progress *p, uint64_t done, uint64_t total);
void progress_text(struct progress *p); /* some came */
void progress_end(struct progress *p);
void progress_free(struct progress *p);

/* What -p and -f give. */
int read_prompt(const struct options *o, struct buf *out, struct err *e);
int cmd_prompt(const struct options *o, struct backend *b); /* -p */
int cmd_plain(const struct options *o, struct backend *b);
int cmd_screen(const struct options *o, struct backend *b);
int cmd_plan(const struct options *o, struct backend *b);
int cmd_tokenize(const struct options *o);
int cmd_render(const struct options *o);
int cmd_prepare(const struct options *o);
int cmd_bench(const struct options *o, struct backend *b);
int cmd_logits(const struct options *o, struct backend *b);

/* Call line for each line of stdin; it appends one JSON object to out, or fails, which answers
 * {"error"}. Returns 0, or 1 if any line failed. */
int json_lines(int (*line)(void *arg, const char *text, size_t len, struct buf *out, struct err *e),
	void *arg);

/* SIGINT, SIGTERM and SIGHUP: blocked in every thread from here on, but one of ours that waits for
 * them. It cancels the chat that is watched; while there is none, the program ends. Call it first. */
int interrupt_start(struct err *e);
void interrupt_watch(struct chat *c); /* NULL: none */
int interrupted(void);		      /* the last signal, or 0 */
void interrupt_reset(void);
int interrupt_fd(void);		      /* readable since the first signal */

#endif
