/* The stream: chunks come from disk through the ring, ahead of their use, or lie resident.
 *
 * A reader thread walks the schedule cyclically and keeps as many reads in flight as the ring
 * allows; resident chunks are read once, on the first pass, into memory of their own. The engine
 * thread acquires chunks in schedule order and releases each when it is done with it. On a device
 * with memory of its own the stream also moves chunks: disk -> host ring -> (copy queue) -> device
 * ring, events in between, the host never waiting for a copy that the queues can order.
 *
 * Reads go around the page cache (O_DIRECT) at 4096-aligned addresses around the chunk's bytes;
 * short reads, EINTR and EAGAIN are repeated, EIO a few times, then an error names file and offset
 * and every later acquire of that chunk tries again (a conversation survives). A file that was written to
 * since is an error at the last chunk of a pass: what was computed from it counts nowhere.
 * Threads: all functions are for the engine thread, except stream_view. */
#ifndef AIRLCHAT_STREAM_STREAM_H
#define AIRLCHAT_STREAM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "model/schedule.h"
#include "store/checkpoint.h"
#include "stream/reader.h"

enum tier { TIER_DISK, TIER_RAM, TIER_VRAM };

struct stream;

struct stream_config {
	const struct checkpoint *checkpoint; /* borrowed, as are all of these */
	const struct schedule *schedule;
	const uint8_t *tiers;	  /* [schedule.n] enum tier; on a host_memory backend never VRAM */
	size_t ring_bytes;	  /* host ring; >= stream_ring_min(schedule) */
	size_t device_ring_bytes; /* device ring; 0 on a host_memory backend */
	size_t expert_bytes;	  /* cache for experts' chunks; room for one layer's chosen ones at least */
	struct backend *backend;  /* memory comes from its alloc and host_alloc */
	struct reader *reader;	  /* see reader.h; ownership stays with the caller */
};

/* What a chunk may be used for between acquire and release, and when it came (clock_ns time). */
struct lease {
	size_t index;	  /* of schedule.chunks, or of expert_chunks */
	bool expert;
	const void *data; /* device address of the chunk's first byte */
	const void *scale; /* and of its first scale; NULL if the chunk has no scale extent */
	enum tier tier;
	uint64_t bytes_from_disk;  /* 0 when it was resident and already loaded */
	int64_t issued, in_ram;	   /* 0 when nothing was read */
	int64_t wait_from;	   /* when acquire was called; it returned at `in_hand` */
	int64_t in_hand;
	struct event *copied;	   /* copy queue; NULL when there was no copy. Valid until release */
	uint32_t slot;		   /* private */
};

/* The smallest ring for these chunks. */
size_t stream_ring_min(const struct schedule *s);
/* The smallest expert_bytes with which `chosen` experts of a layer are in memory together. */
size_t stream_expert_min(const struct schedule *s, uint32_t chosen);
/* Host memory that a device with memory of its own needs beside, where there are experts. */
size_t stream_stage_bytes(const struct schedule *s);
/* Bytes that a resident chunk takes with its alignment. */
size_t stream_resident_bytes(const struct chunk *c);

int stream_open(struct stream **out, const struct stream_config *cfg, struct err *e);
void stream_close(struct stream *s); /* waits for reads in flight; NULL is fine */

/* A pass begins that will acquire the chunks 0..end-1 (end < n: without the head): those behind are
 * not read for it. What the ring holds of the pass stays. */
void stream_begin(struct stream *s, size_t end);

/* Wait for chunk `index`: best the one after the last acquired (cyclic), for it is on its way; any other
 * drops what the ring holds in between. At most two leases are held at once. Returns -1 with ERR_IO on
 * a read error (the next acquire tries again), with ERR_CANCELLED while interrupted. */
int stream_acquire(struct stream *s, size_t index, struct lease *out, struct err *e);
void stream_release(struct stream *s, struct lease *l); /* records a compute event on a device */

/* On a device with memory of its own, when the compute queue has come to the end of a pass: the chunks
 * that were copied for it, in the order of their use, in clock_ns time. Valid until the next acquire;
 * returns how many. */
struct stream_timing {
	uint32_t index;
	int64_t in_ram;	/* read from disk; 0 when it was in RAM anyway */
	int64_t before; /* the compute queue had nothing else to do */
	int64_t copied;
};
size_t stream_timings(struct stream *s, const struct stream_timing **out);

/* The first byte of a chunk that is resident in host memory and loaded, on a host_memory backend; else
 * NULL. Valid until stream_close. */
const void *stream_peek(struct stream *s, size_t index);

/* Experts (numbers in schedule.expert_first). want: all their chunks will be acquired soon, each expert's in
 * rising order; their reads go before the schedule's, in the order given. guess: perhaps, in the layer after
 * this one; read when nothing else waits, into room that no wanted or leased chunk needs, until the next want,
 * which tells whether it was right. Both return at once. A cache of expert_bytes keeps what is used often and of late.
 * pick: which of them is the best to acquire now: the first that is in memory, or that comes next; waits for
 * that where memory is the host's. acquire: one of schedule.expert_chunks; release as above, in any order
 * and without a want too; `data` stays valid until the release. stream_begin counts the passes by which
 * use grows old; stream_rewind forgets what was wanted. */
struct stream_experts {
	uint32_t hits;	 /* of the wanted: in memory, or on their way for a guess */
	uint32_t right;	 /* of the wanted: something of it was read for the last guess */
	uint32_t misses;
	uint32_t wrong;	 /* read for the last guess, and not wanted */
	uint64_t wrong_bytes;
};
void stream_want(struct stream *s, const uint32_t *experts, size_t n, struct stream_experts *told);
void stream_guess(struct stream *s, const uint32_t *experts, size_t n);
size_t stream_pick_expert(struct stream *s, const uint32_t *experts, size_t n);
int stream_acquire_expert(struct stream *s, uint32_t chunk, struct lease *out, struct err *e);

/* After a cancelled pass: the next acquire is chunk 0 again. What is in the ring and still useful
 * stays; nothing waits for reads in flight. */
void stream_rewind(struct stream *s);

/* Urgent reads beside the schedule (embedding rows, small weights) into host memory; many at once, before
 * the schedule's; waits. */
struct stream_piece {
	uint32_t file;
	uint64_t offset;
	size_t bytes;
	void *dst;
};
int stream_read_many(struct stream *s, const struct stream_piece *p, size_t n, struct err *e);
int stream_read(struct stream *s, uint32_t file, uint64_t offset, size_t bytes, void *dst,
	struct err *e);

/* From any thread: while on, every acquire fails with ERR_CANCELLED, also one that waits now. */
void stream_interrupt(struct stream *s, bool on);

/* A picture for gauges, from any thread. Counters since stream_open. */
struct stream_view {
	uint64_t bytes_read, reads;
	int64_t busy_ns;	/* time with at least one read in flight */
	size_t in_flight;	/* reads now */
	size_t ahead;		/* chunks ready in the ring, not yet acquired */
	size_t cursor;		/* index of the next chunk the engine will acquire */
	size_t issued;		/* index of the next chunk the reader will issue */
	uint64_t resident_loaded; /* bytes */
	/* as stream_want tells; guesses: for which something was read */
	uint64_t expert_hits, expert_misses, expert_guesses, expert_wrong_guesses;
};
void stream_view(struct stream *s, struct stream_view *out);

#endif
