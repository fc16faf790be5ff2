#include "tui/layout.h"

#include <stddef.h>

enum need { ALWAYS, WIDE, NARROW, VRAM };

/* In the order in which parts get their rows as the window grows; shrinking takes them away from the
 * end: where, the lines with sparklines, cost, gauges, and then the rest. */
static const struct part {
	size_t row;
	enum need need;
	int least; /* rows of conversation that there must be beside it */
} parts[] = {
	{offsetof(struct layout, verdict), ALWAYS, 1}, {offsetof(struct layout, token), ALWAYS, 1},
	{offsetof(struct layout, title), ALWAYS, 1},   {offsetof(struct layout, run), ALWAYS, 2},
	{offsetof(struct layout, hints), ALWAYS, 2},   {offsetof(struct layout, rule), ALWAYS, 3},
	{offsetof(struct layout, gauges), NARROW, 3},  {offsetof(struct layout, disk), WIDE, 3},
	{offsetof(struct layout, ram), WIDE, 3},       {offsetof(struct layout, vram), VRAM, 4},
	{offsetof(struct layout, help), WIDE, 4},      {offsetof(struct layout, cost), ALWAYS, 5},
	{offsetof(struct layout, legend), WIDE, 5},    {offsetof(struct layout, run_legend), WIDE, 6},
	{offsetof(struct layout, where), WIDE, 7},
};

#define PARTS (sizeof(parts) / sizeof(*parts))
#define ROW(l, part) (*(int *)(void *)((char *)(l) + (part)->row))

static bool wanted(const struct part *p, int w, bool vram)
{
	bool wide = w >= LAYOUT_WIDE;
	return w >= 10 && (p->need == ALWAYS || (p->need == NARROW && !wide) || (p->need == WIDE && wide) ||
				  (p->need == VRAM && wide && vram));
}

struct layout screen_layout(int w, int h, int input_lines, bool vram)
{
	static const size_t order[] = {offsetof(struct layout, verdict), offsetof(struct layout, help),
		offsetof(struct layout, token), offsetof(struct layout, legend), offsetof(struct layout, cost),
		offsetof(struct layout, where), offsetof(struct layout, run), offsetof(struct layout, run_legend),
		offsetof(struct layout, gauges), offsetof(struct layout, vram), offsetof(struct layout, ram),
		offsetof(struct layout, disk), offsetof(struct layout, rule)};
	struct layout l = {.w = w};
	int left = h - 1, lines = 1, most = h / 4;
	for (size_t i = 0; i < PARTS; i++)
		ROW(&l, &parts[i]) = -1;
	for (size_t i = 0; i < PARTS; i++) {
		/* what is being typed comes before the parts that are there for comfort */
		if (parts[i].least >= 3)
			for (; lines < input_lines && lines < most && left > 3; lines++)
				left--;
		if (!wanted(&parts[i], w, vram))
			continue;
		if (left - 1 < parts[i].least)
			break;
		ROW(&l, &parts[i]) = 0;
		left--;
	}
	l.input_rows = lines;
	l.conv_rows = left;
	int y = 0;
	if (l.title == 0)
		y++;
	l.conv = y;
	y += left;
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		int *row = (int *)(void *)((char *)&l + order[i]);
		if (*row == 0)
			*row = y++;
	}
	l.input = y;
	if (l.hints == 0)
		l.hints = y + lines;
	return l;
}
