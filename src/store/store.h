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

/* Read one file's headers into the checkpoint. gguf_read also reads the other parts of a model that
 * is split into NAME-00001-of-00003.gguf and so on, whichever part `path` is. */
int safetensors_read(struct builder *b, const char *path);
int gguf_read(struct builder *b, const char *path);

void gguf_free(struct gguf *g);

struct names { /* file names */
	char **p;
	size_t n, cap;
};

void names_clear(struct names *l);

/* Where a folder keeps its model. */
struct folder {
	char *dir;	   /* holds the files */
	char *config_dir;  /* holds config.json */
	struct names files; /* in dir; none: no model */
	bool gguf;	   /* one GGUF file (the first part); else safetensors files */
};

/* Find the files of a model folder: a Hugging Face folder, its cache folder (models--ORG--NAME), a
 * folder of AirLLM's with one file a layer, or one with a GGUF model. folder_clear also after failure. */
int folder_find(struct folder *f, const char *path, struct err *e);
void folder_clear(struct folder *f);
/* The sentence for a folder where folder_find found nothing; -1. */
int folder_refuse(const char *dir, struct err *e);
/* The sentence for a file that can't be a model, like pytorch's; 0 when it may be one. */
int file_refuse(const char *path, struct err *e);

/* Is this NAME-00002-of-00003.gguf? Then *stem is the length of NAME. */
bool gguf_part_name(const char *name, size_t *stem, uint32_t *number, uint32_t *count);

#endif
