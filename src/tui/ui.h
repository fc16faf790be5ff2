/* The state of the screen, shared by the files that make up its loop. One thread. */
#ifndef AIRLCHAT_TUI_UI_H
#define AIRLCHAT_TUI_UI_H

#include "chat/session.h"
#include "tui/convview.h"
#include "tui/grid.h"
#include "tui/input.h"
#include "tui/keys.h"
#include "tui/panel.h"
#include "tui/popup.h"
#include "tui/theme.h"
#include "tui/tui.h"

enum ui_mode { MODE_LINE, MODE_FIND, MODE_HELP };

struct ui {
	struct session *s;
	struct tui_options *o;
	enum ui_mode mode;
	struct convview conv;
	struct session_view view;
	struct grid grid;
	struct rect conv_rect; /* where the conversation is on the screen */
	int cx, cy;	       /* where the cursor is; cx < 0: hidden */
	struct input_line line;	 /* these four are asked for before a frame is drawn */
	size_t queued, attached; /* messages, and bytes of files for the next one */
	struct trace *trace;
	struct keys keys;
	struct theme *theme;
	char theme_before[64]; /* while themes are looked at: the one to go back to */
	struct popup popup;
	struct panel panel;    /* F2 F3 F4 */
	int word_start;	       /* of the word being completed */
	struct buf after;      /* bytes for the terminal between this frame and the next */
	struct buf query;      /* MODE_FIND */
	struct rows help;
	int help_width, help_top;
	char flash[160];   /* a word about the last key, until the next */
	char status[96];   /* right end of the last line: settings */
	char *name;	   /* of the session; NULL: not kept */
	bool saved, mouse, quit, dirty, urgent, stop_once;
	bool more; /* parts of the conversation are not laid out yet */
	size_t editing;	   /* index of the message that the input line replaces, plus one; 0: none */
	int64_t drawn;
};

/* Lines for the conversation, made printable. */
void ui_say(struct ui *u, enum item_kind kind, const char *text);
void ui_flash(struct ui *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ui_refresh_status(struct ui *u);

void ui_events(struct ui *u);		   /* take what the session has to say */
/* The conversation anew from the session: its first n messages, since events may tell of the rest. */
void ui_rebuild(struct ui *u, size_t n);
void ui_key(struct ui *u, enum key k, const char *s, size_t len);
void ui_draw(struct ui *u);
int compose(struct ui *u, int w, int h); /* u->grid and the cursor from all else; -1: out of memory */
void ui_stop(struct ui *u); /* Ctrl-C */

/* --- commands --- */

void command_run(struct ui *u, const char *line); /* it begins with '/' */
void command_complete(struct ui *u, const char *line, int start);
int command_file_argument(const char *line); /* where a file name begins, or -1 */
const char *command_hint(const char *name); /* what it does; NULL: unknown */
bool command_nth(size_t i, const char **name, const char **args, const char **help); /* all, in order */

/* args is what follows the name; never NULL. */
void cmd_find(struct ui *u, const char *args);
void cmd_theme(struct ui *u, const char *args);
void cmd_copy(struct ui *u, const char *args);
void cmd_fold(struct ui *u, const char *args);
void cmd_mouse(struct ui *u, const char *args);
void cmd_glyphs(struct ui *u, const char *args);
void cmd_keys(struct ui *u, const char *args);
void cmd_sessions(struct ui *u, const char *args);
void cmd_open(struct ui *u, const char *args);
void cmd_delete(struct ui *u, const char *args);
void cmd_edit(struct ui *u, const char *args);
void cmd_save(struct ui *u, const char *args);
void cmd_trace(struct ui *u, const char *args);
void cmd_plot(struct ui *u, const char *args);

/* --- modes --- */

void find_enter(struct ui *u);
bool find_key(struct ui *u, enum key k, const char *s, size_t len);
void find_draw(struct ui *u, int y, int *cx);
void help_enter(struct ui *u);
bool help_key(struct ui *u, enum key k, const char *s, size_t len);
void help_draw(struct ui *u, struct rect r);
bool panel_ui_key(struct ui *u, enum key k, const char *s, size_t len);

#endif
