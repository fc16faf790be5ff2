/* F3: what disk, copies and computing did over one pass; where they did not overlap is where time went. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tui/format.h"
#include "tui/meters.h"
#include "tui/panel_private.h"

#define LABEL 6
#define ZOOM_MAX 4096.0

/* Get the pass: the last one, or the one that is held as long as it is kept. */
static bool fetch(struct panel *p, struct trace *t, const struct session_view *v)
{
	uint64_t last = v->trace.passes - 1;
	if (p->frozen && p->log.n && p->log.number == p->pass)
		return true; /* in hand, even if the trace has forgotten it */
	uint64_t back = p->frozen && p->pass <= last ? last - p->pass : 0;
	if (trace_log(t, (uint32_t)back, &p->log) < 0 && trace_log(t, 0, &p->log) < 0)
		return false;
	if (p->log.number != p->pass)
		p->frozen = p->frozen && back == 0;
	p->pass = p->log.number;
	return true;
}

static void title(const struct panel *p, struct grid *g, struct rect r)
{
	const struct trace_pass *q = &p->log.pass;
	char s[200], parts[3][48];
	int n = snprintf(s, sizeof(s), "pass %llu %s%s  %s", (unsigned long long)p->log.number + 1,
		q->prefill ? "prompt" : "token", p->frozen ? " (held)" : "", fmt_seconds(FMT, (double)q->wall / 1e9));
	snprintf(parts[0], sizeof(parts[0]), "disk busy %s", fmt_percent(FMT, (double)q->read_busy, (double)q->wall));
	snprintf(parts[1], sizeof(parts[1]), "computing %s",
		fmt_percent(FMT, (double)q->ns[CAUSE_COMPUTE], (double)q->wall));
	snprintf(parts[2], sizeof(parts[2]), "zoom %.0fx", p->zoom < 1 ? 1 : p->zoom);
	for (int i = 0; i < 3; i++)
		if (n + 2 + (int)strlen(parts[i]) <= r.w)
			n += snprintf(s + n, sizeof(s) - (size_t)n, "  %s", parts[i]);
	panel_line(g, r, 0, ST_TITLE, s);
}

static void lane(struct grid *g, int x, int y, const char *name, enum style st, const float *f, int n,
	const char *letter)
{
	grid_puts(g, x, y, LABEL, ST_TITLE, name);
	for (int i = 0; i < n; i++) {
		int level = f[i] < 0.02f ? 0 : 1 + (int)(f[i] * 7 + 0.5f);
		const char *c = letter ? (f[i] >= 0.5f ? letter : f[i] >= 0.02f ? g->glyphs->dot : " ")
				       : g->glyphs->level[level > 8 ? 8 : level];
		grid_puts(g, x + LABEL + i, y, 1, st, c);
	}
}

/* Where layers begin: their numbers, as far as there is room. */
static void layers(const struct trace_log *l, struct grid *g, int x, int y, int width, int64_t t0, int64_t t1,
	uint32_t n_layers)
{
	uint32_t seen = UINT32_MAX;
	int free_at = 0;
	grid_puts(g, x, y, LABEL, ST_TITLE, "layer");
	for (uint32_t i = 0; i < l->n; i++) {
		char s[16];
		if (l->chunks[i].layer == seen)
			continue;
		seen = l->chunks[i].layer;
		if (l->chunks[i].from < t0 || l->chunks[i].from >= t1)
			continue;
		int at = (int)((double)(l->chunks[i].from - t0) / (double)(t1 - t0) * width);
		if (seen == n_layers)
			strcpy(s, "head");
		else
			snprintf(s, sizeof(s), "%u", seen);
		if (at < free_at || at + (int)strlen(s) > width)
			continue;
		grid_puts(g, x + LABEL + at, y, width - at, ST_DIM, s);
		free_at = at + (int)strlen(s) + 1;
	}
}

static void axis(struct grid *g, int x, int y, int width, int64_t from, int64_t to)
{
	for (int i = 0; i + 8 <= width; i += 16) {
		char s[32];
		double at = (double)from + (double)(to - from) * i / width;
		snprintf(s, sizeof(s), "%s%s", g->glyphs->vline, fmt_seconds(FMT, at / 1e9));
		grid_puts(g, x + LABEL + i, y, 12, ST_DIM, s);
	}
}

/* The passes that are kept, one a row: which one is shown, and what each took. */
static void passes(const struct panel *p, struct grid *g, struct rect r, int row, struct trace *t,
	const struct session_view *v)
{
	struct trace_log l = {0};
	int64_t max = 0;
	for (uint32_t i = 0; i < v->trace.n_logs; i++)
		if (trace_log(t, i, &l) == 0 && l.pass.wall > max)
			max = l.pass.wall;
	for (uint32_t i = 0; i < v->trace.n_logs && row < r.h; i++, row++) {
		char s[64];
		int n[CAUSES], x = 0;
		if (trace_log(t, i, &l) < 0)
			break;
		snprintf(s, sizeof(s), "%s%5llu %8s ", l.number == p->log.number ? g->glyphs->who : " ",
			(unsigned long long)l.number + 1, fmt_seconds(FMT, (double)l.pass.wall / 1e9));
		x += grid_puts(g, r.x, r.y + row, r.w, l.number == p->log.number ? (style_t)ST_KEY : (style_t)ST_DIM, s);
		int width = max ? (int)((double)l.pass.wall / (double)max * (r.w - x)) : 0;
		meters_shares(&l.pass, width > 0 ? width : 0, n);
		for (int c = 0; c < CAUSES; c++)
			for (int k = 0; k < n[c]; k++)
				x += grid_puts(g, r.x + x, r.y + row, 1, meters_cause_styles[c],
					meters_letter(g, (enum cause)c));
	}
	trace_log_clear(&l);
}

void panel_timeline_draw(struct panel *p, struct grid *g, struct rect r, struct trace *t,
	const struct session_view *v)
{
	const int width = r.w - LABEL;
	if (width < 1 || !fetch(p, t, v))
		return;
	p->zoom = p->zoom < 1 ? 1 : p->zoom > ZOOM_MAX ? ZOOM_MAX : p->zoom;
	p->at = p->at > 1 - 1 / p->zoom ? 1 - 1 / p->zoom : p->at < 0 ? 0 : p->at;
	double wall = (double)p->log.pass.wall;
	int64_t from = (int64_t)(wall * p->at), to = from + (int64_t)(wall / p->zoom);
	int64_t t0 = p->log.start + from, t1 = p->log.start + to;
	float *f = mem_array((size_t)LANES * (size_t)width, sizeof(*f));
	if (!f)
		return;
	trace_lanes(&p->log, t0, t1, (uint32_t)width, f);
	bool copies = false;
	for (int i = 0; i < width; i++)
		copies |= f[LANE_COPY * width + i] > 0;
	int row = 0;
	title(p, g, r);
	const struct {
		const char *name, *letter;
		enum lane lane;
		enum style st;
		bool show;
	} lanes[] = {{"disk", NULL, LANE_DISK, ST_DISK, true}, {"copy", NULL, LANE_COPY, ST_COPY, copies},
		{"comp", NULL, LANE_COMPUTE, ST_COMPUTE, true}, {"wait", "D", LANE_WAIT_DISK, ST_STALL, true},
		{"", "C", LANE_WAIT_COPY, ST_COPY, copies}};
	row = 1;
	for (size_t i = 0; i < sizeof(lanes) / sizeof(*lanes); i++)
		if (lanes[i].show && row < r.h)
			lane(g, r.x, r.y + row++, lanes[i].name, lanes[i].st, f + lanes[i].lane * width, width,
				lanes[i].letter);
	if (row < r.h)
		layers(&p->log, g, r.x, r.y + row++, width, t0, t1, v->n_layers);
	if (row < r.h)
		axis(g, r.x, r.y + row++, width, from, to);
	passes(p, g, r, row + 1, t, v);
	free(f);
}

bool panel_timeline_key(struct panel *p, int key)
{
	double shown = 1 / (p->zoom < 1 ? 1 : p->zoom), middle = p->at + shown / 2;
	switch (key) {
	case '+':
	case '=':
	case '-':
		p->zoom = (p->zoom < 1 ? 1 : p->zoom) * (key == '-' ? 0.5 : 2);
		p->zoom = p->zoom < 1 ? 1 : p->zoom > ZOOM_MAX ? ZOOM_MAX : p->zoom;
		p->at = middle - 0.5 / p->zoom;
		p->frozen = true;
		return true;
	case PANEL_LEFT:
	case PANEL_RIGHT:
		p->at += key == PANEL_LEFT ? -shown / 4 : shown / 4;
		return true;
	case PANEL_UP: /* newer, as in the list */
	case PANEL_DOWN:
		p->frozen = true;
		if (key == PANEL_UP)
			p->pass++;
		else if (p->pass > 0)
			p->pass--;
		return true;
	case PANEL_HOME:
		p->at = 0;
		return true;
	case PANEL_END:
		p->frozen = false;
		return true;
	default:
		return false;
	}
}
