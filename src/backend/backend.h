/* The operations a device offers. The engine is written against this page and ops.h alone.
 *
 * A device has memory of its own and two queues that work through what they were given in order,
 * asynchronously: QUEUE_COMPUTE runs the operations, QUEUE_COPY moves weights. Events order the
 * queues among each other and tell the host how far they are; nothing waits in hidden places.
 * Pointers marked "device" must not be read or written by the host, unless host_memory is true
 * (the CPU): then device memory is host memory, every call has finished when it returns, and
 * weights are multiplied where the reader put them.
 *
 * One thread (the engine's) makes all calls on a backend.
 *
 * Row invariance: within one `variant`, an output element is the same bits whatever n, whatever part
 * of the rows of a weight a call covers, and whatever the number of threads. Canonical sum: a dot
 * product of length k has 16 accumulators, lane j takes the products with index = j mod 16 in rising
 * order (fused multiply-add in the SIMD variants, multiply then add in `ref`), and the lanes are
 * summed in a fixed tree: s[i] += s[i+8], then +4, +2, +1. Weights are decoded by the formulas of
 * quant/dtype.h and quant/scaling.h to float32 first, in registers or in a tile: the bits are the same.
 * Variants that end in -fast (--math fast) promise all this except for n. */
#ifndef AIRLCHAT_BACKEND_BACKEND_H
#define AIRLCHAT_BACKEND_BACKEND_H

#include "backend/ops.h"
#include "base/err.h"

enum queue_id { QUEUE_COMPUTE, QUEUE_COPY };

struct backend;
struct event; /* a point in a queue */

struct backend_ops {
	void (*close)(struct backend *b);

	/* The same device and kernels beside b, with another number of threads (0: as many as the process may
	 * run on). NULL where threads of the host don't compute. */
	int (*with_threads)(struct backend *b, int threads, struct backend **out, struct err *e);

	/* Device memory, and host memory that copies can run from asynchronously (pinned). Sizes are
	 * in bytes, alignment is 4096. NULL on failure. */
	void *(*alloc)(struct backend *b, size_t bytes);
	void (*free)(struct backend *b, void *p, size_t bytes);
	void *(*host_alloc)(struct backend *b, size_t bytes);
	void (*host_free)(struct backend *b, void *p, size_t bytes);

	/* Enqueue a copy. The host side must stay untouched until an event behind it is done. */
	void (*upload)(struct backend *b, enum queue_id q, void *dev, const void *host, size_t bytes);
	void (*download)(struct backend *b, enum queue_id q, void *host, const void *dev, size_t bytes);

	struct event *(*event_new)(struct backend *b); /* NULL on failure; done until recorded */
	void (*event_free)(struct backend *b, struct event *ev);
	void (*event_record)(struct backend *b, enum queue_id q, struct event *ev);
	void (*queue_wait)(struct backend *b, enum queue_id q, struct event *ev); /* q waits, not the host */
	bool (*event_done)(struct backend *b, struct event *ev);
	/* The host waits. A failure of anything enqueued before is reported here, as an error. */
	int (*event_sync)(struct backend *b, struct event *ev, struct err *e);
	/* When the event was reached, in clock_ns() time; it must be done. */
	int64_t (*event_time)(struct backend *b, struct event *ev);

	/* Operations, all on QUEUE_COMPUTE. */
	void (*decode)(struct backend *b, float *y, const void *w, enum dtype t, size_t elements);
	void (*matmul)(struct backend *b, const struct matmul *m);
	void (*norm)(struct backend *b, const struct norm *o);
	void (*rope)(struct backend *b, const struct rope *r);
	/* cache[cells[i]] = src[i][heads by map], rounded to type; cells: device [n]. */
	void (*kv_store)(struct backend *b, void *cache, enum dtype type, const float *src, size_t ld,
		struct head_map map, uint32_t heads, uint32_t head_dim, const uint32_t *cells,
		uint32_t n);
	void (*attention)(struct backend *b, const struct attention *a);
	/* y = act(gate) * up, elementwise over [n, d] with distance ld; up NULL: y = act(gate). */
	void (*act_mul)(struct backend *b, enum act_kind act, float *y, const float *gate,
		const float *up, uint32_t n, uint32_t d, size_t ld);
	/* y += x * scale, [n, d] */
	void (*add)(struct backend *b, float *y, const float *x, float scale, uint32_t n, uint32_t d,
		size_t ld);
	void (*scale)(struct backend *b, float *y, float scale, size_t elements);
	/* y = cap * tanh(y / cap) */
	void (*softcap)(struct backend *b, float *y, float cap, size_t elements);
	/* y[i][j] *= v[j], [n, d] with distance ld */
	void (*mul)(struct backend *b, float *y, const float *v, uint32_t n, uint32_t d, size_t ld);
	/* y = min(max(y, -limit), limit); NaN stays NaN */
	void (*clamp)(struct backend *b, float *y, float limit, size_t elements);
	void (*zero)(struct backend *b, float *y, size_t elements);
	void (*move)(struct backend *b, const struct move *m);
	void (*glu)(struct backend *b, const struct glu *g);
};

struct backend {
	const struct backend_ops *ops;
	const char *name;    /* "cpu", "cuda:0" */
	const char *variant; /* "ref", "avx2", "avx512-fast", ..: the class of kernels */
	int threads;
	bool host_memory;
	size_t overhead; /* bytes of host memory that the backend itself takes */
};

#endif
