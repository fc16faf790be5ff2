#include "tokenizer/normalizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/chars.h"

void normalizer_clear(struct normalizer *n)
{
	for (size_t i = 0; i < n->n; i++) {
		regex_free(n->steps[i].re);
		free(n->steps[i].text);
		free(n->steps[i].map.units);
		free(n->steps[i].map.texts);
	}
	*n = (struct normalizer){0};
}

struct norm_step *normalizer_add(struct normalizer *n, enum norm_kind kind, struct err *e)
{
	if (n->n == NORM_STEPS) {
		err_set(e, ERR_LIMIT, "more than %d normalizers", NORM_STEPS);
		return NULL;
	}
	struct norm_step *s = &n->steps[n->n++];
	*s = (struct norm_step){.kind = kind};
	return s;
}

struct norm_step *normalizer_add_text(
	struct normalizer *n, enum norm_kind kind, const char *text, size_t len, struct err *e)
{
	struct norm_step *s = normalizer_add(n, kind, e);
	if (!s)
		return NULL;
	s->text = mem_text(text, len);
	if (!s->text) {
		err_nomem(e);
		return NULL;
	}
	s->len = len;
	return s;
}

/* Replaced text is aligned with the last byte of what it replaces. */
static int replace(const struct norm_step *s, const struct ntext *in, struct ntext *out,
	struct regex_work *work, struct err *e)
{
	struct regex_iter it;
	size_t start, end, done = 0;
	int rc;
	regex_begin(&it, s->re, buf_str(&in->s), in->s.len);
	while ((rc = regex_next(&it, work, &start, &end, e)) > 0) {
		ntext_copy(out, in, done, start);
		ntext_put(out, in, end ? end - 1 : 0, end, s->text, s->len);
		done = end;
	}
	ntext_copy(out, in, done, in->s.len);
	return rc;
}

static void strip(const struct norm_step *s, const struct ntext *in, struct ntext *out)
{
	size_t from = 0, to = in->s.len;
	uint32_t cp;
	while (s->left && from < to) {
		size_t n = char_at(in->s.p + from, &cp);
		if (!char_is_space(cp))
			break;
		from += n;
	}
	while (s->right && to > from) {
		size_t at = char_before(in->s.p, from, to);
		char_at(in->s.p + at, &cp);
		if (!char_is_space(cp))
			break;
		to = at;
	}
	ntext_copy(out, in, from, to);
}

static bool nmt_removes(uint32_t cp)
{
	return (cp >= 1 && cp <= 8) || cp == 0xB || (cp >= 0xE && cp <= 0x1F) || cp == 0x7F ||
	       cp == 0x8F || cp == 0x9F;
}

static bool nmt_is_space(uint32_t cp)
{
	return cp == 9 || cp == 10 || cp == 12 || cp == 13 || cp == 0x1680 ||
	       (cp >= 0x200B && cp <= 0x200F) || cp == 0x2028 || cp == 0x2029 || cp == 0x2581 ||
	       cp == 0xFEFF || cp == 0xFFFD;
}

/* What a step that works on single characters makes of cp: up to 3 code points. */
static int map_char(enum norm_kind kind, uint32_t cp, uint32_t out[3])
{
	out[0] = cp;
	switch (kind) {
	case NORM_LOWERCASE:
		return char_lower(cp, out);
	case NORM_STRIP_ACCENTS:
		return !char_is_mark(cp);
	case NORM_STRIP_NONSPACING:
		return !char_is_nonspacing(cp);
	case NORM_NMT:
		out[0] = nmt_is_space(cp) ? ' ' : cp;
		return !nmt_removes(cp);
	case NORM_CLEAN:
		if (cp == 0 || cp == 0xFFFD ||
			(char_is_control(cp) && cp != 9 && cp != 10 && cp != 13))
			return 0;
		out[0] = char_is_space(cp) ? ' ' : cp;
		return 1;
	case NORM_CJK_SPACES:
		if (!char_is_cjk(cp))
			return 1;
		out[0] = out[2] = ' ';
		out[1] = cp;
		return 3;
	default:
		return 1;
	}
}

static void map_chars(enum norm_kind kind, const struct ntext *in, struct ntext *out)
{
	for (size_t i = 0; i < in->s.len;) {
		uint32_t cp, to[3];
		size_t n = char_at(in->s.p + i, &cp);
		int k = map_char(kind, cp, to);
		for (int j = 0; j < k; j++)
			ntext_put_char(out, in, i, i + n, to[j]);
		i += n;
	}
}

static void byte_level(const struct ntext *in, struct ntext *out)
{
	for (size_t i = 0; i < in->s.len;) {
		size_t n = char_len(in->s.p + i);
		for (size_t j = 0; j < n; j++)
			ntext_put_char(out, in, i, i + n, byte_to_char((uint8_t)in->s.p[i + j]));
		i += n;
	}
}

static int run_step(const struct norm_step *s, const struct ntext *in, struct ntext *out,
	struct regex_work *work, struct err *e)
{
	switch (s->kind) {
	case NORM_NFC:
	case NORM_NFD:
	case NORM_NFKC:
	case NORM_NFKD:
		return normalize_unicode(s->kind, in, out, e);
	case NORM_REPLACE:
		return replace(s, in, out, work, e);
	case NORM_PREPEND:
		ntext_put(out, in, 0, 0, s->text, s->len);
		ntext_copy(out, in, 0, in->s.len);
		return 0;
	case NORM_STRIP:
		strip(s, in, out);
		return 0;
	case NORM_CHARSMAP:
		charsmap_run(&s->map, in, out);
		return 0;
	case NORM_BYTE_LEVEL:
		byte_level(in, out);
		return 0;
	default:
		map_chars(s->kind, in, out);
		return 0;
	}
}

int normalizer_run(const struct normalizer *n, struct ntext *t, struct ntext *tmp,
	struct regex_work *work, struct err *e)
{
	for (size_t i = 0; i < n->n && t->s.len; i++) {
		ntext_begin(tmp, t);
		if (run_step(&n->steps[i], t, tmp, work, e) < 0 || buf_ok(&tmp->s, e) < 0 ||
			buf_ok(&tmp->user, e) < 0)
			return -1;
		ntext_swap(t, tmp);
	}
	return 0;
}

size_t normalizer_memory(const struct normalizer *n)
{
	size_t sum = 0;
	for (size_t i = 0; i < n->n; i++)
		sum += n->steps[i].map.n_units * 4 + n->steps[i].map.texts_len;
	return sum;
}
