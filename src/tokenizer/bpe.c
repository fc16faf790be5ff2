/* Byte-pair encoding of one piece: merge the pair of lowest rank, leftmost first, until none is
 * left. Short pieces by looking for the lowest rank again and again; long ones with a heap over a
 * linked list, n log n for any text. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/chars.h"
#include "tokenizer/model.h"

#define SHORT 24

struct symbol {
	uint32_t id;
	int32_t prev, next;  /* -1: none */
	uint32_t start, len; /* in the piece; len 0: an unknown or a byte, no text of its own */
};

struct heap_entry { /* a possible merge; stale when the symbols have changed since */
	uint32_t rank, id;
	int32_t at;
};

struct word {
	const struct model *m;
	const struct vocab *v;
	const char *p;
	struct model_work *w;
	struct symbol *s;
	int32_t n;
	bool user;
};

/* Can these neighbours merge? Fills rank and id. */
static bool find_merge(const struct word *w, const struct symbol *l, const struct symbol *r,
	uint32_t *rank, uint32_t *id)
{
	const struct bpe *b = &w->m->bpe;
	if (!b->ranks) {
		if (!b->merges_size)
			return false;
		const struct merge *m = &b->merges[bpe_merge_slot(b, (uint64_t)l->id << 32 | r->id)];
		*rank = m->rank;
		*id = m->id;
		return m->pair != UINT64_MAX && model_may(w->v, m->id, w->user);
	}
	if (!l->len || !r->len)
		return false;
	*id = vocab_find_model(w->v, w->p + l->start, l->len + r->len);
	if (*id == NO_ID || b->ranks[*id] == NO_ID)
		return false;
	*rank = b->ranks[*id];
	return true;
}

/* --- words --- */

#define MARK "\xE2\x96\x81" /* U+2581, which stands for a space */

/* Where the first mark behind something else is, or len. */
static size_t next_mark(const char *p, size_t len)
{
	for (size_t at = 0; at < len;) {
		const char *hit = memmem(p + at, len - at, MARK, 3);
		if (!hit)
			break;
		size_t i = (size_t)(hit - p);
		if (i && (i < 3 || memcmp(p + i - 3, MARK, 3) != 0))
			return i;
		at = i + 3;
	}
	return len;
}

/* A vocabulary of SentencePiece has marks only at the beginning of its entries. Then no merge,
 * which makes an entry, reaches over one; and the mark being an entry, no unknown does. */
void bpe_finish(struct model *m, const struct vocab *v)
{
	struct bpe *b = &m->bpe;
	b->cut_at_marks = m->kind == MODEL_BPE && !b->prefix && !b->suffix && !b->ignore_merges &&
			  vocab_find_model(v, MARK, 3) != NO_ID;
	for (uint32_t id = 0; b->cut_at_marks && id < v->n; id++) {
		size_t len;
		const char *p = vocab_get(v, id, &len);
		if (p && (v->flags[id] & VOCAB_MODEL) && next_mark(p, len) < len)
			b->cut_at_marks = false;
	}
}

size_t bpe_cut(const struct bpe *b, const char *p, size_t len)
{
	return b->cut_at_marks ? next_mark(p, len) : len;
}

/* --- the symbols a piece begins as --- */

static uint32_t find_char(
	const struct word *w, size_t at, size_t n, uint32_t cp, bool first, bool last)
{
	const struct bpe *b = &w->m->bpe;
	const char *prefix = first ? NULL : b->prefix, *suffix = last ? b->suffix : NULL;
	if (!prefix && !suffix)
		return cp < 1024 ? b->char_id[cp] : vocab_find_model(w->v, w->p + at, n);
	struct buf *t = &w->w->text;
	buf_reset(t);
	buf_puts(t, prefix ? prefix : "");
	buf_add(t, w->p + at, n);
	buf_puts(t, suffix ? suffix : "");
	return vocab_find_model(w->v, buf_str(t), t->len);
}

static void push(struct word *w, uint32_t id, size_t start, size_t len)
{
	w->s[w->n] = (struct symbol){id, w->n - 1, w->n + 1, (uint32_t)start, (uint32_t)len};
	w->n++;
}

/* A character that is no entry: its bytes, if all of them are, prefix and suffix included. */
static bool push_bytes(struct word *w, size_t at, size_t n, bool first, bool last)
{
	const struct bpe *b = &w->m->bpe;
	const char *p = w->p + at;
	if ((!first && b->prefix) || (last && b->suffix)) { /* find_char left the whole in text */
		p = buf_str(&w->w->text);
		n = w->w->text.len;
	}
	for (size_t i = 0; i < n; i++)
		if (w->m->byte_id[(uint8_t)p[i]] == NO_ID)
			return false;
	for (size_t i = 0; i < n; i++)
		push(w, w->m->byte_id[(uint8_t)p[i]], 0, 0);
	return true;
}

static int begin(struct word *w, size_t len, struct err *e)
{
	const struct model *m = w->m;
	bool unknown = false; /* one is due: it comes before the next known character */
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t cp;
		n = char_at(w->p + i, &cp);
		bool first = i == 0, last = i + n == len;
		uint32_t id = find_char(w, i, n, cp, first, last);
		if (id != NO_ID) {
			if (unknown)
				push(w, m->unk_id, 0, 0);
			unknown = false;
			push(w, id, i, n);
			continue;
		}
		if ((m->byte_fallback && push_bytes(w, i, n, first, last)) || !m->unk)
			continue; /* with neither bytes nor an unknown token it is dropped */
		if (m->unk_id == NO_ID)
			return model_unknown(m, w->v, e);
		if (unknown && !m->bpe.fuse_unk)
			push(w, m->unk_id, 0, 0);
		unknown = true;
	}
	if (unknown)
		push(w, m->unk_id, 0, 0);
	if (w->n)
		w->s[w->n - 1].next = -1;
	return 0;
}

/* --- merging a short piece --- */

static void merge_short(struct word *w)
{
	uint32_t rank[SHORT], id[SHORT];
	struct symbol *s = w->s;
	int32_t n = w->n;
	for (int32_t i = 0; i + 1 < n; i++)
		if (!find_merge(w, &s[i], &s[i + 1], &rank[i], &id[i]))
			rank[i] = NO_ID;
	for (;;) {
		int32_t best = 0;
		for (int32_t i = 1; i + 1 < n; i++)
			best = rank[i] < rank[best] ? i : best;
		if (n < 2 || rank[best] == NO_ID)
			break;
		s[best].id = id[best];
		s[best].len += s[best + 1].len;
		n--;
		for (int32_t i = best + 1; i < n; i++)
			s[i] = s[i + 1];
		for (int32_t i = best; i + 1 < n; i++) {
			rank[i] = rank[i + 1];
			id[i] = id[i + 1];
		}
		for (int32_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++)
			if (!find_merge(w, &s[i], &s[i + 1], &rank[i], &id[i]))
				rank[i] = NO_ID;
	}
	for (int32_t i = 0; i < n; i++)
		s[i].next = i + 1 < n ? i + 1 : -1;
	w->n = n;
}

/* --- merging a long piece --- */

static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static int heap_push(struct model_work *h, struct heap_entry x)
{
	if (mem_grow(&h->heap, &h->cap_heap, h->n_heap + 1, sizeof(*h->heap)) < 0)
		return -1;
	size_t i = h->n_heap++;
	while (i && before(&x, &h->heap[(i - 1) / 2])) {
		h->heap[i] = h->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h->heap[i] = x;
	return 0;
}

static struct heap_entry heap_pop(struct model_work *h)
{
	struct heap_entry top = h->heap[0], x = h->heap[--h->n_heap];
	size_t i = 0;
	while (2 * i + 1 < h->n_heap) {
		size_t c = 2 * i + 1;
		c += c + 1 < h->n_heap && before(&h->heap[c + 1], &h->heap[c]);
		if (!before(&h->heap[c], &x))
			break;
		h->heap[i] = h->heap[c];
		i = c;
	}
	if (h->n_heap)
		h->heap[i] = x;
	return top;
}

static int consider(struct word *w, int32_t at)
{
	uint32_t rank, id;
	struct symbol *s = w->s;
	if (at < 0 || s[at].next < 0 || !find_merge(w, &s[at], &s[s[at].next], &rank, &id))
		return 0;
	return heap_push(w->w, (struct heap_entry){rank, id, at});
}

static int merge_long(struct word *w)
{
	struct symbol *s = w->s;
	w->w->n_heap = 0;
	for (int32_t i = 0; i + 1 < w->n; i++)
		if (consider(w, i) < 0)
			return -1;
	while (w->w->n_heap) {
		struct heap_entry x = heap_pop(w->w);
		struct symbol *l = &s[x.at];
		uint32_t rank, id;
		if (l->id == NO_ID || l->next < 0 || !find_merge(w, l, &s[l->next], &rank, &id) ||
			id != x.id) /* merged away, or its neighbours have changed */
			continue;
		struct symbol *r = &s[l->next];
		l->id = x.id;
		l->len += r->len;
		l->next = r->next;
		r->id = NO_ID;
		if (l->next >= 0)
			s[l->next].prev = x.at;
		if (consider(w, l->prev) < 0 || consider(w, x.at) < 0)
			return -1;
	}
	return 0;
}

int bpe_encode(const struct model *m, const struct vocab *v, const char *p, size_t len, bool user,
	struct model_work *work, struct ids *out, struct err *e)
{
	if (m->bpe.ignore_merges) {
		uint32_t whole = vocab_find_model(v, p, len);
		if (whole != NO_ID && model_may(v, whole, user))
			return ids_add(out, whole, e);
	}
	size_t room = len + 1;
	if (m->bpe.prefix || m->bpe.suffix) /* their bytes may be counted with each character's */
		room += len * (m->bpe.prefix ? strlen(m->bpe.prefix) : 0) +
			(m->bpe.suffix ? strlen(m->bpe.suffix) : 0);
	if (room >= INT32_MAX ||
		mem_grow(&work->symbols, &work->cap_symbols, room, sizeof(*work->symbols)) < 0)
		return err_nomem(e);
	struct word w = {m, v, p, work, work->symbols, 0, user};
	if (begin(&w, len, e) < 0)
		return -1;
	if (w.n <= SHORT)
		merge_short(&w);
	else if (merge_long(&w) < 0)
		return err_nomem(e);
	for (int32_t i = w.n ? 0 : -1; i >= 0; i = w.s[i].next)
		if (ids_add(out, w.s[i].id, e) < 0)
			return -1;
	return 0;
}
