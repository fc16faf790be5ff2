#ifndef AIRLCHAT_TESTS_FAKE_SESSION_H
#define AIRLCHAT_TESTS_FAKE_SESSION_H

#include <stddef.h>

void fake_session_load(const char *role, const char *text, size_t len); /* before tui_run */

#endif
