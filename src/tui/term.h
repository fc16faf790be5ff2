/* The terminal: taken by term_open, given back on every way out: close, exit, a crash, a suspension.
 * What the program and its libraries print on stderr meanwhile is kept and shown at the end.
 * One thread, one terminal. */
#ifndef AIRLCHAT_TUI_TERM_H
#define AIRLCHAT_TUI_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

int term_open(bool mouse, struct err *e);
void term_close(void);
int term_signal_fd(void); /* each byte read from it is a signal number */
void term_suspend(void);  /* ^Z: returns when continued */
void term_leave(void);	  /* for another program on the terminal, and back */
void term_return(void);
void term_drain(void); /* forget interrupts and suspensions that came meanwhile */
void term_mouse(bool on); /* off: the terminal selects text */
void term_size(int *w, int *h);
void term_write(const char *s, size_t len); /* between frames */
bool term_utf8(void);			    /* the terminal's characters are UTF-8 */
/* Where they are not: take its locale for this thread, for painting, or give it back. */
void term_locale(bool of_terminal);
void term_typed(const char *s, size_t len, struct buf *out); /* what was read, as UTF-8 */

#endif
