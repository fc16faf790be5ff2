/* Experts: any order of wishes, guesses and leases gives the files' bytes in any cache; nothing hangs; what
 * is used often survives a scan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>

#include "stream/fixture.h"
#include "stream/pool.h"
#include "support/sanitized.h"

static void pool_blocks_never_overlap(void **state)
{
	(void)state;
	enum { OWNERS = 60, PAGES = 200 };
	struct fixture f = {.random = 3};
	struct pool p;
	uint32_t block[OWNERS];
	uint8_t page[PAGES] = {0};
	memset(block, 0xFF, sizeof(block));
	assert_int_equal(pool_init(&p, PAGES * (size_t)4096, OWNERS), 0);
	int taken = 0;
	for (int step = 0; step < 20000; step++) {
		uint32_t k = fixture_random(&f, OWNERS), n = 1 + fixture_random(&f, 20);
		const struct pool_block *b = block[k] == POOL_NONE ? NULL : &p.blocks[block[k]];
		size_t first = b ? b->start / 4096 : 0, pages = b ? b->bytes / 4096 : 0;
		if (b) {
			pool_give(&p, block[k]);
			block[k] = POOL_NONE;
			memset(page + first, 0, pages);
			continue;
		}
		block[k] = pool_take(&p, n * (size_t)4096 - fixture_random(&f, 4000), k);
		if (block[k] == POOL_NONE)
			continue;
		taken++;
		b = &p.blocks[block[k]];
		assert_int_equal(b->owner, k);
		assert_true(b->bytes >= n * (size_t)4096 - 4000 && b->start + b->bytes <= p.size);
		for (size_t i = 0; i < b->bytes / 4096; i++)
			assert_int_equal(page[b->start / 4096 + i]++, 0);
	}
	assert_true(taken > 5000);
	for (uint32_t k = 0; k < OWNERS; k++)
		if (block[k] != POOL_NONE)
			pool_give(&p, block[k]);
	assert_int_equal(p.n_holes, 1); /* all holes have become one again */
	assert_int_equal(p.blocks[p.holes[0]].bytes, p.size);
	pool_clear(&p);
}

static void use(struct fixture *f, uint32_t chunk)
{
	struct err e = ERR_INIT;
	struct lease l;
	if (stream_acquire_expert(f->stream, chunk, &l, &e) < 0)
		fail_msg("expert chunk %u: %s", chunk, e.msg);
	if (!lease_is_right(f, &l))
		fail_msg("expert chunk %u has wrong bytes", chunk);
	stream_release(f->stream, &l);
}

static bool use_expert(struct fixture *f, uint32_t expert)
{
	struct stream_experts told;
	stream_want(f->stream, &expert, 1, &told);
	for (uint32_t part = 0; part < PARTS; part++)
		use(f, expert * PARTS + part);
	return told.hits == 1;
}

/* Some experts of a layer, each at most once. */
static size_t choose(struct fixture *f, uint32_t layer, uint32_t chosen, uint32_t *out)
{
	size_t n = 0;
	uint32_t first = fixture_random(f, EXPERTS);
	for (uint32_t k = 0; k < chosen; k++)
		out[n++] = layer * EXPERTS + (first + 5 * k) % EXPERTS;
	return n;
}

static void one_pass(struct fixture *f, uint32_t chosen)
{
	uint32_t want[EXPERTS], guess[EXPERTS];
	struct stream_experts told;
	size_t per_layer = CHUNKS / LAYERS;
	stream_begin(f->stream, CHUNKS);
	for (uint32_t layer = 0; layer < LAYERS; layer++) {
		run_pass(f, layer * per_layer, (layer + 1) * per_layer);
		size_t n = choose(f, layer, chosen, want);
		stream_want(f->stream, want, n, &told);
		assert_int_equal(told.hits + told.misses, n);
		assert_true(told.right <= n);
		if (fixture_random(f, 2))
			stream_guess(f->stream, guess, choose(f, (layer + 1) % LAYERS, chosen, guess));
		bool backwards = fixture_random(f, 3) == 0; /* another order than the wanted one */
		for (size_t left = n, i; left; want[i] = want[--left]) {
			i = backwards ? left - 1 : stream_pick_expert(f->stream, want, left);
			for (uint32_t part = 0; part < PARTS; part++)
				use(f, want[i] * PARTS + (backwards ? PARTS - 1 - part : part));
		}
		if (fixture_random(f, 4) == 0) /* one that nobody has named */
			use(f, fixture_random(f, EXPERT_CHUNKS));
		if (fixture_random(f, 8) == 0) {
			stream_want(f->stream, want, choose(f, layer, chosen, want), &told);
			stream_rewind(f->stream);
			return;
		}
	}
}

static void try_caches(bool device)
{
	uint64_t hits = 0; /* of all: a small cache may have none in a few passes */
	for (uint32_t seed = 0; seed < 8; seed++) {
		struct fixture f;
		struct stream_view v;
		uint32_t chosen = seed < 2 ? EXPERTS : 4; /* all of a layer: far more than the cache holds */
		fixture_open(&f, 500 + seed, seed % 2 ? "auto" : "pread", 4 + 8 * (seed % 3), 60);
		fixture_experts(&f, seed % 3 * 30000);
		f.expert_bytes = stream_expert_min(&f.schedule, seed < 4 ? 0 : 4) + seed / 6 * (size_t)1000000;
		if (device)
			fixture_device(&f, seed);
		fixture_stream(&f, 200000);
		for (int pass = 0; pass < (device ? 4 : 30); pass++)
			one_pass(&f, chosen);
		stream_view(f.stream, &v);
		assert_true(v.expert_misses > 0);
		assert_true(v.expert_wrong_guesses <= v.expert_guesses);
		hits += v.expert_hits;
		fixture_close(&f);
	}
	assert_true(hits > 0);
}

static void any_cache_gives_the_files_bytes(void **state)
{
	(void)state;
	try_caches(false);
}

static void on_a_device_too(void **state)
{
	(void)state;
	try_caches(true);
}

static void an_expert_that_cannot_be_read(void **state)
{
	(void)state;
	struct fixture f;
	struct err e = ERR_INIT;
	struct lease l;
	fixture_open(&f, 600, "auto", 8, 100);
	fixture_experts(&f, 20000);
	f.expert_bytes = stream_expert_min(&f.schedule, 4);
	fixture_stream(&f, 0);
	for (uint32_t i = 0; i < EXPERT_CHUNKS; i += 7) {
		const struct extent *x = &f.expert_chunks[i].data;
		fault_set(f.reader, 0, &(struct fault){FAULT_ERROR, x->file, x->offset, x->offset + 1, EIO, -1});
		const uint32_t expert = i / PARTS;
		struct stream_experts told;
		stream_want(f.stream, &expert, 1, &told);
		usleep(2000);
		assert_int_equal(stream_acquire_expert(f.stream, i, &l, &e), -1);
		assert_non_null(strstr(e.msg, f.files[x->file].path));
		assert_int_equal(stream_acquire_expert(f.stream, i, &l, &e), -1);
		fault_set(f.reader, 0, NULL);
		use(&f, i);
	}
	fixture_close(&f);
}

/* Hot experts stay through a scan of all the others, as a long prompt is one. */
static void what_is_used_often_survives_a_scan(void **state)
{
	(void)state;
	enum { HOT = 12, ALL = LAYERS * EXPERTS };
	struct fixture f;
	uint32_t hits = 0;
	fixture_open(&f, 700, "pread", 8, 100);
	fixture_experts(&f, 0);
	f.expert_bytes = 48 * stream_resident_bytes(&f.expert_chunks[0]) + 48 * 4096;
	fixture_stream(&f, 0);
	for (int pass = 0; pass < 10; pass++) {
		stream_begin(f.stream, CHUNKS);
		for (uint32_t i = 0; i < HOT; i++)
			use_expert(&f, i * 5);
		for (uint32_t i = 0; i < 4; i++)
			use_expert(&f, fixture_random(&f, ALL));
	}
	stream_begin(f.stream, CHUNKS);
	for (uint32_t i = 0; i < ALL; i++)
		use_expert(&f, i);
	stream_begin(f.stream, CHUNKS);
	for (uint32_t i = 0; i < HOT; i++)
		hits += use_expert(&f, i * 5);
	assert_true(hits >= HOT * 9 / 10);
	fixture_close(&f);
}

static void a_good_guess_is_a_hit(void **state)
{
	(void)state;
	struct fixture f;
	struct stream_view v;
	struct stream_experts told;
	const uint32_t right[3] = {3, 4, 5}, wrong[2] = {40, 41};
	fixture_open(&f, 710, "pread", 8, 100);
	fixture_experts(&f, 0);
	f.expert_bytes = 1 << 20;
	fixture_stream(&f, 0);
	run_pass(&f, 0, CHUNKS); /* everything else is there */
	stream_guess(f.stream, right, 3);
	for (int i = 0; i < 1000; i++) {
		stream_view(f.stream, &v);
		if (v.expert_guesses == 3 && !v.in_flight)
			break;
		usleep(2000);
	}
	assert_int_equal(v.expert_guesses, 3);
	stream_want(f.stream, right, 3, &told);
	assert_int_equal(told.hits, 3);
	assert_int_equal(told.right, 3);
	assert_int_equal(told.misses + told.wrong, 0);
	for (uint32_t i = 0; i < 3 * PARTS; i++)
		use(&f, right[0] * PARTS + i);
	stream_guess(f.stream, wrong, 2);
	for (int i = 0; i < 1000 && v.expert_guesses < 5; i++) {
		usleep(2000);
		stream_view(f.stream, &v);
	}
	stream_want(f.stream, right, 3, &told);
	assert_int_equal(told.hits, 3);
	assert_int_equal(told.right, 0);
	assert_int_equal(told.wrong, 2);
	assert_true(told.wrong_bytes >= 2 * PARTS * 20000);
	stream_view(f.stream, &v);
	assert_int_equal(v.expert_hits, 6);
	assert_int_equal(v.expert_misses, 0);
	assert_int_equal(v.expert_wrong_guesses, 2);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_blocks_never_overlap),
		cmocka_unit_test(any_cache_gives_the_files_bytes),
		cmocka_unit_test(on_a_device_too),
		cmocka_unit_test(an_expert_that_cannot_be_read),
		cmocka_unit_test(what_is_used_often_survives_a_scan),
		cmocka_unit_test(a_good_guess_is_a_hit),
	};
	alarm(PATIENCE * 120);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
