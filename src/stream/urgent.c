/* Reads beside the schedule that the engine waits for: rows of the embedding, small weights. They go
 * before the schedule's, many at once, through a buffer of whole pages. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "stream/stream_private.h"

/* --- the reader thread's side --- */

void urgent_issue(struct stream *s)
{
	while (s->n_asked < s->n_urgents) {
		if (!s->c.reader->ops->submit(s->c.reader, &s->urgents[s->n_asked].req))
			return;
		s->n_asked++;
		count_in_flight(s, 1);
	}
}

void urgent_done(struct stream *s, struct read_req *r)
{
	struct urgent *u = &s->urgents[r->tag & ~TAG_URGENT];
	s->view.bytes_read += r->result > 0 ? (uint64_t)r->result : 0;
	s->view.reads++;
	int verdict = request_verdict(r, u->needed_end, &u->tries);
	if (verdict == 1 && s->c.reader->ops->submit(s->c.reader, r)) {
		count_in_flight(s, 1);
		return;
	}
	u->error = verdict == 1 ? EIO : verdict;
	u->req.offset = r->offset + (r->result > 0 ? (uint64_t)r->result : 0); /* for the message */
	if (--s->n_left == 0)
		pthread_cond_broadcast(&s->changed);
}

/* --- the engine's side --- */

/* As many requests as the buffer holds, from byte *at of piece *i on. */
static size_t fill(struct stream *s, const struct stream_piece *p, size_t n, size_t *i, size_t *at)
{
	size_t used = 0, count = 0;
	while (*i < n && count < URGENTS && used < BOUNCE) {
		if (p[*i].bytes == 0) {
			++*i;
			continue;
		}
		uint64_t offset = p[*i].offset + *at, start = mem_align_down(offset, MEM_PAGE);
		size_t skip = (size_t)(offset - start), bytes = p[*i].bytes - *at;
		size_t span = (size_t)mem_align_up(skip + bytes, MEM_PAGE);
		if (span > BOUNCE - used) {
			if (used > 0)
				break;
			span = BOUNCE;
			bytes = BOUNCE - skip;
		}
		char *dst = s->bounce + used;
		s->urgents[count] = (struct urgent){.req = {.file = p[*i].file, .offset = start,
			.bytes = span, .dst = dst, .tag = TAG_URGENT | count},
			.needed_end = offset + bytes, .from = dst + skip, .bytes = bytes,
			.to = (char *)p[*i].dst + *at};
		used += span;
		count++;
		*at += bytes;
		if (*at == p[*i].bytes) {
			++*i;
			*at = 0;
		}
	}
	return count;
}

/* Wait for the requests; on an interruption only for those that can't be taken back. */
static bool run(struct stream *s, size_t count)
{
	bool whole = true;
	pthread_mutex_lock(&s->lock);
	s->n_asked = 0;
	s->n_urgents = s->n_left = count;
	walker_wake(s);
	while (s->n_left) {
		if (s->interrupted && s->n_asked < s->n_urgents) {
			s->n_left -= s->n_urgents - s->n_asked;
			s->n_urgents = s->n_asked;
			whole = false;
			continue;
		}
		pthread_cond_wait(&s->changed, &s->lock);
	}
	s->n_urgents = s->n_asked = 0;
	pthread_mutex_unlock(&s->lock);
	return whole;
}

int stream_read_many(struct stream *s, const struct stream_piece *p, size_t n, struct err *e)
{
	size_t i = 0, at = 0;
	while (i < n) {
		size_t count = fill(s, p, n, &i, &at);
		if (count && !run(s, count))
			return err_set(e, ERR_CANCELLED, "stopped");
		for (size_t k = 0; k < count; k++) {
			const struct urgent *u = &s->urgents[k];
			if (u->error)
				return read_failed(s, u->req.file, u->req.offset, u->error, e);
			memcpy(u->to, u->from, u->bytes);
		}
	}
	return 0;
}

int stream_read(struct stream *s, uint32_t file, uint64_t offset, size_t bytes, void *dst, struct err *e)
{
	const struct stream_piece p = {.file = file, .offset = offset, .bytes = bytes, .dst = dst};
	return stream_read_many(s, &p, 1, e);
}
