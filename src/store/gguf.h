/* GGUF metadata (key-value pairs). Format: ggml/docs/gguf.md. Values live in one block of memory
 * that the struct owns; strings are not terminated and are untrusted bytes. */
#ifndef AIRLCHAT_STORE_GGUF_H
#define AIRLCHAT_STORE_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum gguf_type {
	GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL,
	GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64,
	GGUF_TYPES
};

struct gguf_str {
	const char *p;
	size_t len;
};

struct gguf_kv {
	struct gguf_str key;
	enum gguf_type type;	  /* of the value */
	enum gguf_type elem_type; /* of the elements, for GGUF_ARRAY (never an array itself) */
	uint64_t count;		  /* elements; 1 unless an array */
	const uint8_t *data;	  /* little-endian, unaligned; a string is u64 length + bytes */
	size_t bytes;
};

struct gguf; /* version, kvs; opened by checkpoint_open */

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key); /* NULL if absent */

size_t gguf_n_keys(const struct gguf *g);
const struct gguf_kv *gguf_at(const struct gguf *g, size_t i); /* sorted by key */

/* Typed reads. They return false, leaving *out alone, if the key is absent or of another kind; any
 * integer type that holds a value in range is accepted for u64/i64, f32/f64/ints for f64. */
bool gguf_u64(const struct gguf *g, const char *key, uint64_t *out);
bool gguf_f64(const struct gguf *g, const char *key, double *out);
bool gguf_bool(const struct gguf *g, const char *key, bool *out);
bool gguf_string(const struct gguf *g, const char *key, struct gguf_str *out);

/* Element i of an array of numbers; false if out of range or not a number. O(1). */
bool gguf_elem_f64(const struct gguf_kv *kv, uint64_t i, double *out);
bool gguf_elem_i64(const struct gguf_kv *kv, uint64_t i, int64_t *out);

/* Walk an array of strings: start with *pos = 0. False at the end. */
bool gguf_next_string(const struct gguf_kv *kv, size_t *pos, struct gguf_str *out);

/* Give back the memory of arrays (vocabulary, merges, scores) once the tokenizer has made its own
 * tables; later gguf_find of such keys returns NULL. */
void gguf_drop_arrays(struct gguf *g);

#endif
