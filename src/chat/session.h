/* A session: the conversation, and the engine thread that answers in it. Commands go in, events come
 * out; both through queues, so that the screen never waits for the engine.
 *
 * Threads: session_* functions are for one thread (the UI's) except where they say otherwise. They
 * return at once; results arrive as events. session_fd is readable while events wait. */
#ifndef AIRLCHAT_CHAT_SESSION_H
#define AIRLCHAT_CHAT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "trace/trace.h"

struct session;

enum session_event_kind {
	SESSION_PROMPT,	  /* an answer has begun: the prompt's tokens are being computed */
	SESSION_PROGRESS, /* prefill: a = tokens done, b = tokens in all */
	SESSION_TEXT,	  /* text: the next piece of the answer, valid UTF-8, not yet made printable */
	SESSION_DONE,	  /* the answer ended: text = "stop", "length" or "cancelled"; a = new tokens */
	SESSION_ERROR,	  /* text: a sentence; the conversation is intact */
	SESSION_NOTE,	  /* text: a sentence for the user (what a command did, a fallback) */
};

struct session_event {
	struct session_event *next; /* private */
	enum session_event_kind kind;
	uint64_t a, b;
	size_t len;
	char text[]; /* terminated; may also hold NUL bytes before len */
};

int session_fd(const struct session *s);
struct session_event *session_next(struct session *s); /* NULL when none; free() it */

/* Send a user message. While an answer is being made it is queued and sent after it. */
void session_send(struct session *s, const char *text, size_t len);
size_t session_queued(struct session *s); /* messages waiting */
void session_stop(struct session *s);	  /* stop the answer now being made; what there is is kept */
void session_clear(struct session *s);	  /* forget the conversation (not the system prompt) */
void session_set_system(struct session *s, const char *text, size_t len);
/* Set a sampling parameter ("temp", "top-k", "seed" ...) from text; takes effect with the next answer.
 * -1 with a sentence if the name or the value is wrong. */
int session_set(struct session *s, const char *name, const char *value, struct err *e);
/* One line per parameter: "temp = 0.7"; to be freed. */
char *session_settings(struct session *s);
/* Write the conversation so far as a transcript (Markdown; JSON when the name ends in .json), 0600. */
int session_save(struct session *s, const char *path, struct err *e);
/* Statistics of the last answer: one JSON object, as `--stats` prints it; to be freed. NULL if none. */
char *session_stats_json(struct session *s);

/* Everything the meters show; from any thread. What was not measured is negative. */
struct session_view {
	const char *model;	/* display name, borrowed */
	const char *dtype;	/* most frequent dtype of the weights, "q4_1" */
	uint64_t model_bytes;
	uint32_t n_layers;
	uint32_t ctx_used, ctx;
	uint64_t tokens;	/* generated since start */
	bool busy;		/* an answer is being made */
	uint64_t prefill_done, prefill_total;
	uint64_t ram_used, ram_budget;	    /* bytes: the process now, and --ram */
	uint64_t resident_bytes, streamed_bytes; /* weights: kept in RAM, read each pass */
	const uint8_t *layer_resident;	    /* [n_layers + 1] percent of the bytes kept in RAM, borrowed */
	uint64_t disk_bytes;		    /* read since start */
	double disk_gb_s;		    /* while reading, over the last second or so */
	double disk_limit_gb_s;		    /* the best rate seen over a whole pass */
	uint32_t reads_in_flight, chunks_ahead, late; /* late: chunks waited for in the last pass */
	uint32_t read_layer;		    /* layer of the chunk the reader will issue next */
	const char *reader, *device;	    /* "uring+direct", "cpu/avx2 2 threads", borrowed */
	struct trace_view trace;	    /* owned by the view: session_view_clear */
};

int session_view(struct session *s, struct session_view *v); /* v zeroed or used before */
void session_view_clear(struct session_view *v);

#endif
