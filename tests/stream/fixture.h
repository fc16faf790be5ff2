/* A checkpoint of two files with known bytes, a schedule of odd chunks over them, and a stream. */
#ifndef AIRLCHAT_TESTS_STREAM_FIXTURE_H
#define AIRLCHAT_TESTS_STREAM_FIXTURE_H

#include "backend/backend.h"
#include "stream/stream.h"
#include "support/fault_reader.h"

enum {
	FILES = 2,
	CHUNKS = 40,
	FILE_BYTES = 3000001,
	LAYERS = 4, /* with experts, of PARTS chunks each */
	EXPERTS = 16,
	PARTS = 2,
	EXPERT_CHUNKS = LAYERS * EXPERTS * PARTS
};

struct fixture {
	char dir[64];
	char *paths[FILES];
	struct checkpoint_file files[FILES];
	struct checkpoint checkpoint;
	struct chunk chunks[CHUNKS];
	struct schedule schedule;
	uint8_t tiers[CHUNKS];
	struct chunk expert_chunks[EXPERT_CHUNKS];
	uint32_t expert_first[LAYERS * EXPERTS + 1], pack_first[EXPERT_CHUNKS + 1];
	size_t expert_bytes; /* of the cache; 0: no experts */
	struct backend *backend;
	struct reader *reader; /* a fault reader */
	struct stream *stream;
	uint64_t random;
	/* on a device: bytes whose download was enqueued; they are checked by fixture_settle */
	struct later {
		unsigned char *bytes;
		struct extent x;
	} later[256];
	size_t n_later;
	struct event *event;
};

/* What byte `at` of a file holds. */
static inline unsigned char file_byte(uint32_t file, uint64_t at)
{
	uint64_t x = (at + 1) * 0x9E3779B97F4A7C15u ^ (uint64_t)file << 60;
	return (unsigned char)(x >> 56 ^ x >> 23);
}

uint32_t fixture_random(struct fixture *f, uint32_t below);

/* Files, schedule, tiers by share (percent of the chunks that are resident), reader "pread", "uring". With an odd
 * seed the chunks lie side by side, nearly in order; else anywhere. */
void fixture_open(struct fixture *f, uint64_t seed, const char *reader, unsigned depth, uint32_t resident);
/* Give the schedule experts whose sizes differ by at most `spread` bytes. */
void fixture_experts(struct fixture *f, uint32_t spread);
/* The stream, with a ring of `extra` bytes more than the smallest. */
void fixture_stream(struct fixture *f, size_t extra);
/* The CPU, in the backend's place, behind delayed queues: before fixture_stream. */
void fixture_device(struct fixture *f, uint64_t seed);
void fixture_settle(struct fixture *f);
void fixture_close(struct fixture *f);

/* Do the lease's bytes say what the files say? On a device the answer comes later. */
bool lease_is_right(struct fixture *f, const struct lease *l);
/* Acquire, check, release the chunks from..to-1. */
void run_pass(struct fixture *f, size_t from, size_t to);

#endif
