/* The parts of a stream. Private to stream/.
 *
 * walker.c: the reader thread, which chooses what is read next and takes what has come.
 * stream.c: what the engine calls. urgent.c: reads beside the schedule. experts.c: chunks that are read
 * when a router has chosen them, and kept as long as they are worth it. borders.c: pages that two chunks share.
 * ring.c: room. loads.h: chunks on their way. */
#ifndef AIRLCHAT_STREAM_STREAM_PRIVATE_H
#define AIRLCHAT_STREAM_STREAM_PRIVATE_H

#include <pthread.h>
#include <sys/types.h>
#include <time.h>

#include "stream/loads.h"
#include "stream/stream.h"

#define URGENTS 256 /* urgent reads at once */
#define BOUNCE ((size_t)1 << 20)

/* What a file was like when the stream was opened. */
struct file_mark {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
};

/* A read that the engine waits for. The memory is the stream's bounce buffer. */
struct urgent {
	struct read_req req;
	uint64_t needed_end; /* in the file: a short read that reaches it is complete */
	const char *from;    /* in the bounce buffer: what is wanted, its size and where it goes */
	size_t bytes;
	char *to;
	unsigned tries;
	int error;
};

struct stream {
	struct stream_config c;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;	/* guards everything below */
	pthread_cond_t changed; /* for the engine: a chunk or an urgent read is done */
	struct entry *entries;	/* [n] */
	uint32_t *borders;	/* [BORDERS * n] the border of another chunk with the same page; see borders.c */
	char *arena, *device_arena; /* of the chunks that stay, in host memory and on the device */
	size_t arena_bytes, device_arena_bytes;
	struct ring_memory ring;
	struct load *loads; /* [LOADS] */
	uint32_t free_load;
	/* The loads whose requests are not all made yet, or NO_LOAD: of a wanted expert; of anything else. */
	uint32_t partial_wanted, partial;
	size_t request;	  /* what one read asks for, about */
	size_t ahead_max; /* requests in flight up to which chunks are asked for that nobody waits for */

	/* The order of a pass is 0..end-1, then 0 again. The reader is at `walk`, the engine at
	 * `cursor`; wrapped: the reader is one pass ahead. */
	size_t end, cursor, walk;
	bool wrapped;
	struct file_mark *marks; /* [n_files]; the engine's */
	uint64_t reads_checked;	 /* the files had not changed after so many reads; the engine's */
	size_t resident_walk; /* where the search for resident chunks to load in idle time goes on */

	struct experts *experts; /* NULL without any */
	struct upload *upload;	 /* NULL on a host_memory backend */

	struct urgent *urgents; /* [n_urgents], of which n_asked were submitted and n_left not done */
	size_t n_urgents, n_asked, n_left;
	char *bounce;

	size_t in_flight; /* requests */
	bool quit, interrupted;
	int64_t busy_from;
	struct stream_view view;
};

size_t span_bytes(const struct extent *x); /* with what alignment adds */
uint64_t span_start(const struct extent *x);
/* Addresses of a chunk's first byte and first scale, and when it was read. */
void lease_fill(struct lease *out, const struct chunk *c, struct entry *en, const char *memory);

/* walker.c; the lock is held */
void *walker_main(void *stream);
void walker_wake(struct stream *s); /* reads what there is to read now */
/* The next chunk that the engine acquires is `index`. What the ring holds of those behind it stays,
 * unless `afresh`. */
void walker_seek(struct stream *s, size_t index, bool afresh);
void walker_end(struct stream *s, size_t end); /* the pass uses chunks 0..end-1 */
void load_drop(struct stream *s, struct load *l);
/* A load of `span` bytes into the entry's memory, else into the ring; false when there is no room now.
 * Its own number goes to *partial. */
bool load_start(struct stream *s, struct entry *en, size_t span, uint32_t number, bool expert,
	struct ring_memory *ring, uint32_t *partial);
/* What a completed request means: 0 done, 1 submit it again as changed, else an errno or FILE_ENDED. */
int request_verdict(struct read_req *r, uint64_t needed_end, unsigned *tries);
void count_in_flight(struct stream *s, int d);

/* borders.c; the lock is held, except in init; only for loads of schedule.chunks */
#define BORDERS 4 /* of a chunk: begin and end of its data and of its scale */
int borders_init(struct stream *s); /* -1: out of memory */
void borders_borrow(struct stream *s, struct load *l); /* a new load takes what there is */
/* The load has come: those that wait for a page of it get it; what is whole now goes on the list. */
uint32_t borders_lend(struct stream *s, struct load *l, uint32_t list);
void borders_refuse(struct stream *s, const struct load *l); /* it will not come: drop those that wait for it */

/* experts.c; the lock is held, except in init and clear */
int experts_init(struct stream *s, struct err *e);
void experts_clear(struct stream *s);
struct entry *experts_entry(struct stream *s, uint32_t pack);
const struct extent *experts_extent(const struct stream *s, uint32_t pack, size_t i); /* NULL: no more */
bool experts_start_wanted(struct stream *s); /* a load for the next wanted pack; false: none can start */
bool experts_start_guess(struct stream *s);
void experts_forget_wants(struct stream *s);
void experts_new_pass(struct stream *s);
void experts_release(struct stream *s, uint32_t chunk);
void experts_uploaded(struct stream *s, uint32_t pack); /* it is on the device from now on */
int experts_wait(struct stream *s, uint32_t pack, struct err *e); /* until it is in host memory */

/* upload.c, for devices with memory of their own; for the engine's thread. The lock is held in acquire
 * and sleep, but not while the device is waited for. */
int upload_init(struct stream *s, struct err *e);
void upload_clear(struct stream *s);
void upload_sleep(struct stream *s); /* until something has changed; looks after copies meanwhile */
int upload_acquire(struct stream *s, size_t index, struct lease *out, struct err *e);
void upload_release(struct stream *s, struct lease *l);
int upload_acquire_expert(struct stream *s, uint32_t pack, struct lease *out, struct err *e);

/* stream.c; the lock is held */
int stream_wait(struct stream *s, size_t index, struct err *e);
void stream_sleep(struct stream *s);

/* urgent.c */
void urgent_issue(struct stream *s);
void urgent_done(struct stream *s, struct read_req *r);

/* Memory that reads go to: the device's own where that is the host's, else pinned. */
void *host_memory(struct stream *s, size_t bytes);
void host_memory_free(struct stream *s, void *p, size_t bytes);
int ring_memory_init(struct stream *s, struct ring_memory *r, size_t bytes, struct err *e);
void ring_memory_clear(struct stream *s, struct ring_memory *r);

int read_failed(const struct stream *s, uint32_t file, uint64_t offset, int error, struct err *e);

/* Tags of requests: what they belong to. */
#define TAG_URGENT ((uint64_t)1 << 63)
#define TAG_EXTENT 32 /* from this bit on: which extent of the load */

#endif
