#include "tui/keys.h"

#include <stdio.h>
#include <string.h>

#define PASTE_END "\x1b[201~"
#define SEQ_MAX 64 /* longer is no key: dropped */
#define PASTE_MAX ((size_t)64 << 20)

#define SHIFT 1 /* bits of a modifier parameter, less one */
#define ALT 2
#define CTRL 4

static void emit(struct keys *k, enum key key)
{
	k->on_key(k->user, key, k->seq.p, k->seq.len);
}

static enum key arrow(char final, int mod)
{
	bool scroll = mod & (SHIFT | CTRL);
	switch (final) {
	case 'A':
		return scroll ? KEY_SCROLL_UP : mod ? KEY_BYTES : KEY_UP;
	case 'B':
		return scroll ? KEY_SCROLL_DOWN : mod ? KEY_BYTES : KEY_DOWN;
	case 'C':
		return mod ? KEY_BYTES : KEY_RIGHT;
	case 'D':
		return mod ? KEY_BYTES : KEY_LEFT;
	case 'H':
		return mod & CTRL ? KEY_TOP : KEY_HOME;
	case 'F':
		return mod & CTRL ? KEY_BOTTOM : KEY_END;
	case 'Z':
		return KEY_BACKTAB;
	case 'P':
	case 'Q':
	case 'R':
	case 'S':
		return (enum key)(KEY_F1 + final - 'P');
	default:
		return KEY_BYTES;
	}
}

/* ESC [ n ; m ~ */
static enum key tilde(int n, int mod)
{
	static const signed char f[] = {1, 2, 3, 4, 5, 0, 6, 7, 8, 9, 10, 0, 11, 12};
	if (n >= 11 && n <= 24 && f[n - 11])
		return (enum key)(KEY_F1 + f[n - 11] - 1);
	switch (n) {
	case 1:
	case 7:
		return mod & CTRL ? KEY_TOP : KEY_HOME;
	case 4:
	case 8:
		return mod & CTRL ? KEY_BOTTOM : KEY_END;
	case 5:
		return KEY_PAGE_UP;
	case 6:
		return KEY_PAGE_DOWN;
	default:
		return KEY_BYTES;
	}
}

/* A key told by its code: "ESC [ code ; mod u", and xterm's "ESC [ 27 ; mod ; code ~". */
static void coded(struct keys *k, int code, int mod)
{
	char c = (char)(code & 0x1f);
	if (code == 13)
		emit(k, mod ? KEY_NEWLINE : KEY_ENTER);
	else if (code == 27 && !mod)
		emit(k, KEY_ESC);
	else if (code == 9)
		emit(k, mod & SHIFT ? KEY_BACKTAB : KEY_TAB);
	else if (mod == CTRL && code == 'c')
		emit(k, KEY_STOP);
	else if (mod == CTRL && code >= 'a' && code <= 'z')
		k->on_key(k->user, KEY_BYTES, &c, 1);
	else
		emit(k, KEY_BYTES);
}

static void mouse(struct keys *k, int button, int x, int y, bool press)
{
	k->x = x - 1;
	k->y = y - 1;
	if (button == 64 || button == 65)
		emit(k, button == 64 ? KEY_WHEEL_UP : KEY_WHEEL_DOWN);
	else if (button == 0 && press)
		emit(k, KEY_CLICK);
}

static void csi(struct keys *k)
{
	const char *s = k->seq.p;
	char final = s[k->seq.len - 1];
	int a = 1, b = 1, c = 0, n;
	if (s[2] == '[' && k->seq.len == 4) { /* the console's F1 to F5 */
		emit(k, s[3] >= 'A' && s[3] <= 'E' ? (enum key)(KEY_F1 + s[3] - 'A') : KEY_BYTES);
		return;
	}
	if (s[2] == '<') {
		if (sscanf(s + 3, "%d;%d;%d", &a, &b, &c) == 3)
			mouse(k, a, b, c, final == 'M');
		return;
	}
	if (!strcmp(s, "\x1b[M")) {
		k->skip = 3;
		return;
	}
	n = sscanf(s + 2, "%d;%d;%d", &a, &b, &c);
	if (!strcmp(s, "\x1b[200~"))
		k->pasting = true;
	else if (final == 'u' && n >= 1)
		coded(k, a, n > 1 ? b - 1 : 0);
	else if (final == '~' && n == 3 && a == 27)
		coded(k, c, b - 1);
	else if (final == '~' && n >= 1)
		emit(k, tilde(a, n > 1 ? b - 1 : 0));
	else if (final == 'I' || final == 'O')
		return; /* the focus came or went */
	else
		emit(k, arrow(final, n > 1 ? b - 1 : 0));
}

static void special(struct keys *k)
{
	const char *s = k->seq.p;
	size_t len = k->seq.len;
	if (s[1] == '[')
		csi(k);
	else if (s[1] == 'O' && len == 3)
		emit(k, arrow(s[2], 0));
	else if (len == 2 && (s[1] == '\r' || s[1] == '\n'))
		emit(k, KEY_NEWLINE);
	else if (len == 2 && s[1] == 3) /* Esc, and Ctrl-C at once */
		emit(k, KEY_STOP);
	else if (len == 2 && (s[1] == 't' || s[1] == 'T'))
		emit(k, KEY_FOLD);
	else
		emit(k, KEY_BYTES);
	buf_reset(&k->seq);
}

/* Whether seq is whole: ESC x, ESC O x, ESC [ ... final byte, or a character of UTF-8. */
static bool whole(const struct buf *b)
{
	unsigned char first = (unsigned char)b->p[0], last = (unsigned char)b->p[b->len - 1];
	if (first != 0x1b) {
		size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
		return b->len >= n;
	}
	if (b->len < 2)
		return false;
	if (b->p[1] == '[' && b->len > 2 && b->p[2] == '[')
		return b->len > 3;
	if (b->p[1] == '[')
		return b->len > 2 && last >= 0x40 && last <= 0x7e;
	if ((unsigned char)b->p[1] >= 0xc0) { /* Alt and a character of several bytes */
		unsigned char lead = (unsigned char)b->p[1];
		return b->len > (lead >= 0xf0 ? 4u : lead >= 0xe0 ? 3u : 2u);
	}
	return b->p[1] == 'O' ? b->len > 2 : true;
}

static void paste_byte(struct keys *k, char c)
{
	size_t n = sizeof(PASTE_END) - 1;
	if (k->paste.len >= PASTE_MAX || k->paste.failed) { /* keep looking for its end */
		buf_drop(&k->paste, k->paste.len - n);
		k->lost = true;
	}
	buf_addc(&k->paste, c);
	if (c != '~' || k->paste.len < n || memcmp(k->paste.p + k->paste.len - n, PASTE_END, n))
		return;
	buf_cut(&k->paste, k->paste.len - n);
	k->pasting = false;
	k->on_key(k->user, KEY_PASTE, buf_str(&k->paste), k->lost ? 0 : k->paste.len);
	k->lost = false;
	buf_clear(&k->paste);
}

static void one_byte(struct keys *k, char c)
{
	enum key key = c == 3 ? KEY_STOP : c == '\n' ? KEY_NEWLINE : c == '\r' ? KEY_ENTER
		: c == '\t' ? KEY_TAB : KEY_BYTES;
	k->on_key(k->user, key, &c, 1);
}

void keys_feed(struct keys *k, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool continues = ((unsigned char)s[i] & 0xc0) == 0x80;
		if (k->skip) {
			k->skip--;
			continue;
		}
		if (k->pasting) {
			paste_byte(k, s[i]);
			continue;
		}
		if (k->seq.len && k->seq.p[0] != '\x1b' && !continues)
			buf_reset(&k->seq); /* a character that was cut off */
		if (k->seq.len == 1 && k->seq.p[0] == '\x1b' && s[i] == '\x1b')
			keys_timeout(k); /* Esc, and another key at once */
		if (k->seq.len > 1 && s[i] == '\x1b')
			buf_reset(&k->seq); /* so was this sequence */
		if (!k->seq.len && s[i] != '\x1b' && (unsigned char)s[i] < 0x80) {
			one_byte(k, s[i]);
			continue;
		}
		if (!k->seq.len && (continues || (unsigned char)s[i] >= 0xf8))
			continue; /* no character begins so */
		buf_addc(&k->seq, s[i]);
		if (k->seq.failed || k->seq.len > SEQ_MAX) {
			buf_reset(&k->seq);
		} else if (whole(&k->seq)) {
			if (k->seq.p[0] == '\x1b') {
				special(k);
			} else {
				emit(k, KEY_BYTES);
				buf_reset(&k->seq);
			}
		}
	}
}

void keys_timeout(struct keys *k)
{
	bool esc = k->seq.len && k->seq.p[0] == '\x1b';
	size_t len = k->seq.len;
	buf_reset(&k->seq);
	if (esc && len == 1)
		k->on_key(k->user, KEY_ESC, "\x1b", 1);
	else if (esc && len == 2) /* Alt-[ or Alt-O */
		k->on_key(k->user, KEY_BYTES, "\x1b", 1);
}

bool keys_waiting(const struct keys *k)
{
	return k->seq.len != 0;
}

void keys_clear(struct keys *k)
{
	buf_clear(&k->seq);
	buf_clear(&k->paste);
}
