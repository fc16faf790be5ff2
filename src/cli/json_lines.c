/* Commands that answer line for line: one JSON object in, one out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/commands.h"

int json_lines(int (*line)(void *arg, const char *text, size_t len, struct buf *out, struct err *e),
	void *arg)
{
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;
	int status = 0;
	struct buf out = BUF_INIT;
	while ((n = getline(&text, &cap, stdin)) >= 0) {
		size_t len = (size_t)n;
		while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
			len--;
		if (len == 0)
			continue;
		struct err e = ERR_INIT;
		buf_reset(&out);
		if (line(arg, text, len, &out, &e) < 0 || buf_ok(&out, &e) < 0) {
			status = 1;
			buf_reset(&out);
			buf_puts(&out, "{\"error\": ");
			json_write_str(&out, e.msg, strlen(e.msg));
			buf_addc(&out, '}');
		}
		buf_addc(&out, '\n');
		fwrite(out.p, 1, out.len, stdout);
		fflush(stdout);
	}
	free(text);
	buf_clear(&out);
	return status;
}
