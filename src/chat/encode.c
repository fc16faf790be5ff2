/* Messages to token ids: through the template, or as they are. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "chat/chat_private.h"

#define TAIL 128 /* bytes of the prompt that tell whether it opened a reasoning block */

static void put_string(struct buf *out, const char *key, const char *p, size_t len)
{
	buf_printf(out, ", \"%s\": ", key);
	json_write_str(out, p, len);
}

/* A template that takes </think> off by itself gets the answer with its reasoning; one that knows
 * reasoning_content gets that; to others the reasoning of earlier turns is not shown. */
static void put_content(struct buf *out, const struct chat_message *m, const struct template *t)
{
	struct buf all = BUF_INIT;
	bool key = !t || template_mentions(t, "reasoning_content") || template_mentions(t, "thinking");
	if (m->reasoning && !key && template_contains(t, "</think>")) {
		buf_puts(&all, "<think>\n");
		buf_add(&all, m->reasoning, m->reasoning_len);
		buf_puts(&all, "\n</think>\n\n");
	}
	buf_add(&all, m->text, m->len);
	put_string(out, "content", buf_str(&all), all.len);
	out->failed |= all.failed;
	buf_clear(&all);
	if (m->reasoning && key) {
		put_string(out, "reasoning_content", m->reasoning, m->reasoning_len);
		put_string(out, "thinking", m->reasoning, m->reasoning_len);
	}
}

/* Render messages as the template wants them: the reasoning of earlier answers as reasoning_content. */
static void chat_messages_json(const struct conversation *c, size_t n, const struct template *t, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < n; i++) {
		buf_puts(out, i ? ", {\"role\": " : "{\"role\": ");
		json_write_str(out, c->m[i].role, strlen(c->m[i].role));
		put_content(out, &c->m[i], t);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static int encode_raw(const struct chat *c, size_t n, struct ids *ids, struct err *e)
{
	struct buf all = BUF_INIT;
	for (size_t i = 0; i < n; i++)
		buf_add(&all, c->conv.m[i].text, c->conv.m[i].len);
	const struct tok_span span = {buf_str(&all), all.len, false};
	int rc = buf_ok(&all, e);
	if (rc == 0)
		rc = tokenizer_encode(c->tokenizer, &span, 1, TOK_ADD_SPECIAL, ids, e);
	buf_clear(&all);
	return rc;
}

int chat_encode(const struct chat *c, size_t n, struct ids *ids, struct buf *tail, struct err *e)
{
	if (!c->template)
		return encode_raw(c, n, ids, e);
	struct buf messages = BUF_INIT;
	struct text text = {0};
	struct tok_span *spans = NULL;
	size_t n_spans = 0;
	char *vars = settings_vars_json(&c->settings);
	chat_messages_json(&c->conv, n, c->template, &messages);
	int rc = vars ? buf_ok(&messages, e) : err_nomem(e);
	const struct template_input in = {.messages_json = messages.p, .messages_len = messages.len,
		.add_generation_prompt = true,
		.bos_token = tokenizer_role_token(c->tokenizer, "bos_token"),
		.eos_token = tokenizer_role_token(c->tokenizer, "eos_token"), .tokenizer = c->tokenizer,
		.kwargs_json = vars};
	if (rc == 0)
		rc = template_render(c->template, &in, &text, e);
	if (rc == 0)
		rc = text_spans(&text, &spans, &n_spans, e);
	if (rc == 0) /* the template writes BOS itself where the model wants one */
		rc = tokenizer_encode(c->tokenizer, spans, n_spans, 0, ids, e);
	size_t from = text.bytes.len > TAIL ? text.bytes.len - TAIL : 0;
	if (rc == 0 && tail)
		buf_add(tail, buf_str(&text.bytes) + from, text.bytes.len - from);
	free(vars);
	free(spans);
	text_clear(&text);
	buf_clear(&messages);
	return rc;
}
