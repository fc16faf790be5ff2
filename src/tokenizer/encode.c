/* Text to ids: the walk through the pipeline. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/chars.h"
#include "tokenizer/pipeline.h"

#define CACHE_SLOTS 2048
#define CACHE_WORD 48   /* bytes of the longest word that is remembered */
#define CACHE_FROM 1024 /* bytes of text from which on it pays */

/* Words come again and again: where the same bytes stood before in this text, and which of the ids
 * given out they became. */
struct word_cache {
	struct {
		const char *p;
		uint32_t len, n;
		size_t at;
	} slot[CACHE_SLOTS];
};

struct encoder {
	const struct tokenizer *t;
	struct buf text; /* the spans as one text, valid UTF-8 */
	struct buf user; /* for each byte of it, whether a user wrote it; empty if none did */
	bool any_user;
	struct ntext now, tmp, part;
	struct pieces pieces, spare;
	struct regex_work *regex;
	struct model_work model;
	struct word_cache *cache;
	bool use_cache;
	struct ids *out;
	struct err *e;
};

static void encoder_clear(struct encoder *c)
{
	buf_clear(&c->text);
	buf_clear(&c->user);
	ntext_clear(&c->now);
	ntext_clear(&c->tmp);
	ntext_clear(&c->part);
	pieces_clear(&c->pieces);
	pieces_clear(&c->spare);
	regex_work_free(c->regex);
	model_work_clear(&c->model);
	free(c->cache);
}

/* Validity is that of the whole: a span may end inside a character, which then belongs to a user if
 * any byte of it does. */
static int join_spans(struct encoder *c, const struct tok_span *spans, size_t n)
{
	struct buf raw = BUF_INIT, marks = BUF_INIT;
	for (size_t i = 0; i < n; i++) {
		buf_add(&raw, spans[i].p, spans[i].len);
		c->any_user |= spans[i].user && spans[i].len;
	}
	for (size_t i = 0; c->any_user && i < n; i++)
		if (buf_reserve(&marks, spans[i].len)) {
			memset(marks.p + marks.len, spans[i].user, spans[i].len);
			marks.len += spans[i].len;
		}
	int rc = buf_ok(&raw, c->e) < 0 ? -1 : buf_ok(&marks, c->e);
	if (rc == 0 && !c->any_user)
		utf8_append_valid(&c->text, buf_str(&raw), raw.len);
	for (size_t at = 0, k; rc == 0 && c->any_user && at < raw.len; at += k) {
		uint32_t cp;
		size_t before = c->text.len;
		k = utf8_decode(raw.p + at, raw.len - at, &cp, NULL);
		utf8_append_valid(&c->text, raw.p + at, k);
		bool user = memchr(marks.p + at, 1, k) != NULL;
		for (size_t i = before; i < c->text.len; i++)
			buf_addc(&c->user, user);
	}
	if (rc == 0)
		rc = buf_ok(&c->text, c->e) < 0 ? -1 : buf_ok(&c->user, c->e);
	buf_clear(&raw);
	buf_clear(&marks);
	return rc;
}

static size_t slot_of(const char *p, size_t len)
{
	uint64_t h = len;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)p[i]) * 0x9E3779B97F4A7C15u;
	return (size_t)(h >> 40) % CACHE_SLOTS;
}

static int encode_word(struct encoder *c, const char *p, size_t len, bool user)
{
	const struct tokenizer *t = c->t;
	size_t before = c->out->len;
	if (!c->use_cache || len > CACHE_WORD)
		return model_encode(&t->model, &t->vocab, p, len, user, &c->model, c->out, c->e);
	size_t s = slot_of(p, len);
	if (c->cache->slot[s].len == len && !memcmp(c->cache->slot[s].p, p, len)) {
		for (size_t i = 0; i < c->cache->slot[s].n; i++)
			if (ids_add(c->out, c->out->p[c->cache->slot[s].at + i], c->e) < 0)
				return -1;
		return 0;
	}
	if (model_encode(&t->model, &t->vocab, p, len, user, &c->model, c->out, c->e) < 0)
		return -1;
	c->cache->slot[s].p = p;
	c->cache->slot[s].len = (uint32_t)len;
	c->cache->slot[s].n = (uint32_t)(c->out->len - before);
	c->cache->slot[s].at = before;
	return 0;
}

/* Normalized text without added tokens: cut and encode. c->part holds it. */
static int encode_part(struct encoder *c, bool user)
{
	struct ntext *t = &c->part;
	if (pretokenizer_run(&c->t->pre, t, &c->tmp, &c->pieces, &c->spare, c->regex, c->e) < 0)
		return -1;
	c->use_cache = t->s.len >= CACHE_FROM;
	if (c->use_cache && !c->cache)
		c->use_cache = (c->cache = malloc(sizeof(*c->cache))) != NULL;
	for (size_t i = 0; c->use_cache && i < CACHE_SLOTS; i++)
		c->cache->slot[i].len = 0;
	for (size_t i = 0; i < c->pieces.n; i++) {
		const char *p = t->s.p + c->pieces.p[i].start, *end = p + c->pieces.p[i].len;
		for (size_t n; p < end; p += n) {
			n = bpe_cut(&c->t->model.bpe, p, (size_t)(end - p));
			if (encode_word(c, p, n, user) < 0)
				return -1;
		}
	}
	return 0;
}

/* Text without added tokens of the first pass, text[start..end). */
static int encode_text(struct encoder *c, size_t start, size_t end)
{
	struct ntext *t = &c->now;
	const struct tokenizer *tok = c->t;
	struct added_walk walk = {0};
	struct added_hit hit;
	bool user = c->any_user && memchr(c->user.p + start, 1, end - start);
	ntext_begin(t, t);
	t->track = user && tok->added.normal.n;
	t->zero = start ? 0 : char_len(c->text.p);
	buf_add(&t->s, c->text.p + start, end - start);
	if (t->track)
		buf_add(&t->user, c->user.p + start, end - start);
	if (buf_ok(&t->s, c->e) < 0 || buf_ok(&t->user, c->e) < 0 ||
		normalizer_run(&tok->normalizer, t, &c->tmp, c->regex, c->e) < 0)
		return -1;
	while (added_next(&tok->added, &tok->added.normal, buf_str(&t->s), t->s.len,
		t->track ? t->user.p : NULL, &walk, &hit)) {
		if (hit.token) {
			if (ids_add(c->out, hit.token->id, c->e) < 0)
				return -1;
			continue;
		}
		ntext_begin(&c->part, t);
		c->part.track = false;
		buf_add(&c->part.s, t->s.p + hit.start, hit.end - hit.start);
		c->part.zero = t->zero > hit.start ? t->zero - hit.start : 0;
		if (buf_ok(&c->part.s, c->e) < 0 || encode_part(c, user) < 0)
			return -1;
	}
	return 0;
}

static int encode_all(struct encoder *c)
{
	const struct tokenizer *t = c->t;
	struct added_walk walk = {0};
	struct added_hit hit;
	while (added_next(&t->added, &t->added.raw, buf_str(&c->text), c->text.len,
		c->any_user ? c->user.p : NULL, &walk, &hit)) {
		int rc = hit.token ? ids_add(c->out, hit.token->id, c->e)
				   : encode_text(c, hit.start, hit.end);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int tokenizer_encode(const struct tokenizer *t, const struct tok_span *spans, size_t n_spans,
	unsigned flags, struct ids *out, struct err *e)
{
	struct encoder c = {.t = t, .out = out, .e = e};
	size_t from = out->len;
	c.regex = regex_work_new(e);
	int rc = c.regex ? join_spans(&c, spans, n_spans) : -1;
	if (rc == 0)
		rc = encode_all(&c);
	if (rc == 0)
		rc = postprocessor_run(&t->post, out, from, flags & TOK_ADD_SPECIAL, e);
	encoder_clear(&c);
	return rc;
}
