/* The panels' parts. Private to the panel_*.c files. */
#ifndef AIRLCHAT_TUI_PANEL_PRIVATE_H
#define AIRLCHAT_TUI_PANEL_PRIVATE_H

#include "tui/panel.h"

void panel_layers_draw(struct panel *p, struct grid *g, struct rect r, struct trace *t,
	const struct session_view *v);
bool panel_layers_key(struct panel *p, int key);
void panel_timeline_draw(struct panel *p, struct grid *g, struct rect r, struct trace *t,
	const struct session_view *v);
bool panel_timeline_key(struct panel *p, int key);
void panel_gauges_draw(struct panel *p, struct grid *g, struct rect r, const struct session_view *v);

/* A line of text in the panel, cut at its right edge; nothing below its last row. */
void panel_line(struct grid *g, struct rect r, int row, style_t st, const char *s);

#endif
