/* The panels that say why it is slow: F2 layer table, F3 timeline, F4 gauges. One of them at a time
 * takes the conversation's rows; it gets the keys while it is open. */
#ifndef AIRLCHAT_TUI_PANEL_H
#define AIRLCHAT_TUI_PANEL_H

#include <stdbool.h>

#include "chat/session.h"
#include "tui/grid.h"

enum panel_kind { PANEL_NONE, PANEL_LAYERS, PANEL_TIMELINE, PANEL_GAUGES, PANELS };

/* Keys for panel_key; others are characters. */
enum { PANEL_UP = 0x110000, PANEL_DOWN, PANEL_LEFT, PANEL_RIGHT, PANEL_PAGE_UP, PANEL_PAGE_DOWN,
       PANEL_HOME, PANEL_END };

struct panel { /* zeroed: closed */
	enum panel_kind kind;
	int top, rows;		 /* first visible row of the table, and how many were visible */
	int sort;		 /* column of the table */
	bool reverse, copies, experts; /* the table has columns for them */
	bool frozen;		 /* the timeline holds its pass instead of following the last one */
	uint64_t pass;		 /* the pass that is shown, when frozen */
	double zoom, at;	 /* timeline: >= 1 (0: 1); left edge as a fraction of the pass */
	struct trace_log log;	 /* timeline: the pass being shown */
	struct trace_layer_stats *stats; /* table: [n_layers + 1] */
	uint32_t *order;	 /* table: [n_layers + 1] */
};

void panel_open(struct panel *p, enum panel_kind kind); /* closes it if it is that one already */
void panel_clear(struct panel *p);			/* frees; closed */
/* t may be NULL (nothing measured yet). */
void panel_draw(struct panel *p, struct grid *g, struct rect r, struct trace *t,
	const struct session_view *v);
/* True when the key meant something (draw again); 'q' closes. */
bool panel_key(struct panel *p, int key);

struct hint { /* for the last line; a list ends with key == NULL */
	const char *key, *what;
};
const struct hint *panel_hints(const struct panel *p);

#endif
