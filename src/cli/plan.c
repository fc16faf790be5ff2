/* airlchat plan: what would stay in memory under the budgets. Reads headers only. */
#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "engine/plan.h"
#include "stream/stream.h"

static const double mib = 1048576.0;

static void print_json(const struct model *m, const struct plan *p)
{
	printf("{\"min_ram_bytes\": %llu, \"ram_bytes\": %llu, \"resident_bytes\": %llu, \"streamed_bytes\": %llu, "
	       "\"kv_bytes\": %llu, \"ring_bytes\": %llu, \"activation_bytes\": %llu, \"base_bytes\": %llu, "
	       "\"backend_bytes\": %llu, \"norm_bytes\": %llu, \"weight_bytes\": %llu, \"ctx\": %u, "
	       "\"prefill_rows\": %u, \"chunk_bytes\": %llu, \"chunks\": %zu, \"layers\": %u, \"kv_type\": \"%s\"}\n",
		(unsigned long long)p->min_ram_bytes, (unsigned long long)p->ram_bytes,
		(unsigned long long)p->resident_bytes, (unsigned long long)p->streamed_bytes,
		(unsigned long long)p->kv_bytes, (unsigned long long)p->ring_bytes,
		(unsigned long long)p->activation_bytes, (unsigned long long)p->base_bytes,
		(unsigned long long)p->backend_bytes, (unsigned long long)p->small_bytes,
		(unsigned long long)m->bytes, p->ctx, p->prefill_rows, (unsigned long long)p->chunk_bytes,
		p->schedule.n, m->n_layers, dtype_info(p->kv_type)->name);
}

static void print_table(const struct model *m, const struct plan *p)
{
	printf("%s: %u layers, %.1f MiB of weights\n", m->name, m->n_layers, (double)m->bytes / mib);
	printf("  budget (--ram)      %10.1f MiB   smallest that works: %.0f MiB\n",
		(double)p->ram_bytes / mib, (double)p->min_ram_bytes / mib);
	printf("  program and tables  %10.1f MiB\n",
		(double)(p->base_bytes + p->backend_bytes + p->small_bytes) / mib);
	printf("  KV cache            %10.1f MiB   2 x %u layers x %u tokens x %u x %u x %s\n",
		(double)p->kv_bytes / mib, m->n_layers, p->ctx, m->kv_heads, m->head_dim,
		dtype_info(p->kv_type)->name);
	printf("  activations         %10.1f MiB   %u rows a pass\n", (double)p->activation_bytes / mib,
		p->prefill_rows);
	printf("  ring                %10.1f MiB   chunks of at most %.2f MiB\n", (double)p->ring_bytes / mib,
		(double)p->schedule.max_bytes / mib);
	printf("  weights in RAM      %10.1f MiB\n", (double)p->resident_bytes / mib);
	printf("  weights from disk   %10.1f MiB   each pass\n", (double)p->streamed_bytes / mib);
}

int cmd_plan(const struct options *o, struct backend *b)
{
	struct err e = ERR_INIT;
	struct checkpoint *ck = NULL;
	struct model *m = NULL;
	struct plan plan = {0};
	const struct plan_request r = {.ram = o->ram, .backend = b->overhead, .host_memory = b->host_memory,
		.ctx = o->ctx, .prefill_rows = o->prefill_rows, .kv_type = o->kv_type,
		.chunk_bytes = o->chunk_size};
	int status = 0;
	if (checkpoint_open(&ck, o->model, 0, &e) < 0 || model_open(&m, ck, &e) < 0 ||
		plan_make(&plan, m, &r, &e) < 0)
		status = report(&e);
	else if (o->json)
		print_json(m, &plan);
	else
		print_table(m, &plan);
	plan_clear(&plan);
	model_close(m);
	checkpoint_close(ck);
	return status;
}
