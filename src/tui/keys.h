/* Bytes of the terminal to keys. Sequences and characters may be split anywhere between two reads. */
#ifndef AIRLCHAT_TUI_KEYS_H
#define AIRLCHAT_TUI_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum key {
	KEY_BYTES, /* a character, or a sequence that means nothing here */
	KEY_PASTE,
	KEY_ENTER,
	KEY_NEWLINE, /* Alt-Enter, Ctrl-J, Shift-Enter where the terminal tells it apart */
	KEY_TAB,
	KEY_BACKTAB,
	KEY_ESC, /* alone */
	KEY_STOP, /* Ctrl-C */
	KEY_UP,
	KEY_DOWN,
	KEY_LEFT,
	KEY_RIGHT,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_TOP,    /* Ctrl-Home */
	KEY_BOTTOM, /* Ctrl-End */
	KEY_SCROLL_UP, /* Shift or Ctrl and an arrow */
	KEY_SCROLL_DOWN,
	KEY_WHEEL_UP,
	KEY_WHEEL_DOWN,
	KEY_CLICK, /* at keys.x, keys.y */
	KEY_FOLD,  /* Alt-T */
	KEY_F1,	   /* and the others in order */
	KEY_F12 = KEY_F1 + 11,
};

struct keys {
	struct buf seq, paste;
	bool pasting, lost; /* lost: this paste was too long */
	int x, y;	    /* of the last mouse event, from 0 */
	int skip;	    /* bytes of an old mouse report still to come */
	/* s: the bytes as they came (of a paste: what was pasted), for handing on */
	void (*on_key)(void *user, enum key k, const char *s, size_t len);
	void *user;
};

void keys_feed(struct keys *k, const char *s, size_t len);
void keys_timeout(struct keys *k); /* nothing came after an Esc: it was the key */
bool keys_waiting(const struct keys *k);
void keys_clear(struct keys *k);

#endif
