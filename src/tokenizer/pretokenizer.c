#include "tokenizer/pretokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/chars.h"

const char pattern_gpt2[] =
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

void pretokenizer_clear(struct pretokenizer *t)
{
	while (t->n)
		regex_free(t->steps[--t->n].re);
}

struct pre_step *pretokenizer_add(struct pretokenizer *t, enum pre_kind kind, struct err *e)
{
	if (t->n == PRE_STEPS) {
		err_set(e, ERR_LIMIT, "more than %d pre-tokenizers", PRE_STEPS);
		return NULL;
	}
	struct pre_step *s = &t->steps[t->n++];
	*s = (struct pre_step){.kind = kind};
	return s;
}

int pretokenizer_add_split(struct pretokenizer *t, const char *pattern, struct err *e)
{
	struct pre_step *s = pretokenizer_add(t, PRE_SPLIT, e);
	if (s)
		s->re = regex_new(pattern, strlen(pattern), false, e);
	return s && s->re ? 0 : -1;
}

int pretokenizer_add_byte_level(
	struct pretokenizer *t, bool prefix_space, bool use_regex, struct err *e)
{
	struct pre_step *s = pretokenizer_add(t, PRE_BYTE_LEVEL, e);
	if (!s)
		return -1;
	s->prefix_space = prefix_space;
	if (use_regex)
		s->re = regex_new(pattern_gpt2, strlen(pattern_gpt2), false, e);
	return !use_regex || s->re ? 0 : -1;
}

/* The scripts of Unicode that are cut by themselves, behind the three that count as one. */
static const char scripts[] =
	"Latn Arab Cyrl Grek Hebr Deva Thai Hang Adlm Aghb Ahom Armi Armn Avst Bali Bamu Bass Batk Beng "
	"Bhks Bopo Brah Brai Bugi Buhd Cakm Cans Cari Cham Cher Chrs Copt Cpmn Cprt Diak Dogr Dsrt Dupl "
	"Egyp Elba Elym Ethi Geor Glag Gong Gonm Goth Gran Gujr Guru Hano Hatr Hluw Hmng Hmnp Hung Ital "
	"Java Kali Khar Khmr Khoj Kits Knda Kthi Lana Laoo Lepc Limb Lina Linb Lisu Lyci Lydi Mahj Maka "
	"Mand Mani Marc Medf Mend Merc Mero Mlym Modi Mong Mroo Mtei Mult Mymr Nand Narb Nbat Newa Nkoo "
	"Nshu Ogam Olck Orkh Orya Osge Osma Ougr Palm Pauc Perm Phag Phli Phlp Phnx Plrd Prti Rjng Rohg "
	"Runr Samr Sarb Saur Sgnw Shaw Shrd Sidd Sind Sinh Sogd Sogo Sora Soyo Sund Sylo Syrc Tagb Takr "
	"Tale Talu Taml Tang Tavt Telu Tfng Tglg Thaa Tibt Tirh Tnsa Toto Ugar Vaii Vith Wara Wcho Xpeo "
	"Xsux Yezi Yiii Zanb Zinh";

#define EAST "\\p{Hani}\\p{Hira}\\p{Kana}\\x{30FC}"
#define NO_SCRIPT " \\p{Zzzz}" /* continues whatever is before it */

/* Runs of one script. What has none in front of everything is dropped, as `tokenizers` does. */
int pretokenizer_add_scripts(struct pretokenizer *t, struct err *e)
{
	struct buf pattern = BUF_INIT;
	buf_puts(&pattern, "[" EAST "][" EAST NO_SCRIPT "]*"
			   "|[\\p{Zyyy}&&[^ \\x{30FC}]][\\p{Zyyy}\\p{Zzzz}&&[^\\x{30FC}]]*");
	for (const char *s = scripts; *s; s += 4 + (s[4] == ' '))
		buf_printf(&pattern, "|\\p{%.4s}[\\p{%.4s}" NO_SCRIPT "]*", s, s);
	struct pre_step *step = pretokenizer_add(t, PRE_SPLIT, e);
	if (step) {
		step->behavior = SPLIT_REMOVED;
		step->invert = true;
		step->re = buf_ok(&pattern, e) == 0 ? regex_new(pattern.p, pattern.len, false, e) : NULL;
	}
	buf_clear(&pattern);
	return step && step->re ? 0 : -1;
}

void pieces_clear(struct pieces *p)
{
	free(p->p);
	*p = (struct pieces){0};
}

static int add(struct pieces *out, size_t start, size_t len, struct err *e)
{
	if (len == 0)
		return 0;
	if (mem_grow(&out->p, &out->cap, out->n + 1, sizeof(*out->p)) < 0)
		return err_nomem(e);
	out->p[out->n++] = (struct piece){start, len};
	return 0;
}

/* --- splitting --- */

struct cutter { /* one split over one piece: matches and what is between them come in order */
	enum split_behavior behavior;
	bool invert;
	struct pieces *out;
	struct err *e;
	bool failed;
	bool was_match; /* the last stretch */
	bool has_last;  /* a piece that may still grow */
	bool open;      /* it is a match that what follows joins (MERGED_NEXT) */
	size_t start, end;
};

static void emit(struct cutter *c)
{
	if (c->has_last && add(c->out, c->start, c->end - c->start, c->e) < 0)
		c->failed = true;
	c->has_last = false;
}

static void stretch(struct cutter *c, size_t start, size_t end, bool match)
{
	bool join = false;
	if (c->invert)
		match = !match;
	if (c->behavior == SPLIT_CONTIGUOUS)
		join = c->has_last && match == c->was_match;
	else if (c->behavior == SPLIT_MERGED_PREVIOUS)
		join = c->has_last && match && !c->was_match;
	else if (c->behavior == SPLIT_MERGED_NEXT)
		join = c->has_last && !match && c->open;
	c->was_match = match;
	c->open = match;
	if (join) {
		c->end = end;
		return;
	}
	emit(c);
	if (c->behavior == SPLIT_REMOVED && match)
		return;
	c->start = start;
	c->end = end;
	c->has_last = true;
}

static int cut_regex(const struct regex *re, struct cutter *c, struct piece in, const char *text,
	struct regex_work *work)
{
	struct regex_iter it;
	size_t start, end, done = 0;
	int rc;
	regex_begin(&it, re, text + in.start, in.len);
	while ((rc = regex_next(&it, work, &start, &end, c->e)) > 0) {
		if (start > done)
			stretch(c, in.start + done, in.start + start, false);
		stretch(c, in.start + start, in.start + end, true);
		done = end;
	}
	if (done < in.len)
		stretch(c, in.start + done, in.start + in.len, false);
	emit(c);
	return rc < 0 || c->failed ? -1 : 0;
}

static bool splits_at(const struct pre_step *s, uint32_t cp)
{
	switch (s->kind) {
	case PRE_DIGITS:
		return char_is_numeric(cp);
	case PRE_PUNCTUATION:
		return char_is_punct(cp);
	case PRE_WHITESPACE_SPLIT:
		return char_is_space(cp);
	default:
		return cp == s->ch;
	}
}

/* Single characters that match. */
static int cut_chars(const struct pre_step *s, struct cutter *c, struct piece in, const char *text)
{
	size_t done = in.start, end = in.start + in.len, n;
	uint32_t cp;
	for (size_t i = in.start; i < end; i += n) {
		n = char_at(text + i, &cp);
		if (!splits_at(s, cp))
			continue;
		if (i > done)
			stretch(c, done, i, false);
		stretch(c, i, i + n, true);
		done = i + n;
	}
	if (done < end)
		stretch(c, done, end, false);
	emit(c);
	return c->failed ? -1 : 0;
}

/* Runs of word characters, runs of others; white space is dropped. */
static int cut_whitespace(struct pieces *out, struct piece in, const char *text, struct err *e)
{
	size_t from = in.start, end = in.start + in.len, n;
	int kind = 0; /* of the run: 0 space, 1 word, 2 other */
	uint32_t cp;
	for (size_t i = in.start; i < end; i += n) {
		n = char_at(text + i, &cp);
		int k = char_is_word(cp) ? 1 : char_is_space(cp) ? 0 : 2;
		if (k == kind)
			continue;
		if (kind && add(out, from, i - from, e) < 0)
			return -1;
		from = i;
		kind = k;
	}
	return kind ? add(out, from, end - from, e) : 0;
}

static int cut_fixed(
	size_t length, struct pieces *out, struct piece in, const char *text, struct err *e)
{
	size_t from = in.start, end = in.start + in.len, count = 0;
	for (size_t i = in.start; i < end; i += char_len(text + i)) {
		if (count++ < length)
			continue;
		if (add(out, from, i - from, e) < 0)
			return -1;
		from = i;
		count = 1;
	}
	return add(out, from, end - from, e);
}

static int cut(const struct pre_step *s, struct piece in, const char *text, struct pieces *out,
	struct regex_work *work, struct err *e)
{
	struct cutter c = {.behavior = s->behavior, .invert = s->invert, .out = out, .e = e};
	switch (s->kind) {
	case PRE_WHITESPACE:
		return cut_whitespace(out, in, text, e);
	case PRE_FIXED:
		return cut_fixed(s->length, out, in, text, e);
	case PRE_METASPACE:
		c.behavior = SPLIT_MERGED_NEXT;
		return s->split ? cut_chars(s, &c, in, text) : add(out, in.start, in.len, e);
	case PRE_SPLIT:
	case PRE_BYTE_LEVEL:
		return s->re ? cut_regex(s->re, &c, in, text, work) : add(out, in.start, in.len, e);
	default:
		return cut_chars(s, &c, in, text);
	}
}

static int cut_all(const struct pre_step *s, const struct ntext *t, struct pieces *pieces,
	struct pieces *spare, struct regex_work *work, struct err *e)
{
	int rc = 0;
	spare->n = 0;
	for (size_t i = 0; rc == 0 && i < pieces->n; i++)
		rc = cut(s, pieces->p[i], buf_str(&t->s), spare, work, e);
	struct pieces swap = *pieces;
	*pieces = *spare;
	*spare = swap;
	return rc;
}

/* --- rewriting --- */

/* Spaces become the replacement; it is put in front where the scheme says so. */
static void metaspace(
	const struct pre_step *s, const struct ntext *in, struct piece *p, struct ntext *out)
{
	char mark[4];
	size_t n = utf8_encode(s->ch, mark), start = out->s.len, end = p->start + p->len;
	const char *text = in->s.p + p->start;
	bool has = *text == ' ' || (p->len >= n && !memcmp(text, mark, n));
	if (!has && (s->prepend == PREPEND_ALWAYS ||
			    (s->prepend == PREPEND_FIRST && p->start < in->zero)))
		ntext_put(out, in, p->start, p->start, mark, n);
	for (size_t i = p->start; i < end;) {
		const char *space = memchr(in->s.p + i, ' ', end - i);
		size_t to = space ? (size_t)(space - in->s.p) : end;
		ntext_copy(out, in, i, to);
		if (space)
			ntext_put(out, in, to, to + 1, mark, n);
		i = to + (space != NULL);
	}
	*p = (struct piece){start, out->s.len - start};
}

static void prefix_space(
	const struct pre_step *s, const struct ntext *in, struct piece *p, struct ntext *out)
{
	size_t start = out->s.len;
	(void)s;
	if (in->s.p[p->start] != ' ')
		ntext_put(out, in, p->start, p->start, " ", 1);
	ntext_copy(out, in, p->start, p->start + p->len);
	*p = (struct piece){start, out->s.len - start};
}

static void to_bytes(
	const struct pre_step *s, const struct ntext *in, struct piece *p, struct ntext *out)
{
	size_t start = out->s.len;
	(void)s;
	size_t zero = in->zero > p->start ? in->zero - p->start : 0;
	if (zero > p->len)
		zero = p->len;
	bytes_to_chars(in->s.p + p->start, zero, &out->s);
	if (zero)
		out->zero = out->s.len;
	bytes_to_chars(in->s.p + p->start + zero, p->len - zero, &out->s);
	*p = (struct piece){start, out->s.len - start};
}

static int rewrite(const struct pre_step *s, struct ntext *t, struct ntext *tmp,
	struct pieces *pieces,
	void (*one)(const struct pre_step *, const struct ntext *, struct piece *, struct ntext *),
	struct err *e)
{
	ntext_begin(tmp, t);
	for (size_t i = 0; i < pieces->n; i++)
		one(s, t, &pieces->p[i], tmp);
	ntext_swap(t, tmp);
	return buf_ok(&t->s, e);
}

int pretokenizer_run(const struct pretokenizer *t, struct ntext *text, struct ntext *tmp,
	struct pieces *pieces, struct pieces *spare, struct regex_work *work, struct err *e)
{
	pieces->n = 0;
	int rc = add(pieces, 0, text->s.len, e);
	for (size_t i = 0; rc == 0 && i < t->n; i++) {
		const struct pre_step *s = &t->steps[i];
		if (s->kind == PRE_METASPACE)
			rc = rewrite(s, text, tmp, pieces, metaspace, e);
		else if (s->kind == PRE_BYTE_LEVEL && s->prefix_space)
			rc = rewrite(s, text, tmp, pieces, prefix_space, e);
		if (rc == 0)
			rc = cut_all(s, text, pieces, spare, work, e);
		if (rc == 0 && s->kind == PRE_BYTE_LEVEL)
			rc = rewrite(s, text, tmp, pieces, to_bytes, e);
	}
	return rc;
}
