#include "support/delay_backend.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "base/mem.h"

#define DELAY_MAX_NS 200000

enum task_kind {
	TASK_COPY,
	TASK_RECORD,
	TASK_WAIT,
	TASK_DECODE,
	TASK_MATMUL,
	TASK_NORM,
	TASK_ROPE,
	TASK_KV_STORE,
	TASK_ATTENTION,
	TASK_ACT_MUL,
	TASK_ADD,
	TASK_SCALE,
	TASK_SOFTCAP,
	TASK_CLAMP,
	TASK_MUL,
	TASK_ZERO,
	TASK_MOVE,
	TASK_GLU
};

struct task {
	struct task *next;
	enum task_kind kind;
	struct event *ev;
	uint64_t generation; /* of ev, when recorded or waited for */
	void *to;
	const void *from, *third;
	size_t size, ld;
	uint32_t n, d, heads, head_dim;
	int what; /* dtype or act_kind */
	float value;
	struct head_map map;
	union {
		struct matmul matmul;
		struct norm norm;
		struct rope rope;
		struct attention attention;
		struct move move;
		struct glu glu;
	} op;
};

struct queue_thread {
	struct delay *owner;
	pthread_t thread;
	struct task *head, *tail;
	uint64_t random;
};

struct grave { /* freed device memory, given back at the end */
	struct grave *next;
	void *p;
	size_t bytes;
};

/* `lock` guards the queues, all events and stop; `change` tells every waiter of a change. */
struct delay {
	struct backend b;
	struct backend *cpu; /* used by the compute queue's thread alone */
	pthread_mutex_t lock;
	pthread_cond_t change;
	bool stop;
	struct queue_thread queues[2];
	struct grave *graves;
};

struct event {
	uint64_t recorded, reached; /* generations: done when equal */
	uint32_t tasks;		    /* in queues that name it; the last one frees an unwanted event */
	bool freed;
	int64_t time;
};

static struct delay *delay_of(struct backend *b)
{
	return (struct delay *)b;
}

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* --- the queues' threads ------------------------------------------------------ */

static void run_rows(struct backend *c, const struct task *t)
{
	if (t->kind == TASK_ACT_MUL)
		c->ops->act_mul(c, (enum act_kind)t->what, t->to, t->from, t->third, t->n, t->d,
			t->ld);
	else
		c->ops->add(c, t->to, t->from, t->value, t->n, t->d, t->ld);
}

static void run_task(struct backend *c, const struct task *t)
{
	switch (t->kind) {
	case TASK_COPY:
		if (t->size)
			memcpy(t->to, t->from, t->size);
		break;
	case TASK_DECODE:
		c->ops->decode(c, t->to, t->from, (enum dtype)t->what, t->size);
		break;
	case TASK_MATMUL:
		c->ops->matmul(c, &t->op.matmul);
		break;
	case TASK_NORM:
		c->ops->norm(c, &t->op.norm);
		break;
	case TASK_ROPE:
		c->ops->rope(c, &t->op.rope);
		break;
	case TASK_KV_STORE:
		c->ops->kv_store(c, t->to, (enum dtype)t->what, t->from, t->ld, t->map, t->heads,
			t->head_dim, t->third, t->n);
		break;
	case TASK_ATTENTION:
		c->ops->attention(c, &t->op.attention);
		break;
	case TASK_SOFTCAP:
		c->ops->softcap(c, t->to, t->value, t->size);
		break;
	case TASK_MUL:
		c->ops->mul(c, t->to, t->from, t->n, t->d, t->ld);
		break;
	case TASK_CLAMP:
		c->ops->clamp(c, t->to, t->value, t->size);
		break;
	case TASK_ZERO:
		c->ops->zero(c, t->to, t->size);
		break;
	case TASK_MOVE:
		c->ops->move(c, &t->op.move);
		break;
	case TASK_GLU:
		c->ops->glu(c, &t->op.glu);
		break;
	case TASK_SCALE:
		c->ops->scale(c, t->to, t->value, t->size);
		break;
	case TASK_ACT_MUL:
	case TASK_ADD:
		run_rows(c, t);
		break;
	case TASK_RECORD:
	case TASK_WAIT:
		break;
	}
}

static void release_event(struct event *ev)
{
	if (!--ev->tasks && ev->freed)
		free(ev);
}

/* The lock is held. */
static void run_event(struct delay *d, const struct task *t)
{
	if (t->kind == TASK_RECORD) {
		t->ev->reached = t->generation;
		t->ev->time = clock_ns();
		pthread_cond_broadcast(&d->change);
	} else if (t->kind == TASK_WAIT) {
		while (t->ev->reached < t->generation)
			pthread_cond_wait(&d->change, &d->lock);
	}
	if (t->ev)
		release_event(t->ev);
}

static void *queue_main(void *arg)
{
	struct queue_thread *q = arg;
	struct delay *d = q->owner;
	pthread_mutex_lock(&d->lock);
	for (;;) {
		while (!q->head && !d->stop)
			pthread_cond_wait(&d->change, &d->lock);
		struct task *t = q->head;
		if (!t)
			break;
		q->head = t->next;
		if (!q->head)
			q->tail = NULL;
		pthread_mutex_unlock(&d->lock);
		long ns = (long)(next_random(&q->random) % DELAY_MAX_NS);
		nanosleep(&(struct timespec){0, ns}, NULL);
		run_task(d->cpu, t);
		pthread_mutex_lock(&d->lock);
		run_event(d, t);
		free(t);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static void push(struct backend *b, enum queue_id id, struct task task)
{
	struct delay *d = delay_of(b);
	struct queue_thread *q = &d->queues[id];
	struct task *t = malloc(sizeof(*t));
	if (!t)
		abort();
	*t = task;
	pthread_mutex_lock(&d->lock);
	if (t->ev) {
		if (t->kind == TASK_RECORD)
			t->ev->recorded++;
		t->generation = t->ev->recorded;
		t->ev->tasks++;
	}
	if (q->tail)
		q->tail->next = t;
	else
		q->head = t;
	q->tail = t;
	pthread_cond_broadcast(&d->change);
	pthread_mutex_unlock(&d->lock);
}

/* --- memory and events ---------------------------------------------------------- */

static void *delay_alloc(struct backend *b, size_t bytes)
{
	(void)b;
	void *p = mem_pages(bytes);
	if (p)
		memset(p, 0xFF, mem_align_up(bytes ? bytes : 1, MEM_PAGE));
	return p;
}

static void delay_free(struct backend *b, void *p, size_t bytes)
{
	struct delay *d = delay_of(b);
	struct grave *g = p ? malloc(sizeof(*g)) : NULL;
	if (!g)
		return;
	size_t whole = mem_align_up(bytes ? bytes : 1, MEM_PAGE);
	mprotect(p, whole, PROT_NONE);
	madvise(p, whole, MADV_DONTNEED);
	*g = (struct grave){d->graves, p, bytes};
	d->graves = g;
}

static void *delay_host_alloc(struct backend *b, size_t bytes)
{
	(void)b;
	return mem_pages(bytes);
}

static void delay_host_free(struct backend *b, void *p, size_t bytes)
{
	(void)b;
	mem_pages_free(p, bytes);
}

static void delay_copy(struct backend *b, enum queue_id q, void *to, const void *from, size_t bytes)
{
	push(b, q, (struct task){.kind = TASK_COPY, .to = to, .from = from, .size = bytes});
}

static struct event *delay_event_new(struct backend *b)
{
	(void)b;
	return calloc(1, sizeof(struct event));
}

static void delay_event_free(struct backend *b, struct event *ev)
{
	struct delay *d = delay_of(b);
	if (!ev)
		return;
	pthread_mutex_lock(&d->lock);
	ev->freed = true;
	if (!ev->tasks)
		free(ev);
	pthread_mutex_unlock(&d->lock);
}

static void delay_event_record(struct backend *b, enum queue_id q, struct event *ev)
{
	push(b, q, (struct task){.kind = TASK_RECORD, .ev = ev});
}

static void delay_queue_wait(struct backend *b, enum queue_id q, struct event *ev)
{
	push(b, q, (struct task){.kind = TASK_WAIT, .ev = ev});
}

static bool delay_event_done(struct backend *b, struct event *ev)
{
	struct delay *d = delay_of(b);
	pthread_mutex_lock(&d->lock);
	bool done = ev->reached == ev->recorded;
	pthread_mutex_unlock(&d->lock);
	return done;
}

static int delay_event_sync(struct backend *b, struct event *ev, struct err *e)
{
	(void)e;
	struct delay *d = delay_of(b);
	pthread_mutex_lock(&d->lock);
	while (ev->reached != ev->recorded)
		pthread_cond_wait(&d->change, &d->lock);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

static int64_t delay_event_time(struct backend *b, struct event *ev)
{
	struct delay *d = delay_of(b);
	pthread_mutex_lock(&d->lock);
	int64_t time = ev->time;
	pthread_mutex_unlock(&d->lock);
	return time;
}

/* --- operations -------------------------------------------------------------------- */

static void delay_decode(struct backend *b, float *y, const void *w, enum dtype t, size_t elements)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_DECODE, .to = y, .from = w,
				       .what = (int)t, .size = elements});
}

static void delay_matmul(struct backend *b, const struct matmul *m)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_MATMUL, .op.matmul = *m});
}

static void delay_norm(struct backend *b, const struct norm *o)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_NORM, .op.norm = *o});
}

static void delay_rope(struct backend *b, const struct rope *r)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_ROPE, .op.rope = *r});
}

static void delay_kv_store(struct backend *b, void *cache, enum dtype type, const float *src,
	size_t ld, struct head_map map, uint32_t heads, uint32_t head_dim, const uint32_t *cells,
	uint32_t n)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_KV_STORE, .to = cache, .what = (int)type,
				       .from = src, .ld = ld, .map = map, .heads = heads,
				       .head_dim = head_dim, .third = cells, .n = n});
}

static void delay_attention(struct backend *b, const struct attention *a)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_ATTENTION, .op.attention = *a});
}

static void delay_act_mul(struct backend *b, enum act_kind act, float *y, const float *gate,
	const float *up, uint32_t n, uint32_t d, size_t ld)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_ACT_MUL, .what = (int)act, .to = y,
				       .from = gate, .third = up, .n = n, .d = d, .ld = ld});
}

static void delay_add(struct backend *b, float *y, const float *x, float scale, uint32_t n,
	uint32_t d, size_t ld)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_ADD, .to = y, .from = x, .value = scale,
				       .n = n, .d = d, .ld = ld});
}

static void delay_scale(struct backend *b, float *y, float scale, size_t elements)
{
	push(b, QUEUE_COMPUTE,
		(struct task){.kind = TASK_SCALE, .to = y, .value = scale, .size = elements});
}

static void delay_softcap(struct backend *b, float *y, float cap, size_t elements)
{
	push(b, QUEUE_COMPUTE,
		(struct task){.kind = TASK_SOFTCAP, .to = y, .value = cap, .size = elements});
}

static void delay_clamp(struct backend *b, float *y, float limit, size_t elements)
{
	push(b, QUEUE_COMPUTE,
		(struct task){.kind = TASK_CLAMP, .to = y, .value = limit, .size = elements});
}

static void delay_mul(struct backend *b, float *y, const float *v, uint32_t n, uint32_t d, size_t ld)
{
	push(b, QUEUE_COMPUTE,
		(struct task){.kind = TASK_MUL, .to = y, .from = v, .n = n, .d = d, .ld = ld});
}

static void delay_zero(struct backend *b, float *y, size_t elements)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_ZERO, .to = y, .size = elements});
}

static void delay_move(struct backend *b, const struct move *m)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_MOVE, .op.move = *m});
}

static void delay_glu(struct backend *b, const struct glu *g)
{
	push(b, QUEUE_COMPUTE, (struct task){.kind = TASK_GLU, .op.glu = *g});
}

/* --- open and close ------------------------------------------------------------------ */

static void stop_queues(struct delay *d, int count)
{
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_broadcast(&d->change);
	pthread_mutex_unlock(&d->lock);
	for (int i = 0; i < count; i++)
		pthread_join(d->queues[i].thread, NULL);
}

static void delay_destroy(struct delay *d, int queues)
{
	stop_queues(d, queues);
	for (struct grave *g = d->graves, *next; g; g = next) {
		next = g->next;
		mem_pages_free(g->p, g->bytes);
		free(g);
	}
	d->cpu->ops->close(d->cpu);
	pthread_cond_destroy(&d->change);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static void delay_close(struct backend *b)
{
	delay_destroy(delay_of(b), 2);
}

static const struct backend_ops delay_ops = {
	.close = delay_close,
	.alloc = delay_alloc,
	.free = delay_free,
	.host_alloc = delay_host_alloc,
	.host_free = delay_host_free,
	.upload = delay_copy,
	.download = delay_copy,
	.event_new = delay_event_new,
	.event_free = delay_event_free,
	.event_record = delay_event_record,
	.queue_wait = delay_queue_wait,
	.event_done = delay_event_done,
	.event_sync = delay_event_sync,
	.event_time = delay_event_time,
	.decode = delay_decode,
	.matmul = delay_matmul,
	.norm = delay_norm,
	.rope = delay_rope,
	.kv_store = delay_kv_store,
	.attention = delay_attention,
	.act_mul = delay_act_mul,
	.add = delay_add,
	.scale = delay_scale,
	.softcap = delay_softcap,
	.clamp = delay_clamp,
	.mul = delay_mul,
	.zero = delay_zero,
	.move = delay_move,
	.glu = delay_glu,
};

int delay_backend_open(struct backend **out, const char *ops, int threads, uint64_t seed,
	struct err *e)
{
	*out = NULL;
	struct backend *cpu;
	if (cpu_backend_open(&cpu, ops, threads, e))
		return -1;
	struct delay *d = calloc(1, sizeof(*d));
	if (!d) {
		cpu->ops->close(cpu);
		return err_nomem(e);
	}
	d->cpu = cpu;
	d->b = (struct backend){&delay_ops, "delay", cpu->variant, cpu->threads, false,
		cpu->overhead};
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->change, NULL);
	for (int i = 0; i < 2; i++) {
		d->queues[i].owner = d;
		d->queues[i].random = (seed + 1) * 0x9E3779B97F4A7C15u + (uint64_t)i + 1;
		int rc = pthread_create(&d->queues[i].thread, NULL, queue_main, &d->queues[i]);
		if (rc) {
			delay_destroy(d, i);
			return err_sys(e, rc, "can't start the thread of a test queue");
		}
	}
	*out = &d->b;
	return 0;
}
