#include "stream/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/stream_private.h"

/* Chunks that nobody waits for yet leave the drive's queue short where experts are read on demand. */
#define AHEAD_BESIDE_EXPERTS 8

size_t stream_resident_bytes(const struct chunk *c)
{
	return span_bytes(&c->data) + span_bytes(&c->scale);
}

static size_t largest(const struct schedule *s)
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
	return ring_least(largest(s));
}

int read_failed(const struct stream *s, uint32_t file, uint64_t offset, int error, struct err *e)
{
	const char *path = s->c.checkpoint->files[file].path;
	if (error == FILE_ENDED)
		return err_set(e, ERR_IO, "%s ends at offset %llu now: it was cut off after it had been opened",
			path, (unsigned long long)offset);
	return err_sys(e, error, "can't read %s at offset %llu", path, (unsigned long long)offset);
}

/* --- open and close -------------------------------------------------------------------------------- */

/* Large pages make reads and products cheaper where the kernel has some. */
void *host_memory(struct stream *s, size_t bytes)
{
	struct backend *b = s->c.backend;
	void *p = b->host_memory ? b->ops->alloc(b, bytes) : b->ops->host_alloc(b, bytes);
	if (p && bytes >= (size_t)8 << 20)
		madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

void host_memory_free(struct stream *s, void *p, size_t bytes)
{
	struct backend *b = s->c.backend;
	if (p && b->host_memory)
		b->ops->free(b, p, bytes);
	else if (p)
		b->ops->host_free(b, p, bytes);
}

int ring_memory_init(struct stream *s, struct ring_memory *r, size_t bytes, struct err *e)
{
	if (ring_init(&r->ring, bytes) < 0)
		return err_nomem(e);
	if (!(r->memory = host_memory(s, r->ring.size)))
		return err_set(e, ERR_NOMEM, "out of memory for a ring of %zu MiB", r->ring.size >> 20);
	return 0;
}

void ring_memory_clear(struct stream *s, struct ring_memory *r)
{
	host_memory_free(s, r->memory, r->ring.size);
	ring_clear(&r->ring);
}

static int place_resident(struct stream *s, struct err *e)
{
	struct backend *b = s->c.backend;
	const struct schedule *sc = s->c.schedule;
	for (size_t i = 0; i < sc->n; i++) {
		size_t bytes = stream_resident_bytes(&sc->chunks[i]);
		s->arena_bytes += s->c.tiers[i] == TIER_RAM ? bytes : 0;
		s->device_arena_bytes += s->c.tiers[i] == TIER_VRAM ? bytes : 0;
	}
	if (s->arena_bytes && !(s->arena = host_memory(s, s->arena_bytes)))
		return err_set(e, ERR_NOMEM, "out of memory for %zu MiB of weights that were to stay in RAM",
			s->arena_bytes >> 20);
	if (s->device_arena_bytes && (b->host_memory || !(s->device_arena = b->ops->alloc(b, s->device_arena_bytes))))
		return err_set(e, ERR_NOMEM, "%s: no memory for %zu MiB of weights that were to stay there", b->name,
			s->device_arena_bytes >> 20);
	char *at = s->arena, *device_at = s->device_arena;
	for (size_t i = 0; i < sc->n; i++) {
		s->entries[i] = (struct entry){.tier = s->c.tiers[i], .load = NO_LOAD};
		if (s->c.tiers[i] == TIER_RAM) {
			s->entries[i].memory = at;
			at += stream_resident_bytes(&sc->chunks[i]);
		} else if (s->c.tiers[i] == TIER_VRAM) {
			s->entries[i].device = device_at;
			device_at += stream_resident_bytes(&sc->chunks[i]);
		}
	}
	return 0;
}

static bool mark_file(const struct checkpoint_file *f, struct file_mark *m)
{
	struct stat st;
	if (stat(f->path, &st) < 0)
		return false;
	*m = (struct file_mark){st.st_dev, st.st_ino, st.st_mtim};
	return true;
}

/* Has any file been written to? Where another took its name, what is open is still what it was. */
static int files_are_the_same(const struct stream *s, struct err *e)
{
	for (size_t i = 0; i < s->c.checkpoint->n_files; i++) {
		const struct file_mark *was = &s->marks[i];
		struct file_mark is;
		if (!was->ino || !mark_file(&s->c.checkpoint->files[i], &is) || was->dev != is.dev || was->ino != is.ino)
			continue;
		if (was->changed.tv_sec != is.changed.tv_sec || was->changed.tv_nsec != is.changed.tv_nsec)
			return err_set(e, ERR_IO, "%s has changed since it was opened: airlchat must be started again",
				s->c.checkpoint->files[i].path);
	}
	return 0;
}

static int init(struct stream *s, struct err *e)
{
	const struct schedule *sc = s->c.schedule;
	s->end = sc->n;
	s->partial = s->partial_wanted = NO_LOAD;
	s->request = s->c.reader->request ? s->c.reader->request : READER_REQUEST;
	s->ahead_max = sc->n_expert_chunks ? AHEAD_BESIDE_EXPERTS : SIZE_MAX;
	if (s->c.ring_bytes < stream_ring_min(sc))
		return err_set(e, ERR_BUDGET, "a ring of %zu bytes is too small for chunks of up to %zu bytes",
			s->c.ring_bytes, largest(sc));
	s->entries = mem_array(sc->n, sizeof(*s->entries));
	s->loads = mem_array(LOADS, sizeof(*s->loads));
	s->urgents = mem_array(URGENTS, sizeof(*s->urgents));
	s->bounce = mem_pages(BOUNCE);
	s->marks = mem_array(s->c.checkpoint->n_files, sizeof(*s->marks));
	if (!s->entries || !s->loads || !s->urgents || !s->bounce || !s->marks || borders_init(s) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < s->c.checkpoint->n_files; i++)
		mark_file(&s->c.checkpoint->files[i], &s->marks[i]);
	if (ring_memory_init(s, &s->ring, s->c.ring_bytes, e) < 0)
		return -1;
	for (uint32_t i = 0; i < LOADS; i++)
		s->loads[i].next = i + 1 < LOADS ? i + 1 : NO_LOAD;
	if (!s->c.backend->host_memory && upload_init(s, e) < 0)
		return -1;
	return place_resident(s, e) < 0 || experts_init(s, e) < 0 ? -1 : 0;
}

int stream_open(struct stream **out, const struct stream_config *cfg, struct err *e)
{
	*out = NULL;
	struct stream *s = calloc(1, sizeof(*s));
	if (!s)
		return err_nomem(e);
	s->c = *cfg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	int rc = init(s, e);
	if (rc == 0) {
		if (s->c.reader->ops->use_buffer)
			s->c.reader->ops->use_buffer(s->c.reader, s->ring.memory, s->ring.ring.size);
		rc = pthread_create(&s->thread, NULL, walker_main, s);
		s->started = rc == 0;
		if (rc != 0)
			rc = err_sys(e, rc, "can't start the reader thread");
	}
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
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->quit = true;
		pthread_mutex_unlock(&s->lock);
		s->c.reader->ops->wake(s->c.reader);
		pthread_join(s->thread, NULL);
	}
	if (s->c.reader->ops->use_buffer)
		s->c.reader->ops->use_buffer(s->c.reader, NULL, 0);
	upload_clear(s); /* waits for copies */
	host_memory_free(s, s->arena, s->arena_bytes);
	if (s->device_arena)
		s->c.backend->ops->free(s->c.backend, s->device_arena, s->device_arena_bytes);
	experts_clear(s);
	ring_memory_clear(s, &s->ring);
	mem_pages_free(s->bounce, BOUNCE);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s->urgents);
	free(s->marks);
	free(s->entries);
	free(s->borders);
	free(s->loads);
	free(s);
}

/* --- the engine's side ----------------------------------------------------------------------------- */

/* The next acquire is `index`. */
static void move_to(struct stream *s, size_t index)
{
	walker_seek(s, index, false);
	walker_wake(s);
}

void stream_begin(struct stream *s, size_t end)
{
	pthread_mutex_lock(&s->lock);
	if (s->cursor != 0 || s->wrapped)
		walker_seek(s, 0, false);
	walker_end(s, end);
	experts_new_pass(s);
	walker_wake(s);
	pthread_mutex_unlock(&s->lock);
}

void stream_rewind(struct stream *s)
{
	pthread_mutex_lock(&s->lock);
	experts_forget_wants(s);
	move_to(s, 0);
	pthread_mutex_unlock(&s->lock);
}

void stream_sleep(struct stream *s)
{
	if (s->upload)
		upload_sleep(s);
	else
		pthread_cond_wait(&s->changed, &s->lock);
}

/* Wait until the chunk is in host memory. What failed while it was read ahead is tried once more before
 * it is an error: the cause may have passed. The lock is held. */
int stream_wait(struct stream *s, size_t index, struct err *e)
{
	struct entry *en = &s->entries[index];
	int failures = 0;
	while (true) {
		if (s->interrupted)
			return err_set(e, ERR_CANCELLED, "stopped");
		if (en->state == HERE)
			return 0;
		struct load *l = en->state == COMING ? &s->loads[en->load] : NULL;
		if (l && l->state == LOAD_READY && !(s->upload && l->leased))
			return 0;
		const bool failed = l && l->state == LOAD_FAILED;
		const bool passed = !l && (s->wrapped || s->walk > index); /* by the reader */
		if (failed && ++failures == 2)
			read_failed(s, l->bad_file, l->bad_offset, l->error, e);
		if (failed || passed) {
			walker_seek(s, index, true);
			walker_wake(s);
			if (failures == 2)
				return -1;
			continue;
		}
		stream_sleep(s);
	}
}

void lease_fill(struct lease *out, const struct chunk *c, struct entry *en, const char *memory)
{
	out->data = memory + (c->data.offset - span_start(&c->data));
	if (c->scale.bytes)
		out->scale = memory + span_bytes(&c->data) + (c->scale.offset - span_start(&c->scale));
	if (en->fresh) {
		out->bytes_from_disk = c->bytes;
		out->issued = en->issued;
		out->in_ram = en->in_ram;
	}
	en->fresh = false;
	out->in_hand = clock_ns();
}

static void give(struct stream *s, struct lease *out)
{
	struct entry *en = &s->entries[out->index];
	const char *memory = en->memory;
	if (en->load != NO_LOAD) {
		s->loads[en->load].leased = true;
		memory = s->loads[en->load].memory;
	}
	out->tier = (enum tier)en->tier;
	out->slot = en->load;
	lease_fill(out, &s->c.schedule->chunks[out->index], en, memory);
}

int stream_acquire(struct stream *s, size_t index, struct lease *out, struct err *e)
{
	*out = (struct lease){.index = index, .wait_from = clock_ns()};
	pthread_mutex_lock(&s->lock);
	if (index != s->cursor)
		move_to(s, index);
	int rc = s->upload ? upload_acquire(s, index, out, e) : stream_wait(s, index, e);
	if (rc == 0) {
		if (!s->upload)
			give(s, out);
		s->cursor++;
	}
	const uint64_t reads = s->view.reads;
	pthread_mutex_unlock(&s->lock);
	/* The last chunk of a pass: all that it was made of has been read. */
	if (rc < 0 || index + 1 != s->end || reads == s->reads_checked)
		return rc;
	if (files_are_the_same(s, e) < 0) {
		stream_release(s, out);
		return -1;
	}
	s->reads_checked = reads;
	return 0;
}

void stream_release(struct stream *s, struct lease *l)
{
	if (s->upload)
		upload_release(s, l);
	pthread_mutex_lock(&s->lock);
	if (l->expert) {
		experts_release(s, (uint32_t)l->index);
	} else if (!s->upload && l->slot != NO_LOAD) {
		load_drop(s, &s->loads[l->slot]);
		walker_wake(s);
	}
	pthread_mutex_unlock(&s->lock);
}

const void *stream_peek(struct stream *s, size_t index)
{
	const struct chunk *c = &s->c.schedule->chunks[index];
	struct entry *en = &s->entries[index];
	pthread_mutex_lock(&s->lock);
	const char *memory = en->state == HERE && s->c.backend->host_memory ? en->memory : NULL;
	pthread_mutex_unlock(&s->lock);
	return memory ? memory + (c->data.offset - span_start(&c->data)) : NULL;
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
	out->cursor = s->cursor % n;
	out->issued = s->walk % n;
	for (size_t i = 0; i < LOADS; i++)
		out->ahead += s->loads[i].state == LOAD_READY && !s->loads[i].leased && !s->loads[i].dead;
	pthread_mutex_unlock(&s->lock);
}
