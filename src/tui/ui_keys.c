/* What each key does. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tui/copy.h"
#include "tui/editor.h"
#include "tui/input.h"
#include "tui/paint.h"
#include "tui/term.h"
#include "tui/ui.h"

#define CTRL(c) ((c) & 0x1f)

static void ui_external_editor(struct ui *u)
{
	struct err e = ERR_INIT;
	struct buf text = BUF_INIT;
	const char *line = input_text();
	term_leave();
	int rc = editor_run(line, strlen(line), &text, &e);
	term_return();
	term_drain(); /* interrupts meant for the editor */
	while (text.len && text.p[text.len - 1] == '\n')
		buf_cut(&text, text.len - 1);
	if (rc < 0)
		ui_flash(u, "%s", e.msg);
	else
		input_set(buf_str(&text), text.len);
	buf_clear(&text);
}

/* Keys that move the conversation; true if it was one. */
static bool scroll_key(struct ui *u, enum key k)
{
	int page = u->conv.height > 2 ? u->conv.height - 1 : 1;
	switch (k) {
	case KEY_PAGE_UP:
	case KEY_PAGE_DOWN:
		convview_scroll(&u->conv, k == KEY_PAGE_UP ? -page : page);
		return true;
	case KEY_WHEEL_UP:
	case KEY_WHEEL_DOWN:
		convview_scroll(&u->conv, k == KEY_WHEEL_UP ? -3 : 3);
		return true;
	case KEY_SCROLL_UP:
	case KEY_SCROLL_DOWN:
		convview_scroll(&u->conv, k == KEY_SCROLL_UP ? -1 : 1);
		return true;
	case KEY_TOP:
		convview_home(&u->conv);
		return true;
	case KEY_BOTTOM:
		convview_follow(&u->conv);
		return true;
	default:
		return false;
	}
}

static void click(struct ui *u)
{
	char row[1024], *at;
	struct rect r = u->conv_rect;
	if (u->keys.y < r.y || u->keys.y >= r.y + r.h || u->mode == MODE_HELP)
		return;
	if (u->keys.y == r.y + r.h - 1 && !u->conv.following && u->keys.x > r.x + r.w - 24) {
		convview_follow(&u->conv);
		return;
	}
	grid_row(&u->grid, u->keys.y, row, sizeof(row)); /* the head of a code block says how to copy it */
	at = strstr(row, " /copy ");
	if (at && u->keys.x > u->grid.w / 2)
		cmd_copy(u, at + 7);
}

static bool function_key(struct ui *u, enum key k)
{
	switch ((int)k) {
	case KEY_F1:
		help_enter(u);
		return true;
	case KEY_F1 + 4:
		cmd_copy(u, "");
		return true;
	case KEY_F1 + 5:
		cmd_copy(u, "code");
		return true;
	case KEY_F1 + 9:
		cmd_mouse(u, "");
		return true;
	case KEY_FOLD:
		cmd_fold(u, "");
		return true;
	case KEY_CLICK:
		click(u);
		return true;
	default:
		return false;
	}
}

static bool control_key(struct ui *u, const char *s, size_t len)
{
	if (len != 1 || input_searching())
		return false;
	switch (*s) {
	case CTRL('G'):
		ui_external_editor(u);
		return true;
	case CTRL('S'):
		find_enter(u);
		return true;
	case CTRL('L'):
		paint_forget();
		return true;
	default:
		return false;
	}
}

static void line_key(struct ui *u, enum key k, const char *s, size_t len)
{
	if (k == KEY_PASTE) {
		if (len)
			input_insert(s, len);
	} else if (k == KEY_NEWLINE) {
		input_insert("\n", 1);
	} else if (k == KEY_ENTER) {
		input_key("\r", 1);
	} else if (k == KEY_ESC) {
		if (u->editing)
			ui_stop(u);
		else if (input_vi() || input_searching())
			input_key("\x1b", 1);
	} else if (k == KEY_HOME && input_empty()) {
		convview_home(&u->conv);
	} else if (k == KEY_END && (input_empty() || !u->conv.following)) {
		convview_follow(&u->conv);
		if (!input_empty())
			input_key(s, len);
	} else if (k >= KEY_F1 && k <= KEY_F12) {
		return;
	} else if (k != KEY_BYTES || !control_key(u, s, len)) {
		input_key(s, len);
	}
}

void ui_key(struct ui *u, enum key k, const char *s, size_t len)
{
	u->flash[0] = 0;
	if (k == KEY_BYTES && len == 1 && *s == CTRL('Z')) {
		term_suspend();
		return;
	}
	if (u->popup.open && popup_key(&u->popup, k))
		return;
	if (k == KEY_STOP) {
		ui_stop(u);
		return;
	}
	u->stop_once = false;
	if (u->mode == MODE_HELP && help_key(u, k, s, len))
		return;
	if (u->mode == MODE_FIND && find_key(u, k, s, len))
		return;
	if (u->mode == MODE_LINE && panel_ui_key(u, k, s, len))
		return;
	if (!scroll_key(u, k) && !function_key(u, k))
		line_key(u, k, s, len);
}
