/* airlchat prepare: rewrite a model for streaming; or check what was written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "prepare/prepare.h"

struct meter { /* progress on stderr: a line that is written over, or a line now and then */
	bool terminal, shown;
	int64_t start, last;
	uint64_t done0; /* when it began: what a run before has written costs no time */
};

static void meter_show(void *arg, const struct prepare_progress *p)
{
	struct meter *m = arg;
	int64_t now = clock_ns(), step = m->terminal ? 200000000 : 10000000000;
	if (!m->start) {
		m->start = m->last = now;
		m->done0 = p->done;
	}
	if (now - m->last < step || p->done > p->total)
		return;
	m->last = now;
	double seconds = (double)(now - m->start) * 1e-9, done = (double)(p->done - m->done0);
	double left = done > 0 ? seconds * (double)(p->total - p->done) / done : 0;
	fprintf(stderr, "%s%5.1f%%  %.0f MiB/s  %d:%02d:%02d left  %s%s", m->terminal ? "\r" : "",
		100 * (double)p->done / (double)(p->total ? p->total : 1), done / 1048576 / seconds,
		(int)(left / 3600), (int)(left / 60) % 60, (int)left % 60, p->what, m->terminal ? "\033[K" : "\n");
	m->shown = m->terminal;
}

static void meter_end(const struct meter *m)
{
	if (m->shown)
		fputs("\r\033[K", stderr);
}

static bool parse_quant(const char *text, enum prepare_quant *out)
{
	for (int q = 0; q < PREPARE_QUANTS; q++) {
		if (!text || !strcmp(text, prepare_quant_name((enum prepare_quant)q))) {
			*out = (enum prepare_quant)q;
			return true;
		}
	}
	return false;
}

static void print_report(const struct prepare_report *r, const char *dst)
{
	for (uint32_t i = 0; r->layers && i <= r->n_layers; i++) {
		char name[16];
		snprintf(name, sizeof(name), i < r->n_layers ? "layer %u" : "others", i);
		if (r->layers[i].quantized)
			printf("%-10s  error %6.3f%% of the weights' size, %.1f M elements quantized\n", name,
				100 * r->layers[i].error, (double)r->layers[i].quantized / 1e6);
	}
	if (r->was_complete)
		printf("%s is complete\n", dst);
	else
		printf("%s: %u files, %.1f MiB from %.1f MiB%s\n", dst, r->files, (double)r->bytes_out / 1048576,
			(double)r->bytes_in / 1048576, r->files_before ? " (some were there already)" : "");
	if (r->deleted)
		printf("%u files of the original deleted\n", r->deleted);
}

static int verify(const char *dir)
{
	struct err e = ERR_INIT;
	struct prepare_report found = {0};
	struct meter meter = {.terminal = isatty(STDERR_FILENO)};
	int rc = prepare_verify(dir, meter_show, &meter, &found, &e);
	meter_end(&meter);
	if (rc < 0)
		return report(&e);
	printf("%s: %u files, %.1f MiB: all as written\n", dir, found.files, (double)found.bytes_out / 1048576);
	free(found.layers);
	return 0;
}

int cmd_prepare(const struct options *o)
{
	struct err e = ERR_INIT;
	struct prepare_report done;
	struct meter meter = {.terminal = isatty(STDERR_FILENO)};
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct prepare_request r = {.src = o->model, .dst = o->dst, .stripes = o->stripes, .verify = o->verify,
		.delete_original = o->delete_original, .progress = meter_show, .arg = &meter,
		.threads = o->threads ? o->threads : cores > 0 ? (int)cores : 1};
	if (!o->dst && o->verify && !o->quant && !o->quant_head && !o->stripes && !o->delete_original)
		return verify(o->model);
	if (!o->dst)
		err_set(&e, ERR_USAGE, "where to? airlchat prepare SRC DST");
	else if (!parse_quant(o->quant, &r.quant) || !parse_quant(o->quant_head, &r.head))
		err_set(&e, ERR_USAGE, "--quant and --quant-head take none, int8, nf4, q4_0 or q8_0");
	if (e.code != ERR_NONE)
		return report(&e);
	int rc = prepare_run(&r, &done, &e);
	meter_end(&meter);
	if (rc < 0)
		return report(&e);
	print_report(&done, o->dst);
	free(done.layers);
	return 0;
}
