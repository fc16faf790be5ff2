/* The screen on a fake session, for tests in a real terminal: tui_demo [ANSWER_FILE [THEME]]. */
#include <stdio.h>

#include "base/file.h"
#include "support/fake_session.h"
#include "tui/tui.h"

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct buf text = BUF_INIT;
	struct tui_options o = {.theme = argc > 2 ? argv[2] : NULL};
	if (argc > 1) {
		if (file_read(argv[1], (size_t)64 << 20, &text, &e))
			fprintf(stderr, "%s\n", e.msg);
		fake_session_load("user", "show it", 7);
		fake_session_load("assistant", buf_str(&text), text.len);
	}
	if (tui_run(NULL, &o, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	buf_clear(&text);
	return o.exit_status;
}
