#include "prepare/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/buf.h"
#include "base/file.h"

#define WINDOW ((uint64_t)32 << 20) /* written back in pieces of this, so that dirty pages stay few */

int sink_open(struct sink *s, const char *path, struct err *e)
{
	struct buf part = BUF_INIT;
	*s = (struct sink){.fd = -1, .path = strdup(path)};
	buf_printf(&part, "%s" SINK_PART, path);
	s->part = buf_take(&part);
	s->hash = XXH3_createState();
	int rc = s->path && s->part && s->hash ? 0 : err_nomem(e);
	if (rc == 0) {
		XXH3_64bits_reset(s->hash);
		s->fd = open(s->part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (s->fd < 0)
			rc = err_sys(e, errno, "can't write %s", s->part);
	}
	if (rc < 0)
		sink_abort(s);
	return rc;
}

/* What this call reports, fsync no longer does. File systems that don't have it lose nothing. */
static int write_range(struct sink *s, uint64_t at, unsigned flags, struct err *e)
{
	if (sync_file_range(s->fd, (off_t)at, WINDOW, flags) == 0 || errno == ENOSYS || errno == EINVAL || errno == ESPIPE)
		return 0;
	return err_sys(e, errno, "can't write %s from offset %llu on", s->part, (unsigned long long)at);
}

/* Start writing the window that ends at `at`, wait for the one before and drop it from the cache. */
static int write_back(struct sink *s, struct err *e)
{
	uint64_t end = s->at / WINDOW * WINDOW;
	if (write_range(s, end - WINDOW, SYNC_FILE_RANGE_WRITE, e) < 0)
		return -1;
	if (end < 2 * WINDOW)
		return 0;
	uint64_t before = end - 2 * WINDOW;
	if (write_range(s, before, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER, e) < 0)
		return -1;
	posix_fadvise(s->fd, (off_t)before, WINDOW, POSIX_FADV_DONTNEED);
	return 0;
}

int sink_write(struct sink *s, const void *p, size_t len, struct err *e)
{
	const char *at = p;
	XXH3_64bits_update(s->hash, p, len);
	while (len) {
		size_t to_edge = (size_t)(WINDOW - s->at % WINDOW);
		ssize_t n = write(s->fd, at, len < to_edge ? len : to_edge);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "can't write %s at offset %llu", s->part,
				(unsigned long long)s->at);
		at += n;
		len -= (size_t)n;
		s->at += (uint64_t)n;
		if (s->at % WINDOW == 0 && write_back(s, e) < 0)
			return -1;
	}
	return 0;
}

static void sink_free(struct sink *s)
{
	if (s->fd >= 0)
		close(s->fd);
	XXH3_freeState(s->hash);
	free(s->path);
	free(s->part);
	*s = (struct sink){.fd = -1};
}

int sink_commit(struct sink *s, uint64_t *sum, struct err *e)
{
	int rc = 0;
	*sum = XXH3_64bits_digest(s->hash);
	if (fsync(s->fd) < 0)
		rc = err_sys(e, errno, "can't sync %s", s->part);
	posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (close(s->fd) < 0 && rc == 0)
		rc = err_sys(e, errno, "can't close %s", s->part);
	s->fd = -1;
	if (rc == 0 && rename(s->part, s->path) < 0)
		rc = err_sys(e, errno, "can't rename %s to %s", s->part, s->path);
	if (rc == 0)
		rc = file_sync_folder(s->path, e);
	else
		unlink(s->part);
	sink_free(s);
	return rc;
}

void sink_abort(struct sink *s)
{
	if (s->fd >= 0)
		unlink(s->part);
	sink_free(s);
}

int file_sum(const char *path, uint64_t *sum, void (*seen)(void *arg, uint64_t bytes), void *arg,
	struct err *e)
{
	enum { PIECE = 4 << 20 };
	uint64_t size, at = 0;
	int fd = file_open(path, &size, e);
	if (fd < 0)
		return -1;
	char *p = malloc(PIECE);
	XXH3_state_t *h = XXH3_createState();
	int rc = p && h ? 0 : err_nomem(e);
	if (rc == 0)
		XXH3_64bits_reset(h);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (rc == 0 && at < size) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
		rc = file_pread(fd, p, n, at, path, e);
		if (rc == 0)
			XXH3_64bits_update(h, p, n);
		posix_fadvise(fd, (off_t)at, (off_t)n, POSIX_FADV_DONTNEED);
		at += n;
		if (seen)
			seen(arg, n);
	}
	*sum = rc == 0 ? XXH3_64bits_digest(h) : 0;
	XXH3_freeState(h);
	free(p);
	close(fd);
	return rc;
}
