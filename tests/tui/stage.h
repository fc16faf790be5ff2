/* What meters and panels are fed with in tests: a session's view, filled by a fake engine that plays a
 * recorded trace under a virtual clock. */
#ifndef AIRLCHAT_TESTS_STAGE_H
#define AIRLCHAT_TESTS_STAGE_H

#include "chat/session.h"
#include "support/replay.h"

enum scene {
	IDLE,	  /* nothing measured */
	PROMPT,	  /* in the middle of the prompt */
	TOKEN,	  /* in the middle of the third token, weights from the disk */
	RESIDENT, /* likewise, all weights in memory */
	COPIES,	  /* TOKEN on a device with memory of its own: a third of the chunks lies there, and part of the
		   * waiting is for copies (made up: the recording has none) */
	SCENES
};

struct stage {
	struct replay replay;
	struct session_view v;
	struct plan plan;
	uint8_t kept[31];
};

void stage_open(struct stage *st, enum scene scene); /* $srcdir: where tests/ is */
void stage_close(struct stage *st);
void test_path(char *out, size_t cap, const char *name); /* of a file in tests/ */

#endif
