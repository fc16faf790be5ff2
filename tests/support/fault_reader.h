/* A reader for tests that does to reads what drives and kernels do: it wraps a real one, and what its
 * rules name comes late, short, interrupted or not at all. */
#ifndef AIRLCHAT_TESTS_FAULT_READER_H
#define AIRLCHAT_TESTS_FAULT_READER_H

#include "stream/reader.h"

enum fault_kind {
	FAULT_ERROR, /* the read fails with `value` as errno */
	FAULT_SHORT, /* it gives a random part of what it could; never nothing */
	FAULT_SLOW   /* it takes `value` microseconds more */
};

struct fault { /* for requests that touch the bytes from..to-1 of the file */
	enum fault_kind kind;
	uint32_t file;
	uint64_t from, to;
	int value;
	int times; /* how often; negative: always */
};

#define FAULTS 8

/* The wrapped reader is closed with this one. Rules may be changed at any time (one lock inside). */
int fault_reader_open(struct reader **out, struct reader *wrapped, struct err *e);
void fault_set(struct reader *r, size_t i, const struct fault *f); /* i < FAULTS; NULL removes it */
int fault_count(struct reader *r); /* requests that a rule has changed */

#endif
