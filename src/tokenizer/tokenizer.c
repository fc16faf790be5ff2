#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/vocab.h"

#define JSON_LIMIT ((size_t)512 << 20)

void ids_clear(struct ids *ids)
{
	free(ids->p);
	*ids = (struct ids){0};
}

int ids_add(struct ids *ids, uint32_t id, struct err *e)
{
	if (mem_grow(&ids->p, &ids->cap, ids->len + 1, sizeof(*ids->p)) < 0)
		return err_nomem(e);
	ids->p[ids->len++] = id;
	return 0;
}

/* --- opening --- */

static int open_json(struct tokenizer *t, const struct checkpoint *c, struct err *e)
{
	struct buf text = BUF_INIT;
	t->path = path_join(c->dir, "tokenizer.json");
	if (!t->path)
		return err_nomem(e);
	if (!file_exists(t->path))
		return err_set(e, ERR_FORMAT, "%s holds no tokenizer.json", c->dir);
	int rc = file_read(t->path, JSON_LIMIT, &text, e);
	if (rc == 0)
		rc = tokenizer_read_json(t, text.p, text.len, e);
	buf_clear(&text);
	return rc < 0 ? -1 : tokenizer_read_roles(t, c->dir, e);
}

int tokenizer_open(struct tokenizer **out, const struct checkpoint *c, struct err *e)
{
	*out = NULL;
	struct tokenizer *t = calloc(1, sizeof(*t));
	if (!t)
		return err_nomem(e);
	int rc;
	if (c->gguf) {
		t->path = strdup(c->path);
		rc = t->path ? tokenizer_read_gguf(t, c->gguf, e) : err_nomem(e);
	} else {
		rc = open_json(t, c, e);
	}
	if (rc < 0) {
		tokenizer_close(t);
		return -1;
	}
	*out = t;
	return 0;
}

void tokenizer_close(struct tokenizer *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_added; i++)
		free(t->added[i].content);
	for (int i = 0; i < 6; i++)
		free(t->roles[i]);
	pretokenizer_clear(&t->pre);
	buf_clear(&t->arena);
	free(t->offset);
	free(t->length);
	free(t->hash);
	free(t->merges);
	free(t->added);
	free(t->special);
	free(t->path);
	free(t);
}

/* --- encoding --- */

struct source { /* the spans as one valid text, and which bytes of it a user wrote */
	struct buf text;
	struct {
		size_t end;
		bool user;
	} *runs;
	size_t n_runs;
};

/* Validity is that of the whole: a span may end inside a character, which then belongs to the span
 * that holds its last byte, and to a user if any byte of it does. */
static int source_init(struct source *s, const struct tok_span *spans, size_t n, struct err *e)
{
	struct buf raw = BUF_INIT;
	*s = (struct source){0};
	s->runs = mem_array(2 * n + 1, sizeof(*s->runs));
	if (!s->runs)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		buf_add(&raw, spans[i].p, spans[i].len);
	size_t i = 0, end = n ? spans[0].len : 0; /* of span i, in raw */
	for (size_t at = 0; at < raw.len;) {
		uint32_t cp;
		size_t k = utf8_decode(raw.p + at, raw.len - at, &cp, NULL);
		bool user = false;
		for (;; end += spans[++i].len) {
			user |= end > at && spans[i].user;
			if (end >= at + k)
				break;
		}
		utf8_append_valid(&s->text, raw.p + at, k);
		at += k;
		if (s->n_runs == 0 || s->runs[s->n_runs - 1].user != user)
			s->runs[s->n_runs++].user = user;
		s->runs[s->n_runs - 1].end = s->text.len;
	}
	int rc = buf_ok(&raw, e) < 0 ? -1 : buf_ok(&s->text, e);
	buf_clear(&raw);
	return rc;
}

static bool all_template(const struct source *s, size_t start, size_t end)
{
	size_t from = 0;
	for (size_t i = 0; i < s->n_runs && from < end; i++) {
		if (s->runs[i].user && s->runs[i].end > start && from < end && s->runs[i].end > from)
			return false;
		from = s->runs[i].end;
	}
	return true;
}

static bool is_word(const char *p, size_t len, bool before)
{
	uint32_t cp = 0;
	if (len == 0)
		return false;
	if (before) {
		size_t i = len - 1;
		while (i && ((uint8_t)p[i] & 0xC0) == 0x80)
			i--;
		utf8_decode(p + i, len - i, &cp, NULL);
	} else {
		utf8_decode(p, len, &cp, NULL);
	}
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return cp == '_' || (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NO);
}

/* The longest added token at pos, or NULL. */
static const struct added *match_added(const struct tokenizer *t, const struct source *s, size_t pos)
{
	const char *p = s->text.p + pos;
	size_t left = s->text.len - pos;
	if (!t->added_first[(uint8_t)*p])
		return NULL;
	for (size_t i = 0; i < t->n_added; i++) {
		const struct added *a = &t->added[i];
		if (a->len > left || memcmp(a->content, p, a->len) != 0)
			continue;
		if (a->special && !all_template(s, pos, pos + a->len))
			continue;
		if (a->single_word && (is_word(s->text.p, pos, true) ||
					      is_word(p + a->len, left - a->len, false)))
			continue;
		return a;
	}
	return NULL;
}

static bool is_space_at(const char *p, size_t len, size_t *n)
{
	uint32_t cp;
	if (len == 0)
		return false;
	*n = utf8_decode(p, len, &cp, NULL);
	return (cp >= 9 && cp <= 13) || cp == 32 || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
		(cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
		cp == 0x205F || cp == 0x3000;
}

static int encode_text(const struct tokenizer *t, const char *p, size_t len, struct ids *out, struct err *e)
{
	struct pieces pieces = {0};
	struct buf fixed = BUF_INIT;
	utf8proc_uint8_t *nfc = NULL;
	if (len == 0)
		return 0;
	if (t->nfc) {
		utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)len, &nfc,
			UTF8PROC_STABLE | UTF8PROC_COMPOSE);
		if (n < 0)
			return err_nomem(e);
		p = (const char *)nfc;
		len = (size_t)n;
	}
	if (t->pre.prefix_space && *p != ' ') { /* no other white space counts */
		buf_addc(&fixed, ' ');
		buf_add(&fixed, p, len);
		p = buf_str(&fixed);
		len = fixed.len;
	}
	int rc = buf_ok(&fixed, e);
	if (rc == 0)
		rc = pretokenizer_run(&t->pre, p, len, &pieces, e);
	for (size_t i = 0; rc == 0 && i < pieces.n; i++)
		rc = bpe_word(t, p + pieces.p[i].start, pieces.p[i].len, out, e);
	pieces_clear(&pieces);
	buf_clear(&fixed);
	free(nfc);
	return rc;
}

/* White space that an added token's lstrip takes from the text before it. */
static size_t strip_before(const char *p, size_t start, size_t end)
{
	while (end > start) {
		size_t i = end - 1, n;
		while (i > start && ((uint8_t)p[i] & 0xC0) == 0x80)
			i--;
		if (!is_space_at(p + i, end - i, &n))
			break;
		end = i;
	}
	return end;
}

static int encode_source(const struct tokenizer *t, const struct source *s, struct ids *out, struct err *e)
{
	size_t start = 0, len = s->text.len, n;
	for (size_t pos = 0; pos < len;) {
		const struct added *a = match_added(t, s, pos);
		if (!a) {
			pos++;
			continue;
		}
		size_t end = a->lstrip ? strip_before(s->text.p, start, pos) : pos;
		if (encode_text(t, s->text.p + start, end - start, out, e) < 0 || ids_add(out, a->id, e) < 0)
			return -1;
		pos += a->len;
		while (a->rstrip && is_space_at(s->text.p + pos, len - pos, &n))
			pos += n;
		start = pos;
	}
	return encode_text(t, buf_str(&s->text) + start, len - start, out, e);
}

int tokenizer_encode(const struct tokenizer *t, const struct tok_span *spans, size_t n_spans,
	unsigned flags, struct ids *out, struct err *e)
{
	struct source s;
	int rc = source_init(&s, spans, n_spans, e);
	for (size_t i = 0; rc == 0 && (flags & TOK_ADD_SPECIAL) && i < t->n_prefix; i++)
		rc = ids_add(out, t->prefix[i], e);
	if (rc == 0)
		rc = encode_source(t, &s, out, e);
	for (size_t i = 0; rc == 0 && (flags & TOK_ADD_SPECIAL) && i < t->n_suffix; i++)
		rc = ids_add(out, t->suffix[i], e);
	buf_clear(&s.text);
	free(s.runs);
	return rc;
}

/* --- decoding --- */

/* The bytes that ids stand for; not yet valid UTF-8. */
static int decode_bytes(const struct tokenizer *t, const uint32_t *ids, size_t n, bool skip_special,
	struct buf *out, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		size_t len;
		const char *p = tokenizer_token(t, ids[i], &len);
		if (ids[i] >= t->n_ids)
			return err_set(e, ERR_FORMAT, "token id %u is outside the vocabulary of %zu", ids[i],
				t->n_ids);
		if (p && !(skip_special && t->special[ids[i]]))
			buf_add(out, p, len);
	}
	return buf_ok(out, e);
}

int tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, bool skip_special,
	struct buf *out, struct err *e)
{
	struct buf raw = BUF_INIT;
	int rc = decode_bytes(t, ids, n, skip_special, &raw, e);
	if (rc == 0) {
		utf8_append_valid(out, buf_str(&raw), raw.len);
		rc = buf_ok(out, e);
	}
	buf_clear(&raw);
	return rc;
}

void tok_stream_init(struct tok_stream *s, const struct tokenizer *t, bool skip_special)
{
	*s = (struct tok_stream){.t = t, .skip_special = skip_special};
}

void tok_stream_clear(struct tok_stream *s)
{
	ids_clear(&s->ids);
}

static int give(struct tok_stream *s, bool flush, struct buf *out, struct err *e)
{
	struct buf raw = BUF_INIT;
	int rc = decode_bytes(s->t, s->ids.p, s->ids.len, s->skip_special, &raw, e);
	if (rc == 0) {
		size_t tail = flush ? 0 : utf8_incomplete_tail(buf_str(&raw), raw.len);
		utf8_append_valid(out, buf_str(&raw) + s->sent, raw.len - tail - s->sent);
		s->sent = raw.len - tail;
		if (tail == 0) {
			s->ids.len = 0;
			s->sent = 0;
		}
		rc = buf_ok(out, e);
	}
	buf_clear(&raw);
	return rc;
}

int tok_stream_push(struct tok_stream *s, uint32_t id, struct buf *out, struct err *e)
{
	return ids_add(&s->ids, id, e) < 0 ? -1 : give(s, false, out, e);
}

int tok_stream_flush(struct tok_stream *s, struct buf *out, struct err *e)
{
	return give(s, true, out, e);
}

/* --- looking up --- */

size_t tokenizer_vocab_size(const struct tokenizer *t)
{
	return t->n_ids;
}

const char *tokenizer_token(const struct tokenizer *t, uint32_t id, size_t *len)
{
	*len = 0;
	if (id >= t->n_ids || t->offset[id] == NO_ID)
		return NULL;
	*len = t->length[id];
	return t->arena.p + t->offset[id];
}

bool tokenizer_is_special(const struct tokenizer *t, uint32_t id)
{
	return id < t->n_ids && t->special[id];
}

int64_t tokenizer_id(const struct tokenizer *t, const char *content, size_t len)
{
	uint32_t id = vocab_find(t, content, len);
	return id == NO_ID ? -1 : (int64_t)id;
}

const char *tokenizer_role_token(const struct tokenizer *t, const char *role)
{
	for (int i = 0; i < 6; i++)
		if (!strcmp(role, tokenizer_role_names[i]))
			return t->roles[i];
	return NULL;
}

int64_t tokenizer_role_id(const struct tokenizer *t, const char *role)
{
	const char *s = tokenizer_role_token(t, role);
	return s ? tokenizer_id(t, s, strlen(s)) : -1;
}

size_t tokenizer_memory(const struct tokenizer *t)
{
	return t->arena.cap + (t->cap_offset + t->cap_length + t->hash_size) * sizeof(uint32_t) +
		t->merges_size * sizeof(*t->merges) + t->n_ids;
}
