#include "stream/stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define PIECE ((size_t)1 << 20) /* a chunk is read in requests of at most this size */
#define RETRIES 3
#define NO_SLOT UINT32_MAX
#define URGENT UINT64_MAX /* tag of an urgent read; else the tag is the chunk */

enum state { IDLE, READING, READY, FAILED };

struct entry { /* one chunk of the schedule */
	enum state state;
	uint32_t slot; /* of the ring; NO_SLOT when resident or idle */
	uint32_t rank; /* among the chunks that stream */
	unsigned pending; /* requests in flight */
	unsigned tries;
	int error;	  /* errno, or -1: the file ended */
	uint64_t bad_offset;
	size_t asked;	  /* bytes of the span for which requests were made */
	char *memory;	  /* span: from the aligned address below the chunk to the aligned end */
	int64_t issued, in_ram;
	bool fresh;	  /* read since it was last acquired */
};

struct urgent { /* an embedding row and the like; the engine waits for it */
	struct read_req req;
	char *bounce; /* aligned buffer around the wanted bytes */
	size_t have, size;
	unsigned tries;
	bool wanted, done;
	int error;
};

struct stream {
	struct stream_config c;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t changed; /* for the engine: a chunk or an urgent read is done */
	struct entry *entries; /* [n] */
	char *ring;
	size_t slot_bytes;
	uint32_t n_slots, *free_slots, n_free;
	uint64_t next_issue, next_acquire; /* absolute: pass * n + index */
	size_t in_flight;		   /* requests */
	struct urgent urgent;
	bool quit, interrupted, hold;	   /* hold: rewind wants all reads drained */
	int64_t busy_from;
	struct stream_view view;
};

static uint64_t span_start(const struct chunk *c)
{
	return mem_align_down(c->data.offset, MEM_PAGE);
}

size_t stream_resident_bytes(const struct chunk *c)
{
	return (size_t)(mem_align_up(c->data.offset + c->data.bytes, MEM_PAGE) - span_start(c));
}

static size_t slot_size(const struct schedule *s)
{
	size_t max = 0;
	for (size_t i = 0; i < s->n; i++) {
		size_t b = stream_resident_bytes(&s->chunks[i]);
		max = b > max ? b : max;
	}
	return max;
}

size_t stream_ring_min(const struct schedule *s)
{
	return 3 * slot_size(s);
}

/* --- the reader thread; the lock is held except around reap -------------------------------------- */

static void count_in_flight(struct stream *s, int d)
{
	if (s->in_flight == 0 && d > 0)
		s->busy_from = clock_ns();
	s->in_flight += (size_t)d;
	if (s->in_flight == 0 && d < 0)
		s->view.busy_ns += clock_ns() - s->busy_from;
}

/* Give the chunk memory: its own when resident, else a slot. False when the ring is full. */
static bool place(struct stream *s, size_t index)
{
	struct entry *en = &s->entries[index];
	const struct chunk *c = &s->c.schedule->chunks[index];
	if (en->memory)
		return true;
	if (s->c.tiers[index] == TIER_RAM) {
		en->memory = s->c.backend->ops->alloc(s->c.backend, stream_resident_bytes(c));
		return en->memory != NULL;
	}
	if (!s->n_free)
		return false;
	en->slot = s->free_slots[--s->n_free];
	en->memory = s->ring + en->slot * s->slot_bytes;
	return true;
}

static bool submit_piece(struct stream *s, size_t index)
{
	struct entry *en = &s->entries[index];
	const struct chunk *c = &s->c.schedule->chunks[index];
	size_t span = stream_resident_bytes(c), left = span - en->asked;
	const struct read_req req = {.file = c->data.file, .offset = span_start(c) + en->asked,
		.bytes = left < PIECE ? left : PIECE, .dst = en->memory + en->asked, .tag = index};
	if (!s->c.reader->ops->submit(s->c.reader, &req))
		return false;
	en->asked += req.bytes;
	en->pending++;
	count_in_flight(s, 1);
	return true;
}

/* Ask for as much as ring and reader allow. */
static void issue(struct stream *s)
{
	struct urgent *u = &s->urgent;
	if (u->wanted && s->c.reader->ops->submit(s->c.reader, &u->req)) {
		u->wanted = false;
		count_in_flight(s, 1);
	}
	/* Chunks that may still be leased are not asked for again: their memory is in use. */
	const size_t n = s->c.schedule->n, ahead = n > 2 ? n - 2 : 1;
	while (!s->hold && s->next_issue < s->next_acquire + ahead) {
		size_t index = s->next_issue % n;
		struct entry *en = &s->entries[index];
		if (en->state == IDLE) {
			if (!place(s, index))
				return;
			en->state = READING;
			en->asked = 0;
			en->tries = 0;
			en->error = 0;
			en->issued = clock_ns();
		}
		while (en->state == READING && en->asked < stream_resident_bytes(&s->c.schedule->chunks[index]))
			if (!submit_piece(s, index))
				return;
		s->next_issue++;
	}
}

/* What a completed request means: 0 done, 1 submit it again as changed, else an errno (-1: the file
 * ended before `needed`). */
static int judge(struct read_req *r, uint64_t needed_end, unsigned *tries)
{
	if (r->result == -EINTR || r->result == -EAGAIN)
		return 1;
	if (r->result < 0)
		return ++*tries <= RETRIES ? 1 : -r->result;
	size_t got = (size_t)r->result;
	if (got >= r->bytes || r->offset + got >= needed_end)
		return 0;
	if (got == 0)
		return -1;
	got = got / MEM_PAGE * MEM_PAGE; /* go on at an aligned place */
	if (got == 0 && ++*tries > RETRIES)
		return -1;
	r->offset += got;
	r->bytes -= got;
	r->dst = (char *)r->dst + got;
	return 1;
}

static void chunk_done(struct stream *s, struct read_req *r)
{
	struct entry *en = &s->entries[r->tag];
	const struct chunk *c = &s->c.schedule->chunks[r->tag];
	int verdict = judge(r, c->data.offset + c->data.bytes, &en->tries);
	if (verdict == 1 && s->c.reader->ops->submit(s->c.reader, r)) {
		count_in_flight(s, 1);
		return;
	}
	if (verdict != 0 && !en->error) {
		en->error = verdict == 1 ? EIO : verdict;
		en->bad_offset = r->offset;
	}
	s->view.bytes_read += r->result > 0 ? (uint64_t)r->result : 0;
	s->view.reads++;
	if (--en->pending || en->asked < stream_resident_bytes(c))
		return;
	en->in_ram = clock_ns();
	en->fresh = true;
	en->state = en->error ? FAILED : READY;
	if (s->c.tiers[r->tag] != TIER_DISK && !en->error)
		s->view.resident_loaded += c->bytes;
	pthread_cond_broadcast(&s->changed);
}

static void urgent_done(struct stream *s, struct read_req *r)
{
	struct urgent *u = &s->urgent;
	int verdict = judge(r, r->offset + u->size, &u->tries);
	if (verdict == 1 && s->c.reader->ops->submit(s->c.reader, r)) {
		count_in_flight(s, 1);
		return;
	}
	u->error = verdict == 1 ? EIO : verdict;
	u->done = true;
	s->view.bytes_read += r->result > 0 ? (uint64_t)r->result : 0;
	s->view.reads++;
	pthread_cond_broadcast(&s->changed);
}

static void *reader_thread(void *arg)
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
			if (done[i].tag == URGENT)
				urgent_done(s, &done[i]);
			else
				chunk_done(s, &done[i]);
		}
		if (n && s->in_flight == 0)
			pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- the engine's side --------------------------------------------------------------------------- */

static void wake(struct stream *s)
{
	s->c.reader->ops->wake(s->c.reader);
}

static int init_ring(struct stream *s, struct err *e)
{
	const struct schedule *sc = s->c.schedule;
	struct backend *b = s->c.backend;
	uint32_t rank = 0;
	s->slot_bytes = slot_size(sc);
	s->n_slots = (uint32_t)(s->c.ring_bytes / s->slot_bytes);
	if (s->n_slots < 2)
		return err_set(e, ERR_BUDGET, "a ring of %zu bytes can't hold two chunks", s->c.ring_bytes);
	s->entries = mem_array(sc->n, sizeof(*s->entries));
	s->free_slots = mem_array(s->n_slots, sizeof(*s->free_slots));
	s->ring = b->ops->host_alloc(b, s->n_slots * s->slot_bytes);
	if (!s->entries || !s->free_slots || !s->ring)
		return err_nomem(e);
	for (size_t i = 0; i < sc->n; i++)
		s->entries[i] = (struct entry){.slot = NO_SLOT,
			.rank = s->c.tiers[i] == TIER_DISK ? rank++ : 0};
	while (s->n_free < s->n_slots) {
		s->free_slots[s->n_free] = s->n_slots - 1 - s->n_free;
		s->n_free++;
	}
	return 0;
}

int stream_open(struct stream **out, const struct stream_config *cfg, struct err *e)
{
	*out = NULL;
	if (!cfg->backend->host_memory)
		return err_set(e, ERR_UNSUPPORTED, "%s: devices with memory of their own are not supported",
			cfg->backend->name);
	struct stream *s = calloc(1, sizeof(*s));
	if (!s)
		return err_nomem(e);
	s->c = *cfg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	int rc = init_ring(s, e);
	if (rc == 0 && (rc = pthread_create(&s->thread, NULL, reader_thread, s)) != 0)
		rc = err_sys(e, rc, "can't start the reader thread");
	s->started = rc == 0;
	if (rc < 0) {
		stream_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	struct backend *b = s->c.backend;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->quit = true;
		pthread_mutex_unlock(&s->lock);
		wake(s);
		pthread_join(s->thread, NULL);
	}
	for (size_t i = 0; s->entries && i < s->c.schedule->n; i++)
		if (s->entries[i].memory && s->entries[i].slot == NO_SLOT)
			b->ops->free(b, s->entries[i].memory,
				stream_resident_bytes(&s->c.schedule->chunks[i]));
	b->ops->host_free(b, s->ring, s->n_slots * s->slot_bytes);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s->entries);
	free(s->free_slots);
	free(s);
}

static int read_failed(const struct stream *s, uint32_t file, uint64_t offset, int error, struct err *e)
{
	const char *path = s->c.checkpoint->files[file].path;
	if (error == -1)
		return err_set(e, ERR_IO, "%s ends before offset %llu: it was cut off after it had been opened",
			path, (unsigned long long)offset + 1);
	return err_sys(e, error, "can't read %s at offset %llu", path, (unsigned long long)offset);
}

static void drop(struct stream *s, struct entry *en)
{
	if (en->slot != NO_SLOT) {
		s->free_slots[s->n_free++] = en->slot;
		en->slot = NO_SLOT;
		en->memory = NULL;
	}
	en->state = IDLE;
}

int stream_acquire(struct stream *s, size_t index, struct lease *out, struct err *e)
{
	const struct chunk *c = &s->c.schedule->chunks[index];
	struct entry *en = &s->entries[index];
	*out = (struct lease){.index = index, .tier = (enum tier)s->c.tiers[index], .wait_from = clock_ns()};
	pthread_mutex_lock(&s->lock);
	/* a failed chunk is tried again by the acquire after the one that reported it */
	if (en->state == IDLE && s->next_issue > s->next_acquire)
		s->next_issue = s->next_acquire;
	if (en->state != READY)
		wake(s);
	while (en->state != READY && en->state != FAILED && !s->interrupted)
		pthread_cond_wait(&s->changed, &s->lock);
	int rc = 0;
	if (s->interrupted) {
		rc = err_set(e, ERR_CANCELLED, "stopped");
	} else if (en->state == FAILED) {
		rc = read_failed(s, c->data.file, en->bad_offset, en->error, e);
		drop(s, en);
	} else {
		s->next_acquire++;
		out->data = en->memory + (c->data.offset - span_start(c));
		out->slot = en->slot;
		out->in_hand = clock_ns();
		if (en->fresh) {
			out->bytes_from_disk = c->bytes;
			out->issued = en->issued;
			out->in_ram = en->in_ram;
		}
		en->fresh = false;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void stream_release(struct stream *s, struct lease *l)
{
	pthread_mutex_lock(&s->lock);
	if (s->entries[l->index].slot != NO_SLOT) {
		drop(s, &s->entries[l->index]);
		wake(s);
	}
	pthread_mutex_unlock(&s->lock);
}

void stream_rewind(struct stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->hold = true;
	/* a chunk that is half asked for waits for the walker, which stands still: count it as idle */
	while (s->in_flight)
		pthread_cond_wait(&s->changed, &s->lock);
	for (size_t i = 0; i < s->c.schedule->n; i++) {
		struct entry *en = &s->entries[i];
		bool keep = en->state == READY && (en->slot == NO_SLOT || en->rank + 1 < s->n_slots);
		if (!keep && en->state != IDLE)
			drop(s, en);
	}
	s->next_issue = s->next_acquire = 0;
	s->hold = false;
	wake(s);
	pthread_mutex_unlock(&s->lock);
}

int stream_read(struct stream *s, uint32_t file, uint64_t offset, size_t bytes, void *dst, struct err *e)
{
	uint64_t start = mem_align_down(offset, MEM_PAGE);
	size_t span = (size_t)(mem_align_up(offset + bytes, MEM_PAGE) - start);
	char *bounce = mem_pages(span);
	if (!bounce)
		return err_nomem(e);
	pthread_mutex_lock(&s->lock);
	s->urgent = (struct urgent){.req = {.file = file, .offset = start, .bytes = span, .dst = bounce,
		.tag = URGENT}, .size = (size_t)(offset + bytes - start), .wanted = true};
	wake(s);
	while (!s->urgent.done)
		pthread_cond_wait(&s->changed, &s->lock);
	int error = s->urgent.error;
	pthread_mutex_unlock(&s->lock);
	if (error == 0)
		memcpy(dst, bounce + (offset - start), bytes);
	mem_pages_free(bounce, span);
	return error == 0 ? 0 : read_failed(s, file, offset, error, e);
}

void stream_interrupt(struct stream *s, bool on)
{
	pthread_mutex_lock(&s->lock);
	s->interrupted = on;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void stream_view(struct stream *s, struct stream_view *out)
{
	const size_t n = s->c.schedule->n;
	pthread_mutex_lock(&s->lock);
	*out = s->view;
	out->in_flight = s->in_flight;
	if (s->in_flight)
		out->busy_ns += clock_ns() - s->busy_from;
	out->cursor = s->next_acquire % n;
	out->issued = s->next_issue % n;
	for (uint64_t i = s->next_acquire; i < s->next_issue; i++)
		out->ahead += s->entries[i % n].state == READY;
	pthread_mutex_unlock(&s->lock);
}
