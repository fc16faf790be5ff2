#include "base/base64.h"

static int value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(const char *s, size_t len, struct buf *out)
{
	uint32_t bits = 0;
	unsigned n = 0;
	while (len && s[len - 1] == '=')
		len--;
	if (len % 4 == 1 || !buf_reserve(out, len / 4 * 3 + 3))
		return false;
	for (size_t i = 0; i < len; i++) {
		int v = value(s[i]);
		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		n += 6;
		if (n >= 8) {
			n -= 8;
			buf_addc(out, (char)(bits >> n & 0xFF));
		}
	}
	return true;
}
