/* The sampler's distributions against transformers' (sampler_golden.py made the cases), and what a seed
 * fixes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/sampler.h"

#define V 16
#define DRAWS 20000
#define SIGMAS 5.0

static const struct {
	struct sampler_params p;
	float logits[V];
	uint32_t seen[12]; /* the last 6 are the answer's */
	float want[V];
} cases[] = {
#include "sampler_golden.inc"
};

#define CASES (sizeof(cases) / sizeof(*cases))

static uint32_t pick(struct sampler *s, size_t i)
{
	float logits[V];
	uint32_t id = V;
	struct err e = ERR_INIT;
	memcpy(logits, cases[i].logits, sizeof(logits));
	assert_int_equal(sampler_pick(s, logits, cases[i].seen, 12, 6, &id, &e), 0);
	assert_true(id < V);
	return id;
}

/* Each token as often as it should be, within 5 standard deviations; what is cut off, never. */
static void distributions(void **state)
{
	(void)state;
	for (size_t i = 0; i < CASES; i++) {
		struct sampler *s = sampler_new(&cases[i].p, V);
		double count[V] = {0};
		assert_non_null(s);
		for (int k = 0; k < DRAWS; k++)
			count[pick(s, i)]++;
		for (int id = 0; id < V; id++) {
			double p = (double)cases[i].want[id], slack = SIGMAS * sqrt(DRAWS * p * (1 - p)) + (p > 0);
			if (fabs(count[id] - DRAWS * p) > slack)
				fail_msg("case %zu, token %d: %.0f of %d draws, wanted %.1f", i, id, count[id], DRAWS, DRAWS * p);
		}
		sampler_free(s);
	}
}

static void seeds(void **state)
{
	(void)state;
	struct sampler_params p = cases[0].p;
	struct sampler *a = sampler_new(&p, V), *b = sampler_new(&p, V);
	p.seed = 12345;
	struct sampler *c = sampler_new(&p, V);
	int differ = 0;
	for (int k = 0; k < 200; k++) {
		uint32_t id = pick(a, 0);
		assert_int_equal(id, pick(b, 0));
		differ += id != pick(c, 0);
	}
	assert_true(differ > 50);
	sampler_free(a);
	sampler_free(b);
	sampler_free(c);
}

static void greedy_and_bad_logits(void **state)
{
	(void)state;
	struct sampler_params p = cases[0].p;
	struct err e = ERR_INIT;
	const uint32_t seen[] = {0};
	uint32_t id;
	float ties[] = {1, NAN, 3, 3, -INFINITY}, none[] = {NAN, -INFINITY, NAN, NAN, NAN};
	p.temp = 0;
	struct sampler *s = sampler_new(&p, 5);
	assert_int_equal(sampler_pick(s, ties, seen, 1, 0, &id, &e), 0);
	assert_int_equal(id, 2); /* the first of equals */
	assert_int_equal(sampler_pick(s, none, seen, 1, 0, &id, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	sampler_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(distributions), cmocka_unit_test(seeds),
		cmocka_unit_test(greedy_and_bad_logits)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
