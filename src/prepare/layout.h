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
	const struct tensor *from;
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
	bool *kept;    /* [c->n_tensors] a matrix that could have been quantized stays as it is */
	bool any_kept; /* a quantized weight of the source stays as it is */
};

/* n_drives: folders that the files go to. With more than one, each layer has a file on each. */
int layout_make(struct layout *l, const struct prepare_request *r, const struct checkpoint *c,
	const struct model *m, uint32_t n_drives, struct err *e);
void layout_clear(struct layout *l);

/* The bytes in front of the data, a multiple of 4096. The first GGUF part carries the metadata. */
int header_safetensors(const struct layout *l, const struct out_file *f, struct buf *out, struct err *e);
int header_gguf(const struct layout *l, uint32_t file, enum prepare_quant quant, struct buf *out, struct err *e);

#endif
