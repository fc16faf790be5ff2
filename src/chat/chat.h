/* A conversation with a model: messages -> template -> tokens -> engine -> text.
 *
 * chat_open loads what is needed to render and tokenize; the engine starts with the first answer (or
 * chat_start), when the context is known. One thread, except chat_cancel and what takes `any thread`. */
#ifndef AIRLCHAT_CHAT_CHAT_H
#define AIRLCHAT_CHAT_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "chat/conversation.h"
#include "chat/settings.h"
#include "engine/engine.h"
#include "engine/probe.h"

struct chat_config { /* strings and backend are borrowed and must outlive the chat */
	const char *model;
	const char *template_file; /* NULL: the model's own */
	const char *system;	   /* NULL: none */
	const struct settings *settings; /* copied by chat_open; what the model's own files recommend is added */
	bool raw;		   /* the prompt goes in as it is */
	bool one_shot;		   /* one answer: the default context is what that needs */
	struct backend *backend;
	const char *reader; /* "auto", "uring", "pread" */
	const char *trace_file; /* NULL: none */
	uint64_t ram;
	uint32_t ctx, prefill_rows;
	uint64_t chunk_bytes;
	enum dtype kv_type;
};

struct chat_stats { /* of one answer; times in seconds, negative: not measured */
	size_t prompt_tokens, cached_tokens, new_tokens;
	uint64_t passes, bytes_from_disk, bytes_from_ram, bytes_resident, bytes_needed;
	double prefill_s, decode_s, disk_wait_s, copy_wait_s, compute_s, other_s, read_busy_s;
	uint64_t peak_ram_bytes;
	bool experts; /* the model has them: chosen ones that were there and that were not; right and wrong guesses */
	uint64_t expert_hits, expert_misses, expert_right, expert_wrong;
};

struct chat_result {
	enum chat_finish finish;
	struct ids prompt_ids, ids; /* ids: the new tokens, with the end token */
	struct buf text;	    /* all of the answer as decoded, without it */
	struct buf answer, reasoning; /* its parts */
	uint32_t reasoning_tokens;
	struct chat_stats stats;
};

struct chat_sink { /* called from inside chat_answer; any may be NULL */
	void (*text)(void *arg, const char *p, size_t len); /* as decoded */
	void (*part)(void *arg, bool reasoning, const char *p, size_t len); /* without marks */
	void (*prefill)(void *arg, size_t done, size_t total);
	void *arg;
};

struct chat;

int chat_open(struct chat **out, const struct chat_config *cfg, struct err *e);
void chat_close(struct chat *c); /* NULL is fine */

struct conversation *chat_conversation(struct chat *c); /* to read and to change between answers */
struct settings *chat_settings(struct chat *c);
/* A sentence: which settings are as the model's own files recommend. NULL: none. To be freed. */
char *chat_recommended_note(const struct chat *c);

/* Answer the messages so far and add the answer (also a partial one) as a message. On -1 nothing was
 * added, but when there is a part of an answer already: that is kept with FINISH_ERROR (r->text tells).
 * r is filled anyway and must be cleared with chat_result_clear. */
int chat_answer(struct chat *c, const struct chat_sink *sink, struct chat_result *r, struct err *e);
/* Go on with the last message, an answer that did not end by itself. */
int chat_continue(struct chat *c, const struct chat_sink *sink, struct chat_result *r, struct err *e);
void chat_result_clear(struct chat_result *r);
/* How often the answer that comes has been made before: each attempt samples with a seed of its own. */
void chat_set_attempt(struct chat *c, uint32_t attempt);

/* Start the engine with a context of ctx tokens (0: the default); idempotent. */
int chat_start(struct chat *c, uint32_t ctx, struct err *e);

void chat_cancel(struct chat *c);   /* any thread: stop the answer now being made */
void chat_uncancel(struct chat *c); /* any thread: before the next answer */

bool chat_has_template(const struct chat *c);
bool chat_template_uses(const struct chat *c, const char *name); /* the variable; any thread */
bool chat_marks_hidden(const struct chat *c); /* decoding leaves the marks of reasoning out */
const char *chat_model_path(const struct chat *c);
const char *chat_system(const struct chat *c); /* that it was opened with, or NULL */
const struct model *chat_model(const struct chat *c);
const struct plan *chat_plan(const struct chat *c);	/* NULL before the start */
struct engine *chat_engine(struct chat *c);		/* NULL before the start */
const char *chat_reader_name(const struct chat *c);	/* NULL before the start */
const char *chat_reader_note(const struct chat *c);	/* why it is not the fastest kind, or NULL */
const struct probe_disk *chat_drive(const struct chat *c); /* its engine must have started */
struct backend *chat_backend(const struct chat *c);
const struct checkpoint *chat_checkpoint(const struct chat *c);

/* The stats as the JSON object of --stats. */
void chat_stats_json(const struct chat *c, const struct chat_stats *s, struct buf *out);
/* The answer as the JSON object of -p --json. */
void chat_result_json(const struct chat *c, const struct chat_result *r, struct buf *out);

/* --- export --- */

enum export_format { EXPORT_MARKDOWN, EXPORT_JSON, EXPORT_HTML };

int conversation_export(const struct conversation *c, const char *title, enum export_format f,
	struct buf *out, struct err *e);
/* The same to a file, 0600, in the format that its name tells. */
int conversation_save(const struct conversation *c, const char *title, const char *path, struct err *e);

#endif
