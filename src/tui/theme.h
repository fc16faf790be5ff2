/* Themes: files of "key = value" that say which colours the styles have.
 *
 * Searched for in the user's folder (config/themes/NAME.theme), then in the installed one, then among
 * those built in. A value is a list of alternatives, the first that the terminal has is taken:
 * "#rrggbb | 0..255 | name of one of 16 colours | attributes"; colours may carry attributes
 * ("green+bold"). Theme files of btop are accepted too. */
#ifndef AIRLCHAT_TUI_THEME_H
#define AIRLCHAT_TUI_THEME_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "tui/style.h"

enum theme_depth { DEPTH_MONO, DEPTH_16, DEPTH_256, DEPTH_TRUE }; /* what the terminal can do */

#define COLOR_NONE (-1)	      /* the terminal's own */
#define COLOR_RGB 0x1000000   /* | 0xrrggbb; below it a number of the palette */

struct look {
	int32_t fg, bg;
	uint32_t attrs; /* STYLE_BOLD ... */
};

struct theme;

/* Load by name (or by path, if there is a '/' in it). Sentences about lines that were not understood
 * are added to warnings (may be NULL), one a line. NULL with e set if there is no such theme. */
struct theme *theme_load(const char *name, enum theme_depth depth, struct buf *warnings, struct err *e);
void theme_free(struct theme *t);
const char *theme_name(const struct theme *t);
void theme_look(const struct theme *t, style_t st, struct look *out);
/* The names of all themes there are, sorted, one a line. */
void theme_names(struct buf *out);

#endif
