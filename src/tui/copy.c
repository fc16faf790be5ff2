#include "tui/copy.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define OSC52_LIMIT 75000 /* bytes of text: xterm takes 100000 of base64 */

static void base64(const char *s, size_t len, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < len; i += 3) {
		unsigned n = (unsigned)(unsigned char)s[i] << 16;
		n |= i + 1 < len ? (unsigned)(unsigned char)s[i + 1] << 8 : 0;
		n |= i + 2 < len ? (unsigned)(unsigned char)s[i + 2] : 0;
		buf_addc(out, digits[n >> 18]);
		buf_addc(out, digits[n >> 12 & 63]);
		buf_addc(out, i + 1 < len ? digits[n >> 6 & 63] : '=');
		buf_addc(out, i + 2 < len ? digits[n & 63] : '=');
	}
}

bool copy_sequence(const char *text, size_t len, struct buf *out)
{
	if (len > OSC52_LIMIT)
		return false;
	buf_puts(out, "\x1b]52;c;");
	base64(text, len, out);
	buf_puts(out, "\x1b\\");
	return true;
}

extern char **environ;

/* The text lies in a memory file, so that nobody waits for the tool to read it. */
static bool run_tool(char *const argv[], int fd)
{
	posix_spawn_file_actions_t fa;
	pid_t pid;
	if (posix_spawn_file_actions_init(&fa))
		return false;
	posix_spawn_file_actions_adddup2(&fa, fd, STDIN_FILENO);
	posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&fa, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	bool ok = posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ) == 0;
	posix_spawn_file_actions_destroy(&fa);
	while (waitpid(-1, NULL, WNOHANG) > 0) /* those of earlier copies */
		continue;
	return ok;
}

void copy_tools(const char *text, size_t len, struct buf *how)
{
	/* posix_spawn takes char *, for history's sake, and writes to none of them */
	static char wl[] = "wl-copy", xc[] = "xclip", sel[] = "-selection", clip[] = "clipboard", tm[] = "tmux",
		    load[] = "load-buffer", w[] = "-w", in[] = "-";
	char *const wl_argv[] = {wl, NULL}, *const x_argv[] = {xc, sel, clip, NULL};
	char *const tmux_argv[] = {tm, load, w, in, NULL};
	const struct {
		const char *env;
		char *const *argv;
	} tools[] = {{"WAYLAND_DISPLAY", wl_argv}, {"DISPLAY", x_argv}, {"TMUX", tmux_argv}};
	for (size_t i = 0; i < sizeof(tools) / sizeof(*tools); i++) {
		if (!getenv(tools[i].env) || (i == 1 && getenv("WAYLAND_DISPLAY")))
			continue;
		int fd = memfd_create("copy", MFD_CLOEXEC);
		bool ok = fd >= 0 && write(fd, text, len) == (ssize_t)len && lseek(fd, 0, SEEK_SET) == 0 &&
			run_tool(tools[i].argv, fd);
		if (ok) {
			buf_puts(how, how->len ? ", " : "");
			buf_puts(how, tools[i].argv[0]);
		}
		if (fd >= 0)
			close(fd);
	}
}
