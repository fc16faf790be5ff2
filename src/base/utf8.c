#include "base/utf8.h"

#include <string.h>

#include "base/buf.h"

/* The allowed range of the second byte for lead byte b, and the length; 0 if b can't lead. */
static size_t lead_info(uint8_t b, uint8_t *lo, uint8_t *hi)
{
	*lo = 0x80;
	*hi = 0xBF;
	if (b < 0x80)
		return 1;
	if (b < 0xC2 || b > 0xF4)
		return 0;
	if (b < 0xE0)
		return 2;
	if (b == 0xE0)
		*lo = 0xA0;
	else if (b == 0xED)
		*hi = 0x9F;
	else if (b == 0xF0)
		*lo = 0x90;
	else if (b == 0xF4)
		*hi = 0x8F;
	return b < 0xF0 ? 3 : 4;
}

size_t utf8_decode(const char *s, size_t len, uint32_t *cp, bool *ok)
{
	const uint8_t *p = (const uint8_t *)s;
	uint8_t lo, hi;
	size_t n = lead_info(p[0], &lo, &hi);
	bool good = n > 0;
	uint32_t c = n <= 1 ? p[0] : p[0] & (0x7Fu >> n);
	size_t i = 1;
	for (; good && i < n; i++) {
		if (i >= len || p[i] < lo || p[i] > hi) {
			good = false;
			break;
		}
		c = c << 6 | (p[i] & 0x3F);
		lo = 0x80;
		hi = 0xBF;
	}
	*cp = good ? c : UTF8_REPLACEMENT;
	if (ok)
		*ok = good;
	return i;
}

size_t utf8_encode(uint32_t cp, char out[4])
{
	if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
		cp = UTF8_REPLACEMENT;
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xC0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3F));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xE0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
		out[2] = (char)(0x80 | (cp & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
	out[3] = (char)(0x80 | (cp & 0x3F));
	return 4;
}

bool utf8_valid(const char *s, size_t len)
{
	bool ok = true;
	uint32_t cp;
	for (size_t i = 0; i < len && ok;)
		i += utf8_decode(s + i, len - i, &cp, &ok);
	return ok;
}

size_t utf8_incomplete_tail(const char *s, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		const uint8_t *p = (const uint8_t *)s + len - back;
		uint8_t lo, hi;
		if (*p >= 0x80 && *p <= 0xBF)
			continue; /* continuation: look further back for its lead */
		size_t need = lead_info(*p, &lo, &hi);
		if (need <= back)
			return 0;
		if (back >= 2 && (p[1] < lo || p[1] > hi))
			return 0;
		return back;
	}
	return 0;
}

static bool is_control(uint32_t cp)
{
	return (cp < 0x20 && cp != '\n' && cp != '\t') || (cp >= 0x7F && cp < 0xA0);
}

/* s with a replacement for what is not UTF-8, without controls if they are not wanted; whole runs at a
 * time. */
static void append(struct buf *out, const char *s, size_t len, bool controls)
{
	size_t from = 0, n;
	for (size_t i = 0; i < len; i += n) {
		uint32_t cp;
		bool ok = true;
		n = 1;
		if ((unsigned char)s[i] >= ' ' && (unsigned char)s[i] < 0x7F)
			continue;
		n = utf8_decode(s + i, len - i, &cp, &ok);
		if (ok && (controls || !is_control(cp)))
			continue;
		buf_add(out, s + from, i - from);
		if (!ok)
			buf_puts(out, "\xEF\xBF\xBD");
		from = i + n;
	}
	buf_add(out, s + from, len - from);
}

void utf8_append_valid(struct buf *out, const char *s, size_t len)
{
	append(out, s, len, true);
}

void utf8_append_printable(struct buf *out, const char *s, size_t len)
{
	append(out, s, len, false);
}

void utf8_sanitize_line(char *s)
{
	size_t len = strlen(s);
	len -= utf8_incomplete_tail(s, len);
	size_t o = 0;
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		bool ok;
		size_t n = utf8_decode(s + i, len - i, &cp, &ok);
		if (!ok || is_control(cp) || cp == '\n' || cp == '\t') {
			s[o++] = '?';
		} else {
			memmove(s + o, s + i, n);
			o += n;
		}
		i += n;
	}
	s[o] = '\0';
}
