#include "stream/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "stream/reader_private.h"

static int open_one(struct read_file *f, const struct checkpoint_file *c, struct err *e)
{
	uint64_t size;
	f->fd = file_open(c->path, &size, e);
	if (f->fd < 0)
		return -1;
	if (size != c->size)
		return err_set(e, ERR_FORMAT, "%s has %llu bytes now, but had %llu when it was opened", c->path,
			(unsigned long long)size, (unsigned long long)c->size);
	int flags = fcntl(f->fd, F_GETFL);
	f->direct = fcntl(f->fd, F_SETFL, (flags | O_DIRECT) & ~O_NONBLOCK) == 0;
	if (!f->direct)
		fcntl(f->fd, F_SETFL, flags & ~O_NONBLOCK);
	return 0;
}

void read_files_close(struct read_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->p[i].fd >= 0)
			close(f->p[i].fd);
	free(f->p);
	*f = (struct read_files){0};
}

int read_files_open(struct read_files *f, const struct checkpoint *c, const uint8_t *wanted,
	struct err *e)
{
	f->p = mem_array(c->n_files, sizeof(*f->p));
	if (!f->p)
		return err_nomem(e);
	for (f->n = 0; f->n < c->n_files; f->n++)
		f->p[f->n].fd = -1;
	f->direct = true;
	for (size_t i = 0; i < c->n_files; i++) {
		if (wanted && !wanted[i])
			continue;
		if (open_one(&f->p[i], &c->files[i], e) < 0) {
			read_files_close(f);
			return -1;
		}
		f->direct = f->direct && f->p[i].direct;
	}
	return 0;
}

ssize_t read_file_at(const struct read_files *f, const struct read_req *r)
{
	struct read_file *file = &f->p[r->file];
	ssize_t n = pread(file->fd, r->dst, r->bytes, (off_t)r->offset);
	if (n < 0 && errno == EINVAL && file->direct) { /* some file systems refuse at the first read */
		fcntl(file->fd, F_SETFL, fcntl(file->fd, F_GETFL) & ~O_DIRECT);
		file->direct = false;
		n = pread(file->fd, r->dst, r->bytes, (off_t)r->offset);
	}
	if (n < 0)
		return -errno;
	if (!file->direct) /* what was read counts against the memory budget */
		posix_fadvise(file->fd, (off_t)r->offset, (off_t)r->bytes, POSIX_FADV_DONTNEED);
	return n;
}

int reader_open(struct reader **out, const char *kind, const struct checkpoint *c, const uint8_t *files,
	unsigned depth, struct err *e)
{
	*out = NULL;
	if (!strcmp(kind, "pread"))
		return pread_reader_open(out, c, files, depth, e);
#ifdef HAVE_LIBURING
	if (!strcmp(kind, "uring"))
		return uring_reader_open(out, c, files, depth, e);
	if (!strcmp(kind, "auto"))
		return uring_reader_open(out, c, files, depth, e) == 0
			? 0
			: pread_reader_open(out, c, files, depth, e);
#else
	if (!strcmp(kind, "uring"))
		return err_set(e, ERR_USAGE, "this airlchat was built without liburing: --reader pread works");
	if (!strcmp(kind, "auto"))
		return pread_reader_open(out, c, files, depth, e);
#endif
	return err_set(e, ERR_USAGE, "there is no reader \"%s\": auto, uring or pread", kind);
}
