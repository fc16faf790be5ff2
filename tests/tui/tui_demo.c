/* The screen on a fake session, for tests in a real terminal: tui_demo [ANSWER_FILE [THEME]]. Its status is
 * 99 when signals are not handled as before once the screen is closed. */
#include <signal.h>
#include <stdio.h>

#include "base/file.h"
#include "support/fake_session.h"
#include "tui/tui.h"

static bool default_signals(void)
{
	static const int all[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH, SIGABRT};
	struct sigaction a;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (sigaction(all[i], NULL, &a) || a.sa_handler != SIG_DFL)
			return false;
	return true;
}

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
	return default_signals() ? o.exit_status : 99;
}
