/* The reader thread: chooses what is read next, and takes what has come. The lock of the stream is held
 * except while it waits for reads. */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/stream_private.h"

#define FAILURE 1000 /* a failed read weighs as much as so many that were interrupted or put off */
#define PATIENCE (4 * FAILURE - 1)
#define ENOUGH 8	/* requests in flight: one of them will be done soon */
#define IDLE_READS 8 /* requests in flight up to which chunks are read that can wait */

uint64_t span_start(const struct extent *x)
{
	return mem_align_down(x->offset, MEM_PAGE);
}

size_t span_bytes(const struct extent *x)
{
	return x->bytes ? (size_t)(mem_align_up(x->offset + x->bytes, MEM_PAGE) - span_start(x)) : 0;
}

void count_in_flight(struct stream *s, int d)
{
	if (s->in_flight == 0 && d > 0)
		s->busy_from = clock_ns();
	s->in_flight = (size_t)((int64_t)s->in_flight + d);
	if (s->in_flight == 0 && d < 0)
		s->view.busy_ns += clock_ns() - s->busy_from;
}

static bool submit(struct stream *s, const struct read_req *req)
{
	if (!s->c.reader->ops->submit(s->c.reader, req))
		return false;
	count_in_flight(s, 1);
	return true;
}

/* --- loads ----------------------------------------------------------------------------------------- */

static void load_free(struct stream *s, struct load *l)
{
	if (l->ring)
		ring_release(l->ring, l->block);
	l->state = LOAD_FREE;
	l->next = s->free_load;
	s->free_load = (uint32_t)(l - s->loads);
}

static struct entry *entry_of(struct stream *s, const struct load *l)
{
	return l->expert ? experts_entry(s, l->number) : &s->entries[l->number];
}

/* What the load reads, one extent behind the other in memory; NULL: no more. */
static const struct extent *extent_of(const struct stream *s, const struct load *l, size_t i)
{
	if (l->expert)
		return experts_extent(s, l->number, i);
	const struct chunk *c = &s->c.schedule->chunks[l->number];
	return i == 0 ? &c->data : i == 1 && c->scale.bytes ? &c->scale : NULL;
}

void load_drop(struct stream *s, struct load *l)
{
	struct entry *en = entry_of(s, l);
	en->state = ABSENT;
	en->load = NO_LOAD;
	if (s->partial == (uint32_t)(l - s->loads))
		s->partial = NO_LOAD;
	if (s->partial_wanted == (uint32_t)(l - s->loads))
		s->partial_wanted = NO_LOAD;
	l->dead = true;
	if (l->state == LOAD_READING && !l->expert)
		borders_refuse(s, l);
	if (!l->pending)
		load_free(s, l);
}

bool load_start(struct stream *s, struct entry *en, size_t span, uint32_t number, bool expert,
	struct ring_memory *ring, uint32_t *partial)
{
	struct load *l = &s->loads[s->free_load];
	size_t start = 0;
	uint64_t block = 0;
	if (s->free_load == NO_LOAD)
		return false;
	if (!en->memory && !ring_take(&ring->ring, span, &block, &start))
		return false;
	s->free_load = l->next;
	*l = (struct load){.state = LOAD_READING, .expert = expert, .number = number, .block = block,
		.ring = en->memory ? NULL : &ring->ring,
		.memory = en->memory ? en->memory : ring->memory + start, .span = span};
	if (!expert)
		borders_borrow(s, l);
	en->state = COMING;
	en->issued = clock_ns();
	en->load = *partial = (uint32_t)(l - s->loads);
	return true;
}

/* The last request of a load is done, or one that it borrowed from: perhaps others are whole thereby. */
static void load_done(struct stream *s, struct load *l)
{
	uint32_t list = l->dead ? NO_LOAD : (uint32_t)(l - s->loads);
	if (l->dead)
		load_free(s, l);
	else
		l->next = NO_LOAD;
	while (list != NO_LOAD) {
		l = &s->loads[list];
		list = l->next;
		struct entry *en = entry_of(s, l);
		l->state = l->error ? LOAD_FAILED : LOAD_READY;
		en->in_ram = clock_ns();
		en->fresh = true;
		if (!l->expert && l->error)
			borders_refuse(s, l);
		else if (!l->expert)
			list = borders_lend(s, l, list);
		if (en->memory && !l->error) {
			s->view.resident_loaded += l->expert ? 0 : s->c.schedule->chunks[l->number].bytes;
			load_drop(s, l);
			en->state = HERE;
		}
	}
	pthread_cond_broadcast(&s->changed);
}

/* How an extent is cut into requests: nearly equal ones, so that none is a page or two. */
static size_t piece(const struct stream *s, size_t span)
{
	size_t n = (span + s->request - 1) / s->request;
	if (n > 1 && span - (n - 1) * s->request <= s->request / 8)
		n--;
	return (size_t)mem_align_up((span + n - 1) / n, MEM_PAGE);
}

/* Make the requests of the load *partial, as long as fewer than `most` are in flight; false when the
 * reader takes no more. */
static bool load_ask(struct stream *s, uint32_t *partial, size_t most)
{
	struct load *l = &s->loads[*partial];
	size_t begin = 0, end; /* of the extent, in memory */
	const struct extent *x;
	for (size_t i = 0; (x = extent_of(s, l, i)); begin = end, i++) {
		const unsigned borrowed = i < 2 ? l->borrowed >> 2 * i : 0;
		end = begin + span_bytes(x);
		const size_t from = begin + (borrowed & 1 ? MEM_PAGE : 0), to = end - (borrowed & 2 ? MEM_PAGE : 0);
		l->asked = l->asked < from ? from : l->asked;
		while (l->asked < to) {
			const size_t left = to - l->asked, one = piece(s, to - from);
			const struct read_req req = {.file = x->file, .offset = span_start(x) + (l->asked - begin),
				.bytes = left < one ? left : one, .dst = l->memory + l->asked,
				.tag = *partial | (uint64_t)i << TAG_EXTENT};
			if (s->in_flight >= most || !submit(s, &req))
				return false;
			l->asked += req.bytes;
			l->pending++;
		}
		l->asked = l->asked < end ? end : l->asked;
	}
	*partial = NO_LOAD;
	if (load_is_whole(l)) /* all of it was borrowed */
		load_done(s, l);
	return true;
}

/* --- what to read next ----------------------------------------------------------------------------- */

/* May the reader go on to the chunk at `walk`? Chunks that may still be leased are not asked for
 * again. */
static bool may_walk(struct stream *s)
{
	if (!s->wrapped && s->walk >= s->end) {
		s->wrapped = true;
		s->walk = 0;
	}
	return !s->wrapped || s->walk + 2 < s->cursor;
}

static bool start_chunk(struct stream *s, size_t index)
{
	return load_start(s, &s->entries[index], stream_resident_bytes(&s->c.schedule->chunks[index]),
		(uint32_t)index, false, &s->ring, &s->partial);
}

/* While the ring is full and the disk idle: experts that a guess named, chunks further on that will
 * stay. */
static bool idle_start(struct stream *s)
{
	const size_t n = s->c.schedule->n;
	if (s->in_flight >= IDLE_READS)
		return false;
	if (experts_start_guess(s))
		return true;
	for (; s->resident_walk < n; s->resident_walk++) {
		struct entry *en = &s->entries[s->resident_walk];
		if (en->memory && en->state == ABSENT)
			return start_chunk(s, s->resident_walk);
	}
	return false;
}

/* First what the engine waits for, then the schedule, then what may be of use. */
static void issue(struct stream *s)
{
	urgent_issue(s);
	if (s->n_asked < s->n_urgents)
		return; /* the reader is full, and what is left is urgent */
	do {
		if (s->partial_wanted != NO_LOAD && !load_ask(s, &s->partial_wanted, SIZE_MAX))
			return;
	} while (experts_start_wanted(s));
	while (true) {
		if (s->partial != NO_LOAD && !load_ask(s, &s->partial, s->ahead_max))
			return;
		if (may_walk(s)) {
			if (s->entries[s->walk].state == ABSENT && !start_chunk(s, s->walk)) {
				if (!idle_start(s))
					return;
				continue;
			}
			s->walk++;
		} else if (!idle_start(s)) {
			return;
		}
	}
}

/* From the engine's thread, which has just made room or asked for something: what can be read now starts
 * without waiting until the reader's thread gets a processor. With enough in flight that one comes by soon. */
void walker_wake(struct stream *s)
{
	if (s->in_flight >= ENOUGH && s->n_asked == s->n_urgents && !s->experts)
		return;
	issue(s);
	if (s->c.reader->ops->start)
		s->c.reader->ops->start(s->c.reader);
}

/* Drop what the ring holds of the chunks from..to-1. */
static void drop_range(struct stream *s, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		struct entry *en = &s->entries[i];
		struct load *l = en->state == COMING ? &s->loads[en->load] : NULL;
		if (l && !l->leased && (!en->memory || l->state == LOAD_FAILED))
			load_drop(s, l);
	}
}

void walker_seek(struct stream *s, size_t index, bool afresh)
{
	if (s->wrapped && index == 0 && !afresh) { /* what was read for the new pass stays */
		drop_range(s, s->cursor, s->end);
	} else if (!s->wrapped && index >= s->cursor && index <= s->walk && !afresh) {
		drop_range(s, s->cursor, index);
	} else {
		drop_range(s, 0, s->c.schedule->n);
		s->walk = index;
	}
	s->wrapped = false;
	s->cursor = index;
}

void walker_end(struct stream *s, size_t end)
{
	if (s->walk > end) {
		drop_range(s, end, s->walk);
		s->walk = end;
	}
	s->end = end;
}

/* --- what has come --------------------------------------------------------------------------------- */

int request_verdict(struct read_req *r, uint64_t needed_end, unsigned *tries)
{
	if (r->result < 0) {
		*tries += r->result == -EINTR || r->result == -EAGAIN ? 1 : FAILURE;
		return *tries <= PATIENCE ? 1 : -r->result;
	}
	size_t got = (size_t)r->result;
	if (got >= r->bytes || r->offset + got >= needed_end)
		return 0;
	if (got == 0)
		return FILE_ENDED;
	got = got / MEM_PAGE * MEM_PAGE; /* go on at an aligned place */
	if (got == 0 && ++*tries > PATIENCE)
		return FILE_ENDED;
	r->offset += got;
	r->bytes -= got;
	r->dst = (char *)r->dst + got;
	return 1;
}

static void chunk_request_done(struct stream *s, struct read_req *r)
{
	struct load *l = &s->loads[(uint32_t)r->tag];
	const struct extent *x = extent_of(s, l, (size_t)(r->tag >> TAG_EXTENT));
	s->view.bytes_read += r->result > 0 ? (uint64_t)r->result : 0;
	s->view.reads++;
	/* whole pages, up to the file's end: a neighbour may have part of the last one */
	const uint64_t size = s->c.checkpoint->files[x->file].size, end = span_start(x) + span_bytes(x);
	int verdict = request_verdict(r, end < size ? end : size, &l->tries);
	if (verdict == 1 && !l->dead && submit(s, r))
		return;
	if (verdict != 0 && !l->error) {
		l->error = verdict == 1 ? EIO : verdict;
		l->bad_file = r->file;
		l->bad_offset = r->offset + (r->result > 0 ? (uint64_t)r->result : 0);
	}
	l->pending--;
	if (load_is_whole(l) || (l->dead && !l->pending))
		load_done(s, l);
}

void *walker_main(void *arg)
{
	struct stream *s = arg;
	struct read_req done[32];
	pthread_mutex_lock(&s->lock);
	while (!s->quit || s->in_flight) {
		if (!s->quit)
			issue(s);
		pthread_mutex_unlock(&s->lock);
		size_t n = s->c.reader->ops->reap(s->c.reader, done, sizeof(done) / sizeof(*done), true);
		pthread_mutex_lock(&s->lock);
		for (size_t i = 0; i < n; i++) {
			count_in_flight(s, -1);
			if (done[i].tag & TAG_URGENT)
				urgent_done(s, &done[i]);
			else
				chunk_request_done(s, &done[i]);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}
