/* Answers on stdout. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/commands.h"

void print_text(void *arg, const char *p, size_t len)
{
	struct printer *out = arg;
	if (out->quiet || len == 0)
		return;
	out->newline = p[len - 1] == '\n';
	if (out->terminal) { /* model output is untrusted: no escapes reach a terminal */
		buf_reset(&out->safe);
		utf8_append_printable(&out->safe, p, len);
		fwrite(buf_str(&out->safe), 1, out->safe.len, stdout);
	} else {
		fwrite(p, 1, len, stdout);
	}
	fflush(stdout);
}

static void literal(struct printer *out, const char *s)
{
	print_text(out, s, strlen(s));
}

void printer_begin(struct printer *out)
{
	out->reasoning = out->newline = false;
}

void print_part(void *arg, bool reasoning, const char *p, size_t len)
{
	struct printer *out = arg;
	if (reasoning != out->reasoning)
		literal(out, reasoning ? "<think>\n" : "\n</think>\n\n");
	out->reasoning = reasoning;
	print_text(out, p, len);
}

void printer_end(struct printer *out)
{
	if (out->reasoning)
		literal(out, "\n</think>");
	if (!out->newline)
		literal(out, "\n");
	out->reasoning = false;
}
