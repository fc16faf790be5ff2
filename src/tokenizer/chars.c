#include "tokenizer/chars.h"

#include <utf8proc.h>

#include "base/utf8.h"

static utf8proc_category_t category(uint32_t cp)
{
	return utf8proc_category((utf8proc_int32_t)cp);
}

bool char_is_space(uint32_t cp)
{
	return (cp >= 9 && cp <= 13) || cp == 32 || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
	       (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
	       cp == 0x205F || cp == 0x3000;
}

/* Letters are Alphabetic, and so are the circled and squared ones among the symbols. */
bool char_is_word(uint32_t cp)
{
	utf8proc_category_t c = category(cp);
	if (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NL)
		return true; /* L*, M*, Nd, Nl */
	return c == UTF8PROC_CATEGORY_PC || cp == 0x200C || cp == 0x200D ||
	       (cp >= 0x24B6 && cp <= 0x24E9) || (cp >= 0x1F130 && cp <= 0x1F149) ||
	       (cp >= 0x1F150 && cp <= 0x1F169) || (cp >= 0x1F170 && cp <= 0x1F189);
}

bool char_is_numeric(uint32_t cp)
{
	if (cp < 0x80)
		return cp >= '0' && cp <= '9';
	utf8proc_category_t c = category(cp);
	return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

bool char_is_punct(uint32_t cp)
{
	if (cp < 0x80)
		return (cp >= '!' && cp <= '/') || (cp >= ':' && cp <= '@') ||
		       (cp >= '[' && cp <= '`') || (cp >= '{' && cp <= '~');
	utf8proc_category_t c = category(cp);
	return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool char_is_mark(uint32_t cp)
{
	utf8proc_category_t c = category(cp);
	return c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME;
}

bool char_is_nonspacing(uint32_t cp)
{
	return category(cp) == UTF8PROC_CATEGORY_MN;
}

bool char_is_control(uint32_t cp)
{
	utf8proc_category_t c = category(cp);
	return c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_CO;
}

bool char_is_cjk(uint32_t cp)
{
	return (cp >= 0x4E00 && cp <= 0x9FFF) || (cp >= 0x3400 && cp <= 0x4DBF) ||
	       (cp >= 0x20000 && cp <= 0x2A6DF) || (cp >= 0x2A700 && cp <= 0x2B73F) ||
	       (cp >= 0x2B740 && cp <= 0x2B81F) || (cp >= 0x2B920 && cp <= 0x2CEAF) ||
	       (cp >= 0xF900 && cp <= 0xFAFF) || (cp >= 0x2F800 && cp <= 0x2FA1F);
}

int char_lower(uint32_t cp, uint32_t out[2])
{
	if (cp < 0x80) {
		out[0] = cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
		return 1;
	}
	if (cp == 0x130) { /* the one letter whose lower case is two characters */
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
	return 1;
}

uint32_t byte_to_char(uint8_t b)
{
	if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)
		return b;
	return b <= 32 ? 256u + b : b == 173 ? 323u : 289u + b - 127u;
}

int char_to_byte(uint32_t cp)
{
	if ((cp >= 33 && cp <= 126) || (cp >= 161 && cp <= 172) || (cp >= 174 && cp <= 255))
		return (int)cp;
	if (cp >= 256 && cp < 256 + 33) /* 0..32 */
		return (int)cp - 256;
	if (cp >= 289 && cp < 289 + 34) /* 127..160 */
		return (int)cp - 289 + 127;
	return cp == 323 ? 173 : -1;
}

void bytes_to_chars(const char *p, size_t len, struct buf *out)
{
	if (!buf_reserve(out, 2 * len))
		return;
	char *q = out->p + out->len;
	for (size_t i = 0; i < len; i++) {
		uint32_t cp = byte_to_char((uint8_t)p[i]);
		if (cp < 0x80) {
			*q++ = (char)cp;
		} else {
			*q++ = (char)(0xC0 | cp >> 6);
			*q++ = (char)(0x80 | (cp & 0x3F));
		}
	}
	out->len = (size_t)(q - out->p);
	out->p[out->len] = '\0';
}
