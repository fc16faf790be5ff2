#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/cpu/cpu.h"
#include "stream/fixture.h"
#include "support/delay_backend.h"

uint32_t fixture_random(struct fixture *f, uint32_t below)
{
	f->random = f->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((f->random >> 33) % below);
}

static void write_file(struct fixture *f, uint32_t i)
{
	char name[96];
	snprintf(name, sizeof(name), "%s/part-%u", f->dir, i);
	unsigned char *p = malloc(FILE_BYTES);
	assert_non_null(p);
	for (size_t at = 0; at < FILE_BYTES; at++)
		p[at] = file_byte(i, at);
	FILE *out = fopen(name, "wb");
	assert_non_null(out);
	assert_int_equal(fwrite(p, 1, FILE_BYTES, out), FILE_BYTES);
	assert_int_equal(fclose(out), 0);
	free(p);
	f->files[i] = (struct checkpoint_file){.path = strdup(name), .size = FILE_BYTES};
}

static struct extent odd_extent(struct fixture *f, uint32_t most)
{
	uint64_t bytes = 1 + fixture_random(f, most);
	uint64_t offset = fixture_random(f, (uint32_t)(FILE_BYTES - bytes + 1));
	if (fixture_random(f, 8) == 0)
		offset = FILE_BYTES - bytes; /* up to the last byte */
	return (struct extent){fixture_random(f, FILES), offset, bytes};
}

/* Data in the first file, scales in the second; now and then two chunks have changed places. */
static void side_by_side(struct fixture *f)
{
	uint64_t at[FILES] = {7 + fixture_random(f, 5000), 1};
	size_t order[CHUNKS];
	for (size_t i = 0; i < CHUNKS; i++)
		order[i] = i;
	for (size_t i = 0; i + 3 < CHUNKS; i += 1 + fixture_random(f, 9)) {
		order[i] = i + 3;
		order[i + 3] = i;
		i += 3;
	}
	for (size_t i = 0; i < CHUNKS; i++) {
		struct chunk *c = &f->chunks[order[i]];
		c->data = (struct extent){0, at[0], 1 + fixture_random(f, fixture_random(f, 2) ? 120000 : 5000)};
		at[0] += c->data.bytes;
		if (c->scale.bytes)
			c->scale = (struct extent){1, at[1], c->scale.bytes};
		at[1] += c->scale.bytes;
	}
	struct extent *last = &f->chunks[order[CHUNKS - 1]].data;
	assert_true(at[0] <= FILE_BYTES);
	last->bytes = FILE_BYTES - last->offset < 200000 ? FILE_BYTES - last->offset : last->bytes;
}

void fixture_open(struct fixture *f, uint64_t seed, const char *reader, unsigned depth, uint32_t resident)
{
	struct err e = ERR_INIT;
	struct reader *real;
	memset(f, 0, sizeof(*f));
	f->random = seed;
	snprintf(f->dir, sizeof(f->dir), "/tmp/airlchat-stream-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	for (uint32_t i = 0; i < FILES; i++)
		write_file(f, i);
	f->checkpoint = (struct checkpoint){.files = f->files, .n_files = FILES};
	f->schedule = (struct schedule){.chunks = f->chunks, .n = CHUNKS};
	for (size_t i = 0; i < CHUNKS; i++) {
		struct chunk *c = &f->chunks[i];
		c->data = odd_extent(f, i % 7 == 0 ? 1200000 : 60000);
		if (i % 3 == 0)
			c->scale = odd_extent(f, 3000);
		f->tiers[i] = fixture_random(f, 100) < resident ? TIER_RAM : TIER_DISK;
	}
	if (seed % 2)
		side_by_side(f);
	for (size_t i = 0; i < CHUNKS; i++) {
		struct chunk *c = &f->chunks[i];
		c->bytes = c->data.bytes + c->scale.bytes;
		f->schedule.bytes += c->bytes;
	}
	assert_int_equal(cpu_backend_open(&f->backend, "ref", 1, &e), 0);
	if (reader_open(&real, reader, &f->checkpoint, NULL, depth, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(fault_reader_open(&f->reader, real, &e), 0);
}

void fixture_experts(struct fixture *f, uint32_t spread)
{
	for (size_t i = 0; i < EXPERT_CHUNKS; i++) {
		struct chunk *c = &f->expert_chunks[i];
		c->data.bytes = 20000 + (spread ? fixture_random(f, spread) : 0);
		c->data.offset = fixture_random(f, (uint32_t)(FILE_BYTES - c->data.bytes + 1));
		c->data.file = fixture_random(f, FILES);
		const struct extent *before = i % PARTS ? &c[-1].data : NULL; /* often one behind the other */
		if (before && before->offset + before->bytes + c->data.bytes <= FILE_BYTES && fixture_random(f, 2))
			c->data = (struct extent){before->file, before->offset + before->bytes, c->data.bytes};
		if (spread && i % 2)
			c->scale = odd_extent(f, 3000);
		c->bytes = c->data.bytes + c->scale.bytes;
		f->schedule.expert_bytes += c->bytes;
	}
	for (uint32_t i = 0; i <= LAYERS * EXPERTS; i++)
		f->expert_first[i] = i * PARTS;
	f->schedule.expert_chunks = f->expert_chunks;
	f->schedule.n_expert_chunks = EXPERT_CHUNKS;
	f->schedule.expert_first = f->expert_first;
	f->schedule.n_experts = EXPERTS;
	f->schedule.pack_first = f->pack_first; /* packs of one chunk and of all chunks of an expert */
	for (uint32_t i = 0; i < EXPERT_CHUNKS; i++)
		if (i % PARTS == 0 || (spread && fixture_random(f, 2)))
			f->pack_first[f->schedule.n_packs++] = i;
	f->pack_first[f->schedule.n_packs] = EXPERT_CHUNKS;
}

void fixture_device(struct fixture *f, uint64_t seed)
{
	struct err e = ERR_INIT;
	f->backend->ops->close(f->backend);
	assert_int_equal(delay_backend_open(&f->backend, "ref", 1, seed, &e), 0);
	assert_non_null(f->event = f->backend->ops->event_new(f->backend));
	for (size_t i = 0; i < CHUNKS; i++)
		if (f->tiers[i] == TIER_RAM && fixture_random(f, 2))
			f->tiers[i] = TIER_VRAM;
}

void fixture_stream(struct fixture *f, size_t extra)
{
	struct err e = ERR_INIT;
	const struct stream_config c = {.checkpoint = &f->checkpoint, .schedule = &f->schedule,
		.tiers = f->tiers, .ring_bytes = stream_ring_min(&f->schedule) + extra,
		.device_ring_bytes = f->backend->host_memory ? 0 : stream_ring_min(&f->schedule) + extra / 2,
		.expert_bytes = f->expert_bytes, .backend = f->backend, .reader = f->reader};
	if (stream_open(&f->stream, &c, &e) < 0)
		fail_msg("%s", e.msg);
}

void fixture_close(struct fixture *f)
{
	fixture_settle(f);
	if (f->event)
		f->backend->ops->event_free(f->backend, f->event);
	stream_close(f->stream);
	f->reader->ops->close(f->reader);
	f->backend->ops->close(f->backend);
	for (uint32_t i = 0; i < FILES; i++) {
		unlink(f->files[i].path);
		free(f->files[i].path);
	}
	rmdir(f->dir);
}

static bool same(const struct extent *x, const unsigned char *p)
{
	for (uint64_t i = 0; i < x->bytes; i++)
		if (p[i] != file_byte(x->file, x->offset + i))
			return false;
	return true;
}

void fixture_settle(struct fixture *f)
{
	struct err e = ERR_INIT;
	struct backend *b = f->backend;
	if (!f->n_later)
		return;
	b->ops->event_record(b, QUEUE_COMPUTE, f->event);
	assert_int_equal(b->ops->event_sync(b, f->event, &e), 0);
	while (f->n_later) {
		struct later *l = &f->later[--f->n_later];
		if (!same(&l->x, l->bytes))
			fail_msg("wrong bytes came from the device");
		free(l->bytes);
	}
}

static void check_later(struct fixture *f, const struct extent *x, const void *device)
{
	struct later *l = &f->later[f->n_later++];
	*l = (struct later){malloc(x->bytes), *x};
	assert_non_null(l->bytes);
	f->backend->ops->download(f->backend, QUEUE_COMPUTE, l->bytes, device, x->bytes);
}

bool lease_is_right(struct fixture *f, const struct lease *l)
{
	const struct chunk *c = l->expert ? &f->expert_chunks[l->index] : &f->chunks[l->index];
	if (!c->scale.bytes != !l->scale)
		return false;
	if (f->backend->host_memory)
		return same(&c->data, l->data) && (!l->scale || same(&c->scale, l->scale));
	if (f->n_later + 2 > sizeof(f->later) / sizeof(*f->later))
		fixture_settle(f);
	check_later(f, &c->data, l->data);
	if (l->scale)
		check_later(f, &c->scale, l->scale);
	return true;
}

void run_pass(struct fixture *f, size_t from, size_t to)
{
	struct err e = ERR_INIT;
	for (size_t i = from; i < to; i++) {
		struct lease l;
		if (stream_acquire(f->stream, i, &l, &e) < 0)
			fail_msg("chunk %zu: %s", i, e.msg);
		if (!lease_is_right(f, &l))
			fail_msg("chunk %zu has wrong bytes", i);
		stream_release(f->stream, &l);
	}
}
