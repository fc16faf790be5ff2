#include "chat/chat.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "chat/chat_private.h"
#include "store/gguf.h"

#define PROBE_S 0.4

void chat_result_clear(struct chat_result *r)
{
	ids_clear(&r->prompt_ids);
	ids_clear(&r->ids);
	buf_clear(&r->text);
	buf_clear(&r->answer);
	buf_clear(&r->reasoning);
}

static void find_harmony(struct chat *c)
{
	static const char *const names[HARMONY_TOKENS] = {"<|channel|>", "<|message|>", "<|end|>", "<|start|>"};
	for (int i = 0; i < HARMONY_TOKENS; i++)
		c->harmony[i] = tokenizer_id(c->tokenizer, names[i], strlen(names[i]));
}

static int add_stop(struct chat *c, int64_t id, struct err *e)
{
	for (size_t i = 0; i < c->n_stop_ids; i++)
		if (id == (int64_t)c->stop_ids[i])
			return 0;
	uint32_t *p = id < 0 ? NULL : realloc(c->stop_ids, (c->n_stop_ids + 1) * sizeof(*p));
	if (id < 0)
		return 0;
	if (!p)
		return err_nomem(e);
	c->stop_ids = p;
	p[c->n_stop_ids++] = (uint32_t)id;
	return 0;
}

/* Ids that end an answer besides those that the model's files name: the tokenizer's own end token when a
 * template is used (or no other is known); and for GGUF, which has room for few, tokens known as ends of
 * turns by their names. Harmony's <|end|> stands between the parts of an answer. */
static int add_stops(struct chat *c, struct err *e)
{
	static const char *const ends[] = {"<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|eom_id|>",
		"<|end_of_turn|>", "<|return|>", "<|call|>", "<|endoftext|>", "<|end_of_text|>", "<|END_OF_TURN_TOKEN|>"};
	bool harmony = c->harmony[HARMONY_CHANNEL] >= 0;
	if ((c->template || c->n_stop_ids == 0) && add_stop(c, tokenizer_role_id(c->tokenizer, "eos_token"), e) < 0)
		return -1;
	for (size_t i = 0; c->template && c->checkpoint->gguf && i < sizeof(ends) / sizeof(*ends); i++) {
		int64_t id = tokenizer_id(c->tokenizer, ends[i], strlen(ends[i]));
		if (id >= 0 && tokenizer_is_special(c->tokenizer, (uint32_t)id) && !(harmony && i == 2) &&
			add_stop(c, id, e) < 0)
			return -1;
	}
	return 0;
}

static int open_parts(struct chat *c, struct err *e)
{
	if (settings_copy(&c->settings, c->cfg.settings, e) < 0 ||
		checkpoint_open(&c->checkpoint, c->cfg.model, 0, e) < 0 ||
		model_open(&c->model, c->checkpoint, e) < 0 ||
		tokenizer_open(&c->tokenizer, c->checkpoint, e) < 0 ||
		model_stop_ids(c->checkpoint, &c->stop_ids, &c->n_stop_ids, e) < 0)
		return -1;
	if (chat_recommended(&c->settings, c->checkpoint, e) < 0 || sampler_check(&c->settings.sampler, e) < 0)
		return -1;
	find_harmony(c);
	if (!c->cfg.raw && chat_load_template(&c->template, c->checkpoint, c->cfg.template_file, e) < 0)
		return -1;
	if (add_stops(c, e) < 0)
		return -1;
	if (c->checkpoint->gguf)
		gguf_drop_arrays(c->checkpoint->gguf);
	return c->cfg.system ? conversation_set_system(&c->conv, c->cfg.system, strlen(c->cfg.system), e) : 0;
}

int chat_open(struct chat **out, const struct chat_config *cfg, struct err *e)
{
	*out = NULL;
	struct chat *c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(e);
	c->cfg = *cfg;
	if (open_parts(c, e) < 0) {
		chat_close(c);
		return -1;
	}
	*out = c;
	return 0;
}

void chat_close(struct chat *c)
{
	if (!c)
		return;
	engine_close(c->engine);
	if (c->reader)
		c->reader->ops->close(c->reader);
	plan_clear(&c->plan);
	template_free(c->template);
	tokenizer_close(c->tokenizer);
	model_close(c->model);
	checkpoint_close(c->checkpoint);
	conversation_clear(&c->conv);
	settings_clear(&c->settings);
	free(c->stop_ids);
	free(c);
}

/* Once for each drive, where there is something to stream, and in the memory that will be the ring's. */
static void look_at_drive(struct chat *c)
{
	struct err ignored = ERR_INIT;
	if (probe_disk_cached(&c->drive, c->checkpoint) || !plan_streams(&c->plan))
		return;
	if (probe_disk(&c->drive, c->checkpoint, c->cfg.reader, PROBE_S, (size_t)c->plan.ring_bytes, &ignored) == 0)
		probe_disk_keep(&c->drive, c->checkpoint);
}

int chat_start(struct chat *c, uint32_t ctx, struct err *e)
{
	if (c->engine)
		return 0;
	struct backend *b = c->cfg.backend;
	const struct plan_request r = {.ram = c->cfg.ram, .backend = b->overhead,
		.host_memory = b->host_memory, .ctx = c->cfg.ctx ? c->cfg.ctx : ctx,
		.prefill_rows = c->cfg.prefill_rows, .kv_type = c->cfg.kv_type,
		.chunk_bytes = c->cfg.chunk_bytes};
	plan_clear(&c->plan);
	if (plan_make(&c->plan, c->model, &r, e) < 0)
		return -1;
	if (!c->reader) {
		look_at_drive(c);
		if (probe_reader_open(&c->reader, c->cfg.reader, c->checkpoint, &c->drive, e) < 0)
			return -1;
	}
	const struct engine_config ec = {.checkpoint = c->checkpoint, .model = c->model,
		.plan = &c->plan, .backend = b, .reader = c->reader};
	struct engine *en;
	if (engine_open(&en, &ec, e) < 0)
		return -1;
	if (c->cfg.trace_file && trace_export(engine_trace(en), c->cfg.trace_file, e) < 0) {
		engine_close(en);
		return -1;
	}
	atomic_store(&c->engine, en);
	if (atomic_load(&c->cancelled))
		engine_cancel(en);
	return 0;
}

void chat_cancel(struct chat *c)
{
	atomic_store(&c->cancelled, true);
	struct engine *en = atomic_load(&c->engine);
	if (en)
		engine_cancel(en);
}

void chat_uncancel(struct chat *c)
{
	atomic_store(&c->cancelled, false);
	struct engine *en = atomic_load(&c->engine);
	if (en)
		engine_uncancel(en);
}

bool chat_has_template(const struct chat *c)
{
	return c->template != NULL;
}

bool chat_template_uses(const struct chat *c, const char *name)
{
	return c->template && template_mentions(c->template, name);
}

bool chat_marks_hidden(const struct chat *c)
{
	const char *mark;
	for (int i = 0; (mark = reasoning_token(i)) != NULL; i++) {
		int64_t id = tokenizer_id(c->tokenizer, mark, strlen(mark));
		if (id >= 0 && tokenizer_is_special(c->tokenizer, (uint32_t)id))
			return true;
	}
	return c->harmony[HARMONY_CHANNEL] >= 0 && c->harmony[HARMONY_MESSAGE] >= 0;
}

struct conversation *chat_conversation(struct chat *c)
{
	return &c->conv;
}

void chat_set_attempt(struct chat *c, uint32_t attempt)
{
	c->attempt = attempt;
}

struct settings *chat_settings(struct chat *c)
{
	return &c->settings;
}

const char *chat_system(const struct chat *c)
{
	return c->cfg.system;
}

const char *chat_model_path(const struct chat *c)
{
	return c->cfg.model;
}

const struct model *chat_model(const struct chat *c)
{
	return c->model;
}

const struct plan *chat_plan(const struct chat *c)
{
	return c->engine ? &c->plan : NULL;
}

struct engine *chat_engine(struct chat *c)
{
	return atomic_load(&c->engine);
}

const char *chat_reader_name(const struct chat *c)
{
	return c->reader ? c->reader->name : NULL;
}

struct backend *chat_backend(const struct chat *c)
{
	return c->cfg.backend;
}

const char *chat_reader_note(const struct chat *c)
{
	return c->reader && c->reader->note[0] ? c->reader->note : NULL;
}

const struct probe_disk *chat_drive(const struct chat *c)
{
	return &c->drive;
}

const struct checkpoint *chat_checkpoint(const struct chat *c)
{
	return c->checkpoint;
}
