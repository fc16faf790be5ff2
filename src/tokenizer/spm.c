#include "tokenizer/spm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define MARK "\xE2\x96\x81" /* U+2581, for a space */

int spm_piece(struct tokenizer *t, uint32_t id, const char *p, size_t len, int type, double score,
	size_t *cap, struct err *e)
{
	struct unigram *u = &t->model.unigram;
	struct buf valid = BUF_INIT;
	if (id >= VOCAB_ID_LIMIT || mem_grow(&u->score, cap, id + 1, sizeof(*u->score)) < 0)
		return err_nomem(e);
	u->score[id] = isfinite(score) ? score : 0;
	utf8_append_valid(&valid, p, len);
	int rc = buf_ok(&valid, e);
	if (rc == 0)
		rc = vocab_set(&t->vocab, id, buf_str(&valid), valid.len, VOCAB_MODEL, e);
	if (rc == 0 && (type == SPM_UNKNOWN || type == SPM_CONTROL || type == SPM_USER_DEFINED)) {
		const struct added a = {.id = id,
			.content = valid.p,
			.len = valid.len,
			.special = type != SPM_USER_DEFINED};
		rc = added_add(&t->added, &a, e);
	}
	if (rc == 0 && type == SPM_UNKNOWN && !t->model.unk) {
		t->model.unk = strndup(buf_str(&valid), valid.len);
		rc = t->model.unk ? 0 : err_nomem(e);
	}
	buf_clear(&valid);
	return rc;
}

static int add_replace(
	struct normalizer *n, const char *from, bool literal, const char *to, struct err *e)
{
	struct norm_step *s = normalizer_add_text(n, NORM_REPLACE, to, strlen(to), e);
	if (s)
		s->re = regex_new(from, strlen(from), literal, e);
	return s && s->re ? 0 : -1;
}

static int add_metaspace(struct tokenizer *t, enum prepend_scheme scheme, bool split, struct err *e)
{
	struct pre_step *s = pretokenizer_add(&t->pre, PRE_METASPACE, e);
	if (!s)
		return -1;
	s->prepend = scheme;
	s->split = split;
	s->ch = 0x2581;
	return 0;
}

static int add_normalizers(struct tokenizer *t, const struct spm_options *o, struct err *e)
{
	struct normalizer *n = &t->normalizer;
	if (o->charsmap_len && normalizer_add_charsmap(n, o->charsmap, o->charsmap_len, e) < 0)
		return -1;
	if (o->trim && (add_replace(n, " {2,}", false, " ", e) < 0 ||
			       add_replace(n, "\\A | \\z", false, "", e) < 0))
		return -1;
	if (!o->prefix_everywhere)
		return 0;
	if (o->prefix_space && !normalizer_add_text(n, NORM_PREPEND, MARK, strlen(MARK), e))
		return -1;
	return add_replace(n, " ", true, MARK, e);
}

/* As `tokenizers` files of such models have it. */
int spm_pipeline(struct tokenizer *t, const struct spm_options *o, struct err *e)
{
	t->model.kind = o->unigram ? MODEL_UNIGRAM : MODEL_BPE;
	t->model.bpe.fuse_unk = true;
	t->model.byte_fallback = true; /* where there are bytes */
	if (add_normalizers(t, o, e) < 0)
		return -1;
	enum prepend_scheme scheme = !o->prefix_space ? PREPEND_NEVER
				     : o->unigram || o->trim ? PREPEND_ALWAYS /* the first character may be trimmed */
							     : PREPEND_FIRST;
	if (!o->prefix_everywhere && add_metaspace(t, scheme, o->unigram, e) < 0)
		return -1;
	if (decoder_add_replace(&t->decoder, MARK, " ", e) < 0 ||
		!decoder_add(&t->decoder, DEC_BYTE_FALLBACK, e) ||
		!decoder_add(&t->decoder, DEC_FUSE, e))
		return -1;
	struct dec_step *strip = o->prefix_space ? decoder_add(&t->decoder, DEC_STRIP, e) : NULL;
	if (strip) {
		strip->ch = ' ';
		strip->start = 1;
	}
	return o->prefix_space && !strip ? -1 : 0;
}

static int by_score(const void *x, const void *y, void *scores)
{
	const double *s = scores;
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	if (s[a] != s[b])
		return s[a] > s[b] ? -1 : 1;
	return (a > b) - (a < b);
}

int spm_ranks(struct tokenizer *t, struct err *e)
{
	struct bpe *b = &t->model.bpe;
	const struct vocab *v = &t->vocab;
	uint32_t *order = mem_array(v->n, sizeof(*order)), n = 0;
	b->ranks = mem_array(v->n, sizeof(*b->ranks));
	if (!order || !b->ranks) {
		free(order);
		return err_nomem(e);
	}
	for (uint32_t id = 0; id < v->n; id++) {
		b->ranks[id] = NO_ID;
		if ((v->flags[id] & VOCAB_MODEL) && !(v->flags[id] & VOCAB_SPECIAL))
			order[n++] = id;
	}
	qsort_r(order, n, sizeof(*order), by_score, t->model.unigram.score);
	for (uint32_t i = 0; i < n; i++)
		b->ranks[order[i]] = i;
	free(order);
	free(t->model.unigram.score);
	t->model.unigram.score = NULL;
	return 0;
}
