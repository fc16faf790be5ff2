/* airlchat tokenize: {"text", "add_special_tokens"} -> {"ids"}; {"ids", "skip_special_tokens"} ->
 * {"text"}. Text is template text here: special tokens in it are tokens. */
#include <stdlib.h>

#include "base/json.h"
#include "cli/commands.h"
#include "tokenizer/tokenizer.h"

struct request {
	struct buf text;
	struct ids ids;
	bool has_text, has_ids, add_special, skip_special;
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
		} else if (json_str_is(&key, "add_special_tokens")) {
			json_bool(&r, &q->add_special);
		} else if (json_str_is(&key, "skip_special_tokens")) {
			json_bool(&r, &q->skip_special);
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
	if (rc == 0 && q->has_text == q->has_ids)
		rc = err_set(e, ERR_USAGE, "a line needs either \"text\" or \"ids\"");
	return rc;
}

static int one_line(void *arg, const char *text, size_t len, struct buf *out, struct err *e)
{
	const struct tokenizer *t = arg;
	struct request q = {.add_special = true};
	struct buf decoded = BUF_INIT;
	int rc = read_request(&q, text, len, e);
	if (rc == 0 && q.has_text) {
		const struct tok_span span = {buf_str(&q.text), q.text.len, false};
		rc = tokenizer_encode(t, &span, 1, q.add_special ? TOK_ADD_SPECIAL : 0, &q.ids, e);
		buf_puts(out, "{\"ids\": [");
		for (size_t i = 0; rc == 0 && i < q.ids.len; i++)
			buf_printf(out, i ? ", %u" : "%u", q.ids.p[i]);
		buf_puts(out, "]}");
	} else if (rc == 0) {
		rc = tokenizer_decode(t, q.ids.p, q.ids.len, q.skip_special, &decoded, e);
		buf_puts(out, "{\"text\": ");
		json_write_str(out, buf_str(&decoded), decoded.len);
		buf_addc(out, '}');
	}
	buf_clear(&q.text);
	buf_clear(&decoded);
	ids_clear(&q.ids);
	return rc;
}

int cmd_tokenize(const struct options *o)
{
	struct err e = ERR_INIT;
	struct checkpoint *ck = NULL;
	struct tokenizer *t = NULL;
	int status = 0;
	if (checkpoint_open(&ck, o->model, CHECKPOINT_TENSORS_OPTIONAL, &e) < 0 ||
		tokenizer_open(&t, ck, &e) < 0)
		status = report(&e);
	else
		status = json_lines(one_line, t);
	tokenizer_close(t);
	checkpoint_close(ck);
	return status;
}
