/* The work of one `airlchat prepare`, between its files. Private to prepare/. */
#ifndef AIRLCHAT_PREPARE_WORK_H
#define AIRLCHAT_PREPARE_WORK_H

#include "prepare/encode.h"
#include "prepare/layout.h"
#include "prepare/manifest.h"

#define HEADERS_NAME "prepare.headers" /* copies of the source's headers, over holes */

struct work {
	const struct prepare_request *r;
	char *src, *dst;    /* real paths */
	bool src_is_dir, made_dst;
	bool src_gone; /* a file that a run before has deleted: goes on with what the manifest knows */
	bool kept;     /* the source is known from copies of its headers, since some of it may be deleted */
	int lock;	    /* of dst */
	char **targets;	    /* [n_targets] folders that take the files: dst, or one in each stripe */
	size_t n_targets;
	struct checkpoint *c;
	struct model *m;
	struct layout layout;
	struct manifest manifest;
	char **paths;	    /* [c->n_files] where the data are read */
	struct encoder encoder;
	struct prepare_progress progress;
	struct prepare_report *report;
};

/* folders.c: check where things are and make what is missing. */
int folders_open(struct work *w, struct err *e);
int folders_check_space(struct work *w, struct err *e);
/* Remove what an interrupted run left: temporary files, files that it didn't enter. */
int folders_clean(const struct work *w, struct err *e);
/* While the work isn't finished, a file in each stripe says whose it is. */
int folders_mark(const struct work *w, struct err *e);
int folders_unmark(const struct work *w, struct err *e);
/* The path of an output file; free(). */
char *folders_path(const struct work *w, uint32_t file);
/* In dst, a link to the file in its stripe; nothing to do without stripes. */
int folders_link(const struct work *w, uint32_t file, struct err *e);

/* originals.c; they go by the manifest's list of sources, which is that of the checkpoint's files. */
int originals_mtime(const char *path, uint64_t *mtime); /* -1 and errno */
int originals_unchanged(const struct work *w, struct err *e); /* since the manifest was begun */
int originals_check(const struct work *w, struct err *e); /* may all be deleted? */
int originals_keep_headers(struct work *w, struct err *e);
int originals_delete(struct work *w, struct err *e); /* those that nothing needs any more */
bool originals_gone(const struct work *w); /* some, by the manifest */
bool originals_have(const struct work *w, const struct out_file *f); /* all that it is made from */
int originals_drop_headers(const struct work *w, struct err *e);

/* small.c: everything but the weights. */
int small_copy(struct work *w, struct err *e);
int small_index(struct work *w, struct err *e);

void work_progress(struct work *w, const char *verb, const char *name, uint64_t bytes);

#endif
