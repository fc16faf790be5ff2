#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "chat/session.h"
#include "tui/commands.h"
#include "tui/convview.h"
#include "tui/grid.h"
#include "tui/input.h"
#include "tui/keys.h"
#include "tui/layout.h"
#include "tui/meters.h"
#include "tui/paint.h"
#include "tui/term.h"
#include "tui/theme.h"
#include "tui/tui.h"

#define FRAME_NS 100000000 /* at most ten frames a second */
#define ESC_MS 40

struct ui {
	struct session *s;
	struct tui_options *o;
	struct convview conv;
	struct session_view view;
	struct grid grid;
	struct theme *theme;
	struct keys keys;
	bool quit, dirty, stop_once;
	int64_t drawn;
};

static void on_line(void *user, char *line)
{
	struct ui *u = user;
	if (!line) {
		u->quit = true;
	} else if (*line == '/') {
		u->quit |= command_run(u->s, &u->conv, line);
	} else if (*line) {
		convview_line(&u->conv, "");
		convview_add(&u->conv, "you> ", 5);
		convview_add(&u->conv, line, strlen(line));
		convview_add(&u->conv, "\n", 1);
		convview_end(&u->conv);
		session_send(u->s, line, strlen(line));
	}
}

static void stop(struct ui *u)
{
	if (u->view.busy) {
		session_stop(u->s);
	} else if (!input_empty()) {
		input_discard();
	} else if (u->stop_once) {
		u->quit = true;
		u->o->exit_status = 130;
	} else {
		u->stop_once = true;
		convview_line(&u->conv, "Ctrl-C again quits");
	}
}

static void on_key(void *user, enum key k, const char *s, size_t len)
{
	struct ui *u = user;
	int page = u->conv.height > 2 ? u->conv.height - 1 : 1;
	u->dirty = true;
	if (u->quit)
		return;
	if (k == KEY_STOP) {
		stop(u);
		return;
	}
	u->stop_once = false;
	if (k == KEY_BYTES && len == 1 && *s == 26)
		term_suspend();
	else if (k == KEY_BYTES)
		input_bytes(s, len);
	else if (k == KEY_PASTE)
		input_insert(s, len);
	else if (k == KEY_NEWLINE)
		input_insert("\n", 1);
	else if (k == KEY_VIEW_END)
		convview_end(&u->conv);
	else if (k == KEY_PAGE_UP || k == KEY_PAGE_DOWN)
		convview_scroll(&u->conv, k == KEY_PAGE_UP ? -page : page);
	else
		convview_scroll(&u->conv, k == KEY_WHEEL_UP ? -3 : 3);
}

static void draw(struct ui *u)
{
	int w, h, cx, cy;
	term_size(&w, &h);
	if (w < 1 || h < 1 || grid_resize(&u->grid, w, h))
		return;
	struct grid *g = &u->grid;
	bool vram = u->view.why.plan && u->view.why.plan->vram_bytes;
	struct layout l = layout_make(w, h, input_lines(), vram);
	convview_draw(&u->conv, g, l.conv, l.conv_rows, u->o->ascii);
	meters_draw(g, &l, &u->view);
	input_draw(g, l.input, l.input_rows, &cx, &cy);
	paint(g, u->theme, cx, cy, term_utf8());
	u->dirty = false;
	u->drawn = clock_ns();
}

static void events(struct ui *u)
{
	struct session_event *ev;
	while ((ev = session_next(u->s))) {
		u->dirty = true;
		if (ev->kind == SESSION_PROMPT)
			convview_add(&u->conv, "ai> ", 4);
		else if (ev->kind == SESSION_TEXT)
			convview_add(&u->conv, ev->text, ev->len);
		else if (ev->kind == SESSION_DONE)
			convview_add(&u->conv, "\n", 1);
		else if (ev->kind == SESSION_ERROR || ev->kind == SESSION_NOTE)
			convview_line(&u->conv, ev->text);
		free(ev);
	}
}

static void signals(struct ui *u)
{
	char c;
	while (read(term_signal_fd(), &c, 1) == 1) {
		u->dirty = true;
		if (c == SIGTERM || c == SIGHUP || c == SIGQUIT) {
			u->quit = true;
			u->o->exit_status = 128 + c;
		} else if (c == SIGINT) {
			stop(u);
		} else if (c == SIGTSTP) {
			term_suspend();
		} else if (c == SIGCONT) {
			paint_forget();
		}
	}
}

static void turn(struct ui *u)
{
	struct pollfd p[3] = {{STDIN_FILENO, POLLIN, 0}, {session_fd(u->s), POLLIN, 0},
			      {term_signal_fd(), POLLIN, 0}};
	int64_t left = (FRAME_NS - (clock_ns() - u->drawn)) / 1000000;
	int wait = u->dirty || u->view.busy ? (left > 0 ? (int)left + 1 : 0) : -1;
	if (keys_waiting(&u->keys) && (wait < 0 || wait > ESC_MS))
		wait = ESC_MS;
	int n = poll(p, 3, wait);
	if (n == 0 && keys_waiting(&u->keys))
		keys_timeout(&u->keys);
	if (n > 0 && (p[0].revents & (POLLIN | POLLHUP | POLLERR))) {
		char b[4096];
		ssize_t r = read(STDIN_FILENO, b, sizeof(b));
		if (r > 0)
			keys_feed(&u->keys, b, (size_t)r);
		else if (r == 0 || (errno != EINTR && errno != EAGAIN))
			u->quit = true; /* the terminal is gone */
	}
	signals(u);
	events(u);
	bool was = u->view.busy;
	session_view(u->s, &u->view);
	u->dirty |= was || u->view.busy;
	if (u->dirty && clock_ns() - u->drawn >= FRAME_NS)
		draw(u);
}

int tui_run(struct session *s, struct tui_options *o, struct err *e)
{
	struct ui u = {.s = s, .o = o, .dirty = true};
	const char *none = getenv("NO_COLOR");
	struct buf warnings = BUF_INIT;
	bool mono = o->no_color || (none && *none);
	o->exit_status = 0;
	if (term_open(true, e))
		return -1;
	u.theme = theme_load(mono ? "mono" : o->theme ? o->theme : "default", paint_depth(), &warnings, e);
	if (!u.theme) {
		term_close();
		return -1;
	}
	o->ascii |= !term_utf8();
	u.grid.glyphs = o->ascii ? &glyphs_ascii : &glyphs_unicode;
	u.grid.mono = mono || paint_depth() == DEPTH_MONO;
	if (warnings.len)
		convview_line(&u.conv, buf_str(&warnings));
	buf_clear(&warnings);
	u.keys.on_key = on_key;
	u.keys.user = &u;
	input_open(on_line, &u);
	while (!u.quit)
		turn(&u);
	input_close();
	term_close();
	keys_clear(&u.keys);
	buf_clear(&u.conv.text);
	theme_free(u.theme);
	grid_free(&u.grid);
	session_view_clear(&u.view);
	return 0;
}
