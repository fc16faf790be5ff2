/* Chunks on their way to a device with memory of its own: host memory -> copy queue -> device ring, or
 * the place on the device where a chunk stays. Events order the queues; the host waits for neither,
 * unless it is FLIGHTS chunks ahead of the device.
 *
 * Everything here belongs to the engine's thread, which alone calls the backend. The stream's lock is
 * held in all functions but init, clear, release and timings, and let go while the host waits. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/stream_private.h"

#define FLIGHTS 256
#define EXPERT_FLIGHTS 32
#define POLL_NS 500000 /* while the host waits for a read: how often it looks for finished copies */

struct flight { /* of one chunk, from the copy to the end of its use */
	uint32_t index;
	bool dropped, leased, released;
	bool in_ring;  /* it has a block of the device ring still */
	uint64_t block;
	char *device;
	uint32_t load; /* whose host memory the copy reads; NO_LOAD: none, or the copy is done */
	int64_t in_ram;
	/* compute queue: before it waits for the chunk; copy queue: copied; compute queue: used */
	struct event *before, *copied, *used;
};

struct expert_flight {
	uint32_t pack;
	bool busy;
	struct event *copied;
};

/* Flights are numbered; number k stands at f[k % FLIGHTS]. Acquired: first..given-1, in part released;
 * sent ahead: given..next-1. */
struct upload {
	struct flight f[FLIGHTS];
	uint64_t first, given, next;
	uint64_t copying;    /* the oldest whose copy may not be done */
	uint64_t ring_first; /* the oldest that may have a block of the ring */
	size_t send;	     /* the chunk to send next; wrapped: of the next pass */
	bool wrapped;
	struct ring ring;
	char *memory;
	struct expert_flight x[EXPERT_FLIGHTS];
	struct event *expert_used;
	bool expert_was_used;
	struct stream_timing *timings; /* [n], of which n_timings are filled */
	size_t n_timings;
};

size_t stream_stage_bytes(const struct schedule *s)
{
	return stream_expert_min(s, 0) + (s->n_expert_chunks ? (size_t)8 << 20 : 0);
}

int upload_init(struct stream *s, struct err *e)
{
	struct backend *b = s->c.backend;
	const struct backend_ops *o = b->ops;
	struct upload *u = s->upload = calloc(1, sizeof(*u));
	if (!u)
		return err_nomem(e);
	if (s->c.device_ring_bytes < stream_ring_min(s->c.schedule))
		return err_set(e, ERR_BUDGET, "a device ring of %zu bytes is too small", s->c.device_ring_bytes);
	u->timings = mem_array(s->c.schedule->n, sizeof(*u->timings));
	if (!u->timings || ring_init(&u->ring, s->c.device_ring_bytes) < 0)
		return err_nomem(e);
	if (!(u->memory = o->alloc(b, u->ring.size)))
		return err_set(e, ERR_NOMEM, "%s: no memory for a ring of %zu MiB", b->name, u->ring.size >> 20);
	bool ok = (u->expert_used = o->event_new(b)) != NULL;
	for (size_t i = 0; i < FLIGHTS; i++) {
		ok = ok && (u->f[i].before = o->event_new(b)) && (u->f[i].copied = o->event_new(b)) &&
		     (u->f[i].used = o->event_new(b));
	}
	for (size_t i = 0; i < EXPERT_FLIGHTS; i++)
		ok = ok && (u->x[i].copied = o->event_new(b));
	return ok ? 0 : err_set(e, ERR_NOMEM, "%s: no more events", b->name);
}

static void event_end(struct backend *b, struct event *ev)
{
	struct err ignored = ERR_INIT;
	if (!ev)
		return;
	(void)b->ops->event_sync(b, ev, &ignored);
	b->ops->event_free(b, ev);
}

void upload_clear(struct stream *s)
{
	struct upload *u = s->upload;
	struct backend *b = s->c.backend;
	if (!u)
		return;
	for (size_t i = 0; i < FLIGHTS; i++) {
		event_end(b, u->f[i].before);
		event_end(b, u->f[i].copied);
		event_end(b, u->f[i].used);
	}
	for (size_t i = 0; i < EXPERT_FLIGHTS; i++)
		event_end(b, u->x[i].copied);
	event_end(b, u->expert_used);
	if (u->memory)
		b->ops->free(b, u->memory, u->ring.size);
	ring_clear(&u->ring);
	free(u->timings);
	free(u);
	s->upload = NULL;
}

static struct flight *at(struct upload *u, uint64_t number)
{
	return &u->f[number % FLIGHTS];
}

/* --- what is done ------------------------------------------------------------------------------------ */

/* The host memory that a finished copy came from is free; a chunk that stays on the device is there. */
static void copy_done(struct stream *s, struct flight *f)
{
	struct entry *en = &s->entries[f->index];
	if (f->load == NO_LOAD)
		return;
	load_drop(s, &s->loads[f->load]);
	f->load = NO_LOAD;
	if (en->device)
		en->state = HERE;
	walker_wake(s);
}

static bool reap_copies(struct stream *s)
{
	struct upload *u = s->upload;
	struct backend *b = s->c.backend;
	bool any = false;
	for (; u->copying < u->next && b->ops->event_done(b, at(u, u->copying)->copied); any = true)
		copy_done(s, at(u, u->copying++));
	for (size_t i = 0; i < EXPERT_FLIGHTS; i++) {
		if (u->x[i].busy && b->ops->event_done(b, u->x[i].copied)) {
			u->x[i].busy = false;
			experts_uploaded(s, u->x[i].pack);
			any = true;
		}
	}
	return any;
}

/* The oldest block of the device ring comes back: what is copied there waits for its use. False when
 * the oldest is still in use or to be used. */
static bool free_oldest_block(struct stream *s)
{
	struct upload *u = s->upload;
	struct backend *b = s->c.backend;
	for (; u->ring_first < u->given; u->ring_first++) {
		struct flight *f = at(u, u->ring_first);
		if (!f->in_ring)
			continue;
		if (!f->dropped && !f->released)
			return false;
		if (!f->dropped)
			b->ops->queue_wait(b, QUEUE_COPY, f->used);
		ring_release(&u->ring, f->block);
		f->in_ring = false;
		return true;
	}
	return false;
}

static void host_waits(struct stream *s, struct event *ev)
{
	struct err later = ERR_INIT; /* the pass reports it at its end */
	pthread_mutex_unlock(&s->lock);
	(void)s->c.backend->ops->event_sync(s->c.backend, ev, &later);
	pthread_mutex_lock(&s->lock);
}

/* The oldest flight is over: note its times. False when it is not. */
static bool retire(struct stream *s, bool wait)
{
	struct upload *u = s->upload;
	struct backend *b = s->c.backend;
	struct flight *f = at(u, u->first);
	struct event *last = f->dropped ? f->copied : f->used;
	if (u->first == u->given || !(f->dropped || f->released))
		return false;
	if (!b->ops->event_done(b, last)) {
		if (!wait)
			return false;
		host_waits(s, last);
	}
	reap_copies(s);
	if (f->in_ring)
		ring_release(&u->ring, f->block);
	f->in_ring = false;
	if (!f->dropped && u->n_timings < s->c.schedule->n)
		u->timings[u->n_timings++] = (struct stream_timing){f->index, f->in_ram,
			b->ops->event_time(b, f->before), b->ops->event_time(b, f->copied)};
	u->first++;
	if (u->ring_first < u->first)
		u->ring_first = u->first;
	return true;
}

/* --- sending ------------------------------------------------------------------------------------------ */

/* Enqueue the copy of a chunk that is in host memory. False when there is no room now. */
static bool send(struct stream *s, size_t index)
{
	struct upload *u = s->upload;
	struct backend *b = s->c.backend;
	struct entry *en = &s->entries[index];
	size_t start = 0, span = stream_resident_bytes(&s->c.schedule->chunks[index]);
	uint64_t block = 0;
	if (u->next - u->first == FLIGHTS && !retire(s, true))
		return false;
	if (!en->device)
		while (!ring_take(&u->ring, span, &block, &start))
			if (!free_oldest_block(s))
				return false;
	struct load *l = en->load == NO_LOAD ? NULL : &s->loads[en->load];
	struct flight *f = at(u, u->next++);
	*f = (struct flight){.index = (uint32_t)index, .in_ring = !en->device, .block = block,
		.device = en->device ? en->device : u->memory + start, .load = en->load,
		.in_ram = en->in_ram, .before = f->before, .copied = f->copied, .used = f->used};
	if (l)
		l->leased = true;
	b->ops->upload(b, QUEUE_COPY, f->device, l ? l->memory : en->memory, span);
	b->ops->event_record(b, QUEUE_COPY, f->copied);
	return true;
}

static bool in_host_memory(const struct stream *s, size_t index)
{
	const struct entry *en = &s->entries[index];
	if (en->state == HERE)
		return en->memory != NULL;
	return en->state == COMING && s->loads[en->load].state == LOAD_READY && !s->loads[en->load].leased;
}

/* Send what is there and has room, in the order of use, into the next pass too. */
static void send_ahead(struct stream *s)
{
	struct upload *u = s->upload;
	while (true) {
		if (!u->wrapped && u->send >= s->end) {
			u->wrapped = true;
			u->send = 0;
		}
		if (u->wrapped && u->send + 2 >= s->cursor)
			return;
		const struct entry *en = &s->entries[u->send];
		bool stays = en->state == HERE && en->device; /* on the device already */
		if (!stays && (!in_host_memory(s, u->send) || u->next - u->first == FLIGHTS || !send(s, u->send)))
			return;
		u->send++;
	}
}

static void drop_sent(struct upload *u)
{
	at(u, u->given++)->dropped = true;
}

static struct expert_flight *send_expert(struct stream *s, struct load *l)
{
	struct upload *u = s->upload;
	struct backend *b = s->c.backend;
	const struct entry *en = experts_entry(s, l->number);
	size_t i = 0;
	while (i < EXPERT_FLIGHTS && u->x[i].busy)
		i++;
	if (i == EXPERT_FLIGHTS)
		return NULL;
	struct expert_flight *f = &u->x[i];
	f->busy = true;
	f->pack = l->number;
	l->leased = true;
	if (u->expert_was_used) /* what lay there before may still be multiplied */
		b->ops->queue_wait(b, QUEUE_COPY, u->expert_used);
	b->ops->upload(b, QUEUE_COPY, en->device, l->memory, l->span);
	b->ops->event_record(b, QUEUE_COPY, f->copied);
	return f;
}

static void send_experts(struct stream *s)
{
	for (size_t i = 0; s->experts && i < LOADS; i++) {
		struct load *l = &s->loads[i];
		if (l->expert && l->state == LOAD_READY && !l->leased && !send_expert(s, l))
			return;
	}
}

/* --- the engine's side -------------------------------------------------------------------------------- */

void upload_sleep(struct stream *s)
{
	struct upload *u = s->upload;
	if (reap_copies(s))
		return; /* perhaps that was it */
	send_experts(s);
	bool copying = u->copying < u->next;
	for (size_t i = 0; i < EXPERT_FLIGHTS; i++)
		copying |= u->x[i].busy;
	if (!copying) {
		pthread_cond_wait(&s->changed, &s->lock);
		return;
	}
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += POLL_NS;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	pthread_cond_timedwait(&s->changed, &s->lock, &t);
}

static void give(struct stream *s, struct flight *f, uint64_t number, struct lease *out)
{
	struct backend *b = s->c.backend;
	b->ops->event_record(b, QUEUE_COMPUTE, f->before);
	b->ops->queue_wait(b, QUEUE_COMPUTE, f->copied);
	f->leased = true;
	out->copied = f->copied;
	out->slot = (uint32_t)(number % FLIGHTS);
	lease_fill(out, &s->c.schedule->chunks[f->index], &s->entries[f->index], f->device);
}

int upload_acquire(struct stream *s, size_t index, struct lease *out, struct err *e)
{
	struct upload *u = s->upload;
	struct entry *en = &s->entries[index];
	out->tier = (enum tier)en->tier;
	out->slot = NO_LOAD;
	reap_copies(s);
	if (index == 0)
		u->wrapped = false;
	while (true) {
		if (u->given < u->next && at(u, u->given)->index == index) {
			give(s, at(u, u->given), u->given, out);
			u->given++;
			break;
		}
		if (en->state == HERE && en->device) {
			lease_fill(out, &s->c.schedule->chunks[index], en, en->device);
			break;
		}
		while (u->given < u->next && at(u, u->given)->index != index)
			drop_sent(u);
		if (u->given < u->next)
			continue;
		if (stream_wait(s, index, e) < 0)
			return -1;
		u->send = index;
		u->wrapped = false;
		if (en->state == HERE && en->device)
			continue;
		if (!send(s, index)) /* the ring of the device holds two chunks besides */
			return err_set(e, ERR_BUDGET, "%s: too many leases at once", s->c.backend->name);
		u->send++;
	}
	send_ahead(s);
	return 0;
}

void upload_release(struct stream *s, struct lease *l)
{
	struct upload *u = s->upload;
	struct backend *b = s->c.backend;
	if (l->expert) {
		b->ops->event_record(b, QUEUE_COMPUTE, u->expert_used);
		u->expert_was_used = true;
	} else if (l->slot != NO_LOAD) {
		b->ops->event_record(b, QUEUE_COMPUTE, u->f[l->slot].used);
		u->f[l->slot].released = true;
	}
}

int upload_acquire_expert(struct stream *s, uint32_t pack, struct lease *out, struct err *e)
{
	struct upload *u = s->upload;
	struct backend *b = s->c.backend;
	while (true) {
		reap_copies(s);
		send_experts(s);
		if (experts_entry(s, pack)->state == HERE)
			return 0;
		for (size_t i = 0; i < EXPERT_FLIGHTS; i++) {
			if (u->x[i].busy && u->x[i].pack == pack) {
				b->ops->queue_wait(b, QUEUE_COMPUTE, u->x[i].copied);
				out->copied = u->x[i].copied;
				return 0;
			}
		}
		const struct entry *en = experts_entry(s, pack);
		if (en->state == COMING && s->loads[en->load].state == LOAD_READY)
			upload_sleep(s); /* all flights are busy: until one is over */
		else if (experts_wait(s, pack, e) < 0)
			return -1;
	}
}

size_t stream_timings(struct stream *s, const struct stream_timing **out)
{
	struct upload *u = s->upload;
	if (!u)
		return 0;
	pthread_mutex_lock(&s->lock);
	while (retire(s, true))
		;
	pthread_mutex_unlock(&s->lock);
	size_t n = u->n_timings;
	u->n_timings = 0; /* the next flight to retire overwrites them */
	*out = u->timings;
	return n;
}
