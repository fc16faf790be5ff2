/* The tokenizer of a GGUF file: keys tokenizer.ggml.*. Kinds: "gpt2" (BPE with merges), "llama"
 * (SentencePiece BPE), "t5" (SentencePiece Unigram). */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/gguf_pre.h"
#include "tokenizer/load.h"
#include "tokenizer/spm.h"

#define MARK "\xE2\x96\x81"

static bool is(const struct gguf_str *s, const char *what)
{
	return s->len == strlen(what) && !memcmp(s->p, what, s->len);
}

static bool flag(const struct gguf *g, const char *key, bool otherwise)
{
	gguf_bool(g, key, &otherwise);
	return otherwise;
}

/* --- byte-pair encoding --- */

static int add_pre(struct tokenizer *t, const struct gguf_pre *pre, struct err *e)
{
	t->model.kind = MODEL_BPE;
	t->model.bpe.ignore_merges = pre->flags & GGUF_IGNORE_MERGES;
	for (int k = 0; k < 6 && pre->patterns[k]; k++)
		if (pretokenizer_add_split(&t->pre, pre->patterns[k], e) < 0)
			return -1;
	if (!(pre->flags & GGUF_RAW))
		return pretokenizer_add_byte_level(&t->pre, false, false, e) < 0 ||
				       !decoder_add(&t->decoder, DEC_BYTE_LEVEL, e)
			       ? -1
			       : 0;
	t->model.byte_fallback = t->model.bpe.fuse_unk = true;
	struct norm_step *s =
		normalizer_add_text(&t->normalizer, NORM_REPLACE, MARK, strlen(MARK), e);
	if (!s || !(s->re = regex_new(" ", 1, true, e)))
		return -1;
	return decoder_add_replace(&t->decoder, MARK, " ", e) < 0 ||
			       !decoder_add(&t->decoder, DEC_BYTE_FALLBACK, e) ||
			       !decoder_add(&t->decoder, DEC_FUSE, e)
		       ? -1
		       : 0;
}

static int read_merges(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	const struct gguf_kv *merges = gguf_find(g, "tokenizer.ggml.merges");
	struct gguf_str s;
	size_t pos = 0;
	if (!merges || merges->elem_type != GGUF_STRING)
		return err_set(e, ERR_FORMAT, "%s: tokenizer.ggml.merges is missing", t->path);
	if (bpe_merges_init(&t->model.bpe, (size_t)merges->count, e) < 0)
		return -1;
	for (uint32_t rank = 0; gguf_next_string(merges, &pos, &s); rank++) {
		const char *gap = s.len > 1 ? memchr(s.p + 1, ' ', s.len - 1) : NULL;
		if (!gap)
			return err_set(e, ERR_FORMAT, "%s: merge %u is no pair", t->path, rank);
		size_t n = (size_t)(gap - s.p);
		if (bpe_merges_add(
			    &t->model.bpe, &t->vocab, s.p, n, gap + 1, s.len - n - 1, rank, e) < 0)
			return -1;
	}
	return bpe_merges_end(&t->model.bpe, &t->vocab, e);
}

/* --- what is common --- */

static int read_tokens(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	const struct gguf_kv *tokens = gguf_find(g, "tokenizer.ggml.tokens");
	const struct gguf_kv *types = gguf_find(g, "tokenizer.ggml.token_type");
	const struct gguf_kv *scores = gguf_find(g, "tokenizer.ggml.scores");
	struct gguf_str s;
	size_t pos = 0, cap = 0;
	if (!tokens || tokens->elem_type != GGUF_STRING)
		return err_set(e, ERR_FORMAT, "%s: tokenizer.ggml.tokens is missing", t->path);
	for (uint32_t id = 0; gguf_next_string(tokens, &pos, &s); id++) {
		int64_t type = SPM_NORMAL;
		double score = 0;
		if (types)
			gguf_elem_i64(types, id, &type);
		if (scores)
			gguf_elem_f64(scores, id, &score);
		if (spm_piece(t, id, s.p, s.len, (int)type, score, &cap, e) < 0)
			return -1;
	}
	return 0;
}

static const char *const role_keys[N_ROLES] = {"tokenizer.ggml.bos_token_id",
	"tokenizer.ggml.eos_token_id", "tokenizer.ggml.unknown_token_id",
	"tokenizer.ggml.padding_token_id", "tokenizer.ggml.seperator_token_id",
	"tokenizer.ggml.cls_token_id"};

static uint32_t role_id(const struct tokenizer *t, const struct gguf *g, int role)
{
	uint64_t id;
	bool known = gguf_u64(g, role_keys[role], &id) && id < t->vocab.n;
	return known ? (uint32_t)id : NO_ID;
}

/* Special ids around the text; the defaults are those of each kind. */
static int read_roles(
	struct tokenizer *t, const struct gguf *g, bool bos, bool eos, bool sep, struct err *e)
{
	uint32_t id[N_ROLES];
	for (int i = 0; i < N_ROLES; i++) {
		size_t len;
		id[i] = role_id(t, g, i);
		const char *s = id[i] == NO_ID ? NULL : vocab_get(&t->vocab, id[i], &len);
		if (s && !(t->roles[i] = strndup(s, len)))
			return err_nomem(e);
	}
	bos = flag(g, "tokenizer.ggml.add_bos_token", bos);
	eos = flag(g, "tokenizer.ggml.add_eos_token", eos);
	sep = flag(g, "tokenizer.ggml.add_sep_token", sep);
	return postprocessor_around(&t->post, bos ? id[0] : NO_ID,
		sep   ? id[4]
		: eos ? id[1]
		      : NO_ID,
		e);
}

/* name: of the pre-tokenizer where the file has none. */
static int load_bpe(struct tokenizer *t, const struct gguf *g, struct gguf_str name, struct err *e)
{
	gguf_string(g, "tokenizer.ggml.pre", &name);
	const struct gguf_pre *pre = gguf_pre_find(name.p, name.len);
	if (!pre)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: the pre-tokenizer \"%.*s\" is not supported", t->path,
			(int)(name.len < 60 ? name.len : 60), name.p);
	if (add_pre(t, pre, e) < 0 || read_tokens(t, g, e) < 0)
		return -1;
	if (!(pre->flags & GGUF_RAW)) { /* every byte has its token; what is lacking is dropped */
		free(t->model.unk);
		t->model.unk = NULL;
	}
	free(t->model.unigram.score);
	t->model.unigram.score = NULL;
	if (pipeline_finish(t, true, e) < 0 || read_merges(t, g, e) < 0)
		return -1;
	bpe_finish(&t->model, &t->vocab);
	bool sep = pre->flags & GGUF_SEP;
	return read_roles(t, g, sep || (pre->flags & GGUF_BOS), false, sep, e);
}

static int load_pieces(struct tokenizer *t, const struct gguf *g, bool unigram, struct err *e)
{
	const struct gguf_kv *map = gguf_find(g, "tokenizer.ggml.precompiled_charsmap");
	bool prefix = flag(g, "tokenizer.ggml.add_space_prefix", true);
	bool trim = flag(g, "tokenizer.ggml.remove_extra_whitespaces", unigram);
	const struct spm_options o = {.unigram = unigram,
		.prefix_space = prefix,
		.prefix_everywhere = !unigram,
		.trim = trim,
		.charsmap = map ? map->data : NULL,
		.charsmap_len = map ? map->bytes : 0};
	if (read_tokens(t, g, e) < 0 || spm_pipeline(t, &o, e) < 0 ||
		pipeline_finish(t, true, e) < 0)
		return -1;
	if (!unigram && spm_ranks(t, e) < 0)
		return -1;
	bpe_finish(&t->model, &t->vocab);
	return read_roles(t, g, !unigram, unigram, false, e);
}

int load_gguf(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	struct gguf_str model;
	if (!gguf_string(g, "tokenizer.ggml.model", &model))
		return err_set(
			e, ERR_FORMAT, "%s holds no tokenizer (tokenizer.ggml.model)", t->path);
	if (is(&model, "gpt2"))
		return load_bpe(t, g, (struct gguf_str){"default", 7}, e);
	if (is(&model, "gemma4"))
		return load_bpe(t, g, model, e);
	if (is(&model, "llama") || is(&model, "t5"))
		return load_pieces(t, g, is(&model, "t5"), e);
	return err_set(e, ERR_UNSUPPORTED, "%s: the tokenizer model \"%.*s\" is not supported",
		t->path, (int)(model.len < 60 ? model.len : 60), model.p);
}
