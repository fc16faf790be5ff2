/* The screen on a fake session, for tests in a real terminal. */
#include <stdio.h>

#include "tui/tui.h"

int main(void)
{
	struct err e = ERR_INIT;
	struct tui_options o = {0};
	if (tui_run(NULL, &o, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	return o.exit_status;
}
