/* F1: the keys and the commands. */
#include <stdio.h>
#include <string.h>

#include "tui/ui.h"

static const char *const keys[][2] = {
	{"Enter", "send; while an answer is made, messages wait in a queue"},
	{"Alt-Enter, Ctrl-J", "a new line in the message"},
	{"Ctrl-C", "clear the line, stop the answer; twice: quit"},
	{"Ctrl-D", "quit, on an empty line"},
	{"Ctrl-G", "write the message in $VISUAL or $EDITOR"},
	{"Tab", "complete commands, files, sessions, themes, parameters"},
	{"Up, Down, Ctrl-R", "earlier messages, also of other days"},
	{"PgUp, PgDn, wheel", "scroll; Shift-Up and Shift-Down: by one row"},
	{"Home, End", "top and end of the conversation, on an empty line; else with Ctrl"},
	{"Ctrl-S", "search the conversation: Enter older, Tab newer, Esc leaves"},
	{"Alt-T", "fold or unfold the reasoning"},
	{"F2, F3, F4", "why it is slow: the layers, a timeline, all gauges; the same key or Esc closes"},
	{"F5, F6", "copy the last answer, the last code block; or click on \"/copy N\""},
	{"F10", "the mouse selects text, or scrolls again"},
	{"Ctrl-L", "draw the screen anew"},
	{"Ctrl-Z", "suspend; fg comes back"},
};

void help_enter(struct ui *u)
{
	if (u->mode == MODE_FIND)
		convview_find(&u->conv, "", 0);
	u->mode = u->mode == MODE_HELP ? MODE_LINE : MODE_HELP;
	u->help_top = 0;
}

static int last_top(const struct ui *u)
{
	int n = (int)u->help.n - u->conv_rect.h;
	return n > 0 ? n : 0;
}

bool help_key(struct ui *u, enum key k, const char *s, size_t len)
{
	int page = u->conv_rect.h > 2 ? u->conv_rect.h - 1 : 1, top = u->help_top;
	switch (k) {
	case KEY_UP:
	case KEY_DOWN:
	case KEY_SCROLL_UP:
	case KEY_SCROLL_DOWN:
		top += k == KEY_UP || k == KEY_SCROLL_UP ? -1 : 1;
		break;
	case KEY_WHEEL_UP:
	case KEY_WHEEL_DOWN:
		top += k == KEY_WHEEL_UP ? -3 : 3;
		break;
	case KEY_PAGE_UP:
	case KEY_PAGE_DOWN:
		top += k == KEY_PAGE_UP ? -page : page;
		break;
	case KEY_HOME:
	case KEY_END:
		top = k == KEY_HOME ? 0 : last_top(u);
		break;
	case KEY_ESC:
	case KEY_F1:
		u->mode = MODE_LINE;
		return true;
	default:
		u->mode = MODE_LINE; /* and the key is for the line */
		return len == 1 && *s == 'q';
	}
	u->help_top = top < 0 ? 0 : top > last_top(u) ? last_top(u) : top;
	return true;
}

/* "left   right", the right part broken under itself. */
static void entry(struct rows *r, struct para *p, const char *left, size_t left_len, const char *right,
	int width)
{
	struct para first = {0}, rest = {0};
	int column = width >= 60 ? 24 : 2, n = grid_width(left, left_len);
	para_reset(p);
	if (width < 60) {
		para_add(p, ST_KEY, left, left_len);
		rows_wrap(r, p, width, NULL, false, ST_TEXT);
		para_reset(p);
		n = 0;
	} else {
		para_add(&first, ST_KEY, left, left_len);
	}
	for (int i = n < column ? n : column - 1; i < column; i++)
		para_add(&first, ST_TEXT, " ", 1);
	for (int i = 0; i < column; i++)
		para_add(&rest, ST_TEXT, " ", 1);
	para_add(p, ST_TEXT, right, strlen(right));
	const struct indent in = {&first, &rest};
	rows_wrap(r, p, width, &in, false, ST_TEXT);
	para_clear(&first);
	para_clear(&rest);
}

static void title(struct rows *r, struct para *p, const char *s, int width)
{
	para_reset(p);
	para_add(p, ST_TITLE, s, strlen(s));
	rows_wrap(r, p, width, NULL, false, ST_TEXT);
}

static void build(struct ui *u, int width)
{
	struct para p = {0};
	const char *name, *args, *help;
	rows_cut(&u->help, 0);
	title(&u->help, &p, "Keys", width);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		entry(&u->help, &p, keys[i][0], strlen(keys[i][0]), keys[i][1], width);
	title(&u->help, &p, "", width);
	title(&u->help, &p, "Commands", width);
	for (size_t i = 0; command_nth(i, &name, &args, &help); i++) {
		char left[64];
		int n = snprintf(left, sizeof(left), "%s %s", name, args);
		entry(&u->help, &p, left, (size_t)n, help, width);
	}
	para_clear(&p);
	u->help_width = width;
}

void help_draw(struct ui *u, struct rect r)
{
	int width = r.w - (r.w > 2 ? 2 : 0);
	if (u->help_width != width || !u->help.n)
		build(u, width > 4 ? width : 4);
	for (int y = 0; y < r.h && u->help_top + y < (int)u->help.n; y++)
		rows_draw(&u->help, (size_t)(u->help_top + y), &u->grid, r.x + (r.w > 2), r.y + y, width);
}
