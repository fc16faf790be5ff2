/* The conversation: printable text in lines, wrapped to the width, scrolled by rows. */
#ifndef AIRLCHAT_TUI_CONVVIEW_H
#define AIRLCHAT_TUI_CONVVIEW_H

#include "base/buf.h"
#include "tui/grid.h"

struct convview {
	struct buf text;
	size_t top;  /* the first visible wrapped row when scrolled */
	bool scrolled;
	int rows; /* wrapped rows at the last drawing, and the height then */
	int height;
};

void convview_add(struct convview *c, const char *s, size_t len); /* made printable here */
void convview_line(struct convview *c, const char *s); /* on a line of its own */
void convview_scroll(struct convview *c, int rows);    /* negative: back in time */
void convview_end(struct convview *c);
void convview_draw(struct convview *c, struct grid *g, int y, int rows, bool ascii);

#endif
