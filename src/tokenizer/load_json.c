/* tokenizer.json of Hugging Face `tokenizers`: the top level, added tokens and the model, read as a
 * stream (a vocabulary is large); the small parts are in load_json_steps.c. Whatever a file asks
 * for and isn't there is an error that names it. */
#include "tokenizer/load_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define GIVE_BACK (1 << 20)

bool json_unsupported(struct json_loader *l, const char *what, const char *name, size_t len)
{
	if (!l->r.failed) {
		l->r.failed = true;
		err_set(l->e, ERR_UNSUPPORTED, "%s: the %s \"%.*s\" is not supported", l->t->path,
			what, (int)(len < 60 ? len : 60), name);
	}
	return false;
}

/* --- added tokens --- */

static bool read_added(struct json_loader *l)
{
	struct json_reader *r = &l->r;
	struct json_str key, s;
	struct buf content = BUF_INIT;
	struct added a = {0};
	const struct {
		const char *name;
		bool *to;
	} flags[] = {{"special", &a.special}, {"lstrip", &a.lstrip}, {"rstrip", &a.rstrip},
		{"single_word", &a.single_word}, {"normalized", &a.normalized}};
	for (json_object(r); json_key(r, &key);) {
		bool done = false;
		if (json_str_is(&key, "content") && json_string(r, &s)) {
			buf_reset(&content);
			buf_add(&content, s.p, s.len);
			continue;
		}
		for (size_t i = 0; !done && i < 5; i++)
			if (json_str_is(&key, flags[i].name)) {
				json_bool(r, flags[i].to);
				done = true;
			}
		if (!done)
			json_skip(r);
	}
	a.content = content.p;
	a.len = content.len;
	if (!r->failed && (buf_ok(&content, l->e) < 0 || added_add(&l->t->added, &a, l->e) < 0))
		r->failed = true;
	buf_clear(&content);
	return !r->failed;
}

/* --- the model --- */

static bool set_entry(struct json_loader *l, int64_t id, const struct json_str *s)
{
	if (id < 0 || id > UINT32_MAX)
		return json_fail(&l->r, "a token id is no sensible number");
	if (vocab_set(&l->t->vocab, (uint32_t)id, s->p, s->len, VOCAB_MODEL, l->e) < 0)
		l->r.failed = true;
	return !l->r.failed;
}

/* The text up to here has been read for the last time: its memory goes while the tables grow, so
 * that loading takes little more than the larger of the two. */
static void give_back(struct json_loader *l, const char *p)
{
	if (p - l->read < GIVE_BACK || l->keep)
		return;
	mem_discard((char *)(uintptr_t)l->read, (size_t)(p - l->read));
	l->read = p;
}

/* {"content": id} */
static bool read_vocab_map(struct json_loader *l)
{
	struct json_str key;
	struct json_num id;
	for (json_object(&l->r); json_key(&l->r, &key) && json_number(&l->r, &id);) {
		set_entry(l, id.is_int ? id.i : -1, &key);
		give_back(l, l->r.p);
	}
	return !l->r.failed;
}

/* The number at p as serde_json reads it, which is not always the nearest double: the digits as one
 * integer, divided by a power of ten. Equal sums of scores hang on it. */
static double serde_double(const char *p, const char *end)
{
	uint64_t digits = 0;
	int exponent = 0, written = 0;
	bool negative = p < end && *p == '-', point = false, full = false;
	for (p += negative; p < end && ((*p >= '0' && *p <= '9') || *p == '.'); p++) {
		unsigned d = (unsigned)(*p - '0');
		if (*p == '.') {
			point = true;
			continue;
		}
		full |= digits > (UINT64_MAX - d) / 10;
		if (!full)
			digits = digits * 10 + d;
		exponent += full ? !point : -point;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
		written = (int)strtol(p + 1, NULL, 10);
	if (written > 1000 || written < -1000)
		written = written < 0 ? -1000 : 1000;
	double f = (double)digits;
	for (exponent += written; exponent < -308 && f != 0; exponent += 308)
		f /= 1e308;
	char power[16];
	snprintf(power, sizeof(power), "1e%d", exponent < 0 ? -exponent : exponent);
	f = exponent < 0 ? f / strtod(power, NULL) : f * strtod(power, NULL);
	return negative ? -f : f;
}

/* [["content", score]] */
static bool read_vocab_scores(struct json_loader *l)
{
	struct json_reader *r = &l->r;
	struct unigram *u = &l->t->model.unigram;
	struct json_str s;
	struct json_num score;
	size_t cap = 0, n = 0;
	for (json_array(r); json_next(r);) {
		if (!json_array(r) || !json_next(r) || !json_string(r, &s) ||
			!set_entry(l, (int64_t)n, &s) || !json_next(r) ||
			json_peek(r) != JSON_NUMBER)
			return json_fail(r, "expected [token, score]");
		const char *digits = r->p;
		if (!json_number(r, &score) || json_next(r))
			return json_fail(r, "expected [token, score]");
		if (mem_grow(&u->score, &cap, n + 1, sizeof(*u->score)) < 0) {
			r->failed = true;
			err_nomem(l->e);
			return false;
		}
		if (!isfinite(score.d))
			return json_fail(r, "a score is out of range");
		u->score[n++] = score.is_int ? score.d : serde_double(digits, r->end);
		give_back(l, r->p);
	}
	l->n_scores = n;
	return !r->failed;
}

static bool read_text(struct json_loader *l, char **to)
{
	struct json_str s;
	if (json_peek(&l->r) == JSON_NULL)
		return json_null(&l->r);
	if (!json_string(&l->r, &s))
		return false;
	free(*to);
	*to = json_str_dup(&s);
	if (!*to) {
		l->r.failed = true;
		err_nomem(l->e);
	}
	return *to != NULL;
}

/* null leaves it alone. */
static bool read_flag(struct json_loader *l, bool *to)
{
	return json_peek(&l->r) == JSON_NULL ? json_null(&l->r) : json_bool(&l->r, to);
}

static void read_model_field(struct json_loader *l, const struct json_str *key)
{
	struct json_reader *r = &l->r;
	struct model *m = &l->t->model;
	struct json_num n;
	if (json_str_is(key, "type")) {
		read_text(l, &l->type);
	} else if (json_str_is(key, "vocab")) {
		l->has_scores = json_peek(r) == JSON_ARRAY;
		l->has_vocab = l->has_scores ? read_vocab_scores(l) : read_vocab_map(l);
	} else if (json_str_is(key, "merges")) {
		json_peek(r);
		l->merges = r->p;
		for (json_array(r); json_next(r); l->n_merges++)
			json_skip(r);
		l->merges_end = r->p;
		l->keep = !l->has_vocab; /* what comes behind them must not be given back yet */
	} else if (json_str_is(key, "unk_token")) {
		read_text(l, &m->unk);
	} else if (json_str_is(key, "continuing_subword_prefix")) {
		read_text(l, &m->bpe.prefix);
	} else if (json_str_is(key, "end_of_word_suffix")) {
		read_text(l, &m->bpe.suffix);
	} else if (json_str_is(key, "fuse_unk")) {
		read_flag(l, &m->bpe.fuse_unk);
	} else if (json_str_is(key, "byte_fallback")) {
		read_flag(l, &m->byte_fallback);
	} else if (json_str_is(key, "ignore_merges")) {
		read_flag(l, &m->bpe.ignore_merges);
	} else if (json_str_is(key, "max_input_chars_per_word") && json_number(r, &n)) {
		m->max_chars = n.is_int && n.i > 0 ? (size_t)n.i : 0;
		l->has_max = true;
	} else if (json_str_is(key, "unk_id") && json_peek(r) == JSON_NUMBER &&
		   json_number(r, &n)) {
		l->unk_id = n.is_int ? n.i : -2;
	} else if (!r->failed) {
		json_skip(r);
	}
}

/* An empty prefix or suffix is none. */
static void drop_empty(char **s)
{
	if (*s && !**s) {
		free(*s);
		*s = NULL;
	}
}

static bool settle_model(struct json_loader *l)
{
	struct model *m = &l->t->model;
	const char *type = l->type;
	if (!type) /* files of old versions: by what they hold */
		type = l->has_scores ? "Unigram"
		       : l->merges   ? "BPE"
		       : l->has_max  ? "WordPiece"
				     : "WordLevel";
	if (!strcmp(type, "BPE"))
		m->kind = MODEL_BPE;
	else if (!strcmp(type, "Unigram"))
		m->kind = MODEL_UNIGRAM;
	else if (!strcmp(type, "WordPiece"))
		m->kind = MODEL_WORDPIECE;
	else if (!strcmp(type, "WordLevel"))
		m->kind = MODEL_WORDLEVEL;
	else
		return json_unsupported(l, "tokenizer model", type, strlen(type));
	drop_empty(&m->bpe.prefix);
	drop_empty(&m->bpe.suffix);
	if (!l->has_vocab || (m->kind == MODEL_UNIGRAM) != l->has_scores)
		return json_fail(&l->r, "the model's vocabulary is missing or of another kind");
	if (m->kind != MODEL_UNIGRAM || l->unk_id == -1)
		return true;
	size_t len;
	const char *unk = l->unk_id >= 0 && (size_t)l->unk_id < l->n_scores
				  ? vocab_get(&l->t->vocab, (uint32_t)l->unk_id, &len)
				  : NULL;
	if (!unk)
		return json_fail(&l->r, "unk_id is not in the vocabulary");
	free(m->unk);
	m->unk = strndup(unk, len);
	return true;
}

static bool read_model(struct json_loader *l)
{
	struct json_str key;
	for (json_object(&l->r); json_key(&l->r, &key);)
		read_model_field(l, &key);
	return !l->r.failed && settle_model(l);
}

/* --- merges, "a b" or ["a", "b"], once the vocabulary is there --- */

static int add_merge(
	struct json_loader *l, const struct json_str *a, const struct json_str *b, uint32_t rank)
{
	return bpe_merges_add(
		&l->t->model.bpe, &l->t->vocab, a->p, a->len, b->p, b->len, rank, l->e);
}

static int read_merge(
	struct json_loader *l, struct json_reader *r, struct buf *first, uint32_t *rank)
{
	struct json_str s;
	if (json_peek(r) == JSON_ARRAY) {
		bool ok = json_array(r) && json_next(r) && json_string(r, &s);
		buf_reset(first);
		buf_add(first, s.p, ok ? s.len : 0);
		ok = ok && json_next(r) && json_string(r, &s) && !json_next(r) && !r->failed;
		const struct json_str a = {buf_str(first), first->len};
		if (ok)
			return add_merge(l, &a, &s, (*rank)++);
	} else if (json_string(r, &s)) {
		const char *gap = memchr(s.p, ' ', s.len);
		if (s.len >= 8 && !memcmp(s.p, "#version", 8))
			return 0;
		if (gap && !memchr(gap + 1, ' ', (size_t)(s.p + s.len - gap - 1))) {
			const struct json_str a = {s.p, (size_t)(gap - s.p)};
			const struct json_str b = {gap + 1, s.len - a.len - 1};
			return add_merge(l, &a, &b, (*rank)++);
		}
	}
	return err_set(l->e, ERR_FORMAT, "%s: merge %u is no pair", l->t->path, *rank);
}

static int read_merges(struct json_loader *l)
{
	struct json_reader r;
	struct buf first = BUF_INIT;
	uint32_t rank = 0;
	if (l->t->model.kind != MODEL_BPE || !l->merges)
		return 0;
	if (bpe_merges_init(&l->t->model.bpe, l->n_merges, l->e) < 0)
		return -1;
	json_reader_init(&r, l->merges, (size_t)(l->merges_end - l->merges), l->t->path, l->e);
	l->read = l->merges;
	l->keep = false;
	int rc = 0;
	for (json_array(&r); rc == 0 && json_next(&r);) {
		rc = read_merge(l, &r, &first, &rank);
		give_back(l, r.p);
	}
	if (rc == 0)
		rc = json_end(&r);
	if (rc == 0)
		rc = bpe_merges_end(&l->t->model.bpe, &l->t->vocab, l->e);
	buf_clear(&first);
	json_reader_clear(&r);
	return rc;
}

int load_json(struct tokenizer *t, char *text, size_t len, struct err *e)
{
	struct json_loader l = {.t = t, .e = e, .unk_id = -1, .read = text};
	struct json_reader *r = &l.r;
	struct json_str key;
	t->decoder.none = true;
	json_reader_init(r, text, len, t->path, e);
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "added_tokens"))
			for (json_array(r); json_next(r);)
				read_added(&l);
		else if (json_str_is(&key, "normalizer"))
			json_part(&l, json_normalizer);
		else if (json_str_is(&key, "pre_tokenizer"))
			json_part(&l, json_pretokenizer);
		else if (json_str_is(&key, "post_processor"))
			json_part(&l, json_postprocessor);
		else if (json_str_is(&key, "decoder"))
			json_part(&l, json_decoder);
		else if (json_str_is(&key, "model"))
			read_model(&l);
		else
			json_skip(r);
	}
	int rc = json_end(r);
	json_reader_clear(r);
	if (rc == 0)
		rc = pipeline_finish(t, false, e);
	if (rc == 0)
		rc = read_merges(&l);
	if (rc == 0)
		bpe_finish(&t->model, &t->vocab);
	free(l.type);
	return rc;
}
