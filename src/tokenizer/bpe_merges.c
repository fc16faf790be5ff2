/* The table of merges. A vocabulary has hundreds of thousands; each takes three look-ups by content
 * and one place in the table, all of them far apart in memory. They go in by batches, so that the
 * memory of one is on its way while others are worked on. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/model.h"

#define BATCH (VOCAB_AT_ONCE / 3)
#define BATCH_TEXT 8192
#define MERGE_TEXT (BATCH_TEXT / 2) /* bytes of both halves and the whole */

struct merge_batch {
	size_t n, used;
	uint32_t rank[BATCH];
	const char *text[3 * BATCH]; /* left, right, both; in bytes */
	size_t len[3 * BATCH];
	char bytes[BATCH_TEXT];
};

int bpe_merges_init(struct bpe *b, size_t n, struct err *e)
{
	b->merges_size = n + n / 2 + 64;
	free(b->merges);
	free(b->batch);
	b->merges = mem_array(b->merges_size, sizeof(*b->merges));
	b->batch = mem_array(1, sizeof(*b->batch));
	if (!b->merges || !b->batch)
		return err_nomem(e);
	memset(b->merges, 0xFF, b->merges_size * sizeof(*b->merges));
	b->n_merges = 0;
	return 0;
}

static int insert(
	struct bpe *b, const struct vocab *v, const uint32_t id[3], uint32_t rank, struct err *e)
{
	if (id[0] == NO_ID || id[1] == NO_ID)
		return err_set(e, ERR_FORMAT,
			"%s: merge %u is of a token that is not in the vocabulary", v->path, rank);
	if (id[2] == NO_ID)
		return err_set(e, ERR_FORMAT,
			"%s: merge %u makes a token that is not in the vocabulary", v->path, rank);
	uint64_t pair = (uint64_t)id[0] << 32 | id[1];
	size_t i = bpe_merge_slot(b, pair);
	if (b->merges[i].pair == UINT64_MAX && ++b->n_merges >= b->merges_size)
		return err_set(e, ERR_FORMAT, "%s: more merges than announced", v->path);
	b->merges[i] = (struct merge){pair, rank, id[2]}; /* the last of equal merges counts */
	return 0;
}

static int flush(struct bpe *b, const struct vocab *v, struct err *e)
{
	struct merge_batch *w = b->batch;
	uint32_t ids[3 * BATCH];
	int rc = 0;
	vocab_find_models(v, w->text, w->len, ids, 3 * w->n);
	for (size_t k = 0; k < w->n; k++)
		__builtin_prefetch(&b->merges[bpe_merge_begin(
			b, (uint64_t)ids[3 * k] << 32 | ids[3 * k + 1])]);
	for (size_t k = 0; rc == 0 && k < w->n; k++)
		rc = insert(b, v, ids + 3 * k, w->rank[k], e);
	w->n = w->used = 0;
	return rc;
}

int bpe_merges_add(struct bpe *b, const struct vocab *v, const char *l, size_t nl, const char *r,
	size_t nr, uint32_t rank, struct err *e)
{
	struct merge_batch *w = b->batch;
	size_t skip = b->prefix ? strlen(b->prefix) : 0, need = nl + nr + (nl + nr - skip);
	if (nr < skip || nl > MERGE_TEXT / 4 || nr > MERGE_TEXT / 4)
		return err_set(e, ERR_FORMAT, "%s: merge %u is of a token that can't be one",
			v->path, rank);
	if ((w->n == BATCH || w->used + need > BATCH_TEXT) && flush(b, v, e) < 0)
		return -1;
	char *p = w->bytes + w->used, *both = p + nl + nr;
	memcpy(p, l, nl);
	memcpy(p + nl, r, nr);
	memcpy(both, l, nl);
	memcpy(both + nl, r + skip, nr - skip);
	const char *const text[3] = {p, p + nl, both};
	const size_t len[3] = {nl, nr, nl + nr - skip};
	for (size_t i = 0; i < 3; i++) {
		w->text[3 * w->n + i] = text[i];
		w->len[3 * w->n + i] = len[i];
	}
	w->rank[w->n++] = rank;
	w->used += need;
	return 0;
}

int bpe_merges_end(struct bpe *b, const struct vocab *v, struct err *e)
{
	int rc = flush(b, v, e);
	free(b->batch);
	b->batch = NULL;
	return rc;
}
