/* Unigram: the segmentation of a piece with the highest sum of scores (Viterbi), as `tokenizers`
 * does it: doubles, the first of equal paths, unknown characters next to each other become one. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/chars.h"
#include "tokenizer/model.h"

#define UNKNOWN_PENALTY 10.0

struct node { /* the best path that ends here */
	double score;
	uint32_t id;
	uint32_t start; /* of its last token; NO_ID: none ends here */
};

/* --- the trie --- */

struct builder {
	const struct vocab *v;
	struct key {            /* an entry; sorted by content */
		uint64_t begin; /* its first 8 bytes, as a number that sorts alike */
		uint32_t id;
	} * sorted;
	struct trie *t;
	size_t cap;
};

static uint64_t begin_of(const char *p, size_t len)
{
	uint64_t x = 0;
	for (size_t i = 0; i < 8; i++)
		x = x << 8 | (i < len ? (uint8_t)p[i] : 0);
	return x;
}

static int by_content(const void *x, const void *y, void *vocab)
{
	const struct key *a = x, *b = y;
	size_t na, nb;
	if (a->begin != b->begin)
		return a->begin < b->begin ? -1 : 1;
	const char *p = vocab_get(vocab, a->id, &na), *q = vocab_get(vocab, b->id, &nb);
	int c = memcmp(p, q, na < nb ? na : nb);
	if (c == 0)
		c = (na > nb) - (na < nb);
	return c ? c : (a->id > b->id) - (a->id < b->id); /* of equals the last counts */
}

/* Until it is expanded, a node's first and id hold the range of `sorted` below it. */
static int add_node(struct builder *b, uint8_t label, uint32_t lo, uint32_t hi)
{
	struct trie *t = b->t;
	if (t->n == b->cap) {
		size_t want = b->cap + b->cap / 2 + 1024;
		uint32_t *first = realloc(t->first, (want + 1) * sizeof(*first));
		if (first)
			t->first = first;
		uint32_t *id = realloc(t->id, want * sizeof(*id));
		if (id)
			t->id = id;
		uint8_t *l = realloc(t->label, want);
		if (l)
			t->label = l;
		if (!first || !id || !l)
			return -1;
		b->cap = want;
	}
	t->label[t->n] = label;
	t->first[t->n] = lo;
	t->id[t->n++] = hi;
	return 0;
}

/* Give node i its id and its children; what is below it agrees in `depth` bytes. */
static int expand(struct builder *b, size_t i, size_t depth)
{
	uint32_t k = b->t->first[i], hi = b->t->id[i];
	size_t len;
	b->t->first[i] = (uint32_t)b->t->n;
	b->t->id[i] = NO_ID;
	while (k < hi) {
		const char *p = vocab_get(b->v, b->sorted[k].id, &len);
		if (len == depth) {
			b->t->id[i] = b->sorted[k++].id;
			continue;
		}
		uint8_t c = (uint8_t)p[depth];
		uint32_t from = k;
		while (k < hi && (p = vocab_get(b->v, b->sorted[k].id, &len), len > depth) &&
			(uint8_t)p[depth] == c)
			k++;
		if (add_node(b, c, from, k) < 0)
			return -1;
	}
	return 0;
}

int unigram_finish(struct unigram *u, const struct vocab *v, struct err *e)
{
	struct builder b = {.v = v, .t = &u->trie, .sorted = mem_array(v->n, sizeof(struct key))};
	uint32_t n = 0;
	if (!b.sorted)
		return err_nomem(e);
	u->min_score = 0;
	for (uint32_t id = 0; id < v->n; id++)
		if (v->flags[id] & VOCAB_MODEL) {
			if (n == 0 || u->score[id] < u->min_score)
				u->min_score = u->score[id];
			size_t len;
			const char *p = vocab_get(v, id, &len);
			b.sorted[n++] = (struct key){begin_of(p, len), id};
		}
	qsort_r(b.sorted, n, sizeof(*b.sorted), by_content, (void *)(uintptr_t)v);
	int rc = add_node(&b, 0, 0, n);
	size_t depth = 0, level_end = 1; /* nodes lie level by level */
	for (size_t i = 0; rc == 0 && i < b.t->n; i++) {
		if (i == level_end) {
			depth++;
			level_end = b.t->n;
		}
		rc = expand(&b, i, depth);
	}
	if (rc == 0) {
		struct trie *t = b.t;
		t->first[t->n] = (uint32_t)t->n;
		void *first = realloc(t->first, (t->n + 1) * sizeof(*t->first));
		void *id = realloc(t->id, t->n * sizeof(*t->id)), *label = realloc(t->label, t->n);
		t->first = first ? first : t->first;
		t->id = id ? id : t->id;
		t->label = label ? label : t->label;
	}
	free(b.sorted);
	return rc < 0 ? err_nomem(e) : 0;
}

/* The child of node by c, or 0. */
static uint32_t child(const struct trie *t, uint32_t node, uint8_t c)
{
	uint32_t lo = t->first[node], hi = t->first[node + 1];
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (t->label[mid] == c)
			return mid;
		if (t->label[mid] < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

/* --- the best path --- */

static void offer(struct node *to, double score, uint32_t id, size_t start)
{
	if (to->start != NO_ID && !(score > to->score))
		return;
	*to = (struct node){score, id, (uint32_t)start};
}

static int best_path(const struct model *m, const struct vocab *v, const char *p, size_t len,
	bool user, struct node *nodes, struct err *e)
{
	const struct unigram *u = &m->unigram;
	double unknown = u->min_score - UNKNOWN_PENALTY;
	for (size_t i = 0; i <= len; i++)
		nodes[i] = (struct node){0, 0, NO_ID};
	for (size_t i = 0, n; i < len; i += n) {
		double here = nodes[i].score;
		bool single = false;
		uint32_t at = 0;
		n = char_len(p + i);
		for (size_t k = i; k < len && (at = child(&u->trie, at, (uint8_t)p[k])) != 0; k++) {
			uint32_t id = u->trie.id[at];
			if (id == NO_ID || !model_may(v, id, user))
				continue;
			offer(&nodes[k + 1], u->score[id] + here, id, i);
			single |= k + 1 == i + n;
		}
		if (single)
			continue;
		if (m->unk_id == NO_ID)
			return model_unknown(m, v, e);
		offer(&nodes[i + n], unknown + here, m->unk_id, i);
	}
	return 0;
}

/* Text that is the unknown token, or fused from several: perhaps an entry after all, or bytes. */
static int add_unknown(const struct model *m, const struct vocab *v, const char *p, size_t len,
	bool user, struct ids *out, struct err *e)
{
	uint32_t id = vocab_find_model(v, p, len);
	if (id != NO_ID && model_may(v, id, user))
		return ids_add(out, id, e);
	bool all = m->byte_fallback;
	for (size_t i = 0; all && i < len; i++)
		all = m->byte_id[(uint8_t)p[i]] != NO_ID;
	if (!all)
		return ids_add(out, m->unk_id, e);
	for (size_t i = 0; i < len; i++)
		if (ids_add(out, m->byte_id[(uint8_t)p[i]], e) < 0)
			return -1;
	return 0;
}

int unigram_encode(const struct model *m, const struct vocab *v, const char *p, size_t len,
	bool user, struct model_work *w, struct ids *out, struct err *e)
{
	if (len >= INT32_MAX || mem_grow(&w->nodes, &w->cap_nodes, len + 1, sizeof(*w->nodes)) < 0)
		return err_nomem(e);
	struct node *nodes = w->nodes;
	if (best_path(m, v, p, len, user, nodes, e) < 0)
		return -1;
	size_t next = len; /* turn the links around: `start` becomes the end of the token that
			      begins here */
	for (size_t end = len; end > 0;) {
		size_t start = nodes[end].start;
		nodes[end].start = (uint32_t)next;
		next = end;
		end = start;
	}
	nodes[0].start = (uint32_t)next;
	for (size_t at = 0; at < len;) {
		size_t end = nodes[at].start;
		uint32_t id = nodes[end].id;
		if (id != m->unk_id) {
			if (ids_add(out, id, e) < 0)
				return -1;
			at = end;
			continue;
		}
		while (end < len && nodes[nodes[end].start].id == m->unk_id)
			end = nodes[end].start;
		if (add_unknown(m, v, p + at, end - at, user, out, e) < 0)
			return -1;
		at = end;
	}
	return 0;
}
