#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/load.h"

const char *const tokenizer_role_names[N_ROLES] = {
	"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token"};

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

int tokenizer_open(struct tokenizer **out, const struct checkpoint *c, struct err *e)
{
	*out = NULL;
	struct tokenizer *t = calloc(1, sizeof(*t));
	if (!t)
		return err_nomem(e);
	int rc;
	if (c->gguf) {
		t->path = strdup(c->path);
		t->vocab.path = t->path;
		rc = t->path ? load_gguf(t, c->gguf, e) : err_nomem(e);
	} else {
		rc = load_folder(t, c->dir, e);
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
	for (int i = 0; i < N_ROLES; i++)
		free(t->roles[i]);
	added_clear(&t->added);
	normalizer_clear(&t->normalizer);
	pretokenizer_clear(&t->pre);
	model_clear(&t->model);
	postprocessor_clear(&t->post);
	decoder_clear(&t->decoder);
	vocab_clear(&t->vocab);
	free(t->path);
	free(t);
}

/* --- the last steps of a loader --- */

/* What an added token is looked for as in normalized text. */
static int normalize_added(
	const struct tokenizer *t, struct added *a, struct regex_work *work, struct err *e)
{
	struct ntext s = {0}, tmp = {0};
	buf_add(&s.s, a->content, a->len);
	int rc = buf_ok(&s.s, e);
	if (rc == 0)
		rc = normalizer_run(&t->normalizer, &s, &tmp, work, e);
	if (rc == 0 && (s.s.len != a->len || memcmp(buf_str(&s.s), a->content, a->len) != 0)) {
		a->normal_len = s.s.len;
		a->normal = buf_take(&s.s);
		if (!a->normal && !(a->normal = calloc(1, 1)))
			rc = err_nomem(e);
	}
	ntext_clear(&s);
	ntext_clear(&tmp);
	return rc;
}

/* *fresh: some were not in the vocabulary's index. */
static int place_added(struct tokenizer *t, bool by_id, bool *fresh, struct err *e)
{
	uint32_t next = (uint32_t)t->vocab.count;
	for (size_t i = 0; i < t->added.n; i++) {
		struct added *a = &t->added.p[i];
		if (!by_id) {
			uint32_t id = vocab_find_model(&t->vocab, a->content, a->len);
			a->id = id == NO_ID ? next++ : id;
		}
		*fresh |= vocab_find(&t->vocab, a->content, a->len) != a->id;
		unsigned flags = VOCAB_ADDED | (a->special ? VOCAB_SPECIAL : 0);
		if (vocab_set(&t->vocab, a->id, a->content, a->len, flags, e) < 0)
			return -1;
	}
	return 0;
}

/* What decoding skips goes by text, as `tokenizers` has it: a token whose text, as the decoder gets
 * it, is the content of a special token. */
static void mark_skipped(struct tokenizer *t)
{
	for (size_t i = 0; i < t->added.n; i++) {
		const struct added *a = &t->added.p[i];
		uint32_t same = a->normal ? vocab_find(&t->vocab, a->normal, a->normal_len) : a->id;
		if (same != NO_ID && (t->vocab.flags[same] & VOCAB_SPECIAL))
			t->vocab.flags[a->id] |= VOCAB_SKIP;
	}
}

int pipeline_finish(struct tokenizer *t, bool by_id, struct err *e)
{
	struct regex_work *work = regex_work_new(e);
	int rc = work ? vocab_index(&t->vocab, e) : -1;
	if (rc == 0)
		rc = added_unique(&t->added, e);
	for (size_t i = 0; rc == 0 && i < t->added.n; i++)
		if (t->added.p[i].normalized)
			rc = normalize_added(t, &t->added.p[i], work, e);
	regex_work_free(work);
	bool fresh = false;
	if (rc == 0)
		rc = place_added(t, by_id, &fresh, e);
	if (rc == 0 && fresh)
		rc = vocab_index(&t->vocab, e);
	if (rc == 0)
		mark_skipped(t);
	if (rc == 0 && t->vocab.n == 0)
		rc = err_set(e, ERR_FORMAT, "%s has no vocabulary", t->path);
	if (rc < 0 || added_index(&t->added, e) < 0 || model_finish(&t->model, &t->vocab, e) < 0)
		return -1;
	vocab_shrink(&t->vocab);
	return 0;
}

/* --- looking up --- */

size_t tokenizer_vocab_size(const struct tokenizer *t)
{
	return t->vocab.n;
}

const char *tokenizer_token(const struct tokenizer *t, uint32_t id, size_t *len)
{
	return vocab_get(&t->vocab, id, len);
}

bool tokenizer_is_special(const struct tokenizer *t, uint32_t id)
{
	return id < t->vocab.n && (t->vocab.flags[id] & VOCAB_SPECIAL);
}

int64_t tokenizer_id(const struct tokenizer *t, const char *content, size_t len)
{
	uint32_t id = vocab_find(&t->vocab, content, len);
	return id == NO_ID ? -1 : (int64_t)id;
}

const char *tokenizer_role_token(const struct tokenizer *t, const char *role)
{
	for (int i = 0; i < N_ROLES; i++)
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
	size_t sum = sizeof(*t) + vocab_memory(&t->vocab) + model_memory(&t->model, &t->vocab) +
		     normalizer_memory(&t->normalizer) + t->added.cap * sizeof(*t->added.p);
	for (size_t i = 0; i < t->added.n; i++)
		sum += t->added.p[i].len + t->added.p[i].normal_len + 48;
	return sum;
}
