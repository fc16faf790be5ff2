/* Chunks in the order a pass needs them: known in advance and cyclic; and the chunks of experts, which
 * a pass needs only when their router has chosen them. */
#ifndef AIRLCHAT_MODEL_SCHEDULE_H
#define AIRLCHAT_MODEL_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

struct extent {
	uint32_t file;	 /* index into checkpoint.files */
	uint64_t offset; /* any byte */
	uint64_t bytes;
};

/* A run of rows of one weight as stored ([out, in]: outputs; [in, out]: inputs), read from one extent,
 * or two where its scales lie in a tensor of their own and are too large to stay in memory. */
struct chunk {
	uint32_t weight; /* index into model.weights */
	uint32_t layer;	 /* 0..n_layers-1; n_layers for the head */
	uint32_t row0, rows;
	struct extent data, scale; /* scale.bytes is 0 without one */
	uint64_t bytes;		   /* of both */
};

struct schedule {
	struct chunk *chunks; /* [n] of every pass */
	size_t n;
	struct chunk *expert_chunks; /* [n_expert_chunks] on demand, layer by layer, expert by expert */
	size_t n_expert_chunks;
	/* [n_layers * n_experts + 1]: the chunks of expert e of layer l are numbers
	 * expert_first[l * n_experts + e] up to the next entry. NULL without experts. */
	uint32_t *expert_first;
	uint32_t n_experts;
	/* Chunks of one expert that are read together, as many as one large chunk: pack p has the chunks
	 * pack_first[p] up to the next entry. */
	uint32_t *pack_first; /* [n_packs + 1] */
	size_t n_packs;
	uint64_t bytes;	    /* sum over chunks */
	uint64_t expert_bytes; /* sum over expert_chunks */
	uint64_t max_bytes; /* the largest chunk of both kinds */
};

#endif
