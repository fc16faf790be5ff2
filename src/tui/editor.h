/* Editing a text in the user's editor. The terminal must have been left. */
#ifndef AIRLCHAT_TUI_EDITOR_H
#define AIRLCHAT_TUI_EDITOR_H

#include "base/buf.h"
#include "base/err.h"

/* Run $VISUAL, $EDITOR or vi on a private temporary file with this text; what it holds afterwards is
 * added to out. */
int editor_run(const char *text, size_t len, struct buf *out, struct err *e);

#endif
