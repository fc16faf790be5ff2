/* What the system may refuse: io_uring, direct reads, locked memory. Each in a process of its own, under a
 * seccomp filter or a limit. The bytes are right all the same, and the reader says what it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "stream/fixture.h"
#include "support/sanitized.h"

static void filter(const struct sock_filter *code, size_t n)
{
	const struct sock_fprog prog = {.len = (unsigned short)n, .filter = (struct sock_filter *)code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		_exit(77);
}

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void refuse_uring(void)
{
	const struct sock_filter code[] = {LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		REFUSE(EPERM), ALLOW};
	filter(code, sizeof(code) / sizeof(*code));
}

static void refuse_direct(void) /* fcntl(fd, F_SETFL, O_DIRECT | ...) */
{
	const struct sock_filter code[] = {LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fcntl, 0, 5),
		LOAD(args[1]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETFL, 0, 3), LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_DIRECT, 0, 1), REFUSE(EINVAL), ALLOW};
	filter(code, sizeof(code) / sizeof(*code));
}

static void lock_at_most(rlim_t bytes)
{
	const struct rlimit limit = {bytes, bytes};
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || (getuid() == 0 && setuid(65534) < 0))
		_exit(77);
}

static void no_locked_memory(void)
{
	lock_at_most(0);
}

static void little_locked_memory(void) /* enough for io_uring itself, too little for buffers */
{
	lock_at_most(64 << 10);
}

/* A few passes in a child under `refuse`; the reader's name and note must hold these texts. */
static void passes(void (*refuse)(void), const char *kind, const char *name, const char *note)
{
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fixture f;
		struct err e = ERR_INIT;
		struct reader *r;
		struct lease l;
		alarm(PATIENCE * 60);
		fixture_open(&f, 900, "pread", 8, 30); /* makes the files */
		if (getuid() == 0 && chown(f.dir, 65534, 65534) < 0) /* for the one that gives root up */
			_exit(4);
		refuse();
		if (reader_open(&r, kind, &f.checkpoint, NULL, 8, &e) < 0)
			_exit(strcmp(kind, "uring") ? 2 : 77);
		bool ok = strstr(r->name, name) && strstr(r->note, note);
		f.reader = r;
		fixture_stream(&f, 300000);
		for (int pass = 0; pass < 3; pass++)
			for (size_t i = 0; ok && i < CHUNKS; i++) {
				ok = stream_acquire(f.stream, i, &l, &e) == 0 && lease_is_right(&f, &l);
				if (ok)
					stream_release(f.stream, &l);
			}
		stream_close(f.stream);
		r->ops->close(r);
		for (int i = 0; i < FILES; i++)
			unlink(f.files[i].path);
		rmdir(f.dir);
		_exit(ok ? 0 : 3);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* seccomp itself, or io_uring, is refused here */
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void nothing(void)
{
}

static void direct_reads_by_default(void **state)
{
	(void)state;
	passes(nothing, "pread", "pread+", "");
}

static void without_direct_reads(void **state)
{
	(void)state;
	passes(refuse_direct, "pread", "pread+buffered", "");
}

#ifdef HAVE_LIBURING
static void without_direct_reads_uring(void **state)
{
	(void)state;
	passes(refuse_direct, "auto", "+buffered", "");
}

static void without_uring(void **state)
{
	(void)state;
	passes(refuse_uring, "auto", "pread+", "refuses io_uring");
}

static void without_locked_memory(void **state)
{
	(void)state;
	passes(no_locked_memory, "auto", "+", "");
}

static void with_little_locked_memory(void **state)
{
	(void)state;
	passes(little_locked_memory, "uring", "uring+", "");
}

static void uring_alone_is_an_error(void **state)
{
	(void)state;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fixture f;
		struct err e = ERR_INIT;
		struct reader *r;
		fixture_open(&f, 901, "pread", 8, 30);
		refuse_uring();
		int rc = reader_open(&r, "uring", &f.checkpoint, NULL, 8, &e);
		for (int i = 0; i < FILES; i++)
			unlink(f.files[i].path);
		rmdir(f.dir);
		_exit(rc == -1 && strstr(e.msg, "refuses io_uring") && strstr(e.msg, "--reader pread") ? 0 : 3);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direct_reads_by_default),
		cmocka_unit_test(without_direct_reads),
#ifdef HAVE_LIBURING
		cmocka_unit_test(without_direct_reads_uring),
		cmocka_unit_test(without_uring),
		cmocka_unit_test(without_locked_memory),
		cmocka_unit_test(with_little_locked_memory),
		cmocka_unit_test(uring_alone_is_an_error),
#endif
	};
	alarm(PATIENCE * 120);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
