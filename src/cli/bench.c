/* airlchat bench: prompt and tokens, measured against what the disk does alone in the same run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "engine/engine.h"
#include "engine/predict.h"
#include "engine/probe.h"
#include "engine/sampler.h"
#include "trace/plot.h"

#define PROBE_S 1.0
#define PROMPT 128
#define TOKENS 16

struct bench {
	const struct options *o;
	struct backend *backend;
	struct checkpoint *ck;
	struct model *model;
	struct reader *reader;
	struct plan plan;
	struct engine *engine;
	uint32_t prompt, tokens;
	struct probe_disk before, after;
	struct trace_pass prefill, decode; /* sums */
	struct trace_layer *layers;	   /* [n_layers + 1] sums over the decode passes */
	double *walls;			   /* [tokens] seconds, rising at the end */
	uint64_t peak;
	struct predicted predicted;
};

static void free_bench(struct bench *t)
{
	engine_close(t->engine);
	if (t->reader)
		t->reader->ops->close(t->reader);
	plan_clear(&t->plan);
	model_close(t->model);
	checkpoint_close(t->ck);
	free(t->layers);
	free(t->walls);
}

static int open_bench(struct bench *t, struct err *e)
{
	const struct options *o = t->o;
	const uint32_t ctx = t->prompt + t->tokens + 1;
	const struct plan_request r = {.ram = o->ram, .backend = t->backend->overhead,
		.host_memory = t->backend->host_memory, .ctx = o->ctx ? o->ctx : ctx,
		.prefill_rows = o->prefill_rows, .kv_type = o->kv_type, .chunk_bytes = o->chunk_size};
	struct err ignored = ERR_INIT;
	if (o->ctx && o->ctx < ctx)
		return err_set(e, ERR_USAGE, "--ctx %u has no room for %u tokens (--prompt-tokens, --tokens)", o->ctx, ctx);
	if (checkpoint_open(&t->ck, o->model, 0, e) < 0 || model_open(&t->model, t->ck, e) < 0)
		return -1;
	if (probe_disk(&t->before, t->ck, o->reader, PROBE_S, (size_t)o->ram / 4, &ignored) == 0)
		probe_disk_keep(&t->before, t->ck);
	if (plan_make(&t->plan, t->model, &r, e) < 0 ||
		probe_reader_open(&t->reader, o->reader, t->ck, &t->before, e) < 0)
		return -1;
	const struct engine_config ec = {t->ck, t->model, &t->plan, t->backend, t->reader};
	if (engine_open(&t->engine, &ec, e) < 0 ||
		(o->trace_file && trace_export(engine_trace(t->engine), o->trace_file, e) < 0))
		return -1;
	t->layers = mem_array((size_t)t->model->n_layers + 1, sizeof(*t->layers));
	t->walls = mem_array(t->tokens, sizeof(*t->walls));
	return t->layers && t->walls ? 0 : err_nomem(e);
}

static uint32_t best_token(const float *logits, uint32_t n)
{
	uint32_t best = 0;
	for (uint32_t i = 1; i < n; i++)
		best = logits[i] > logits[best] ? i : best;
	return best;
}

static void add_layers(struct bench *t, const struct trace_view *v)
{
	for (uint32_t l = 0; l <= t->model->n_layers; l++) {
		for (int c = 0; c < CAUSES; c++)
			t->layers[l].ns[c] += v->layers[l].ns[c];
		t->layers[l].bytes_disk += v->layers[l].bytes_disk;
	}
}

/* One pass that loads what stays in memory, the prompt, one token to get going, then the tokens that count. */
static int run_bench(struct bench *t, struct err *e)
{
	struct trace *trace = engine_trace(t->engine);
	struct trace_view v = {0};
	uint32_t *ids = mem_array((size_t)t->prompt + t->tokens + 1, sizeof(*ids));
	int rc = ids ? 0 : err_nomem(e);
	for (uint32_t i = 0; rc == 0 && i < t->prompt; i++) /* any tokens: scattered over the vocabulary */
		ids[i] = (uint32_t)((i + 1) * 2654435761u % t->model->vocab);
	const uint32_t other = rc == 0 ? (ids[0] + 1) % t->model->vocab : 0; /* no prefix of the prompt */
	if (rc == 0)
		rc = engine_eval(t->engine, &other, 1, NULL, NULL, e);
	trace_reset_sums(trace);
	if (rc == 0)
		rc = engine_eval(t->engine, ids, t->prompt, NULL, NULL, e);
	if (rc == 0 && trace_view(trace, &v) == 0)
		t->prefill = t->prompt > 1 ? v.prefills : v.decode;
	for (uint32_t i = 0; rc == 0 && i <= t->tokens; i++) {
		if (i == 1)
			trace_reset_sums(trace);
		ids[t->prompt + i] = best_token(engine_logits(t->engine), t->model->vocab);
		rc = engine_eval(t->engine, ids, (size_t)t->prompt + i + 1, NULL, NULL, e);
		if (rc == 0 && i > 0 && trace_view(trace, &v) == 0) {
			t->walls[i - 1] = (double)v.last.wall / 1e9;
			add_layers(t, &v);
			t->decode = v.decode;
		}
	}
	t->peak = plan_peak_ram();
	trace_view_clear(&v);
	free(ids);
	return rc;
}

/* Of the experts' bytes that tokens were multiplied with, the share that came from disk. */
static double expert_miss(const struct bench *t)
{
	const double all = (double)(t->decode.expert_hits + t->decode.expert_misses);
	return all > 0 ? (double)t->decode.expert_misses / all : -1;
}

/* What the model of predict.h makes of the same disk and of the kernels alone; the engine is closed. */
static void predict(struct bench *t, double disk)
{
	double *weight_s = mem_array(t->model->n_weights, sizeof(*weight_s));
	const struct probe_work w = {.backend = t->backend, .model = t->model, .schedule = &t->plan.schedule,
		.ctx = t->prompt + t->tokens / 2, .scratch = probe_scratch(t->plan.ram_bytes / 2)};
	const struct sampler_params greedy = {.temp = 0, .top_p = 1, .repeat_penalty = 1};
	double compute = weight_s ? probe_compute(&w, weight_s) : -1;
	const struct predict_rates r = {.disk_bytes_per_s = disk, .latency_s = t->before.latency_s,
		.weight_s = compute < 0 ? NULL : weight_s, .compute_s = -1,
		.rest_s = probe_sampler(t->model, &greedy), .expert_miss = expert_miss(t)};
	predict_token(&t->predicted, &t->plan, t->model, &r);
	free(weight_s);
}

/* The disk alone: the mean of before and after; negative when it could not be measured. */
static double disk_alone(const struct bench *t)
{
	if (t->before.bytes_per_s > 0 && t->after.bytes_per_s > 0)
		return (t->before.bytes_per_s + t->after.bytes_per_s) / 2;
	return -1;
}

struct result { /* seconds and the like, a token; negative: not known */
	double mean, median, p95, disk, floor, ratio, rate, busy;
};

static struct result sum_up(struct bench *t)
{
	const double n = t->tokens;
	struct result r = {.mean = (double)t->decode.wall / 1e9 / n, .floor = -1, .ratio = -1, .rate = -1};
	qsort(t->walls, t->tokens, sizeof(*t->walls), probe_by_seconds);
	r.median = t->walls[t->tokens / 2];
	r.p95 = t->walls[(size_t)(0.95 * (n - 1) + 0.5)];
	r.disk = disk_alone(t);
	if (r.disk > 0 && t->decode.bytes_disk) {
		r.floor = (double)t->decode.bytes_disk / n / r.disk;
		r.ratio = r.mean / r.floor;
	}
	if (t->decode.read_busy > 0 && t->decode.bytes_disk)
		r.rate = (double)t->decode.bytes_disk / ((double)t->decode.read_busy / 1e9);
	r.busy = (double)t->decode.read_busy / (double)t->decode.wall;
	return r;
}

static void put(const char *name, double v, const char *end)
{
	if (v < 0 || !isfinite(v))
		printf("\"%s\": null%s", name, end);
	else
		printf("\"%s\": %.6g%s", name, v, end);
}

static void put_pass(const char *name, const struct trace_pass *p, double n)
{
	printf("\"%s\": {\"tokens\": %u, ", name, p->rows);
	put("s", (double)p->wall / 1e9, ", ");
	put("s_per_token", (double)p->wall / 1e9 / p->rows, ", ");
	put("disk_wait_s", (double)p->ns[CAUSE_DISK] / 1e9, ", ");
	put("copy_wait_s", (double)p->ns[CAUSE_COPY] / 1e9, ", ");
	put("compute_s", (double)p->ns[CAUSE_COMPUTE] / 1e9, ", ");
	put("other_s", (double)p->ns[CAUSE_OTHER] / 1e9, ", ");
	put("read_busy_s", (double)p->read_busy / 1e9, ", ");
	printf("\"passes\": %.0f, \"bytes_from_disk\": %llu, \"bytes_from_ram\": %llu, ", n,
		(unsigned long long)p->bytes_disk, (unsigned long long)p->bytes_ram);
	put("late_chunks", p->late, ", ");
	put("expert_hits", p->experts ? (double)p->expert_hits : -1, ", ");
	put("expert_misses", p->experts ? (double)p->expert_misses : -1, ", ");
	put("expert_right_guesses", p->experts ? (double)p->expert_right : -1, ", ");
	put("expert_wrong_guesses", p->experts ? (double)p->expert_wrong : -1, "}, ");
}

static void print_json(const struct bench *t, const struct result *r)
{
	printf("{");
	put_pass("prefill", &t->prefill, (double)((t->prompt + t->plan.prefill_rows - 1) / t->plan.prefill_rows));
	put_pass("decode", &t->decode, t->tokens);
	put("s_per_token", r->mean, ", ");
	put("median_s_per_token", r->median, ", ");
	put("p95_s_per_token", r->p95, ", ");
	put("disk_gb_per_s_before", t->before.bytes_per_s > 0 ? t->before.bytes_per_s / 1e9 : -1, ", ");
	put("disk_gb_per_s_after", t->after.bytes_per_s > 0 ? t->after.bytes_per_s / 1e9 : -1, ", ");
	put("disk_gb_per_s", r->rate > 0 ? r->rate / 1e9 : -1, ", ");
	put("read_busy_share", r->busy, ", ");
	put("disk_floor_s_per_token", r->floor, ", ");
	put("ratio", r->ratio, ", ");
	put("predicted_s_per_token", t->predicted.token_s, ", ");
	printf("\"ram_bytes\": %llu, \"peak_ram_bytes\": %llu, \"resident_bytes\": %llu, \"streamed_bytes\": %llu, "
	       "\"reader\": \"%s\", \"device\": \"%s\", \"ops\": \"%s\", \"threads\": %d}\n",
		(unsigned long long)t->plan.ram_bytes, (unsigned long long)t->peak,
		(unsigned long long)t->plan.resident_bytes, (unsigned long long)t->plan.streamed_bytes,
		t->reader->name, t->backend->name, t->backend->variant, t->backend->threads);
}

static const char *number(char out[24], const char *format, double v)
{
	if (v < 0 || !isfinite(v))
		snprintf(out, 24, "-");
	else
		snprintf(out, 24, format, v);
	return out;
}

#define TEXT(format, v) number((char[24]){0}, format, v)

static void print_waits(const struct trace_pass *p, double n)
{
	static const char *const names[CAUSES] = {"disk wait", "copy wait", "computing", "other"};
	for (int c = 0; c < CAUSES; c++)
		if (c != CAUSE_COPY || p->ns[c])
			printf("    %-20s %10.4f s   %3.0f%%\n", names[c], (double)p->ns[c] / 1e9 / n,
				100.0 * (double)p->ns[c] / (double)p->wall);
}

static void print_table(const struct bench *t, const struct result *r)
{
	const double mib = 1048576;
	const struct trace_pass *d = &t->decode;
	printf("%s: %.1f MiB of weights, %.1f in RAM, %.1f from disk each pass; %s, %s/%s, %d threads\n",
		t->model->name, (double)t->model->bytes / mib, (double)t->plan.resident_bytes / mib,
		(double)t->plan.streamed_bytes / mib, t->reader->name, t->backend->name, t->backend->variant,
		t->backend->threads);
	printf("  disk alone             %10s GB/s before, %s after\n", TEXT("%.3f", t->before.bytes_per_s / 1e9),
		TEXT("%.3f", t->after.bytes_per_s / 1e9));
	printf("  prompt, %u tokens%*s %10.4f s   %.1f tokens/s\n", t->prompt, t->prompt < 100 ? 7 : t->prompt < 1000 ? 6 : 5, "",
		(double)t->prefill.wall / 1e9, t->prefill.rows / ((double)t->prefill.wall / 1e9));
	print_waits(&t->prefill, 1);
	printf("  a token                %10.4f s   median %.4f, p95 %.4f, of %u\n", r->mean, r->median, r->p95, t->tokens);
	print_waits(d, t->tokens);
	printf("    read from disk       %10.1f MiB at %s GB/s, a read in flight for %.1f%% of the time\n",
		(double)d->bytes_disk / t->tokens / mib, TEXT("%.3f", r->rate / 1e9), 100 * r->busy);
	if (d->experts)
		printf("    experts              %10.1f were in memory, %.1f were not, %.1f were read for nothing\n",
			(double)d->expert_hits / t->tokens, (double)d->expert_misses / t->tokens,
			(double)d->expert_wrong / t->tokens);
	printf("  the disk alone takes   %10s s for these bytes\n", TEXT("%.4f", r->floor));
	printf("  ratio                  %10s\n", TEXT("%.3f", r->ratio));
	printf("  predicted              %10s s a token\n", TEXT("%.4f", t->predicted.token_s));
	printf("  peak memory            %10.1f MiB of %.1f\n", (double)t->peak / mib, (double)t->plan.ram_bytes / mib);
}

static int write_plot(const struct bench *t, double mean, struct err *e)
{
	struct buf b = BUF_INIT;
	char title[320];
	snprintf(title, sizeof(title), "%.160s: %.1f ms a token, mean of %u; %.0f MiB of %.0f in RAM", t->model->name,
		mean * 1e3, t->tokens, (double)t->plan.resident_bytes / 1048576, (double)t->model->bytes / 1048576);
	plot_layers(&b, title, t->layers, t->model->n_layers + 1, t->tokens);
	int rc = buf_ok(&b, e);
	if (rc == 0)
		rc = file_save(t->o->plot, buf_str(&b), b.len, 0644, e);
	buf_clear(&b);
	return rc;
}

int cmd_bench(const struct options *o, struct backend *b)
{
	struct err e = ERR_INIT, ignored = ERR_INIT;
	struct bench t = {.o = o, .backend = b, .prompt = o->prompt_tokens ? o->prompt_tokens : PROMPT,
		.tokens = o->tokens ? o->tokens : TOKENS, .before = {.bytes_per_s = -1, .latency_s = -1}};
	int status = 0;
	if (open_bench(&t, &e) < 0 || run_bench(&t, &e) < 0) {
		status = report(&e);
	} else {
		engine_close(t.engine); /* its memory and its reads would disturb what is measured now */
		t.engine = NULL;
		probe_disk(&t.after, t.ck, o->reader, PROBE_S, (size_t)o->ram / 4, &ignored);
		struct result r = sum_up(&t);
		predict(&t, r.disk);
		if (o->json)
			print_json(&t, &r);
		else
			print_table(&t, &r);
		if (o->plot && write_plot(&t, r.mean, &e) < 0)
			status = report(&e);
	}
	free_bench(&t);
	return status;
}
