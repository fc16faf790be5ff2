/* airlchat plan: what would stay in memory under the budgets, and what a token would then take on this
 * machine. Reads headers, and weights only to time the disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/commands.h"
#include "engine/predict.h"
#include "engine/probe.h"
#include "engine/sampler.h"
#include "stream/stream.h"

static const double mib = 1048576.0;

#define OPTIONS 8
#define PROBE_S 0.5 /* for the disk */
#define PROBE_CTX 64 /* tokens of context in use, of which the prediction speaks */

struct speed { /* this machine, measured */
	struct probe_disk disk;
	struct predicted now;
	struct predict_option options[OPTIONS];
	size_t n_options;
};

/* What the reader has to say, where the disk was not measured. */
static void reader_note(struct speed *v, const struct options *o, const struct checkpoint *ck)
{
	struct err ignored = ERR_INIT;
	struct reader *r;
	if (reader_open(&r, o->reader, ck, NULL, 1, &ignored) < 0)
		return;
	snprintf(v->disk.note, sizeof(v->disk.note), "%s", r->note);
	snprintf(v->disk.reader, sizeof(v->disk.reader), "%s", r->name);
	r->ops->close(r);
}

struct measuring {
	const struct options *o;
	struct backend *b;
	const struct checkpoint *ck;
	const struct model *m;
	const struct plan *p;
	struct speed *v;
	struct predict_rates rates;
	double *weight_s;
};

/* The rates with the kernels' times as they are on `b` with weights `as`; false when these are not known. */
static bool time_kernels(struct measuring *t, struct backend *b, enum dtype as)
{
	const struct probe_work w = {.backend = b, .model = t->m, .schedule = &t->p->schedule, .as = as,
		.ctx = PROBE_CTX < t->p->ctx ? PROBE_CTX : t->p->ctx,
		.scratch = probe_scratch(t->p->ram_bytes / 2)};
	t->rates.weight_s = probe_compute(&w, t->weight_s) < 0 ? NULL : t->weight_s;
	return t->rates.weight_s;
}

/* The option that was just filled in counts when it saves something. */
static void keep_option(struct speed *v, bool known)
{
	if (known && v->options[v->n_options].token_s < 0.97 * v->now.token_s)
		v->n_options++;
}

static void try_more_threads(struct measuring *t)
{
	struct err ignored = ERR_INIT;
	struct backend *more = NULL;
	struct speed *v = t->v;
	if (!t->b->ops->with_threads || t->b->ops->with_threads(t->b, 0, &more, &ignored) < 0)
		return;
	if (more->threads > t->b->threads && time_kernels(t, more, DTYPE_UNKNOWN))
		keep_option(v, predict_threads(&v->options[v->n_options], t->p, t->m, &t->rates, more->threads));
	more->ops->close(more);
}

static void try_options(struct measuring *t)
{
	struct speed *v = t->v;
	uint64_t most = plan_free_ram() + plan_process_ram();
	v->n_options = predict_budgets(v->options, 3, t->p, t->m, &t->rates, most - most / 10);
	keep_option(v, predict_stripes(&v->options[v->n_options], t->p, t->m, &t->rates));
	try_more_threads(t);
	for (int bits = 4; bits <= 8; bits += 4) {
		enum dtype as = predict_prepared_dtype(t->ck, bits);
		if (time_kernels(t, t->b, as))
			keep_option(v, predict_prepared(&v->options[v->n_options], t->p, t->m, &t->rates, as));
	}
}

static void measure(struct measuring *t)
{
	struct err ignored = ERR_INIT;
	struct speed *v = t->v;
	/* Nothing is read to measure the disk where nothing streams. */
	const bool reads = plan_streams(t->p);
	const bool whole = reads && probe_disk(&v->disk, t->ck, t->o->reader, PROBE_S,
						 (size_t)t->p->ram_bytes / 2, &ignored) == 0;
	if (whole)
		probe_disk_keep(&v->disk, t->ck);
	else
		probe_disk_cached(&v->disk, t->ck);
	t->weight_s = calloc(t->m->n_weights, sizeof(*t->weight_s));
	t->rates = (struct predict_rates){.disk_bytes_per_s = v->disk.bytes_per_s, .latency_s = v->disk.latency_s,
		.compute_s = -1, .rest_s = probe_sampler(t->m, &t->o->settings.sampler), .expert_miss = -1};
	/* Where reads count and could not be timed, as with headers alone, kernels tell nothing. */
	if (t->weight_s && (whole || !reads))
		time_kernels(t, t->b, DTYPE_UNKNOWN);
	if (!v->disk.note[0])
		reader_note(v, t->o, t->ck);
	predict_token(&v->now, t->p, t->m, &t->rates);
	if (v->now.token_s > 0)
		try_options(t);
	free(t->weight_s);
}

static void put_number(const char *name, double v)
{
	if (v >= 0)
		printf(", \"%s\": %.6g", name, v);
	else
		printf(", \"%s\": null", name);
}

static void print_json_string(const char *s)
{
	struct buf b = BUF_INIT;
	json_write_str(&b, s, strlen(s));
	fputs(buf_str(&b), stdout);
	buf_clear(&b);
}

static void print_speed_json(const struct speed *v)
{
	put_number("disk_gb_per_s", v->disk.bytes_per_s / 1e9);
	if (v->disk.bytes_per_s > 0)
		printf(", \"disk_measured_s_ago\": %lld", (long long)v->disk.age_s);
	else
		printf(", \"disk_measured_s_ago\": null");
	if (v->disk.depth)
		printf(", \"disk_request_bytes\": %zu, \"disk_depth\": %u", v->disk.request, v->disk.depth);
	else
		printf(", \"disk_request_bytes\": null, \"disk_depth\": null");
	printf(", \"reader\": \"%s\", \"reader_note\": ", v->disk.reader);
	if (v->disk.note[0])
		print_json_string(v->disk.note);
	else
		printf("null");
	put_number("disk_s_per_token", v->now.disk_s);
	put_number("compute_s_per_token", v->now.compute_s);
	put_number("floor_s_per_token", v->now.floor_s);
	put_number("predicted_s_per_token", v->now.token_s);
	put_number("expert_bytes_per_token", v->now.expert_bytes);
	printf(", \"options\": [");
	for (size_t i = 0; i < v->n_options; i++)
		printf("%s{\"change\": \"%s\", \"predicted_s_per_token\": %.6g}", i ? ", " : "",
			v->options[i].change, v->options[i].token_s);
	printf("]");
}

static const char *seconds(char out[16], double s)
{
	if (s < 0)
		snprintf(out, 16, "-");
	else
		snprintf(out, 16, s < 0.1 ? "%.4f" : s < 10 ? "%.3f" : "%.1f", s);
	return out;
}

static void print_speed(const struct speed *v)
{
	char a[16], b[16];
	if (v->disk.bytes_per_s < 0)
		printf("  disk                         - GB/s  not measured\n");
	else if (v->disk.age_s == 0)
		printf("  disk                %10.2f GB/s  measured now, %s\n", v->disk.bytes_per_s / 1e9, v->disk.reader);
	else
		printf("  disk                %10.2f GB/s  measured %.1f h ago\n", v->disk.bytes_per_s / 1e9,
			(double)v->disk.age_s / 3600);
	if (v->disk.depth)
		printf("  reads               %10.2f MiB   each, %u in flight as far as the ring has room\n",
			(double)v->disk.request / mib, v->disk.depth);
	if (v->disk.note[0])
		printf("  reader                         %s: %s\n", v->disk.reader, v->disk.note);
	printf("  at best             %10s s/token  the longer of disk %s and compute %s\n",
		seconds((char[16]){0}, v->now.floor_s), seconds(a, v->now.disk_s), seconds(b, v->now.compute_s));
	printf("  predicted           %10s s/token\n", seconds(a, v->now.token_s));
	if (v->now.expert_bytes > 0)
		printf("  experts from disk   %10.1f MiB   a token, if all were chosen equally often\n",
			v->now.expert_bytes / mib);
	int width = 0;
	for (size_t i = 0; i < v->n_options; i++)
		if ((int)strlen(v->options[i].change) > width)
			width = (int)strlen(v->options[i].change);
	if (v->n_options)
		printf("  what would help:\n");
	for (size_t i = 0; i < v->n_options; i++)
		printf("    %-*s %10s s/token\n", width, v->options[i].change, seconds(a, v->options[i].token_s));
}

static void print_json(const struct model *m, const struct plan *p, const struct speed *v)
{
	printf("{\"min_ram_bytes\": %llu, \"ram_bytes\": %llu, \"resident_bytes\": %llu, \"streamed_bytes\": %llu, "
	       "\"kv_bytes\": %llu, \"ring_bytes\": %llu, \"activation_bytes\": %llu, \"base_bytes\": %llu, "
	       "\"backend_bytes\": %llu, \"norm_bytes\": %llu, \"weight_bytes\": %llu, \"ctx\": %u, "
	       "\"prefill_rows\": %u, \"chunk_bytes\": %llu, \"chunks\": %zu, \"layers\": %u, \"kv_type\": \"%s\", "
	       "\"experts\": %u, \"expert_bytes\": %llu, \"expert_cache_bytes\": %llu",
		(unsigned long long)p->min_ram_bytes, (unsigned long long)p->ram_bytes,
		(unsigned long long)p->resident_bytes, (unsigned long long)p->streamed_bytes,
		(unsigned long long)p->kv_bytes, (unsigned long long)p->ring_bytes,
		(unsigned long long)p->activation_bytes, (unsigned long long)p->base_bytes,
		(unsigned long long)p->backend_bytes, (unsigned long long)p->small_bytes,
		(unsigned long long)m->bytes, p->ctx, p->prefill_rows, (unsigned long long)p->chunk_bytes,
		p->schedule.n, m->n_layers, dtype_info(p->kv_type)->name, m->moe.n_experts,
		(unsigned long long)p->schedule.expert_bytes, (unsigned long long)p->expert_bytes);
	print_speed_json(v);
	puts("}");
}

static void print_table(const struct model *m, const struct plan *p)
{
	printf("%s: %u layers, %.1f MiB of weights\n", m->name, m->n_layers, (double)m->bytes / mib);
	if (m->note)
		printf("  %s\n", m->note);
	printf("  budget (--ram)      %10.1f MiB   smallest that works: %.0f MiB\n",
		(double)p->ram_bytes / mib, (double)p->min_ram_bytes / mib);
	printf("  program and tables  %10.1f MiB\n",
		(double)(p->base_bytes + p->backend_bytes + p->small_bytes) / mib);
	if (m->mla.kv_rank)
		printf("  KV cache            %10.1f MiB   %u layers x %u tokens x (%u + %u) x %s\n",
			(double)p->kv_bytes / mib, m->n_layers, p->ctx, m->mla.kv_rank, m->mla.rope,
			dtype_info(p->kv_type)->name);
	else
		printf("  KV cache            %10.1f MiB   2 x %u layers x %u tokens x %u x %u x %s\n",
			(double)p->kv_bytes / mib, m->n_layers, p->ctx, m->kv_heads, m->head_dim,
			dtype_info(p->kv_type)->name);
	printf("  activations         %10.1f MiB   %u rows a pass\n", (double)p->activation_bytes / mib,
		p->prefill_rows);
	printf("  ring                %10.1f MiB   chunks of at most %.2f MiB\n", (double)p->ring_bytes / mib,
		(double)p->schedule.max_bytes / mib);
	printf("  weights in RAM      %10.1f MiB\n", (double)p->resident_bytes / mib);
	printf("  weights from disk   %10.1f MiB   each pass\n", (double)p->streamed_bytes / mib);
	const uint64_t listed = p->resident_bytes + p->streamed_bytes + p->small_bytes + p->schedule.expert_bytes;
	if (m->bytes > listed)
		printf("  embeddings on disk  %10.1f MiB   a row for each token\n", (double)(m->bytes - listed) / mib);
	if (m->moe.n_experts)
		printf("  experts             %10.1f MiB   %u a layer, %u of them for a token; %.1f MiB kept in RAM\n",
			(double)p->schedule.expert_bytes / mib, m->moe.n_experts, m->moe.top_k,
			(double)p->expert_bytes / mib);
}

int cmd_plan(const struct options *o, struct backend *b)
{
	struct err e = ERR_INIT;
	struct checkpoint *ck = NULL;
	struct model *m = NULL;
	struct plan plan = {0};
	struct speed speed = {0};
	const struct plan_request r = {.ram = o->ram, .backend = b->overhead, .host_memory = b->host_memory,
		.ctx = o->ctx, .prefill_rows = o->prefill_rows, .kv_type = o->kv_type,
		.chunk_bytes = o->chunk_size};
	int status = 0;
	if (checkpoint_open(&ck, o->model, 0, &e) < 0 || model_open(&m, ck, &e) < 0 ||
		plan_make(&plan, m, &r, &e) < 0) {
		status = report(&e);
	} else {
		struct measuring t = {.o = o, .b = b, .ck = ck, .m = m, .p = &plan, .v = &speed};
		measure(&t);
		if (o->json) {
			print_json(m, &plan, &speed);
		} else {
			print_table(m, &plan);
			print_speed(&speed);
		}
	}
	plan_clear(&plan);
	model_close(m);
	checkpoint_close(ck);
	return status;
}
