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
#include "chat/conversation.h"
#include "chat/why.h"
#include "trace/trace.h"

struct session;

enum session_event_kind {
	SESSION_USER,	  /* a message of the user was taken up: text, attachments included; a = its index */
	SESSION_PROMPT,	  /* an answer has begun; a = index of its message; b = 1: it extends that message */
	SESSION_PROGRESS, /* prefill: a = tokens done, b = tokens in all */
	SESSION_TEXT,	  /* text: the next piece of the answer, valid UTF-8, not yet made printable; a = 1:
			   * reasoning, whose marks ("<think>") are not in the text */
	SESSION_DONE,	  /* the answer ended: text = a chat_finish_name; a = new tokens; b = its index */
	SESSION_REFUSED,  /* the message was not answered and is not in the conversation: text = it, given
			   * back for another try; the SESSION_ERROR before it says why */
	SESSION_CHANGED,  /* messages changed otherwise (undo, edit, open, clear ...): ask for them anew; a = n */
	SESSION_NAMED,	  /* text: the session's name is now this */
	SESSION_SAVED,	  /* text: name; what is on disk is the whole conversation */
	SESSION_ERROR,	  /* text: a sentence; the conversation is intact */
	SESSION_NOTE,	  /* text: a sentence for the user (what a command did, a fallback) */
	SESSION_IDLE,	  /* everything asked so far has been done */
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

/* --- what is asked for is done in the order of asking, each after the answer now being made --- */

void session_send(struct session *s, const char *text, size_t len); /* a message of the user */
size_t session_queued(struct session *s);  /* messages waiting */
size_t session_pending(struct session *s); /* of all that was asked: not done yet */
void session_stop(struct session *s);	  /* stop the answer now being made; what there is is kept */
void session_retry(struct session *s);	  /* make the last answer anew */
void session_continue(struct session *s); /* go on with an answer that was stopped or cut */
void session_undo(struct session *s);	  /* drop the last exchange */
/* Replace message `index` of session_messages. Of the user: what follows is dropped and it is
 * answered anew. Of the assistant: what follows is dropped. */
void session_edit(struct session *s, size_t index, const char *text, size_t len);
void session_drop(struct session *s, size_t n); /* forget the n oldest exchanges (context is full) */
void session_clear(struct session *s);	  /* forget the conversation (not the system prompt) */
void session_set_system(struct session *s, const char *text, size_t len); /* len 0: none */

/* Named sessions: saved after each message, if keeping is on. A name is one file name. */
void session_new(struct session *s, const char *name);	  /* empty; NULL: a name from the time */
void session_load(struct session *s, const char *name);	  /* go on with a saved one */
void session_fork(struct session *s, const char *name);	  /* go on in a copy under this name */
void session_delete(struct session *s, const char *name); /* when it is the present one: begin a new one */
void session_keep_kv(struct session *s); /* write the KV cache beside the session, now */
char *session_name(struct session *s);	 /* to be freed; NULL when nothing is kept */

/* --- at once --- */

/* Put a text file in front of the next message, as a fenced block. Refused with a sentence: no
 * text, too long, not a regular file. */
int session_attach(struct session *s, const char *path, struct err *e);
size_t session_attached(struct session *s); /* bytes waiting */
void session_detach(struct session *s);	    /* drop them */

/* A copy of the messages up to the last finished one; conversation_clear it. */
int session_messages(struct session *s, struct conversation *out, struct err *e);

/* Set a parameter ("temp", "top-k", "seed", "max-tokens", "stop", "system" or a variable of the
 * template such as "enable_thinking"); takes effect with the next answer. -1 with a sentence if the
 * name or the value is wrong. */
int session_set(struct session *s, const char *name, const char *value, struct err *e);
char *session_get(struct session *s, const char *name); /* its value; to be freed; NULL: unknown */
/* One line per parameter: "temp = 0.7 (command line)"; to be freed. */
char *session_settings(struct session *s);
/* Write the conversation so far, 0600: JSON (OpenAI messages) or HTML when the name ends in .json or
 * .html, else Markdown. */
int session_save(struct session *s, const char *path, struct err *e);
/* Statistics of the last answer: one JSON object, as `--stats` prints it; to be freed. NULL if none. */
char *session_stats_json(struct session *s);
char *session_result_json(struct session *s); /* likewise, as `-p --json` prints it */

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
	uint32_t answer_tokens, answer_max; /* of the answer being made, or the last one; its limit */
	uint32_t reads_in_flight, chunks_ahead;
	uint32_t read_layer;		    /* layer of the chunk the reader will issue next */
	const char *reader, *device;	    /* "uring+direct", "cpu/avx2 2 threads", borrowed */
	const char *reader_note;	    /* why it isn't the fastest kind, or NULL; borrowed */
	struct why_view why;		    /* rates, floor, predictions */
	struct trace_view trace;	    /* owned by the view: session_view_clear */
};

int session_view(struct session *s, struct session_view *v); /* v zeroed or used before */
void session_view_clear(struct session_view *v);
/* For trace_log, trace_layers and trace_dump. NULL before the engine has started. */
struct trace *session_trace(struct session *s);

#endif
