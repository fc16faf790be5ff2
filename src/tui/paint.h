/* Painting a grid with curses, which sends only what differs from the last painting. All of curses is
 * here. One thread, one terminal. */
#ifndef AIRLCHAT_TUI_PAINT_H
#define AIRLCHAT_TUI_PAINT_H

#include "base/err.h"
#include "tui/grid.h"
#include "tui/theme.h"

/* Start curses on TERM. *leave: what gives the terminal back, for signal handlers (static). -1 if the
 * terminal is unknown or can't move its cursor. */
int paint_open(const char **leave, struct err *e);
void paint_close(void);
void paint_leave(void);	 /* the normal screen again */
void paint_return(void); /* back to ours; the terminal's modes, set by now, count as those of the screen */
enum theme_depth paint_depth(void);
/* Show g, the cursor at (cx, cy), or hidden if cx < 0. */
void paint(const struct grid *g, const struct theme *t, int cx, int cy, bool utf8);
void paint_forget(void); /* the terminal shows something else now: paint all of it next time */

#endif
