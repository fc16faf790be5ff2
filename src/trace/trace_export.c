/* Chrome's trace format, which Perfetto and about:tracing show. */
#include <errno.h>
#include <string.h>

#include "trace/trace_private.h"

#define LANE_ENGINE 1
#define LANE_COPIES 2
#define LANE_READS 10

int trace_file_open(struct trace_file *f, const char *path, struct err *e)
{
	*f = (struct trace_file){.out = fopen(path, "we")};
	if (!f->out)
		return err_sys(e, errno, "can't write the trace to %s", path);
	fprintf(f->out,
		"[\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"engine\"}},\n"
		"{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"copies\"}},\n"
		"{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"reads\"}}",
		LANE_ENGINE, LANE_COPIES, LANE_READS);
	return 0;
}

int trace_file_close(struct trace_file *f, const char *path, struct err *e)
{
	if (!f->out)
		return 0;
	fputs("\n]\n", f->out);
	int failed = ferror(f->out), rc = fclose(f->out);
	f->out = NULL;
	return failed || rc ? err_sys(e, errno, "can't write the trace to %s", path) : 0;
}

/* c: the chunk that the event is about, or NULL. */
static void event(struct trace_file *f, const char *name, int lane, uint32_t layer, uint64_t pass,
	const struct trace_chunk *c, int64_t t0, int64_t t1)
{
	if (t1 <= t0)
		return;
	fprintf(f->out,
		",\n{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,"
		"\"args\":{\"layer\":%u,\"pass\":%llu",
		name, lane, (double)t0 / 1e3, (double)(t1 - t0) / 1e3, layer, (unsigned long long)pass);
	if (c)
		fprintf(f->out, ",\"tier\":%d,\"bytes\":%llu", c->tier, (unsigned long long)c->bytes);
	fputs("}}", f->out);
}

/* A chunk that needed no read: an instant. */
static void resident(struct trace_file *f, const struct trace_chunk *c, uint64_t pass)
{
	fprintf(f->out,
		",\n{\"name\":\"resident\",\"ph\":\"i\",\"s\":\"t\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,"
		"\"args\":{\"layer\":%u,\"pass\":%llu,\"tier\":%d,\"bytes\":%llu}}",
		LANE_ENGINE, (double)c->start / 1e3, c->layer, (unsigned long long)pass, c->tier,
		(unsigned long long)c->bytes);
}

void trace_file_span(struct trace_file *f, const char *name, uint32_t layer, uint64_t pass, int64_t t0,
	int64_t t1)
{
	event(f, name, LANE_ENGINE, layer, pass, NULL, t0, t1);
}

void trace_file_experts(struct trace_file *f, const struct trace_experts *x, uint32_t layer, uint64_t pass,
	int64_t at)
{
	fprintf(f->out,
		",\n{\"name\":\"experts\",\"ph\":\"i\",\"s\":\"t\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,"
		"\"args\":{\"layer\":%u,\"pass\":%llu,\"hits\":%u,\"misses\":%u,\"right_guesses\":%u,\"wrong_guesses\":%u,\"chosen\":[",
		LANE_ENGINE, (double)at / 1e3, layer, (unsigned long long)pass, x->hits, x->misses, x->right, x->wrong);
	for (uint32_t i = 0; i < x->n; i++)
		fprintf(f->out, i ? ",%u" : "%u", x->chosen[i] - x->first_number);
	fputs("]}}", f->out);
}

void trace_file_chunk(struct trace_file *f, const struct trace_chunk *c, uint64_t pass)
{
	if (c->issued) {
		int lane = 0, first = 0;
		while (lane < EXPORT_LANES && f->lane_end[lane] > c->issued)
			lane++;
		for (int i = 1; lane == EXPORT_LANES && i < EXPORT_LANES; i++)
			first = f->lane_end[i] < f->lane_end[first] ? i : first;
		lane = lane == EXPORT_LANES ? first : lane;
		f->lane_end[lane] = c->in_ram;
		event(f, "read", LANE_READS + lane, c->layer, pass, c, c->issued, c->in_ram);
	} else {
		resident(f, c, pass);
	}
	if (c->in_vram)
		event(f, "copy", LANE_COPIES, c->layer, pass, c, c->in_ram, c->in_vram);
}

static void dump_pass(struct trace_file *f, const struct trace_log *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct trace_chunk *c = &l->chunks[i];
		int64_t copied = c->start - c->wait[CAUSE_COPY], read = copied - c->wait[CAUSE_DISK];
		trace_file_chunk(f, c, l->number);
		if (c->merged) {
			trace_file_span(f, "chunks", c->layer, l->number, c->from, c->end);
			continue;
		}
		trace_file_span(f, "disk wait", c->layer, l->number, read, copied);
		trace_file_span(f, "copy wait", c->layer, l->number, copied, c->start);
		trace_file_span(f, "compute", c->layer, l->number, c->start, c->end);
	}
}

int trace_dump(struct trace *t, const char *path, uint32_t *passes, struct err *e)
{
	struct trace_file f;
	struct trace_log l = {0};
	struct trace_view v = {0};
	*passes = 0;
	if (trace_view(t, &v) < 0)
		return err_nomem(e);
	uint32_t n = v.n_logs;
	trace_view_clear(&v);
	if (trace_file_open(&f, path, e) < 0)
		return -1;
	while (n--) /* oldest first; a pass that ends meanwhile shifts them by one, which is no harm */
		if (trace_log(t, n, &l) == 0) {
			dump_pass(&f, &l);
			++*passes;
		}
	trace_log_clear(&l);
	return trace_file_close(&f, path, e);
}
