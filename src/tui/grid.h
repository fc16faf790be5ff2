/* A grid of character cells in memory; what is drawn there is compared in tests or painted on the
 * terminal. A cell holds one user-perceived character: a base with its combining marks, an emoji
 * sequence; wide ones take two cells. */
#ifndef AIRLCHAT_TUI_GRID_H
#define AIRLCHAT_TUI_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tui/glyphs.h"
#include "tui/style.h"

#define CELL_CLUSTER 0x80000000u /* cp: with this bit an offset into the grid's clusters */

struct cell {
	uint32_t cp; /* 0: the right half of a wide character */
	style_t style;
};

struct grid {
	int w, h;
	struct cell *c;			/* [h * w], owned */
	struct buf clusters;		/* characters of several code points, each terminated */
	const struct glyphs *glyphs;	/* never NULL after grid_resize */
	bool mono;			/* no colours: parts of a bar need letters of their own */
};

struct rect {
	int x, y, w, h;
};

int grid_resize(struct grid *g, int w, int h); /* clears; -1 when out of memory */
int grid_copy(struct grid *to, const struct grid *g); /* the cells; -1 when out of memory */
void grid_free(struct grid *g);
/* The next user-perceived character of valid UTF-8: its bytes, and its columns in *w. */
size_t grid_cluster(const char *s, size_t len, int *w);
int grid_width(const char *s, size_t len); /* columns of a text */

/* Write valid UTF-8 at (x, y), cut at column x + max and at the edges; returns the columns used.
 * Nothing that moves a cursor is ever written: controls are skipped. */
int grid_put(struct grid *g, int x, int y, int max, style_t st, const char *s, size_t len);
int grid_puts(struct grid *g, int x, int y, int max, style_t st, const char *s);
void grid_fill(struct grid *g, struct rect r, style_t st, const char *glyph);
void grid_frame(struct grid *g, struct rect r, style_t st, const char *title);
/* Add or take the style of cells that are there already. */
void grid_restyle(struct grid *g, struct rect r, style_t clear, style_t set);

size_t grid_cell_text(const struct grid *g, const struct cell *c, char *out, size_t cap);
bool grid_cell_same(const struct grid *a, const struct cell *x, const struct grid *b,
	const struct cell *y);
/* Row y as UTF-8 into out, terminated; returns its length. */
size_t grid_row(const struct grid *g, int y, char *out, size_t cap);

#endif
