/* F4: every gauge in full, what memory goes into, and what a token takes at best. */
#include <stdio.h>
#include <string.h>

#include "tui/format.h"
#include "tui/meters.h"
#include "tui/panel_private.h"
#include "tui/rows.h"

#define LABEL 12

struct page {
	struct grid *g;
	struct rect r;
	int row; /* of the next line; those that are scrolled away have negative ones */
};

static bool seen(const struct page *p)
{
	return p->row >= 0 && p->row < p->r.h;
}

/* label, and the text in as many rows as it needs. */
static void line(struct page *p, const char *label, const char *text)
{
	struct rows rows = {0};
	struct para para = {0};
	int width = p->r.w - LABEL;
	panel_line(p->g, p->r, p->row, ST_TITLE, label);
	para_add(&para, ST_TEXT, text, strlen(text));
	rows_wrap(&rows, &para, width > 8 ? width : 8, &(struct indent){0}, false, ST_TEXT);
	for (size_t i = 0; i < rows.n; i++, p->row++)
		if (seen(p))
			rows_draw(&rows, i, p->g, p->r.x + LABEL, p->r.y + p->row, width);
	p->row += rows.n == 0;
	para_clear(&para);
	rows_clear(&rows);
}

/* label, a bar as wide as half of the panel, text. */
static void gauge(struct page *p, const char *label, enum style st, double fraction, const char *text)
{
	int width = (p->r.w - LABEL) / 2;
	if (seen(p) && width > 4) {
		panel_line(p->g, p->r, p->row, ST_TITLE, label);
		meters_bar(p->g, p->r.x + LABEL, p->r.y + p->row, width, st, fraction);
		grid_puts(p->g, p->r.x + LABEL + 1 + width, p->r.y + p->row, p->r.w - LABEL - 1 - width, ST_TEXT, text);
	}
	p->row++;
}

static double over(double a, double b)
{
	return a > 0 && b > 0 ? a / b : 0;
}

static void memory(struct page *p, const struct session_view *v)
{
	const struct plan *pl = v->why.plan;
	char s[200];
	if (!pl) {
		line(p, "RAM", fmt_bytes(FMT, v->ram_used));
		return;
	}
	snprintf(s, sizeof(s), "%s", fmt_pair(FMT, v->ram_used, v->ram_budget));
	gauge(p, "RAM", ST_RAM, over((double)v->ram_used, (double)v->ram_budget), s);
	snprintf(s, sizeof(s), "weights %s of %s  ring %s  KV %s  activations %s  program %s",
		fmt_bytes(FMT, pl->resident_bytes), fmt_bytes(FMT, pl->schedule.bytes), fmt_bytes(FMT, pl->ring_bytes),
		fmt_bytes(FMT, pl->kv_bytes), fmt_bytes(FMT, pl->activation_bytes),
		fmt_bytes(FMT, pl->base_bytes + pl->backend_bytes + pl->small_bytes));
	line(p, "  planned", s);
	if (pl->vram_bytes) {
		snprintf(s, sizeof(s), "%s", fmt_pair(FMT, pl->vram_used, pl->vram_bytes));
		gauge(p, "VRAM", ST_VRAM, over((double)pl->vram_used, (double)pl->vram_bytes), s);
	}
	snprintf(s, sizeof(s), "%s/%s tokens", fmt_count(FMT, v->ctx_used), fmt_count(FMT, v->ctx));
	gauge(p, "context", ST_OTHER, over(v->ctx_used, v->ctx), s);
}

static void channels(struct page *p, const struct session_view *v)
{
	const struct why_view *w = &v->why;
	const struct trace_pass *q = meters_pass(v);
	char s[200];
	snprintf(s, sizeof(s), "%s of %s GB/s", fmt_rate(FMT, w->disk_now), fmt_rate(FMT, w->disk_limit));
	gauge(p, "DISK", ST_DISK, over(w->disk_now, w->disk_limit), s);
	if (w->n_rates && p->r.w > LABEL) {
		int width = p->r.w - LABEL < WHY_RATES ? p->r.w - LABEL : WHY_RATES;
		panel_line(p->g, p->r, p->row, ST_DIM, "  last 16 s");
		if (seen(p))
			meters_spark(p->g, p->r.x + LABEL, p->r.y + p->row, width, ST_DISK, w->rates, w->n_rates);
		p->row++;
	}
	double wall = q ? (double)q->wall : -1;
	gauge(p, "disk busy", ST_DISK, q ? over((double)q->read_busy, wall) : 0,
		q ? fmt_percent(FMT, (double)q->read_busy, wall) : "-");
	if (v->why.plan && v->why.plan->vram_bytes)
		gauge(p, "copies", ST_COPY, q ? over((double)q->copy_busy, wall) : 0, meters_copies(s, sizeof(s), v));
	gauge(p, "computing", ST_COMPUTE, q ? over((double)q->ns[CAUSE_COMPUTE], wall) : 0,
		q ? fmt_percent(FMT, (double)q->ns[CAUSE_COMPUTE], wall) : "-");
	char reads[64];
	snprintf(s, sizeof(s), "%u in flight, %u chunks ahead, %s of the last pass were late; %s", v->reads_in_flight,
		v->chunks_ahead, q ? fmt_count(FMT, q->late) : "-", meters_reads(reads, sizeof(reads), v));
	line(p, "reads", s);
	if (q && q->experts) {
		snprintf(s, sizeof(s), "%s hits, %s misses, %s wrong guesses", fmt_count(FMT, q->expert_hits),
			fmt_count(FMT, q->expert_misses), fmt_count(FMT, q->expert_wrong));
		line(p, "experts", s);
	}
}

static void token_times(struct page *p, const struct session_view *v)
{
	const struct why_view *w = &v->why;
	char s[200];
	snprintf(s, sizeof(s), "%s measured, p95 %s; predicted %s", fmt_seconds(FMT, w->token_s),
		fmt_seconds(FMT, w->token_p95_s), fmt_seconds(FMT, w->now.token_s));
	line(p, "a token", s);
	snprintf(s, sizeof(s), "%s: the longer of disk %s (%s at the disk's limit) and compute %s",
		fmt_seconds(FMT, w->now.floor_s), fmt_seconds(FMT, w->now.disk_s),
		w->plan ? fmt_bytes(FMT, w->plan->streamed_bytes) : "-", fmt_seconds(FMT, w->now.compute_s));
	line(p, "at best", s);
	for (size_t i = 0; i < w->n_help; i++) {
		snprintf(s, sizeof(s), "%s: %s a token", w->help[i].change, fmt_seconds(FMT, w->help[i].token_s));
		line(p, i ? "" : "would help", s);
	}
	snprintf(s, sizeof(s), "%s; reads by %s", v->device ? v->device : "-", v->reader ? v->reader : "-");
	if (v->reader_note)
		snprintf(s + strlen(s), sizeof(s) - strlen(s), " (%s)", v->reader_note);
	line(p, "device", s);
}

void panel_gauges_draw(struct panel *p, struct grid *g, struct rect r, const struct session_view *v)
{
	struct page page = {g, r, 0};
	page.row = r.h; /* nothing is seen: how many rows there are */
	memory(&page, v);
	channels(&page, v);
	token_times(&page, v);
	int last = page.row - 2 * r.h > 0 ? page.row - 2 * r.h : 0;
	p->rows = r.h;
	p->top = p->top > last ? last : p->top < 0 ? 0 : p->top;
	page.row = -p->top;
	memory(&page, v);
	channels(&page, v);
	token_times(&page, v);
}
