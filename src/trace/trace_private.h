/* What the files of trace/ share. Private to trace/. */
#ifndef AIRLCHAT_TRACE_TRACE_PRIVATE_H
#define AIRLCHAT_TRACE_TRACE_PRIVATE_H

#include <pthread.h>

#include "trace/trace.h"

#define EXPORT_LANES 64

/* A Chrome trace being written. Reads overlap, and events of one lane must not: each read takes the
 * first lane that is free. */
struct trace_file {
	FILE *out; /* NULL: none */
	bool comma;
	int64_t lane_end[EXPORT_LANES];
};

int trace_file_open(struct trace_file *f, const char *path, struct err *e);
int trace_file_close(struct trace_file *f, const char *path, struct err *e); /* e may be NULL */
void trace_file_span(struct trace_file *f, const char *name, uint32_t layer, uint64_t pass, int64_t t0,
	int64_t t1);
void trace_file_experts(struct trace_file *f, const struct trace_experts *x, uint32_t layer, uint64_t pass,
	int64_t at);
void trace_file_chunk(struct trace_file *f, const struct trace_chunk *c, uint64_t pass);

struct trace {
	pthread_mutex_t lock; /* guards all below */
	int64_t (*clock)(void *arg);
	void *clock_arg;
	struct trace_view view;
	struct trace_layer *layers; /* [n_layers + 1]: the last finished pass */
	struct trace_layer *now;    /* [n_layers + 1]: the running pass */
	uint32_t *layer_us;	    /* [TRACE_HISTORY][n_layers + 1]: walls of the last decode passes */
	uint64_t n_layer_us;
	int64_t at;	  /* the running pass is accounted for up to here */
	int64_t last_end; /* of the pass before; 0 at the beginning of an answer */
	int64_t read_mark, copy_mark; /* up to here the channels' busy time is counted */
	int64_t waited[2]; /* since the last chunk: CAUSE_DISK, CAUSE_COPY */
	bool last_kept;
	struct trace_log run, logs[TRACE_LOGS]; /* logs: the pass with number k lies at k % TRACE_LOGS */
	uint32_t stride; /* chunks a record of the running pass */
	struct trace_file file;
};

#endif
