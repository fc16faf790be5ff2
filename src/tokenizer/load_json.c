/* tokenizer.json of Hugging Face `tokenizers`: byte-level BPE. Whatever else a file asks for is an
 * error that names it. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/json.h"
#include "tokenizer/vocab.h"

struct loader {
	struct tokenizer *t;
	struct err *e;
	struct json_reader r;
	const char *merges, *merges_end; /* text of model.merges, read after the vocabulary */
	size_t n_merges;
	bool byte_level, decoder_ok;
};

static bool unsupported(struct loader *l, const char *what, const struct json_str *name)
{
	if (!l->r.failed) {
		l->r.failed = true;
		err_set(l->e, ERR_UNSUPPORTED, "%s: %s \"%.*s\" is not supported", l->t->path, what,
			(int)(name->len < 60 ? name->len : 60), name->p);
	}
	return false;
}

/* --- added tokens --- */

static bool read_added(struct loader *l)
{
	struct json_reader *r = &l->r;
	struct json_str key, s;
	struct json_num id = {0};
	struct buf content = BUF_INIT;
	struct added a = {0};
	bool normalized;
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "id") && json_number(r, &id))
			;
		else if (json_str_is(&key, "content") && json_string(r, &s))
			buf_add(&content, s.p, s.len);
		else if (json_str_is(&key, "special"))
			json_bool(r, &a.special);
		else if (json_str_is(&key, "lstrip"))
			json_bool(r, &a.lstrip);
		else if (json_str_is(&key, "rstrip"))
			json_bool(r, &a.rstrip);
		else if (json_str_is(&key, "single_word"))
			json_bool(r, &a.single_word);
		else if (json_str_is(&key, "normalized"))
			json_bool(r, &normalized);
		else
			json_skip(r);
	}
	a.content = content.p;
	a.len = content.len;
	if (!r->failed && (!id.is_int || id.i < 0 || id.i > 4000000))
		json_fail(r, "an added token has no sensible id");
	a.id = (uint32_t)id.i;
	if (!r->failed && added_add(l->t, &a, l->e) < 0)
		r->failed = true;
	buf_clear(&content);
	return !r->failed;
}

/* --- pre-tokenizers --- */

static bool behavior_of(const struct json_str *s, enum split_behavior *b)
{
	static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext",
		"Contiguous"};
	for (int i = 0; i < 5; i++)
		if (json_str_is(s, names[i])) {
			*b = (enum split_behavior)i;
			return true;
		}
	return false;
}

struct pre { /* the fields of one pre-tokenizer object */
	char type[32];
	struct buf pattern;
	bool literal, invert, prefix_space, use_regex, individual;
	enum split_behavior behavior;
};

static bool apply_pre(struct loader *l, const struct pre *p)
{
	struct pretokenizer *t = &l->t->pre;
	const struct json_str type = {p->type, strlen(p->type)};
	int rc = 0;
	if (!strcmp(p->type, "Split")) {
		rc = pretokenizer_add(t, buf_str(&p->pattern), p->pattern.len, p->literal, p->behavior,
			p->invert, l->e);
	} else if (!strcmp(p->type, "ByteLevel")) {
		const struct json_str order = {"ByteLevel with add_prefix_space behind others", 45};
		l->byte_level = true;
		if (p->prefix_space && t->n) /* would put a space before every piece */
			return unsupported(l, "the pre-tokenizer", &order);
		t->prefix_space |= p->prefix_space;
		if (p->use_regex)
			rc = pretokenizer_add(t, PATTERN_GPT2, strlen(PATTERN_GPT2), false, SPLIT_ISOLATED,
				false, l->e);
	} else if (!strcmp(p->type, "Digits")) {
		const char *pattern = p->individual ? "\\p{N}" : "\\p{N}+";
		rc = pretokenizer_add(t, pattern, strlen(pattern), false, SPLIT_ISOLATED, false, l->e);
	} else if (strcmp(p->type, "Sequence") != 0) {
		return unsupported(l, "the pre-tokenizer", &type);
	}
	if (rc < 0) {
		err_prefix(l->e, "%s", l->t->path);
		l->r.failed = true;
	}
	return rc == 0;
}

static void read_pattern(struct json_reader *r, struct pre *p)
{
	struct json_str key, s;
	for (json_object(r); json_key(r, &key);) {
		p->literal = json_str_is(&key, "String");
		if (json_string(r, &s))
			buf_add(&p->pattern, s.p, s.len);
	}
}

static bool read_pre(struct loader *l)
{
	struct json_reader *r = &l->r;
	struct json_str key, s;
	struct pre p = {.use_regex = true, .prefix_space = true};
	if (json_peek(r) == JSON_NULL)
		return json_null(r);
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "type") && json_string(r, &s)) {
			if (s.len >= sizeof(p.type))
				unsupported(l, "the pre-tokenizer", &s);
			else
				memcpy(p.type, s.p, s.len);
		} else if (json_str_is(&key, "pattern")) {
			read_pattern(r, &p);
		} else if (json_str_is(&key, "behavior") && json_string(r, &s)) {
			if (!behavior_of(&s, &p.behavior))
				unsupported(l, "the split behavior", &s);
		} else if (json_str_is(&key, "invert")) {
			json_bool(r, &p.invert);
		} else if (json_str_is(&key, "add_prefix_space")) {
			json_bool(r, &p.prefix_space);
		} else if (json_str_is(&key, "use_regex")) {
			json_bool(r, &p.use_regex);
		} else if (json_str_is(&key, "individual_digits")) {
			json_bool(r, &p.individual);
		} else if (json_str_is(&key, "pretokenizers")) {
			for (json_array(r); json_next(r);)
				read_pre(l);
		} else {
			json_skip(r);
		}
	}
	bool ok = !r->failed && apply_pre(l, &p);
	buf_clear(&p.pattern);
	return ok;
}

/* --- model --- */

static bool read_vocab(struct loader *l)
{
	struct json_reader *r = &l->r;
	struct json_str key;
	struct json_num id;
	struct buf bytes = BUF_INIT;
	for (json_object(r); json_key(r, &key);) {
		buf_reset(&bytes);
		/* entries outside the byte alphabet can only be added tokens: kept as they are */
		if (!bytelevel_to_bytes(key.p, key.len, &bytes)) {
			buf_reset(&bytes);
			buf_add(&bytes, key.p, key.len);
		}
		if (!json_number(r, &id))
			break;
		if (!id.is_int || id.i < 0 || id.i > UINT32_MAX)
			json_fail(r, "a token id is no whole number");
		else if (vocab_set(l->t, (uint32_t)id.i, buf_str(&bytes), bytes.len, l->e) < 0)
			r->failed = true;
	}
	buf_clear(&bytes);
	return !r->failed;
}

static bool read_model(struct loader *l)
{
	struct json_reader *r = &l->r;
	struct json_str key, s;
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "type") && json_string(r, &s)) {
			if (!json_str_is(&s, "BPE"))
				unsupported(l, "the tokenizer model", &s);
		} else if (json_str_is(&key, "vocab")) {
			if (json_peek(r) != JSON_OBJECT)
				json_fail(r, "only vocabularies of BPE models are supported, not this one");
			read_vocab(l);
		} else if (json_str_is(&key, "merges")) {
			l->merges = r->p;
			json_skip(r);
			l->merges_end = r->p;
		} else if (json_str_is(&key, "ignore_merges")) {
			json_bool(r, &l->t->ignore_merges);
		} else if (json_str_is(&key, "byte_fallback") && json_peek(r) == JSON_BOOL) {
			bool on;
			const struct json_str name = {"byte_fallback", 13};
			if (json_bool(r, &on) && on)
				unsupported(l, "the BPE option", &name);
		} else if (json_str_is(&key, "end_of_word_suffix") || json_str_is(&key, "continuing_subword_prefix")) {
			if (json_peek(r) == JSON_STRING && json_string(r, &s) && s.len)
				unsupported(l, "a BPE prefix or suffix of words", &s);
			else if (json_peek(r) == JSON_NULL)
				json_null(r);
		} else {
			json_skip(r);
		}
	}
	return !r->failed;
}

static int add_merge(struct loader *l, const struct json_str *a, const struct json_str *b, uint32_t rank)
{
	struct buf left = BUF_INIT, right = BUF_INIT;
	int rc = bytelevel_to_bytes(a->p, a->len, &left) && bytelevel_to_bytes(b->p, b->len, &right)
		? merges_add(l->t, buf_str(&left), left.len, buf_str(&right), right.len, rank, l->e)
		: err_set(l->e, ERR_UNSUPPORTED, "%s: merge %u is not byte-level", l->t->path, rank);
	buf_clear(&left);
	buf_clear(&right);
	return rc;
}

/* Merges are "a b" or ["a", "b"]. */
static int read_merges(struct loader *l)
{
	struct json_reader r;
	struct json_str s;
	uint32_t rank = 0;
	int rc = 0;
	if (merges_init(l->t, l->t->n_ids + 1, l->e) < 0)
		return -1;
	if (!l->merges)
		return 0;
	json_reader_init(&r, l->merges, (size_t)(l->merges_end - l->merges), l->t->path, l->e);
	for (json_array(&r); rc == 0 && json_next(&r); rank++) {
		if (rank > l->t->n_ids * 1 + 1000000)
			rc = err_set(l->e, ERR_LIMIT, "%s: too many merges", l->t->path);
		else if (rank + 1 >= l->t->merges_size / 4 * 3)
			rc = err_set(l->e, ERR_FORMAT, "%s: more merges than tokens", l->t->path);
		else if (json_peek(&r) == JSON_ARRAY) {
			struct buf first = BUF_INIT;
			bool ok = json_array(&r) && json_next(&r) && json_string(&r, &s);
			buf_add(&first, s.p, s.len);
			ok = ok && json_next(&r) && json_string(&r, &s) && !json_next(&r) && !r.failed;
			const struct json_str a = {buf_str(&first), first.len};
			rc = ok ? add_merge(l, &a, &s, rank) : err_set(l->e, ERR_FORMAT, "%s: merge %u is no pair", l->t->path, rank);
			buf_clear(&first);
		} else if (json_string(&r, &s)) {
			const char *gap = memchr(s.p, ' ', s.len);
			struct json_str a = {s.p, gap ? (size_t)(gap - s.p) : 0};
			struct json_str b = {gap ? gap + 1 : s.p, gap ? s.len - a.len - 1 : 0};
			rc = gap ? add_merge(l, &a, &b, rank) : err_set(l->e, ERR_FORMAT, "%s: merge %u is no pair", l->t->path, rank);
		}
	}
	if (rc == 0)
		rc = json_end(&r);
	json_reader_clear(&r);
	return rc;
}

/* --- normalizer, post-processor, decoder: few forms, so cJSON is simple enough --- */

static int read_normalizer(struct loader *l, const cJSON *n)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(n, "type"), *item;
	if (!n || cJSON_IsNull(n))
		return 0;
	if (!cJSON_IsString(type))
		return err_set(l->e, ERR_FORMAT, "%s: a normalizer without a type", l->t->path);
	if (!strcmp(type->valuestring, "NFC")) {
		l->t->nfc = true;
		return 0;
	}
	if (!strcmp(type->valuestring, "Sequence")) {
		cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(n, "normalizers"))
			if (read_normalizer(l, item) < 0)
				return -1;
		return 0;
	}
	return err_set(l->e, ERR_UNSUPPORTED, "%s: the normalizer \"%s\" is not supported", l->t->path,
		type->valuestring);
}

static int add_special(struct loader *l, const cJSON *post, const char *name, bool *seen_text)
{
	const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(post, "special_tokens");
	const cJSON *ids = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(tokens, name), "ids"), *id;
	struct tokenizer *t = l->t;
	cJSON_ArrayForEach(id, ids) {
		size_t *n = *seen_text ? &t->n_suffix : &t->n_prefix;
		if (!cJSON_IsNumber(id) || *n == 8)
			return err_set(l->e, ERR_FORMAT, "%s: bad ids in the post-processor", t->path);
		(*seen_text ? t->suffix : t->prefix)[(*n)++] = (uint32_t)id->valuedouble;
	}
	return 0;
}

static int read_post(struct loader *l, const cJSON *p)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(p, "type"), *item;
	bool seen = false;
	if (!p || cJSON_IsNull(p) || (cJSON_IsString(type) && !strcmp(type->valuestring, "ByteLevel")))
		return 0;
	if (!cJSON_IsString(type))
		return err_set(l->e, ERR_FORMAT, "%s: a post-processor without a type", l->t->path);
	if (!strcmp(type->valuestring, "Sequence")) {
		cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(p, "processors"))
			if (read_post(l, item) < 0)
				return -1;
		return 0;
	}
	if (strcmp(type->valuestring, "TemplateProcessing") != 0)
		return err_set(l->e, ERR_UNSUPPORTED, "%s: the post-processor \"%s\" is not supported",
			l->t->path, type->valuestring);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(p, "single")) {
		const cJSON *s = cJSON_GetObjectItemCaseSensitive(item, "SpecialToken");
		const cJSON *id = cJSON_GetObjectItemCaseSensitive(s, "id");
		if (!s)
			seen = true;
		else if (!cJSON_IsString(id) || add_special(l, p, id->valuestring, &seen) < 0)
			return err_set(l->e, ERR_FORMAT, "%s: bad special token in the post-processor", l->t->path);
	}
	return 0;
}

/* Hand the next value to one of the small readers above. */
static bool with_cjson(struct loader *l, int (*read)(struct loader *, const cJSON *))
{
	const char *from = l->r.p;
	if (!json_skip(&l->r))
		return false;
	cJSON *j = cJSON_ParseWithLength(from, (size_t)(l->r.p - from));
	if (read(l, j) < 0)
		l->r.failed = true;
	cJSON_Delete(j);
	return !l->r.failed;
}

int tokenizer_read_json(struct tokenizer *t, const char *text, size_t len, struct err *e)
{
	struct loader l = {.t = t, .e = e};
	struct json_reader *r = &l.r;
	struct json_str key;
	json_reader_init(r, text, len, t->path, e);
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "added_tokens"))
			for (json_array(r); json_next(r);)
				read_added(&l);
		else if (json_str_is(&key, "normalizer"))
			with_cjson(&l, read_normalizer);
		else if (json_str_is(&key, "pre_tokenizer"))
			read_pre(&l);
		else if (json_str_is(&key, "model"))
			read_model(&l);
		else if (json_str_is(&key, "post_processor"))
			with_cjson(&l, read_post);
		else
			json_skip(r);
	}
	int rc = json_end(r);
	json_reader_clear(r);
	if (rc == 0 && !l.byte_level)
		rc = err_set(e, ERR_UNSUPPORTED, "%s: only byte-level BPE tokenizers are supported, and this is another kind",
			t->path);
	if (rc == 0 && t->n_ids == 0)
		rc = err_set(e, ERR_FORMAT, "%s has no vocabulary", t->path);
	if (rc < 0 || added_index(t, e) < 0 || vocab_index(t, e) < 0 || special_mark(t, e) < 0)
		return -1;
	return read_merges(&l);
}

int tokenizer_read_roles(struct tokenizer *t, const char *dir, struct err *e)
{
	char *path = path_join(dir, "tokenizer_config.json");
	struct buf text = BUF_INIT;
	if (!path)
		return err_nomem(e);
	int rc = file_exists(path) ? file_read(path, (size_t)64 << 20, &text, e) : 0;
	cJSON *j = rc == 0 && text.len ? cJSON_ParseWithLength(text.p, text.len) : NULL;
	for (int i = 0; j && i < 6; i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, tokenizer_role_names[i]);
		if (cJSON_IsObject(v))
			v = cJSON_GetObjectItemCaseSensitive(v, "content");
		if (cJSON_IsString(v) && !(t->roles[i] = strdup(v->valuestring)))
			rc = err_nomem(e);
	}
	cJSON_Delete(j);
	buf_clear(&text);
	free(path);
	return rc;
}
