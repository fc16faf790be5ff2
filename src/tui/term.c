#include "tui/term.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "base/utf8.h"
#include "tui/paint.h"

#define PASTE_ON "\x1b[?2004h"
#define MOUSE_ON "\x1b[?1000h\x1b[?1006h"
#define ALL_OFF "\x1b[?1006l\x1b[?1000l\x1b[?2004l"
#define STDERR_LIMIT 65536

static int pipe_fd[2] = {-1, -1};
static struct termios before;
static volatile sig_atomic_t taken; /* the terminal is in our modes */
static const char *leave;
static bool mouse, utf8;
static locale_t native;	 /* of the terminal, when its characters are not UTF-8; else 0 */
static bool translate;	 /* ... and there are more of them than ASCII */
static mbstate_t typing; /* of a character that is not whole yet */
static int real_stderr = -1, kept_stderr = -1;

static const int caught[] = {SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT};
static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
#define N_CAUGHT (sizeof(caught) / sizeof(*caught))
#define N_CRASHES (sizeof(crashes) / sizeof(*crashes))
static struct sigaction old[N_CAUGHT], old_crash[N_CRASHES];

/* Async-signal-safe. What can't be written after two seconds is given up: the terminal is gone. */
void term_write(const char *s, size_t n)
{
	while (n) {
		ssize_t r = write(STDOUT_FILENO, s, n);
		struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};
		if (r > 0) {
			s += r;
			n -= (size_t)r;
		} else if (r < 0 && errno == EAGAIN) {
			if (poll(&p, 1, 2000) <= 0)
				return;
		} else if (r == 0 || errno != EINTR) {
			return;
		}
	}
}

static void on_signal(int sig)
{
	int keep = errno;
	char c = (char)sig;
	ssize_t r = write(pipe_fd[1], &c, 1);
	(void)r; /* full: signals wait there already */
	errno = keep;
}

/* --- what is printed on stderr while the screen is up --- */

static void stderr_keep(void)
{
	if (!isatty(STDERR_FILENO))
		return; /* it goes to a file already */
	kept_stderr = memfd_create("stderr", MFD_CLOEXEC);
	real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (kept_stderr < 0 || real_stderr < 0 || dup2(kept_stderr, STDERR_FILENO) < 0) {
		close(kept_stderr);
		close(real_stderr);
		kept_stderr = real_stderr = -1;
	}
}

/* Async-signal-safe. Controls other than newlines are dropped: nobody vouches for this text. */
static void stderr_give_back(void)
{
	char b[1024];
	off_t end = kept_stderr >= 0 ? lseek(kept_stderr, 0, SEEK_END) : 0;
	off_t at = end > STDERR_LIMIT ? end - STDERR_LIMIT : 0;
	if (kept_stderr < 0)
		return;
	dup2(real_stderr, STDERR_FILENO);
	for (ssize_t n; (n = pread(kept_stderr, b, sizeof(b), at)) > 0; at += n) {
		for (ssize_t i = 0; i < n; i++)
			if (((unsigned char)b[i] < ' ' && b[i] != '\n' && b[i] != '\t') || b[i] == 0x7f)
				b[i] = '?';
		for (ssize_t k = 0, r; k < n; k += r)
			if ((r = write(STDERR_FILENO, b + k, (size_t)(n - k))) <= 0)
				break;
	}
	close(kept_stderr);
	close(real_stderr);
	kept_stderr = real_stderr = -1;
}

/* --- modes --- */

/* In a signal handler curses is left as it is; the terminal gets what curses would send. */
static void give_back(bool in_handler)
{
	if (!taken)
		return;
	taken = 0;
	term_write(ALL_OFF, sizeof(ALL_OFF) - 1);
	if (in_handler)
		term_write(leave, strlen(leave));
	else
		paint_leave();
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void take(void)
{
	struct termios t = before;
	cfmakeraw(&t);
	t.c_oflag = before.c_oflag;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
	taken = 1;
	paint_return();
	term_write(PASTE_ON, sizeof(PASTE_ON) - 1);
	if (mouse)
		term_write(MOUSE_ON, sizeof(MOUSE_ON) - 1);
}

static void on_crash(int sig)
{
	give_back(true);
	stderr_give_back();
	raise(sig); /* SA_RESETHAND: the default action, once unblocked */
}

static void at_exit(void)
{
	give_back(true);
	stderr_give_back();
}

/* Before curses starts, which installs handlers of its own where none are: they would end the program
 * with status 1 when a signal comes while it starts or after it has given the terminal back. */
static void catch_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction crash = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
	for (size_t i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &a, &old[i]);
	for (size_t i = 0; i < N_CRASHES; i++)
		sigaction(crashes[i], &crash, &old_crash[i]);
}

static void let_signals(void)
{
	for (size_t i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &old[i], NULL);
	for (size_t i = 0; i < N_CRASHES; i++)
		sigaction(crashes[i], &old_crash[i], NULL);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

/* Inside the program everything is UTF-8, readline's line included; another character set is the
 * terminal's alone. */
static void set_locale(void)
{
	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	if (utf8)
		return;
	translate = strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968") != 0;
	native = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	setenv("LC_ALL", "C.UTF-8", 1); /* readline asks the environment */
	setlocale(LC_CTYPE, "C.UTF-8");
}

void term_locale(bool of_terminal)
{
	if (native)
		uselocale(of_terminal ? native : LC_GLOBAL_LOCALE);
}

void term_typed(const char *s, size_t len, struct buf *out)
{
	if (!translate) {
		buf_add(out, s, len);
		return;
	}
	term_locale(true);
	for (size_t i = 0; i < len;) {
		wchar_t c = 0;
		char b[4];
		size_t n = mbrtowc(&c, s + i, len - i, &typing);
		if (n == (size_t)-2)
			break; /* its end comes with the next read */
		if (n == (size_t)-1)
			memset(&typing, 0, sizeof(typing));
		else
			buf_add(out, b, utf8_encode((uint32_t)c, b));
		i += n == (size_t)-1 || n == 0 ? 1 : n;
	}
	term_locale(false);
}

int term_open(bool with_mouse, struct err *e)
{
	static bool registered;
	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before))
		return err_set(e, ERR_USAGE, "standard input and output must be a terminal");
	set_locale();
	if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK))
		return err_sys(e, errno, "pipe");
	catch_signals();
	term_locale(true);
	int rc = paint_open(&leave, e);
	term_locale(false);
	if (rc < 0) {
		let_signals();
		return -1;
	}
	if (!registered)
		atexit(at_exit); /* a library may end the program */
	registered = true;
	mouse = with_mouse;
	stderr_keep();
	take();
	return 0;
}

void term_close(void)
{
	give_back(false);
	paint_close();
	stderr_give_back();
	let_signals();
}

int term_signal_fd(void)
{
	return pipe_fd[0];
}

void term_leave(void)
{
	give_back(false);
}

void term_return(void)
{
	take();
}

void term_drain(void)
{
	char c, kept[16];
	size_t n = 0;
	while (read(pipe_fd[0], &c, 1) == 1)
		if (c != SIGINT && c != SIGTSTP && c != SIGQUIT && n < sizeof(kept))
			kept[n++] = c;
	if (n && write(pipe_fd[1], kept, n) < 0)
		return; /* full again: other signals wait there */
}

void term_suspend(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, ours;
	give_back(false);
	sigaction(SIGTSTP, &dfl, &ours);
	kill(0, SIGTSTP); /* the whole job, as the terminal would */
	sigaction(SIGTSTP, &ours, NULL);
	tcgetattr(STDIN_FILENO, &before); /* the shell may have changed it meanwhile */
	take();
}

void term_mouse(bool on)
{
	mouse = on;
	if (on)
		term_write(MOUSE_ON, sizeof(MOUSE_ON) - 1);
	else
		term_write("\x1b[?1006l\x1b[?1000l", 16);
}

void term_size(int *w, int *h)
{
	struct winsize z;
	*w = 80;
	*h = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &z) == 0 && z.ws_col && z.ws_row) {
		*w = z.ws_col < 1000 ? z.ws_col : 1000;
		*h = z.ws_row < 500 ? z.ws_row : 500;
	}
}

bool term_utf8(void)
{
	return utf8;
}
