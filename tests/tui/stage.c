#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

void test_path(char *out, size_t cap, const char *name)
{
	const char *dir = getenv("srcdir");
	snprintf(out, cap, "%s/tests/%s", dir ? dir : ".", name);
}

static void open_recording(struct replay *r, enum scene scene)
{
	char path[512];
	test_path(path, sizeof(path), scene == RESIDENT ? "trace/resident.trace" : "trace/smollm2.trace");
	assert_int_equal(replay_open(r, path), 0);
	r->copies = scene == COPIES;
}

/* A plan whose schedule is what the recording's last pass went through. */
static void make_plan(struct stage *st, enum scene scene)
{
	struct replay r;
	struct trace_log l = {0};
	uint64_t resident[31] = {0}, all[31] = {0};
	struct plan *p = &st->plan;
	open_recording(&r, scene);
	while (replay_pass(&r, -1))
		;
	assert_int_equal(trace_log(r.trace, 0, &l), 0);
	p->schedule.chunks = mem_array(l.n, sizeof(*p->schedule.chunks));
	p->tiers = mem_array(l.n, 1);
	p->schedule.n = l.n;
	for (uint32_t i = 0; i < l.n; i++) {
		p->schedule.chunks[i] = (struct chunk){.layer = l.chunks[i].layer, .bytes = l.chunks[i].bytes};
		p->schedule.bytes += l.chunks[i].bytes;
		p->tiers[i] = l.chunks[i].tier;
		*(p->tiers[i] ? &p->resident_bytes : &p->streamed_bytes) += l.chunks[i].bytes;
		p->vram_used += p->tiers[i] == 2 ? l.chunks[i].bytes : 0;
		resident[l.chunks[i].layer] += p->tiers[i] ? l.chunks[i].bytes : 0;
		all[l.chunks[i].layer] += l.chunks[i].bytes;
	}
	for (int i = 0; i < 31; i++)
		st->kept[i] = (uint8_t)(resident[i] * 100 / all[i]);
	p->ram_bytes = scene == RESIDENT ? 300 << 20 : 60 << 20;
	p->ring_bytes = 8 << 20;
	p->kv_bytes = 6 << 20;
	p->activation_bytes = 5 << 20;
	p->base_bytes = 19 << 20;
	p->vram_bytes = scene == COPIES ? 40 << 20 : 0;
	trace_log_clear(&l);
	replay_close(&r);
}

static void busy_view(struct stage *st, enum scene scene)
{
	struct session_view *v = &st->v;
	bool streams = st->plan.streamed_bytes != 0;
	v->busy = true;
	v->ctx = 512;
	v->ram_used = scene == RESIDENT ? 135 << 20 : v->ram_used;
	v->ram_budget = st->plan.ram_bytes;
	v->resident_bytes = st->plan.resident_bytes;
	v->streamed_bytes = st->plan.streamed_bytes;
	v->layer_resident = st->kept;
	v->chunks_ahead = streams ? 3 : 0;
	v->reads_in_flight = streams ? 9 : 0;
	v->why.plan = &st->plan;
	v->why.stream.cursor = st->plan.schedule.n / 2;
	v->why.stream.ahead = v->chunks_ahead;
	v->why.stream.issued = st->plan.schedule.n / 2 + (streams ? 9 : 0);
	if (!streams)
		return;
	v->why.disk_now = 0.91e9;
	for (v->why.n_rates = 0; v->why.n_rates < 10; v->why.n_rates++)
		v->why.rates[v->why.n_rates] = 0.7e9 + 3e7 * (double)v->why.n_rates;
}

static void token_view(struct session_view *v, enum scene scene)
{
	v->ctx_used = 40;
	v->answer_tokens = 4;
	v->answer_max = 100;
	v->why.token_s = scene == RESIDENT ? 0.0409 : 0.0672;
	v->why.token_p95_s = scene == RESIDENT ? 0.0444 : 0.081;
	v->why.now = scene == RESIDENT ? (struct predicted){0.0402, 0.0399, 0, 0.0399, 0}
				       : (struct predicted){0.0661, 0.0628, 0.0628, 0.0201, 0};
	if (scene == RESIDENT)
		return;
	v->why.help[0] = (struct predict_option){"--ram 132M", 132 << 20, 0.0204};
	v->why.help[1] = (struct predict_option){"--ram 96M", 96 << 20, 0.0409};
	v->why.n_help = 2;
}

void stage_open(struct stage *st, enum scene scene)
{
	*st = (struct stage){0};
	open_recording(&st->replay, scene);
	struct session_view *v = &st->v;
	*v = (struct session_view){.model = "SmolLM2-135M", .dtype = "q4_1", .model_bytes = 96576768, .n_layers = 30,
		.ram_used = 22 << 20, .reader = "uring+direct", .device = "cpu/avx2 2 threads",
		.why = {.disk_now = -1, .disk_limit = 1.09e9, .token_s = -1, .token_p95_s = -1, .now = {-1, -1, -1, -1}}};
	if (scene != IDLE) {
		make_plan(st, scene);
		busy_view(st, scene);
	}
	if (scene == PROMPT) {
		trace_reset_sums(st->replay.trace);
		assert_true(replay_pass(&st->replay, 86000));
		v->prefill_total = 36;
	} else if (scene != IDLE) {
		for (int i = 0; i < 3; i++)
			assert_true(replay_pass(&st->replay, -1));
		assert_true(replay_pass(&st->replay, 30000));
		token_view(v, scene);
	}
	assert_int_equal(trace_view(st->replay.trace, &v->trace), 0);
}

void stage_close(struct stage *st)
{
	trace_view_clear(&st->v.trace);
	replay_close(&st->replay);
	free(st->plan.schedule.chunks);
	free(st->plan.tiers);
}
