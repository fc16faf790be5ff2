/* The trace: timed spans of every pass, and what gauges, verdict, --stats and --trace make of them.
 *
 * Each instant of a pass belongs to exactly one cause. The engine reports exposed spans (it waited
 * for the disk, it waited for a copy, it computed) in rising order; what no span covers is
 * CAUSE_OTHER, of the layer it fell into, so that the shares sum to the wall time exactly. A decode
 * pass begins where the pass before it in the same answer ended: the sampler's time is its other.
 * Beside that each chunk is reported with the times it went through; the last passes are kept whole.
 * Threads: the engine writes; trace_view, trace_layers, trace_log and trace_dump may be called from
 * any thread (one lock inside). */
#ifndef AIRLCHAT_TRACE_TRACE_H
#define AIRLCHAT_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum cause { CAUSE_DISK, CAUSE_COPY, CAUSE_COMPUTE, CAUSE_OTHER, CAUSES };

#define TRACE_HISTORY 64 /* decode passes whose times are kept */
#define TRACE_LOGS 6	 /* passes whose chunks are kept */
#define TRACE_CHUNKS 2048 /* records of a pass; neighbours are merged when there are more chunks */

struct trace_layer {
	int64_t ns[CAUSES]; /* of the last finished pass */
	uint64_t bytes_disk, bytes_ram;
	uint32_t expert_hits, expert_misses, expert_wrong;
};

struct trace_layer_stats { /* wall time of a layer over the last decode passes, ns */
	int64_t last, mean, p95; /* -1: no decode pass yet */
};

/* A chunk on its way through one pass; times are clock_ns, 0 where a stage did not happen. */
struct trace_chunk {
	uint32_t index, layer; /* in the schedule */
	uint32_t merged;       /* further chunks in this record */
	uint8_t tier;	       /* enum tier of stream/stream.h: 0 disk, 1 RAM, 2 VRAM */
	uint64_t bytes;
	int64_t issued, in_ram, in_vram; /* read asked for; read; copied to the device */
	int64_t from, start, end;	 /* the engine wanted it; began, ended computing with it */
	int64_t wait[2];		 /* CAUSE_DISK, CAUSE_COPY: exposed, between from and start */
};

struct trace_pass {
	bool prefill;
	uint32_t rows;	    /* token rows in the pass */
	int64_t wall;	    /* ns */
	int64_t ns[CAUSES]; /* sums to wall */
	uint64_t bytes_disk, bytes_ram;
	int64_t read_busy;  /* ns with a read in flight */
	int64_t copy_busy;  /* ns with a copy to the device in flight */
	uint64_t reads;	    /* of chunks that were used */
	int64_t read_sum;   /* ns from asked for to read, summed: a read's latency, times reads */
	uint64_t bytes_copy; /* to the device */
	uint32_t late;	    /* chunks that were waited for */
	bool experts;	    /* the next were counted */
	uint64_t expert_hits, expert_misses;
	uint64_t expert_right, expert_wrong; /* guesses that were read: among the hits, and for nothing */
};

/* What a screen shows. layers is [n_layers + 1], the last one being the head; owned by the view. */
struct trace_view {
	uint32_t n_layers;
	bool in_pass, prefill;
	uint32_t layer;	      /* being computed now */
	int64_t pass_start;   /* clock_ns; 0 when idle */
	uint64_t passes;
	struct trace_pass now;	    /* the running pass as far as it is accounted for */
	struct trace_pass last;	    /* the last finished pass */
	struct trace_pass decode;   /* sums over decode passes since trace_reset_sums */
	struct trace_pass prefills; /* sums over prefill passes, likewise */
	uint64_t n_decode, n_prefill;
	int64_t history[TRACE_HISTORY]; /* wall of the last decode passes, oldest first */
	uint32_t n_history;
	uint32_t n_logs; /* passes that trace_log can give */
	struct trace_layer *layers;
};

/* One finished pass chunk by chunk. Zero it before the first use; trace_log_clear frees. */
struct trace_log {
	struct trace_pass pass;
	uint64_t number;
	int64_t start; /* the pass took [start, start + pass.wall) */
	uint32_t n;
	size_t cap;
	struct trace_chunk *chunks; /* [n], in order of use */
};

enum lane { LANE_DISK, LANE_COPY, LANE_COMPUTE, LANE_WAIT_DISK, LANE_WAIT_COPY, LANES };

struct trace;

struct trace *trace_new(uint32_t n_layers); /* NULL when out of memory */
void trace_free(struct trace *t);
/* Another clock than clock_ns, for tests. */
void trace_set_clock(struct trace *t, int64_t (*now)(void *arg), void *arg);

void trace_pass_begin(struct trace *t, bool prefill, uint32_t rows);
void trace_layer(struct trace *t, uint32_t layer); /* the layer that the next spans belong to */
void trace_span(struct trace *t, enum cause cause, const char *what, int64_t t0, int64_t t1);
/* A chunk is in hand: all of c but end and wait, which the spans around it tell. in_pass reads are
 * told by issued != 0. */
void trace_use(struct trace *t, const struct trace_chunk *c);
/* The experts that the present layer needs, and what of them was there. */
struct trace_experts {
	const uint32_t *chosen; /* [n] borrowed: numbers, first_number being the layer's expert 0 */
	uint32_t n, first_number;
	uint32_t hits, misses;
	uint32_t right, wrong; /* guesses that were read: and are among them, and are not */
	uint64_t wrong_bytes;
};
void trace_experts(struct trace *t, const struct trace_experts *x);
void trace_pass_end(struct trace *t, bool keep); /* keep false: cancelled, counts nowhere */
void trace_reset_sums(struct trace *t);		 /* an answer begins */

/* Fill v (zeroed or used before); trace_view_clear frees its array. -1 when out of memory. */
int trace_view(struct trace *t, struct trace_view *v);
void trace_view_clear(struct trace_view *v);
void trace_layers(struct trace *t, struct trace_layer_stats *out); /* [n_layers + 1] */
/* The pass `back` passes before the last; -1 when it isn't kept or memory is short. */
int trace_log(struct trace *t, uint32_t back, struct trace_log *l);
void trace_log_clear(struct trace_log *l);

/* How much of each of `n` equal parts of [t0, t1) each lane was busy, 0..1: out[lane * n + i].
 * Disk and copy are unions of what was in flight; compute and the waits never overlap. */
void trace_lanes(const struct trace_log *l, int64_t t0, int64_t t1, uint32_t n, float *out);

int64_t trace_percentile(const int64_t *v, size_t n, double p); /* -1 when n is 0 */
double trace_pace(const struct trace_view *v); /* seconds a token: mean of the latest decode passes; -1: none */

/* Chrome trace format (JSON array of events) to a file, from now on; closed by trace_free. Lanes:
 * 1 engine, 2 copies, 10 and up reads, as many as overlap. */
int trace_export(struct trace *t, const char *path, struct err *e);
/* The same of the passes that are kept, at once. *passes: how many they were. */
int trace_dump(struct trace *t, const char *path, uint32_t *passes, struct err *e);

#endif
