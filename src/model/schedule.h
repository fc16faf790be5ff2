/* Chunks in the order a pass needs them: known in advance and cyclic. */
#ifndef AIRLCHAT_MODEL_SCHEDULE_H
#define AIRLCHAT_MODEL_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

/* A run of rows of one weight, read from one extent of one file. */
struct chunk {
	uint32_t weight; /* index into model.weights */
	uint32_t layer;	 /* 0..n_layers-1; n_layers for the head */
	uint32_t row0, rows;
	uint32_t file;	 /* index into checkpoint.files */
	uint64_t offset; /* any byte */
	uint64_t bytes;
};

struct schedule {
	struct chunk *chunks;
	size_t n;
	uint64_t bytes;	    /* sum over the chunks */
	uint64_t max_bytes; /* the largest chunk */
};

#endif
