/* Mistral's tekken.json: {"config": {"pattern", "default_vocab_size",
 * "default_num_special_tokens"}, "vocab": [{"rank", "token_bytes" (base64)}], "special_tokens":
 * [{"rank", "token_str"}]}. Special tokens have the first ids; of the vocabulary only as much
 * counts as the size leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "tokenizer/load.h"
#include "tokenizer/ranked.h"

struct tekken {
	struct tokenizer *t;
	struct err *e;
	char *pattern;
	int64_t size, n_special;
	const char *vocab, *vocab_end; /* their texts, read after the config */
	const char *special, *special_end;
};

static void read_config(struct tekken *k, struct json_reader *r)
{
	struct json_str key, s;
	struct json_num n;
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "pattern") && json_string(r, &s)) {
			free(k->pattern);
			k->pattern = json_str_dup(&s);
		} else if (json_str_is(&key, "default_vocab_size") && json_number(r, &n)) {
			k->size = n.is_int ? n.i : 0;
		} else if (json_str_is(&key, "default_num_special_tokens") && json_number(r, &n)) {
			k->n_special = n.is_int ? n.i : -1;
		} else if (!r->failed) {
			json_skip(r);
		}
	}
}

static void keep(struct json_reader *r, const char **from, const char **end)
{
	bool list = json_peek(r) == JSON_ARRAY;
	const char *p = r->p;
	json_skip(r);
	*from = list ? p : NULL;
	*end = r->p;
}

/* An object with a rank, and a text under `name`. */
static bool read_entry(struct json_reader *r, const char *name, int64_t *rank, struct buf *text)
{
	struct json_str key, s;
	struct json_num n;
	*rank = -1;
	buf_reset(text);
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "rank") && json_number(r, &n))
			*rank = n.is_int ? n.i : -1;
		else if (json_str_is(&key, name) && json_string(r, &s))
			buf_add(text, s.p, s.len);
		else if (!r->failed)
			json_skip(r);
	}
	return !r->failed;
}

static int read_vocab(struct tekken *k)
{
	struct json_reader r;
	struct buf text = BUF_INIT, bytes = BUF_INIT;
	int64_t rank;
	int rc = 0;
	json_reader_init(&r, k->vocab, (size_t)(k->vocab_end - k->vocab), k->t->path, k->e);
	for (json_array(&r);
		rc == 0 && json_next(&r) && read_entry(&r, "token_bytes", &rank, &text);) {
		if (rank < 0 || rank >= k->size - k->n_special)
			continue;
		buf_reset(&bytes);
		rc = base64_decode(buf_str(&text), text.len, &bytes)
			     ? ranked_token(k->t, (uint32_t)(rank + k->n_special), buf_str(&bytes),
				       bytes.len, k->e)
			     : err_set(k->e, ERR_FORMAT, "%s: token %lld is no base64", k->t->path,
				       (long long)rank);
	}
	if (rc == 0 && r.failed)
		rc = -1;
	json_reader_clear(&r);
	buf_clear(&text);
	buf_clear(&bytes);
	return rc;
}

/* The names that files without a list of special tokens mean. */
static const char *const default_special[] = {"<unk>", "<s>", "</s>", "[INST]", "[/INST]",
	"[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
	"[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
	"[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"};
#define N_DEFAULT (int64_t)(sizeof(default_special) / sizeof(*default_special))

static int read_special(struct tekken *k, bool *named)
{
	struct json_reader r;
	struct buf text = BUF_INIT;
	int64_t rank;
	int rc = 0;
	if (!k->special)
		return 0;
	json_reader_init(&r, k->special, (size_t)(k->special_end - k->special), k->t->path, k->e);
	for (json_array(&r); rc == 0 && json_next(&r) && read_entry(&r, "token_str", &rank, &text);)
		if (rank >= 0 && rank < k->n_special && text.len) {
			rc = ranked_special(k->t, (uint32_t)rank, text.p, true, k->e);
			named[rank] = true;
		}
	if (rc == 0 && r.failed)
		rc = -1;
	json_reader_clear(&r);
	buf_clear(&text);
	return rc;
}

/* Ids without a name get one. */
static int fill_special(struct tekken *k, const bool *named)
{
	char name[40];
	for (int64_t i = 0; i < k->n_special; i++) {
		if (named[i])
			continue;
		bool known = !k->special && i < N_DEFAULT;
		snprintf(name, sizeof(name), "<SPECIAL_%lld>", (long long)i);
		if (ranked_special(
			    k->t, (uint32_t)i, known ? default_special[i] : name, true, k->e) < 0)
			return -1;
	}
	return 0;
}

static int build(struct tekken *k)
{
	struct tokenizer *t = k->t;
	if (!k->pattern || !k->vocab || k->n_special < 0 || k->n_special > 100000 ||
		k->size <= k->n_special || k->size > VOCAB_ID_LIMIT)
		return err_set(k->e, ERR_FORMAT,
			"%s: its config or vocabulary is missing or makes no sense", t->path);
	bool *named = calloc((size_t)k->n_special + 1, sizeof(*named));
	if (!named)
		return err_nomem(k->e);
	int rc = read_special(k, named);
	if (rc == 0)
		rc = fill_special(k, named);
	free(named);
	if (rc < 0 || read_vocab(k) < 0 || ranked_pipeline(t, k->pattern, k->e) < 0 ||
		ranked_finish(t, k->e) < 0)
		return -1;
	static const char *const roles[] = {"<s>", "</s>", "<unk>", "<pad>"};
	for (int i = 0; i < 4; i++)
		if (vocab_find(&t->vocab, roles[i], strlen(roles[i])) != NO_ID &&
			role_set(t, i, roles[i], strlen(roles[i]), k->e) < 0)
			return -1;
	return tokconf_around(t, NULL, true, false, k->e);
}

int load_tekken(struct tokenizer *t, const char *text, size_t len, struct err *e)
{
	struct tekken k = {.t = t, .e = e, .n_special = 1000, .size = 0};
	struct json_reader r;
	struct json_str key;
	json_reader_init(&r, text, len, t->path, e);
	for (json_object(&r); json_key(&r, &key);) {
		if (json_str_is(&key, "config"))
			read_config(&k, &r);
		else if (json_str_is(&key, "vocab"))
			keep(&r, &k.vocab, &k.vocab_end);
		else if (json_str_is(&key, "special_tokens"))
			keep(&r, &k.special, &k.special_end);
		else
			json_skip(&r);
	}
	int rc = json_end(&r);
	json_reader_clear(&r);
	if (rc == 0)
		rc = build(&k);
	free(k.pattern);
	return rc;
}
