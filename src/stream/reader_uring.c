/* Reads through io_uring: many in flight, one system call for several. Files and the memory that most
 * reads go to are registered where the limits allow (RLIMIT_MEMLOCK is 8 MiB for most users). */
#ifdef HAVE_LIBURING
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "stream/reader_private.h"

#define BUFFER_MAX ((size_t)1 << 30) /* of one registered buffer */
#define BUFFERS 8
#define WAKE_TAG UINT64_MAX

struct slot {
	struct read_req req;
	unsigned next_free;
};

struct uring_reader {
	struct reader base;
	struct read_files files;
	struct io_uring ring;
	pthread_mutex_t lock; /* guards the submission side of the ring, the slots and in_flight */
	int wake_fd;
	bool wake_armed, files_registered;
	char *buffer; /* registered, in pieces of BUFFER_MAX */
	size_t buffer_bytes;
	struct slot *slots; /* [depth], by user_data */
	unsigned free_slot, in_flight;
};

static void arm_wake(struct uring_reader *r)
{
	struct io_uring_sqe *sqe = r->wake_armed ? NULL : io_uring_get_sqe(&r->ring);
	if (!sqe)
		return;
	io_uring_prep_poll_add(sqe, r->wake_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, WAKE_TAG);
	r->wake_armed = true;
}

/* The piece of the registered buffer that holds all of the destination, or -1. */
static int buffer_index(const struct uring_reader *r, const struct read_req *req)
{
	const char *dst = req->dst;
	if (!r->buffer || dst < r->buffer || dst + req->bytes > r->buffer + r->buffer_bytes)
		return -1;
	size_t at = (size_t)(dst - r->buffer);
	return at / BUFFER_MAX == (at + req->bytes - 1) / BUFFER_MAX ? (int)(at / BUFFER_MAX) : -1;
}

static bool enqueue(struct uring_reader *r, const struct read_req *req)
{
	if (r->in_flight == r->base.depth)
		return false;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);
	if (!sqe)
		return false;
	unsigned i = r->free_slot;
	r->free_slot = r->slots[i].next_free;
	r->slots[i].req = *req;
	int fd = r->files_registered ? (int)req->file : r->files.p[req->file].fd;
	int buffer = buffer_index(r, req);
	if (buffer >= 0)
		io_uring_prep_read_fixed(sqe, fd, req->dst, (unsigned)req->bytes, req->offset, buffer);
	else
		io_uring_prep_read(sqe, fd, req->dst, (unsigned)req->bytes, req->offset);
	if (r->files_registered)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, i);
	r->in_flight++;
	return true;
}

static bool uring_submit(struct reader *base, const struct read_req *req)
{
	struct uring_reader *r = (struct uring_reader *)base;
	pthread_mutex_lock(&r->lock);
	bool ok = enqueue(r, req);
	pthread_mutex_unlock(&r->lock);
	return ok;
}

static void uring_start(struct reader *base)
{
	struct uring_reader *r = (struct uring_reader *)base;
	pthread_mutex_lock(&r->lock);
	io_uring_submit(&r->ring);
	pthread_mutex_unlock(&r->lock);
}

static int result_of(struct uring_reader *r, const struct read_req *req, int result)
{
	struct read_file *f = &r->files.p[req->file];
	/* a file system that refuses direct reads, or a kernel the operation: plain pread */
	if (result == -EINVAL || result == -EOPNOTSUPP)
		result = (int)read_file_at(&r->files, req);
	else if (!atomic_load(&f->direct))
		read_file_drop(f, req);
	if (!atomic_load(&f->direct))
		atomic_store(&r->base.name, "uring+buffered");
	return result;
}

static size_t take(struct uring_reader *r, struct read_req *done, size_t max, bool *woken)
{
	struct io_uring_cqe *cqe;
	size_t n = 0;
	while (n < max && io_uring_peek_cqe(&r->ring, &cqe) == 0) {
		uint64_t tag = io_uring_cqe_get_data64(cqe), count;
		int result = cqe->res;
		io_uring_cqe_seen(&r->ring, cqe);
		if (tag == WAKE_TAG) {
			r->wake_armed = false;
			*woken = true;
			while (read(r->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
				;
			continue;
		}
		struct slot *s = &r->slots[tag];
		pthread_mutex_lock(&r->lock); /* whoever submitted it may be another thread */
		done[n] = s->req;
		s->next_free = r->free_slot;
		r->free_slot = (unsigned)tag;
		r->in_flight--;
		pthread_mutex_unlock(&r->lock);
		done[n].result = result_of(r, &done[n], result);
		n++;
	}
	return n;
}

static size_t uring_reap(struct reader *base, struct read_req *done, size_t max, bool wait)
{
	struct uring_reader *r = (struct uring_reader *)base;
	bool woken = false;
	pthread_mutex_lock(&r->lock);
	arm_wake(r);
	io_uring_submit(&r->ring);
	pthread_mutex_unlock(&r->lock);
	size_t n = take(r, done, max, &woken);
	while (wait && n == 0 && !woken) {
		struct io_uring_cqe *cqe;
		int rc = io_uring_wait_cqe(&r->ring, &cqe);
		if (rc < 0 && rc != -EINTR)
			break;
		n = take(r, done, max, &woken);
	}
	return n;
}

static void uring_wake(struct reader *base)
{
	struct uring_reader *r = (struct uring_reader *)base;
	uint64_t one = 1;
	while (write(r->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void uring_use_buffer(struct reader *base, void *p, size_t bytes)
{
	struct uring_reader *r = (struct uring_reader *)base;
	struct iovec v[BUFFERS];
	unsigned n = 0;
	if (r->buffer)
		io_uring_unregister_buffers(&r->ring);
	r->buffer = NULL;
	if (!p || bytes > BUFFERS * BUFFER_MAX)
		return;
	for (size_t at = 0; at < bytes; at += BUFFER_MAX) {
		size_t left = bytes - at;
		v[n++] = (struct iovec){(char *)p + at, left < BUFFER_MAX ? left : BUFFER_MAX};
	}
	if (io_uring_register_buffers(&r->ring, v, n) < 0)
		return; /* the limit on locked memory: plain reads do as well */
	r->buffer = p;
	r->buffer_bytes = bytes;
}

static void uring_close(struct reader *base)
{
	struct uring_reader *r = (struct uring_reader *)base;
	io_uring_queue_exit(&r->ring); /* the poll that is still armed writes to no memory of ours */
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	pthread_mutex_destroy(&r->lock);
	read_files_close(&r->files);
	free(r->slots);
	free(r);
}

static const struct reader_ops uring_ops = {uring_close, uring_submit, uring_start, uring_reap,
	uring_wake, uring_use_buffer};

static void register_files(struct uring_reader *r)
{
	int *fds = mem_array(r->files.n, sizeof(*fds));
	if (!fds)
		return;
	for (size_t i = 0; i < r->files.n; i++)
		fds[i] = r->files.p[i].fd;
	r->files_registered = io_uring_register_files(&r->ring, fds, (unsigned)r->files.n) == 0;
	free(fds);
}

int uring_reader_open(struct reader **out, const struct read_files *f, unsigned depth, struct err *e)
{
	struct uring_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return err_nomem(e);
	int rc = io_uring_queue_init(depth + 2, &r->ring, 0);
	if (rc < 0) {
		free(r);
		return err_sys(e, -rc, "the system refuses io_uring");
	}
	r->base.ops = &uring_ops;
	pthread_mutex_init(&r->lock, NULL);
	r->base.depth = depth;
	atomic_init(&r->base.name, f->direct ? "uring+direct" : "uring+buffered");
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = r->wake_fd < 0 ? err_sys(e, errno, "can't make an event descriptor") : 0;
	r->slots = mem_array(depth, sizeof(*r->slots));
	if (rc == 0 && !r->slots)
		rc = err_nomem(e);
	if (rc < 0) {
		uring_close(&r->base);
		return -1;
	}
	for (unsigned i = 0; i < depth; i++)
		r->slots[i].next_free = i + 1;
	r->files = *f;
	register_files(r);
	*out = &r->base;
	return 0;
}
#else
typedef int reader_uring_is_not_built; /* ISO C wants a declaration in every file */
#endif
