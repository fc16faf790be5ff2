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

#define READER_DEPTH 32

void chat_result_clear(struct chat_result *r)
{
	ids_clear(&r->prompt_ids);
	ids_clear(&r->ids);
	buf_clear(&r->text);
}

const char *chat_finish_name(enum chat_finish f)
{
	static const char *const names[] = {"stop", "length", "cancelled"};
	return names[f];
}

static void message_free(struct chat_message *m)
{
	free(m->role);
	free(m->text);
}

int chat_add(struct chat *c, const char *role, const char *text, size_t len, struct err *e)
{
	if (mem_grow(&c->messages, &c->cap_messages, c->n_messages + 1, sizeof(*c->messages)) < 0)
		return err_nomem(e);
	struct chat_message m = {.role = strdup(role), .text = malloc(len + 1), .len = len};
	if (!m.role || !m.text) {
		message_free(&m);
		return err_nomem(e);
	}
	memcpy(m.text, text, len);
	m.text[len] = '\0';
	c->messages[c->n_messages++] = m;
	return 0;
}

static bool has_system(const struct chat *c)
{
	return c->n_messages && !strcmp(c->messages[0].role, "system");
}

void chat_clear(struct chat *c)
{
	size_t keep = has_system(c);
	while (c->n_messages > keep)
		message_free(&c->messages[--c->n_messages]);
}

int chat_set_system(struct chat *c, const char *text, size_t len, struct err *e)
{
	if (has_system(c)) {
		message_free(&c->messages[0]);
		c->n_messages--;
		memmove(c->messages, c->messages + 1, c->n_messages * sizeof(*c->messages));
	}
	if (len == 0)
		return 0;
	if (chat_add(c, "system", text, len, e) < 0)
		return -1;
	struct chat_message m = c->messages[c->n_messages - 1];
	memmove(c->messages + 1, c->messages, (c->n_messages - 1) * sizeof(m));
	c->messages[0] = m;
	return 0;
}

const struct chat_message *chat_messages(const struct chat *c, size_t *n)
{
	*n = c->n_messages;
	return c->messages;
}

void chat_messages_json(const struct chat *c, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < c->n_messages; i++) {
		buf_puts(out, i ? ", {\"role\": " : "{\"role\": ");
		json_write_str(out, c->messages[i].role, strlen(c->messages[i].role));
		buf_puts(out, ", \"content\": ");
		json_write_str(out, c->messages[i].text, c->messages[i].len);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

int chat_transcript(const struct chat *c, bool json, struct buf *out, struct err *e)
{
	if (json) {
		chat_messages_json(c, out);
		buf_addc(out, '\n');
		return buf_ok(out, e);
	}
	buf_printf(out, "# %s\n", c->model->name);
	for (size_t i = 0; i < c->n_messages; i++) {
		buf_printf(out, "\n## %s\n\n", c->messages[i].role);
		buf_add(out, c->messages[i].text, c->messages[i].len);
		buf_addc(out, '\n');
	}
	return buf_ok(out, e);
}

static int open_parts(struct chat *c, struct err *e)
{
	if (sampler_check(&c->cfg.sampler, e) < 0 ||
		checkpoint_open(&c->checkpoint, c->cfg.model, 0, e) < 0 ||
		model_open(&c->model, c->checkpoint, e) < 0 ||
		tokenizer_open(&c->tokenizer, c->checkpoint, e) < 0 ||
		model_stop_ids(c->checkpoint, &c->stop_ids, &c->n_stop_ids, e) < 0)
		return -1;
	if (!c->cfg.raw && chat_load_template(&c->template, c->checkpoint, c->cfg.template_file, e) < 0)
		return -1;
	int64_t eos = tokenizer_role_id(c->tokenizer, "eos_token");
	if (c->n_stop_ids == 0 && eos >= 0) {
		if (!(c->stop_ids = malloc(sizeof(*c->stop_ids))))
			return err_nomem(e);
		c->stop_ids[c->n_stop_ids++] = (uint32_t)eos;
	}
	if (c->checkpoint->gguf)
		gguf_drop_arrays(c->checkpoint->gguf);
	return c->cfg.system ? chat_set_system(c, c->cfg.system, strlen(c->cfg.system), e) : 0;
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
	while (c->n_messages)
		message_free(&c->messages[--c->n_messages]);
	free(c->messages);
	free(c->stop_ids);
	free(c);
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
	if (!c->reader &&
		reader_open(&c->reader, c->cfg.reader, c->checkpoint, NULL, READER_DEPTH, e) < 0)
		return -1;
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

struct sampler_params *chat_sampler(struct chat *c)
{
	return &c->cfg.sampler;
}

void chat_set_max_tokens(struct chat *c, uint32_t n)
{
	c->cfg.max_tokens = n;
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

const struct backend *chat_backend(const struct chat *c)
{
	return c->cfg.backend;
}
