/* What the readers share. Private to stream/. */
#ifndef AIRLCHAT_STREAM_READER_PRIVATE_H
#define AIRLCHAT_STREAM_READER_PRIVATE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "stream/reader.h"

struct read_file {
	int fd;
	atomic_bool direct; /* O_DIRECT was accepted; a refusal at a read clears it, in any thread */
};

struct read_files {
	struct read_file *p;
	size_t n;
	bool direct; /* of all files, when they were opened */
};

int read_files_open(struct read_files *f, const struct checkpoint *c, const uint8_t *wanted,
	struct err *e);
void read_files_close(struct read_files *f);
ssize_t read_file_at(const struct read_files *f, const struct read_req *r); /* bytes or -errno */
/* After a buffered read: its pages count against the memory budget. */
void read_file_drop(const struct read_file *f, const struct read_req *r);

/* On success the reader owns what *f held. */
int pread_reader_open(struct reader **out, const struct read_files *f, unsigned depth, struct err *e);
int uring_reader_open(struct reader **out, const struct read_files *f, unsigned depth, struct err *e);

#endif
