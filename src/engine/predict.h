/* The time of a token, predicted from measured rates and the schedule: at least the longest of disk
 * and compute (the floor); what one gets by walking through the schedule, the disk ahead of the engine
 * as far as the ring lets it. The same model answers "what if". */
#ifndef AIRLCHAT_ENGINE_PREDICT_H
#define AIRLCHAT_ENGINE_PREDICT_H

#include "engine/plan.h"

/* Measured. What is negative is not known, and what needs it is not predicted. */
struct predict_rates {
	double disk_bytes_per_s;
	double latency_s;	/* of a read alone; <= 0: none */
	const double *weight_s; /* [m.n_weights] computing with all of a weight, one row. NULL: compute_s
				 * is shared out by bytes */
	double compute_s;	/* of all chunks, and of as many experts as are chosen */
	double rest_s;		/* of a pass beside the chunks: other operations, the sampler */
	double expert_miss;	/* of the chosen experts' bytes, what is not in memory; negative: as if all
				 * experts were chosen equally often. Of interest where there are experts */
	uint32_t drives;	/* 0 or 1: one; 2: the files lie as `prepare --stripe` puts them on two drives, each
				 * of disk_bytes_per_s */
};

struct predicted { /* seconds; negative: not known */
	double token_s;
	double floor_s; /* max(disk_s, compute_s) */
	double disk_s, compute_s;
	double expert_bytes; /* of disk_s: experts that are not in memory */
};

#define PREDICTED_UNKNOWN {-1, -1, -1, -1, -1}

void predict_token(struct predicted *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r);

/* The latency with which the prediction is what was measured: waiting that the rates don't explain is put
 * down to it, so that it goes where nothing is read. */
void predict_fit(struct predict_rates *r, const struct plan *p, const struct model *m, double token_s);

struct predict_option {
	char change[48]; /* what to do, in words of the command line: "--ram 4.5G" */
	uint64_t ram;	 /* the budget that it means; 0 if it is not about memory */
	double token_s;
};

/* What larger budgets would give: a quarter and a half of the streamed weights more, and all of them,
 * as far as `most` bytes of memory go. Returns how many were written, at most max. */
size_t predict_budgets(struct predict_option *out, size_t max, const struct plan *p, const struct model *m,
	const struct predict_rates *r, uint64_t most);

/* What `prepare --quant` would give with the same budget, as: a dtype of predict_prepared_dtype; r: the rates, the
 * compute times being those of probe_compute with the same dtype. False when that would not make the
 * model much smaller, or is not known. */
bool predict_prepared(struct predict_option *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r, enum dtype as);
/* The dtype of 4 or 8 bits that prepare would give this model. */
enum dtype predict_prepared_dtype(const struct checkpoint *c, int bits);
/* What a weight has then: the layers' matrices `as`, unless they have no more bits; others as they are. */
enum dtype predict_weight_dtype(const struct model *m, const struct weight *w, enum dtype as);

/* What more threads would give; r: the rates with so many. False when it is not faster or not known. */
bool predict_threads(struct predict_option *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r, int threads);
/* What a second drive, as fast, would give. */
bool predict_stripes(struct predict_option *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r);

/* "4.5G", "300M": a size as --ram takes it, rounded up. */
void predict_size(char *out, size_t cap, uint64_t bytes);

#endif
