/* One tensor of the source, read in pieces, to the sink: as it is, or encoded. Private to prepare/. */
#ifndef AIRLCHAT_PREPARE_ENCODE_H
#define AIRLCHAT_PREPARE_ENCODE_H

#include "backend/cpu/pool.h"
#include "prepare/layout.h"
#include "prepare/sink.h"

struct source { /* the files that are read */
	const struct checkpoint *c;
	const char *const *paths; /* [c->n_files] */
	int *fds;		  /* [c->n_files], -1: not open */
};

struct encoder {
	struct source src;
	struct quantization *q;
	struct pool *pool;
	/* scratch */
	uint8_t *raw, *codes;
	float *values, *back;
	double *sums; /* [2 * PARTS]: error and weight, squared, of each part; added in order */
	int threads;
	/* sides of the tensors encoded for the present file */
	struct encoded *encoded;
	/* of the present file's layer */
	double error2, weight2;
	uint64_t quantized;
	void (*seen)(void *arg, uint64_t bytes); /* bytes of a piece are written */
	void *arg;
};

/* q: of the source's model; borrowed. */
int encoder_open(struct encoder *x, const struct checkpoint *c, struct quantization *q,
	const char *const *paths, int threads, struct err *e);
void encoder_close(struct encoder *x);
void encoder_next(struct encoder *x); /* behind a file: forgets its sides and errors, closes what was read */

/* Write piece p, whose offset the sink has reached. */
int encoder_piece(struct encoder *x, const struct piece *p, struct sink *s, struct err *e);

#endif
