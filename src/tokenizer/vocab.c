#include "tokenizer/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CONTENT_LIMIT 65536u

static uint32_t hash_bytes(const char *p, size_t len)
{
	uint64_t h = len * 0x9E3779B97F4A7C15u, w;
	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * 0xD6E8FEB86659FD93u;
		h ^= h >> 32;
	}
	w = 0;
	for (size_t i = 0; i < len; i++)
		w = w << 8 | (uint8_t)p[i];
	h = (h ^ w) * 0xD6E8FEB86659FD93u;
	h ^= h >> 32;
	h *= 0xD6E8FEB86659FD93u;
	return (uint32_t)(h >> 32);
}

static size_t slot_of(uint32_t hash, size_t size)
{
	return (size_t)((uint64_t)hash * size >> 32);
}

/* A slot holds an id (below 2^22) and 10 bits of the content's hash, so that most of what is not
 * meant is passed by without a look at its content. */
#define ID_BITS 22
_Static_assert(VOCAB_ID_LIMIT < 1u << ID_BITS, "ids fit into a slot");

static uint32_t tag_of(uint32_t hash)
{
	return (hash * 0x9E3779B1u) >> ID_BITS << ID_BITS;
}

static uint32_t slot_id(uint32_t slot)
{
	return slot & ((1u << ID_BITS) - 1);
}

void vocab_clear(struct vocab *v)
{
	buf_clear(&v->arena);
	free(v->offset);
	free(v->flags);
	free(v->hash);
	*v = (struct vocab){0};
}

static int make_room(struct vocab *v, uint32_t id, struct err *e)
{
	if (id < v->n)
		return 0;
	if (mem_grow(&v->offset, &v->cap_offset, id + 1, sizeof(*v->offset)) < 0 ||
		mem_grow(&v->flags, &v->cap_flags, id + 1, 1) < 0)
		return err_nomem(e);
	for (size_t i = v->n; i <= id; i++) {
		v->offset[i] = NO_ID;
		v->flags[i] = 0;
	}
	v->n = id + 1;
	return 0;
}

int vocab_set(
	struct vocab *v, uint32_t id, const char *p, size_t len, unsigned flags, struct err *e)
{
	size_t old_len;
	if (id >= VOCAB_ID_LIMIT)
		return err_set(e, ERR_LIMIT, "%s: token id %u is absurd", v->path, id);
	if (len > CONTENT_LIMIT || v->arena.len + len >= UINT32_MAX / 2)
		return err_set(e, ERR_LIMIT, "%s: token %u is %zu bytes long", v->path, id, len);
	if (make_room(v, id, e) < 0)
		return -1;
	const char *old = vocab_get(v, id, &old_len);
	if ((flags & VOCAB_MODEL) && !(v->flags[id] & VOCAB_MODEL)) {
		v->count++;
		if (len > v->longest)
			v->longest = len;
	}
	v->flags[id] |= (uint8_t)flags;
	if (old && old_len == len && !memcmp(old, p, len))
		return 0;
	v->offset[id] = (uint32_t)v->arena.len;
	if (len >= 255) {
		uint32_t n = (uint32_t)len;
		buf_addc(&v->arena, (char)255);
		buf_add(&v->arena, &n, sizeof(n));
	} else {
		buf_addc(&v->arena, (char)len);
	}
	buf_add(&v->arena, p, len);
	return buf_ok(&v->arena, e);
}

const char *vocab_get(const struct vocab *v, uint32_t id, size_t *len)
{
	*len = 0;
	if (id >= v->n || v->offset[id] == NO_ID)
		return NULL;
	const char *p = v->arena.p + v->offset[id];
	if ((uint8_t)*p < 255) {
		*len = (uint8_t)*p;
		return p + 1;
	}
	uint32_t n;
	memcpy(&n, p + 1, sizeof(n));
	*len = n;
	return p + 1 + sizeof(n);
}

/* The slot that holds these bytes, or the empty one where they would go. */
static size_t find_slot(const struct vocab *v, const char *p, size_t len, uint32_t hash)
{
	size_t i = slot_of(hash, v->hash_size), n;
	uint32_t tag = tag_of(hash);
	for (; v->hash[i] != NO_ID; i = i + 1 == v->hash_size ? 0 : i + 1) {
		if (((v->hash[i] ^ tag) >> ID_BITS) != 0)
			continue;
		const char *q = vocab_get(v, slot_id(v->hash[i]), &n);
		if (n == len && !memcmp(q, p, len))
			break;
	}
	return i;
}

int vocab_index(struct vocab *v, struct err *e)
{
	free(v->hash);
	v->hash_size = v->n + v->n / 2 + 64;
	v->hash = malloc(v->hash_size * sizeof(*v->hash));
	if (!v->hash)
		return err_nomem(e);
	memset(v->hash, 0xFF, v->hash_size * sizeof(*v->hash));
	for (size_t id = 0; id < v->n; id++) {
		size_t len;
		const char *p = vocab_get(v, (uint32_t)id, &len);
		uint32_t hash = p ? hash_bytes(p, len) : 0;
		if (p)
			v->hash[find_slot(v, p, len, hash)] = tag_of(hash) | (uint32_t)id;
	}
	return 0;
}

static uint32_t find(const struct vocab *v, const char *p, size_t len, uint32_t hash)
{
	uint32_t slot = v->hash_size ? v->hash[find_slot(v, p, len, hash)] : NO_ID;
	return slot == NO_ID ? NO_ID : slot_id(slot);
}

uint32_t vocab_find(const struct vocab *v, const char *p, size_t len)
{
	return find(v, p, len, hash_bytes(p, len));
}

static uint32_t of_model(const struct vocab *v, uint32_t id)
{
	return id != NO_ID && (v->flags[id] & VOCAB_MODEL) ? id : NO_ID;
}

uint32_t vocab_find_model(const struct vocab *v, const char *p, size_t len)
{
	return len <= v->longest ? of_model(v, vocab_find(v, p, len)) : NO_ID;
}

void vocab_find_models(
	const struct vocab *v, const char *const *p, const size_t *len, uint32_t *id, size_t n)
{
	uint32_t hash[VOCAB_AT_ONCE], slot[VOCAB_AT_ONCE];
	for (size_t i = 0; i < n; i++) {
		hash[i] = hash_bytes(p[i], len[i]);
		__builtin_prefetch(&v->hash[slot_of(hash[i], v->hash_size)]);
	}
	for (size_t i = 0; i < n; i++) {
		slot[i] = v->hash[slot_of(hash[i], v->hash_size)];
		if (slot[i] != NO_ID)
			__builtin_prefetch(&v->offset[slot_id(slot[i])]);
	}
	for (size_t i = 0; i < n; i++)
		if (slot[i] != NO_ID && v->offset[slot_id(slot[i])] != NO_ID)
			__builtin_prefetch(v->arena.p + v->offset[slot_id(slot[i])]);
	for (size_t i = 0; i < n; i++)
		id[i] = of_model(v, find(v, p[i], len[i], hash[i]));
}

static void shrink(void *p_to_pointer, size_t *cap, size_t n, size_t size)
{
	void **p = p_to_pointer;
	void *q = n && n < *cap ? realloc(*p, n * size) : NULL;
	if (q) {
		*p = q;
		*cap = n;
	}
}

void vocab_shrink(struct vocab *v)
{
	shrink(&v->offset, &v->cap_offset, v->n, sizeof(*v->offset));
	shrink(&v->flags, &v->cap_flags, v->n, 1);
	shrink(&v->arena.p, &v->arena.cap, v->arena.len + 1, 1);
}

size_t vocab_memory(const struct vocab *v)
{
	return v->arena.cap + v->cap_offset * sizeof(*v->offset) + v->cap_flags +
	       v->hash_size * sizeof(*v->hash);
}
