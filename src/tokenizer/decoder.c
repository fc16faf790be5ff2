#include "tokenizer/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/chars.h"

#define REPLACEMENT "\xEF\xBF\xBD"

void decoder_clear(struct decoder *d)
{
	for (size_t i = 0; i < d->n; i++) {
		regex_free(d->steps[i].re);
		free(d->steps[i].text);
		free(d->steps[i].delimiter);
	}
	*d = (struct decoder){0};
}

struct dec_step *decoder_add(struct decoder *d, enum dec_kind kind, struct err *e)
{
	if (d->n == DEC_STEPS) {
		err_set(e, ERR_LIMIT, "more than %d decoders", DEC_STEPS);
		return NULL;
	}
	struct dec_step *s = &d->steps[d->n++];
	*s = (struct dec_step){.kind = kind};
	return s;
}

struct dec_step *decoder_add_text(
	struct decoder *d, enum dec_kind kind, const char *text, size_t len, struct err *e)
{
	struct dec_step *s = decoder_add(d, kind, e);
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

int decoder_add_replace(struct decoder *d, const char *from, const char *to, struct err *e)
{
	struct dec_step *s = decoder_add_text(d, DEC_REPLACE, to, strlen(to), e);
	if (s)
		s->re = regex_new(from, strlen(from), true, e);
	return s && s->re ? 0 : -1;
}

void tokens_clear(struct tokens *t)
{
	buf_clear(&t->bytes);
	free(t->end);
	*t = (struct tokens){0};
}

static void tokens_reset(struct tokens *t)
{
	buf_reset(&t->bytes);
	t->n = 0;
}

int tokens_end(struct tokens *t, struct err *e)
{
	if (mem_grow(&t->end, &t->cap, t->n + 1, sizeof(*t->end)) < 0)
		return err_nomem(e);
	t->end[t->n++] = t->bytes.len;
	return buf_ok(&t->bytes, e);
}

static const char *token(const struct tokens *t, size_t i, size_t *len)
{
	size_t start = i ? t->end[i - 1] : 0;
	*len = t->end[i] - start;
	return buf_str(&t->bytes) + start;
}

/* Stand-ins become bytes; a token that holds another character stays as it is. All tokens at once,
 * since a character may be spread over several. */
static int byte_level(const struct tokens *in, struct tokens *out, struct err *e)
{
	struct buf raw = BUF_INIT;
	for (size_t i = 0; i < in->n; i++) {
		size_t len, before = raw.len;
		const char *p = token(in, i, &len);
		for (size_t k = 0; k < len;) {
			uint32_t cp;
			k += char_at(p + k, &cp);
			int b = char_to_byte(cp);
			if (b < 0) {
				buf_cut(&raw, before);
				buf_add(&raw, p, len);
				break;
			}
			buf_addc(&raw, (char)b);
		}
	}
	utf8_append_valid(&out->bytes, buf_str(&raw), raw.len);
	int rc = buf_ok(&raw, e);
	buf_clear(&raw);
	return rc < 0 ? -1 : tokens_end(out, e);
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* A run of bytes: one token if it is valid, else as many replacement characters as bytes. */
static int flush_bytes(struct buf *run, struct tokens *out, struct err *e)
{
	int rc = 0;
	if (run->len && utf8_valid(run->p, run->len)) {
		buf_add(&out->bytes, run->p, run->len);
		rc = tokens_end(out, e);
	} else {
		for (size_t i = 0; rc == 0 && i < run->len; i++) {
			buf_puts(&out->bytes, REPLACEMENT);
			rc = tokens_end(out, e);
		}
	}
	buf_reset(run);
	return rc;
}

static int byte_fallback(const struct tokens *in, struct tokens *out, struct err *e)
{
	struct buf run = BUF_INIT;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < in->n; i++) {
		size_t len;
		const char *p = token(in, i, &len);
		bool is_byte = len == 6 && !memcmp(p, "<0x", 3) && p[5] == '>';
		if (is_byte && hex(p[4]) >= 0 && (hex(p[3]) >= 0 || p[3] == '+')) {
			buf_addc(&run, (char)((p[3] == '+' ? 0 : hex(p[3])) << 4 | hex(p[4])));
			continue;
		}
		rc = flush_bytes(&run, out, e);
		buf_add(&out->bytes, p, len);
		if (rc == 0)
			rc = tokens_end(out, e);
	}
	if (rc == 0)
		rc = flush_bytes(&run, out, e);
	buf_clear(&run);
	return rc;
}

static void metaspace(
	const struct dec_step *s, const char *p, size_t len, bool first, struct buf *out)
{
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t cp;
		n = char_at(p + i, &cp);
		if (cp != s->ch)
			buf_add(out, p + i, n);
		else if (!first || !s->flag)
			buf_addc(out, ' ');
	}
}

static void strip(const struct dec_step *s, const char *p, size_t len, struct buf *out)
{
	size_t from = 0, to = len;
	uint32_t cp;
	for (size_t i = 0; i < s->start && from < len; i++) {
		size_t n = char_at(p + from, &cp);
		if (cp != s->ch)
			break;
		from += n;
	}
	for (size_t i = 0; i < s->stop && to > from; i++) {
		size_t at = char_before(p, 0, to);
		char_at(p + at, &cp);
		if (cp != s->ch)
			break;
		to = at;
	}
	buf_add(out, p + from, to - from);
}

static int replace(const struct dec_step *s, const char *p, size_t len, struct regex_work *work,
	struct buf *out, struct err *e)
{
	struct regex_iter it;
	size_t start, end, done = 0;
	int rc;
	regex_begin(&it, s->re, p, len);
	while ((rc = regex_next(&it, work, &start, &end, e)) > 0) {
		buf_add(out, p + done, start - done);
		buf_add(out, s->text, s->len);
		done = end;
	}
	buf_add(out, p + done, len - done);
	return rc;
}

/* Every occurrence of from in b becomes to. An empty one stands between all characters. */
static void substitute(struct buf *b, const char *from, size_t n, const char *to)
{
	struct buf out = BUF_INIT;
	const char *p = buf_str(b), *end = p + b->len;
	if (n == 0) {
		for (; p < end; p += char_len(p)) {
			buf_puts(&out, to);
			buf_add(&out, p, char_len(p));
		}
		buf_puts(&out, to);
	}
	while (n && p < end) {
		const char *hit = memmem(p, (size_t)(end - p), from, n);
		buf_add(&out, p, (size_t)((hit ? hit : end) - p));
		if (hit)
			buf_puts(&out, to);
		p = hit ? hit + n : end;
	}
	buf_clear(b);
	*b = out;
}

static void clean_up(struct buf *b)
{
	static const char *const pairs[][2] = {{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","},
		{" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"},
		{" 've", "'ve"}, {" 're", "'re"}};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		substitute(b, pairs[i][0], strlen(pairs[i][0]), pairs[i][1]);
}

/* The steps that look at one token and its place: b holds it. */
static void whole_token(const struct dec_step *s, struct buf *b, size_t i, size_t n)
{
	if (s->kind == DEC_BPE) {
		substitute(b, s->text, s->len, i + 1 == n ? "" : " ");
		return;
	}
	if (s->kind == DEC_CTC) {
		substitute(b, s->text, s->len, "");
		if (s->flag) {
			clean_up(b);
			substitute(b, s->delimiter, strlen(s->delimiter), " ");
		}
		return;
	}
	if (i && b->len >= s->len && !memcmp(buf_str(b), s->text, s->len)) {
		buf_drop(b, s->len);
	} else if (i) {
		struct buf spaced = BUF_INIT;
		buf_addc(&spaced, ' ');
		buf_add(&spaced, buf_str(b), b->len);
		buf_clear(b);
		*b = spaced;
	}
	if (s->flag)
		clean_up(b);
}

static int each(const struct dec_step *s, const struct tokens *in, struct tokens *out,
	struct regex_work *work, struct err *e)
{
	struct buf b = BUF_INIT;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < in->n; i++) {
		size_t len, last_len;
		const char *p = token(in, i, &len);
		if (s->kind == DEC_METASPACE) {
			metaspace(s, p, len, i == 0, &out->bytes);
		} else if (s->kind == DEC_STRIP) {
			strip(s, p, len, &out->bytes);
		} else if (s->kind == DEC_REPLACE) {
			rc = replace(s, p, len, work, &out->bytes, e);
		} else {
			const char *last = i ? token(in, i - 1, &last_len) : NULL;
			if (s->kind == DEC_CTC && last && last_len == len && !memcmp(last, p, len))
				continue;
			buf_reset(&b);
			buf_add(&b, p, len);
			whole_token(s, &b, i, in->n);
			if (s->kind == DEC_CTC && b.len == 0)
				continue;
			buf_add(&out->bytes, buf_str(&b), b.len);
		}
		if (rc == 0)
			rc = buf_ok(&b, e) < 0 ? -1 : tokens_end(out, e);
	}
	buf_clear(&b);
	return rc;
}

static int run_step(const struct dec_step *s, const struct tokens *in, struct tokens *out,
	struct regex_work *work, struct err *e)
{
	switch (s->kind) {
	case DEC_BYTE_LEVEL:
		return byte_level(in, out, e);
	case DEC_BYTE_FALLBACK:
		return byte_fallback(in, out, e);
	case DEC_FUSE:
		buf_add(&out->bytes, buf_str(&in->bytes), in->bytes.len);
		return tokens_end(out, e);
	default:
		return each(s, in, out, work, e);
	}
}

int decoder_run(const struct decoder *d, struct tokens *t, struct buf *out, struct err *e)
{
	struct tokens next = {0};
	struct regex_work *work = NULL;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < d->n; i++) {
		const struct dec_step *s = &d->steps[i];
		if (s->kind == DEC_REPLACE && !work && !(work = regex_work_new(e)))
			rc = -1;
		tokens_reset(&next);
		if (rc == 0)
			rc = run_step(s, t, &next, work, e);
		struct tokens swap = *t;
		*t = next;
		next = swap;
	}
	for (size_t i = 0; rc == 0 && i < t->n; i++) {
		size_t len;
		const char *p = token(t, i, &len);
		if (d->none && i)
			buf_addc(out, ' ');
		buf_add(out, p, len);
	}
	regex_work_free(work);
	tokens_clear(&next);
	return rc < 0 ? -1 : buf_ok(out, e);
}
