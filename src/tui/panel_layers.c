/* F2: a row for each layer, sortable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tui/format.h"
#include "tui/meters.h"
#include "tui/panel_private.h"

enum column { COL_LAYER, COL_KEPT, COL_DISK, COL_RAM, COL_WAIT, COL_COPY, COL_COMPUTE, COL_OTHER, COL_LAST,
	      COL_MEAN, COL_P95, COL_HITS, COL_MISSES, COL_WRONG, COLUMNS };

static const struct {
	const char *name;
	int width, rank; /* the highest ranks go first when it gets narrow */
} columns[COLUMNS] = {{"layer", 6, 0}, {"kept", 6, 1}, {"read", 7, 4}, {"ram", 7, 8}, {"disk wait", 11, 2},
	{"copy wait", 11, 9}, {"compute", 9, 3}, {"other", 8, 7}, {"last", 8, 5}, {"mean", 8, 6}, {"p95", 8, 5},
	{"hits", 6, 3}, {"misses", 8, 3}, {"wrong", 7, 6}}; /* of experts */

struct table {
	const struct session_view *v;
	const struct trace_layer_stats *stats;
	int sort;
	bool reverse;
};

static bool has_experts(const struct trace_layer *l)
{
	return l->expert_hits + l->expert_misses > 0;
}

static int64_t value(const struct table *t, uint32_t layer, int column)
{
	const struct trace_layer *l = &t->v->trace.layers[layer];
	const struct trace_layer_stats *s = &t->stats[layer];
	switch (column) {
	case COL_KEPT:
		return t->v->layer_resident ? t->v->layer_resident[layer] : -1;
	case COL_DISK:
		return (int64_t)l->bytes_disk;
	case COL_RAM:
		return (int64_t)l->bytes_ram;
	case COL_WAIT:
		return l->ns[CAUSE_DISK];
	case COL_COPY:
		return l->ns[CAUSE_COPY];
	case COL_COMPUTE:
		return l->ns[CAUSE_COMPUTE];
	case COL_OTHER:
		return l->ns[CAUSE_OTHER];
	case COL_LAST:
		return s->last;
	case COL_MEAN:
		return s->mean;
	case COL_P95:
		return s->p95;
	case COL_HITS:
		return has_experts(l) ? (int64_t)l->expert_hits : -1;
	case COL_MISSES:
		return has_experts(l) ? (int64_t)l->expert_misses : -1;
	case COL_WRONG:
		return has_experts(l) ? (int64_t)l->expert_wrong : -1;
	default:
		return layer;
	}
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct table *t = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int64_t p = value(t, x, t->sort), q = value(t, y, t->sort);
	if (t->sort != COL_LAYER && p != q) /* the largest first: that is what one looks for */
		return (p > q ? -1 : 1) * (t->reverse ? -1 : 1);
	return (x < y ? -1 : x > y) * (t->sort == COL_LAYER && t->reverse ? -1 : 1);
}

static const char *cell(struct fmt *f, const struct table *t, uint32_t layer, int column)
{
	int64_t x = value(t, layer, column);
	if (column == COL_LAYER && layer == t->v->n_layers)
		return "head";
	if (column == COL_LAYER)
		snprintf(f->s, sizeof(f->s), "%u", layer);
	else if (x < 0)
		return "-";
	else if (column >= COL_HITS)
		return fmt_count(f, (uint64_t)x);
	else if (column == COL_KEPT)
		snprintf(f->s, sizeof(f->s), "%d%%", (int)x);
	else if (column == COL_DISK || column == COL_RAM)
		return fmt_bytes(f, (uint64_t)x);
	else
		return fmt_seconds(f, (double)x / 1e9);
	return f->s;
}

/* Does the model, on this machine, have what the column tells? */
static bool has_column(const struct panel *p, int column)
{
	return column == COL_COPY ? p->copies : column < COL_HITS || p->experts;
}

/* Which columns fit; returns the width that they take. */
static int choose(const struct panel *p, bool show[COLUMNS], int width)
{
	int used = 0;
	for (int rank = 0; rank < COLUMNS; rank++)
		for (int c = 0; c < COLUMNS; c++)
			if (columns[c].rank == rank && has_column(p, c)) {
				show[c] = used + columns[c].width <= width;
				used += show[c] ? columns[c].width : 0;
			}
	return used;
}

static void header(const struct panel *p, struct grid *g, struct rect r, const bool show[COLUMNS])
{
	int x = r.x;
	for (int c = 0; c < COLUMNS; c++) {
		char s[24];
		if (!show[c])
			continue;
		const char *mark = p->sort != c ? "" : (c == COL_LAYER) != p->reverse ? g->glyphs->up : g->glyphs->down;
		int pad = columns[c].width - (int)strlen(columns[c].name) - (p->sort == c);
		snprintf(s, sizeof(s), "%*s%s%s", pad > 0 ? pad : 0, "", columns[c].name, mark);
		grid_puts(g, x, r.y, columns[c].width, p->sort == c ? (style_t)ST_KEY : (style_t)ST_TITLE, s);
		x += columns[c].width;
	}
}

/* The causes of the layer's time, in proportion to the slowest layer. */
static void bar(struct grid *g, int x, int y, int width, const struct trace_layer *l, int64_t max)
{
	int64_t sum = 0;
	int at = 0;
	for (int c = 0; max > 0 && c < CAUSES; c++) {
		sum += l->ns[c];
		int end = (int)((double)sum / (double)max * width + 0.5);
		for (; at < end && at < width; at++)
			grid_puts(g, x + at, y, 1, meters_cause_styles[c], meters_letter(g, (enum cause)c));
	}
}

void panel_layers_draw(struct panel *p, struct grid *g, struct rect r, struct trace *t,
	const struct session_view *v)
{
	const size_t n = (size_t)v->n_layers + 1;
	bool show[COLUMNS] = {false};
	int64_t max = 0;
	if (!p->stats)
		p->stats = mem_array(n, sizeof(*p->stats));
	if (!p->order)
		p->order = mem_array(n, sizeof(*p->order));
	if (!p->stats || !p->order || !v->trace.layers)
		return;
	trace_layers(t, p->stats);
	struct table table = {v, p->stats, p->sort, p->reverse};
	for (size_t i = 0; i < n; i++) {
		int64_t wall = 0;
		p->order[i] = (uint32_t)i;
		for (int c = 0; c < CAUSES; c++)
			wall += v->trace.layers[i].ns[c];
		max = wall > max ? wall : max;
	}
	qsort_r(p->order, n, sizeof(*p->order), compare, &table);
	p->copies = v->why.plan && v->why.plan->vram_bytes;
	p->experts = v->trace.last.experts;
	int used = choose(p, show, r.w);
	p->rows = r.h - 1;
	int last = (int)n - p->rows > 0 ? (int)n - p->rows : 0;
	p->top = p->top > last ? last : p->top < 0 ? 0 : p->top;
	header(p, g, r, show);
	for (int row = 0; row < p->rows && p->top + row < (int)n; row++) {
		uint32_t layer = p->order[p->top + row];
		bool now = v->trace.in_pass && layer == v->trace.layer;
		int x = r.x, y = r.y + 1 + row;
		for (int c = 0; c < COLUMNS; c++) {
			char s[32];
			if (!show[c])
				continue;
			snprintf(s, sizeof(s), "%*s", columns[c].width, cell(FMT, &table, layer, c));
			grid_puts(g, x, y, columns[c].width, now ? (style_t)ST_KEY : (style_t)ST_TEXT, s);
			x += columns[c].width;
		}
		if (r.w - used >= 8)
			bar(g, x + 2, y, r.w - used - 2, &v->trace.layers[layer], max);
	}
}

bool panel_layers_key(struct panel *p, int key)
{
	switch (key) {
	case PANEL_LEFT:
	case PANEL_RIGHT:
		do {
			p->sort = (p->sort + (key == PANEL_LEFT ? COLUMNS - 1 : 1)) % COLUMNS;
		} while (!has_column(p, p->sort));
		break;
	case 'r':
		p->reverse = !p->reverse;
		break;
	default:
		return false;
	}
	return true;
}
