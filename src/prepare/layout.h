/* What the files of a prepared folder will hold, before anything is written: all sizes are known from
 * the source's headers. Private to prepare/. */
#ifndef AIRLCHAT_PREPARE_LAYOUT_H
#define AIRLCHAT_PREPARE_LAYOUT_H

#include "base/buf.h"
#include "model/model.h"
#include "model/quantization.h"
#include "prepare/prepare.h"

/* What encoding a tensor makes beside its codes. */
enum side { SIDE_NONE, SIDE_ABSMAX, SIDE_NESTED, SIDE_NESTED_MAP, SIDE_MAP, SIDE_STATE, SIDE_SCB, SIDES };

enum { QUANT_GROUP = 64, NESTED_GROUP = 256, STATE_BYTES = 256 }; /* the last: JSON and spaces */

/* A tensor of the new checkpoint: a copy of one of the source, codes made of one, or their sides. */
struct piece {
	char *name;
	const char *type; /* for safetensors: "U8"; for GGUF the dtype tells */
	enum dtype dtype;
	int n_dims;
	uint64_t shape[TENSOR_DIMS];
	uint64_t bytes, offset; /* offset among the file's data */
	const struct tensor *from; /* of the source; a slice of a stack is a tensor in `slices` of the layout */
	bool slice;
	enum prepare_quant quant; /* PREPARE_NONE: a copy */
	enum side side;
	struct piece *sides;	  /* of an encoded tensor: the first of its pieces; in `extra` of the layout */
	uint32_t layer;		  /* n_layers: none */
	uint64_t order;		  /* in its file */
	uint64_t group;		  /* pieces that lie together: a matrix and its sides, an expert */
	uint32_t drive;		  /* the target that takes it */
};

struct out_file {
	char *name;
	struct piece **pieces;
	size_t n;
	uint64_t data_bytes; /* behind the header */
	uint64_t bytes;	     /* the whole file, once the header is made */
	uint32_t layer;	     /* n_layers: what belongs to none */
	uint32_t drive;	     /* the target that takes it */
};

struct layout {
	const struct checkpoint *c;
	const struct model *m;
	bool gguf;
	uint32_t n_drives;
	struct out_file *files;
	uint32_t n_files;
	struct piece *pieces;
	size_t n_pieces, cap_pieces;
	struct tensor *slices; /* matrices of experts, each a part of a stacked tensor; they own their names */
	size_t n_slices;
	bool *kept;    /* [c->n_tensors] a matrix that could have been quantized stays as it is */
	bool any_kept; /* a quantized weight of the source stays as it is */
};

/* What becomes of each tensor of the source. */
struct fate {
	enum prepare_quant quant;
	uint32_t layer;	     /* n_layers: none */
	uint64_t order;	     /* by first use in a pass; sides of weights go with their weight */
	uint64_t group;	     /* the order of the first of what is read together: an expert's matrices */
	bool first;	     /* belongs to the first file: read at the beginning of a pass */
	bool used, dropped;  /* named by a weight; replaced by encoding its weight, or by slices */
	bool vetoed;	     /* one of several weights in it can't be quantized */
};

enum { ORDER_STEP = 16 }; /* room for sides behind their weight */

/* unstack.c: the matrices of experts that lie in stacked tensors, in the places where the family publishes them
 * one by one, so that all of an expert lies together; their stacks are dropped. They become l->slices. */
int unstack(struct layout *l, const struct prepare_request *r, const struct schedule *s, struct fate *fates,
	struct fate **slice_fates, struct err *e);
/* The type that a weight is to have; NONE leaves it as it is: it is small already, or it can't be cut into
 * blocks. */
enum prepare_quant layout_quant(const struct prepare_request *r, const struct weight *w);

/* n_drives: folders that the files go to. With more than one, each layer has a file on each. */
int layout_make(struct layout *l, const struct prepare_request *r, const struct checkpoint *c,
	const struct model *m, uint32_t n_drives, struct err *e);
void layout_clear(struct layout *l);

/* The bytes in front of the data, a multiple of 4096. The first GGUF part carries the metadata. */
int header_safetensors(const struct layout *l, const struct out_file *f, struct buf *out, struct err *e);
int header_gguf(const struct layout *l, uint32_t file, enum prepare_quant quant, struct buf *out, struct err *e);

#endif
