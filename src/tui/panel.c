#include "tui/panel.h"

#include <stdlib.h>
#include <string.h>

#include "tui/panel_private.h"

void panel_open(struct panel *p, enum panel_kind kind)
{
	enum panel_kind old = p->kind;
	p->kind = old == kind ? PANEL_NONE : kind;
	p->top = 0;
	p->frozen = false;
}

void panel_clear(struct panel *p)
{
	trace_log_clear(&p->log);
	free(p->stats);
	free(p->order);
	*p = (struct panel){0};
}

void panel_line(struct grid *g, struct rect r, int row, style_t st, const char *s)
{
	if (row >= 0 && row < r.h)
		grid_puts(g, r.x, r.y + row, r.w, st, s);
}

void panel_draw(struct panel *p, struct grid *g, struct rect r, struct trace *t, const struct session_view *v)
{
	if (r.w < 1 || r.h < 1)
		return;
	if (p->kind == PANEL_GAUGES)
		panel_gauges_draw(p, g, r, v);
	else if (!t || v->trace.passes == 0)
		panel_line(g, r, 0, ST_DIM, "nothing measured yet: the first answer will fill this");
	else if (p->kind == PANEL_LAYERS)
		panel_layers_draw(p, g, r, t, v);
	else if (p->kind == PANEL_TIMELINE)
		panel_timeline_draw(p, g, r, t, v);
}

/* The draw functions keep top within what there is. */
static bool scroll(struct panel *p, int key)
{
	int page = p->rows > 1 ? p->rows - 1 : 1;
	switch (key) {
	case PANEL_UP:
	case PANEL_DOWN:
		p->top += key == PANEL_UP ? -1 : 1;
		return true;
	case PANEL_PAGE_UP:
	case PANEL_PAGE_DOWN:
		p->top += key == PANEL_PAGE_UP ? -page : page;
		return true;
	case PANEL_HOME:
	case PANEL_END:
		p->top = key == PANEL_HOME ? 0 : 1 << 20;
		return true;
	default:
		return false;
	}
}

bool panel_key(struct panel *p, int key)
{
	if (p->kind == PANEL_NONE)
		return false;
	if (key == 'q') {
		p->kind = PANEL_NONE;
		return true;
	}
	if (p->kind == PANEL_TIMELINE)
		return panel_timeline_key(p, key);
	return (p->kind == PANEL_LAYERS && panel_layers_key(p, key)) || scroll(p, key);
}

const struct hint *panel_hints(const struct panel *p)
{
	static const struct hint layers[] = {{"q", "close"}, {"Left Right", "sort"}, {"r", "reverse"},
		{"Up Down", "scroll"}, {0}},
		timeline[] = {{"q", "close"}, {"+ -", "zoom"}, {"Left Right", "scroll"}, {"Up Down", "newer, older"},
			{"End", "follow"}, {0}},
		gauges[] = {{"q", "close"}, {"Up Down", "scroll"}, {0}};
	return p->kind == PANEL_LAYERS ? layers : p->kind == PANEL_TIMELINE ? timeline : gauges;
}
