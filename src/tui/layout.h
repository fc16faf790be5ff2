/* Which rows each part of the screen gets: a pure function of the size. */
#ifndef AIRLCHAT_TUI_LAYOUT_H
#define AIRLCHAT_TUI_LAYOUT_H

/* A row number, or -1 when the part is not shown. conv_* is at least one row when h > 1. */
struct layout {
	int title, verdict, token, run, gauges, input, input_rows, conv, conv_rows;
};

struct layout layout_make(int w, int h, int input_lines);

#endif
