/* JSON beside cJSON: a small pull reader for big or untrusted text (vocabularies, safetensors
 * headers, JSON lines; strings may hold NUL), and the writing of strings.
 *
 * The reader walks text in memory; nothing is copied but strings with escapes. Typical use:
 *
 *	json_reader_init(&r, text, len, "tokenizer.json", e);
 *	struct json_str key;
 *	for (json_object(&r); json_key(&r, &key);) {
 *		if (json_str_is(&key, "vocab"))
 *			...
 *		else
 *			json_skip(&r);
 *	}
 *	rc = json_end(&r);
 *	json_reader_clear(&r);
 *
 * After the first error every call returns false / zero, loops end, and the struct err given to
 * json_reader_init names the text and the byte offset. Nesting is limited to JSON_DEPTH. */
#ifndef AIRLCHAT_BASE_JSON_H
#define AIRLCHAT_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define JSON_DEPTH 200

enum json_kind { JSON_ERROR, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A decoded string: valid UTF-8 (lone surrogates and ill-formed bytes become U+FFFD), not
 * terminated, may hold NUL. Points into the text or into the reader: a key lives until the next
 * key, a value until the next value string. */
struct json_str {
	const char *p;
	size_t len;
};

struct json_num {
	double d;
	int64_t i;   /* the value when is_int */
	bool is_int; /* written without fraction or exponent, and fits in 64 bits */
};

struct json_reader {
	const char *start, *p, *end;
	const char *what; /* borrowed: the file's name, for messages */
	struct err *e;
	struct buf key, value; /* scratch for strings with escapes */
	int depth;
	bool first[JSON_DEPTH + 1]; /* no element read yet at this depth */
	bool failed;
};

void json_reader_init(struct json_reader *r, const char *text, size_t len, const char *what,
	struct err *e);
void json_reader_clear(struct json_reader *r);

enum json_kind json_peek(struct json_reader *r); /* kind of the next value; JSON_ERROR at the end */

/* Enter an object or array; then call json_key / json_next until false. Each true must be followed
 * by reading (or skipping) exactly one value. */
bool json_object(struct json_reader *r);
bool json_key(struct json_reader *r, struct json_str *key);
bool json_array(struct json_reader *r);
bool json_next(struct json_reader *r);

bool json_string(struct json_reader *r, struct json_str *out);
bool json_number(struct json_reader *r, struct json_num *out);
bool json_bool(struct json_reader *r, bool *out);
bool json_null(struct json_reader *r);
bool json_skip(struct json_reader *r); /* any value */

/* Report an error of the caller's at the present offset; returns false. */
bool json_fail(struct json_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* 0 if no error happened and only white space is left, else -1. */
int json_end(struct json_reader *r);

bool json_str_is(const struct json_str *s, const char *literal);
char *json_str_dup(const struct json_str *s); /* terminated copy, free(); NULL when out of memory */

/* Append s as a JSON string with quotes; ill-formed UTF-8 becomes U+FFFD. */
void json_write_str(struct buf *out, const char *s, size_t len);
/* Append a number that reads back as the same double; null when not finite. */
void json_write_num(struct buf *out, double d);

#endif
