#include "stream/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "stream/reader_private.h"

static void go_buffered(struct read_file *f)
{
	atomic_store(&f->direct, false);
	fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) & ~O_DIRECT);
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_RANDOM); /* no pages beside those that were asked for */
}

/* Some file systems accept O_DIRECT and refuse the first read: try one on each. */
static bool direct_works(int fd)
{
	void *page = mem_pages(MEM_PAGE);
	bool ok = !page || pread(fd, page, MEM_PAGE, 0) >= 0 || errno != EINVAL;
	mem_pages_free(page, MEM_PAGE);
	return ok;
}

static int open_one(struct read_file *f, const struct checkpoint_file *c, dev_t *tried, struct err *e)
{
	uint64_t size;
	struct stat st;
	f->fd = file_open(c->path, &size, e);
	if (f->fd < 0)
		return -1;
	if (size != c->size)
		return err_set(e, ERR_FORMAT, "%s has %llu bytes now, but had %llu when it was opened", c->path,
			(unsigned long long)size, (unsigned long long)c->size);
	int flags = fcntl(f->fd, F_GETFL) & ~O_NONBLOCK;
	bool direct = fcntl(f->fd, F_SETFL, flags | O_DIRECT) == 0;
	if (direct && fstat(f->fd, &st) == 0 && st.st_dev != *tried) {
		direct = direct_works(f->fd);
		if (direct)
			*tried = st.st_dev;
	}
	atomic_init(&f->direct, direct);
	if (!direct) {
		fcntl(f->fd, F_SETFL, flags);
		go_buffered(f);
	}
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
	dev_t tried = (dev_t)-1;
	f->p = mem_array(c->n_files, sizeof(*f->p));
	if (!f->p)
		return err_nomem(e);
	for (f->n = 0; f->n < c->n_files; f->n++)
		f->p[f->n].fd = -1;
	f->direct = true;
	for (size_t i = 0; i < c->n_files; i++) {
		if (wanted && !wanted[i])
			continue;
		if (open_one(&f->p[i], &c->files[i], &tried, e) < 0) {
			read_files_close(f);
			return -1;
		}
		f->direct = f->direct && f->p[i].direct;
	}
	return 0;
}

void read_file_drop(const struct read_file *f, const struct read_req *r)
{
	posix_fadvise(f->fd, (off_t)r->offset, (off_t)r->bytes, POSIX_FADV_DONTNEED);
}

ssize_t read_file_at(const struct read_files *f, const struct read_req *r)
{
	struct read_file *file = &f->p[r->file];
	ssize_t n = pread(file->fd, r->dst, r->bytes, (off_t)r->offset);
	if (n < 0 && errno == EINVAL && atomic_load(&file->direct)) {
		go_buffered(file);
		n = pread(file->fd, r->dst, r->bytes, (off_t)r->offset);
	}
	if (n < 0)
		return -errno;
	if (!atomic_load(&file->direct))
		read_file_drop(file, r);
	return n;
}

/* io_uring is refused in many containers: that is no error for "auto", but worth telling. */
static int open_kind(struct reader **out, const char *kind, const struct read_files *f, unsigned depth,
	struct err *e)
{
	if (!strcmp(kind, "pread"))
		return pread_reader_open(out, f, depth, e);
#ifdef HAVE_LIBURING
	struct err why = ERR_INIT;
	int rc = uring_reader_open(out, f, depth, &why);
#else
	struct err why = ERR_INIT;
	int rc = err_set(&why, ERR_USAGE, "this airlchat was built without liburing");
#endif
	if (rc == 0)
		return 0;
	if (!strcmp(kind, "uring"))
		return err_set(e, why.code, "%s: --reader pread works", why.msg);
	if (pread_reader_open(out, f, depth, e) < 0)
		return -1;
	snprintf((*out)->note, sizeof((*out)->note), "%.110s", why.msg);
	return 0;
}

int reader_open(struct reader **out, const char *kind, const struct checkpoint *c, const uint8_t *files,
	unsigned depth, struct err *e)
{
	struct read_files f;
	*out = NULL;
	if (strcmp(kind, "auto") != 0 && strcmp(kind, "uring") != 0 && strcmp(kind, "pread") != 0)
		return err_set(e, ERR_USAGE, "there is no reader \"%s\": auto, uring or pread", kind);
	if (read_files_open(&f, c, files, e) < 0)
		return -1;
	const bool direct = f.direct;
	if (open_kind(out, kind, &f, depth, e) < 0) {
		read_files_close(&f);
		return -1;
	}
	struct reader *r = *out;
	size_t len = strlen(r->note);
	r->request = READER_REQUEST;
	if (!direct)
		snprintf(r->note + len, sizeof(r->note) - len, "%sthe file system refuses direct reads", len ? "; " : "");
	return 0;
}
