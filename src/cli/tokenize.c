/* airlchat tokenize: {"text", "add_special_tokens"} -> {"ids"}; {"ids", "skip_special_tokens"} ->
 * {"text"}; {"messages", ...} as for render -> {"ids"}. "text" is template text: special tokens in
 * it are tokens. What messages say is a user's: there they are not. */
#include <stdlib.h>

#include "base/json.h"
#include "chat/chat_private.h"
#include "cli/commands.h"
#include "cli/render.h"
#include "tokenizer/tokenizer.h"

struct request {
	struct buf text;
	struct ids ids;
	bool has_text, has_ids, has_messages, add_special, skip_special;
};

static int read_request(struct request *q, const char *text, size_t len, struct err *e)
{
	struct json_reader r;
	struct json_str key, s;
	struct json_num n;
	json_reader_init(&r, text, len, "input line", e);
	for (json_object(&r); json_key(&r, &key);) {
		if (json_str_is(&key, "text") && json_string(&r, &s)) {
			q->has_text = true;
			buf_reset(&q->text);
			buf_add(&q->text, s.p, s.len);
		} else if (json_str_is(&key, "messages")) {
			q->has_messages = true;
			json_skip(&r);
		} else if (json_str_is(&key, "add_special_tokens")) {
			json_peek(&r) == JSON_NULL ? json_null(&r) : json_bool(&r, &q->add_special);
		} else if (json_str_is(&key, "skip_special_tokens")) {
			json_peek(&r) == JSON_NULL ? json_null(&r) : json_bool(&r, &q->skip_special);
		} else if (json_str_is(&key, "ids")) {
			q->has_ids = true;
			for (json_array(&r); json_next(&r) && json_number(&r, &n);)
				if (!n.is_int || n.i < 0 || n.i > UINT32_MAX)
					json_fail(&r, "an id must be a whole number");
				else if (ids_add(&q->ids, (uint32_t)n.i, e) < 0)
					r.failed = true;
		} else if (!r.failed) {
			json_skip(&r);
		}
	}
	int rc = json_end(&r);
	json_reader_clear(&r);
	if (rc == 0 && q->has_text + q->has_ids + q->has_messages != 1)
		rc = err_set(
			e, ERR_USAGE, "a line needs one of \"text\", \"ids\" and \"messages\"");
	return rc;
}

struct state {
	const struct options *o;
	struct checkpoint *checkpoint;
	struct tokenizer *tokenizer;
	struct renderer renderer; /* its template is loaded with the first line that needs it */
};

/* As in a chat: what the template writes may be tokens, and nothing is added around it. */
static int encode_messages(
	struct state *s, const char *line, size_t len, struct ids *ids, struct err *e)
{
	struct renderer *r = &s->renderer;
	struct text text = {0};
	struct tok_span *spans = NULL;
	size_t n = 0;
	r->tokenizer = s->tokenizer;
	if (!r->template &&
		chat_load_template(&r->template, s->checkpoint, s->o->template_file, e) < 0)
		return -1;
	if (!r->template)
		return err_set(e, ERR_FORMAT, "%s has no chat template", s->o->model);
	int rc = render_messages(r, line, len, &text, e);
	if (rc == 0)
		rc = text_spans(&text, &spans, &n, e);
	if (rc == 0)
		rc = tokenizer_encode(s->tokenizer, spans, n, 0, ids, e);
	free(spans);
	text_clear(&text);
	return rc;
}

static void put_ids(const struct ids *ids, struct buf *out)
{
	buf_puts(out, "{\"ids\": [");
	for (size_t i = 0; i < ids->len; i++)
		buf_printf(out, i ? ", %u" : "%u", ids->p[i]);
	buf_puts(out, "]}");
}

static int one_line(void *arg, const char *text, size_t len, struct buf *out, struct err *e)
{
	struct state *s = arg;
	struct request q = {.add_special = true};
	struct buf decoded = BUF_INIT;
	int rc = read_request(&q, text, len, e);
	if (rc == 0 && q.has_ids) {
		rc = tokenizer_decode(
			s->tokenizer, q.ids.p, q.ids.len, q.skip_special, &decoded, e);
		buf_puts(out, "{\"text\": ");
		json_write_str(out, buf_str(&decoded), decoded.len);
		buf_addc(out, '}');
	} else if (rc == 0) {
		const struct tok_span span = {buf_str(&q.text), q.text.len, false};
		rc = q.has_messages ? encode_messages(s, text, len, &q.ids, e)
				    : tokenizer_encode(s->tokenizer, &span, 1,
					      q.add_special ? TOK_ADD_SPECIAL : 0, &q.ids, e);
		put_ids(&q.ids, out);
	}
	buf_clear(&q.text);
	buf_clear(&decoded);
	ids_clear(&q.ids);
	return rc;
}

int cmd_tokenize(const struct options *o)
{
	struct err e = ERR_INIT;
	struct state s = {.o = o};
	int status = 0;
	if (checkpoint_open(&s.checkpoint, o->model, CHECKPOINT_TENSORS_OPTIONAL, &e) < 0 ||
		tokenizer_open(&s.tokenizer, s.checkpoint, &e) < 0)
		status = report(&e);
	else
		status = json_lines(one_line, &s);
	template_free(s.renderer.template);
	tokenizer_close(s.tokenizer);
	checkpoint_close(s.checkpoint);
	return status;
}
