/* The session's inside; private to chat/. */
#ifndef AIRLCHAT_CHAT_SESSION_PRIVATE_H
#define AIRLCHAT_CHAT_SESSION_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "chat/chat.h"
#include "chat/session_open.h"
#include "chat/session_store.h"

enum command_kind { CMD_SEND, CMD_RETRY, CMD_CONTINUE, CMD_UNDO, CMD_EDIT, CMD_DROP, CMD_CLEAR, CMD_SYSTEM,
	CMD_NEW, CMD_LOAD, CMD_FORK, CMD_DELETE, CMD_KEEP_KV };

struct command {
	struct queue_item item;
	enum command_kind kind;
	size_t n; /* index or count */
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
	bool keep; /* save after each message; set once */
	double kv_worth_s, autosave_s; /* likewise */
	struct queue commands, events;
	atomic_size_t queued, pending; /* messages waiting; commands not yet done */
	atomic_bool busy, stopping;
	atomic_uint_fast64_t tokens, tokens_before, prefill_done, prefill_total; /* before: this answer */
	struct buf attached;	/* the UI's thread: files in front of the next message */
	bool watched;		/* session_view is asked */
	bool save_failed;	/* the engine thread's: told once */
	uint32_t attempt;	/* likewise: how often the last answer was made anew */
	bool kv_wanted;		/* likewise: a kept KV cache may be there to read */
	size_t kv_kept;		/* tokens of the KV cache on disk; 0: none that is known */
	size_t prefill_rows;	/* of the longest prompt measured, and seconds a row; of a decode pass */
	double prefill_row_s, pass_s;
	bool on_disk;		/* likewise: this name has a file */
	struct buf partial[2];	/* likewise: of the answer being made, text and reasoning */
	bool partial_extends;	/* likewise: it goes on with the last message */
	int64_t partial_saved;	/* likewise: when */
	struct session_stamp stamp; /* likewise: as it was last read or written */
	pthread_mutex_t lock;	/* guards all below */
	struct settings settings;
	struct buf stats, result; /* of the last answer, as JSON */
	struct conversation shown; /* a copy, made after each change */
	char *name;		/* NULL: not kept */
	char device[64], dtype[16];
	struct why *why;
};

void session_emit(struct session *s, enum session_event_kind kind, uint64_t a, uint64_t b, const char *p,
	size_t len);
void session_emit_text(struct session *s, enum session_event_kind kind, const char *text);

/* The engine thread's: do one command, tell what came of it, save. */
void session_do(struct session *s, const struct command *c);
void session_publish(struct session *s); /* messages for the other threads, and the file */
void session_begin_partial(struct session *s, bool extends); /* an answer, or more of the last message */
void session_save_partial(struct session *s, bool reasoning, const char *p, size_t len); /* more of it */
void session_kv_measure(struct session *s, const struct chat_result *r);
int session_kv_keep(struct session *s, struct err *e);
char *session_kv_leave(struct session *s); /* a sentence about what was kept, or NULL */
void session_kv_restore(struct session *s);
int session_load_file(struct session *s, const char *name, struct err *e);
int session_rename(struct session *s, const char *name, struct err *e); /* NULL: a name from the time */

#endif
