/* The manifest of a prepared folder: what was asked, and each file's size and checksum. While the folder
 * is being written the same lies in `prepare.unfinished`. Private to prepare/. */
#ifndef AIRLCHAT_PREPARE_MANIFEST_H
#define AIRLCHAT_PREPARE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MANIFEST_NAME "airlchat-prepare.json"

struct manifest_file {
	char *name;
	uint64_t bytes, sum; /* XXH3, 64 bits */
	bool weights;	     /* one of the layout's; else a copy of a small file */
	uint32_t layer;
	double error2, weight2; /* squared sums over the quantized elements */
	uint64_t quantized;	/* elements */
};

struct manifest_source {
	char *path;
	uint64_t mtime; /* ns; 0: not known */
};

struct manifest {
	char *settings;	      /* "quant=nf4 head=none" */
	uint64_t fingerprint; /* of the source's headers and the settings */
	struct manifest_source *sources; /* its files; for going on when some are deleted, none changed */
	size_t n_sources, cap_sources;
	uint32_t n_layers;
	struct manifest_file *files;
	size_t n_files, cap_files;
};

/* 0, or -1; a file that is not there is ERR_NONE. */
int manifest_read(struct manifest *m, const char *path, struct err *e);
int manifest_write(const struct manifest *m, const char *path, struct err *e);
void manifest_clear(struct manifest *m);

/* Add, or replace the entry of the same name. f->name is copied. */
int manifest_put(struct manifest *m, const struct manifest_file *f, struct err *e);
const struct manifest_file *manifest_find(const struct manifest *m, const char *name); /* or NULL */

#endif
