#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static int64_t virtual_now(void *arg)
{
	return ((struct replay *)arg)->now;
}

int replay_open(struct replay *r, const char *path)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	unsigned layers = 0;
	*r = (struct replay){.now = 1000000000};
	if (file_read(path, 1 << 24, &b, &e) < 0)
		return -1;
	r->text = r->at = buf_take(&b);
	char *first = r->at ? strstr(r->at, "layers ") : NULL;
	if (!first || sscanf(first, "layers %u", &layers) != 1 || !(r->trace = trace_new(layers)))
		return -1;
	trace_set_clock(r->trace, virtual_now, r);
	return 0;
}

static char *next_line(struct replay *r)
{
	char *line = r->at, *end = strchr(line, '\n');
	if (!*line)
		return NULL;
	r->at = end ? end + 1 : line + strlen(line);
	return line;
}

/* 0: goes on, 1: the pass ended, -1: its first part is played. */
static int play(struct replay *r, const char *line, int64_t base, int64_t until)
{
	long long a, b, c, d, e, f;
	int64_t end = 0;
	if (!strncmp(line, "end", 3))
		return 1;
	if (sscanf(line, "layer %lld", &a) == 1) {
		trace_layer(r->trace, (uint32_t)a);
	} else if (sscanf(line, "span %lld %lld %lld", &a, &b, &c) == 3) {
		int64_t t0 = base + b * 1000, t1 = base + c * 1000, half = r->copies && a == CAUSE_DISK ? (t0 + t1) / 2 : t1;
		trace_span(r->trace, (enum cause)a, NULL, t0, half);
		if (half < t1)
			trace_span(r->trace, CAUSE_COPY, NULL, half, t1);
		end = c;
	} else if (sscanf(line, "use %lld %lld %lld %lld %lld %lld", &a, &b, &c, &d, &e, &f) == 6) {
		struct trace_view v = {0};
		trace_view(r->trace, &v);
		struct trace_chunk chunk = {.layer = v.layer, .tier = (uint8_t)a, .bytes = (uint64_t)b,
			.issued = d ? base + c * 1000 : 0, .in_ram = d ? base + d * 1000 : 0,
			.from = base + e * 1000, .start = base + f * 1000};
		if (r->copies && r->uses++ % 3 == 0) {
			chunk.tier = 2;
			chunk.issued = chunk.in_ram = 0;
		} else if (r->copies) {
			chunk.in_ram = chunk.in_ram ? chunk.in_ram : chunk.from - 100000;
			chunk.in_vram = chunk.in_ram + (int64_t)chunk.bytes / 4; /* 4 GB/s */
		}
		trace_use(r->trace, &chunk);
		trace_view_clear(&v);
	}
	if (end && base + end * 1000 > r->now)
		r->now = base + end * 1000;
	return until >= 0 && end >= until ? -1 : 0;
}

bool replay_pass(struct replay *r, int64_t until)
{
	unsigned prefill = 0, rows = 0;
	long long wall = 0;
	int64_t base = r->now;
	for (char *line; (line = next_line(r));) {
		if (sscanf(line, "pass %u %u %lld", &prefill, &rows, &wall) == 3) {
			base = r->now;
			trace_pass_begin(r->trace, prefill, rows);
			continue;
		}
		int rc = play(r, line, base, until);
		if (rc < 0)
			return true;
		if (rc > 0) {
			r->now = base + wall * 1000;
			trace_pass_end(r->trace, true);
			return true;
		}
	}
	return false;
}

void replay_close(struct replay *r)
{
	trace_free(r->trace);
	free(r->text);
	*r = (struct replay){0};
}
