/* A grid of character cells in memory; what is drawn there is compared in tests or sent to curses. */
#ifndef AIRLCHAT_TUI_GRID_H
#define AIRLCHAT_TUI_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum style {
	ST_TEXT,
	ST_TITLE,
	ST_USER,
	ST_DISK,
	ST_COPY,
	ST_COMPUTE,
	ST_OTHER,
	ST_DIM,
	ST_ERROR,
	STYLES
};

struct cell {
	uint32_t cp; /* 0: the right half of a wide character */
	uint8_t style;
};

struct grid {
	int w, h;
	struct cell *c; /* [h * w], owned */
};

int grid_resize(struct grid *g, int w, int h); /* clears; -1 when out of memory */
void grid_free(struct grid *g);
int grid_columns(uint32_t cp); /* 0, 1 or 2 */
/* Write valid UTF-8 at (x, y), cut at column x + max and at the edges; returns the columns used. */
int grid_put(struct grid *g, int x, int y, int max, enum style st, const char *s, size_t len);
/* Row y as UTF-8 into out, terminated; returns its length. */
size_t grid_row(const struct grid *g, int y, char *out, size_t cap);

#endif
