/* GPT-2's two files: vocab.json {"token": id} and merges.txt, a pair on each line; byte-level BPE.
 * How text is cut hangs on the class that tokenizer_config.json names. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "tokenizer/gguf_pre.h"
#include "tokenizer/load.h"

static int read_vocab(struct tokenizer *t, const char *text, size_t len, struct err *e)
{
	struct json_reader r;
	struct json_str key;
	struct json_num id;
	int rc = 0;
	json_reader_init(&r, text, len, t->path, e);
	for (json_object(&r); rc == 0 && json_key(&r, &key) && json_number(&r, &id);)
		rc = id.is_int && id.i >= 0 && id.i < VOCAB_ID_LIMIT
			     ? vocab_set(&t->vocab, (uint32_t)id.i, key.p, key.len, VOCAB_MODEL, e)
			     : err_set(e, ERR_FORMAT, "%s: a token id is no sensible number",
				       t->path);
	if (rc == 0)
		rc = json_end(&r);
	json_reader_clear(&r);
	return rc;
}

static int add_merges(struct tokenizer *t, const struct buf *text, struct err *e)
{
	const char *p = buf_str(text), *end = p + text->len;
	size_t lines = 1;
	uint32_t rank = 0;
	for (size_t i = 0; i < text->len; i++)
		lines += p[i] == '\n';
	if (bpe_merges_init(&t->model.bpe, lines, e) < 0)
		return -1;
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;
		const char *last = stop > p && stop[-1] == '\r' ? stop - 1 : stop;
		const char *gap = memchr(p, ' ', (size_t)(last - p));
		bool skip = last == p || (last - p >= 8 && !memcmp(p, "#version", 8));
		if (!skip && !gap)
			return err_set(e, ERR_FORMAT, "%s: merge %u of merges.txt is no pair",
				t->path, rank);
		if (!skip && bpe_merges_add(&t->model.bpe, &t->vocab, p, (size_t)(gap - p), gap + 1,
				     (size_t)(last - gap - 1), rank++, e) < 0)
			return -1;
		p = stop + 1;
	}
	return bpe_merges_end(&t->model.bpe, &t->vocab, e);
}

static int read_merges(struct tokenizer *t, const char *dir, struct err *e)
{
	char *path = path_join(dir, "merges.txt");
	struct buf text = BUF_INIT;
	if (!path)
		return err_nomem(e);
	int rc = file_read(path, LOAD_LIMIT, &text, e);
	if (rc == 0)
		rc = add_merges(t, &text, e);
	buf_clear(&text);
	free(path);
	return rc;
}

int load_vocab_merges(struct tokenizer *t, const cJSON *config, const char *dir, const char *text,
	size_t len, struct err *e)
{
	const char *class = tokconf_text(config, "tokenizer_class");
	bool qwen = class && !strncmp(class, "Qwen2", 5);
	bool roberta = class && (!strncmp(class, "Roberta", 7) || !strncmp(class, "Bart", 4));
	t->model.kind = MODEL_BPE;
	if (read_vocab(t, text, len, e) < 0 || tokconf_added(t, config, dir, e) < 0 ||
		tokconf_special(t, config, dir, e) < 0)
		return -1;
	if (!t->roles[ROLE_EOS]) { /* GPT-2's own files say nothing of it */
		static const char end[] = "<|endoftext|>";
		const uint32_t id = vocab_find(&t->vocab, end, strlen(end));
		const struct added a = {.id = id,
			.content = (char *)(uintptr_t)end,
			.len = strlen(end),
			.special = true};
		if (id != NO_ID && (added_add(&t->added, &a, e) < 0 ||
					   role_set(t, ROLE_EOS, end, strlen(end), e) < 0))
			return -1;
	}
	if (qwen && (!normalizer_add(&t->normalizer, NORM_NFC, e) ||
			    pretokenizer_add_split(&t->pre, PATTERN_QWEN2, e) < 0))
		return -1;
	if (pretokenizer_add_byte_level(
		    &t->pre, tokconf_flag(config, "add_prefix_space", false), !qwen, e) < 0 ||
		!decoder_add(&t->decoder, DEC_BYTE_LEVEL, e))
		return -1;
	if (pipeline_finish(t, true, e) < 0 || read_merges(t, dir, e) < 0)
		return -1;
	bpe_finish(&t->model, &t->vocab);
	return tokconf_around(t, config, roberta, roberta, e);
}
