/* What a theme file says, key by key, before the terminal's abilities choose. */
#ifndef AIRLCHAT_TUI_THEME_PRIVATE_H
#define AIRLCHAT_TUI_THEME_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "tui/theme.h"

/* One value: its alternatives. */
struct theme_value {
	bool set;		/* the key was given */
	bool rgb_set, c256_set, c16_set;
	int32_t rgb, c256, c16; /* c16 may be COLOR_NONE: "default" */
	uint32_t attrs[4];	/* with rgb, c256, c16, and without colour */
};

#define THEME_FLAT (ST_DISK)		   /* items with one colour each */
#define THEME_GRADIENTS (STYLES - ST_DISK) /* items with three */
enum { THEME_MAIN_BG = THEME_FLAT, THEME_SELECTED_BG, THEME_CODE_BG, THEME_GRADIENT };
#define THEME_KEYS (THEME_GRADIENT + 3 * THEME_GRADIENTS)

struct theme_file {
	struct theme_value v[THEME_KEYS];
};

/* Read NAME and what it inherits from; values that are set already stay. */
int theme_file_load(struct theme_file *f, const char *name, struct buf *warnings, struct err *e);

/* Themes built in: name and text, ended by a NULL name. */
struct theme_builtin {
	const char *name, *text;
};
extern const struct theme_builtin theme_builtins[];

#endif
