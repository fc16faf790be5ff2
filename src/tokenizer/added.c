/* Matching is leftmost-longest over a sorted list: the range of entries that agree with the text so
 * far is narrowed byte by byte. */
#include "tokenizer/added.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/chars.h"

/* What is looked for. */
static const char *pattern(const struct added *a, size_t *len)
{
	*len = a->normal ? a->normal_len : a->len;
	return a->normal ? a->normal : a->content;
}

void added_clear(struct added_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->p[i].content);
		free(l->p[i].normal);
	}
	free(l->p);
	free(l->raw.sorted);
	free(l->normal.sorted);
	*l = (struct added_list){0};
}

int added_add(struct added_list *l, const struct added *a, struct err *e)
{
	if (a->len == 0)
		return 0;
	if (l->n >= VOCAB_ID_LIMIT || mem_grow(&l->p, &l->cap, l->n + 1, sizeof(*l->p)) < 0)
		return err_nomem(e);
	struct added *copy = &l->p[l->n];
	*copy = *a;
	copy->normal = NULL;
	copy->content = malloc(a->len + 1);
	if (!copy->content)
		return err_nomem(e);
	memcpy(copy->content, a->content, a->len);
	copy->content[a->len] = '\0';
	l->n++;
	return 0;
}

static int by_pattern(const void *x, const void *y, void *list)
{
	const struct added *p = ((const struct added_list *)list)->p;
	uint32_t i = *(const uint32_t *)x, j = *(const uint32_t *)y;
	size_t na, nb;
	const char *a = pattern(&p[i], &na), *b = pattern(&p[j], &nb);
	int c = memcmp(a, b, na < nb ? na : nb);
	if (c == 0)
		c = (na > nb) - (na < nb);
	return c ? c : (i < j) - (i > j); /* of equals the last comes first, and counts */
}

int added_unique(struct added_list *l, struct err *e)
{
	size_t n = 0;
	uint32_t *order = mem_array(l->n, sizeof(*order));
	if (!order)
		return err_nomem(e);
	for (size_t i = 0; i < l->n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, l->n, sizeof(*order), by_pattern, l);
	for (size_t i = l->n;
		i-- > 1;) { /* from the end, so that what is compared is still whole */
		const struct added *a = &l->p[order[i - 1]];
		struct added *b = &l->p[order[i]];
		if (a->len == b->len && !memcmp(a->content, b->content, a->len))
			b->len = 0;
	}
	free(order);
	for (size_t i = 0; i < l->n; i++) {
		if (l->p[i].len)
			l->p[n++] = l->p[i];
		else
			free(l->p[i].content);
	}
	l->n = n;
	return 0;
}

static int index_set(struct added_list *l, struct added_set *set, bool normalized, struct err *e)
{
	free(set->sorted);
	*set = (struct added_set){.sorted = mem_array(l->n, sizeof(*set->sorted))};
	if (!set->sorted)
		return err_nomem(e);
	for (size_t i = 0; i < l->n; i++) {
		size_t len;
		const char *p = pattern(&l->p[i], &len);
		if (l->p[i].normalized != normalized || len == 0)
			continue;
		set->sorted[set->n++] = (uint32_t)i;
		set->first[(uint8_t)*p] = true;
	}
	qsort_r(set->sorted, set->n, sizeof(*set->sorted), by_pattern, l);
	return 0;
}

int added_index(struct added_list *l, struct err *e)
{
	return index_set(l, &l->raw, false, e) < 0 ? -1 : index_set(l, &l->normal, true, e);
}

/* The first entry of sorted[lo..hi), which agree in `depth` bytes, whose next byte is >= c. */
static size_t lower(const struct added_list *l, const struct added_set *set, size_t lo, size_t hi,
	size_t depth, int c)
{
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2, len;
		const char *p = pattern(&l->p[set->sorted[mid]], &len);
		if ((len > depth ? (int)(uint8_t)p[depth] : -1) < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool any_user(const char *user, size_t start, size_t end)
{
	return user && memchr(user + start, 1, end - start) != NULL;
}

/* The longest token at pos that may be there. */
static const struct added *longest_at(const struct added_list *l, const struct added_set *set,
	const char *text, size_t len, size_t pos, const char *user)
{
	const struct added *best = NULL;
	size_t lo = 0, hi = set->n, n;
	for (size_t depth = 0; lo < hi && pos + depth < len; depth++) {
		int c = (uint8_t)text[pos + depth];
		lo = lower(l, set, lo, hi, depth, c);
		hi = lower(l, set, lo, hi, depth, c + 1);
		if (lo == hi)
			break;
		const struct added *a = &l->p[set->sorted[lo]]; /* the shortest comes first */
		pattern(a, &n);
		if (n == depth + 1 && !(a->special && any_user(user, pos, pos + n)))
			best = a;
	}
	return best;
}

static bool word_beside(const char *text, size_t len, size_t start, size_t end)
{
	uint32_t cp;
	if (start > 0) {
		char_at(text + char_before(text, 0, start), &cp);
		if (char_is_word(cp))
			return true;
	}
	if (end < len) {
		char_at(text + end, &cp);
		return char_is_word(cp);
	}
	return false;
}

static size_t space_before(const char *text, size_t from, size_t end)
{
	uint32_t cp;
	while (end > from) {
		size_t i = char_before(text, from, end);
		char_at(text + i, &cp);
		if (!char_is_space(cp))
			break;
		end = i;
	}
	return end;
}

/* The end of the white space at pos. What is known of a run is kept: tokens may be white space. */
static size_t space_after(const char *text, size_t len, size_t pos, struct added_walk *w)
{
	uint32_t cp;
	if (pos < w->space_end)
		return w->space_end;
	while (pos < len) {
		size_t n = char_at(text + pos, &cp);
		if (!char_is_space(cp))
			break;
		pos += n;
	}
	w->space_end = pos;
	return pos;
}

bool added_next(const struct added_list *l, const struct added_set *set, const char *text,
	size_t len, const char *user, struct added_walk *w, struct added_hit *out)
{
	if (w->has_next) {
		w->has_next = false;
		*out = w->next;
		return true;
	}
	while (set->n && w->pos < len) {
		if (!set->first[(uint8_t)text[w->pos]]) {
			w->pos++;
			continue;
		}
		const struct added *a = longest_at(l, set, text, len, w->pos, user);
		size_t n, start = w->pos;
		if (!a) {
			w->pos++;
			continue;
		}
		pattern(a, &n);
		w->pos += n; /* also when the match is refused: what it covers is not looked at
				again */
		if (a->single_word && word_beside(text, len, start, w->pos))
			continue;
		struct added_hit hit = {start, w->pos, a};
		if (a->lstrip)
			hit.start = start > w->done ? space_before(text, w->done, start) : w->done;
		if (a->rstrip)
			hit.end = space_after(text, len, w->pos, w);
		if (hit.start >= hit.end) /* in white space that the token before has taken */
			continue;
		bool text_first = w->done < hit.start;
		*out = text_first ? (struct added_hit){w->done, hit.start, NULL} : hit;
		w->next = hit;
		w->has_next = text_first;
		w->done = hit.end;
		return true;
	}
	if (w->done >= len)
		return false;
	*out = (struct added_hit){w->done, len, NULL};
	w->done = len;
	return true;
}
