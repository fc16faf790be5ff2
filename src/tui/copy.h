/* Copying to the clipboard: the terminal's own way (OSC 52), and the desktop's tools beside it, since
 * no terminal says whether it listened. */
#ifndef AIRLCHAT_TUI_COPY_H
#define AIRLCHAT_TUI_COPY_H

#include "base/buf.h"

/* The sequence that makes a terminal copy `text`, added to out; false if the text is too long for it. */
bool copy_sequence(const char *text, size_t len, struct buf *out);
/* Hand the text to wl-copy, xclip or tmux, whichever applies and is there; the names of those that
 * took it are added to how, separated by ", ". */
void copy_tools(const char *text, size_t len, struct buf *how);

#endif
