/* What the screen does about "why is it slow": its panels' keys, /trace, /plot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "chat/command.h"
#include "trace/plot.h"
#include "tui/input.h"
#include "tui/ui.h"

bool panel_ui_key(struct ui *u, enum key k, const char *s, size_t len)
{
	static const struct {
		enum key key;
		int panel;
	} map[] = {{KEY_UP, PANEL_UP}, {KEY_DOWN, PANEL_DOWN}, {KEY_LEFT, PANEL_LEFT}, {KEY_RIGHT, PANEL_RIGHT},
		{KEY_PAGE_UP, PANEL_PAGE_UP}, {KEY_PAGE_DOWN, PANEL_PAGE_DOWN}, {KEY_HOME, PANEL_HOME},
		{KEY_END, PANEL_END}, {KEY_WHEEL_UP, PANEL_UP}, {KEY_WHEEL_DOWN, PANEL_DOWN},
		{KEY_SCROLL_UP, PANEL_UP}, {KEY_SCROLL_DOWN, PANEL_DOWN}};
	if (k >= KEY_F1 + 1 && k <= KEY_F1 + 3) {
		u->mode = MODE_LINE;
		panel_open(&u->panel, (enum panel_kind)(PANEL_LAYERS + (k - KEY_F1 - 1)));
		return true;
	}
	if (u->panel.kind == PANEL_NONE)
		return false;
	if (k == KEY_ESC && !u->editing) {
		panel_open(&u->panel, u->panel.kind);
		return true;
	}
	for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
		if (map[i].key == k)
			return input_empty() && panel_key(&u->panel, map[i].panel);
	return k == KEY_BYTES && len == 1 && input_empty() && panel_key(&u->panel, *s);
}

void cmd_trace(struct ui *u, const char *args)
{
	struct err e = ERR_INIT;
	struct trace *t = session_trace(u->s);
	uint32_t passes = 0;
	char *path = command_target("/trace", args, &e);
	if (path && (!t || u->view.trace.passes == 0))
		ui_flash(u, "nothing has been measured yet");
	else if (!path || trace_dump(t, path, &passes, &e) < 0)
		ui_say(u, ITEM_ERROR, e.msg);
	else
		ui_flash(u, "the last %u passes are in %.80s: open it in Perfetto or about:tracing", passes, path);
	free(path);
}

void cmd_plot(struct ui *u, const char *args)
{
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	char title[256];
	const struct trace_view *t = &u->view.trace;
	if (t->passes == 0 || !t->layers) {
		ui_flash(u, "nothing has been measured yet");
		return;
	}
	char *path = command_target("/plot", args, &e);
	snprintf(title, sizeof(title), "%.160s: the last %s, %.1f ms", u->view.model ? u->view.model : "",
		t->last.prefill ? "pass of the prompt" : "token", (double)t->last.wall / 1e6);
	plot_layers(&b, title, t->layers, t->n_layers + 1, 1);
	if (!path || buf_ok(&b, &e) < 0 || file_save(path, buf_str(&b), b.len, 0644, &e) < 0)
		ui_say(u, ITEM_ERROR, e.msg);
	else
		ui_flash(u, "written: %.120s", path);
	buf_clear(&b);
	free(path);
}
