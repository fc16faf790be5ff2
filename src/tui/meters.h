/* The meters: what was measured, in the rows that the layout gives; '-' where nothing was. All of it
 * is a function of the view, the grid's size, its glyphs and whether it has colours. */
#ifndef AIRLCHAT_TUI_METERS_H
#define AIRLCHAT_TUI_METERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "chat/session.h"
#include "tui/grid.h"
#include "tui/layout.h"

/* Draw all rows of l but conversation, rule, input and hints. */
void meters_draw(struct grid *g, const struct layout *l, const struct session_view *v);

/* Columns of each cause in a bar of `width`; they sum to width, or are all 0 without a pass. */
void meters_shares(const struct trace_pass *p, int width, int out[CAUSES]);
/* The pass that token bar and verdict speak of: the running one while the prompt is computed and before
 * anything has finished, else the last. NULL: nothing yet. */
const struct trace_pass *meters_pass(const struct session_view *v);

/* Why it is slow, as much of it as fits in `columns`; and what would help ("" when nothing is known). */
void verdict_text(const struct session_view *v, const struct glyphs *gl, int columns, struct buf *out);
void verdict_help(const struct session_view *v, int columns, struct buf *out);

/* "qd 9 lat 1.9ms": how many reads were in flight while there were any, and how long one took. */
const char *meters_reads(char *out, size_t cap, const struct session_view *v);
/* "10.4 GB/s busy 42%": copies to the device. */
const char *meters_copies(char *out, size_t cap, const struct session_view *v);

/* For the panels too. The letter of a cause in bars, its name, and its style. */
const char *meters_letter(const struct grid *g, enum cause c);
extern const char *const meters_cause_names[CAUSES];
extern const enum style meters_cause_styles[CAUSES];
/* A sparkline of n values in `width` columns, the newest at the right; 0 is the floor. */
void meters_spark(struct grid *g, int x, int y, int width, style_t st, const double *v, size_t n);
/* A bar of `width` columns, `fraction` of them full. */
void meters_bar(struct grid *g, int x, int y, int width, enum style st, double fraction);
void meters_right(struct grid *g, int y, style_t st, const char *s); /* ends at the right edge */

/* Parts of meters_draw that lie in files of their own. */
void meters_gauges(struct grid *g, const struct layout *l, const struct session_view *v);

#endif
