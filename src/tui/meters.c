#include "tui/meters.h"

#include <stdio.h>
#include <string.h>

#include "tui/format.h"

const char *const meters_cause_names[CAUSES] = {"disk wait", "copy wait", "compute", "other"};
const enum style meters_cause_styles[CAUSES] = {ST_DISK, ST_COPY, ST_COMPUTE, ST_OTHER};

#define LABEL 6 /* columns of the labels at the left, when wide */

void meters_shares(const struct trace_pass *p, int width, int out[CAUSES])
{
	double sum = 0;
	int at = 0;
	for (int i = 0; i < CAUSES; i++) {
		/* Rounding the running sum makes the parts add up to the width. */
		sum += (double)p->ns[i];
		int end = p->wall > 0 ? (int)(sum / (double)p->wall * width + 0.5) : 0;
		end = end > width ? width : end < at ? at : end;
		out[i] = end - at;
		at = end;
	}
}

const struct trace_pass *meters_pass(const struct session_view *v)
{
	const struct trace_view *t = &v->trace;
	if (t->in_pass && (t->prefill || t->passes == 0) && t->now.wall > 0)
		return &t->now;
	return t->passes && t->last.wall > 0 ? &t->last : NULL;
}

const char *meters_letter(const struct grid *g, enum cause c)
{
	return c == CAUSE_DISK ? "D" : c == CAUSE_COPY ? "C" : c == CAUSE_COMPUTE ? g->glyphs->full : "o";
}

void meters_right(struct grid *g, int y, style_t st, const char *s)
{
	int n = grid_width(s, strlen(s));
	grid_puts(g, g->w - n > 0 ? g->w - n : 0, y, n, st, s);
}

void meters_bar(struct grid *g, int x, int y, int width, enum style st, double fraction)
{
	int full = (int)(fraction * width + 0.5);
	for (int i = 0; i < width; i++)
		if (i < full)
			grid_puts(g, x + i, y, 1, style_at(st, (double)i / width), g->glyphs->full);
		else
			grid_puts(g, x + i, y, 1, ST_METER, g->glyphs->light);
}

void meters_spark(struct grid *g, int x, int y, int width, style_t st, const double *v, size_t n)
{
	double max = 0;
	size_t show = n < (size_t)(width > 0 ? width : 0) ? n : (size_t)(width > 0 ? width : 0);
	for (size_t i = n - show; i < n; i++)
		max = v[i] > max ? v[i] : max;
	for (size_t i = 0; i < show; i++) {
		double f = max > 0 ? v[n - show + i] / max : 0;
		int level = f <= 0 ? 0 : 1 + (int)(f * 7 + 0.5);
		grid_puts(g, x + (int)i, y, 1, st, g->glyphs->level[level > 8 ? 8 : level]);
	}
}

/* --- title --------------------------------------------------------------------------------------- */

/* What the answer has taken and may take, right to left in what is left out when it gets narrow. */
static void title_right(char *out, size_t cap, const struct grid *g, const struct session_view *v)
{
	const struct why_view *w = &v->why;
	const bool wide = g->w >= LAYOUT_WIDE;
	int n = 0;
	out[0] = 0;
	if (v->ctx && g->w >= 34)
		n = snprintf(out, cap, "ctx %s/%s", fmt_count(FMT, v->ctx_used), fmt_count(FMT, v->ctx));
	if (wide && v->answer_tokens && v->busy && w->token_s > 0)
		n += snprintf(out + n, cap - (size_t)n, "  tok %s/%s %s%s", fmt_count(FMT, v->answer_tokens),
			fmt_count(FMT, v->answer_max), g->glyphs->ascii ? "<=" : "\xE2\x89\xA4",
			fmt_seconds(FMT, w->token_s * (v->answer_max - v->answer_tokens)));
	else if (wide)
		n += snprintf(out + n, cap - (size_t)n, "  tok %s", fmt_count(FMT, v->answer_tokens));
	if (g->w >= 100 && w->token_s > 0)
		n += snprintf(out + n, cap - (size_t)n, w->token_s < 0.1 ? "  %.1f tok/s" : "  %.2f tok/s", 1 / w->token_s);
	snprintf(out + n, cap - (size_t)n, "%s%s/tok", n ? "  " : "", fmt_seconds(FMT, w->token_s));
}

/* A long name gives way to what the model is. */
static void title(struct grid *g, int y, const struct session_view *v)
{
	char what[128], right[256];
	const bool wide = g->w >= LAYOUT_WIDE;
	const char *name = v->model ? v->model : "-";
	title_right(right, sizeof(right), g, v);
	meters_right(g, y, ST_TITLE, right);
	int x = 0, end = g->w - grid_width(right, strlen(right)) - 2;
	if (wide)
		snprintf(what, sizeof(what), " %.40s  %s %uL", v->dtype ? v->dtype : "-", fmt_bytes(FMT, v->model_bytes),
			v->n_layers);
	else
		snprintf(what, sizeof(what), " %.40s", v->dtype ? v->dtype : "-");
	if (wide)
		x += grid_puts(g, x, y, end, ST_TITLE, "airlchat  ");
	int room = end - x - grid_width(what, strlen(what));
	if (grid_width(name, strlen(name)) <= room) {
		x += grid_puts(g, x, y, room, ST_TITLE, name);
	} else {
		x += grid_puts(g, x, y, (room > 8 ? room : end - x) - 1, ST_TITLE, name);
		x += grid_puts(g, x, y, 1, ST_TITLE, g->glyphs->ellipsis);
	}
	if (x < end)
		grid_puts(g, x, y, end - x, ST_TITLE, what);
}

/* --- token bar ----------------------------------------------------------------------------------- */

static void token_bar(struct grid *g, int y, const struct session_view *v)
{
	const struct trace_pass *p = meters_pass(v);
	const bool wide = g->w >= LAYOUT_WIDE;
	char s[64] = "-";
	int n[CAUSES], x = wide ? LABEL : 0, width = g->w - x - (wide ? 17 : 8);
	if (wide)
		grid_puts(g, 0, y, LABEL, ST_TITLE, p && p->prefill ? "pass" : "token");
	if (p)
		snprintf(s, sizeof(s), "%s", fmt_seconds(FMT, (double)p->wall / 1e9));
	if (wide && p && !p->prefill && v->why.token_p95_s > 0)
		snprintf(s + strlen(s), sizeof(s) - strlen(s), " p95 %s", fmt_seconds(FMT, v->why.token_p95_s));
	meters_right(g, y, ST_TEXT, s);
	if (!p || width < 1)
		return;
	meters_shares(p, width, n);
	for (int i = 0; i < CAUSES; i++)
		for (int k = 0; k < n[i]; k++)
			x += grid_puts(g, x, y, 1, meters_cause_styles[i], meters_letter(g, (enum cause)i));
}

static void legend(struct grid *g, int y, const struct session_view *v)
{
	const struct trace_pass *p = meters_pass(v);
	double walls[TRACE_HISTORY];
	int x = LABEL;
	for (int i = 0; i < CAUSES; i++) {
		char s[64];
		if (i == CAUSE_COPY && (!p || p->ns[i] == 0))
			continue;
		snprintf(s, sizeof(s), " %s %s  ", meters_cause_names[i],
			fmt_seconds(FMT, p ? (double)p->ns[i] / 1e9 : -1));
		x += grid_puts(g, x, y, 1, meters_cause_styles[i], meters_letter(g, (enum cause)i));
		x += grid_puts(g, x, y, g->w - x, ST_TEXT, s);
	}
	uint32_t n = v->trace.n_history;
	for (uint32_t i = 0; i < n; i++)
		walls[i] = (double)v->trace.history[i];
	int room = g->w - x - 6;
	room = room > 24 ? 24 : room;
	room = room > (int)n ? (int)n : room;
	if (n < 2 || room < 2)
		return;
	grid_puts(g, g->w - room - 6, y, 6, ST_DIM, "s/tok");
	meters_spark(g, g->w - room, y, room, ST_OTHER, walls, n);
}

/* --- strips over the layers and the schedule ----------------------------------------------------- */

static enum cause dominant(const struct trace_layer *l, int64_t *wall)
{
	int top = 0;
	*wall = 0;
	for (int c = 0; c < CAUSES; c++) {
		*wall += l->ns[c];
		top = l->ns[c] > l->ns[top] ? c : top;
	}
	return (enum cause)top;
}

/* Height: the layer's time; colour, or letter without: what most of it went into. */
static void cost_cell(struct grid *g, int x, int y, const struct trace_layer *l, int64_t max)
{
	static const char upper[] = "DC#O", lower[] = "dc+o";
	int64_t wall;
	enum cause c = dominant(l, &wall);
	double f = max > 0 ? (double)wall / (double)max : 0;
	if (g->glyphs->ascii || g->mono) {
		char s[2] = {wall == 0 ? ' ' : f >= 0.5 ? upper[c] : lower[c], 0};
		grid_puts(g, x, y, 1, meters_cause_styles[c], s);
		return;
	}
	int level = wall == 0 ? 0 : 1 + (int)(f * 7 + 0.5);
	grid_puts(g, x, y, 1, style_at(meters_cause_styles[c], f), g->glyphs->level[level > 8 ? 8 : level]);
}

static void cost(struct grid *g, int y, const struct session_view *v)
{
	const bool wide = g->w >= LAYOUT_WIDE;
	int x0 = wide ? LABEL : 0, width = g->w - x0 - (wide ? 0 : 8);
	int64_t max = 0, wall;
	uint32_t n = v->n_layers + 1, per;
	if (wide)
		grid_puts(g, 0, y, LABEL, ST_TITLE, "cost");
	if (!v->trace.layers || v->trace.passes == 0 || width < 1)
		return;
	per = (n + (uint32_t)width - 1) / (uint32_t)width; /* layers a cell */
	if (per > 1) {
		char s[16];
		snprintf(s, sizeof(s), "1c=%uL", per);
		if (wide)
			width -= 8;
		per = (n + (uint32_t)width - 1) / (uint32_t)width;
		meters_right(g, y, ST_DIM, s);
	}
	for (uint32_t i = 0; i < n; i++) {
		dominant(&v->trace.layers[i], &wall);
		max = wall > max ? wall : max;
	}
	for (int x = 0; x < width; x++) {
		uint32_t from = per > 1 ? (uint32_t)x * per : (uint32_t)((uint64_t)x * n / (uint32_t)width);
		const struct trace_layer *best = NULL;
		int64_t most = -1;
		for (uint32_t i = from; i < from + per && i < n; i++) {
			dominant(&v->trace.layers[i], &wall);
			if (wall > most) {
				most = wall;
				best = &v->trace.layers[i];
			}
		}
		if (best)
			cost_cell(g, x0 + x, y, best, max);
	}
}

/* What the bytes of the schedule are, over `width` cells. A cell holds several chunks: it shows the kind that
 * is furthest behind its share so far, so that each kind gets the part of the strip that it has of the
 * bytes. */
struct strip {
	const struct schedule *s;
	size_t chunk;
	double at, end; /* bytes: where the next cell begins; where the chunk ends */
	double owed[5]; /* by kind */
};

static int strip_next(struct strip *t, int width, int (*kind)(const struct session_view *v, size_t chunk),
	const struct session_view *v)
{
	double cell = (double)t->s->bytes / width, to = t->at + cell;
	int best = 0;
	for (;;) {
		if (t->end <= 0)
			t->end = (double)t->s->chunks[0].bytes;
		double part = t->end < to ? t->end : to;
		t->owed[kind(v, t->chunk)] += part - t->at;
		t->at = part;
		if (t->end > to || t->chunk + 1 >= t->s->n)
			break;
		t->end += (double)t->s->chunks[++t->chunk].bytes;
	}
	t->at = to;
	for (int i = 1; i < 5; i++)
		best = t->owed[i] > t->owed[best] ? i : best;
	t->owed[best] -= cell;
	return best;
}

static int tier_of(const struct session_view *v, size_t chunk)
{
	return v->why.plan->tiers[chunk] % 3;
}

static void where(struct grid *g, int y, const struct session_view *v)
{
	static const char *const letters[] = {"D", "R", "V"};
	static const enum style styles[] = {ST_DISK, ST_RAM, ST_VRAM};
	const struct plan *p = v->why.plan;
	int width = g->w - LABEL;
	grid_puts(g, 0, y, LABEL, ST_TITLE, "where");
	if (!p || p->schedule.n == 0)
		return;
	struct strip t = {.s = &p->schedule};
	for (int x = 0; x < width; x++) {
		int tier = strip_next(&t, width, tier_of, v) % 3;
		grid_puts(g, LABEL + x, y, 1, styles[tier], letters[tier]);
	}
}

enum progress { ON_DISK, IN_FLIGHT, IN_RAM, IN_VRAM, DONE };

static int progress_of(const struct session_view *v, size_t chunk)
{
	const struct why_view *w = &v->why;
	const size_t n = w->plan->schedule.n, ahead = (chunk + n - w->stream.cursor) % n;
	if (v->trace.in_pass && chunk < w->stream.cursor)
		return DONE;
	if (w->plan->tiers[chunk])
		return w->plan->tiers[chunk] == 2 ? IN_VRAM : IN_RAM;
	if (ahead < w->stream.ahead)
		return IN_RAM;
	return ahead < (w->stream.issued + n - w->stream.cursor) % n ? IN_FLIGHT : ON_DISK;
}

/* Like a player's bar: how far the pass is, and how far what comes next has been brought in. */
static void run_bar(struct grid *g, int y, const struct session_view *v)
{
	const bool wide = g->w >= LAYOUT_WIDE;
	const struct glyphs *gl = g->glyphs;
	const char *const glyph[] = {gl->empty, gl->light, gl->medium, gl->dark, gl->full};
	static const enum style styles[] = {ST_METER, ST_DISK, ST_RAM, ST_VRAM, ST_COMPUTE};
	int x0 = wide ? LABEL : 0, width = g->w - x0 - (wide ? 0 : 8);
	char s[32] = "-";
	if (wide)
		grid_puts(g, 0, y, LABEL, ST_TITLE, "run");
	else if (v->trace.in_pass)
		snprintf(s, sizeof(s), "%u/%u", v->trace.layer, v->n_layers);
	if (!wide)
		meters_right(g, y, ST_TEXT, s);
	if (!v->why.plan || v->why.plan->schedule.n == 0)
		return;
	struct strip t = {.s = &v->why.plan->schedule};
	for (int x = 0; x < width; x++) {
		int k = strip_next(&t, width, progress_of, v);
		grid_puts(g, x0 + x, y, 1, styles[k], glyph[k]);
	}
}

static void run_legend(struct grid *g, int y, const struct session_view *v)
{
	const struct glyphs *gl = g->glyphs;
	char at[32], s[160], right[240];
	if (v->trace.in_pass)
		snprintf(at, sizeof(at), "%u/%u", v->trace.layer, v->n_layers);
	else
		snprintf(at, sizeof(at), "-/%u", v->n_layers);
	bool vram = v->why.plan && v->why.plan->vram_bytes;
	snprintf(s, sizeof(s), "%s  %s done %s%s%s in RAM %s in flight %s on disk", at, gl->full,
		vram ? gl->dark : "", vram ? " in VRAM " : "", gl->medium, gl->light, gl->empty);
	grid_puts(g, LABEL, y, g->w - LABEL, ST_DIM, s);
	const struct trace_pass *p = meters_pass(v);
	int n = 0, room = g->w - LABEL - grid_width(s, strlen(s)) - 2;
	right[0] = 0;
	if (p && p->experts)
		n = snprintf(right, sizeof(right), "experts %s hit %s missed %s wrong", fmt_count(FMT, p->expert_hits),
			fmt_count(FMT, p->expert_misses), fmt_count(FMT, p->expert_wrong));
	snprintf(s, sizeof(s), "%sprefetch %u deep, %s late", n ? "  " : "", v->chunks_ahead,
		p ? fmt_count(FMT, p->late) : "-");
	if (n + (int)strlen(s) <= room)
		snprintf(right + n, sizeof(right) - (size_t)n, "%s", s);
	if ((int)strlen(right) <= room)
		meters_right(g, y, ST_DIM, right);
}

void meters_draw(struct grid *g, const struct layout *l, const struct session_view *v)
{
	struct buf b = BUF_INIT;
	if (l->title >= 0)
		title(g, l->title, v);
	if (l->verdict >= 0) {
		for (int x = 0; x < g->w; x++)
			grid_puts(g, x, l->verdict, 1, ST_LINE, g->glyphs->hline);
		const struct trace_pass *p = meters_pass(v);
		int top = 0;
		for (int i = 1; p && i < CAUSES; i++)
			top = p->ns[i] > p->ns[top] ? i : top;
		verdict_text(v, g->glyphs, g->w - 4, &b);
		buf_puts(&b, " ");
		int x = grid_puts(g, 1, l->verdict, 1, ST_TEXT, " ");
		grid_puts(g, 1 + x, l->verdict, g->w - 2 - x, (p ? (style_t)meters_cause_styles[top] : ST_TITLE) | STYLE_BOLD,
			buf_str(&b));
	}
	if (l->help >= 0) {
		buf_reset(&b);
		verdict_help(v, g->w - LABEL, &b);
		grid_puts(g, LABEL, l->help, g->w - LABEL, ST_TEXT, buf_str(&b));
	}
	if (l->token >= 0)
		token_bar(g, l->token, v);
	if (l->legend >= 0)
		legend(g, l->legend, v);
	if (l->cost >= 0)
		cost(g, l->cost, v);
	if (l->where >= 0)
		where(g, l->where, v);
	if (l->run >= 0)
		run_bar(g, l->run, v);
	if (l->run_legend >= 0)
		run_legend(g, l->run_legend, v);
	meters_gauges(g, l, v);
	buf_clear(&b);
}
