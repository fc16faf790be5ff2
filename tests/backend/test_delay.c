/* The delaying test device: with events the numbers of the CPU backend, without them NaN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "backend/cpu/cpu.h"
#include "support/delay_backend.h"

enum { N = 3, K = 40, ROWS = 50 };

struct fixture {
	struct backend *cpu, *dev;
	float x[N * K], w[ROWS * K], want[N * ROWS], got[N * ROWS];
	float *dx, *dw, *dy;
	struct event *copied, *computed;
};

static void setup(struct fixture *f, uint64_t seed)
{
	struct err e = ERR_INIT;
	memset(f, 0, sizeof(*f));
	assert_int_equal(cpu_backend_open(&f->cpu, "auto", 1, &e), 0);
	assert_int_equal(delay_backend_open(&f->dev, "auto", 2, seed, &e), 0);
	assert_false(f->dev->host_memory);
	for (int i = 0; i < N * K; i++)
		f->x[i] = (float)(i % 13) - 6;
	for (int i = 0; i < ROWS * K; i++)
		f->w[i] = (float)(i % 7) - 3;
	f->dx = f->dev->ops->alloc(f->dev, sizeof(f->x));
	f->dw = f->dev->ops->alloc(f->dev, sizeof(f->w));
	f->dy = f->dev->ops->alloc(f->dev, sizeof(f->got));
	f->copied = f->dev->ops->event_new(f->dev);
	f->computed = f->dev->ops->event_new(f->dev);
	assert_true(f->dx && f->dw && f->dy && f->copied && f->computed);
}

static void teardown(struct fixture *f)
{
	const struct backend_ops *o = f->dev->ops;
	o->free(f->dev, f->dx, sizeof(f->x));
	o->free(f->dev, f->dw, sizeof(f->w));
	o->free(f->dev, f->dy, sizeof(f->got));
	o->event_free(f->dev, f->copied);
	o->event_free(f->dev, f->computed);
	o->close(f->dev);
	f->cpu->ops->close(f->cpu);
}

static struct matmul product(float *y, const float *x, const float *w)
{
	return (struct matmul){.y = y, .ldy = ROWS, .x = x, .ldx = K, .w = w, .dtype = DTYPE_F32,
		.n = N, .k = K, .rows = ROWS};
}

static void events_order_the_queues(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct fixture f;
		struct err e = ERR_INIT;
		setup(&f, seed);
		const struct backend_ops *o = f.dev->ops;
		struct matmul m = product(f.want, f.x, f.w);
		f.cpu->ops->matmul(f.cpu, &m);
		m = product(f.dy, f.dx, f.dw);
		o->upload(f.dev, QUEUE_COMPUTE, f.dx, f.x, sizeof(f.x));
		o->upload(f.dev, QUEUE_COPY, f.dw, f.w, sizeof(f.w));
		o->event_record(f.dev, QUEUE_COPY, f.copied);
		o->queue_wait(f.dev, QUEUE_COMPUTE, f.copied);
		o->matmul(f.dev, &m);
		o->download(f.dev, QUEUE_COMPUTE, f.got, f.dy, sizeof(f.got));
		o->event_record(f.dev, QUEUE_COMPUTE, f.computed);
		assert_int_equal(o->event_sync(f.dev, f.computed, &e), 0);
		assert_true(o->event_done(f.dev, f.copied) && o->event_done(f.dev, f.computed));
		assert_true(o->event_time(f.dev, f.copied) <= o->event_time(f.dev, f.computed));
		assert_memory_equal(f.want, f.got, sizeof(f.got));
		teardown(&f);
	}
}

/* The weights come after the product was asked for, and nothing made it wait. */
static void a_missing_wait_shows(void **state)
{
	(void)state;
	struct fixture f;
	struct err e = ERR_INIT;
	setup(&f, 7);
	const struct backend_ops *o = f.dev->ops;
	struct matmul m = product(f.dy, f.dx, f.dw);
	o->upload(f.dev, QUEUE_COMPUTE, f.dx, f.x, sizeof(f.x));
	o->matmul(f.dev, &m);
	o->download(f.dev, QUEUE_COMPUTE, f.got, f.dy, sizeof(f.got));
	o->event_record(f.dev, QUEUE_COMPUTE, f.computed);
	o->queue_wait(f.dev, QUEUE_COPY, f.computed);
	o->upload(f.dev, QUEUE_COPY, f.dw, f.w, sizeof(f.w));
	o->event_record(f.dev, QUEUE_COPY, f.copied);
	assert_int_equal(o->event_sync(f.dev, f.copied, &e), 0);
	assert_true(isnan(f.got[0]) && isnan(f.got[N * ROWS - 1]));
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_order_the_queues),
		cmocka_unit_test(a_missing_wait_shows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
