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
#include "engine/engine.h"
#include "engine/sampler.h"
#include "tokenizer/tokenizer.h"

struct chat_config { /* strings and backend are borrowed and must outlive the chat */
	const char *model;
	const char *template_file; /* NULL: the model's own */
	const char *kwargs_json;   /* further template variables, or NULL */
	const char *system;	   /* NULL: none */
	bool raw;		   /* the prompt goes in as it is */
	struct backend *backend;
	const char *reader; /* "auto", "uring", "pread" */
	const char *trace_file; /* NULL: none */
	uint64_t ram;
	uint32_t ctx, prefill_rows;
	uint64_t chunk_bytes;
	enum dtype kv_type;
	uint32_t max_tokens; /* 0: what the context leaves */
	const char *const *stops;
	size_t n_stops;
	struct sampler_params sampler;
};

struct chat_message {
	char *role; /* "system", "user", "assistant" */
	char *text;
	size_t len;
};

enum chat_finish { FINISH_STOP, FINISH_LENGTH, FINISH_CANCELLED };

struct chat_stats { /* of one answer; times in seconds, negative: not measured */
	size_t prompt_tokens, cached_tokens, new_tokens;
	uint64_t passes, bytes_from_disk, bytes_from_ram, bytes_resident, bytes_needed;
	double prefill_s, decode_s, disk_wait_s, copy_wait_s, compute_s, other_s, read_busy_s;
	uint64_t peak_ram_bytes;
};

struct chat_result {
	enum chat_finish finish;
	struct ids prompt_ids, ids; /* ids with the end token */
	struct buf text;	    /* without it */
	struct chat_stats stats;
};

struct chat_sink { /* called from inside chat_answer */
	void (*text)(void *arg, const char *p, size_t len);
	void (*prefill)(void *arg, size_t done, size_t total);
	void (*note)(void *arg, const char *sentence);
	void *arg;
};

struct chat;

int chat_open(struct chat **out, const struct chat_config *cfg, struct err *e);
void chat_close(struct chat *c); /* NULL is fine */

int chat_add(struct chat *c, const char *role, const char *text, size_t len, struct err *e);
void chat_clear(struct chat *c); /* all messages but the system prompt */
int chat_set_system(struct chat *c, const char *text, size_t len, struct err *e);
const struct chat_message *chat_messages(const struct chat *c, size_t *n);
int chat_transcript(const struct chat *c, bool json, struct buf *out, struct err *e);

/* Answer the messages so far and add the answer (also a partial one) as a message. On -1 nothing was
 * added. r is filled anyway and must be cleared with chat_result_clear. */
int chat_answer(struct chat *c, const struct chat_sink *sink, struct chat_result *r, struct err *e);
void chat_result_clear(struct chat_result *r);

/* Start the engine with a context of ctx tokens (0: the default); idempotent. */
int chat_start(struct chat *c, uint32_t ctx, struct err *e);

void chat_cancel(struct chat *c);   /* any thread: stop the answer now being made */
void chat_uncancel(struct chat *c); /* any thread: before the next answer */

struct sampler_params *chat_sampler(struct chat *c);
void chat_set_max_tokens(struct chat *c, uint32_t n);
const struct model *chat_model(const struct chat *c);
const struct plan *chat_plan(const struct chat *c);	/* NULL before the start */
struct engine *chat_engine(struct chat *c);		/* NULL before the start */
const char *chat_reader_name(const struct chat *c);	/* NULL before the start */
const struct backend *chat_backend(const struct chat *c);

/* The stats as the JSON object of --stats. */
void chat_stats_json(const struct chat *c, const struct chat_stats *s, struct buf *out);
const char *chat_finish_name(enum chat_finish f);

#endif
