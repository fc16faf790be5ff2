#include "tui/term.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ON "\x1b[?2004h\x1b[?1000h\x1b[?1006h"
#define OFF "\x1b[?1006l\x1b[?1000l\x1b[?2004l"

static int pipe_fd[2] = {-1, -1};
static struct termios before;
static SCREEN *screen;
static const int caught[] = {SIGWINCH, SIGTERM, SIGHUP, SIGINT};
static struct sigaction old[4];

static void say(const char *s, size_t n)
{
	ssize_t r = write(STDOUT_FILENO, s, n);
	(void)r; /* a terminal that is gone needs no restoring */
}

static void on_signal(int sig)
{
	int keep = errno;
	char c = (char)sig;
	ssize_t r = write(pipe_fd[1], &c, 1);
	(void)r; /* full: a signal waits there already */
	errno = keep;
}

/* Only async-signal-safe calls: leave the modes, then die of the same signal. */
static void on_crash(int sig)
{
	say(OFF "\x1b[?1049l\x1b[?25h", sizeof(OFF "\x1b[?1049l\x1b[?25h") - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	raise(sig); /* SA_RESETHAND: the default action, once unblocked */
}

static void colors(void)
{
	static const short fg[STYLES] = {-1,	      COLOR_CYAN, COLOR_GREEN, COLOR_RED, COLOR_MAGENTA,
					 COLOR_GREEN, COLOR_YELLOW, COLOR_BLUE, COLOR_RED};
	start_color();
	use_default_colors();
	for (short i = 0; i < STYLES; i++)
		init_pair((short)(i + 1), fg[i], -1);
}

static bool with_color;

static void modes(void)
{
	raw();
	noecho();
	nonl();
	say(ON, sizeof(ON) - 1);
}

int term_open(bool color, struct err *e)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction crash = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
	if (tcgetattr(STDIN_FILENO, &before))
		return err_set(e, ERR_USAGE, "standard input is not a terminal");
	if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK))
		return err_sys(e, errno, "pipe");
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		return err_set(e, ERR_UNSUPPORTED, "the terminal type in TERM is not known");
	}
	for (size_t i = 0; i < 4; i++)
		sigaction(caught[i], &a, &old[i]);
	sigaction(SIGSEGV, &crash, NULL);
	sigaction(SIGBUS, &crash, NULL);
	sigaction(SIGABRT, &crash, NULL);
	with_color = color && has_colors();
	if (with_color)
		colors();
	modes();
	return 0;
}

void term_close(void)
{
	say(OFF, sizeof(OFF) - 1);
	endwin();
	delscreen(screen);
	screen = NULL;
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	for (size_t i = 0; i < 4; i++)
		sigaction(caught[i], &old[i], NULL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

int term_signal_fd(void)
{
	return pipe_fd[0];
}

void term_suspend(void)
{
	say(OFF, sizeof(OFF) - 1);
	endwin();
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	kill(0, SIGTSTP); /* the whole job, as the terminal would */
	modes();
	clearok(curscr, TRUE);
}

void term_size(int *w, int *h)
{
	struct winsize z;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &z) == 0 && z.ws_col && z.ws_row)
		resizeterm(z.ws_row, z.ws_col);
	getmaxyx(stdscr, *h, *w);
}

void term_paint(const struct grid *g, int cx, int cy)
{
	erase();
	for (int y = 0; y < g->h; y++)
		for (int x = 0; x < g->w; x++) {
			const struct cell *c = g->c + (size_t)y * (size_t)g->w + x;
			wchar_t ws[2] = {(wchar_t)c->cp, 0};
			cchar_t cc;
			if (!c->cp || (c->cp == ' ' && c->style == ST_TEXT))
				continue;
			attr_t a = c->style == ST_TITLE || c->style == ST_ERROR ? A_BOLD : A_NORMAL;
			setcchar(&cc, ws, a, with_color ? (short)(c->style + 1) : 0, NULL);
			mvadd_wch(y, x, &cc);
		}
	move(cy < g->h ? cy : g->h - 1, cx < g->w ? cx : g->w - 1);
	refresh();
}
