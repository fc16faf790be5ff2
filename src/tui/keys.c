#include "tui/keys.h"

#include <stdio.h>
#include <string.h>

#define PASTE_END "\x1b[201~"
#define SEQ_MAX 64 /* longer is no key: dropped */

static void special(struct keys *k)
{
	const char *s = k->seq.p;
	int button = 0;
	if (!strcmp(s, "\x1b[200~"))
		k->pasting = true;
	else if (!strcmp(s, "\x1b[5~"))
		k->on_key(k->user, KEY_PAGE_UP, "", 0);
	else if (!strcmp(s, "\x1b[6~"))
		k->on_key(k->user, KEY_PAGE_DOWN, "", 0);
	else if (!strcmp(s, "\x1b[F") || !strcmp(s, "\x1bOF") || !strcmp(s, "\x1b[4~"))
		k->on_key(k->user, KEY_VIEW_END, "", 0);
	else if (!strcmp(s, "\x1b\r") || !strcmp(s, "\x1b\n"))
		k->on_key(k->user, KEY_NEWLINE, "", 0);
	else if (sscanf(s, "\x1b[<%d;", &button) == 1) {
		if (button == 64 || button == 65)
			k->on_key(k->user, button == 64 ? KEY_WHEEL_UP : KEY_WHEEL_DOWN, "", 0);
	} else
		k->on_key(k->user, KEY_BYTES, s, k->seq.len);
	buf_reset(&k->seq);
}

/* Whether seq is whole: ESC x, ESC O x, ESC [ ... final byte. */
static bool whole(const struct buf *b)
{
	unsigned char last = (unsigned char)b->p[b->len - 1];
	if (b->len < 2)
		return false;
	if (b->p[1] == '[')
		return b->len > 2 && last >= 0x40 && last <= 0x7e;
	return b->p[1] == 'O' ? b->len > 2 : true;
}

static void paste_byte(struct keys *k, char c)
{
	size_t n = sizeof(PASTE_END) - 1;
	buf_addc(&k->paste, c);
	if (k->paste.len < n || memcmp(k->paste.p + k->paste.len - n, PASTE_END, n))
		return;
	buf_cut(&k->paste, k->paste.len - n);
	k->pasting = false;
	k->on_key(k->user, KEY_PASTE, buf_str(&k->paste), k->paste.len);
	buf_reset(&k->paste);
}

void keys_feed(struct keys *k, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (k->pasting) {
			paste_byte(k, s[i]);
		} else if (k->seq.len || s[i] == '\x1b') {
			buf_addc(&k->seq, s[i]);
			if (k->seq.failed || k->seq.len > SEQ_MAX)
				buf_reset(&k->seq);
			else if (whole(&k->seq))
				special(k);
		} else if (s[i] == 3) {
			k->on_key(k->user, KEY_STOP, "", 0);
		} else if (s[i] == '\n') {
			k->on_key(k->user, KEY_NEWLINE, "", 0);
		} else {
			k->on_key(k->user, KEY_BYTES, s + i, 1);
		}
	}
}

void keys_timeout(struct keys *k)
{
	buf_reset(&k->seq); /* a lone Esc has no meaning here, and readline would wait on it */
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
