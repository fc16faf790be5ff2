/* Tokens one at a time on the KV cache give what the whole text gives at once, also where a longer text
 * rotates all of it differently, past windows, and after going back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/cpu.h"
#include "engine/engine.h"

#define CTX 64
#define TEXT 44

struct running {
	struct backend *backend;
	struct checkpoint *checkpoint;
	struct model *model;
	struct reader *reader;
	struct plan plan;
	struct engine *engine;
};

static void start(struct running *r, const char *name)
{
	char path[512];
	struct err e = ERR_INIT;
	const char *srcdir = getenv("srcdir");
	snprintf(path, sizeof(path), "%s/tests/models/%s", srcdir ? srcdir : ".", name);
	memset(r, 0, sizeof(*r));
	if (cpu_backend_open(&r->backend, "ref", 1, &e) < 0 || checkpoint_open(&r->checkpoint, path, 0, &e) < 0 ||
		model_open(&r->model, r->checkpoint, &e) < 0)
		fail_msg("%s: %s", name, e.msg);
	const struct plan_request q = {.ram = (uint64_t)600 << 20, .backend = r->backend->overhead,
		.host_memory = true, .ctx = CTX, .prefill_rows = 7, .kv_type = DTYPE_F32};
	if (plan_make(&r->plan, r->model, &q, &e) < 0 ||
		reader_open(&r->reader, "pread", r->checkpoint, NULL, 8, &e) < 0)
		fail_msg("%s: %s", name, e.msg);
	const struct engine_config ec = {r->checkpoint, r->model, &r->plan, r->backend, r->reader};
	if (engine_open(&r->engine, &ec, &e) < 0)
		fail_msg("%s: %s", name, e.msg);
}

static void stop(struct running *r)
{
	engine_close(r->engine);
	r->reader->ops->close(r->reader);
	plan_clear(&r->plan);
	model_close(r->model);
	checkpoint_close(r->checkpoint);
	r->backend->ops->close(r->backend);
}

static void eval(struct running *r, const uint32_t *ids, size_t n, float *logits)
{
	struct err e = ERR_INIT;
	if (engine_eval(r->engine, ids, n, NULL, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	memcpy(logits, engine_logits(r->engine), r->model->vocab * sizeof(*logits));
}

/* Last logits of each length, computed alone; then on a cache that grows, and goes back and grows again. */
static void check_model(const char *name)
{
	struct running alone, kept;
	uint32_t ids[TEXT];
	for (uint32_t i = 0; i < TEXT; i++)
		ids[i] = 3 + i * 29 % 67;
	start(&kept, name);
	size_t bytes = kept.model->vocab * sizeof(float);
	float *want = malloc(bytes), *got = malloc(bytes);
	for (int round = 0; round < 2; round++) {
		for (size_t n = round ? 20 : 12; n <= TEXT; n++) {
			start(&alone, name);
			eval(&alone, ids, n, want);
			eval(&kept, ids, n, got);
			if (memcmp(want, got, bytes) != 0)
				fail_msg("%s: other logits after %zu tokens in round %d", name, n, round);
			stop(&alone);
		}
	}
	free(want);
	free(got);
	stop(&kept);
}

static void a_growing_cache_equals_the_whole_text(void **state)
{
	(void)state;
	static const char *const names[] = {"llama3-rope", "longrope-long", "phi3", "gemma3", "smollm3", "yarn",
		"gpt2", "falcon-alibi", "opt-350m"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		check_model(names[i]);
}

/* A prompt that goes beyond dynamic rope's original context is computed anew, whatever was kept. */
static void a_prompt_past_dynamic_ropes_context_is_computed_anew(void **state)
{
	(void)state;
	struct running alone, kept;
	uint32_t ids[TEXT];
	for (uint32_t i = 0; i < TEXT; i++)
		ids[i] = 3 + i * 29 % 67;
	start(&kept, "dynamic-rope");
	start(&alone, "dynamic-rope");
	float *want = malloc(kept.model->vocab * sizeof(*want)), *got = malloc(kept.model->vocab * sizeof(*got));
	eval(&kept, ids, 20, got);
	eval(&kept, ids, TEXT, got);
	eval(&alone, ids, TEXT, want);
	assert_memory_equal(want, got, kept.model->vocab * sizeof(*got));
	free(want);
	free(got);
	stop(&alone);
	stop(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_growing_cache_equals_the_whole_text),
		cmocka_unit_test(a_prompt_past_dynamic_ropes_context_is_computed_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
