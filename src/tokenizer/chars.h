/* Classes of characters, as the pipelines of tokenizer.json mean them. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_CHARS_H
#define AIRLCHAT_TOKENIZER_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* One character of valid UTF-8 at p; returns its bytes. (No checks: for text made valid before.) */
static inline size_t char_at(const char *p, uint32_t *cp)
{
	const uint8_t *s = (const uint8_t *)p;
	if (s[0] < 0x80) {
		*cp = s[0];
		return 1;
	}
	if (s[0] < 0xE0) {
		*cp = (uint32_t)(s[0] & 0x1F) << 6 | (s[1] & 0x3Fu);
		return 2;
	}
	if (s[0] < 0xF0) {
		*cp = (uint32_t)(s[0] & 0x0F) << 12 | (uint32_t)(s[1] & 0x3F) << 6 | (s[2] & 0x3Fu);
		return 3;
	}
	*cp = (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3F) << 12 |
	      (uint32_t)(s[2] & 0x3F) << 6 | (s[3] & 0x3Fu);
	return 4;
}

static inline size_t char_len(const char *p)
{
	uint8_t c = (uint8_t)*p;
	return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* Where the character that ends before p[end] begins; end > start. */
static inline size_t char_before(const char *p, size_t start, size_t end)
{
	do
		end--;
	while (end > start && ((uint8_t)p[end] & 0xC0) == 0x80);
	return end;
}

bool char_is_space(uint32_t cp);   /* White_Space: 25 code points */
bool char_is_word(uint32_t cp);    /* \w: Alphabetic, marks, decimal digits, connectors, joiners */
bool char_is_numeric(uint32_t cp); /* Nd, Nl, No */
bool char_is_punct(uint32_t cp);   /* ASCII punctuation and P* */
bool char_is_mark(uint32_t cp);    /* M* */
bool char_is_nonspacing(uint32_t cp); /* Mn */
bool char_is_control(uint32_t cp);    /* Cc, Cf, Co */
bool char_is_cjk(uint32_t cp);        /* the ideographs that BERT sets apart */

/* Lower case of one character: 1 or 2 code points. */
int char_lower(uint32_t cp, uint32_t out[2]);

/* GPT-2's printable stand-ins for the 256 bytes: every byte is one character of 1 or 2 bytes. */
uint32_t byte_to_char(uint8_t b);
int char_to_byte(uint32_t cp); /* -1 if the character stands for no byte */
void bytes_to_chars(const char *p, size_t len, struct buf *out); /* append */

#endif
