#include "tokenizer/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void model_clear(struct model *m)
{
	free(m->unk);
	free(m->bpe.merges);
	free(m->bpe.batch);
	free(m->bpe.ranks);
	free(m->bpe.prefix);
	free(m->bpe.suffix);
	free(m->unigram.trie.first);
	free(m->unigram.trie.id);
	free(m->unigram.trie.label);
	free(m->unigram.score);
	*m = (struct model){0};
}

void model_work_clear(struct model_work *w)
{
	free(w->symbols);
	free(w->heap);
	free(w->nodes);
	buf_clear(&w->text);
	*w = (struct model_work){0};
}

int model_finish(struct model *m, const struct vocab *v, struct err *e)
{
	char s[8];
	m->unk_id = m->unk ? vocab_find_model(v, m->unk, strlen(m->unk)) : NO_ID;
	for (unsigned b = 0; b < 256; b++) {
		int n = snprintf(s, sizeof(s), "<0x%02X>", b);
		m->byte_id[b] = vocab_find_model(v, s, (size_t)n);
	}
	for (uint32_t cp = 0; cp < 1024; cp++)
		m->bpe.char_id[cp] = vocab_find_model(v, s, utf8_encode(cp, s));
	return m->kind == MODEL_UNIGRAM ? unigram_finish(&m->unigram, v, e) : 0;
}

int model_unknown(const struct model *m, const struct vocab *v, struct err *e)
{
	if (!m->unk)
		return err_set(e, ERR_FORMAT,
			"%s: the text holds what no token stands for, and there is no "
			"unknown token",
			v->path);
	return err_set(e, ERR_FORMAT, "%s: the unknown token \"%.60s\" is not in the vocabulary",
		v->path, m->unk);
}

static int word_level(const struct model *m, const struct vocab *v, const char *p, size_t len,
	bool user, struct ids *out, struct err *e)
{
	uint32_t id = vocab_find_model(v, p, len);
	if (id == NO_ID || !model_may(v, id, user))
		id = m->unk_id;
	return id == NO_ID ? model_unknown(m, v, e) : ids_add(out, id, e);
}

int model_encode(const struct model *m, const struct vocab *v, const char *p, size_t len, bool user,
	struct model_work *w, struct ids *out, struct err *e)
{
	switch (m->kind) {
	case MODEL_BPE:
		return bpe_encode(m, v, p, len, user, w, out, e);
	case MODEL_UNIGRAM:
		return unigram_encode(m, v, p, len, user, w, out, e);
	case MODEL_WORDPIECE:
		return wordpiece_encode(m, v, p, len, user, w, out, e);
	default:
		return word_level(m, v, p, len, user, out, e);
	}
}

size_t model_memory(const struct model *m, const struct vocab *v)
{
	size_t sum = m->bpe.merges_size * sizeof(*m->bpe.merges);
	if (m->bpe.ranks)
		sum += v->n * sizeof(*m->bpe.ranks);
	if (m->unigram.score)
		sum += v->n * sizeof(*m->unigram.score);
	return sum + m->unigram.trie.n * (2 * sizeof(uint32_t) + 1);
}
