/* The characters that drawings are made of: one set in Unicode, one in ASCII. A setting of its own,
 * not part of a theme. */
#ifndef AIRLCHAT_TUI_GLYPHS_H
#define AIRLCHAT_TUI_GLYPHS_H

#include <stdbool.h>

struct glyphs {
	const char *full, *dark, *medium, *light, *empty; /* of bars: "█▓▒░·" */
	const char *level[9];				  /* " ▁▂▃▄▅▆▇█" */
	const char *hline, *vline, *cross, *corner[4];	  /* "─│┼┌┐└┘" */
	const char *who;				  /* behind a name: "▸" */
	const char *up, *down, *bullet, *dot, *saved, *ellipsis, *thumb, *cursor, *times, *check;
	bool ascii;
};

extern const struct glyphs glyphs_unicode, glyphs_ascii;

#endif
