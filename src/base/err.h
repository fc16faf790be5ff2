/* Errors: a code for programs, a sentence for people.
 *
 * Functions that can fail return 0 on success and -1 on failure, or a pointer that is NULL on
 * failure, and fill the struct err they were given. The sentence names what a user can act on: the
 * file, the tensor, the offset. Text that comes from files is sanitized where the error is set
 * (control bytes become '?'), so a message can go to a terminal as it is.
 * Not shared between threads: each thread passes its own struct err. */
#ifndef AIRLCHAT_BASE_ERR_H
#define AIRLCHAT_BASE_ERR_H

#include <stdarg.h>

enum err_code {
	ERR_NONE = 0,
	ERR_IO,		 /* the system refused: open, read, write, mmap */
	ERR_FORMAT,	 /* a file says something that can't be true */
	ERR_UNSUPPORTED, /* a file says something that airlchat can't do */
	ERR_NOMEM,	 /* an allocation failed */
	ERR_BUDGET,	 /* a memory budget is too small */
	ERR_LIMIT,	 /* a limit on untrusted input, or the context, is exceeded */
	ERR_USAGE,	 /* the caller or the command line asks for something senseless */
	ERR_CANCELLED,	 /* stopped on request */
};

struct err {
	enum err_code code;
	char msg[640]; /* one sentence, UTF-8, no newline, no control bytes */
};

#define ERR_INIT {ERR_NONE, ""}

/* Set code and message; always return -1, so that `return err_set(...)` reads well. e may be NULL. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int err_vset(struct err *e, enum err_code code, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

/* The same with ": strerror(errnum)" behind it and code ERR_IO (ERR_NOMEM for ENOMEM). */
int err_sys(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "text: " in front of the message that is there; the code stays. Returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int err_nomem(struct err *e); /* "out of memory" */

void err_clear(struct err *e);

#endif
