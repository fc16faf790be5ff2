#include "tui/meters.h"

#include <stdio.h>
#include <string.h>

static const enum style cause_style[CAUSES] = {ST_DISK, ST_COPY, ST_COMPUTE, ST_OTHER};

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

void verdict_text(const struct session_view *v, char *out, size_t cap)
{
	static const char *const why[CAUSES] = {"waiting for the disk", "waiting for copies",
						"computing", "other work"};
	const struct trace_pass *p = &v->trace.last;
	int top = 0;
	if (v->trace.passes == 0 || p->wall <= 0) {
		snprintf(out, cap, "nothing measured yet");
		return;
	}
	for (int i = 1; i < CAUSES; i++)
		if (p->ns[i] > p->ns[top])
			top = i;
	int n = snprintf(out, cap, "%.0f%% of the last pass was %s",
			 100.0 * (double)p->ns[top] / (double)p->wall, why[top]);
	if (n > 0 && (size_t)n < cap && v->disk_limit_gb_s > 0 && p->bytes_disk)
		snprintf(out + n, cap - (size_t)n, " \xC2\xB7 disk floor %.2f s of %.2f s",
			 (double)p->bytes_disk / (v->disk_limit_gb_s * 1e9), (double)p->wall / 1e9);
}

void meters_title(struct grid *g, int y, const struct session_view *v)
{
	char s[256], rate[32] = "-";
	if (v->trace.n_decode && v->trace.decode.wall > 0)
		snprintf(rate, sizeof(rate), "%.2f",
			 (double)v->trace.decode.wall / 1e9 / (double)v->trace.n_decode);
	snprintf(s, sizeof(s), "%s %s %uL  ctx %u/%u  tok %llu  %s s/tok", v->model ? v->model : "-",
		 v->dtype ? v->dtype : "-", v->n_layers, v->ctx_used, v->ctx,
		 (unsigned long long)v->tokens, rate);
	grid_put(g, 0, y, g->w, ST_TITLE, s, strlen(s));
}

void meters_token(struct grid *g, int y, const struct session_view *v, bool ascii)
{
	const char *const glyph[CAUSES] = {"D", "C", ascii ? "#" : "\xE2\x96\x88", "o"};
	char s[32] = "-";
	int n[CAUSES], x = 0, width = g->w - 9;
	if (width < 1)
		return;
	meters_shares(&v->trace.last, width, n);
	for (int i = 0; i < CAUSES; i++)
		for (int k = 0; k < n[i]; k++)
			x += grid_put(g, x, y, 1, cause_style[i], glyph[i], strlen(glyph[i]));
	if (v->trace.passes)
		snprintf(s, sizeof(s), "%7.2fs", (double)v->trace.last.wall / 1e9);
	grid_put(g, width + 1, y, 8, ST_TEXT, s, strlen(s));
}

void meters_run(struct grid *g, int y, const struct session_view *v, bool ascii)
{
	char s[32] = "-";
	int width = g->w - 10;
	uint32_t n = v->n_layers + 1, at = v->trace.in_pass ? v->trace.layer : 0;
	if (width < 1)
		return;
	for (int x = 0; x < width; x++) {
		uint32_t l = (uint32_t)((uint64_t)x * n / (uint64_t)width);
		bool ram = v->layer_resident && v->layer_resident[l] >= 50;
		const char *c = l < at ? (ascii ? "#" : "\xE2\x96\x88")
				: ram  ? (ascii ? "=" : "\xE2\x96\x92")
				       : (ascii ? "." : "\xC2\xB7");
		grid_put(g, x, y, 1, l < at ? ST_COMPUTE : ram ? ST_COPY : ST_DIM, c, strlen(c));
	}
	if (v->trace.in_pass)
		snprintf(s, sizeof(s), "%u/%u", at, n);
	grid_put(g, width + 1, y, 9, ST_TEXT, s, strlen(s));
}

void meters_gauges(struct grid *g, int y, const struct session_view *v)
{
	char s[256], now[32] = "-", best[32] = "-";
	if (v->disk_gb_s > 0)
		snprintf(now, sizeof(now), "%.1f", v->disk_gb_s);
	if (v->disk_limit_gb_s > 0)
		snprintf(best, sizeof(best), "%.1f", v->disk_limit_gb_s);
	snprintf(s, sizeof(s), "RAM %.1f/%.1fG  DISK %s/%s GB/s  ahead %u  late %u  %s",
		 (double)v->ram_used / 1e9, (double)v->ram_budget / 1e9, now, best, v->chunks_ahead,
		 v->late, v->reader ? v->reader : "-");
	grid_put(g, 0, y, g->w, ST_TEXT, s, strlen(s));
}
