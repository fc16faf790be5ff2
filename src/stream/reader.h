/* Asynchronous file reads. Kinds: io_uring with O_DIRECT; pread threads with O_DIRECT; either falls
 * back to buffered reads (and drops the pages behind itself) where the file system refuses O_DIRECT.
 * One thread reaps; others may submit and start what was submitted. */
#ifndef AIRLCHAT_STREAM_READER_H
#define AIRLCHAT_STREAM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/checkpoint.h"

struct read_req {
	uint32_t file;	 /* index into checkpoint.files */
	uint64_t offset; /* 4096-aligned */
	size_t bytes;	 /* a multiple of 4096; the file may end before */
	void *dst;	 /* 4096-aligned */
	uint64_t tag;	 /* the caller's */
	int result;	 /* completion: bytes read (may be short) or -errno */
};

struct reader;

struct reader_ops {
	void (*close)(struct reader *r); /* no read may be in flight */
	/* A read; false if `depth` reads are already in flight. The request is copied. It starts at once or
	 * with the next start or reap. */
	bool (*submit)(struct reader *r, const struct read_req *req);
	void (*start)(struct reader *r); /* NULL: nothing to do */
	/* Take up to max completed reads; with `wait`, wait for one or for reader_wake. */
	size_t (*reap)(struct reader *r, struct read_req *done, size_t max, bool wait);
	void (*wake)(struct reader *r);
	/* Most reads will go to this memory: a reader may prepare it (NULL: nothing to gain). Before
	 * the first submit; the memory must stay until close. Undone by base NULL. */
	void (*use_buffer)(struct reader *r, void *base, size_t bytes);
};

struct reader {
	const struct reader_ops *ops;
	_Atomic(const char *) name; /* "uring+direct", "pread+buffered": shown to the user */
	unsigned depth;		    /* reads that may be in flight */
	size_t request;		    /* what one read best asks for; the opener may change it */
	char note[160];		    /* why this kind and not a faster one; empty: nothing to tell */
};

#define READER_DEPTH 32 /* reads in flight that keep a fast drive busy */
#define READER_REQUEST ((size_t)1 << 20)

/* kind: "auto", "uring" or "pread". Opens every file of the checkpoint that `files` marks (NULL: all)
 * and checks that its size is still the one the checkpoint saw. */
int reader_open(struct reader **out, const char *kind, const struct checkpoint *c,
	const uint8_t *files, unsigned depth, struct err *e);

#endif
