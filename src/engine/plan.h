/* The planner: what stays in memory and what streams, computed once from the budgets.
 *
 * Host memory on a CPU:
 *   ram = base + backend + kv + activations + small + embed + tables + ring + resident + experts.
 * With a device of its own memory: vram = kv + activations + small + device ring + resident + experts,
 *   ram = base + backend + activations (staged) + embed + tables + stage + ring + resident (pinned).
 * kv = 2 * layers * ctx * kv_heads * head_dim * bytes per element.
 * activations: the buffers of a pass of n = prefill_rows rows (engine/buffers.c).
 * A cyclic scan defeats LRU, so the resident set is fixed; it is spread evenly through the schedule,
 * so that the disk works while resident chunks compute. */
#ifndef AIRLCHAT_ENGINE_PLAN_H
#define AIRLCHAT_ENGINE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"
#include "quant/dtype.h"

struct plan_request {
	uint64_t ram;	       /* budget in bytes; 0: what is free now, less a margin */
	uint64_t vram;	       /* budget on a device with memory of its own */
	uint64_t base;	       /* what the process takes without the engine; 0: measure now */
	uint64_t backend;      /* struct backend.overhead */
	bool host_memory;
	uint32_t ctx;	       /* cells; 0: min(model's, 4096, what fits) */
	uint32_t prefill_rows; /* 0: PLAN_PREFILL_ROWS */
	uint32_t logits_rows;  /* rows whose logits one pass gives; 0: 1 */
	enum dtype kv_type;
	uint64_t chunk_bytes; /* 0: chosen */
};

#define PLAN_PREFILL_ROWS 512

struct plan {
	uint64_t ram_bytes;	/* the budget */
	uint64_t min_ram_bytes; /* the smallest budget that works: with this context if it was asked for */
	uint64_t base_bytes, backend_bytes, kv_bytes, activation_bytes, small_bytes, ring_bytes;
	uint64_t embed_bytes; /* table of embedding rows met before */
	uint64_t table_bytes; /* what the number of chunks costs */
	uint64_t expert_bytes; /* cache of experts' chunks, where the backend computes */
	uint64_t device_ring_bytes, vram_bytes, vram_used; /* 0 with host_memory */
	uint64_t resident_bytes;		     /* weights kept in RAM (and VRAM) */
	uint64_t streamed_bytes;		     /* weights read from disk each pass */
	uint64_t chunk_bytes;
	uint32_t ctx, prefill_rows, logits_rows;
	enum dtype kv_type;
	struct plan_request request; /* makes the same plan again, also later in the same process */
	struct schedule schedule;
	uint8_t *tiers;	 /* [schedule.n] enum tier of stream/stream.h */
	uint8_t *layers; /* [n_layers + 1] percent of the streamed weights' bytes that are resident */
};

/* ERR_BUDGET names the smallest budget that works. plan_clear frees. */
int plan_make(struct plan *p, const struct model *m, const struct plan_request *r, struct err *e);
void plan_clear(struct plan *p);

/* Is anything read from disk again and again? */
static inline bool plan_streams(const struct plan *p)
{
	return p->streamed_bytes > 0 || p->schedule.expert_bytes > p->expert_bytes;
}

uint64_t plan_free_ram(void);  /* min(MemAvailable, cgroup room) now, in bytes */
uint64_t plan_total_ram(void); /* min(the machine's memory, cgroup limit) */
/* The same by the files /proc and /sys under `root`. */
uint64_t system_free_ram(const char *root);
uint64_t system_total_ram(const char *root);
uint64_t plan_process_ram(void); /* resident set of this process, in bytes */
uint64_t plan_peak_ram(void);	 /* its high-water mark */

#endif
