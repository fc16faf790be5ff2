/* The terminal: taken by term_open, given back on every way out. One thread, one terminal. */
#ifndef AIRLCHAT_TUI_TERM_H
#define AIRLCHAT_TUI_TERM_H

#include <stdbool.h>

#include "base/err.h"
#include "tui/grid.h"

int term_open(bool color, struct err *e);
void term_close(void);
int term_signal_fd(void); /* each byte read from it is a signal number */
void term_suspend(void);  /* ^Z: returns when continued */
void term_size(int *w, int *h);
void term_paint(const struct grid *g, int cx, int cy);

#endif
