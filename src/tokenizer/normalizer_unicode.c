/* NFC, NFD, NFKC, NFKD. The text is normalized unit by unit; a unit begins at a character that
 * never joins what is before it, so most units are one character. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"
#include "tokenizer/chars.h"
#include "tokenizer/normalizer.h"

struct unit { /* decomposed */
	int32_t *p;
	size_t *from; /* of each, where the character it comes from begins in the text */
	size_t n, cap, cap_from;
};

static int options(enum norm_kind kind)
{
	return UTF8PROC_STABLE | (kind == NORM_NFKC || kind == NORM_NFKD ? UTF8PROC_COMPAT : 0) |
	       (kind == NORM_NFC || kind == NORM_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
}

/* May cp join the character before it: by reordering, or as the second half of a composition? All
 * such characters are marks or Hangul vowels and finals. */
static bool joins(int32_t cp)
{
	if (cp < 0x300)
		return false;
	utf8proc_category_t c = utf8proc_category(cp);
	return (c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME) ||
	       (cp >= 0x1160 && cp <= 0x11FF) || (cp >= 0xD7B0 && cp <= 0xD7FF) ||
	       utf8proc_get_property(cp)->combining_class != 0;
}

static int class_of(int32_t cp)
{
	return utf8proc_get_property(cp)->combining_class;
}

/* Sort runs of combining marks by their class, keeping the order of equals; by counting, since a
 * run may be long. */
static int reorder(struct unit *u, struct err *e)
{
	size_t start = 0;
	while (start < u->n) {
		size_t end = start, count[257] = {0};
		bool sorted = true;
		for (; end < u->n && class_of(u->p[end]); end++) {
			count[class_of(u->p[end]) + 1]++;
			sorted &= end == start || class_of(u->p[end - 1]) <= class_of(u->p[end]);
		}
		if (!sorted) {
			size_t n = end - start;
			int32_t *copy = mem_array(n, sizeof(*copy));
			size_t *from = mem_array(n, sizeof(*from));
			if (copy && from) {
				memcpy(copy, u->p + start, n * sizeof(*copy));
				memcpy(from, u->from + start, n * sizeof(*from));
			}
			for (int c = 1; c <= 256; c++)
				count[c] += count[c - 1];
			for (size_t i = 0; copy && from && i < n; i++) {
				size_t to = start + count[class_of(copy[i])]++;
				u->p[to] = copy[i];
				u->from[to] = from[i];
			}
			bool ok = copy && from;
			free(copy);
			free(from);
			if (!ok)
				return err_nomem(e);
		}
		start = end + 1;
	}
	return 0;
}

static int decompose(struct unit *u, int32_t cp, size_t at, int opt, struct err *e)
{
	int boundary = 0;
	if (mem_grow(&u->p, &u->cap, u->n + 32, sizeof(*u->p)) < 0 ||
		mem_grow(&u->from, &u->cap_from, u->n + 32, sizeof(*u->from)) < 0)
		return err_nomem(e);
	utf8proc_ssize_t n =
		utf8proc_decompose_char(cp, u->p + u->n, 32, (utf8proc_option_t)opt, &boundary);
	if (n < 0 || n > 32) {
		u->p[u->n] = cp;
		n = 1;
	}
	for (; n > 0; n--)
		u->from[u->n++] = at;
	return 0;
}

/* The text of a unit, in[from..to). What composition leaves alone stays aligned with its character.
 */
static int put_unit(struct unit *u, const struct ntext *in, size_t from, size_t to, int opt,
	struct ntext *out, struct err *e)
{
	if (u->n > 1 && reorder(u, e) < 0)
		return -1;
	utf8proc_ssize_t n = (utf8proc_ssize_t)u->n;
	if (u->n > 1 && (opt & UTF8PROC_COMPOSE))
		n = utf8proc_normalize_utf32(u->p, n, (utf8proc_option_t)opt);
	bool whole = n == (utf8proc_ssize_t)u->n;
	for (utf8proc_ssize_t i = 0; i < n; i++)
		ntext_put_char(out, in, whole ? u->from[i] : from, to, (uint32_t)u->p[i]);
	return 0;
}

int normalize_unicode(enum norm_kind kind, const struct ntext *in, struct ntext *out, struct err *e)
{
	struct unit u = {0};
	int opt = options(kind), rc = 0;
	size_t from = 0, i = 0;
	const char *s = buf_str(&in->s);
	while (rc == 0 && i < in->s.len) {
		uint32_t cp;
		size_t plain = i;
		while (i < in->s.len && !(s[i] & 0x80))
			i++;
		if (i > plain && i < in->s.len)
			i--; /* a mark may follow the last one */
		if (i > plain) {
			ntext_copy(out, in, plain, i);
			continue;
		}
		from = i;
		u.n = 0;
		do {
			size_t before = u.n;
			size_t n = char_at(s + i, &cp);
			if (decompose(&u, (int32_t)cp, i, opt, e) < 0)
				rc = -1;
			else if (before && !joins(u.p[before])) {
				u.n = before;
				break;
			}
			i += n;
		} while (rc == 0 && i < in->s.len);
		if (rc == 0)
			rc = put_unit(&u, in, from, i, opt, out, e);
	}
	free(u.p);
	free(u.from);
	return rc;
}
