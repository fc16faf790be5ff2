/* A fake engine: plays a recorded trace into a struct trace under a virtual clock.
 *
 * The recording is text, times in microseconds since the pass began:
 *	layers N
 *	pass prefill ROWS wall
 *	layer L
 *	span CAUSE t0 t1	(0 disk wait, 1 copy wait, 2 compute)
 *	use TIER BYTES issued in_ram from start
 *	end */
#ifndef AIRLCHAT_TESTS_REPLAY_H
#define AIRLCHAT_TESTS_REPLAY_H

#include "trace/trace.h"

struct replay {
	struct trace *trace;
	int64_t now; /* the virtual clock */
	char *text, *at;
	bool copies; /* make copies to a device up: a third of the chunks lies there, half of a wait is for copies */
	unsigned uses;
};

int replay_open(struct replay *r, const char *path); /* -1 when it can't be read */
/* Play to the end of the next pass (or up to `until` us of it, when >= 0); false when none is left. */
bool replay_pass(struct replay *r, int64_t until);
void replay_close(struct replay *r);

#endif
