/* WordPiece: the longest entry that begins what is left of the word, again and again; a word that
 * can't be covered is unknown as a whole. */
#include <string.h>

#include "tokenizer/chars.h"
#include "tokenizer/model.h"

/* The longest entry that begins p[start..len); *end is behind its text. NO_ID if there is none. */
static uint32_t longest(const struct model *m, const struct vocab *v, const char *p, size_t start,
	size_t len, bool user, struct buf *text, size_t *end)
{
	const char *prefix = start && m->bpe.prefix ? m->bpe.prefix : "";
	size_t n = strlen(prefix), max = len - start;
	if (n + max > v->longest)
		max = v->longest > n ? v->longest - n : 0;
	while (max && start + max < len && ((uint8_t)p[start + max] & 0xC0) == 0x80)
		max--;
	buf_reset(text);
	buf_puts(text, prefix);
	buf_add(text, p + start, max);
	for (*end = start + max; *end > start; *end = char_before(p, start, *end)) {
		uint32_t id = vocab_find_model(v, buf_str(text), n + *end - start);
		if (id != NO_ID && model_may(v, id, user))
			return id;
	}
	return NO_ID;
}

int wordpiece_encode(const struct model *m, const struct vocab *v, const char *p, size_t len,
	bool user, struct model_work *w, struct ids *out, struct err *e)
{
	size_t chars = 0, before = out->len, end;
	for (size_t i = 0; i < len; i += char_len(p + i))
		chars++;
	bool bad = chars > m->max_chars;
	for (size_t at = 0; !bad && at < len; at = end) {
		uint32_t id = longest(m, v, p, at, len, user, &w->text, &end);
		bad = id == NO_ID;
		if (!bad && ids_add(out, id, e) < 0)
			return -1;
	}
	if (!bad)
		return 0;
	out->len = before;
	return m->unk_id == NO_ID ? model_unknown(m, v, e) : ids_add(out, m->unk_id, e);
}
