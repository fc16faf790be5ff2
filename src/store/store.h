/* What the formats share while a checkpoint is being opened. Private to store/. */
#ifndef AIRLCHAT_STORE_STORE_H
#define AIRLCHAT_STORE_STORE_H

#include "store/checkpoint.h"

struct builder {
	struct checkpoint *c;
	size_t cap_files, cap_tensors;
	struct strings *strings; /* last block of names; c->strings is the first */
	struct err *e;
};

/* Copy a name into the checkpoint's memory; NULL when out of memory. */
const char *builder_string(struct builder *b, const char *p, size_t len);
int builder_file(struct builder *b, const char *path, uint64_t size, uint32_t *index);
/* A zeroed tensor; valid until the next one is added. NULL when out of memory (e is set). */
struct tensor *builder_tensor(struct builder *b);

/* Read one file's headers into the checkpoint. */
int safetensors_read(struct builder *b, const char *path);
int gguf_read(struct builder *b, const char *path);

void gguf_free(struct gguf *g);

#endif
