/* SentencePiece's precompiled map of characters ("Precompiled" in tokenizer.json), with the habits
 * of `tokenizers`: tried on whole graphemes of less than 6 bytes, then on characters; the shortest
 * entry that is a prefix counts. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "tokenizer/chars.h"
#include "tokenizer/normalizer.h"

int normalizer_add_charsmap(struct normalizer *n, const uint8_t *blob, size_t len, struct err *e)
{
	uint32_t bytes = 0;
	if (len >= 4)
		bytes = blob[0] | (uint32_t)blob[1] << 8 | (uint32_t)blob[2] << 16 |
			(uint32_t)blob[3] << 24;
	if (len < 8 || bytes % 4 || bytes == 0 || bytes > len - 4)
		return err_set(e, ERR_FORMAT, "the precompiled map of characters is cut or broken");
	struct norm_step *s = normalizer_add(n, NORM_CHARSMAP, e);
	if (!s)
		return -1;
	struct charsmap *m = &s->map;
	m->n_units = bytes / 4;
	m->texts_len = len - 4 - bytes;
	m->units = malloc(bytes);
	m->texts = malloc(m->texts_len + 1);
	if (!m->units || !m->texts)
		return err_nomem(e);
	for (size_t i = 0; i < m->n_units; i++) {
		const uint8_t *p = blob + 4 + 4 * i;
		m->units[i] =
			p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	}
	memcpy(m->texts, blob + 4 + bytes, m->texts_len);
	m->texts[m->texts_len] = '\0';
	return 0;
}

static size_t offset_of(uint32_t unit)
{
	return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The text for the shortest entry that begins p[0..len); NULL if there is none. */
static const char *look_up(const struct charsmap *m, const char *p, size_t len)
{
	size_t pos = offset_of(m->units[0]);
	for (size_t i = 0; i < len && p[i]; i++) {
		uint8_t c = (uint8_t)p[i];
		pos ^= c;
		if (pos >= m->n_units)
			return NULL;
		uint32_t unit = m->units[pos];
		if ((unit & (1u << 31 | 0xFF)) != c)
			return NULL;
		pos ^= offset_of(unit);
		if (pos >= m->n_units)
			return NULL;
		if (unit >> 8 & 1) {
			size_t at = m->units[pos] & ((1u << 31) - 1);
			return at <= m->texts_len ? m->texts + at : NULL;
		}
	}
	return NULL;
}

/* The bytes of the grapheme at s[i]. */
static size_t grapheme(const char *s, size_t i, size_t len)
{
	uint32_t a, b;
	utf8proc_int32_t state = 0;
	size_t end = i + char_at(s + i, &a);
	while (end < len) {
		size_t n = char_at(s + end, &b);
		if (a < 0x80 && b < 0x80 && !(a == '\r' && b == '\n'))
			break;
		if (utf8proc_grapheme_break_stateful(
			    (utf8proc_int32_t)a, (utf8proc_int32_t)b, &state))
			break;
		end += n;
		a = b;
	}
	return end - i;
}

void charsmap_run(const struct charsmap *m, const struct ntext *in, struct ntext *out)
{
	const char *s = buf_str(&in->s);
	for (size_t i = 0; i < in->s.len;) {
		size_t g = grapheme(s, i, in->s.len), n;
		const char *to = g < 6 ? look_up(m, s + i, g) : NULL;
		if (to) {
			ntext_put(out, in, i, i + g, to, strlen(to));
			i += g;
			continue;
		}
		for (size_t end = i + g; i < end; i += n) {
			n = char_len(s + i);
			to = look_up(m, s + i, n);
			if (to)
				ntext_put(out, in, i, i + n, to, strlen(to));
			else
				ntext_copy(out, in, i, i + n);
		}
	}
}
