/* UTF-8 as Unicode defines it (chapter 3, table 3-7): decoding of text from strangers.
 * Ill-formed input is handled by "maximal subparts": each maximal ill-formed part counts as one
 * U+FFFD, like Python's errors="replace" and the WHATWG decoder. */
#ifndef AIRLCHAT_BASE_UTF8_H
#define AIRLCHAT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

#define UTF8_REPLACEMENT 0xFFFDu

/* Decode one code point from s[0..len), len > 0. Returns the bytes consumed (>= 1). *cp is the code
 * point, or UTF8_REPLACEMENT with *ok = false for an ill-formed part. ok may be NULL. */
size_t utf8_decode(const char *s, size_t len, uint32_t *cp, bool *ok);

/* Encode cp (a surrogate or > 0x10FFFF becomes U+FFFD) into out[4]; returns 1..4. Not terminated. */
size_t utf8_encode(uint32_t cp, char out[4]);

bool utf8_valid(const char *s, size_t len);

/* Bytes at the end of s[0..len) that begin a character which may be completed by later bytes (0..3). */
size_t utf8_incomplete_tail(const char *s, size_t len);

/* Append s with each ill-formed part replaced by U+FFFD. */
void utf8_append_valid(struct buf *out, const char *s, size_t len);

/* Append model or file text made safe for a terminal: ill-formed parts become U+FFFD; C0 and C1
 * controls, DEL and ESC are dropped, but \n and \t stay; so do bidi-neutral printable characters. */
void utf8_append_printable(struct buf *out, const char *s, size_t len);

/* In place, for one-line messages: control bytes become '?', ill-formed parts become '?', and a
 * character cut off at the end is removed. */
void utf8_sanitize_line(char *s);

#endif
