/* Ids to text, at once and as they come. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/pipeline.h"

#define HELD 256 /* ids held back at most; then their text goes out as it is */
#define REPLACEMENT "\xEF\xBF\xBD"

/* What the decoder is given for id: of an added token that is looked for in normalized text, its
 * normalized form. */
static const char *token_text(const struct tokenizer *t, uint32_t id, size_t *len)
{
	if (t->vocab.flags[id] & VOCAB_ADDED)
		for (size_t i = t->added.n; i-- > 0;)
			if (t->added.p[i].id == id && t->added.p[i].normal) {
				*len = t->added.p[i].normal_len;
				return t->added.p[i].normal;
			}
	return vocab_get(&t->vocab, id, len);
}

int pipeline_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, bool skip_special,
	struct buf *out, struct err *e)
{
	struct tokens tokens = {0};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		size_t len;
		if (ids[i] >= t->vocab.n) /* a model's vocabulary may be larger: no text, as in `tokenizers` */
			continue;
		const char *p = token_text(t, ids[i], &len);
		if (!p || (skip_special && (t->vocab.flags[ids[i]] & VOCAB_SKIP)))
			continue;
		buf_add(&tokens.bytes, p, len);
		rc = tokens_end(&tokens, e);
	}
	if (rc == 0)
		rc = decoder_run(&t->decoder, &tokens, out, e);
	tokens_clear(&tokens);
	return rc;
}

int tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, bool skip_special,
	struct buf *out, struct err *e)
{
	return pipeline_decode(t, ids, n, skip_special, out, e);
}

void tok_stream_init(struct tok_stream *s, const struct tokenizer *t, bool skip_special)
{
	*s = (struct tok_stream){.t = t, .skip_special = skip_special};
}

void tok_stream_clear(struct tok_stream *s)
{
	ids_clear(&s->ids);
	buf_clear(&s->prefix);
}

/* Is the last token one byte of a character ("<0x0A>")? A decoder that joins such bytes takes back
 * good ones when a bad one follows. */
static bool ends_in_byte(const struct tok_stream *s)
{
	const struct tokenizer *t = s->t;
	bool joins = false;
	for (size_t i = 0; i < t->decoder.n; i++)
		joins |= t->decoder.steps[i].kind == DEC_BYTE_FALLBACK;
	for (size_t i = s->ids.len; joins && i-- > 0;) {
		size_t len;
		const char *p =
			s->ids.p[i] < t->vocab.n ? vocab_get(&t->vocab, s->ids.p[i], &len) : NULL;
		if (!p || (s->skip_special && (t->vocab.flags[s->ids.p[i]] & VOCAB_SKIP)))
			continue;
		return len == 6 && !memcmp(p, "<0x", 3) && p[5] == '>';
	}
	return false;
}

/* May the end of the text still change? */
static bool ends_open(const struct tok_stream *s, const struct buf *b)
{
	return (b->len >= 3 && !memcmp(b->p + b->len - 3, REPLACEMENT, 3)) || ends_in_byte(s);
}

static int window_text(const struct tok_stream *s, struct buf *out, struct err *e)
{
	buf_reset(out);
	return pipeline_decode(s->t, s->ids.p, s->ids.len, s->skip_special, out, e);
}

/* What `now` has beyond the prefix; should the two differ, beyond what they share. */
static void put_news(const struct tok_stream *s, const struct buf *now, struct buf *out)
{
	size_t same = 0;
	while (same < s->prefix.len && same < now->len && now->p[same] == s->prefix.p[same])
		same++;
	while (same && same < now->len && ((uint8_t)now->p[same] & 0xC0) == 0x80)
		same--;
	buf_add(out, buf_str(now) + same, now->len - same);
}

/* The ids are a window: those whose text was given out last (the context that decoders look at) and
 * those behind them. Text that ends in U+FFFD may be half a character and is held back. */
int tok_stream_push(struct tok_stream *s, uint32_t id, struct buf *out, struct err *e)
{
	struct buf now = BUF_INIT;
	int rc = 0;
	if (s->prefix.len == 0 && s->ids.len) {
		rc = window_text(s, &now, e);
		if (rc == 0 && !ends_open(s, &now)) {
			buf_reset(&s->prefix);
			buf_add(&s->prefix, buf_str(&now), now.len);
			s->known = s->ids.len;
		}
	}
	if (rc == 0 && ids_add(&s->ids, id, e) == 0 && window_text(s, &now, e) == 0) {
		bool full = s->ids.len - s->known >= HELD;
		if ((now.len > s->prefix.len && !ends_open(s, &now)) || full) {
			put_news(s, &now, out);
			s->ids.len -= s->known;
			memmove(s->ids.p, s->ids.p + s->known, s->ids.len * sizeof(*s->ids.p));
			s->known = s->ids.len;
			rc = window_text(s, &s->prefix, e);
		}
	} else {
		rc = -1;
	}
	buf_clear(&now);
	return rc < 0 ? -1 : buf_ok(out, e);
}

int tok_stream_flush(struct tok_stream *s, struct buf *out, struct err *e)
{
	struct buf now = BUF_INIT;
	int rc = window_text(s, &now, e);
	if (rc == 0 && now.len > s->prefix.len)
		put_news(s, &now, out);
	s->ids.len = 0;
	s->known = 0;
	buf_reset(&s->prefix);
	buf_clear(&now);
	return rc < 0 ? -1 : buf_ok(out, e);
}
