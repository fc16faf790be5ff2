/* Reads through io_uring: many in flight, one system call for several. */
#ifdef HAVE_LIBURING
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "stream/reader_private.h"

struct slot {
	struct read_req req;
	bool used;
};

struct uring_reader {
	struct reader base;
	struct read_files files;
	struct io_uring ring;
	int wake_fd;
	uint64_t wake_value; /* where the wake-up read puts the counter */
	bool wake_armed;
	struct slot *slots; /* [depth] requests in flight, by user_data */
	unsigned in_flight;
};

#define WAKE_TAG UINT64_MAX

static void arm_wake(struct uring_reader *r)
{
	struct io_uring_sqe *sqe = r->wake_armed ? NULL : io_uring_get_sqe(&r->ring);
	if (!sqe)
		return;
	io_uring_prep_read(sqe, r->wake_fd, &r->wake_value, sizeof(r->wake_value), 0);
	io_uring_sqe_set_data64(sqe, WAKE_TAG);
	r->wake_armed = true;
}

static bool uring_submit(struct reader *base, const struct read_req *req)
{
	struct uring_reader *r = (struct uring_reader *)base;
	unsigned i = 0;
	if (r->in_flight == base->depth)
		return false;
	while (r->slots[i].used)
		i++;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);
	if (!sqe)
		return false;
	r->slots[i] = (struct slot){*req, true};
	io_uring_prep_read(sqe, r->files.p[req->file].fd, req->dst, (unsigned)req->bytes, req->offset);
	io_uring_sqe_set_data64(sqe, i);
	r->in_flight++;
	return true;
}

static size_t take(struct uring_reader *r, struct read_req *done, size_t max, bool *woken)
{
	struct io_uring_cqe *cqe;
	size_t n = 0;
	while (n < max && io_uring_peek_cqe(&r->ring, &cqe) == 0) {
		uint64_t tag = io_uring_cqe_get_data64(cqe);
		int result = cqe->res;
		io_uring_cqe_seen(&r->ring, cqe);
		if (tag == WAKE_TAG) {
			r->wake_armed = false;
			*woken = true;
			continue;
		}
		struct slot *s = &r->slots[tag];
		s->used = false;
		r->in_flight--;
		/* a file system that refuses direct reads, or a kernel the operation: plain pread */
		if (result == -EINVAL || result == -EOPNOTSUPP)
			result = (int)read_file_at(&r->files, &s->req);
		done[n] = s->req;
		done[n++].result = result;
	}
	return n;
}

static size_t uring_reap(struct reader *base, struct read_req *done, size_t max, bool wait)
{
	struct uring_reader *r = (struct uring_reader *)base;
	bool woken = false;
	arm_wake(r);
	io_uring_submit(&r->ring);
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

static void uring_close(struct reader *base)
{
	struct uring_reader *r = (struct uring_reader *)base;
	io_uring_queue_exit(&r->ring);
	close(r->wake_fd);
	read_files_close(&r->files);
	free(r->slots);
	free(r);
}

static const struct reader_ops uring_ops = {uring_close, uring_submit, uring_reap, uring_wake};

int uring_reader_open(struct reader **out, const struct checkpoint *c, const uint8_t *files,
	unsigned depth, struct err *e)
{
	struct uring_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return err_nomem(e);
	int rc = io_uring_queue_init(depth + 2, &r->ring, 0);
	if (rc < 0) {
		free(r);
		return err_sys(e, -rc, "the system refuses io_uring");
	}
	r->wake_fd = eventfd(0, EFD_CLOEXEC);
	r->slots = mem_array(depth, sizeof(*r->slots));
	rc = r->wake_fd < 0 ? err_sys(e, errno, "can't make an event descriptor")
		: !r->slots ? err_nomem(e)
			    : read_files_open(&r->files, c, files, e);
	r->base = (struct reader){&uring_ops, r->files.direct ? "uring+direct" : "uring+buffered", depth};
	if (rc < 0) {
		uring_close(&r->base);
		return -1;
	}
	*out = &r->base;
	return 0;
}
#else
typedef int reader_uring_is_not_built; /* ISO C wants a declaration in every file */
#endif
