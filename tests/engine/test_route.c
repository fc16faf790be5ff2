/* Expert routing against transformers' routers (route_golden.py made the cases). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/route.h"

static const struct {
	const char *name;
	struct moe moe;
	float logits[16], bias[16];
	bool has_bias;
	struct chosen want[4];
} cases[] = {
#include "route_golden.inc"
};

static void golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct chosen out[4];
		struct err e = ERR_INIT;
		assert_int_equal(route(&cases[i].moe, cases[i].logits,
					 cases[i].has_bias ? cases[i].bias : NULL, out, &e), 0);
		for (uint32_t k = 0; k < cases[i].moe.top_k; k++) {
			assert_int_equal(out[k].expert, cases[i].want[k].expert);
			assert_true(fabsf(out[k].weight - cases[i].want[k].weight) <=
				    1e-5f * fabsf(cases[i].want[k].weight) + 1e-7f);
		}
	}
}

static void equal_scores_take_the_lower_expert(void **state)
{
	(void)state;
	const struct moe m = {.n_experts = 4, .top_k = 2, .normalize = true, .scale = 1, .groups = 1,
		.top_groups = 1};
	const float logits[4] = {0, 1, 1, 1};
	struct chosen out[2];
	struct err e = ERR_INIT;
	assert_int_equal(route(&m, logits, NULL, out, &e), 0);
	assert_int_equal(out[0].expert, 1);
	assert_int_equal(out[1].expert, 2);
	assert_true(out[0].weight == 0.5f);
}

static void nan_is_refused(void **state)
{
	(void)state;
	const struct moe m = {.n_experts = 2, .top_k = 1, .scale = 1, .groups = 1, .top_groups = 1};
	const float logits[2] = {0, NAN};
	struct chosen out[1];
	struct err e = ERR_INIT;
	assert_int_equal(route(&m, logits, NULL, out, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(golden),
		cmocka_unit_test(equal_scores_take_the_lower_expert), cmocka_unit_test(nan_is_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
