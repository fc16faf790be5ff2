/* A frame as cells: what the state of the screen looks like at a size. No terminal, no clock. */
#include <stdio.h>
#include <string.h>

#include "tui/format.h"
#include "tui/layout.h"
#include "tui/meters.h"
#include "tui/ui.h"

/* "[2 queued]" and the like, at the right end of the input's last row, or above it. */
static void draw_queue(struct ui *u, const struct layout *l)
{
	char s[64];
	int y = l->input + l->input_rows - 1, len = 0;
	if (u->attached)
		len = snprintf(s, sizeof(s), "[files: %s]", fmt_bytes(FMT, u->attached));
	if (u->queued)
		len += snprintf(s + len, sizeof(s) - (size_t)len, "[%zu queued]", u->queued);
	bool free_cells = true;
	for (int x = u->grid.w - len - 1; x >= 0 && x < u->grid.w; x++)
		free_cells &= u->grid.c[y * u->grid.w + x].cp == ' ' && (x != u->cx || y != u->cy);
	if (!free_cells && l->rule >= 0)
		y = l->rule;
	if (len > 0 && len < u->grid.w && (free_cells || y == l->rule))
		grid_put(&u->grid, u->grid.w - len, y, len, ST_DIM, s, (size_t)len);
}

/* Key by key from column x on, as many as end before column `end`. */
static void draw_hints(struct grid *g, int *x, int y, int end, const struct hint *h)
{
	for (; h->key; h++) {
		int key = (int)strlen(h->key), what = (int)strlen(h->what);
		if (*x + key + (what ? 1 + what : 0) > end)
			return;
		*x += grid_puts(g, *x, y, key, ST_KEY, h->key) + (what > 0);
		*x += grid_puts(g, *x, y, what, ST_DIM, h->what) + 2;
	}
}

/* The keys that mean something now. */
static void draw_keys(struct ui *u, int y, int end)
{
	static const struct hint list[] = {{"Up Down", "choose"}, {"Enter", "take"}, {"Esc", "leave"}, {0}},
		find[] = {{"Enter", "older"}, {"Tab", "newer"}, {"Esc", "leave"}, {0}},
		help[] = {{"Up Down PgUp PgDn", "scroll"}, {"q", "close"}, {0}},
		edit[] = {{"Enter", "answer anew"}, {"Esc", "leave"}, {"^G", "$EDITOR"}, {0}},
		typed[] = {{"Enter", "queue"}, {"^C", "clear"}, {0}}, busy[] = {{"^C", "stop"}, {0}},
		idle[] = {{"^D", "quit"}, {0}}, sent[] = {{"Enter", "send"}, {"^C", "clear"}, {0}},
		rest[] = {{"F1", "help"}, {"F2", "layers"}, {"F3", "timeline"}, {"F4", "gauges"}, {"^G", "$EDITOR"},
			{"^S", "find"}, {"/theme", ""}, {0}};
	int x = 0;
	if (u->popup.open) {
		draw_hints(&u->grid, &x, y, end, list);
	} else if (u->mode != MODE_LINE) {
		draw_hints(&u->grid, &x, y, end, u->mode == MODE_FIND ? find : help);
	} else if (u->panel.kind != PANEL_NONE && !u->line.len) {
		draw_hints(&u->grid, &x, y, end, panel_hints(&u->panel));
	} else if (u->editing) {
		draw_hints(&u->grid, &x, y, end, edit);
	} else {
		const struct hint *first = u->line.len ? (u->view.busy ? typed : sent) : u->view.busy ? busy : idle;
		draw_hints(&u->grid, &x, y, end, first);
		draw_hints(&u->grid, &x, y, end, rest);
	}
}

/* The last line: a word about the last key, or which keys there are; the settings at its right. */
static void draw_status(struct ui *u, int y)
{
	struct grid *g = &u->grid;
	char s[192];
	int right = snprintf(s, sizeof(s), "%s%s%s", u->status, u->saved ? g->glyphs->saved : "",
		u->saved ? " saved" : u->name ? "" : "not kept");
	int w = grid_width(s, right > 0 ? strlen(s) : 0);
	if (*u->flash) {
		grid_puts(g, 0, y, g->w, ST_KEY, u->flash);
		return;
	}
	if (w < g->w / 2)
		grid_puts(g, g->w - w, y, w, ST_DIM, s);
	else
		w = -2;
	draw_keys(u, y, g->w - w - 2);
}

int compose(struct ui *u, int w, int h)
{
	struct grid *g = &u->grid;
	if (w < 1 || h < 1 || grid_resize(g, w, h))
		return -1;
	bool vram = u->view.why.plan && u->view.why.plan->vram_bytes;
	struct layout l = screen_layout(w, h, u->mode == MODE_FIND ? 1 : input_rows(&u->line, w), vram);
	u->conv_rect = (struct rect){0, l.conv, w, l.conv_rows};
	if (u->mode == MODE_HELP)
		help_draw(u, u->conv_rect);
	else if (u->panel.kind != PANEL_NONE)
		panel_draw(&u->panel, g, u->conv_rect, u->trace, &u->view);
	else if (l.conv_rows > 0)
		convview_draw(&u->conv, g, u->conv_rect);
	meters_draw(g, &l, &u->view);
	if (l.rule >= 0)
		grid_fill(g, (struct rect){0, l.rule, w, 1}, ST_LINE, g->glyphs->hline);
	u->cx = -1;
	u->cy = l.input;
	if (u->mode == MODE_FIND)
		find_draw(u, l.input, &u->cx);
	else
		input_draw(&u->line, g, l.input, l.input_rows, &u->cx, &u->cy);
	draw_queue(u, &l);
	if (l.hints >= 0)
		draw_status(u, l.hints);
	popup_draw(&u->popup, g, l.conv, l.input - 1);
	return 0;
}
