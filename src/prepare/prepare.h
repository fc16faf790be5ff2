/* Rewriting a checkpoint for streaming: one file a layer, tensors in the order of a pass, quantized if
 * asked, with checksums. See docs/prepare.md for what lies in a prepared folder.
 *
 * Whatever happens (kill -9, no space, a read error), nothing of the source is harmed and a second run
 * with the same settings goes on where the first ended: a file has its final name only when it is
 * complete and on the disk, and until everything is there the folder holds `prepare.unfinished`, which
 * the rest of the program refuses to open as a model. */
#ifndef AIRLCHAT_PREPARE_PREPARE_H
#define AIRLCHAT_PREPARE_PREPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum prepare_quant { PREPARE_NONE, PREPARE_INT8, PREPARE_NF4, PREPARE_Q4_0, PREPARE_Q8_0, PREPARE_QUANTS };

const char *prepare_quant_name(enum prepare_quant q); /* "none", "int8" ... */

struct prepare_progress {
	const char *what; /* "writing model-00003-of-00034.safetensors" */
	uint64_t done, total; /* bytes of the whole work */
};

struct prepare_request {
	const char *src, *dst;
	enum prepare_quant quant; /* of the layers' matrices */
	enum prepare_quant head;  /* of the output head (when it is tied: of the embedding too) */
	const char *stripes;	  /* folders with commas between, for the files; NULL: dst itself */
	bool verify;		  /* read everything back */
	bool delete_original;	  /* remove each source file once nothing needs it; verifies */
	int threads;
	void (*progress)(void *arg, const struct prepare_progress *p); /* or NULL */
	void *arg;
};

struct prepare_layer {
	double error;	   /* |w - q(w)| / |w| over the layer's quantized elements; 0 without any */
	uint64_t quantized; /* elements */
};

struct prepare_report {
	struct prepare_layer *layers; /* [n_layers + 1], the last for what belongs to no layer; free() */
	uint32_t n_layers;
	uint64_t bytes_in, bytes_out; /* of all tensors */
	uint32_t files, files_before; /* written now or before, before alone */
	uint32_t deleted;	      /* source files removed */
	bool was_complete;	      /* there was nothing to do */
};

int prepare_run(const struct prepare_request *r, struct prepare_report *out, struct err *e);

/* Read a prepared folder and compare with its checksums. The sentence names the first file that differs. */
int prepare_verify(const char *dir, void (*progress)(void *arg, const struct prepare_progress *p), void *arg,
	struct prepare_report *out, struct err *e);

#endif
