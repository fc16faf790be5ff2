/* One frame: the layout's parts drawn on the grid, and the grid on the terminal. */
#include <stdio.h>
#include <string.h>

#include "tui/input.h"
#include "tui/layout.h"
#include "tui/meters.h"
#include "tui/paint.h"
#include "tui/term.h"
#include "tui/ui.h"

/* "[2 queued]" and the like, at the right end of the input's last row. */
static void draw_queue(struct ui *u, int y, int cx, int cy)
{
	char s[64];
	size_t n = session_queued(u->s), file = session_attached(u->s);
	int len = 0;
	if (file)
		len = snprintf(s, sizeof(s), "[+%zu bytes of files]", file);
	if (n)
		len += snprintf(s + len, sizeof(s) - (size_t)len, "[%zu queued]", n);
	if (len <= 0 || len >= u->grid.w / 2 || (cy == y && cx >= u->grid.w - len - 1))
		return;
	grid_put(&u->grid, u->grid.w - len, y, len, ST_DIM, s, (size_t)len);
}

/* The last line: a word about the last key, or which keys there are; the settings at its right. */
static void draw_status(struct ui *u, int y)
{
	static const char *const keys[][2] = {{"^C", "stop"}, {"F1", "help"}, {"F2", "layers"},
		{"F3", "timeline"}, {"F4", "gauges"}, {"^G", "$EDITOR"}, {"^S", "find"}, {"/theme", ""}};
	struct grid *g = &u->grid;
	char s[192];
	int right = snprintf(s, sizeof(s), "%s%s%s", u->status, u->saved ? g->glyphs->saved : "",
		u->saved ? " saved" : u->name ? "" : "not kept");
	int w = grid_width(s, right > 0 ? strlen(s) : 0), x = 0;
	if (*u->flash) {
		grid_puts(g, 0, y, g->w, ST_KEY, u->flash);
		return;
	}
	if (w < g->w / 2)
		grid_puts(g, g->w - w, y, w, ST_DIM, s);
	else
		w = 0;
	if (u->panel.kind != PANEL_NONE && u->mode == MODE_LINE) {
		grid_puts(g, 0, y, g->w - w - 1, ST_DIM, panel_keys(&u->panel));
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		int need = (int)(strlen(keys[i][0]) + strlen(keys[i][1])) + 3;
		if (x + need > g->w - w)
			break;
		x += grid_puts(g, x, y, need, ST_KEY, keys[i][0]) + (*keys[i][1] != 0);
		x += grid_puts(g, x, y, need, ST_DIM, keys[i][1]) + 2;
	}
}

void ui_draw(struct ui *u)
{
	int w, h, cx = -1, cy = 0;
	struct grid *g = &u->grid;
	term_size(&w, &h);
	if (w < 1 || h < 1 || grid_resize(g, w, h))
		return;
	bool vram = u->view.why.plan && u->view.why.plan->vram_bytes;
	struct layout l = screen_layout(w, h, input_rows(w), vram);
	u->conv_rect = (struct rect){0, l.conv, w, l.conv_rows};
	if (u->mode == MODE_HELP)
		help_draw(u, u->conv_rect);
	else if (u->panel.kind != PANEL_NONE)
		panel_draw(&u->panel, g, u->conv_rect, u->s, &u->view);
	else if (l.conv_rows > 0)
		convview_draw(&u->conv, g, u->conv_rect);
	meters_draw(g, &l, &u->view);
	if (l.rule >= 0)
		grid_fill(g, (struct rect){0, l.rule, w, 1}, ST_LINE, g->glyphs->hline);
	cy = l.input;
	if (u->mode == MODE_FIND)
		find_draw(u, l.input, &cx);
	else
		input_draw(g, l.input, l.input_rows, u->editing ? "edit> " : NULL, &cx, &cy);
	draw_queue(u, l.input + l.input_rows - 1, cx, cy);
	if (l.hints >= 0)
		draw_status(u, l.hints);
	popup_draw(&u->popup, g, l.conv, l.input - 1);
	paint(g, u->theme, cx, cy, term_utf8());
	if (u->after.len) { /* between frames: nothing of a frame is split by it */
		term_write(buf_str(&u->after), u->after.len);
		buf_reset(&u->after);
	}
}
