/* tiktoken files: a line for each token, its bytes in base64 and its rank, which is its id. They
 * don't say how text is cut, nor what their special tokens are: that hangs on the model, which is
 * known by the number of ranks. Two neighbours merge whenever both together are a token. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "tokenizer/chars.h"
#include "tokenizer/gguf_pre.h"
#include "tokenizer/load.h"
#include "tokenizer/ranked.h"

static const char *const llama3_special[] = {"<|begin_of_text|>", "<|end_of_text|>",
	"<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>",
	"<|reserved_special_token_2|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>",
	"<|eot_id|>", "<|python_tag|>", NULL};
static const char *const qwen_special[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>", NULL};
static const char *const glm4_special[] = {"<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>",
	"<eop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "<|begin_of_image|>",
	"<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", NULL};
static const char *const cl100k_special[] = {
	"", "<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", NULL};
static const char *const o200k_special[] = {"", "<|endoftext|>", NULL};

static const struct known {
	uint32_t ranks;
	const char *pattern;
	bool nfc;
	const char *const *special; /* with the ids from `ranks` on; "" leaves one out */
	const char *more;           /* and then so many of "<|MORE_number|>" */
	uint32_t n_more, first_more;
	const char *bos, *eos;
	bool add_bos;
} known_files[] = {
	{128000, PATTERN_LLAMA3, false, llama3_special, "reserved_special_token", 245, 3,
		"<|begin_of_text|>", "<|end_of_text|>", true},
	{151643, PATTERN_QWEN2, true, qwen_special, "extra", 205, 0, NULL, "<|endoftext|>", false},
	{151329, PATTERN_LLAMA3, false, glm4_special, NULL, 0, 0, NULL, "<|endoftext|>", false},
	{163584, PATTERN_KIMI, false, NULL, NULL, 0, 0, NULL, NULL, false},
	{100256, PATTERN_LLAMA3, false, cl100k_special, NULL, 0, 0, NULL, "<|endoftext|>", false},
	{199998, PATTERN_GPT4O, false, o200k_special, NULL, 0, 0, NULL, "<|endoftext|>", false},
};

int ranked_token(struct tokenizer *t, uint32_t id, const char *bytes, size_t len, struct err *e)
{
	struct buf chars = BUF_INIT;
	bytes_to_chars(bytes, len, &chars);
	int rc = buf_ok(&chars, e);
	if (rc == 0)
		rc = vocab_set(&t->vocab, id, buf_str(&chars), chars.len, VOCAB_MODEL, e);
	buf_clear(&chars);
	return rc;
}

int ranked_pipeline(struct tokenizer *t, const char *pattern, struct err *e)
{
	t->model.kind = MODEL_BPE;
	t->model.bpe.ignore_merges = true;
	if (pretokenizer_add_split(&t->pre, pattern, e) < 0 ||
		pretokenizer_add_byte_level(&t->pre, false, false, e) < 0)
		return err_prefix(e, "%s", t->path);
	return decoder_add(&t->decoder, DEC_BYTE_LEVEL, e) ? 0 : -1;
}

int ranked_finish(struct tokenizer *t, struct err *e)
{
	if (pipeline_finish(t, true, e) < 0)
		return -1;
	uint32_t *ranks = mem_array(t->vocab.n, sizeof(*ranks));
	if (!ranks)
		return err_nomem(e);
	for (uint32_t id = 0; id < t->vocab.n; id++)
		ranks[id] = (t->vocab.flags[id] & (VOCAB_MODEL | VOCAB_SPECIAL)) == VOCAB_MODEL
				    ? id
				    : NO_ID;
	t->model.bpe.ranks = ranks;
	return 0;
}

int ranked_special(
	struct tokenizer *t, uint32_t id, const char *content, bool special, struct err *e)
{
	const struct added a = {.id = id,
		.content = (char *)(uintptr_t)content,
		.len = strlen(content),
		.special = special};
	return added_add(&t->added, &a, e);
}

/* One line; *count is one more than its rank. */
static int read_line(struct tokenizer *t, const char *p, size_t len, uint32_t *count, struct err *e)
{
	const char *gap = memchr(p, ' ', len);
	struct buf bytes = BUF_INIT;
	char digits[16] = "", *end;
	size_t n = gap ? (size_t)(p + len - gap - 1) : 0;
	if (n && n < sizeof(digits))
		memcpy(digits, gap + 1, n);
	unsigned long id = strtoul(digits, &end, 10);
	bool ok = n && n < sizeof(digits) && end != digits && (*end == '\0' || *end == '\r') &&
		  id < VOCAB_ID_LIMIT && base64_decode(p, (size_t)(gap - p), &bytes);
	int rc = ok ? ranked_token(t, (uint32_t)id, buf_str(&bytes), bytes.len, e)
		    : err_set(e, ERR_FORMAT, "%s: a line is no base64 with a rank behind it",
			      t->path);
	if (ok && id + 1 > *count)
		*count = (uint32_t)id + 1;
	buf_clear(&bytes);
	return rc;
}

static int add_special(struct tokenizer *t, const struct known *k, struct err *e)
{
	uint32_t id = k->ranks;
	char content[64];
	for (size_t i = 0; k->special && k->special[i]; i++, id++)
		if (ranked_special(t, id, k->special[i], true, e) < 0)
			return -1;
	for (uint32_t i = 0; i < k->n_more; i++, id++) {
		snprintf(content, sizeof(content), "<|%s_%u|>", k->more, k->first_more + i);
		if (ranked_special(t, id, content, true, e) < 0)
			return -1;
	}
	return 0;
}

int load_tiktoken(struct tokenizer *t, const cJSON *config, const char *dir, const char *text,
	size_t len, struct err *e)
{
	uint32_t count = 0;
	const struct known *k = NULL;
	for (size_t at = 0; at < len;) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t end = nl ? (size_t)(nl - text) : len;
		if (end > at && read_line(t, text + at, end - at, &count, e) < 0)
			return -1;
		at = end + 1;
	}
	for (size_t i = 0; i < sizeof(known_files) / sizeof(*known_files); i++)
		if (known_files[i].ranks == count)
			k = &known_files[i];
	if (!k)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: a tiktoken file of %u ranks is of no model known here", t->path,
			count);
	if (k->nfc && !normalizer_add(&t->normalizer, NORM_NFC, e))
		return -1;
	if (ranked_pipeline(t, k->pattern, e) < 0 || add_special(t, k, e) < 0 ||
		tokconf_added(t, config, dir, e) < 0 || ranked_finish(t, e) < 0)
		return -1;
	if ((k->bos && role_set(t, ROLE_BOS, k->bos, strlen(k->bos), e) < 0) ||
		(k->eos && role_set(t, ROLE_EOS, k->eos, strlen(k->eos), e) < 0) ||
		tokconf_roles(t, config, e) < 0)
		return -1;
	return tokconf_around(t, config, k->add_bos, false, e);
}
