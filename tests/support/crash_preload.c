/* For LD_PRELOAD: what changes a file system is counted, and at one of these calls the program is killed or told of an
 * error. CRASH is "CALL NUMBER KIND TIMES": the NUMBER-th (from 1) call of that name, or of "any"; KIND is an errno
 * for TIMES calls, -1 to be killed before it is made, -2 behind it, -3 (write) in its middle, -4 that the shell does
 * what CRASH_DO says before it. The number of calls is written to the file that CRASH_COUNT names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long count;

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("CRASH_COUNT");
	FILE *f = path ? fopen(path, "w") : NULL;
	if (!f)
		return;
	fprintf(f, "%ld\n", count);
	fclose(f);
}

/* What happens to this call: 0, an errno, or what is below 0. Only prepare's first thread writes. */
static int what(const char *call)
{
	char name[32];
	long number, kind, times;
	const char *rule = getenv("CRASH");
	if (!rule || sscanf(rule, "%31s %ld %ld %ld", name, &number, &kind, &times) != 4) {
		count++;
		return 0;
	}
	if (strcmp(name, "any") != 0 && strcmp(name, call) != 0)
		return 0;
	count++;
	if (count < number || count >= number + times)
		return 0;
	if (kind == -1)
		raise(SIGKILL);
	if (kind == -4) {
		unsetenv("LD_PRELOAD");
		if (system(getenv("CRASH_DO")) != 0)
			abort();
		return 0;
	}
	errno = (int)kind;
	return (int)kind;
}

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* Calls of two or three arguments that return 0 or -1. */
#define CALL(name, params, args)                                                                  \
	int name params                                                                           \
	{                                                                                         \
		int (*f) params;                                                                  \
		int kind = what(#name);                                                           \
		if (kind > 0)                                                                     \
			return -1;                                                                \
		*(void **)&f = real(#name);                                                       \
		int rc = f args;                                                                  \
		if (kind < 0)                                                                     \
			raise(SIGKILL);                                                           \
		return rc;                                                                        \
	}

CALL(fsync, (int fd), (fd))
CALL(rename, (const char *a, const char *b), (a, b))
CALL(unlink, (const char *a), (a))
CALL(unlinkat, (int fd, const char *a, int flags), (fd, a, flags))
CALL(rmdir, (const char *a), (a))
CALL(mkdir, (const char *a, mode_t mode), (a, mode))
CALL(symlink, (const char *a, const char *b), (a, b))
CALL(ftruncate, (int fd, off_t size), (fd, size))
CALL(mkostemp, (char *a, int flags), (a, flags))
CALL(sync_file_range, (int fd, off64_t at, off64_t bytes, unsigned flags), (fd, at, bytes, flags))

ssize_t write(int fd, const void *p, size_t bytes)
{
	ssize_t (*f)(int, const void *, size_t);
	int kind = fd > 2 ? what("write") : 0;
	if (kind > 0)
		return -1;
	*(void **)&f = real("write");
	ssize_t rc = f(fd, p, kind == -3 ? bytes / 2 : bytes);
	if (kind < 0)
		raise(SIGKILL);
	return rc;
}

int open(const char *path, int flags, ...)
{
	int (*f)(const char *, int, ...);
	va_list more;
	va_start(more, flags);
	unsigned mode = flags & O_CREAT ? va_arg(more, unsigned) : 0;
	va_end(more);
	int kind = flags & O_CREAT ? what("open") : 0;
	if (kind > 0)
		return -1;
	*(void **)&f = real("open");
	int rc = f(path, flags, mode);
	if (kind < 0)
		raise(SIGKILL);
	return rc;
}
