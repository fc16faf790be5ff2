/* The line being typed: readline does the editing, we read and draw. One at a time. */
#ifndef AIRLCHAT_TUI_INPUT_H
#define AIRLCHAT_TUI_INPUT_H

#include <stddef.h>

#include "tui/grid.h"

void input_open(void (*on_line)(void *user, char *line), void *user); /* line NULL: Ctrl-D */
void input_close(void);
void input_bytes(const char *s, size_t len);
void input_insert(const char *s, size_t len); /* a paste or a newline, as text */
void input_discard(void);
int input_empty(void);
int input_lines(void);
/* Draw the last `rows` lines up to the cursor; where the cursor is goes to *cx, *cy. */
void input_draw(struct grid *g, int y, int rows, int *cx, int *cy);

#endif
