/* Painting a grid on the terminal: only what differs from the last painting is sent. Terminfo says
 * how; windows of curses are not used, since they know neither true colours nor emoji. */
#ifndef AIRLCHAT_TUI_PAINT_H
#define AIRLCHAT_TUI_PAINT_H

#include "base/err.h"
#include "tui/grid.h"
#include "tui/theme.h"

/* Reads TERM's description. Strings of it that enter and leave the screen come back in *enter, *leave
 * (static). -1 if the terminal can't move its cursor. */
int paint_open(const char **enter, const char **leave, struct err *e);
void paint_close(void);
enum theme_depth paint_depth(void); /* of the terminal; COLORTERM counts */
/* The bytes that bring the terminal from the last grid painted to g, the cursor at (cx, cy), or hidden
 * if cx < 0; they are added to out. */
void paint(const struct grid *g, const struct theme *t, int cx, int cy, bool utf8, struct buf *out);
void paint_forget(void); /* the terminal shows something else now: paint all of it next time */

#endif
