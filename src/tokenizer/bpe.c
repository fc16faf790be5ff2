/* Byte-pair encoding of one pre-token: merge the pair of lowest rank, leftmost first, until none is
 * left. A heap over a linked list: n log n for any input. */
#include <stdlib.h>

#include "base/mem.h"
#include "tokenizer/vocab.h"

struct symbol {
	uint32_t id;
	int32_t prev, next; /* -1: none */
};

struct entry { /* a possible merge; stale when the symbols have changed since */
	uint32_t rank, left_id, right_id, id;
	int32_t at;
};

struct heap {
	struct entry *p;
	size_t n, cap;
};

static bool before(const struct entry *a, const struct entry *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static int push(struct heap *h, struct entry x)
{
	if (mem_grow(&h->p, &h->cap, h->n + 1, sizeof(*h->p)) < 0)
		return -1;
	size_t i = h->n++;
	while (i && before(&x, &h->p[(i - 1) / 2])) {
		h->p[i] = h->p[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h->p[i] = x;
	return 0;
}

static struct entry pop(struct heap *h)
{
	struct entry top = h->p[0], x = h->p[--h->n];
	size_t i = 0;
	while (2 * i + 1 < h->n) {
		size_t c = 2 * i + 1;
		c += c + 1 < h->n && before(&h->p[c + 1], &h->p[c]);
		if (!before(&h->p[c], &x))
			break;
		h->p[i] = h->p[c];
		i = c;
	}
	if (h->n)
		h->p[i] = x;
	return top;
}

static int consider(const struct tokenizer *t, struct heap *h, const struct symbol *s, int32_t at)
{
	if (at < 0 || s[at].next < 0)
		return 0;
	uint32_t a = s[at].id, b = s[s[at].next].id;
	const struct merge *m = merges_find(t, a, b);
	return m ? push(h, (struct entry){m->rank, a, b, m->id, at}) : 0;
}

static int merge_all(const struct tokenizer *t, struct symbol *s, struct heap *h)
{
	while (h->n) {
		struct entry x = pop(h);
		struct symbol *l = &s[x.at];
		if (l->id != x.left_id || l->next < 0 || s[l->next].id != x.right_id)
			continue;
		struct symbol *r = &s[l->next];
		l->id = x.id;
		r->id = NO_ID;
		l->next = r->next;
		if (l->next >= 0)
			s[l->next].prev = x.at;
		if (consider(t, h, s, l->prev) < 0 || consider(t, h, s, x.at) < 0)
			return -1;
	}
	return 0;
}

int bpe_word(const struct tokenizer *t, const char *p, size_t len, struct ids *out, struct err *e)
{
	uint32_t whole = len == 1 || t->ignore_merges ? vocab_find(t, p, len) : NO_ID;
	if (whole != NO_ID && !t->special[whole]) /* a user's text never becomes a special token here */
		return ids_add(out, whole, e);
	struct symbol small[64], *s = len <= 64 ? small : mem_array(len, sizeof(*s));
	struct heap h = {0};
	int rc = s ? 0 : err_nomem(e);
	int32_t n = 0; /* a byte that the vocabulary lacks is dropped, as `tokenizers` does */
	for (size_t i = 0; rc == 0 && i < len; i++) {
		uint32_t id = t->byte_id[(uint8_t)p[i]];
		if (id != NO_ID) {
			s[n] = (struct symbol){id, n - 1, n + 1};
			n++;
		}
	}
	if (n)
		s[n - 1].next = -1;
	for (int32_t i = 0; rc == 0 && i + 1 < n; i++)
		if (consider(t, &h, s, i) < 0)
			rc = err_nomem(e);
	if (rc == 0 && merge_all(t, s, &h) < 0)
		rc = err_nomem(e);
	for (int32_t i = 0; rc == 0 && n && i >= 0; i = s[i].next)
		rc = ids_add(out, s[i].id, e);
	free(h.p);
	if (s != small)
		free(s);
	return rc;
}
