/* Commands about what the screen shows. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tui/copy.h"
#include "tui/paint.h"
#include "tui/term.h"
#include "tui/ui.h"

void cmd_find(struct ui *u, const char *args)
{
	find_enter(u);
	if (!*args)
		return;
	buf_puts(&u->query, args);
	if (!convview_find(&u->conv, args, strlen(args)))
		ui_flash(u, "not found");
}

void cmd_fold(struct ui *u, const char *args)
{
	(void)args;
	convview_toggle_fold(&u->conv);
}

void cmd_mouse(struct ui *u, const char *args)
{
	(void)args;
	u->mouse = !u->mouse;
	term_mouse(u->mouse);
	ui_flash(u, u->mouse ? "the mouse scrolls" : "the mouse selects text; F10 takes it back");
}

void cmd_glyphs(struct ui *u, const char *args)
{
	if (strcmp(args, "ascii") && strcmp(args, "unicode")) {
		ui_flash(u, "/glyphs ascii or /glyphs unicode");
		return;
	}
	u->o->ascii = !strcmp(args, "ascii");
	u->grid.glyphs = u->o->ascii ? &glyphs_ascii : &glyphs_unicode;
	convview_relayout(&u->conv);
}

void cmd_keys(struct ui *u, const char *args)
{
	(void)args;
	help_enter(u);
}

/* --- themes --- */

static bool set_theme(struct ui *u, const char *name, bool tell)
{
	struct err e = ERR_INIT;
	struct buf warnings = BUF_INIT;
	struct theme *t = theme_load(name, paint_depth(), &warnings, &e);
	if (!t) {
		ui_flash(u, "%s", e.msg);
		return false;
	}
	theme_free(u->theme);
	u->theme = t;
	u->grid.mono = paint_depth() == DEPTH_MONO || !strcmp(name, "mono");
	if (tell)
		ui_say(u, ITEM_NOTE, buf_str(&warnings));
	buf_clear(&warnings);
	paint_forget();
	return true;
}

static void theme_moved(void *user, const struct popup_item *it)
{
	set_theme(user, it->text, false);
}

static void theme_chosen(void *user, const struct popup_item *it)
{
	if (set_theme(user, it->text, true))
		ui_flash(user, "theme = %s in the configuration file, or --theme %s, keeps it", it->text, it->text);
}

static void theme_left(void *user)
{
	struct ui *u = user;
	set_theme(u, u->theme_before, false);
}

void cmd_theme(struct ui *u, const char *args)
{
	struct buf names = BUF_INIT;
	size_t at = 0;
	if (*args) {
		set_theme(u, args, true);
		return;
	}
	strncpy(u->theme_before, theme_name(u->theme), sizeof(u->theme_before) - 1);
	theme_names(&names);
	popup_begin(&u->popup, "theme", u);
	char *rest = names.len ? names.p : NULL;
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (!*line)
			continue;
		if (!strcmp(line, u->theme_before))
			at = u->popup.n;
		popup_add(&u->popup, line, NULL, 0);
	}
	buf_clear(&names);
	u->popup.moved = theme_moved;
	u->popup.chosen = theme_chosen;
	u->popup.left = theme_left;
	popup_show(&u->popup, at);
}

/* --- copying --- */

static void copy_text(struct ui *u, const char *what, const char *s, size_t len)
{
	struct buf how = BUF_INIT;
	if (copy_sequence(s, len, &u->after))
		buf_puts(&how, "terminal");
	copy_tools(s, len, &how);
	if (how.len)
		ui_flash(u, "copied %s, %zu bytes (%s)", what, len, buf_str(&how));
	else
		ui_flash(u, "%s is too long for the terminal's clipboard", what);
	buf_clear(&how);
}

void cmd_copy(struct ui *u, const char *args)
{
	const struct buf *answer = convview_answer(&u->conv, 0);
	struct buf code = BUF_INIT;
	char *end;
	unsigned long n = !strcmp(args, "code") ? convview_codes(&u->conv) : strtoul(args, &end, 10);
	if (!*args && answer)
		copy_text(u, "the last answer", answer->p, answer->len);
	else if (!*args)
		ui_flash(u, "there is no answer to copy");
	else if (n > 0 && n <= UINT_MAX && convview_code(&u->conv, (unsigned)n, &code))
		copy_text(u, "the code block", buf_str(&code), code.len);
	else
		ui_flash(u, "there is no such code block");
	buf_clear(&code);
}
