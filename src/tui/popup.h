/* A list to choose from, drawn in a frame above the input line. One at a time. */
#ifndef AIRLCHAT_TUI_POPUP_H
#define AIRLCHAT_TUI_POPUP_H

#include <stdbool.h>
#include <stddef.h>

#include "tui/grid.h"
#include "tui/keys.h"

struct popup_item {
	char *text, *hint; /* owned, printable; hint may be NULL */
	long value;	   /* the opener's */
};

struct popup {
	struct popup_item *items;
	size_t n, cap, at, top;
	bool open;
	char title[48];
	/* Called for the item under the bar: when it moves there, when it is chosen (the list is closed
	 * then), and with NULL when the list is left without a choice. Any may be NULL. */
	void (*moved)(void *user, const struct popup_item *it);
	void (*chosen)(void *user, const struct popup_item *it);
	void (*left)(void *user);
	void *user;
};

void popup_begin(struct popup *p, const char *title, void *user); /* empty, callbacks unset */
void popup_add(struct popup *p, const char *text, const char *hint, long value); /* made printable */
void popup_show(struct popup *p, size_t at); /* with the bar there; nothing if there are no items */
void popup_clear(struct popup *p);

/* True if the key was for the list. Others close it (as Esc does) and return false. */
bool popup_key(struct popup *p, enum key k);
/* Draw it with its lower edge on row `bottom` and not above row `top`. */
void popup_draw(struct popup *p, struct grid *g, int top, int bottom);

#endif
