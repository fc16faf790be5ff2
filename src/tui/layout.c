#include "tui/layout.h"

/* Parts leave in this order as rows get scarce: gauges, run, title, token, verdict. */
struct layout layout_make(int w, int h, int input_lines)
{
	struct layout l = {-1, -1, -1, -1, -1, -1, 0, 0, 0};
	int most = h / 4 > 1 ? h / 4 : 1, left = h, top = 0;
	l.input_rows = input_lines < 1 ? 1 : input_lines > most ? most : input_lines;
	l.input = h - l.input_rows;
	left = l.input;
	int spare = left - 1; /* the conversation's own row */
	int verdict = spare >= 2 && w >= 10, token = spare >= 3 && w >= 10;
	int title = spare >= 4, run = spare >= 6 && w >= 10, gauges = spare >= 7;
	int y = left - verdict - token - run - gauges;
	if (title)
		l.title = top++;
	l.conv = top;
	l.conv_rows = y - top > 0 ? y - top : 0;
	if (verdict)
		l.verdict = y++;
	if (token)
		l.token = y++;
	if (run)
		l.run = y++;
	if (gauges)
		l.gauges = y++;
	return l;
}
