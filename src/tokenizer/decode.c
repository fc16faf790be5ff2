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

/* Decode the tokens of ids. */
static int pipeline_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, bool skip_special,
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

/* May the end of the text still change? */
static bool ends_open(const struct buf *b)
{
	return b->len >= 3 && !memcmp(b->p + b->len - 3, REPLACEMENT, 3);
}

static int window_text(const struct tok_stream *s, size_t from, struct buf *out, struct err *e)
{
	buf_reset(out);
	return pipeline_decode(s->t, s->ids.p + from, s->ids.len - from, s->skip_special, out, e);
}

/* What the ids say beyond the prefix, or beyond what the two share. Where a bad byte ("<0xFF>") takes
 * back the good ones before it, whose text is given out: what the new ids say by themselves. */
static int news(const struct tok_stream *s, struct buf *out, struct err *e)
{
	size_t same = 0;
	if (window_text(s, 0, out, e) < 0)
		return -1;
	while (same < s->prefix.len && same < out->len && out->p[same] == s->prefix.p[same])
		same++;
	while (same && same < out->len && ((uint8_t)out->p[same] & 0xC0) == 0x80)
		same--;
	buf_drop(out, same);
	if (same < s->prefix.len && out->len >= 3 && !memcmp(out->p, REPLACEMENT, 3))
		return window_text(s, s->known, out, e);
	return 0;
}

/* The ids are a window: those whose text was given out last (the context that decoders look at) and
 * those behind them. Text that ends in U+FFFD may be half a character and is held back. */
int tok_stream_push(struct tok_stream *s, uint32_t id, struct buf *out, struct err *e)
{
	struct buf now = BUF_INIT;
	int rc = 0;
	if (s->prefix.len == 0 && s->ids.len) {
		rc = window_text(s, 0, &now, e);
		if (rc == 0 && !ends_open(&now)) {
			buf_reset(&s->prefix);
			buf_add(&s->prefix, buf_str(&now), now.len);
			s->known = s->ids.len;
		}
	}
	if (rc == 0 && ids_add(&s->ids, id, e) == 0 && news(s, &now, e) == 0) {
		bool full = s->ids.len - s->known >= HELD;
		if ((now.len && !ends_open(&now)) || full) {
			buf_add(out, buf_str(&now), now.len);
			s->ids.len -= s->known;
			memmove(s->ids.p, s->ids.p + s->known, s->ids.len * sizeof(*s->ids.p));
			s->known = s->ids.len;
			rc = window_text(s, 0, &s->prefix, e);
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
	int rc = s->ids.len > s->known ? news(s, &now, e) : 0;
	if (rc == 0)
		buf_add(out, buf_str(&now), now.len);
	s->ids.len = 0;
	s->known = 0;
	buf_reset(&s->prefix);
	buf_clear(&now);
	return rc < 0 ? -1 : buf_ok(out, e);
}
