#include "tui/editor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#define TEXT_LIMIT ((size_t)16 << 20)

static const char *editor(void)
{
	const char *e = getenv("VISUAL");
	if (!e || !*e)
		e = getenv("EDITOR");
	return e && *e ? e : "vi";
}

/* Wait for the editor; when it is suspended so are we, and it goes on when we do. */
static int wait_for(pid_t pid)
{
	int st;
	while (true) {
		if (waitpid(pid, &st, WUNTRACED) < 0) {
			if (errno != EINTR)
				return -1;
		} else if (WIFSTOPPED(st)) {
			raise(SIGSTOP);
			kill(pid, SIGCONT);
		} else {
			return st;
		}
	}
}

static int edit_file(const char *path, struct err *e)
{
	const char *ed = editor();
	char command[512];
	if (snprintf(command, sizeof(command), "%s \"$1\"", ed) >= (int)sizeof(command))
		return err_set(e, ERR_USAGE, "the command in EDITOR is too long");
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, errno, "can't start the editor");
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(STDOUT_FILENO, STDERR_FILENO);
		execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
		_exit(127);
	}
	int st = wait_for(pid);
	if (st < 0 || !WIFEXITED(st) || WEXITSTATUS(st) != 0)
		return err_set(e, ERR_IO, "the editor (%.60s) failed; nothing was changed", ed);
	return 0;
}

int editor_run(const char *text, size_t len, struct buf *out, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	char path[512];
	if (snprintf(path, sizeof(path), "%s/airlchat-XXXXXX.md", tmp && *tmp ? tmp : "/tmp") >= (int)sizeof(path))
		return err_set(e, ERR_USAGE, "TMPDIR is too long");
	int fd = mkstemps(path, 3); /* 0600 */
	if (fd < 0)
		return err_sys(e, errno, "can't make %.200s", path);
	int rc = 0;
	while (len && rc == 0) {
		ssize_t n = write(fd, text, len);
		if (n < 0)
			rc = err_sys(e, errno, "can't write %.200s", path);
		text += n < 0 ? 0 : n;
		len -= n < 0 ? 0 : (size_t)n;
	}
	close(fd);
	if (rc == 0)
		rc = edit_file(path, e);
	if (rc == 0)
		rc = file_read(path, TEXT_LIMIT, out, e);
	unlink(path);
	return rc;
}
