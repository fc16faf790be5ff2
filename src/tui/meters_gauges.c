/* VRAM, RAM and disk against their limits. */
#include <stdio.h>
#include <string.h>

#include "tui/format.h"
#include "tui/meters.h"

#define LABEL 6
#define BAR 20

static double part(double a, double of)
{
	return of > 0 && a > 0 ? a / of : 0;
}

/* Over many passes where there are: a read may begin in one pass and be used in the next. */
static const struct trace_pass *steady(const struct session_view *v)
{
	const struct trace_pass *p = meters_pass(v);
	return p && !p->prefill && v->trace.n_decode ? &v->trace.decode : p;
}

const char *meters_reads(char *out, size_t cap, const struct session_view *v)
{
	const struct trace_pass *p = steady(v);
	if (!p || !p->reads || p->read_busy <= 0)
		snprintf(out, cap, "qd - lat -");
	else
		snprintf(out, cap, "qd %.0f lat %s", (double)p->read_sum / (double)p->read_busy,
			fmt_seconds(FMT, (double)p->read_sum / (double)p->reads / 1e9));
	return out;
}

const char *meters_copies(char *out, size_t cap, const struct session_view *v)
{
	const struct trace_pass *p = steady(v);
	bool any = p && p->bytes_copy && p->copy_busy > 0;
	snprintf(out, cap, "%s GB/s busy %s", any ? fmt_rate(FMT, (double)p->bytes_copy / (double)p->copy_busy * 1e9) : "-",
		p ? fmt_percent(FMT, (double)p->copy_busy, (double)p->wall) : "-");
	return out;
}

static void narrow(struct grid *g, int y, const struct session_view *v)
{
	const struct why_view *w = &v->why;
	char s[160];
	int n = 0;
	if (w->plan && w->plan->vram_bytes)
		n = snprintf(s, sizeof(s), "V %s  ", fmt_pair(FMT, w->plan->vram_used, w->plan->vram_bytes));
	if (v->ram_budget)
		n += snprintf(s + n, sizeof(s) - (size_t)n, "R %s", fmt_pair(FMT, v->ram_used, v->ram_budget));
	else
		n += snprintf(s + n, sizeof(s) - (size_t)n, "R %s", fmt_bytes(FMT, v->ram_used));
	snprintf(s + n, sizeof(s) - (size_t)n, "  D %s/%sGB/s", fmt_rate(FMT, w->disk_now), fmt_rate(FMT, w->disk_limit));
	int used = grid_puts(g, 0, y, g->w, ST_TEXT, s);
	snprintf(s, sizeof(s), "pf %u", v->chunks_ahead);
	if (used + 2 + (int)strlen(s) <= g->w)
		meters_right(g, y, ST_DIM, s);
}

static uint64_t tier_bytes(const struct plan *p, int tier)
{
	uint64_t n = 0;
	for (size_t i = 0; i < p->schedule.n; i++)
		n += p->tiers[i] == tier ? p->schedule.chunks[i].bytes : 0;
	return n;
}

static void vram(struct grid *g, int y, const struct session_view *v)
{
	const struct plan *p = v->why.plan;
	grid_puts(g, 0, y, LABEL, ST_TITLE, "VRAM");
	if (!p || !p->vram_bytes)
		return;
	char s[200], copies[64];
	uint64_t holds = tier_bytes(p, 2);
	meters_bar(g, LABEL, y, BAR, ST_VRAM, part((double)p->vram_used, (double)p->vram_bytes));
	snprintf(s, sizeof(s), "%s  holds %s (%s)  H2D %s", fmt_pair(FMT, p->vram_used, p->vram_bytes),
		fmt_bytes(FMT, holds), fmt_percent(FMT, (double)holds, (double)p->schedule.bytes),
		meters_copies(copies, sizeof(copies), v));
	grid_puts(g, LABEL + BAR + 1, y, g->w, ST_TEXT, s);
}

static void ram(struct grid *g, int y, const struct session_view *v)
{
	char s[160];
	grid_puts(g, 0, y, LABEL, ST_TITLE, "RAM");
	if (!v->ram_budget) {
		grid_puts(g, LABEL, y, g->w, ST_TEXT, fmt_bytes(FMT, v->ram_used));
		return;
	}
	meters_bar(g, LABEL, y, BAR, ST_RAM, part((double)v->ram_used, (double)v->ram_budget));
	const struct plan *p = v->why.plan;
	uint64_t all = v->resident_bytes + v->streamed_bytes;
	uint64_t holds = v->resident_bytes - (p && p->vram_bytes ? tier_bytes(p, 2) : 0);
	snprintf(s, sizeof(s), "%s of --ram  holds %s of %s weights (%s)", fmt_pair(FMT, v->ram_used, v->ram_budget),
		fmt_bytes(FMT, holds), fmt_bytes(FMT, all), fmt_percent(FMT, (double)holds, (double)all));
	grid_puts(g, LABEL + BAR + 1, y, g->w, ST_TEXT, s);
}

static void disk(struct grid *g, int y, const struct session_view *v)
{
	const struct why_view *w = &v->why;
	const struct trace_pass *p = meters_pass(v);
	char s[160], reads[64];
	int x = LABEL + BAR + 1;
	grid_puts(g, 0, y, LABEL, ST_TITLE, "DISK");
	meters_bar(g, LABEL, y, BAR, ST_DISK, part(w->disk_now, w->disk_limit));
	snprintf(s, sizeof(s), "%s/%s GB/s ", fmt_rate(FMT, w->disk_now), fmt_rate(FMT, w->disk_limit));
	x += grid_puts(g, x, y, g->w - x, ST_TEXT, s);
	snprintf(s, sizeof(s), " %s/%s %s busy %s", p ? fmt_bytes(FMT, p->bytes_disk) : "-",
		p && p->prefill ? "pass" : "tok", meters_reads(reads, sizeof(reads), v),
		p ? fmt_percent(FMT, (double)p->read_busy, (double)p->wall) : "-");
	int room = g->w - x - (int)strlen(s);
	room = room > 16 ? 16 : room;
	if (room >= 4 && w->n_rates) {
		meters_spark(g, x, y, room, ST_DISK, w->rates, w->n_rates);
		x += w->n_rates < (size_t)room ? (int)w->n_rates : room;
	}
	grid_puts(g, x, y, g->w - x, ST_TEXT, s);
}

void meters_gauges(struct grid *g, const struct layout *l, const struct session_view *v)
{
	if (l->gauges >= 0)
		narrow(g, l->gauges, v);
	if (l->vram >= 0)
		vram(g, l->vram, v);
	if (l->ram >= 0)
		ram(g, l->ram, v);
	if (l->disk >= 0)
		disk(g, l->disk, v);
}
