/* Which rows each part of the screen gets: a pure function of the size. */
#ifndef AIRLCHAT_TUI_LAYOUT_H
#define AIRLCHAT_TUI_LAYOUT_H

#include <stdbool.h>

#define LAYOUT_WIDE 80 /* from here on meters have labels and legends */

/* A row number, or -1 when the part is not shown. From top to bottom; conv_rows >= 1 when h > 1. */
struct layout {
	int w;
	int title, conv, conv_rows;
	int verdict, help;	/* why it is slow; what would help */
	int token, legend;	/* the token bar; what its letters mean, and the pace of the last tokens */
	int cost, where, run, run_legend;
	int gauges;		/* all in one row, when narrow */
	int vram, ram, disk;	/* a row each, when wide */
	int rule, input, input_rows, hints;
};

/* vram: the device has memory of its own. */
struct layout screen_layout(int w, int h, int input_lines, bool vram);

#endif
