/* A checkpoint: a model folder or file as it lies on disk. Opening reads headers only, never
 * weights.
 *
 * Kinds: a Hugging Face folder (shards named by model.safetensors.index.json, else model.safetensors
 * alone, else all *.safetensors in it) or its folder in the Hugging Face cache; a folder that AirLLM has
 * split into layers (X.safetensors with X.safetensors.done), or the one above it; one .safetensors
 * file; a GGUF model (v2, v3; of several parts any one may be named), or a folder that holds exactly
 * one. All of it is untrusted: every name, count, offset and size is checked before use; an error names
 * the file and the tensor.
 *
 * A checkpoint is read-only after opening and may be used by any thread. */
#ifndef AIRLCHAT_STORE_CHECKPOINT_H
#define AIRLCHAT_STORE_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "quant/dtype.h"

#define TENSOR_DIMS 4

/* `airlchat prepare` keeps this file in a folder until it is complete. */
#define FOLDER_UNFINISHED "prepare.unfinished"

enum checkpoint_kind { CHECKPOINT_SAFETENSORS, CHECKPOINT_GGUF };

struct tensor {
	const char *name;
	const char *type_name;	     /* as the file calls it: "BF16", "Q4_1", "IQ2_XS" */
	enum dtype dtype;	     /* DTYPE_UNKNOWN: can't be computed with; bytes may then be 0 */
	int n_dims;		     /* 0..TENSOR_DIMS */
	uint64_t shape[TENSOR_DIMS]; /* outermost first ([out, in] of a linear layer), GGUF too */
	uint32_t file;		     /* index into checkpoint.files */
	uint64_t offset, bytes;	     /* of the data, in the file; inside the file (checked) */
};

struct checkpoint_file {
	char *path;    /* can be opened from the working directory */
	uint64_t size; /* when the checkpoint was opened */
};

struct checkpoint {
	enum checkpoint_kind kind;
	char *path;	  /* as given */
	char *dir;	  /* the folder that holds config.json, tokenizer.json ... */
	struct gguf *gguf; /* metadata; NULL unless kind is CHECKPOINT_GGUF */
	struct checkpoint_file *files;
	size_t n_files;
	struct tensor *tensors; /* in file order: by file, then offset */
	size_t n_tensors;
	void *index;   /* name -> tensor, private */
	void *strings; /* the names' memory, private */
};

enum checkpoint_flags {
	CHECKPOINT_TENSORS_OPTIONAL = 1, /* no tensors (tokenizer-only folder) is no error */
};

/* On failure *out is NULL. */
int checkpoint_open(struct checkpoint **out, const char *path, unsigned flags, struct err *e);
void checkpoint_close(struct checkpoint *c); /* NULL is fine */

const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name); /* or NULL */

#endif
