/* The meters as text, from what was measured; '-' where nothing was. */
#ifndef AIRLCHAT_TUI_METERS_H
#define AIRLCHAT_TUI_METERS_H

#include <stdbool.h>
#include <stddef.h>

#include "chat/session.h"
#include "tui/grid.h"

/* Columns of each cause in a bar of `width`; they sum to width, or are all 0 without a pass. */
void meters_shares(const struct trace_pass *p, int width, int out[CAUSES]);
/* One sentence about the last pass. */
void verdict_text(const struct session_view *v, char *out, size_t cap);

void meters_title(struct grid *g, int y, const struct session_view *v);
void meters_token(struct grid *g, int y, const struct session_view *v, bool ascii);
void meters_run(struct grid *g, int y, const struct session_view *v, bool ascii);
void meters_gauges(struct grid *g, int y, const struct session_view *v);

#endif
