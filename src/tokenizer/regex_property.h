/* Properties of characters in patterns. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_REGEX_PROPERTY_H
#define AIRLCHAT_TOKENIZER_REGEX_PROPERTY_H

#include <stdbool.h>
#include <stddef.h>

#define REGEX_PROPERTY_MAX 160

/* Sets of characters in PCRE2's syntax, for use inside brackets. */
#define SPACES                                                                                             \
	"\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define HEX "0-9A-Fa-f"

/* The set that a name of the table means, exactly as it is there; NULL if it is in none. */
const char *regex_property_find(const char *name, size_t len);

/* What \p{text} means: fills body, a set for use inside brackets, and turns *negated around for a "^".
 * False for a name that can't be one. */
bool regex_property(const char *text, size_t len, char body[REGEX_PROPERTY_MAX], bool *negated);

#endif
