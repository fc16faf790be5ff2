#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/cpu/cpu.h"
#include "cli/commands.h"
#include "cli/options_table.h"

int report(const struct err *e)
{
	fprintf(stderr, "airlchat: %s\n", e->msg);
	return e->code == ERR_USAGE ? 2 : e->code == ERR_CANCELLED ? 130 : 1;
}

static void version(void)
{
	puts("airlchat " PACKAGE_VERSION);
	printf("  kernels:");
	for (const char *const *v = cpu_backend_variants(); *v; v++)
		printf(" %s", *v);
#ifdef HAVE_LIBURING
	puts("\n  readers: uring pread");
#else
	puts("\n  readers: pread (built without liburing)");
#endif
	puts("  device: cpu");
}

static bool wants_screen(const struct options *o)
{
	return o->command == CMD_CHAT && !o->prompt && !o->plain && isatty(STDIN_FILENO) &&
		isatty(STDOUT_FILENO);
}

static int run(const struct options *o)
{
	struct err e = ERR_INIT;
	struct backend *b = NULL;
	if (o->command == CMD_TOKENIZE)
		return cmd_tokenize(o);
	if (o->command == CMD_RENDER)
		return cmd_render(o);
	if (o->command == CMD_PREPARE)
		return cmd_prepare(o);
	if (cpu_backend_open(&b, o->ops, o->threads, &e) < 0)
		return report(&e);
	if (o->math_fast)
		cpu_backend_fast(b); /* where it isn't possible it stays exact; the statistics tell */
	int rc = o->command == CMD_PLAN	  ? cmd_plan(o, b)
		: o->command == CMD_LOGITS ? cmd_logits(o, b)
		: o->command == CMD_BENCH  ? cmd_bench(o, b)
		: o->prompt && !o->go_on && !o->resume ? cmd_prompt(o, b)
		: wants_screen(o)	   ? cmd_screen(o, b)
					   : cmd_plain(o, b);
	b->ops->close(b);
	return rc;
}

int main(int argc, char **argv)
{
	struct options o;
	struct err e = ERR_INIT;
	for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0;) /* a closed one of 0 to 2 is no place for files */
		if (fd > 2) {
			close(fd);
			break;
		}
	setlocale(LC_CTYPE, "");
	int rc = options_parse(&o, argc, argv, &e) < 0 ? report(&e) : 0;
	if (rc == 0 && o.help)
		options_help();
	else if (rc == 0 && o.version)
		version();
	else if (rc == 0 && o.print_config)
		options_print_config();
	else if (rc == 0 && o.completion)
		rc = options_print_completion(o.completion, &e) < 0 ? report(&e) : 0;
	else if (rc == 0 && !wants_screen(&o) && interrupt_start(&e) < 0) /* the screen has its own way */
		rc = report(&e);
	else if (rc == 0)
		rc = run(&o);
	options_clear(&o);
	if ((fflush(stdout) != 0 || ferror(stdout)) && rc == 0) { /* a flush before may have failed */
		fputs("airlchat: can't write to stdout\n", stderr);
		rc = 1;
	}
	return rc;
}
