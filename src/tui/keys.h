/* Bytes of the terminal to keys. Sequences may be split anywhere between two reads. */
#ifndef AIRLCHAT_TUI_KEYS_H
#define AIRLCHAT_TUI_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum key { KEY_BYTES, KEY_PASTE, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_VIEW_END, KEY_WHEEL_UP, KEY_WHEEL_DOWN,
	   KEY_NEWLINE, KEY_STOP };

struct keys {
	struct buf seq, paste;
	bool pasting;
	void (*on_key)(void *user, enum key k, const char *s, size_t len);
	void *user;
};

void keys_feed(struct keys *k, const char *s, size_t len);
void keys_timeout(struct keys *k); /* nothing came after an Esc: it was the key */
bool keys_waiting(const struct keys *k);
void keys_clear(struct keys *k);

#endif
