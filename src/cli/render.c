/* airlchat render: {"messages", "add_generation_prompt", "tools", "bos_token", "eos_token", "kwargs",
 * "now"} -> {"text"}. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/json.h"
#include "chat/chat_private.h"
#include "cli/commands.h"
#include "cli/render.h"

struct request {
	const char *messages;
	size_t messages_len;
	char *tools, *kwargs, *bos, *eos;
	bool has_bos, has_eos, generation;
	int64_t now;
};

/* The text of the next value, as it stands; NULL when it is null. */
static char *raw_value(struct json_reader *r)
{
	bool null = json_peek(r) == JSON_NULL;
	const char *from = r->p;
	if (!json_skip(r) || null)
		return NULL;
	const struct json_str s = {from, (size_t)(r->p - from)};
	return json_str_dup(&s);
}

static char *string_or_null(struct json_reader *r)
{
	struct json_str s;
	if (json_peek(r) == JSON_NULL) {
		json_null(r);
		return NULL;
	}
	return json_string(r, &s) ? json_str_dup(&s) : NULL;
}

static int64_t read_now(struct json_reader *r)
{
	struct json_str s;
	struct tm tm = {0};
	char text[40];
	if (json_peek(r) != JSON_STRING || !json_string(r, &s) || s.len >= sizeof(text)) {
		if (json_peek(r) == JSON_NULL)
			json_null(r);
		return 0;
	}
	snprintf(text, sizeof(text), "%.*s", (int)s.len, s.p);
	if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) && !strptime(text, "%Y-%m-%d %H:%M:%S", &tm) &&
		!strptime(text, "%Y-%m-%d", &tm))
		json_fail(r, "\"now\" is no date");
	return (int64_t)timegm(&tm);
}

static int read_request(struct request *q, const char *text, size_t len, struct err *e)
{
	struct json_reader r;
	struct json_str key;
	json_reader_init(&r, text, len, "input line", e);
	for (json_object(&r); json_key(&r, &key);) {
		if (json_str_is(&key, "messages")) {
			json_peek(&r);
			q->messages = r.p;
			json_skip(&r);
			q->messages_len = (size_t)(r.p - q->messages);
		} else if (json_str_is(&key, "add_generation_prompt")) {
			json_peek(&r) == JSON_NULL ? json_null(&r) : json_bool(&r, &q->generation);
		} else if (json_str_is(&key, "tools")) {
			q->tools = raw_value(&r);
		} else if (json_str_is(&key, "kwargs")) {
			q->kwargs = raw_value(&r);
		} else if (json_str_is(&key, "bos_token")) {
			q->has_bos = true;
			q->bos = string_or_null(&r);
		} else if (json_str_is(&key, "eos_token")) {
			q->has_eos = true;
			q->eos = string_or_null(&r);
		} else if (json_str_is(&key, "now")) {
			q->now = read_now(&r);
		} else {
			json_skip(&r);
		}
	}
	int rc = json_end(&r);
	json_reader_clear(&r);
	if (rc == 0 && !q->messages)
		rc = err_set(e, ERR_USAGE, "a line needs \"messages\"");
	return rc;
}

int render_messages(const struct renderer *r, const char *line, size_t len, struct text *out,
	struct err *e)
{
	struct request q = {0};
	int rc = read_request(&q, line, len, e);
	const struct template_input in = {.messages_json = q.messages, .messages_len = q.messages_len,
		.tools_json = q.tools, .add_generation_prompt = q.generation, .kwargs_json = q.kwargs,
		.bos_token = q.has_bos || !r->tokenizer ? q.bos : tokenizer_role_token(r->tokenizer, "bos_token"),
		.eos_token = q.has_eos || !r->tokenizer ? q.eos : tokenizer_role_token(r->tokenizer, "eos_token"),
		.tokenizer = r->tokenizer, .now = q.now};
	if (rc == 0)
		rc = template_render(r->template, &in, out, e);
	free(q.tools);
	free(q.kwargs);
	free(q.bos);
	free(q.eos);
	return rc;
}

static int one_line(void *arg, const char *line, size_t len, struct buf *out, struct err *e)
{
	struct text text = {0};
	int rc = render_messages(arg, line, len, &text, e);
	if (rc == 0) {
		buf_puts(out, "{\"text\": ");
		json_write_str(out, buf_str(&text.bytes), text.bytes.len);
		buf_addc(out, '}');
	}
	text_clear(&text);
	return rc;
}

int cmd_render(const struct options *o)
{
	struct err e = ERR_INIT;
	struct checkpoint *ck = NULL;
	struct tokenizer *t = NULL;
	struct renderer r = {0};
	int status = 0;
	if (o->model && checkpoint_open(&ck, o->model, CHECKPOINT_TENSORS_OPTIONAL, &e) < 0)
		status = report(&e);
	else if (chat_load_template(&r.template, ck, o->template_file, &e) < 0)
		status = report(&e);
	else if (!r.template)
		status = (err_set(&e, ERR_FORMAT, "%s has no chat template", o->model), report(&e));
	if (status == 0) {
		struct err ignored = ERR_INIT; /* a template can be rendered without a tokenizer */
		if (ck && tokenizer_open(&t, ck, &ignored) == 0)
			r.tokenizer = t;
		status = json_lines(one_line, &r);
	}
	tokenizer_close(t);
	template_free(r.template);
	checkpoint_close(ck);
	return status;
}
