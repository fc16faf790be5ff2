/* The trace: timed spans of every pass, and what gauges, verdict, --stats and --trace make of them.
 *
 * Each instant of a pass belongs to exactly one cause. The engine reports exposed spans (it waited
 * for the disk, it waited for a copy, it computed), which never overlap and come in rising order;
 * what no span covers is CAUSE_OTHER, so the shares always sum to the wall time. Reads are reported
 * beside that as busy time of a channel and may overlap anything.
 * Threads: the engine writes; trace_view may be called from any thread (one lock inside). */
#ifndef AIRLCHAT_TRACE_TRACE_H
#define AIRLCHAT_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum cause { CAUSE_DISK, CAUSE_COPY, CAUSE_COMPUTE, CAUSE_OTHER, CAUSES };

#define TRACE_HISTORY 64

struct trace_layer {
	int64_t ns[CAUSES]; /* of the last finished pass */
	uint64_t bytes_disk;
};

struct trace_pass {
	bool prefill;
	uint32_t rows;	    /* token rows in the pass */
	int64_t wall;	    /* ns */
	int64_t ns[CAUSES]; /* sums to wall */
	uint64_t bytes_disk, bytes_ram;
	int64_t read_busy;  /* ns with a read in flight */
};

/* What a screen shows. layers is [n_layers + 1], the last one being the head; owned by the view. */
struct trace_view {
	uint32_t n_layers;
	bool in_pass, prefill;
	uint32_t layer;	      /* being computed now */
	int64_t pass_start;   /* clock_ns; 0 when idle */
	uint64_t passes;
	struct trace_pass last;	    /* the last finished pass */
	struct trace_pass decode;   /* sums over decode passes since trace_reset_sums */
	struct trace_pass prefills; /* sums over prefill passes, likewise */
	uint64_t n_decode, n_prefill;
	int64_t history[TRACE_HISTORY]; /* wall of the last decode passes, oldest first */
	uint32_t n_history;
	struct trace_layer *layers;
};

struct trace;

struct trace *trace_new(uint32_t n_layers); /* NULL when out of memory */
void trace_free(struct trace *t);

void trace_pass_begin(struct trace *t, bool prefill, uint32_t rows);
void trace_layer(struct trace *t, uint32_t layer); /* the layer that the next spans belong to */
void trace_span(struct trace *t, enum cause cause, const char *what, int64_t t0, int64_t t1);
void trace_read(struct trace *t, uint32_t layer, uint64_t bytes, int64_t t0, int64_t t1);
void trace_ram(struct trace *t, uint64_t bytes); /* a resident chunk was used */
void trace_pass_end(struct trace *t, bool keep); /* keep false: cancelled, counts nowhere */
void trace_reset_sums(struct trace *t);

/* Fill v (zeroed or used before); trace_view_clear frees its array. -1 when out of memory. */
int trace_view(struct trace *t, struct trace_view *v);
void trace_view_clear(struct trace_view *v);

/* Chrome trace format (JSON array of events) to a file, from now on; closed by trace_free. Lanes:
 * 1 engine, 2 disk. */
int trace_export(struct trace *t, const char *path, struct err *e);

#endif
