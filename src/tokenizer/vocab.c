#include "tokenizer/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define ID_LIMIT 4000000u

const char *const tokenizer_role_names[6] = {
	"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token"};

static uint64_t hash_bytes(const char *p, size_t len) /* FNV-1a, mixed */
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)p[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

int vocab_set(struct tokenizer *t, uint32_t id, const char *p, size_t len, struct err *e)
{
	if (id >= ID_LIMIT || t->arena.len + len >= UINT32_MAX / 2)
		return err_set(e, ERR_LIMIT, "%s: token id %u is absurd", t->path, id);
	if (id >= t->n_ids) {
		if (mem_grow(&t->offset, &t->cap_offset, id + 1, sizeof(*t->offset)) < 0 ||
			mem_grow(&t->length, &t->cap_length, id + 1, sizeof(*t->length)) < 0)
			return err_nomem(e);
		for (size_t i = t->n_ids; i <= id; i++)
			t->offset[i] = NO_ID;
		t->n_ids = id + 1;
	}
	t->offset[id] = (uint32_t)t->arena.len;
	t->length[id] = (uint32_t)len;
	buf_add(&t->arena, p, len);
	return buf_ok(&t->arena, e);
}

int vocab_index(struct tokenizer *t, struct err *e)
{
	t->hash_size = 64;
	while (t->hash_size < t->n_ids * 2)
		t->hash_size *= 2;
	t->hash = mem_array(t->hash_size, sizeof(*t->hash));
	if (!t->hash)
		return err_nomem(e);
	memset(t->hash, 0xFF, t->hash_size * sizeof(*t->hash));
	for (size_t id = 0; id < t->n_ids; id++) {
		if (t->offset[id] == NO_ID)
			continue;
		size_t i = hash_bytes(t->arena.p + t->offset[id], t->length[id]) & (t->hash_size - 1);
		while (t->hash[i] != NO_ID)
			i = (i + 1) & (t->hash_size - 1);
		t->hash[i] = (uint32_t)id;
	}
	for (int b = 0; b < 256; b++) {
		char c = (char)b;
		t->byte_id[b] = vocab_find(t, &c, 1);
	}
	return 0;
}

uint32_t vocab_find(const struct tokenizer *t, const char *p, size_t len)
{
	size_t i = hash_bytes(p, len) & (t->hash_size - 1);
	for (; t->hash[i] != NO_ID; i = (i + 1) & (t->hash_size - 1)) {
		uint32_t id = t->hash[i];
		if (t->length[id] == len && !memcmp(t->arena.p + t->offset[id], p, len))
			return id;
	}
	return NO_ID;
}

int merges_init(struct tokenizer *t, size_t n, struct err *e)
{
	t->merges_size = 64;
	while (t->merges_size < n * 2)
		t->merges_size *= 2;
	t->merges = mem_array(t->merges_size, sizeof(*t->merges));
	if (!t->merges)
		return err_nomem(e);
	for (size_t i = 0; i < t->merges_size; i++)
		t->merges[i].pair = UINT64_MAX;
	return 0;
}

static size_t pair_slot(const struct tokenizer *t, uint64_t pair)
{
	uint64_t h = pair * 0x9E3779B97F4A7C15u;
	size_t i = (h ^ h >> 32) & (t->merges_size - 1);
	while (t->merges[i].pair != UINT64_MAX && t->merges[i].pair != pair)
		i = (i + 1) & (t->merges_size - 1);
	return i;
}

int merges_add(struct tokenizer *t, const char *a, size_t na, const char *b, size_t nb, uint32_t rank,
	struct err *e)
{
	uint32_t left = vocab_find(t, a, na), right = vocab_find(t, b, nb);
	char both[1024];
	if (na + nb > sizeof(both))
		return err_set(e, ERR_LIMIT, "%s: merge %u makes a token of %zu bytes", t->path, rank, na + nb);
	memcpy(both, a, na);
	memcpy(both + na, b, nb);
	uint32_t id = vocab_find(t, both, na + nb);
	if (left == NO_ID || right == NO_ID || id == NO_ID)
		return err_set(e, ERR_FORMAT, "%s: merge %u names a token that is not in the vocabulary",
			t->path, rank);
	uint64_t pair = (uint64_t)left << 32 | right;
	size_t i = pair_slot(t, pair);
	if (t->merges[i].pair == UINT64_MAX) /* the first of equal merges counts */
		t->merges[i] = (struct merge){pair, rank, id};
	return 0;
}

const struct merge *merges_find(const struct tokenizer *t, uint32_t a, uint32_t b)
{
	const struct merge *m = &t->merges[pair_slot(t, (uint64_t)a << 32 | b)];
	return m->pair == UINT64_MAX ? NULL : m;
}

int added_add(struct tokenizer *t, const struct added *a, struct err *e)
{
	if (a->len == 0)
		return 0;
	if (mem_grow(&t->added, &t->cap_added, t->n_added + 1, sizeof(*t->added)) < 0)
		return err_nomem(e);
	struct added *copy = &t->added[t->n_added];
	*copy = *a;
	copy->content = malloc(a->len + 1);
	if (!copy->content)
		return err_nomem(e);
	memcpy(copy->content, a->content, a->len);
	copy->content[a->len] = '\0';
	t->n_added++;
	return 0;
}

static int longest_first(const void *a, const void *b)
{
	const struct added *x = a, *y = b;
	if (x->len != y->len)
		return x->len > y->len ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Added tokens into the vocabulary (for decoding), sorted, and the table of first bytes. */
int added_index(struct tokenizer *t, struct err *e)
{
	for (size_t i = 0; i < t->n_added; i++) {
		const struct added *a = &t->added[i];
		if (vocab_set(t, a->id, a->content, a->len, e) < 0)
			return -1;
		t->added_first[(uint8_t)a->content[0]] = true;
	}
	if (t->n_added)
		qsort(t->added, t->n_added, sizeof(*t->added), longest_first);
	return 0;
}

int special_mark(struct tokenizer *t, struct err *e)
{
	t->special = mem_array(t->n_ids, 1);
	if (!t->special)
		return err_nomem(e);
	for (size_t i = 0; i < t->n_added; i++)
		t->special[t->added[i].id] = t->added[i].special;
	return 0;
}

bool bytelevel_to_bytes(const char *p, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		bool ok;
		i += utf8_decode(p + i, len - i, &cp, &ok);
		if ((cp >= 33 && cp <= 126) || (cp >= 161 && cp <= 172) || (cp >= 174 && cp <= 255))
			buf_addc(out, (char)cp);
		else if (cp >= 256 && cp < 256 + 33) /* 0..32 */
			buf_addc(out, (char)(cp - 256));
		else if (cp >= 289 && cp < 289 + 34) /* 127..160 */
			buf_addc(out, (char)(cp - 289 + 127));
		else if (cp == 323)
			buf_addc(out, (char)173);
		else
			return false;
	}
	return true;
}
