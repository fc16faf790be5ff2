/* The tokenizer of a GGUF file: keys tokenizer.ggml.*; byte-level BPE ("gpt2"). The pre-tokenizers are
 * those that llama.cpp's llm_tokenizer_bpe names by tokenizer.ggml.pre. */
#include <stdlib.h>
#include <string.h>

#include "store/gguf.h"
#include "tokenizer/vocab.h"

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4 };

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LLAMA3(digits)                                                                                     \
	CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                               \
		     "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct {
	const char *name;
	const char *patterns[2];
	bool ignore_merges;
} pre_table[] = {
	{"gpt-2", {PATTERN_GPT2, NULL}, false},
	{"gpt2", {PATTERN_GPT2, NULL}, false},
	{"default", {PATTERN_GPT2, NULL}, false},
	{"smollm", {"\\p{N}", PATTERN_GPT2}, false},
	{"starcoder", {"\\p{N}", PATTERN_GPT2}, false},
	{"llama-bpe", {LLAMA3("\\p{N}{1,3}"), NULL}, true},
	{"llama3", {LLAMA3("\\p{N}{1,3}"), NULL}, true},
	{"llama-v3", {LLAMA3("\\p{N}{1,3}"), NULL}, true},
	{"qwen2", {LLAMA3("\\p{N}"), NULL}, false},
	{"deepseek-r1-qwen", {LLAMA3("\\p{N}"), NULL}, false},
};

static int read_pre(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	struct gguf_str pre = {"default", 7};
	gguf_string(g, "tokenizer.ggml.pre", &pre);
	for (size_t i = 0; i < sizeof(pre_table) / sizeof(*pre_table); i++) {
		if (strlen(pre_table[i].name) != pre.len || memcmp(pre_table[i].name, pre.p, pre.len) != 0)
			continue;
		t->ignore_merges = pre_table[i].ignore_merges;
		for (int k = 0; k < 2 && pre_table[i].patterns[k]; k++)
			if (pretokenizer_add(&t->pre, pre_table[i].patterns[k],
				    strlen(pre_table[i].patterns[k]), false, SPLIT_ISOLATED, false, e) < 0)
				return -1;
		return 0;
	}
	return err_set(e, ERR_UNSUPPORTED, "%s: the pre-tokenizer \"%.*s\" is not supported", t->path,
		(int)(pre.len < 60 ? pre.len : 60), pre.p);
}

static int read_tokens(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	const struct gguf_kv *tokens = gguf_find(g, "tokenizer.ggml.tokens");
	const struct gguf_kv *types = gguf_find(g, "tokenizer.ggml.token_type");
	struct gguf_str s;
	struct buf bytes = BUF_INIT;
	size_t pos = 0;
	int rc = 0;
	if (!tokens || tokens->elem_type != GGUF_STRING)
		return err_set(e, ERR_FORMAT, "%s: tokenizer.ggml.tokens is missing", t->path);
	for (uint32_t id = 0; rc == 0 && gguf_next_string(tokens, &pos, &s); id++) {
		int64_t type = TYPE_NORMAL;
		if (types)
			gguf_elem_i64(types, id, &type);
		buf_reset(&bytes);
		if (type == TYPE_CONTROL || type == TYPE_USER_DEFINED || type == TYPE_UNKNOWN) {
			const struct added a = {.id = id, .content = (char *)s.p, .len = s.len,
				.special = type != TYPE_USER_DEFINED};
			rc = added_add(t, &a, e);
			if (rc == 0) /* also as an entry: some vocabularies use control tokens in merges */
				rc = vocab_set(t, id, s.p, s.len, e);
			continue;
		}
		if (!bytelevel_to_bytes(s.p, s.len, &bytes)) {
			buf_reset(&bytes);
			buf_add(&bytes, s.p, s.len);
		}
		rc = vocab_set(t, id, buf_str(&bytes), bytes.len, e);
	}
	buf_clear(&bytes);
	return rc;
}

static int read_merges(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	const struct gguf_kv *merges = gguf_find(g, "tokenizer.ggml.merges");
	struct gguf_str s;
	size_t pos = 0;
	struct buf a = BUF_INIT, b = BUF_INIT;
	int rc = merges_init(t, merges ? (size_t)merges->count : 0, e);
	for (uint32_t rank = 0; rc == 0 && merges && gguf_next_string(merges, &pos, &s); rank++) {
		const char *gap = s.len > 1 ? memchr(s.p + 1, ' ', s.len - 1) : NULL;
		buf_reset(&a);
		buf_reset(&b);
		if (!gap || !bytelevel_to_bytes(s.p, (size_t)(gap - s.p), &a) ||
			!bytelevel_to_bytes(gap + 1, s.len - (size_t)(gap - s.p) - 1, &b))
			rc = err_set(e, ERR_FORMAT, "%s: merge %u is no byte-level pair", t->path, rank);
		else
			rc = merges_add(t, buf_str(&a), a.len, buf_str(&b), b.len, rank, e);
	}
	buf_clear(&a);
	buf_clear(&b);
	return rc;
}

static int read_roles(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	static const char *const keys[6] = {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
		"tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id",
		"tokenizer.ggml.seperator_token_id", "tokenizer.ggml.cls_token_id"};
	for (int i = 0; i < 6; i++) {
		uint64_t id;
		size_t len;
		if (!gguf_u64(g, keys[i], &id) || id >= t->n_ids)
			continue;
		const char *s = tokenizer_token(t, (uint32_t)id, &len);
		if (s && !(t->roles[i] = strndup(s, len)))
			return err_nomem(e);
	}
	bool add = false;
	uint64_t id;
	if (gguf_bool(g, "tokenizer.ggml.add_bos_token", &add) && add && gguf_u64(g, keys[0], &id))
		t->prefix[t->n_prefix++] = (uint32_t)id;
	if (gguf_bool(g, "tokenizer.ggml.add_eos_token", &add) && add && gguf_u64(g, keys[1], &id))
		t->suffix[t->n_suffix++] = (uint32_t)id;
	return 0;
}

int tokenizer_read_gguf(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	struct gguf_str model;
	if (!gguf_string(g, "tokenizer.ggml.model", &model))
		return err_set(e, ERR_FORMAT, "%s holds no tokenizer (tokenizer.ggml.model)", t->path);
	if (model.len != 4 || memcmp(model.p, "gpt2", 4) != 0)
		return err_set(e, ERR_UNSUPPORTED, "%s: the tokenizer model \"%.*s\" is not supported", t->path,
			(int)(model.len < 60 ? model.len : 60), model.p);
	if (read_pre(t, g, e) < 0 || read_tokens(t, g, e) < 0 || added_index(t, e) < 0 ||
		vocab_index(t, e) < 0 || special_mark(t, e) < 0 || read_merges(t, g, e) < 0)
		return -1;
	return read_roles(t, g, e);
}
