/* The stream gives the files' bytes whatever the ring, the tiers and the reader; it survives faults,
 * and never hangs: a minute of all this is too long and ends the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "stream/fixture.h"
#include "stream/ring.h"
#include "support/sanitized.h"

#ifdef HAVE_LIBURING
static const char *const readers[] = {"pread", "auto"};
#else
static const char *const readers[] = {"pread"};
#endif
#define READERS (sizeof(readers) / sizeof(*readers))

static void ring_blocks_never_overlap(void **state)
{
	(void)state;
	struct fixture f = {.random = 5};
	struct ring r;
	struct {
		uint64_t number;
		size_t start, bytes;
		bool used;
	} b[64] = {{0}};
	assert_int_equal(ring_init(&r, 40 * 4096), 0);
	int taken = 0, refused = 0;
	for (int step = 0; step < 20000; step++) {
		size_t k = fixture_random(&f, 64), bytes = 4096 * (1 + (size_t)fixture_random(&f, 12));
		if (b[k].used) {
			ring_release(&r, b[k].number);
			b[k].used = false;
			continue;
		}
		if (!ring_take(&r, bytes, &b[k].number, &b[k].start)) {
			refused++;
			continue;
		}
		taken++;
		b[k].bytes = bytes;
		b[k].used = true;
		assert_true(b[k].start + bytes <= r.size);
		for (size_t i = 0; i < 64; i++)
			assert_true(i == k || !b[i].used || b[i].start + b[i].bytes <= b[k].start ||
				b[k].start + bytes <= b[i].start);
	}
	assert_true(taken > 1000 && refused > 1000);
	ring_clear(&r);
}

/* One block of any size in use: a second of any size fits. */
static void ring_least_is_enough(void **state)
{
	(void)state;
	struct fixture f = {.random = 9};
	struct ring r;
	uint64_t a = 0, b = 0;
	size_t start, most = 10 * (size_t)4096;
	assert_int_equal(ring_init(&r, ring_least(most)), 0);
	assert_true(ring_take(&r, most, &a, &start));
	for (int i = 0; i < 10000; i++) {
		assert_true(ring_take(&r, 1 + fixture_random(&f, (uint32_t)most), &b, &start));
		ring_release(&r, a);
		a = b;
	}
	ring_clear(&r);
}

static void every_pass_has_the_files_bytes(void **state)
{
	(void)state;
	static const size_t extra[] = {0, 4096, 300000, 8000000};
	static const unsigned depth[] = {1, 3, 32};
	static const uint32_t resident[] = {0, 40, 100};
	uint64_t seed = 1;
	for (size_t r = 0; r < READERS; r++)
		for (size_t x = 0; x < 4; x++)
			for (size_t t = 0; t < 3; t++) {
				struct fixture f;
				fixture_open(&f, seed++, readers[r], depth[x % 3], resident[t]);
				fixture_stream(&f, extra[x]);
				for (int pass = 0; pass < 3; pass++)
					run_pass(&f, 0, CHUNKS);
				fixture_close(&f);
			}
}

/* Passes without the head, cancelled ones, jumps, two leases at once, in any mixture. */
static void try_orders(bool device)
{
	struct err e = ERR_INIT;
	for (uint64_t seed = 0; seed < 6; seed++) {
		struct fixture f;
		fixture_open(&f, 100 + seed, readers[seed % READERS], 4, 30);
		if (device)
			fixture_device(&f, seed);
		fixture_stream(&f, seed % 3 * 2000000);
		for (int pass = 0; pass < 12; pass++) {
			size_t end = fixture_random(&f, 2) ? CHUNKS : 1 + fixture_random(&f, CHUNKS);
			size_t stop = fixture_random(&f, 3) ? end : fixture_random(&f, (uint32_t)end + 1);
			if (end != CHUNKS || fixture_random(&f, 2))
				stream_begin(f.stream, end);
			run_pass(&f, 0, stop);
			if (stop != end && fixture_random(&f, 2)) {
				struct lease l;
				assert_int_equal(stream_acquire(f.stream, stop, &l, &e), 0);
				stream_rewind(f.stream); /* while it is leased */
				assert_true(lease_is_right(&f, &l));
				stream_release(f.stream, &l);
			}
			if (end != CHUNKS)
				stream_begin(f.stream, CHUNKS);
		}
		run_pass(&f, 0, CHUNKS);
		fixture_close(&f);
	}
}

static void any_order_of_calls(void **state)
{
	(void)state;
	try_orders(false);
}

static void any_order_on_a_device(void **state)
{
	(void)state;
	try_orders(true);
}

/* When nothing more comes; the reader's thread may take a while to begin. */
static uint64_t settled_bytes(struct fixture *f)
{
	struct stream_view v;
	uint64_t last;
	int still = 0;
	stream_view(f->stream, &v);
	do {
		last = v.bytes_read;
		usleep(20000);
		stream_view(f->stream, &v);
		still = v.bytes_read && !v.in_flight && v.bytes_read == last ? still + 1 : 0;
	} while (still < 3);
	return v.bytes_read;
}

/* Blocks of a prompt skip the head: nothing is read twice. What a cancelled pass had in the ring of
 * the next one stays. */
static void nothing_is_read_twice(void **state)
{
	(void)state;
	const size_t head = CHUNKS - 8;
	struct fixture f;
	uint64_t body = 0;
	fixture_open(&f, 77, "pread", 8, 0);
	for (size_t i = 0; i < CHUNKS; i++)
		if (i < head)
			body += stream_resident_bytes(&f.chunks[i]);
	fixture_stream(&f, 100000);
	const uint64_t ring = stream_ring_min(&f.schedule) + 100000;
	uint64_t ahead = settled_bytes(&f); /* read before anything is asked for */
	assert_true(ahead > ring / 4 && ahead <= ring && ring < body);
	for (int pass = 0; pass < 3; pass++) {
		stream_begin(f.stream, head);
		run_pass(&f, 0, head);
		uint64_t used = body * (uint64_t)(pass + 1), got = settled_bytes(&f);
		/* beside what was used there is only what the ring holds */
		if (got > used + ring)
			fail_msg("pass %d: %llu bytes read, %llu used", pass, (unsigned long long)got,
				(unsigned long long)used);
	}
	fixture_close(&f);
}

/* When a chunk is released the read that has room now is under way: it waits for no other thread. */
static void room_is_used_at_once(void **state)
{
	(void)state;
	for (size_t r = 0; r < READERS; r++)
		for (uint64_t seed = 0; seed < 5; seed++) {
			struct fixture f;
			struct stream_view before, after;
			struct err e = ERR_INIT;
			struct lease l;
			size_t i = 0, freed = 0;
			fixture_open(&f, 900 + seed, readers[r], 32, 0);
			fixture_stream(&f, 200000);
			settled_bytes(&f); /* the ring is full */
			stream_view(f.stream, &before);
			do { /* until the next chunk must fit, wherever it comes to lie */
				assert_int_equal(stream_acquire(f.stream, i, &l, &e), 0);
				stream_release(f.stream, &l);
				freed += stream_resident_bytes(&f.chunks[i++]);
			} while (freed < stream_ring_min(&f.schedule) && i < before.issued);
			stream_view(f.stream, &after);
			assert_true(after.issued != before.issued);
			fixture_close(&f);
		}
}

/* Pages of both files that no chunk in memory has and a streamed one needs. */
static uint64_t pages_to_read(const struct fixture *f)
{
	enum { PAGES = FILE_BYTES / 4096 + 1 };
	static uint8_t need[FILES][PAGES];
	uint64_t sum = 0;
	memset(need, 0, sizeof(need));
	for (size_t i = 0; i < 4 * CHUNKS; i++) { /* the streamed ones, then those that stay */
		const struct chunk *c = &f->chunks[i / 2 % CHUNKS];
		const struct extent *x = i % 2 ? &c->scale : &c->data;
		const bool stays = i >= 2 * CHUNKS;
		if ((f->tiers[i / 2 % CHUNKS] == TIER_RAM) != stays || !x->bytes)
			continue;
		for (uint64_t p = x->offset / 4096; p <= (x->offset + x->bytes - 1) / 4096; p++)
			need[x->file][p] = !stays;
	}
	for (size_t p = 0; p < FILES * PAGES; p++)
		sum += (&need[0][0])[p] * (uint64_t)4096;
	return sum;
}

/* Chunks side by side: a page that two have is read once, and not at all if one of them is in memory. */
static void a_shared_page_is_read_once(void **state)
{
	(void)state;
	static const uint32_t resident[] = {0, 30, 70};
	for (size_t r = 0; r < READERS; r++)
		for (size_t t = 0; t < 3; t++) {
			struct fixture f;
			fixture_open(&f, 801 + 2 * t, readers[r], 8, resident[t]);
			fixture_stream(&f, FILE_BYTES); /* all but the last chunks are read ahead */
			run_pass(&f, 0, CHUNKS);
			run_pass(&f, 0, CHUNKS);
			uint64_t from = settled_bytes(&f), need = pages_to_read(&f);
			run_pass(&f, 0, CHUNKS);
			uint64_t got = settled_bytes(&f) - from;
			/* pages of three chunks may be read twice; one that is still there from the last pass isn't read */
			if (got + CHUNKS * 4096 < need || got > need + 4 * 4096)
				fail_msg("%llu bytes read of %llu", (unsigned long long)got, (unsigned long long)need);
			fixture_close(&f);
		}
}

static void a_resident_chunk_is_read_once(void **state)
{
	(void)state;
	struct fixture f;
	struct stream_view v;
	fixture_open(&f, 78, readers[READERS - 1], 8, 100);
	fixture_stream(&f, 0);
	uint64_t all = settled_bytes(&f);
	stream_view(f.stream, &v);
	assert_int_equal(v.resident_loaded, f.schedule.bytes);
	run_pass(&f, 0, CHUNKS);
	run_pass(&f, 0, CHUNKS);
	assert_int_equal(settled_bytes(&f), all);
	assert_non_null(stream_peek(f.stream, 3));
	fixture_close(&f);
}

static void set_all(struct fixture *f, size_t i, enum fault_kind kind, int value, int times)
{
	for (uint32_t file = 0; file < FILES; file++)
		fault_set(f->reader, 2 * i + file,
			&(struct fault){kind, file, 0, FILE_BYTES, value, times});
}

static void short_and_interrupted_reads_go_on(void **state)
{
	(void)state;
	for (size_t r = 0; r < READERS; r++) {
		struct fixture f;
		fixture_open(&f, 300 + r, readers[r], 8, 30);
		set_all(&f, 0, FAULT_SHORT, 0, 400);
		set_all(&f, 1, FAULT_ERROR, EINTR, 50);
		set_all(&f, 2, FAULT_ERROR, EAGAIN, 50);
		fixture_stream(&f, 500000);
		for (int pass = 0; pass < 3; pass++)
			run_pass(&f, 0, CHUNKS);
		assert_true(fault_count(f.reader) > 100);
		fixture_close(&f);
	}
}

static void an_error_once_is_no_error(void **state)
{
	(void)state;
	struct fixture f;
	fixture_open(&f, 310, "pread", 8, 30);
	for (size_t i = 0; i < 4; i++)
		set_all(&f, i, FAULT_ERROR, EIO, 1);
	fixture_stream(&f, 500000);
	run_pass(&f, 0, CHUNKS);
	assert_int_equal(fault_count(f.reader), 8);
	fixture_close(&f);
}

/* Whichever chunk can't be read: the error names file and offset, comes again on a retry with and
 * without a rewind, and is gone when the cause is. */
static void an_error_names_the_place_and_passes(void **state)
{
	(void)state;
	for (size_t bad = 0; bad < CHUNKS; bad++) {
		struct fixture f;
		struct err e = ERR_INIT;
		struct lease l;
		size_t i = 0;
		fixture_open(&f, 320 + bad / 2 % 2, readers[bad % READERS], 8, 30);
		const struct extent *x = &f.chunks[bad].data;
		const uint64_t at = x->offset + x->bytes / 2;
		fault_set(f.reader, 0, &(struct fault){FAULT_ERROR, x->file, at, at + 1, EIO, -1});
		fixture_stream(&f, 500000);
		while (i < CHUNKS && stream_acquire(f.stream, i, &l, &e) == 0) {
			bool right = lease_is_right(&f, &l);
			stream_release(f.stream, &l);
			assert_true(right);
			i++;
		}
		assert_true(i <= bad); /* another chunk may hold the byte too */
		assert_int_equal(e.code, ERR_IO);
		assert_non_null(strstr(e.msg, f.files[x->file].path));
		assert_non_null(strstr(e.msg, "offset"));
		assert_int_equal(stream_acquire(f.stream, i, &l, &e), -1);
		if (bad % 2)
			stream_rewind(f.stream);
		fault_set(f.reader, 0, NULL);
		run_pass(&f, bad % 2 ? 0 : i, CHUNKS);
		fixture_close(&f);
	}
}

static void a_file_cut_off_is_told(void **state)
{
	(void)state;
	for (size_t r = 0; r < READERS; r++) {
		struct fixture f;
		struct err e = ERR_INIT;
		fixture_open(&f, 330, readers[r], 8, 0);
		assert_int_equal(truncate(f.files[0].path, FILE_BYTES / 2), 0);
		fixture_stream(&f, 0);
		bool failed = false;
		for (size_t i = 0; i < CHUNKS && !failed; i++) {
			struct lease l;
			failed = stream_acquire(f.stream, i, &l, &e) < 0;
			if (!failed) {
				assert_true(lease_is_right(&f, &l));
				stream_release(f.stream, &l);
			}
		}
		assert_true(failed);
		assert_non_null(strstr(e.msg, f.files[0].path));
		assert_non_null(strstr(e.msg, "cut off"));
		fixture_close(&f);
	}
}

static void *interrupter(void *arg)
{
	usleep(50000);
	stream_interrupt(arg, true);
	return NULL;
}

static void an_interrupt_ends_a_wait(void **state)
{
	(void)state;
	struct fixture f;
	struct err e = ERR_INIT;
	pthread_t thread;
	int rc = 0;
	fixture_open(&f, 340, "pread", 2, 0);
	set_all(&f, 0, FAULT_SLOW, 100000, -1);
	fixture_stream(&f, 0);
	assert_int_equal(pthread_create(&thread, NULL, interrupter, f.stream), 0);
	int64_t from = clock_ns();
	for (size_t i = 0; i < CHUNKS && rc == 0; i++) {
		struct lease l;
		rc = stream_acquire(f.stream, i, &l, &e);
		if (rc == 0)
			stream_release(f.stream, &l);
	}
	assert_int_equal(rc, -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	assert_true(clock_ns() - from < 2000000000);
	pthread_join(thread, NULL);
	stream_rewind(f.stream);
	stream_interrupt(f.stream, false);
	set_all(&f, 0, FAULT_SLOW, 100, -1);
	run_pass(&f, 0, CHUNKS);
	fixture_close(&f);
}

static void urgent_reads_any_number_any_place(void **state)
{
	(void)state;
	enum { N = 700, BYTES = 777 };
	struct fixture f;
	struct err e = ERR_INIT;
	struct stream_piece *p = calloc(N + 2, sizeof(*p));
	unsigned char *to = malloc((size_t)N * BYTES), *all = malloc(FILE_BYTES);
	assert_true(p && to && all);
	fixture_open(&f, 350, readers[READERS - 1], 8, 30);
	set_all(&f, 0, FAULT_SHORT, 0, 300);
	fixture_stream(&f, 0);
	for (size_t i = 0; i < N; i++)
		p[i] = (struct stream_piece){fixture_random(&f, FILES),
			i % 5 ? fixture_random(&f, FILE_BYTES - BYTES) : FILE_BYTES - BYTES - i % 2, BYTES,
			to + i * BYTES};
	p[N] = (struct stream_piece){0, 0, FILE_BYTES, all}; /* larger than any buffer */
	p[N + 1] = (struct stream_piece){1, 5, 0, NULL};
	assert_int_equal(stream_read_many(f.stream, p, N + 2, &e), 0);
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < BYTES; k++)
			assert_int_equal(to[i * BYTES + k], file_byte(p[i].file, p[i].offset + k));
	for (size_t k = 0; k < FILE_BYTES; k++)
		if (all[k] != file_byte(0, k))
			fail_msg("byte %zu of a large piece is wrong", k);
	run_pass(&f, 0, CHUNKS);
	/* the very end of a file, and beyond what there is now */
	assert_int_equal(truncate(f.files[1].path, FILE_BYTES - 10), 0);
	assert_int_equal(stream_read(f.stream, 1, FILE_BYTES - 20, 10, to, &e), 0);
	assert_int_equal(stream_read(f.stream, 1, FILE_BYTES - 20, 11, to, &e), -1);
	assert_non_null(strstr(e.msg, "cut off"));
	fixture_close(&f);
	free(p);
	free(to);
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_blocks_never_overlap),
		cmocka_unit_test(ring_least_is_enough),
		cmocka_unit_test(every_pass_has_the_files_bytes),
		cmocka_unit_test(any_order_of_calls),
		cmocka_unit_test(any_order_on_a_device),
		cmocka_unit_test(nothing_is_read_twice),
		cmocka_unit_test(room_is_used_at_once),
		cmocka_unit_test(a_shared_page_is_read_once),
		cmocka_unit_test(a_resident_chunk_is_read_once),
		cmocka_unit_test(short_and_interrupted_reads_go_on),
		cmocka_unit_test(an_error_once_is_no_error),
		cmocka_unit_test(an_error_names_the_place_and_passes),
		cmocka_unit_test(a_file_cut_off_is_told),
		cmocka_unit_test(an_interrupt_ends_a_wait),
		cmocka_unit_test(urgent_reads_any_number_any_place),
	};
	alarm(PATIENCE * 120);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
