/* The engine: a model on a device, its weights streamed, its KV cache kept.
 *
 * It holds one sequence of committed tokens. engine_eval makes that sequence equal to the given ids:
 * the longest common prefix is kept, the rest is computed in blocks of prefill rows. A pass that fails
 * or is cancelled commits nothing, so the engine stays usable.
 * Threads: one thread calls everything but engine_cancel, engine_view and trace_view. */
#ifndef AIRLCHAT_ENGINE_ENGINE_H
#define AIRLCHAT_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "engine/plan.h"
#include "model/model.h"
#include "store/checkpoint.h"
#include "stream/stream.h"
#include "trace/trace.h"

struct engine;

struct engine_config { /* all borrowed; must outlive the engine */
	const struct checkpoint *checkpoint;
	const struct model *model;
	const struct plan *plan;
	struct backend *backend;
	struct reader *reader;
};

int engine_open(struct engine **out, const struct engine_config *cfg, struct err *e);
void engine_close(struct engine *en); /* NULL is fine */

/* What a caller may want to know while a prompt is computed. done counts from `cached`. */
struct engine_progress {
	void (*prefill)(void *arg, size_t done, size_t total);
	/* Logits of each computed row [vocab], in order; needs plan.logits_rows >= prefill_rows. */
	int (*row)(void *arg, size_t position, const float *logits, struct err *e);
	void *arg;
};

/* Compute until the sequence is ids[0..n), n >= 1. *cached (may be NULL): how many of them were in
 * the cache. Then engine_logits is [vocab] of the last token, in host memory, the caller's to change
 * until the next call. Errors: ERR_LIMIT when n > ctx, ERR_CANCELLED, ERR_IO. */
int engine_eval(struct engine *en, const uint32_t *ids, size_t n, const struct engine_progress *p,
	size_t *cached, struct err *e);
float *engine_logits(struct engine *en);

/* From any thread: stop the pass now running at its next chunk; engine_eval then returns
 * ERR_CANCELLED. engine_uncancel makes the engine willing again. */
void engine_cancel(struct engine *en);
void engine_uncancel(struct engine *en);

struct trace *engine_trace(struct engine *en);
void engine_stream_view(struct engine *en, struct stream_view *v); /* any thread */
size_t engine_cached(const struct engine *en); /* tokens in the KV cache */

#endif
