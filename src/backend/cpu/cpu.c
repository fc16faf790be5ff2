#include "backend/cpu/cpu.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/cpu/attend.h"
#include "backend/cpu/fast.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/pool.h"
#include "base/clock.h"
#include "base/mem.h"

#define THREADS_MAX 256
#define HUGE_FROM ((size_t)4 << 20)
#define FAST_BYTES ((size_t)3 << 20) /* rounded rows of x that are multiplied together */
#define AMX_BYTES ((size_t)8 << 20) /* with AMX: decoding weights once more for 512 rows of 8192 would cost a quarter */
#define FAST_KINDS 4
#define PART_WORK 32768 /* multiplications that are worth waking another thread for */

struct cpu {
	struct backend b;
	const struct cpu_kernels *kernels;
	struct pool *pool;
	unsigned char *scratch; /* CPU_SCRATCH_BYTES a thread */
	const struct cpu_fast *fast[FAST_KINDS]; /* the first that takes a product does it; NULL: exact */
	unsigned char *rounded;	     /* for rows of x, with fast */
	size_t rounded_bytes;
};

struct event {
	int64_t time;
};

static struct cpu *cpu_of(struct backend *b)
{
	return (struct cpu *)b;
}

static float *scratch_of(const struct cpu *c, int thread)
{
	return (float *)(void *)(c->scratch + (size_t)thread * CPU_SCRATCH_BYTES);
}

/* --- memory, copies, events: everything is done when the call returns ------- */

static void *cpu_alloc(struct backend *b, size_t bytes)
{
	(void)b;
	void *p = mem_pages(bytes);
	/* Weights and the KV cache are read through once a token: with pages of 4 KiB much of that time
	 * goes into finding them. Only whole huge pages inside p are used, so it takes no more memory. */
	if (p && bytes >= HUGE_FROM)
		madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

static void cpu_mem_free(struct backend *b, void *p, size_t bytes)
{
	(void)b;
	mem_pages_free(p, bytes);
}

static void cpu_upload(struct backend *b, enum queue_id q, void *dev, const void *host, size_t bytes)
{
	(void)b, (void)q;
	if (bytes)
		memmove(dev, host, bytes);
}

static void cpu_download(struct backend *b, enum queue_id q, void *host, const void *dev, size_t bytes)
{
	(void)b, (void)q;
	if (bytes)
		memmove(host, dev, bytes);
}

static struct event *cpu_event_new(struct backend *b)
{
	(void)b;
	struct event *ev = malloc(sizeof(*ev));
	if (ev)
		ev->time = clock_ns();
	return ev;
}

static void cpu_event_free(struct backend *b, struct event *ev)
{
	(void)b;
	free(ev);
}

static void cpu_event_record(struct backend *b, enum queue_id q, struct event *ev)
{
	(void)b, (void)q;
	ev->time = clock_ns();
}

static void cpu_queue_wait(struct backend *b, enum queue_id q, struct event *ev)
{
	(void)b, (void)q, (void)ev;
}

static bool cpu_event_done(struct backend *b, struct event *ev)
{
	(void)b, (void)ev;
	return true;
}

static int cpu_event_sync(struct backend *b, struct event *ev, struct err *e)
{
	(void)b, (void)ev, (void)e;
	return 0;
}

static int64_t cpu_event_time(struct backend *b, struct event *ev)
{
	(void)b;
	return ev->time;
}

/* --- operations: split over the pool ---------------------------------------- */

/* Items a piece so that a piece is worth PART_WORK and there are a few pieces a thread; a multiple
 * of step. */
static size_t grain_for(const struct cpu *c, size_t items, size_t work_per_item, size_t step)
{
	size_t least = PART_WORK / (work_per_item ? work_per_item : 1) + 1;
	size_t even = (items + (size_t)c->b.threads * 4 - 1) / ((size_t)c->b.threads * 4);
	size_t grain = even > least ? even : least;
	return (grain + step - 1) / step * step;
}

struct job {
	const struct cpu *c;
	const void *op;
};

struct decode_op {
	float *y;
	const unsigned char *w;
	enum dtype type;
	const struct dtype_info *info;
	size_t elements;
};

#define DECODE_PIECE 4096 /* elements; a multiple of every block */

static void decode_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	const struct decode_op *o = j->op;
	size_t from = begin * DECODE_PIECE, to = end * DECODE_PIECE;
	if (to > o->elements)
		to = o->elements;
	j->c->kernels->decode(o->y + from, o->w + from / o->info->block * o->info->block_bytes,
		o->type, to - from);
}

static void cpu_decode(struct backend *b, float *y, const void *w, enum dtype t, size_t elements)
{
	struct cpu *c = cpu_of(b);
	struct decode_op o = {y, w, t, dtype_info(t), elements};
	size_t items = (elements + DECODE_PIECE - 1) / DECODE_PIECE;
	pool_run(c->pool, decode_part, &(struct job){c, &o}, items,
		grain_for(c, items, DECODE_PIECE, 1));
}

static void matmul_part(void *arg, size_t begin, size_t end, int thread)
{
	const struct job *j = arg;
	j->c->kernels->matmul(j->op, (uint32_t)begin, (uint32_t)end, scratch_of(j->c, thread));
}

static void matmul_t_part(void *arg, size_t begin, size_t end, int thread)
{
	const struct job *j = arg;
	const struct matmul *m = j->op;
	size_t to = end * COLUMNS_STEP < m->k ? end * COLUMNS_STEP : m->k;
	j->c->kernels->matmul_t(m, (uint32_t)(begin * COLUMNS_STEP), (uint32_t)to,
		scratch_of(j->c, thread));
}

struct fast_op {
	struct matmul m;
	const struct cpu_fast *fast;
	uint8_t *x; /* rounded */
	size_t row_bytes;
};

static void fast_round_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	const struct fast_op *o = j->op;
	const uint32_t rows = o->fast->rows_round;
	for (size_t i = begin * rows; i < end * rows; i += rows)
		o->fast->round(&o->m, o->x + i * o->row_bytes, (uint32_t)i);
}

static void fast_part(void *arg, size_t begin, size_t end, int thread)
{
	const struct job *j = arg;
	const struct fast_op *o = j->op;
	o->fast->matmul(&o->m, o->x, (uint32_t)begin, (uint32_t)end, scratch_of(j->c, thread), j->c->kernels);
}

/* In blocks of as many rows of x as fit when rounded; false if the exact kernels have to do it. */
static bool fast_matmul(const struct cpu *c, const struct matmul *m, const struct cpu_fast *fast)
{
	struct fast_op o = {*m, fast, c->rounded, fast->row_bytes(m->k)};
	const uint32_t rows = fast->rows_round;
	if (!fast->takes(m) || o.row_bytes * rows > c->rounded_bytes)
		return false;
	uint32_t most = (uint32_t)(c->rounded_bytes / (o.row_bytes * rows)) * rows;
	if (most < m->n) /* even blocks */
		most = ((m->n - 1) / ((m->n - 1) / most + 1) / rows + 1) * rows;
	for (uint32_t i = 0; i < m->n; i += most) {
		o.m.n = m->n - i < most ? m->n - i : most;
		o.m.x = m->x + i * m->ldx;
		o.m.y = m->y + i * m->ldy;
		struct job j = {c, &o};
		size_t items = (o.m.n + rows - 1) / rows;
		pool_run(c->pool, fast_round_part, &j, items, grain_for(c, items, (size_t)rows * m->k, 1));
		pool_run(c->pool, fast_part, &j, m->rows,
			grain_for(c, m->rows, (size_t)o.m.n * m->k / 4, c->kernels->row_step));
	}
	return true;
}

static void cpu_matmul(struct backend *b, const struct matmul *m)
{
	struct cpu *c = cpu_of(b);
	if (!m->n)
		return;
	for (int i = 0; i < FAST_KINDS; i++)
		if (c->fast[i] && fast_matmul(c, m, c->fast[i]))
			return;
	if (m->transposed) {
		size_t items = (m->k + COLUMNS_STEP - 1) / COLUMNS_STEP;
		pool_run(c->pool, matmul_t_part, &(struct job){c, m}, items,
			grain_for(c, items, (size_t)m->n * m->rows * COLUMNS_STEP, 1));
		return;
	}
	pool_run(c->pool, matmul_part, &(struct job){c, m}, m->rows,
		grain_for(c, m->rows, (size_t)m->n * m->k, c->kernels->row_step));
}

struct rows_op { /* act_mul, add over [n, d] */
	float *y;
	const float *x, *z;
	size_t ld;
	uint32_t d;
	enum act_kind act;
	float value;
};

static void norm_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	for (size_t i = begin; i < end; i++)
		j->c->kernels->norm(j->op, (uint32_t)i);
}

static void cpu_norm(struct backend *b, const struct norm *o)
{
	struct cpu *c = cpu_of(b);
	pool_run(c->pool, norm_part, &(struct job){c, o}, o->n,
		grain_for(c, o->n, (size_t)o->heads * o->dim, 1));
}

static void rope_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	for (size_t i = begin; i < end; i++)
		j->c->kernels->rope(j->op, (uint32_t)i);
}

static void cpu_rope(struct backend *b, const struct rope *r)
{
	struct cpu *c = cpu_of(b);
	pool_run(c->pool, rope_part, &(struct job){c, r}, r->n,
		grain_for(c, r->n, (size_t)r->heads * r->rot, 1));
}

static void kv_store_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	for (size_t i = begin; i < end; i++)
		j->c->kernels->kv_store(j->op, (uint32_t)i);
}

static void cpu_kv_store(struct backend *b, void *cache, enum dtype type, const float *src, size_t ld,
	struct head_map map, uint32_t heads, uint32_t head_dim, const uint32_t *cells, uint32_t n)
{
	struct cpu *c = cpu_of(b);
	struct kv_store s = {cache, type, src, ld, map, heads, head_dim, cells};
	pool_run(c->pool, kv_store_part, &(struct job){c, &s}, n,
		grain_for(c, n, (size_t)heads * head_dim, 1));
}

static void attention_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	const struct attention *a = j->op;
	for (size_t i = begin; i < end; i++)
		j->c->kernels->attention(a, (uint32_t)(i / a->kv_heads), (uint32_t)(i % a->kv_heads));
}

static void cpu_attention(struct backend *b, const struct attention *a)
{
	struct cpu *c = cpu_of(b);
	if (!a->n)
		return;
	if (c->kernels->attend) {
		attend_run(c->pool, b->threads, c->kernels, c->scratch, a);
		return;
	}
	size_t work = (size_t)a->max_count * a->head_dim * (a->heads / a->kv_heads);
	pool_run(c->pool, attention_part, &(struct job){c, a}, (size_t)a->n * a->kv_heads,
		grain_for(c, (size_t)a->n * a->kv_heads, work, 1));
}

static void act_mul_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	const struct rows_op *o = j->op;
	for (size_t i = begin; i < end; i++)
		j->c->kernels->act_mul(o->act, o->y + i * o->ld, o->x + i * o->ld,
			o->z ? o->z + i * o->ld : NULL, o->d);
}

static void cpu_act_mul(struct backend *b, enum act_kind act, float *y, const float *gate,
	const float *up, uint32_t n, uint32_t d, size_t ld)
{
	struct cpu *c = cpu_of(b);
	struct rows_op o = {.y = y, .x = gate, .z = up, .ld = ld, .d = d, .act = act};
	pool_run(c->pool, act_mul_part, &(struct job){c, &o}, n, grain_for(c, n, (size_t)d * 4, 1));
}

static void add_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	const struct rows_op *o = j->op;
	for (size_t i = begin; i < end; i++)
		j->c->kernels->add(o->y + i * o->ld, o->x + i * o->ld, o->value, o->d);
}

static void cpu_add(struct backend *b, float *y, const float *x, float scale, uint32_t n, uint32_t d,
	size_t ld)
{
	struct cpu *c = cpu_of(b);
	struct rows_op o = {.y = y, .x = x, .ld = ld, .d = d, .value = scale};
	pool_run(c->pool, add_part, &(struct job){c, &o}, n, grain_for(c, n, d, 1));
}

static void cpu_scale(struct backend *b, float *y, float scale, size_t elements)
{
	cpu_of(b)->kernels->scale(y, scale, elements);
}

static void softcap_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	const struct rows_op *o = j->op;
	size_t to = end * DECODE_PIECE;
	if (to > o->ld)
		to = o->ld;
	j->c->kernels->softcap(o->y + begin * DECODE_PIECE, o->value, to - begin * DECODE_PIECE);
}

static void cpu_softcap(struct backend *b, float *y, float cap, size_t elements)
{
	struct cpu *c = cpu_of(b);
	struct rows_op o = {.y = y, .ld = elements, .value = cap};
	size_t items = (elements + DECODE_PIECE - 1) / DECODE_PIECE;
	pool_run(c->pool, softcap_part, &(struct job){c, &o}, items, grain_for(c, items, DECODE_PIECE, 1));
}

static void cpu_clamp(struct backend *b, float *y, float limit, size_t elements)
{
	(void)b;
	for (size_t i = 0; i < elements; i++)
		y[i] = y[i] > limit ? limit : y[i] < -limit ? -limit : y[i];
}

static void cpu_mul(struct backend *b, float *y, const float *v, uint32_t n, uint32_t d, size_t ld)
{
	(void)b;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < d; j++)
			y[i * ld + j] *= v[j];
}

static void cpu_zero(struct backend *b, float *y, size_t elements)
{
	(void)b;
	memset(y, 0, elements * sizeof(*y));
}

static void move_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	const struct move *m = j->op;
	for (size_t i = begin; i < end; i++)
		move_row(m, i);
}

static void cpu_move(struct backend *b, const struct move *m)
{
	struct cpu *c = cpu_of(b);
	pool_run(c->pool, move_part, &(struct job){c, m}, m->n,
		grain_for(c, m->n, (size_t)m->heads * m->dim, 1));
}

static void glu_part(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	for (size_t i = begin; i < end; i++)
		glu_row(j->op, i);
}

static void cpu_glu(struct backend *b, const struct glu *g)
{
	struct cpu *c = cpu_of(b);
	pool_run(c->pool, glu_part, &(struct job){c, g}, g->n, grain_for(c, g->n, (size_t)g->d * 16, 1));
}

/* --- open and close ---------------------------------------------------------- */

static void cpu_close(struct backend *b)
{
	struct cpu *c = cpu_of(b);
	pool_free(c->pool);
	mem_pages_free(c->scratch, (size_t)b->threads * CPU_SCRATCH_BYTES);
	if (c->rounded)
		mem_pages_free(c->rounded, c->rounded_bytes);
	free(c);
}

static int cpu_with_threads(struct backend *b, int threads, struct backend **out, struct err *e)
{
	if (cpu_backend_open(out, cpu_of(b)->kernels->name, threads, e) < 0)
		return -1;
	if (cpu_of(b)->fast[0])
		cpu_backend_fast(*out);
	return 0;
}

static const struct backend_ops cpu_ops = {
	.close = cpu_close,
	.with_threads = cpu_with_threads,
	.alloc = cpu_alloc,
	.free = cpu_mem_free,
	.host_alloc = cpu_alloc,
	.host_free = cpu_mem_free,
	.upload = cpu_upload,
	.download = cpu_download,
	.event_new = cpu_event_new,
	.event_free = cpu_event_free,
	.event_record = cpu_event_record,
	.queue_wait = cpu_queue_wait,
	.event_done = cpu_event_done,
	.event_sync = cpu_event_sync,
	.event_time = cpu_event_time,
	.decode = cpu_decode,
	.matmul = cpu_matmul,
	.norm = cpu_norm,
	.rope = cpu_rope,
	.kv_store = cpu_kv_store,
	.attention = cpu_attention,
	.act_mul = cpu_act_mul,
	.add = cpu_add,
	.scale = cpu_scale,
	.softcap = cpu_softcap,
	.clamp = cpu_clamp,
	.mul = cpu_mul,
	.zero = cpu_zero,
	.move = cpu_move,
	.glu = cpu_glu,
};

static const struct cpu_kernels *kernels_of(const char *name)
{
	if (!strcmp(name, "ref"))
		return &cpu_kernels_ref;
	if (!strcmp(name, "avx2"))
		return cpu_kernels_avx2();
	if (!strcmp(name, "avx512"))
		return cpu_kernels_avx512();
	return NULL;
}

const char *const *cpu_backend_variants(void)
{
	static const char *const all[] = {"avx512", "avx2", "ref", NULL};
	return all + (cpu_kernels_avx512() ? 0 : cpu_kernels_avx2() ? 1 : 2);
}

static int threads_allowed(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return CPU_COUNT(&set);
}

int cpu_backend_open(struct backend **out, const char *ops, int threads, struct err *e)
{
	*out = NULL;
	const char *const *names = cpu_backend_variants();
	const struct cpu_kernels *k = kernels_of(!strcmp(ops, "auto") ? names[0] : ops);
	if (!k) {
		char list[64] = "";
		for (size_t i = 0; names[i]; i++) {
			strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
			strncat(list, names[i], sizeof(list) - strlen(list) - 1);
		}
		return err_set(e, ERR_USAGE, "--ops %s is not possible here; there are: auto, %s", ops,
			list);
	}
	if (threads < 0 || threads > THREADS_MAX)
		return err_set(e, ERR_USAGE, "%d threads are not possible; 1 to %d are", threads,
			THREADS_MAX);
	if (!threads)
		threads = threads_allowed();
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	struct cpu *c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(e);
	c->kernels = k;
	c->b = (struct backend){&cpu_ops, "cpu", k->name, threads, true,
		(size_t)threads * CPU_SCRATCH_BYTES};
	c->scratch = mem_pages((size_t)threads * CPU_SCRATCH_BYTES);
	if (!c->scratch) {
		free(c);
		return err_nomem(e);
	}
	if (pool_new(&c->pool, threads, e)) {
		mem_pages_free(c->scratch, (size_t)threads * CPU_SCRATCH_BYTES);
		free(c);
		return -1;
	}
	*out = &c->b;
	return 0;
}

bool cpu_backend_fast(struct backend *b)
{
	struct cpu *c = cpu_of(b);
	const bool wide = c->kernels == cpu_kernels_avx512();
	const bool vnni = wide && cpu_fast_avx512();
	const struct cpu_fast *fast[FAST_KINDS] = {vnni ? cpu_fast_few_avx512() : cpu_fast_few_avx2(),
		wide ? cpu_fast_amx() : NULL, vnni ? cpu_fast_avx512() : cpu_fast_avx2(),
		wide ? cpu_fast_bf16() : NULL};
	if (c->fast[0] || c->kernels == &cpu_kernels_ref || !fast[0])
		return c->fast[0];
	c->rounded_bytes = fast[1] ? AMX_BYTES : FAST_BYTES;
	if (!(c->rounded = mem_pages(c->rounded_bytes)))
		return false;
	memcpy(c->fast, fast, sizeof(fast));
	b->variant = fast[1] ? "amx-fast" : wide ? "avx512-fast" : "avx2-fast";
	b->overhead += c->rounded_bytes;
	return true;
}
