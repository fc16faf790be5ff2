/* Guesses: only ranks that are right are read, wrong reads stay few, and they stop where they don't pay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/wager.h"

enum { LAYERS = 8, RANKS = 4, MISSES = 3 };

struct drive { /* a machine on which a right guess that is read saves, and a wrong one costs, so many ns of a pass */
	int64_t pass, right, wrong;
	double sure[RANKS]; /* how often each rank is right */
	uint64_t random;
	uint64_t reads, wrong_reads;
};

static double chance(struct drive *d)
{
	d->random = d->random * 6364136223846793005u + 1442695040888963407u;
	return (double)(d->random >> 11) / (double)(UINT64_C(1) << 53);
}

static void one_pass(struct wager *w, struct drive *d)
{
	int64_t wall = d->pass + (int64_t)(chance(d) * (double)d->pass / 20);
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		uint32_t wrong = 0, right = 0;
		for (uint32_t rank = 0; rank < RANKS; rank++) {
			bool is_right = chance(d) < d->sure[rank];
			if (wager_takes(w, layer, rank))
				*(is_right ? &right : &wrong) += 1;
			wager_rank(w, layer, rank, is_right);
		}
		wager_reads(w, MISSES, wrong);
		wall += d->wrong * wrong - d->right * right;
		d->reads += MISSES + wrong;
		d->wrong_reads += wrong;
	}
	wager_pass(w, wall);
}

static void run(struct wager *w, struct drive *d, int passes)
{
	d->random = 1;
	assert_int_equal(wager_init(w, LAYERS, RANKS), 0);
	for (int i = 0; i < passes; i++)
		one_pass(w, d);
}

static void goes_on_where_it_pays(void **state)
{
	(void)state;
	struct wager w;
	struct drive d = {.pass = 1000000, .right = 20000, .wrong = 10000, .sure = {0.99, 0.99, 0.9, 0.3}};
	run(&w, &d, WAGER_TRIAL);
	assert_true(w.on);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		assert_false(wager_takes(&w, layer, 3)); /* seldom right: never read */
	wager_clear(&w);
}

static void stops_where_it_does_not(void **state)
{
	(void)state;
	struct wager w;
	struct drive d = {.pass = 1000000, .right = 0, .wrong = 10000, .sure = {0.99, 0.99, 0.9, 0.3}};
	run(&w, &d, WAGER_TRIAL);
	assert_false(w.on);
	for (int i = 0; i < WAGER_KEEP; i++) {
		assert_false(w.on);
		one_pass(&w, &d);
	}
	assert_true(w.on); /* another trial */
	d.right = 20000;   /* the drive has become slower */
	for (int i = 0; i < WAGER_TRIAL; i++)
		one_pass(&w, &d);
	assert_true(w.on);
	wager_clear(&w);
}

static void wrong_reads_are_few(void **state)
{
	(void)state;
	const double sure[] = {0.0, 0.5, 0.8, 0.85, 0.95, 1.0};
	for (size_t i = 0; i < sizeof(sure) / sizeof(*sure); i++) {
		struct wager w;
		struct drive d = {.pass = 1000000, .right = 20000, .sure = {sure[i], sure[i], sure[i], sure[i]}};
		run(&w, &d, 400);
		assert_true(d.wrong_reads <= d.reads / WAGER_SHARE + WAGER_CREDIT + RANKS);
		wager_clear(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on_where_it_pays),
		cmocka_unit_test(stops_where_it_does_not),
		cmocka_unit_test(wrong_reads_are_few),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
