/* Why it is slow, in a sentence; and what would help, in numbers that were measured or follow from
 * those by the model of engine/predict.h. */
#include <stdio.h>
#include <string.h>

#include "tui/format.h"
#include "tui/meters.h"

static const char *const bound[CAUSES] = {"DISK-BOUND", "COPY-BOUND", "COMPUTE-BOUND", "BOUND BY OTHER WORK"};
static const char *const doing[CAUSES] = {"waiting for the disk", "waiting for copies to the device", "computing",
					  "other work"};

static enum cause largest(const struct trace_pass *p)
{
	int top = 0;
	for (int i = 1; i < CAUSES; i++)
		top = p->ns[i] > p->ns[top] ? i : top;
	return (enum cause)top;
}

/* Add a part with the dot in front, if it still fits. */
static void add(struct buf *out, const struct glyphs *gl, int columns, const char *s)
{
	int used = grid_width(buf_str(out), out->len), n = grid_width(s, strlen(s));
	if (used + 3 + n <= columns)
		buf_printf(out, " %s %s", gl->dot, s);
}

/* How far the prompt is: whole blocks, and of the running one the part of the schedule that is done. */
static double prompt_done(const struct session_view *v)
{
	const struct why_view *w = &v->why;
	double total = (double)v->prefill_total, done = (double)v->prefill_done;
	if (total <= 0)
		return -1;
	if (v->trace.in_pass && w->plan && w->plan->schedule.n) {
		double block = v->trace.now.rows;
		done += block * (double)w->stream.cursor / (double)w->plan->schedule.n;
	}
	return done < total ? done / total : 1;
}

static void prompt_text(const struct session_view *v, const struct glyphs *gl, int columns,
	const struct trace_pass *p, struct buf *out)
{
	char s[96];
	double f = prompt_done(v), took = (double)(v->trace.prefills.wall + p->wall) / 1e9;
	enum cause c = largest(p);
	buf_printf(out, "PROMPT %s", f < 0 ? "" : fmt_percent(FMT, f, 1));
	if (columns >= 40 && f >= 0)
		buf_printf(out, " of %s tokens", fmt_count(FMT, v->prefill_total));
	if (f > 0.02) {
		snprintf(s, sizeof(s), "%s to go", fmt_seconds(FMT, took * (1 - f) / f));
		add(out, gl, columns, s);
	}
	if (p->wall > 0) {
		snprintf(s, sizeof(s), "%s %s", fmt_percent(FMT, (double)p->ns[c], (double)p->wall), doing[c]);
		add(out, gl, columns, s);
	}
}

void verdict_text(const struct session_view *v, const struct glyphs *gl, int columns, struct buf *out)
{
	const struct trace_pass *p = meters_pass(v);
	const struct why_view *w = &v->why;
	char s[128];
	if (!p) {
		if (v->trace.in_pass)
			buf_puts(out, "starting");
		else
			buf_puts(out, columns < 60 ? "nothing measured yet" : "nothing measured yet: the first answer will show where the time goes");
		return;
	}
	if (p->prefill && v->trace.in_pass) {
		prompt_text(v, gl, columns, p, out);
		return;
	}
	enum cause c = largest(p);
	const char *share = fmt_percent(FMT, (double)p->ns[c], (double)p->wall);
	if (columns < 66)
		buf_printf(out, "%s %s", bound[c], share);
	else
		buf_printf(out, "%s: %s of %s was %s", bound[c], share, p->prefill ? "the prompt" : "this token", doing[c]);
	if (p->bytes_disk && w->disk_now > 0 && w->disk_limit > 0) {
		snprintf(s, sizeof(s), columns < 66 ? "%s of disk limit" : "disk at %s of its limit",
			fmt_percent(FMT, w->disk_now, w->disk_limit));
		add(out, gl, columns, s);
	}
	if (!p->prefill && w->now.floor_s > 0) {
		snprintf(s, sizeof(s), "at best %s", fmt_seconds(FMT, w->now.floor_s));
		add(out, gl, columns, s);
	}
}

void verdict_help(const struct session_view *v, int columns, struct buf *out)
{
	const struct why_view *w = &v->why;
	if (w->n_help) {
		buf_puts(out, "would help: ");
		for (size_t i = 0; i < w->n_help && i < 3; i++) {
			char s[128];
			if (i == 0)
				snprintf(s, sizeof(s), "%s: %s -> %s/tok", w->help[i].change, fmt_seconds(FMT, w->token_s),
					fmt_seconds(FMT, w->help[i].token_s));
			else
				snprintf(s, sizeof(s), "; %s: %s/tok", w->help[i].change, fmt_seconds(FMT, w->help[i].token_s));
			if (i == 0 || (int)(out->len + strlen(s)) <= columns)
				buf_puts(out, s);
		}
	} else if (w->plan && w->plan->streamed_bytes == 0 && v->trace.passes) {
		buf_puts(out, "all weights are in memory: only computing is left");
	} else if (w->now.token_s > 0) {
		buf_puts(out, "no larger budget that fits in the free memory would help");
	}
}
