/* What this machine can do, measured: how fast the drive reads the model's files, and how long the
 * kernels take for the model's matrices. For predictions, gauges and bench; nothing of the model is
 * computed. Results of the drive are kept per device in the user's cache folder. */
#ifndef AIRLCHAT_ENGINE_PROBE_H
#define AIRLCHAT_ENGINE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "model/model.h"
#include "store/checkpoint.h"
#include "stream/reader.h"

struct probe_disk {
	double bytes_per_s; /* many reads in flight; negative: not known */
	double latency_s;   /* of one small read alone; negative: not known */
	size_t request;	    /* with requests of this size, */
	unsigned depth;	    /* so many in flight, as far as the ring has room; 0: not known */
	int64_t age_s;	    /* 0: measured now; else the age of what the cache had */
	char reader[32];    /* "uring+direct" */
	char note[160];	    /* reader.note; empty from the cache */
};

/* Read the file that holds most of the model's bytes, directly, for about `seconds`, into at most `memory` bytes
 * (0: as many as it takes). -1 with a sentence when its data are not there (sparse), too small to tell, or not
 * readable; *out is then "not known". */
int probe_disk(struct probe_disk *out, const struct checkpoint *c, const char *reader, double seconds,
	size_t memory, struct err *e);
/* The last result for the device and file system that hold the model, if one was kept within a week; else
 * false, and "not known". */
bool probe_disk_cached(struct probe_disk *out, const struct checkpoint *c);
void probe_disk_keep(const struct probe_disk *d, const struct checkpoint *c); /* failure is no harm */
/* A reader of all files that asks as the drive likes it best; as is usual where that isn't known. */
int probe_reader_open(struct reader **out, const char *kind, const struct checkpoint *c,
	const struct probe_disk *d, struct err *e);

/* What is computed, for probe_compute. */
struct probe_work {
	struct backend *backend;
	const struct model *model;
	const struct schedule *schedule; /* of the model */
	enum dtype as;	/* as if prepared with this dtype: predict_weight_dtype; DTYPE_UNKNOWN: as it is */
	uint32_t ctx;	/* cells in use */
	bool quick;	/* a quarter of the time, less exact */
	size_t scratch; /* bytes of memory to compute on, without a model in it: probe_scratch */
};

/* Seconds that computing one pass of one row takes, of experts as many as are chosen; weight_s:
 * [m.n_weights] of each weight's part, or NULL. One layer of each sort and the head are timed. Negative: not
 * known (no memory, a device of another kind, a matrix that can't have the dtype). */
double probe_compute(const struct probe_work *w, double *weight_s);

/* Bytes to compute on where there are `room`: no fewer than tell anything, no more than it takes. */
size_t probe_scratch(uint64_t room);

struct sampler_params;
/* Seconds that choosing a token takes; negative: not known. */
double probe_sampler(const struct model *m, const struct sampler_params *p);

int probe_by_seconds(const void *a, const void *b); /* for qsort of doubles, the least first */

#endif
