/* The golden models on a device with memory and queues of its own (the delaying test backend) give the
 * bits that the CPU gives, wherever the weights lie: all from disk, in pinned RAM, on the device, mixed.
 * A missing event or memory used too early shows as other bits or NaN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>

#include "backend/cpu/cpu.h"
#include "engine/engine.h"
#include "stream/reader.h"
#include "support/delay_backend.h"
#include "support/sanitized.h"

enum { TOKENS = 12, PREFILL = 9, ROWS = 4 };
enum residency { ALL_DISK, ALL_RAM, ALL_VRAM, MIXED, RESIDENCIES };

struct result {
	float *logits; /* [TOKENS - PREFILL + 1, vocab] */
	uint32_t vocab;
	struct trace_view view;
};

static void place(struct plan *p, enum residency where, uint64_t seed, bool host_memory)
{
	for (size_t i = 0; i < p->schedule.n; i++) {
		uint64_t x = (seed + 1) * 0x9E3779B97F4A7C15u + i * 0xD1B54A32D192ED03u;
		uint8_t tier = where == MIXED ? (uint8_t)((x ^ x >> 29) % 3) : (uint8_t)where;
		p->tiers[i] = host_memory ? TIER_DISK : tier;
	}
}

/* A prompt in blocks, then token by token; the logits of each. */
static void run_tokens(struct engine *en, struct result *r)
{
	struct err e = ERR_INIT;
	uint32_t ids[TOKENS];
	for (uint32_t i = 0; i < TOKENS; i++)
		ids[i] = (i * 37 + 5) % (r->vocab < 100 ? r->vocab : 100);
	for (size_t n = PREFILL; n <= TOKENS; n++) {
		if (engine_eval(en, ids, n, NULL, NULL, &e) < 0)
			fail_msg("%s", e.msg);
		memcpy(r->logits + (n - PREFILL) * r->vocab, engine_logits(en), r->vocab * sizeof(float));
	}
	assert_int_equal(trace_view(engine_trace(en), &r->view), 0);
}

static void run_model(const char *path, struct backend *b, enum residency where, uint64_t seed, struct result *r)
{
	struct err e = ERR_INIT;
	struct checkpoint *c = NULL;
	struct model *m = NULL;
	struct plan p = {0};
	struct reader *reader = NULL;
	struct engine *en = NULL;
	const struct plan_request req = {.ram = (uint64_t)512 << 20, .vram = (uint64_t)64 << 20,
		.host_memory = b->host_memory, .ctx = 32, .prefill_rows = ROWS, .kv_type = DTYPE_F32,
		.chunk_bytes = seed % 2 ? 0 : 2000};
	if (checkpoint_open(&c, path, 0, &e) < 0 || model_open(&m, c, &e) < 0 || plan_make(&p, m, &req, &e) < 0 ||
		reader_open(&reader, seed % 2 ? "auto" : "pread", c, NULL, 4, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
	place(&p, where, seed, b->host_memory);
	if (seed % 3 == 0) { /* the smallest rings */
		p.ring_bytes = stream_ring_min(&p.schedule);
		p.device_ring_bytes = b->host_memory ? 0 : stream_ring_min(&p.schedule);
	}
	const struct engine_config ec = {.checkpoint = c, .model = m, .plan = &p, .backend = b, .reader = reader};
	if (engine_open(&en, &ec, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
	r->vocab = m->vocab;
	r->logits = calloc((TOKENS - PREFILL + 1) * (size_t)m->vocab, sizeof(float));
	assert_non_null(r->logits);
	run_tokens(en, r);
	engine_close(en);
	reader->ops->close(reader);
	plan_clear(&p);
	model_close(m);
	checkpoint_close(c);
}

static void result_free(struct result *r)
{
	free(r->logits);
	trace_view_clear(&r->view);
}

static int64_t copy_wait; /* of all runs */

static void check(const char *path, enum residency where, uint64_t seed)
{
	struct err e = ERR_INIT;
	struct backend *cpu, *device;
	struct result want = {0}, got = {0};
	assert_int_equal(cpu_backend_open(&cpu, "auto", 1, &e), 0);
	assert_int_equal(delay_backend_open(&device, "auto", 1, seed, &e), 0);
	run_model(path, cpu, ALL_DISK, seed, &want);
	run_model(path, device, where, seed, &got);
	if (memcmp(want.logits, got.logits, (TOKENS - PREFILL + 1) * want.vocab * sizeof(float)) != 0)
		fail_msg("%s: residency %d, seed %d: other logits than on the CPU", path, (int)where, (int)seed);
	const struct trace_pass *d = &got.view.decode;
	assert_int_equal(d->ns[CAUSE_DISK] + d->ns[CAUSE_COPY] + d->ns[CAUSE_COMPUTE] + d->ns[CAUSE_OTHER],
		d->wall);
	if (where == ALL_VRAM) /* everything came with the prompt */
		assert_int_equal(d->ns[CAUSE_COPY], 0);
	copy_wait += d->ns[CAUSE_COPY] + got.view.prefills.ns[CAUSE_COPY];
	result_free(&want);
	result_free(&got);
	cpu->ops->close(cpu);
	device->ops->close(device);
}

static const char *models_dir(void)
{
	static char path[512];
	const char *src = getenv("srcdir");
	snprintf(path, sizeof(path), "%s/tests/models", src ? src : SRCDIR);
	return path;
}

static void every_golden_model(void **state)
{
	(void)state;
	uint64_t n = 0;
	DIR *d = opendir(models_dir());
	assert_non_null(d);
	for (struct dirent *f; (f = readdir(d));) {
		char path[1024];
		snprintf(path, sizeof(path), "%s/%s/golden.json", models_dir(), f->d_name);
		if (access(path, R_OK) < 0)
			continue;
		path[strlen(path) - strlen("/golden.json")] = '\0';
		check(path, (enum residency)(n % RESIDENCIES), n);
		n++;
	}
	closedir(d);
	assert_true(n >= 5);
}

static void every_residency_of_one(void **state)
{
	(void)state;
	char path[1024];
	snprintf(path, sizeof(path), "%s/llama-s1", models_dir());
	for (uint64_t seed = 0; seed < 4; seed++)
		for (int where = 0; where < RESIDENCIES; where++)
			check(path, (enum residency)where, seed);
	assert_true(copy_wait > 0); /* the delays are longer than the products */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_model),
		cmocka_unit_test(every_residency_of_one),
	};
	alarm(PATIENCE * 300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
