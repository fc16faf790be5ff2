/* A file being written: under a temporary name until it is complete and on the disk. Its checksum is
 * made on the way, its pages leave the page cache soon. Private to prepare/. */
#ifndef AIRLCHAT_PREPARE_SINK_H
#define AIRLCHAT_PREPARE_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SINK_PART ".part" /* behind the name of a file that is not complete */

struct sink {
	int fd;
	char *path, *part;
	uint64_t at;
	void *hash; /* XXH3_state_t */
};

int sink_open(struct sink *s, const char *path, struct err *e);
int sink_write(struct sink *s, const void *p, size_t len, struct err *e);
/* fsync, rename, fsync of the folder. *sum: XXH3, 64 bits, of the whole file. The sink is closed, also
 * on failure. */
int sink_commit(struct sink *s, uint64_t *sum, struct err *e);
void sink_abort(struct sink *s); /* remove what was written */

/* Checksum of a file as it is on the disk: its pages are dropped first. `seen` is called with the bytes
 * of each piece read; it may be NULL. */
int file_sum(const char *path, uint64_t *sum, void (*seen)(void *arg, uint64_t bytes), void *arg,
	struct err *e);

#endif
