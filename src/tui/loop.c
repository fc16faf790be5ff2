/* The loop: keys, the session's events and signals come in, frames go out. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "chat/command.h"
#include "tui/input.h"
#include "tui/paint.h"
#include "tui/term.h"
#include "tui/ui.h"

#define FRAME_NS 100000000 /* at most ten frames a second; keys are shown at once */
#define SLICE_NS 3000000
#define ESC_MS 40

void ui_say(struct ui *u, enum item_kind kind, const char *text)
{
	if (*text)
		convview_note(&u->conv, kind, text);
	u->dirty = true;
}

void ui_flash(struct ui *u, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(u->flash, sizeof(u->flash), fmt, ap);
	va_end(ap);
	u->dirty = true;
}

/* what was typed and entered */
static void ui_line(struct ui *u, char *line)
{
	if (!line) {
		u->quit = true;
		return;
	}
	input_remember(line);
	if (!line[strspn(line, " \t\n")])
		return;
	if (u->editing) {
		session_edit(u->s, u->editing - 1, line, strlen(line));
		u->editing = 0;
		convview_follow(&u->conv);
	} else if (command_is(line)) {
		command_run(u, line);
	} else {
		session_send(u->s, line, strlen(line));
		convview_follow(&u->conv);
	}
}

void ui_stop(struct ui *u)
{
	session_view(u->s, &u->view); /* what is said is done about what is true now */
	if (u->mode != MODE_LINE || u->popup.open) {
		ui_key(u, KEY_ESC, "\x1b", 1);
	} else if (u->editing) {
		u->editing = 0;
		input_discard();
	} else if (!input_empty() || input_searching()) {
		input_discard();
	} else if (u->view.busy) {
		session_stop(u->s);
	} else if (u->stop_once) {
		u->quit = true;
		u->o->exit_status = 130;
	} else {
		u->stop_once = true;
		ui_flash(u, "Ctrl-C again quits");
	}
}

static void signals(struct ui *u)
{
	char c;
	while (read(term_signal_fd(), &c, 1) == 1) {
		u->dirty = u->urgent = true;
		if (c == SIGTERM || c == SIGHUP || c == SIGQUIT) {
			u->quit = true;
			u->o->exit_status = 128 + c;
		} else if (c == SIGINT) {
			ui_stop(u);
		} else if (c == SIGTSTP) {
			term_suspend();
		} else if (c == SIGCONT) {
			term_return();
		}
	}
}

static void keyboard(struct ui *u)
{
	char b[4096];
	ssize_t r = read(STDIN_FILENO, b, sizeof(b));
	if (r > 0) {
		struct buf typed = BUF_INIT;
		term_typed(b, (size_t)r, &typed);
		keys_feed(&u->keys, buf_str(&typed), typed.len);
		buf_clear(&typed);
	} else if (r == 0 || (errno != EINTR && errno != EAGAIN)) {
		u->quit = true; /* the terminal is gone */
	}
	u->urgent = true;
}

/* A little of what is not seen yet, between keys; shown when it is done. */
static void lay_out_more(struct ui *u)
{
	int64_t end = clock_ns() + SLICE_NS;
	bool more = true;
	while (more && clock_ns() < end)
		more = convview_step(&u->conv);
	u->dirty |= u->more && !more;
	u->more = more;
}

/* A key is shown at once, with what is known; ten times a second what the engine does is asked for. */
static void show(struct ui *u)
{
	bool frame = clock_ns() - u->drawn >= FRAME_NS;
	if (frame && (u->dirty || u->view.busy)) {
		bool was = u->view.busy;
		session_view(u->s, &u->view);
		u->drawn = clock_ns();
		ui_draw(u);
		u->dirty = was && !u->view.busy; /* once more, when all is still */
		u->urgent = false;
	} else if (u->urgent && u->dirty) {
		ui_draw(u);
		u->dirty = u->urgent = false;
	}
}

static void turn(struct ui *u)
{
	struct pollfd p[3] = {{STDIN_FILENO, POLLIN, 0}, {session_fd(u->s), POLLIN, 0},
			      {term_signal_fd(), POLLIN, 0}};
	int64_t left = (FRAME_NS - (clock_ns() - u->drawn)) / 1000000;
	int wait = u->more ? 0 : u->dirty || u->view.busy ? (left > 0 ? (int)left + 1 : 0) : -1;
	if (keys_waiting(&u->keys) && (wait < 0 || wait > ESC_MS))
		wait = ESC_MS;
	int n = poll(p, 3, wait);
	if (n == 0 && keys_waiting(&u->keys)) {
		keys_timeout(&u->keys);
		u->urgent = true;
	}
	if (n > 0 && (p[0].revents & (POLLIN | POLLHUP | POLLERR)))
		keyboard(u);
	signals(u);
	ui_events(u);
	show(u);
	lay_out_more(u);
}

static void on_key(void *user, enum key k, const char *s, size_t len)
{
	struct ui *u = user;
	u->dirty = true;
	if (!u->quit)
		ui_key(u, k, s, len);
}

static void on_line(void *user, char *line)
{
	ui_line(user, line);
}

static void on_complete(void *user, const char *line, int start, const char *text)
{
	(void)text;
	command_complete(user, line, start);
}

static int on_file_argument(void *user, const char *line)
{
	(void)user;
	return command_file_argument(line);
}

static void word_chosen(void *user, const struct popup_item *it)
{
	struct ui *u = user;
	size_t n = strlen(it->text);
	input_replace_word(u->word_start, it->text);
	if (n && it->text[n - 1] != '/')
		input_insert(" ", 1);
}

static void on_choices(void *user, char **words, size_t n, int start)
{
	struct ui *u = user;
	u->word_start = start;
	popup_begin(&u->popup, "Tab", u);
	for (size_t i = 0; i < n && i < 1000; i++)
		popup_add(&u->popup, words[i], *words[i] == '/' ? command_hint(words[i]) : NULL, 0);
	u->popup.chosen = word_chosen;
	popup_show(&u->popup, 0);
}

static int open_theme(struct ui *u, struct err *e)
{
	const char *none = getenv("NO_COLOR");
	struct buf warnings = BUF_INIT;
	bool mono = u->o->no_color || (none && *none);
	u->theme = theme_load(mono ? "mono" : u->o->theme ? u->o->theme : "default", paint_depth(),
		&warnings, e);
	if (!u->theme)
		return -1;
	u->o->ascii |= !term_utf8();
	u->grid.glyphs = u->o->ascii ? &glyphs_ascii : &glyphs_unicode;
	u->grid.mono = mono || paint_depth() == DEPTH_MONO || !strcmp(theme_name(u->theme), "mono");
	ui_say(u, ITEM_NOTE, buf_str(&warnings));
	buf_clear(&warnings);
	return 0;
}

static void open_input(struct ui *u)
{
	const struct input_callbacks cb = {on_line, on_complete, on_file_argument, on_choices, u};
	struct err e = ERR_INIT;
	char *dir = path_user_dir(USER_STATE, true, &e);
	char *history = dir ? path_join(dir, "history") : NULL;
	if (!dir)
		ui_say(u, ITEM_NOTE, e.msg);
	input_open(&cb, history);
	free(history);
	free(dir);
}

static void clear(struct ui *u)
{
	keys_clear(&u->keys);
	convview_clear(&u->conv);
	popup_clear(&u->popup);
	panel_clear(&u->panel);
	rows_clear(&u->help);
	buf_clear(&u->after);
	buf_clear(&u->query);
	theme_free(u->theme);
	grid_free(&u->grid);
	session_view_clear(&u->view);
	free(u->name);
}

int tui_run(struct session *s, struct tui_options *o, struct err *e)
{
	struct ui u = {.s = s, .o = o, .dirty = true, .urgent = true, .mouse = true};
	o->exit_status = 0;
	convview_init(&u.conv);
	if (term_open(u.mouse, e))
		return -1;
	if (open_theme(&u, e)) {
		term_close();
		return -1;
	}
	u.keys.on_key = on_key;
	u.keys.user = &u;
	open_input(&u);
	u.name = session_name(s);
	ui_rebuild(&u, SIZE_MAX);
	ui_refresh_status(&u);
	while (!u.quit)
		turn(&u);
	input_close();
	term_close();
	clear(&u);
	return 0;
}
